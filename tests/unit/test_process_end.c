/*
 * Scenario: a child is given up while it runs: closed, its owner cancelled or failed, the loop
 * ended. Claim: on every way it is asked to end, then killed, and reaped; nothing of it is left.
 */
#include "process_rig.h"

#include <bide/scoped.h>

/* Says "ready" and then lives until it is told otherwise; `stubborn`: only SIGKILL helps. */
static const char patient[] = "echo ready; exec sleep 1000";
static const char stubborn[] = "trap '' TERM; echo ready; while :; do sleep 1000; done";

static bide_process *started(const char *command, double grace_seconds)
{
    struct bide_process_opts opts = piped;
    opts.grace_seconds = grace_seconds;
    opts.new_group = command == stubborn; /* its sleep goes with it */
    bide_process *process = start_with(command, &opts);
    CHECK_STR(line_of(process), "ready");
    return process;
}

PROCESS_TEST(closing_asks_the_child_to_end)
{
    struct bide_exit how;
    bide_process *process = started(patient, 1000);
    int pid = bide_process_pid(process);
    bide_task *task = waiting(bide_spawn(waits_for_exit, process, &how));
    CHECK_INT(bide_process_close(process), 0);
    CHECK(!lives(pid));
    no_children();
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_exit_code(&how), -SIGTERM);
}

PROCESS_TEST(closing_kills_after_the_grace_time)
{
    struct bide_exit how;
    bide_process *process = started(stubborn, TICKS(4));
    bide_task *task = waiting(bide_spawn(waits_for_exit, process, &how));
    double before = bide_time();
    CHECK_INT(bide_process_close(process), 0);
    CHECK(bide_time() - before >= TICKS(4));
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_exit_code(&how), -SIGKILL);
}

PROCESS_TEST(a_child_may_clean_up_within_the_grace_time)
{
    struct bide_exit how;
    bide_process *process = start("trap 'exit 12' TERM; echo ready; while :; do read x; done");
    CHECK_STR(line_of(process), "ready");
    bide_task *task = waiting(bide_spawn(waits_for_exit, process, &how));
    CHECK_INT(bide_process_close(process), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_exit_code(&how), 12);
}

PROCESS_TEST(closing_one_that_has_ended_does_not_wait)
{
    bide_process *process = start("exit 0");
    CHECK_INT(code_of(process), 0);
    CHECK_INT(bide_process_close(process), 0);
    process = start("exit 0"); /* and one of which nobody knows it */
    wait_for_death(bide_process_pid(process));
    CHECK_INT(bide_process_close(process), 0);
}

/* Cancelled at each suspension point of an owner that releases */

static bide_async(owns, (const char *, command), (int *, ret_pid), (int, point))
{
    bide_process *process = NULL;
    struct bide_exit how;
    struct bide_communicated said;
    char *line;
    int rc;
    struct bide_process_opts opts = piped;
    opts.grace_seconds = TICKS(2);
    opts.new_group = true;
    bide_with (rc, bide_process_shell(command, &opts, &process), bide_process_release, process) {
        *ret_pid = bide_process_pid(process);
        rc = bide_read_line(bide_process_output(process), &line);
        if (rc < 0)
            return rc;
        static char much[MIB];
        switch (point) {
        case 0:
            rc = bide_process_wait(process, &how);
            break;
        case 1:
            rc = bide_read_line(bide_process_output(process), &line);
            break;
        case 2:
            rc = bide_write(bide_process_input(process), much, sizeof much);
            break;
        case 3:
            rc = bide_process_communicate(process, much, sizeof much, 0, &said);
            break;
        case 4:
            rc = bide_sleep(INFINITY);
            break;
        }
    }
    return rc;
}

PROCESS_TEST(no_child_survives_its_cancelled_owner)
{
    const char *commands[] = {patient, stubborn};
    for (int i = 0; i < 2; i++) {
        for (int point = 0; point < 5; point++) {
            int pid = 0;
            bide_task *owner = bide_spawn(owns, commands[i], &pid, point);
            while (pid == 0)
                turns(1);
            for (int n = 0; n < 30; n++) /* until it is where it waits, or earlier */
                CHECK_INT(bide_sleep(TICKS(0.1)), 0);
            bide_cancel(owner);
            CHECK_INT(bide_await(owner), -ECANCELED);
            CHECK(!lives(pid));
            no_children();
        }
    }
}

PROCESS_TEST(cancelled_right_after_its_start)
{
    for (int n = 0; n < 8; n++) {
        int pid = 0;
        bide_task *owner = bide_spawn(owns, patient, &pid, 0);
        turns(n);
        bide_cancel(owner);
        CHECK_INT(bide_await(owner), -ECANCELED);
        no_children();
    }
}

PROCESS_TEST(none_survives_a_group_that_failed)
{
    bide_group *group;
    int pids[3] = {0};
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_group_spawn(group, owns, patient, &pids[i], i), 0);
    while (!pids[0] || !pids[1] || !pids[2])
        turns(1);
    CHECK_INT(bide_group_close(group, -EIO), -EIO);
    no_children();
}

PROCESS_TEST(a_time_limit_around_the_end_kills)
{
    bide_process *process = started(stubborn, 1000);
    CHECK_INT(bide_within(TICKS(2), bide_process_close(process)), 0);
    no_children();
}

PROCESS_TEST(a_cancel_during_the_end_kills)
{
    bide_process *process = started(stubborn, 1000);
    bide_task *closer = waiting(bide_spawn(closes_process, process));
    bide_cancel(closer);
    CHECK_INT(bide_await(closer), 0);
    no_children();
}

static bide_async(closes_although_cancelled, (bide_process *, process))
{
    CHECK_INT(bide_sleep(INFINITY), -ECANCELED);
    return bide_process_close(process);
}

PROCESS_TEST(an_earlier_cancel_leaves_the_child_its_grace)
{
    bide_process *process = start(
        "trap 'sleep 0.05; exit 12' TERM; echo ready; while :; do read x; done");
    struct bide_exit how;
    CHECK_STR(line_of(process), "ready");
    bide_task *waiter = waiting(bide_spawn(waits_for_exit, process, &how));
    bide_task *closer = waiting(bide_spawn(closes_although_cancelled, process));
    bide_cancel(closer);
    CHECK_INT(bide_await(closer), 0);
    CHECK_INT(bide_await(waiter), 0);
    CHECK_INT(bide_exit_code(&how), 12);
}

PROCESS_TEST(others_calls_on_the_streams_end)
{
    bide_process *process = started(patient, 1000);
    static char much[MIB];
    char *line;
    bide_task *reader = waiting(bide_spawn(reads_line, bide_process_output(process), &line));
    bide_task *writer = waiting(bide_spawn(writes, bide_process_input(process), much, sizeof much));
    CHECK_INT(bide_process_close(process), 0);
    CHECK_INT(bide_await(reader), 0); /* the child's end came first */
    CHECK_INT(bide_await(writer), -ECONNABORTED);
    process = start("sleep 1000 & echo $!");
    int grandchild = atoi(line_of(process));
    reader = waiting(bide_spawn(reads_line, bide_process_output(process), &line));
    CHECK_INT(bide_process_close(process), 0);
    CHECK_INT(bide_await(reader), -ECONNABORTED);
    CHECK_INT(kill(grandchild, SIGKILL), 0);
}

PROCESS_TEST(what_is_left_of_a_group_ends_with_it)
{
    struct bide_process_opts opts = {.output = PIPE, .new_group = true};
    bide_process *process = start_with("sleep 1000 & echo $!", &opts);
    int grandchild = atoi(line_of(process));
    CHECK_INT(code_of(process), 0);
    CHECK(lives(grandchild));
    CHECK_INT(bide_process_signal(process, SIGTERM), -ESRCH);
    CHECK_INT(bide_process_close(process), 0);
    while (lives(grandchild))
        turns(1);
}

/* Without a task */

static bide_process *left;

static int closes_left(void *data)
{
    (void)data;
    CHECK_INT(bide_process_close(left), 0); /* does not wait */
    return 0;
}

static bide_async(leaves, (const char *, command))
{
    left = started(command, TICKS(2));
    return 0;
}

static bide_loop *loop_with_left(const char *command)
{
    bide_loop *loop = rig_loop();
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}), leaves, command);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    return loop;
}

BIDE_TEST(closing_outside_tasks_goes_on_in_the_background)
{
    const char *commands[] = {patient, stubborn};
    for (int i = 0; i < 2; i++) {
        int n_fds = count_fds();
        bide_loop *loop = loop_with_left(commands[i]);
        int pid = bide_process_pid(left);
        struct bide_task_opts opts = {.loop = loop};
        CHECK_INT(bide_loop_call_soon(loop, closes_left, NULL, NULL, NULL), 0);
        while (lives(pid))
            CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, sleeps, 0)), 0);
        rig_close(loop);
        no_children();
        loop = loop_with_left(commands[i]);
        CHECK_INT(closes_left(NULL), 0);
        rig_close(loop); /* waits for it */
        no_children();
        CHECK_INT(count_fds(), n_fds);
    }
}

BIDE_TEST(a_loop_that_ends_takes_its_children_along)
{
    int n_fds = count_fds();
    struct bide_exit how;
    bide_loop *loop = loop_with_left(stubborn);
    int pid = bide_process_pid(left);
    rig_close(loop);
    CHECK(!lives(pid));
    no_children();
    CHECK_INT(count_fds(), n_fds);
    CHECK_INT(bide_process_poll(left, &how), -ECONNABORTED);
    CHECK_INT(bide_process_kill(left), -ESRCH);
    CHECK_INT(bide_process_close(left), -ECONNABORTED);
}

static bide_async(leaves_and_waits)
{
    left = started(patient, 1000);
    bide_detach(bide_spawn(closes_process, left));
    return 0;
}

BIDE_TEST(a_child_that_is_being_closed_ends_with_the_loop)
{
    int n_fds = count_fds();
    CHECK_INT(bide_run_with(NULL, leaves_and_waits), 0);
    no_children();
    CHECK_INT(count_fds(), n_fds);
}

/* A child of ours by fork() has the parent's children only by name. */
PROCESS_TEST(a_forked_program_does_not_touch_them)
{
    bide_process *process = started(patient, 1000);
    pid_t forked = fork();
    if (forked == 0) {
        bide_after_fork();
        _exit(bide_process_kill(process) == -ESRCH ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(forked, &status, 0), forked);
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK(lives(bide_process_pid(process)));
    CHECK_INT(bide_process_close(process), 0);
}

static int returns_early(int *ret_pid)
{
    bide_process *process;
    int rc = bide_process_shell(patient, &piped, &process);
    if (rc < 0)
        return rc;
    bide_defer(bide_process_release, process);
    *ret_pid = bide_process_pid(process);
    return -EPROTO;
}

PROCESS_TEST(a_deferred_release_ends_it)
{
    int pid = 0;
    CHECK_INT(returns_early(&pid), -EPROTO);
    CHECK(pid > 0);
    no_children();
}
