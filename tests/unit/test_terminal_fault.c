/*
 * Scenario: a terminal is opened, a line is edited and entered, text is printed above it, all is
 * closed; and the n-th allocation or system call of that fails, for every n.
 * Claim: whoever asked is told, the mode and the signals are what they were, and nothing is left.
 */
#include "fault.h"
#include "terminal_rig.h"

enum { RUNS_MAX = 3000 };

static int n_reports;

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
    n_reports++;
}

static bide_terminal *owned;

static bide_async(life, (bide_terminal **, terminal))
{
    char *line;
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    struct bide_terminal_opts opts = {
        .mode = BIDE_TERMINAL_CBREAK, .input_fd = pty.slave, .output_fd = pty.slave};
    int rc = bide_terminal_open(&opts, terminal);
    if (rc == 0)
        rc = bide_terminal_add_history(*terminal, "before");
    if (rc == 0)
        rc = bide_terminal_type(*terminal, "draft", 5);
    if (rc == 0)
        rc = bide_terminal_print(*terminal, "hello", 5);
    if (rc == 0)
        rc = bide_terminal_read_line(*terminal, "> ", &line);
    if (rc == 0)
        rc = -EPIPE;
    if (rc > 0) {
        CHECK_INT(rc, 6);
        CHECK_STR(line, "draft");
        rc = bide_terminal_set_mode(*terminal, BIDE_TERMINAL_RAW);
    }
    bide_terminal *mine = *terminal;
    *terminal = NULL;
    int closed = bide_terminal_close(mine);
    return rc < 0 ? rc : closed;
}

static void check_signals(void)
{
    static const int taken[] = {SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH, SIGFPE};
    struct sigaction now;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        CHECK_INT(sigaction(taken[i], NULL, &now), 0);
        CHECK(now.sa_handler == SIG_DFL);
    }
}

/* How many runs it took. */
static unsigned long each_fault(enum fault_kind kind, int error)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    CHECK_INT(sigaction(SIGFPE, &plain, NULL), 0); /* a sanitizer's, else */
    for (unsigned long n = 1;; n++) {
        CHECK(n < RUNS_MAX);
        pty_open(80);
        int n_fds = count_fds();
        types("\x1b[A\x1b[B\x14\x14\r"); /* nothing that means something to the kernel */
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, life, &owned);
        bool hit = fault_disarm();
        bide_terminal_close(owned); /* what a loop that broke down left */
        owned = NULL;
        CHECK_INT(count_fds(), n_fds);
        /* A handler that can't be taken back does what the default would, and goes next time. */
        if (!hit || strcmp(fault_function(), "sigaction") != 0)
            check_signals();
        pty_close();
        if (!hit) {
            CHECK_INT(rc, 0);
            return n;
        }
    }
}

BIDE_TEST_SECONDS(every_allocation_of_a_terminals_life, 120)
{
    CHECK(each_fault(FAULT_ALLOCATION, 0) > 10);
}

static const int errors[] = {EMFILE, EIO, EINVAL};

BIDE_TEST_EACH(errors, every_system_call_of_a_terminals_life, .seconds = 120)
{
    CHECK(each_fault(FAULT_SYSTEM, *each) > 20);
}
