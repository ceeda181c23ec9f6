/*
 * Scenario: a program in a process of its own has changed its terminal's mode, with a line being
 * edited, and ends or stops: by exit(), by each signal that ends a process, by a crash, by an
 * overflowing stack, by Ctrl-Z; or another process group has the terminal meanwhile.
 * Claim: afterwards the terminal is as it was and the process has ended as it would have without
 * us; after a stop the mode is set again and the line drawn; who is in the background, and a child
 * after fork, touch nothing.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/watched.h"
#include "terminal_rig.h"

/* The line is shown: from here on the mode is to be put back. */
static bide_terminal *edits(void)
{
    bide_terminal *terminal = terminal_open_with(
        (struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK, .escape_seconds = 10});
    CHECK(!pty_is_as_before());
    bide_detach(waiting(bide_spawn(reads_entered, terminal, "> ")));
    sees("> ");
    return terminal;
}

/* Ways to end */

static bide_async(exits)
{
    edits();
    exit(3);
}

static bide_async(kills_itself, (int, signo))
{
    edits();
    kill(getpid(), signo);
    return bide_sleep(30); /* whoever is killed does not come here */
}

static bide_async(faults)
{
    edits();
    char *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)nothing = 1;
    return 0;
}

static bide_async(aborts)
{
    edits();
    abort();
}

static bide_async(recurses, (int, depth))
{
    volatile char frame[256];
    frame[0] = (char)depth;
    int below = depth < INT32_MAX ? recurses(depth + 1) : 0;
    return below + frame[0];
}

static bide_async(overflows)
{
    edits();
    return recurses(0);
}

static void run_exits(void *unused)
{
    (void)unused;
    bide_run_with(NULL, exits);
}

static void run_kills(void *signo)
{
    bide_run_with(NULL, kills_itself, *(int *)signo);
}

static void run_faults(void *unused)
{
    (void)unused;
    bide_run_with(NULL, faults);
}

static void run_aborts(void *unused)
{
    (void)unused;
    bide_run_with(NULL, aborts);
}

static void run_overflows(void *unused)
{
    (void)unused;
    bide_run_with(NULL, overflows);
}

static char output[16 * 1024];

static int ends(void (*body)(void *), void *argument)
{
    pty_open(80);
    int status = test_child(body, argument, output, sizeof output);
    CHECK(pty_is_as_before());
    sees_at_last("\x1b[?2004l\r\n"); /* the prompt of the shell has a row of its own */
    pty_close();
    return status;
}

BIDE_TEST(an_exit)
{
    int status = ends(run_exits, NULL);
    CHECK(WIFEXITED(status));
    if (!BIDE__SANITIZED) /* or the status tells of what was not freed */
        CHECK_INT(WEXITSTATUS(status), 3);
}

static const int enders[] = {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGPIPE, SIGALRM};

BIDE_TEST_EACH(enders, a_signal_that_ends_a_process)
{
    int signo = *each;
    int status = ends(run_kills, &signo);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), signo);
}

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

BIDE_TEST_EACH(crashes, a_crash_signal_that_somebody_sends)
{
    int signo = *each;
    int status = ends(run_kills, &signo);
    CHECK(status != 0);
    if (!BIDE__SANITIZED)
        CHECK_INT(WTERMSIG(status), signo);
}

BIDE_TEST(a_crash)
{
    int status = ends(run_faults, NULL);
    CHECK(status != 0);
    if (!BIDE__SANITIZED)
        CHECK_INT(WTERMSIG(status), SIGSEGV);
}

BIDE_TEST(an_abort)
{
    int status = ends(run_aborts, NULL);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
}

BIDE_TEST(an_overflow_is_reported_all_the_same)
{
    int status = ends(run_overflows, NULL);
    CHECK(status != 0);
    if (BIDE__SANITIZED)
        return;
    CHECK_INT(WTERMSIG(status), SIGSEGV);
    CHECK_CONTAINS(output, "bide: stack overflow in task (unnamed), coroutine overflows");
}

/* Handlers of the program's own */

static volatile int n_mended;
static char *guarded;

static void mends(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
    n_mended++;
    mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

STREAM_TEST(a_fault_that_the_program_mends_leaves_the_mode_as_it_is)
{
    if (BIDE__SANITIZED)
        SKIP("sanitizers have handlers of their own");
    struct sigaction own = {.sa_sigaction = mends, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK_INT(sigaction(SIGSEGV, &own, NULL), 0);
    guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    *(volatile char *)guarded = 1;
    CHECK_INT(n_mended, 1);
    CHECK(!pty_is_as_before());
    terminal_close(terminal);
    munmap(guarded, 4096);
}

static int ends_by_itself(void *terminal)
{
    (void)terminal;
    note("t");
    return 0;
}

STREAM_TEST(a_signal_that_the_program_handles_is_the_programs)
{
    bide_loop *loop = bide_loop_current();
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGTERM, ends_by_itself, NULL, NULL), 0);
    raise(SIGTERM);
    turns(5);
    CHECK_NOTES("t");
    CHECK(!pty_is_as_before());
    terminal_close(terminal);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGTERM), 1);
}

static void run_late_signal(void *unused)
{
    (void)unused;
    raise(SIGTERM);
}

/* What was there when the program's handler was set comes back with its end: ours, which then has
 * no terminal any more, and does what the default would. */
STREAM_TEST(a_handler_that_outlived_its_terminal_is_the_default)
{
    bide_loop *loop = bide_loop_current();
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGTERM, ends_by_itself, NULL, NULL), 0);
    terminal_close(terminal);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGTERM), 1);
    int status = test_child(run_late_signal, NULL, NULL, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGTERM);
    terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    terminal_close(terminal);
}

/* Children */

static void exits_at_once(void *unused)
{
    (void)unused;
    exit(0);
}

static void exits_without_its_loop(void *unused)
{
    (void)unused;
    bide_after_fork();
    exit(0);
}

static void is_killed(void *unused)
{
    (void)unused;
    raise(SIGTERM);
}

STREAM_TEST(a_child_after_fork_leaves_the_terminal_alone)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK(WIFEXITED(test_child(exits_at_once, NULL, NULL, 0)));
    CHECK(!pty_is_as_before());
    CHECK(WIFEXITED(test_child(exits_without_its_loop, NULL, NULL, 0)));
    CHECK(!pty_is_as_before());
    CHECK_INT(WTERMSIG(test_child(is_killed, NULL, NULL, 0)), SIGTERM);
    CHECK(!pty_is_as_before());
    terminal_close(terminal);
}

/*
 * Stopping and the background. The test is the one who sits at the terminal; a child of it is the
 * shell, which leads the session; the program is the shell's child, in a process group of its own.
 */

enum step { EDITING = 'e', STOPPED = 's', ENDED = 'x', REFUSED = 'r' };

static int to_test[2], to_shell[2];

static void say(enum step step)
{
    char byte = (char)step;
    CHECK_INT(write(to_test[1], &byte, 1), 1);
}

static void hear(int fd, enum step step)
{
    char byte = 0;
    ssize_t n = read(fd, &byte, 1);
    if (n != 1 || byte != (char)step)
        FAIL("heard %d, expected %c", byte, step);
}

static bide_async(program)
{
    bide_terminal *terminal = terminal_open_with(
        (struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK, .escape_seconds = 10});
    char *line;
    say(EDITING);
    int rc = bide_terminal_read_line(terminal, "> ", &line);
    CHECK_INT(rc, 6);
    CHECK_STR(line, "abcde");
    return bide_terminal_close(terminal);
}

static void put_in_foreground(pid_t group)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTTOU);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    CHECK_INT(tcsetpgrp(pty.slave, group), 0);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void shell(void)
{
    int status;
    CHECK(setsid() > 0);
    CHECK_INT(ioctl(pty.slave, TIOCSCTTY, 0), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        put_in_foreground(getpid());
        exit(bide_run_with(NULL, program));
    }
    setpgid(pid, pid);
    for (;;) {
        CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
        put_in_foreground(getpid());
        if (!WIFSTOPPED(status))
            break;
        say(STOPPED);
        hear(to_shell[0], EDITING);
        put_in_foreground(pid);
        CHECK_INT(kill(-pid, SIGCONT), 0);
    }
    CHECK_INT(status, 0);
    say(ENDED);
}

static pid_t start_shell(void)
{
    pty_open(80);
    CHECK_INT(pipe(to_test), 0);
    CHECK_INT(pipe(to_shell), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody */
        shell();
        _exit(0);
    }
    close(to_test[1]);
    close(to_shell[0]);
    hear(to_test[0], EDITING);
    sees_at_last("> ");
    return pid;
}

static void end_shell(pid_t pid)
{
    int status;
    hear(to_test[0], ENDED);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    close(to_test[0]);
    close(to_shell[1]);
    pty_close();
}

BIDE_TEST(a_stop_gives_the_terminal_back_and_continuing_takes_it_again)
{
    pid_t pid = start_shell();
    types("abc");
    sees_at_last("> abc");
    for (int round = 0; round < 3; round++) {
        types("\x1a");
        hear(to_test[0], STOPPED);
        CHECK(pty_is_as_before());
        sees_at_last("\x1b[?2004l\r\n");
        CHECK_INT(write(to_shell[1], "e", 1), 1);
        sees_at_last("> abc\x1b[J");
        CHECK(!pty_is_as_before());
    }
    types("de\r");
    end_shell(pid);
}

/* Stopped without being asked, so that nothing could be put back: continuing sets the mode that
 * somebody else has changed. */
BIDE_TEST(continuing_sets_the_mode_again_whatever_stopped_the_process)
{
    pid_t pid = start_shell();
    pid_t group = tcgetpgrp(pty.master);
    types("abc");
    sees_at_last("> abc");
    CHECK_INT(kill(group, SIGSTOP), 0);
    hear(to_test[0], STOPPED);
    CHECK_INT(tcsetattr(pty.slave, TCSANOW, &pty.before), 0);
    CHECK_INT(write(to_shell[1], "e", 1), 1);
    sees_at_last("> abc\x1b[J");
    CHECK(!pty_is_as_before());
    types("de\r");
    end_shell(pid);
}
