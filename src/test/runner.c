/*
 * The runner: one process per test, TAP on stdout.
 *
 * Invariant: nothing that a test does reaches another test. It has its own process group, which is
 * killed when the test ends, its own output file, and no input.
 */
#include "test/runner.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_DEFAULT = 30, SEEDS_DEFAULT = 100, NAME_MAX_BYTES = 256 };

#define STATUS_TIMED_OUT (-1)

static struct bide__test *tests;
static struct bide__test **tests_end = &tests;
static const char *program;

/* One test, or one element of its array, under way. */
struct run {
    const struct bide__test *test;
    const void *each;
    char name[NAME_MAX_BYTES];
    int seconds;
    int output;
    unsigned n_seeds; /* 0: it has none */
    uint64_t first_seed;
    unsigned nth_seed;
};

void bide__test_add(struct bide__test *test, const char *name, bide__test_body *body,
                    const char *file, int line)
{
    test->name = name;
    test->place = (struct bide_place){name, file, "main", line};
    test->body = body;
    if (!test->array)
        test->n = 1;
    *tests_end = test;
    tests_end = &test->next;
}

/* SIGCHLD is blocked in the runner, so that a child's end cannot slip in before the wait. */
static int wait_for_case(pid_t pid, int seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t deadline = now.tv_sec + seconds;
    sigset_t child_ends;
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    for (;;) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= deadline)
            return STATUS_TIMED_OUT;
        struct timespec left = {deadline - now.tv_sec, 0};
        sigtimedwait(&child_ends, NULL, &left);
    }
}

static void set_number(const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    setenv(name, text, 1);
}

static uint64_t seed_of(const struct run *run)
{
    return run->n_seeds > 0 ? run->first_seed + run->nth_seed : 0;
}

/* The test in this process. */
static void run_here(const struct run *run)
{
    if (run->n_seeds > 0) {
        set_number("BIDE_TEST_SEED", seed_of(run));
        set_number("BIDE_SEED", seed_of(run)); /* the engine's */
    }
    bide__case_run(run->test, run->each);
}

static int run_once(const struct run *run)
{
    sigset_t child_ends;
    sigset_t before;
    sigemptyset(&child_ends);
    sigaddset(&child_ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ends, &before);
    pid_t pid = bide__test_fork(run->output);
    if (pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        run_here(run);
        exit(0);
    }
    setpgid(pid, pid); /* both do it: whoever comes first */
    int status = wait_for_case(pid, run->seconds);
    bool timed_out = status == STATUS_TIMED_OUT;
    if (timed_out) { /* it may say what it waits for */
        kill(pid, SIGQUIT);
        status = wait_for_case(pid, 1);
    }
    kill(-pid, SIGKILL); /* the test, if it hangs, and what it left running */
    if (status == STATUS_TIMED_OUT)
        waitpid(pid, NULL, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return timed_out ? STATUS_TIMED_OUT : status;
}

/* With each of its seeds in turn, until one fails or skips. */
static int run_case(struct run *run)
{
    int status;
    do {
        if (ftruncate(run->output, 0) < 0 || lseek(run->output, 0, SEEK_SET) < 0) {
            perror("test output");
            exit(2);
        }
        status = run_once(run);
    } while (status == 0 && ++run->nth_seed < run->n_seeds);
    return status;
}

/* The last line that a skipped case wrote is its reason. */
static void print_reason(int output)
{
    char tail[200] = "";
    off_t size = lseek(output, 0, SEEK_END);
    off_t start = size < (off_t)sizeof(tail) ? 0 : size - (off_t)sizeof(tail) + 1;
    ssize_t n = pread(output, tail, sizeof(tail) - 1, start);
    if (n <= 0)
        return;
    tail[n - 1] = '\0'; /* the newline */
    const char *line = strrchr(tail, '\n');
    printf(" # SKIP %s", line ? line + 1 : tail);
}

static void print_as_comment(int output)
{
    char chunk[1024];
    bool line_start = true;
    off_t at = 0;
    ssize_t n;
    while ((n = pread(output, chunk, sizeof(chunk), at)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (line_start)
                fputs("# ", stdout);
            putchar(chunk[i]);
            line_start = chunk[i] == '\n';
        }
        at += n;
    }
    if (!line_start)
        putchar('\n');
}

static void print_seed(const struct run *run)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (run->n_seeds == 0)
        return;
    printf("# seed %u of %u; again with: ", run->nth_seed + 1, run->n_seeds);
    if (!run->test->opts.engine && engine)
        printf("BIDE_ENGINE=%s ", engine);
    printf("BIDE_TEST_SEED=%llu %s %s\n", (unsigned long long)seed_of(run), program, run->name);
}

static bool report(const struct run *run, int number, int status)
{
    bool skipped = status != STATUS_TIMED_OUT && WIFEXITED(status) &&
                   WEXITSTATUS(status) == BIDE__TEST_EXIT_SKIPPED;
    bool passed = status == 0 || skipped;
    printf("%s %d - %s", passed ? "ok" : "not ok", number, run->name);
    if (skipped)
        print_reason(run->output);
    putchar('\n');
    if (!passed) {
        print_as_comment(run->output);
        if (status == STATUS_TIMED_OUT)
            printf("# still running after %d s\n", run->seconds);
        else if (WIFSIGNALED(status))
            printf("# killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            printf("# exit status %d\n", WEXITSTATUS(status));
        print_seed(run);
    }
    fflush(stdout);
    return passed;
}

/* Whether a pattern is for the test, or for all of its array. */
static bool chosen(const struct run *run, char **patterns)
{
    if (!*patterns)
        return true;
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, run->name, 0) == 0 || fnmatch(*patterns, run->test->name, 0) == 0)
            return true;
    return false;
}

/* Which seeds the test runs with: none, unless its engine is the simulated one. */
static void choose_seeds(struct run *run)
{
    const struct bide_test_opts *opts = &run->test->opts;
    const char *engine = opts->engine ? opts->engine : getenv("BIDE_ENGINE");
    if (!engine || strcmp(engine, "sim") != 0)
        return;
    unsigned otherwise = opts->engine ? SEEDS_DEFAULT : 1; /* or every test would take so long */
    long long n = bide__test_number("BIDE_TEST_SEEDS", opts->seeds ? opts->seeds : otherwise);
    run->n_seeds = n < 1 ? 1 : (unsigned)n;
    if (opts->seeds_max > 0 && run->n_seeds > opts->seeds_max)
        run->n_seeds = opts->seeds_max;
    run->first_seed = opts->seed ? opts->seed : bide_test_seed();
    const char *name = getenv("BIDE_TEST_SEED") ? "BIDE_TEST_SEED" : "BIDE_SEED";
    if (getenv(name)) {
        run->first_seed = (uint64_t)bide__test_number(name, 1);
        run->n_seeds = 1;
    }
}

static void run_init(struct run *run, const struct bide__test *test, size_t nth)
{
    *run = (struct run){.test = test};
    run->seconds = (test->opts.seconds > 0 ? test->opts.seconds : SECONDS_DEFAULT) *
                   bide_test_slowness();
    if (test->array) {
        run->each = (const char *)test->array + nth * test->element_size;
        snprintf(run->name, sizeof run->name, "%s/%zu", test->name, nth);
    } else {
        snprintf(run->name, sizeof run->name, "%s", test->name);
    }
    choose_seeds(run);
}

/* The engine was asked for, and this kernel or container refuses it: nothing here could pass. */
static bool engine_is_missing(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    if (!engine || strcmp(engine, "uring") != 0)
        return false;
    return syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM);
}

enum mode { MODE_RUN, MODE_HERE, MODE_LIST };

struct totals {
    int run;
    int failed;
};

static void run_test(struct run *run, enum mode mode, struct totals *totals)
{
    totals->run++;
    if (mode == MODE_LIST) {
        puts(run->name);
    } else if (mode == MODE_HERE) {
        run_here(run);
    } else {
        run->output = bide__test_output();
        int status = run_case(run);
        totals->failed += !report(run, totals->run, status);
        close(run->output);
    }
}

int bide_test_main(int argc, char **argv)
{
    char **patterns = argv + (argc > 0);
    enum mode mode = MODE_RUN;
    struct totals totals = {0};
    struct run run;
    program = argc > 0 ? argv[0] : "";
    if (*patterns && strcmp(*patterns, "--here") == 0)
        mode = MODE_HERE;
    else if (*patterns && strcmp(*patterns, "--list") == 0)
        mode = MODE_LIST;
    patterns += mode != MODE_RUN;
    if (mode != MODE_LIST && engine_is_missing()) {
        puts("1..0 # SKIP io_uring is missing or forbidden on this machine");
        return 0;
    }
    for (const struct bide__test *test = tests; test; test = test->next) {
        for (size_t i = 0; i < test->n; i++) {
            run_init(&run, test, i);
            if (chosen(&run, patterns))
                run_test(&run, mode, &totals);
        }
    }
    if (totals.run == 0) {
        fprintf(stderr, "no such test\n");
        return 2;
    }
    if (mode == MODE_RUN)
        printf("1..%d\n", totals.run);
    return totals.failed > 0;
}
