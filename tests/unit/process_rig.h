/*
 * What the tests of child processes share.
 *
 * Invariant: a test that leaves a child behind, dead or alive, or a descriptor, fails.
 */
#ifndef BIDE_TEST_PROCESS_RIG_H
#define BIDE_TEST_PROCESS_RIG_H

#include "stream_rig.h"

#include <bide/process.h>

#include <signal.h>
#include <sys/wait.h>

#define PIPE \
    { \
        BIDE_STDIO_PIPE, 0 \
    }
#define NOWHERE \
    { \
        BIDE_STDIO_NULL, 0 \
    }

static const struct bide_process_opts piped = {.input = PIPE, .output = PIPE, .errors = PIPE};

/* There are no children, also no zombies. */
static RIG_UNUSED void no_children(void)
{
    CHECK_INT(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    CHECK_INT(errno, ECHILD);
}

/* A test whose body is a task, and that must leave nothing behind. */
#define PROCESS_TEST(name) PROCESS_TEST_SECONDS(name, 0)
#define PROCESS_TEST_SECONDS(name, seconds) \
    static void with_processes_##name(void); \
    static bide_async(process_main_##name) \
    { \
        bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL); \
        with_processes_##name(); \
        return 0; \
    } \
    BIDE_TEST_SECONDS(name, seconds) \
    { \
        int n_fds = count_fds(); \
        CHECK_INT(bide_run_with(NULL, process_main_##name), 0); \
        CHECK_INT(count_fds(), n_fds); \
        no_children(); \
        rig_end(); \
    } \
    static void with_processes_##name(void)

static RIG_UNUSED bide_process *start_with(const char *command,
                                           const struct bide_process_opts *opts)
{
    bide_process *process = NULL;
    CHECK_INT(bide_process_shell(command, opts, &process), 0);
    return process;
}

static RIG_UNUSED bide_process *start(const char *command)
{
    return start_with(command, &piped);
}

/* The next line of its output. */
static RIG_UNUSED const char *line_of(bide_process *process)
{
    char *line = NULL;
    int rc = bide_read_line(bide_process_output(process), &line);
    if (rc < 0)
        FAIL("no line: %s", bide_strerror(rc));
    return rc > 0 ? line : "(end)";
}

/* Waits, and returns the exit as one number. */
static RIG_UNUSED int code_of(bide_process *process)
{
    struct bide_exit how;
    CHECK_INT(bide_process_wait(process, &how), 0);
    return bide_exit_code(&how);
}

/* All that it writes, and its exit, in one text. The child is closed. */
static RIG_UNUSED const char *story_of(bide_process *process)
{
    static char text[8192];
    struct bide_communicated said;
    CHECK_INT(bide_process_communicate(process, NULL, 0, 0, &said), 0);
    CHECK_INT(bide_process_close(process), 0);
    snprintf(text, sizeof text, "%s|%s|%d", said.output, said.errors, bide_exit_code(&said.exit));
    bide_communicated_free(&said);
    return text;
}

static RIG_UNUSED bide_async(waits_for_exit, (bide_process *, process), (struct bide_exit *, how))
{
    return bide_process_wait(process, how);
}

static RIG_UNUSED bide_async(closes_process, (bide_process *, process))
{
    return bide_process_close(process);
}

/* Whether a process of this number exists and is no zombie. */
static RIG_UNUSED bool lives(int pid)
{
    char path[64];
    char status[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(status, 1, sizeof status - 1, file);
    fclose(file);
    status[n] = '\0';
    const char *after_name = strrchr(status, ')');
    return after_name && after_name[2] != 'Z' && after_name[2] != 'X';
}

/* Until a child of ours has ended, without collecting its end and without a turn of the loop. */
static RIG_UNUSED void wait_for_death(int pid)
{
    siginfo_t info;
    CHECK_INT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

#endif
