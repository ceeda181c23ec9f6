/*
 * Scenario: programs are started with all kinds of options, and waited for.
 * Claim: the child has what was asked for and nothing else of ours; what cannot be started is an
 * error of the starting call; its exit is told to everybody who asks.
 */
#include "process_rig.h"

#include <sys/resource.h>

PROCESS_TEST(a_program_gets_its_arguments)
{
    bide_process *process;
    CHECK_INT(bide_process_exec(bide_argv("printf", "%s-%s", "a b", "$HOME"), &piped, &process), 0);
    CHECK(bide_process_pid(process) > 0);
    CHECK_STR(story_of(process), "a b-$HOME||0");
    CHECK_INT(bide_process_exec(bide_argv("/bin/echo", "by path"), &piped, &process), 0);
    CHECK_STR(story_of(process), "by path\n||0");
}

PROCESS_TEST(a_command_is_the_shells)
{
    CHECK_STR(story_of(start("echo one; echo two >&2; exit 3")), "one\n|two\n|3");
    CHECK_STR(story_of(start("nosuchprogram 2>/dev/null")), "||127");
}

PROCESS_TEST(an_exit_is_a_status_or_a_signal)
{
    struct bide_exit how;
    bide_process *process = start("exit 255");
    CHECK_INT(bide_process_wait(process, &how), 0);
    CHECK_INT(how.status, 255);
    CHECK_INT(how.signal, 0);
    CHECK_INT(bide_process_wait(process, NULL), 0);
    CHECK_INT(bide_process_close(process), 0);
    process = start("kill -9 $$");
    CHECK_INT(bide_process_wait(process, &how), 0);
    CHECK_INT(how.signal, SIGKILL);
    CHECK_INT(how.status, 0);
    CHECK_INT(how.dumped_core, false);
    CHECK_INT(bide_exit_code(&how), -9);
    CHECK_INT(bide_process_close(process), 0);
}

/* What cannot be started */

static void fails(const char *const *arguments, const struct bide_process_opts *opts, int rc,
                  const char *words)
{
    bide_process *process = NULL;
    int n_fds = count_fds();
    CHECK_INT(bide_process_exec(arguments, opts, &process), rc);
    CHECK_PTR(process, NULL);
    CHECK_CONTAINS(bide_error_detail(), words);
    CHECK_INT(count_fds(), n_fds);
    no_children();
}

PROCESS_TEST(what_cannot_be_started_is_an_error_at_once)
{
    struct bide_process_opts opts = piped;
    fails(bide_argv("nosuchprogram"), &piped, -ENOENT, "program nosuchprogram");
    fails(bide_argv("/no/such/program"), NULL, -ENOENT, "program /no/such/program");
    fails(bide_argv("/etc/passwd"), &piped, -EACCES, "program /etc/passwd");
    fails(bide_argv("/"), &piped, -EACCES, "program /");
    fails(bide_argv(""), &piped, -ENOENT, "");
    opts.directory = "/no/such/place";
    fails(bide_argv("true"), &opts, -ENOENT, "directory /no/such/place");
    opts.directory = "/etc/passwd";
    fails(bide_argv("true"), &opts, -ENOTDIR, "directory /etc/passwd");
    opts = piped;
    opts.errors = (struct bide_stdio){BIDE_STDIO_FD, 19999};
    fails(bide_argv("true"), &opts, -EBADF, "");
}

PROCESS_TEST(arguments_are_checked)
{
    bide_process *process;
    struct bide_process_opts opts = {.output.kind = BIDE_STDIO_OUTPUT};
    struct bide_communicated said;
    CHECK_INT(bide_process_exec(NULL, NULL, &process), -EINVAL);
    CHECK_INT(bide_process_exec(bide_argv(NULL), NULL, &process), -EINVAL);
    CHECK_INT(bide_process_exec(bide_argv("true"), NULL, NULL), -EINVAL);
    CHECK_INT(bide_process_exec(bide_argv("true"), &opts, &process), -EINVAL);
    opts = (struct bide_process_opts){.grace_seconds = -1};
    CHECK_INT(bide_process_exec(bide_argv("true"), &opts, &process), -EINVAL);
    opts = (struct bide_process_opts){.input = PIPE, .stream.linger_seconds = -1};
    CHECK_INT(bide_process_exec(bide_argv("true"), &opts, &process), -EINVAL);
    CHECK_INT(bide_process_shell(NULL, NULL, &process), -EINVAL);
    CHECK_INT(bide_process_wait(NULL, NULL), -EINVAL);
    CHECK_INT(bide_process_poll(NULL, NULL), -EINVAL);
    CHECK_INT(bide_process_signal(NULL, 0), -EINVAL);
    CHECK_INT(bide_process_pid(NULL), -EINVAL);
    CHECK_INT(bide_process_communicate(NULL, NULL, 0, 0, &said), -EINVAL);
    CHECK_PTR(bide_process_input(NULL), NULL);
    CHECK_INT(bide_process_close(NULL), 0);
    bide_communicated_free(NULL);
    process = start_with("exec sleep 1000", NULL);
    CHECK_PTR(bide_process_input(process), NULL);
    CHECK_PTR(bide_process_output(process), NULL);
    CHECK_PTR(bide_process_errors(process), NULL);
    CHECK_INT(bide_process_signal(process, -1), -EINVAL);
    CHECK_INT(bide_process_signal(process, 9999), -EINVAL);
    CHECK_INT(bide_process_communicate(process, NULL, 1, 0, &said), -EINVAL);
    CHECK_INT(bide_process_close(process), 0);
}

/* A folder for a test, with a program of the name "tool" in it that prints `says`. */
static void make_folder(char *path, const char *says, mode_t mode)
{
    char file[128];
    char *folder = mkdtemp(strcpy(path, "/tmp/bide-test-XXXXXX"));
    CHECK(folder);
    snprintf(file, sizeof file, "%s/tool", path);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    CHECK(fd >= 0);
    char script[128];
    int n = snprintf(script, sizeof script, "#!/bin/sh\necho %s\n", says);
    CHECK_INT(write(fd, script, (size_t)n), n);
    close(fd);
}

static void remove_folder(const char *path)
{
    char file[128];
    snprintf(file, sizeof file, "%s/tool", path);
    unlink(file);
    rmdir(path);
}

PROCESS_TEST(programs_are_looked_for_along_the_childs_path)
{
    char first[64], second[64], variable[512];
    make_folder(first, "first", 0600);
    make_folder(second, "second", 0700);
    snprintf(variable, sizeof variable, "PATH=/no/such:/etc/passwd:%s:%s", first, second);
    const char *environment[] = {variable, NULL};
    struct bide_process_opts opts = {.output = PIPE, .environment = environment};
    bide_process *process;
    CHECK_INT(bide_process_exec(bide_argv("tool"), &opts, &process), 0);
    CHECK_STR(story_of(process), "second\n||0");
    snprintf(variable, sizeof variable, "PATH=%s:/no/such", first);
    fails(bide_argv("tool"), &opts, -EACCES, "program tool");
    snprintf(variable, sizeof variable, "PATH=:/no/such"); /* the empty one: where it runs */
    opts.directory = second;
    CHECK_INT(bide_process_exec(bide_argv("tool"), &opts, &process), 0);
    CHECK_STR(story_of(process), "second\n||0");
    char *name = malloc(10000);
    memset(name, 'x', 9999);
    name[9999] = '\0';
    CHECK_INT(bide_process_exec(bide_argv(name), &opts, &process), -ENOENT);
    free(name);
    remove_folder(first);
    remove_folder(second);
}

PROCESS_TEST(the_environment_and_the_directory_are_as_asked_for)
{
    const char *environment[] = {"A=1", "B=two words", "PATH=/usr/bin:/bin", NULL};
    struct bide_process_opts opts = {.output = PIPE, .environment = environment};
    bide_process *process;
    CHECK_INT(bide_process_exec(bide_argv("env"), &opts, &process), 0);
    CHECK_STR(story_of(process), "A=1\nB=two words\nPATH=/usr/bin:/bin\n||0");
    opts = (struct bide_process_opts){.output = PIPE, .directory = "/usr"};
    CHECK_STR(story_of(start_with("pwd", &opts)), "/usr\n||0");
    CHECK_INT(setenv("BIDE_TEST_VARIABLE", "inherited", 1), 0);
    CHECK_STR(story_of(start("echo $BIDE_TEST_VARIABLE")), "inherited\n||0");
    unsetenv("BIDE_TEST_VARIABLE");
}

PROCESS_TEST(groups_and_sessions)
{
    bide_process *process;
    char expected[64];
    static const char command[] = "cut -d' ' -f5,6 /proc/$$/stat";
    struct bide_process_opts opts = {.output = PIPE};
    snprintf(expected, sizeof expected, "%d %d\n||0", (int)getpgid(0), (int)getsid(0));
    CHECK_STR(story_of(start_with(command, &opts)), expected);
    opts.new_group = true;
    process = start_with(command, &opts);
    snprintf(expected, sizeof expected, "%d %d\n||0", bide_process_pid(process), (int)getsid(0));
    CHECK_STR(story_of(process), expected);
    opts.new_session = true;
    process = start_with(command, &opts);
    int pid = bide_process_pid(process);
    snprintf(expected, sizeof expected, "%d %d\n||0", pid, pid);
    CHECK_STR(story_of(process), expected);
}

/* Standard input, output and error */

PROCESS_TEST(errors_may_go_where_the_output_goes)
{
    struct bide_process_opts opts = {.output = PIPE, .errors.kind = BIDE_STDIO_OUTPUT};
    CHECK_STR(story_of(start_with("echo a; echo b >&2; echo c", &opts)), "a\nb\nc\n||0");
}

PROCESS_TEST(input_and_output_may_be_nothing)
{
    struct bide_process_opts opts = {.input = NOWHERE, .output = PIPE, .errors = NOWHERE};
    CHECK_STR(story_of(start_with("cat; echo lost >&2; echo done", &opts)), "done\n||0");
    opts = (struct bide_process_opts){.output = NOWHERE, .errors = PIPE};
    CHECK_STR(story_of(start_with("echo lost; echo kept >&2", &opts)), "|kept\n|0");
}

PROCESS_TEST(descriptors_are_given)
{
    FILE *file = tmpfile();
    char text[32] = "";
    int fd = fileno(file);
    struct bide_process_opts opts = {.output = {BIDE_STDIO_FD, fd}, .errors = {BIDE_STDIO_FD, fd}};
    bide_process *process = start_with("echo out; echo err >&2", &opts);
    CHECK_INT(code_of(process), 0);
    CHECK_INT(bide_process_close(process), 0);
    CHECK_INT(pread(fd, text, sizeof text, 0), 8);
    CHECK_STR(text, "out\nerr\n");
    rewind(file);
    opts = (struct bide_process_opts){.input = {BIDE_STDIO_FD, fd}, .output = PIPE};
    CHECK_STR(story_of(start_with("cat", &opts)), "out\nerr\n||0");
    fclose(file);
}

static void save_standard(int saved[3])
{
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
}

static void restore_standard(int saved[3])
{
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
}

/* The program's own may be crossed over, and even closed, so that what is opened for the child
 * takes their places. */
PROCESS_TEST(standard_descriptors_may_be_exchanged_or_missing)
{
    int saved[3];
    int fds[2];
    char text[16] = "";
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    save_standard(saved);
    dup2(fds[1], 2);
    struct bide_process_opts opts = {
        .output = {BIDE_STDIO_FD, 2}, .errors = {BIDE_STDIO_FD, 1}, .input = NOWHERE};
    bide_process *process = start_with("echo swapped", &opts);
    int code = code_of(process);
    close(0);
    close(1);
    close(2);
    bide_process *other = start_with("cat; echo err >&2", &piped);
    struct bide_communicated said;
    int rc = bide_process_communicate(other, "fed", 3, 0, &said);
    int closed = bide_process_close(other);
    restore_standard(saved);
    CHECK_INT(code, 0);
    CHECK_INT(bide_process_close(process), 0);
    CHECK_INT(read(fds[0], text, sizeof text), 8);
    CHECK_STR(text, "swapped\n");
    CHECK_INT(rc, 0);
    CHECK_INT(closed, 0);
    CHECK_STR(said.output, "fed");
    CHECK_STR(said.errors, "err\n");
    bide_communicated_free(&said);
    close(fds[0]);
    close(fds[1]);
}

PROCESS_TEST(no_descriptor_reaches_the_child)
{
    int fds[2];
    CHECK_INT(pipe(fds), 0); /* careless: without close-on-exec */
    CHECK_INT(dup2(fds[0], 200), 200);
    struct bide_process_opts opts = {.input = PIPE, .output = PIPE, .errors = PIPE};
    bide_process *process;
    bide_process *before = start("cat");
    CHECK_INT(bide_process_exec(bide_argv("ls", "/proc/self/fd"), &opts, &process), 0);
    CHECK_STR(story_of(process), "0\n1\n2\n3\n||0"); /* 3: that very folder */
    CHECK_INT(bide_process_close(before), 0);
    close(fds[0]);
    close(fds[1]);
    close(200);
}

static void on_signal(int signo)
{
    (void)signo;
}

PROCESS_TEST(signals_in_the_child_are_as_in_a_fresh_program)
{
    struct sigaction caught = {.sa_handler = on_signal};
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct sigaction before[3];
    sigset_t all, mask;
    sigfillset(&all);
    CHECK_INT(sigaction(SIGTERM, &caught, &before[0]), 0);
    CHECK_INT(sigaction(SIGPIPE, &ignored, &before[1]), 0);
    CHECK_INT(sigaction(SIGHUP, &ignored, &before[2]), 0);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    bide_process *process = start("grep -E 'SigBlk|SigIgn' /proc/self/status");
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, &mask, &after);
    char ignored_by_child[128];
    snprintf(ignored_by_child, sizeof ignored_by_child, "SigBlk:\t%016x\nSigIgn:\t%016x\n||0", 0,
             1 << (SIGHUP - 1));
    CHECK_STR(story_of(process), ignored_by_child);
    CHECK_INT(sigismember(&after, SIGUSR1), 1); /* ours are as they were */
    sigaction(SIGTERM, &before[0], NULL);
    sigaction(SIGPIPE, &before[1], NULL);
    sigaction(SIGHUP, &before[2], NULL);
}

/* Waiting and looking */

PROCESS_TEST(ten_who_wait_agree)
{
    bide_process *process = start("read x; exit 7");
    bide_task *tasks[10];
    struct bide_exit how[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = waiting(bide_spawn(waits_for_exit, process, &how[i]));
    CHECK_INT(bide_write(bide_process_input(process), "\n", 1), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(bide_await(tasks[i]), 0);
        CHECK_INT(how[i].status, 7);
    }
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(looking_does_not_wait)
{
    struct bide_exit how = {.status = 99};
    bide_process *process = start("read x; exit 5");
    CHECK_INT(bide_process_poll(process, &how), 0);
    CHECK_INT(how.status, 99);
    CHECK_INT(bide_write_eof(bide_process_input(process)), 0);
    while (bide_process_poll(process, &how) == 0)
        turns(1);
    CHECK_INT(how.status, 5);
    CHECK_INT(bide_process_poll(process, NULL), 1);
    CHECK_INT(bide_process_signal(process, 0), -ESRCH);
    CHECK_INT(code_of(process), 5);
    CHECK_INT(bide_process_poll(process, &how), 1);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(a_cancelled_wait_leaves_the_child_alone)
{
    bide_process *process = start("read x; exit 4");
    struct bide_exit how;
    bide_task *task = waiting(bide_spawn(waits_for_exit, process, &how));
    bide_cancel(task);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_within(TICKS(1), bide_process_wait(process, &how)), -ETIMEDOUT);
    CHECK_INT(bide_process_poll(process, NULL), 0);
    CHECK_INT(bide_write_eof(bide_process_input(process)), 0);
    CHECK_INT(code_of(process), 4);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(output_is_readable_after_the_exit)
{
    bide_process *process = start("echo kept; echo too >&2");
    char *line;
    CHECK_INT(code_of(process), 0);
    CHECK_STR(line_of(process), "kept");
    CHECK_STR(line_of(process), "(end)");
    CHECK_INT(bide_read_line(bide_process_errors(process), &line), 4);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(somebody_who_keeps_the_pipe_does_not_keep_the_wait)
{
    bide_process *process = start("sleep 1000 & echo $!");
    int grandchild = atoi(line_of(process));
    CHECK_INT(code_of(process), 0);
    char byte;
    CHECK_INT(bide_within(TICKS(1), bide_read(bide_process_output(process), &byte, 1)), -ETIMEDOUT);
    CHECK_INT(kill(grandchild, SIGKILL), 0);
    CHECK_INT(bide_read(bide_process_output(process), &byte, 1), 0);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(signals_reach_the_child_until_it_ends)
{
    bide_process *process = start("trap 'echo got it' USR1; echo ready;"
                                  "while :; do read x; done");
    CHECK_STR(line_of(process), "ready");
    CHECK_INT(bide_process_signal(process, 0), 0);
    CHECK_INT(bide_process_signal(process, SIGUSR1), 0);
    CHECK_INT(bide_write(bide_process_input(process), "\n", 1), 0);
    CHECK_STR(line_of(process), "got it");
    CHECK_INT(bide_process_terminate(process), 0);
    CHECK_INT(code_of(process), -SIGTERM);
    CHECK_INT(bide_process_terminate(process), -ESRCH);
    CHECK_INT(bide_process_kill(process), -ESRCH);
    CHECK_INT(bide_process_close(process), 0);
}

/* The child is dead, but its end was not collected: a signal would be lost without a word. */
PROCESS_TEST(signals_after_an_end_that_nobody_has_seen_yet_are_errors)
{
    bide_process *process = start("exit 0");
    wait_for_death(bide_process_pid(process));
    CHECK_INT(bide_process_kill(process), -ESRCH);
    CHECK_INT(code_of(process), 0);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(a_group_gets_its_signals_together)
{
    struct bide_process_opts opts = {.output = PIPE, .new_group = true};
    bide_process *process = start_with("sleep 1000 & echo $!; wait", &opts);
    int grandchild = atoi(line_of(process));
    CHECK(lives(grandchild));
    CHECK_INT(bide_process_kill(process), 0);
    CHECK_INT(code_of(process), -SIGKILL);
    CHECK_STR(line_of(process), "(end)"); /* the other one is gone as well */
    CHECK_INT(bide_process_close(process), 0);
}

/* Children of the program's own */

static volatile sig_atomic_t n_sigchld;

static void on_child(int signo)
{
    (void)signo;
    n_sigchld++;
}

PROCESS_TEST(other_children_and_sigchld_are_left_alone)
{
    struct sigaction counted = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    struct sigaction before, now;
    CHECK_INT(sigaction(SIGCHLD, &counted, &before), 0);
    pid_t own = fork();
    if (own == 0)
        _exit(9);
    bide_process *process = start("exit 1");
    CHECK_INT(code_of(process), 1);
    CHECK_INT(bide_process_close(process), 0);
    int status;
    CHECK_INT(waitpid(own, &status, 0), own);
    CHECK_INT(WEXITSTATUS(status), 9);
    CHECK(n_sigchld > 0);
    CHECK_INT(sigaction(SIGCHLD, &before, &now), 0);
    CHECK(now.sa_handler == on_child);
}

PROCESS_TEST(a_status_that_somebody_else_took_is_said_to_be_lost)
{
    bide_process *process = start("read x; exit 3");
    CHECK_INT(bide_write_eof(bide_process_input(process)), 0);
    CHECK_INT(waitpid(bide_process_pid(process), NULL, 0), bide_process_pid(process));
    CHECK_INT(bide_process_wait(process, NULL), -ECHILD);
    CHECK_INT(bide_process_poll(process, NULL), -ECHILD);
    CHECK_INT(bide_process_kill(process), -ESRCH);
    CHECK_INT(bide_process_close(process), -ECHILD);
}

PROCESS_TEST(a_program_that_ignores_sigchld_loses_statuses_and_nothing_else)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct sigaction before;
    CHECK_INT(sigaction(SIGCHLD, &ignored, &before), 0);
    bide_process *process = start("echo said");
    CHECK_STR(line_of(process), "said");
    CHECK_INT(bide_process_wait(process, NULL), -ECHILD);
    CHECK_INT(bide_process_close(process), -ECHILD);
    fails(bide_argv("nosuchprogram"), NULL, -ENOENT, "program");
    sigaction(SIGCHLD, &before, NULL);
}
