/*
 * A test in its process: its fixtures, its loop, and what it leaves behind.
 *
 * Invariants
 *  - What was set up is torn down once, in reverse order: behind the body, or on top of the check
 *    that failed, since nothing can unwind the stacks that it stands on.
 *  - What is left is looked at after everything that can run has run, so that a task that was
 *    cancelled and not awaited is none that is left.
 */
#include "test/report.h"
#include "test/runner.h"

#include <bide/error.h>
#include <bide/inspect.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIXTURES_MAX = 16, TASKS_SHOWN = 64, SETTLING_TURNS = 100, SETTLING_SECONDS = 1 };

/* The test that runs in this process. */
static struct {
    const struct bide__test *test;
    const void *each;
    bide_loop *loop;
    pthread_t thread;
    const struct bide__fixture *fixtures[FIXTURES_MAX]; /* the one that stands on nothing first */
    void *its[FIXTURES_MAX];
    int n_fixtures;
    int n_up; /* of its, set up or begun to be */
    bool tearing_down;
    int n_problems;
} here;

static __attribute__((format(printf, 1, 2))) void problem(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    putc('\n', stderr);
    here.n_problems++;
}

static void find_fixtures(const struct bide__fixture *fixture)
{
    int n = 0;
    for (const struct bide__fixture *f = fixture; f; f = f->base)
        n++;
    if (n > FIXTURES_MAX)
        bide_test_fail(here.test->place.file, here.test->place.line,
                       "fixtures stand on each other more than %d high", FIXTURES_MAX);
    here.n_fixtures = n;
    for (const struct bide__fixture *f = fixture; f; f = f->base)
        here.fixtures[--n] = f;
}

/* Returns whether all stand. */
static bool set_up(void)
{
    while (here.n_up < here.n_fixtures) {
        const struct bide__fixture *fixture = here.fixtures[here.n_up];
        void *it = calloc(1, fixture->size);
        if (!it) {
            problem("no memory for the fixture %s", fixture->name);
            return false;
        }
        void *base = here.n_up > 0 ? here.its[here.n_up - 1] : NULL;
        here.its[here.n_up++] = it;
        int rc = fixture->set_up(it, base);
        if (rc < 0) {
            const char *detail = bide_error_detail();
            problem("the fixture %s could not be set up: %s%s%s", fixture->name, bide_strerror(rc),
                    *detail ? ": " : "", detail);
            return false;
        }
    }
    return true;
}

static int tear_down(void)
{
    here.tearing_down = true;
    while (here.n_up > 0) {
        void *it = here.its[--here.n_up];
        here.fixtures[here.n_up]->tear_down(it);
        free(it);
    }
    return 0;
}

static void run_body(void)
{
    find_fixtures(here.test->fixture);
    if (set_up())
        here.test->body(here.n_up > 0 ? here.its[here.n_up - 1] : NULL, here.each);
    if (here.loop) /* the body may have left its task cancelled */
        (void)!bide_shielded(INFINITY, tear_down());
    else
        tear_down();
}

void bide__case_end(void)
{
    if (here.n_up == 0 || here.tearing_down || !pthread_equal(here.thread, pthread_self()))
        return;
    if (!here.loop)
        tear_down();
    else if (bide_current_task() && bide_loop_current() == here.loop)
        (void)!bide_shielded(INFINITY, tear_down());
}

void bide__case_forget(void)
{
    here.n_up = 0;
}

static size_t tasks_shown(bide_task **tasks)
{
    size_t n = bide_all_tasks(here.loop, tasks, TASKS_SHOWN);
    return n < TASKS_SHOWN ? n : TASKS_SHOWN;
}

/* Whether a task other than this one can go on, or is about to be told that it was cancelled. */
static bool others_go_on(void)
{
    bide_task *tasks[TASKS_SHOWN];
    size_t n = tasks_shown(tasks);
    for (size_t i = 0; i < n; i++)
        if (tasks[i] != bide_current_task() &&
            (bide_task_state(tasks[i]) == BIDE_TASK_SCHEDULED || bide_cancelling(tasks[i]) > 0))
            return true;
    return false;
}

static bool has_streams(void)
{
    struct bide_loop_counts counts;
    return bide_loop_count(here.loop, &counts) == 0 && counts.streams > 0;
}

/* What was closed may need the engine's answer, or has output to hand over. */
static void settle(void)
{
    double deadline = bide_time() + SETTLING_SECONDS;
    for (int i = 0; i < SETTLING_TURNS && others_go_on(); i++)
        (void)!bide_shielded(INFINITY, bide_sleep(0));
    while (!(here.test->opts.leaves & BIDE_TEST_LEAVES_STREAMS) && has_streams() &&
           bide_time() < deadline)
        (void)!bide_shielded(INFINITY, bide_sleep(0.001));
}

static void tell_kind(size_t n, const char *what, unsigned allowed)
{
    if (n > 0 && !(here.test->opts.leaves & allowed))
        problem("left: %zu %s", n, what);
}

static void look_at_the_rest(void)
{
    struct bide_loop_counts counts;
    bide_task *tasks[TASKS_SHOWN];
    settle();
    size_t n = tasks_shown(tasks);
    for (size_t i = 0; i < n; i++) {
        const struct bide_place *place = bide_task_place(tasks[i]);
        char text[256];
        if (tasks[i] == bide_current_task() || here.test->opts.leaves & BIDE_TEST_LEAVES_TASKS)
            continue;
        bide_task_print(tasks[i], text, sizeof text);
        problem("left: %s, spawned by %s at %s:%d", text, place->function, place->file,
                place->line);
    }
    if (bide_loop_count(here.loop, &counts) < 0)
        return;
    tell_kind(counts.futures, "promises that were not set", BIDE_TEST_LEAVES_RESULTS);
    tell_kind(counts.results, "handles of tasks or futures that are done",
              BIDE_TEST_LEAVES_RESULTS);
    tell_kind(counts.callbacks, "scheduled callbacks", BIDE_TEST_LEAVES_CALLBACKS);
    tell_kind(counts.watchers, "watched descriptors", BIDE_TEST_LEAVES_CALLBACKS);
    tell_kind(counts.signals, "signal handlers", BIDE_TEST_LEAVES_CALLBACKS);
    tell_kind(counts.streams, "streams or servers", BIDE_TEST_LEAVES_STREAMS);
}

static int main_task(void *data)
{
    (void)data;
    run_body();
    look_at_the_rest();
    return 0;
}

static bide_loop *make_loop(void)
{
    const struct bide_test_opts *opts = &here.test->opts;
    struct bide_loop_opts loop_opts = {
        .engine = opts->engine,
        .stack_size = opts->stack_size,
        .cleanup_seconds = opts->cleanup_seconds,
    };
    bide_loop *loop = NULL;
    int rc = bide_loop_new(&loop_opts, &loop);
    if (opts->engine && (rc == -ENOSYS || rc == -EPERM))
        bide_test_skip("the engine is missing or forbidden on this machine");
    if (rc < 0)
        bide_test_fail(here.test->place.file, here.test->place.line, "there is no loop: %s",
                       bide_strerror(rc));
    bide_loop_set_exception_handler(loop, bide_test_catch_report, NULL);
    return loop;
}

static void tell_reports(void)
{
    if (!(here.test->opts.leaves & BIDE_TEST_LEAVES_REPORTS))
        here.n_problems += bide__reports_print();
}

static void run_in_loop(void)
{
    bide__descriptors_note();
    bide_loop *loop = make_loop();
    here.loop = loop;
    struct bide_task_opts opts = {.loop = loop, .stack = BIDE_STACK_PRIVATE};
    bide_task *task = bide__launch_fn(BIDE__HOW_SPAWN, &here.test->place, &opts, main_task, NULL);
    int rc = bide_loop_run_until_complete(loop, task);
    if (rc < 0) {
        if (rc == -EDEADLK)
            problem("nothing can happen any more: every task waits");
        else
            problem("the test did not come to its end: %s", bide_strerror(rc));
        tell_reports();
        bide_detach(task);
    }
    bide_loop_close(loop);
    here.loop = NULL;
    tell_reports();
    if (!(here.test->opts.leaves & BIDE_TEST_LEAVES_DESCRIPTORS))
        here.n_problems += bide__descriptors_compare();
}

/*
 * The runner's last question, when the time is up. What is looked at may be just being changed; but
 * the process ends anyway, and what it knows is worth more than the risk.
 */
static void time_is_up(int signo)
{
    (void)signo;
    bide_task *tasks[TASKS_SHOWN];
    bide_loop *loop = here.loop ? here.loop : bide_loop_current();
    size_t n = loop ? bide_all_tasks(loop, tasks, TASKS_SHOWN) : 0;
    for (size_t i = 0; i < n && i < TASKS_SHOWN; i++) {
        char text[512];
        int length = bide_task_print(tasks[i], text, sizeof text - 1);
        if (length < 0)
            continue;
        length = length < (int)sizeof text - 1 ? length : (int)sizeof text - 2;
        text[length] = '\n';
        if (write(STDERR_FILENO, text, (size_t)length + 1) < 0)
            break;
    }
    _exit(EXIT_FAILURE);
}

void bide__case_run(const struct bide__test *test, const void *each)
{
    struct sigaction action = {.sa_handler = time_is_up, .sa_flags = SA_ONSTACK};
    sigaction(SIGQUIT, &action, NULL);
    memset(&here, 0, sizeof here);
    here.test = test;
    here.each = each;
    here.thread = pthread_self();
    if (test->in_task)
        run_in_loop();
    else
        run_body();
    if (here.n_problems > 0) {
        fflush(stdout);
        _exit(EXIT_FAILURE);
    }
}

void bide_test_turns(int n)
{
    for (int i = 0; i < n; i++)
        BIDE_CHECK_INT(bide_sleep(0), 0);
}
