/*
 * The numbered case of docs/semantics.md about child processes. Claim: it holds on the engines that
 * have a kernel below them.
 */
#include <bide/process.h>

#include <signal.h>

#include "../unit/process_rig.h"

static bide_async(case_waits, (bide_process *, process), (int *, ret_code))
{
    struct bide_exit how;
    int rc = bide_process_wait(process, &how);
    *ret_code = bide_exit_code(&how);
    return rc;
}

static bide_process *case_start(const char *command)
{
    const struct bide_process_opts opts = {.input.kind = BIDE_STDIO_PIPE,
                                           .output.kind = BIDE_STDIO_PIPE};
    bide_process *process;
    CHECK_INT(bide_process_shell(command, &opts, &process), 0);
    return process;
}

PROCESS_TEST(case_40_output_is_readable_after_the_exit)
{
    struct bide_exit how;
    char *line;
    bide_process *process = case_start("echo left behind");
    CHECK_INT(bide_process_wait(process, &how), 0);
    CHECK_INT(bide_read_line(bide_process_output(process), &line), 12);
    CHECK_STR(line, "left behind");
    CHECK_INT(bide_read_line(bide_process_output(process), &line), 0);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(case_40_ten_waits_agree_on_a_death_by_signal_9)
{
    bide_process *process = case_start("read x");
    bide_task *tasks[10];
    int codes[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = bide_spawn(case_waits, process, &codes[i]);
    turns(2);
    CHECK_INT(bide_process_kill(process), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(bide_await(tasks[i]), 0);
        CHECK_INT(codes[i], -SIGKILL);
    }
    CHECK_INT(bide_process_signal(process, SIGTERM), -ESRCH);
    CHECK_INT(bide_process_kill(process), -ESRCH);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(case_40_communicate_ignores_a_broken_pipe)
{
    static char more_than_a_pipe_holds[200 * 1024];
    struct bide_communicated communicated;
    bide_process *process = case_start("exec <&-; echo no, thanks");
    CHECK_INT(bide_process_communicate(process, more_than_a_pipe_holds,
                                       sizeof more_than_a_pipe_holds, 0, &communicated),
              0);
    CHECK_STR(communicated.output, "no, thanks\n");
    CHECK_INT(bide_exit_code(&communicated.exit), 0);
    bide_communicated_free(&communicated);
    CHECK_INT(bide_process_close(process), 0);
}
