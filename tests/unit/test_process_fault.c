/*
 * Scenario: a program is started, fed, heard, signalled and closed, and the n-th allocation or
 * system call of all that fails, on our side or in the child before it runs the program, for every
 * n. Claim: whoever asked is told; nothing hangs, no child and no descriptor is left.
 */
#include "process_rig.h"

#include <bide/pipe.h>

#include <sys/syscall.h>

#include "base/watched.h"
#include "fault.h"

enum { RUNS_MAX = 3000 };

static bide_process *owned;
static bide_stream *streams[2];
static int n_reports;

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
    n_reports++;
}

static int close_owned(void)
{
    bide_process *process = owned;
    owned = NULL;
    return bide_process_close(process);
}

static int close_stream(int i)
{
    bide_stream *stream = streams[i];
    streams[i] = NULL;
    return bide_close(stream);
}

static bide_async(life, (const struct bide_process_opts *, opts))
{
    struct bide_communicated said;
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    int rc = bide_process_exec(bide_argv("cat"), opts, &owned);
    if (rc < 0)
        return rc;
    rc = bide_process_signal(owned, 0);
    if (rc == 0)
        rc = bide_process_communicate(owned, "words", 5, 0, &said);
    if (rc == 0) {
        CHECK_STR(said.output, "words");
        CHECK_INT(bide_exit_code(&said.exit), 0);
        bide_communicated_free(&said);
    }
    int closed = close_owned();
    return rc == 0 ? closed : rc;
}

static bide_async(pipes)
{
    char bytes[8];
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    int rc = bide_pipe(NULL, &streams[0], &streams[1]);
    if (rc == 0)
        rc = bide_write(streams[1], "words", 5);
    if (rc == 0)
        rc = bide_write_eof(streams[1]);
    if (rc == 0)
        rc = bide_read_exactly(streams[0], bytes, 5) == 5 ? 0 : -EIO;
    for (int i = 0; i < 2; i++)
        if (close_stream(i) < 0 && rc == 0)
            rc = -EIO;
    return rc;
}

static bide_async(shares, (int, in), (int, out))
{
    char bytes[8];
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    int rc = bide_input(in, NULL, &streams[0]);
    if (rc == 0)
        rc = bide_output(out, NULL, &streams[1]);
    if (rc == 0)
        rc = bide_read_exactly(streams[0], bytes, 5) == 5 ? 0 : -EIO;
    if (rc == 0)
        rc = bide_write(streams[1], bytes, 5);
    for (int i = 0; i < 2; i++) {
        int closed = close_stream(i);
        if (rc == 0)
            rc = closed;
    }
    return rc;
}

/* What a loop that broke down left. */
static void clean_up(void)
{
    close_owned();
    for (int i = 0; i < 2; i++)
        close_stream(i);
    no_children();
    n_reports = 0;
}

static const int errors[] = {EMFILE, EIO, EINVAL};

static void each_fault(enum fault_kind kind, int error, const struct bide_process_opts *opts)
{
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        CHECK(n < RUNS_MAX);
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, life, opts);
        bool hit = fault_disarm();
        clean_up();
        CHECK_INT(count_fds(), n_fds);
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_allocation_of_a_childs_life, 120)
{
    each_fault(FAULT_ALLOCATION, 0, &piped);
}

BIDE_TEST_SECONDS(every_system_call_of_a_childs_life, 200)
{
    if (BIDE__TSAN || getenv("BIDE_TEST_EMULATED"))
        SKIP("a child has a copy here of the memory in which it tells what failed");
    struct bide_process_opts opts = piped;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        each_fault(FAULT_SYSTEM, errors[i], &opts);
    opts.errors = (struct bide_stdio){BIDE_STDIO_NULL, 0};
    opts.directory = "/";
    opts.new_group = true;
    each_fault(FAULT_SYSTEM, EMFILE, &opts);
    opts.new_session = true;
    each_fault(FAULT_SYSTEM, ENOSYS, &opts);
}

static void pipe_faults(enum fault_kind kind, const struct bide_loop_opts *opts)
{
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        fault_arm(kind, n, EIO);
        int rc = bide_run_with(opts, pipes);
        bool hit = fault_disarm();
        clean_up();
        CHECK_INT(count_fds(), n_fds);
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_call_of_a_pipes_life, 60)
{
    pipe_faults(FAULT_ALLOCATION, NULL);
    pipe_faults(FAULT_SYSTEM, NULL);
    pipe_faults(FAULT_ALLOCATION, &(struct bide_loop_opts){.engine = "sim"});
}

/* Of a file, or of a pipe. */
static void share_faults(enum fault_kind kind, bool is_file)
{
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        int fds[2];
        if (is_file) {
            fds[0] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
            fds[1] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        } else {
            CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
        }
        CHECK_INT(write(fds[1], "words", 5), 5);
        if (is_file)
            lseek(fds[0], 0, SEEK_SET);
        fault_arm(kind, n, EIO);
        int rc = bide_run_with(NULL, shares, fds[0], fds[1]);
        bool hit = fault_disarm();
        clean_up();
        CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
        close(fds[0]);
        close(fds[1]);
        CHECK_INT(count_fds(), n_fds);
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_call_of_a_shared_descriptors_life, 60)
{
    for (int kind = FAULT_ALLOCATION; kind <= FAULT_SYSTEM; kind++) {
        share_faults((enum fault_kind)kind, false);
        share_faults((enum fault_kind)kind, true);
    }
}

static bide_async(refuses, (int, fd))
{
    bide_process *process;
    bide_stream *stream;
    CHECK_INT(bide_process_exec(bide_argv("true"), NULL, &process), -ENOSYS);
    CHECK_INT(bide_process_exec(bide_argv("true"), &piped, &process), -ENOSYS);
    CHECK_INT(bide_input(fd, NULL, &stream), -ENOSYS);
    CHECK_INT(bide_pipe_adopt_read(fd, NULL, &stream), -ENOSYS);
    return 0;
}

BIDE_TEST(simulation_has_neither_processes_nor_the_kernels_descriptors)
{
    CHECK_INT(bide_run_with((&(struct bide_loop_opts){.engine = "sim"}), refuses, 0), 0);
}
