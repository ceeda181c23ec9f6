/*
 * Scenario: tasks that do not end although the loop that closes has cancelled them: in a shield, in
 * a join of such a one, in their turns, on a small stack. Claim: after cleanup_seconds they are
 * reported with what they wait for and a backtrace that names their frames, the loop closes, and
 * who waited for them from another thread is told.
 */
#include <sys/wait.h>

#include "task_rig.h"

/* Where the frames of the stuck task return to: what a backtrace consists of. */
static void *frames[2];

static __attribute__((noinline)) int stuck_inner(void)
{
    frames[0] = __builtin_return_address(0);
    int rc = bide_shielded(INFINITY, bide_sleep(INFINITY));
    return rc < 0 ? rc : rc + 1; /* no tail call */
}

static __attribute__((noinline)) int stuck_outer(void)
{
    frames[1] = __builtin_return_address(0);
    int rc = stuck_inner();
    return rc < 0 ? rc : rc + 1;
}

static bide_async(stuck)
{
    return stuck_outer();
}

static bide_task *joined; /* whose handle the lost frame would have taken along */

static bide_async(joins_stuck)
{
    struct bide_task_opts opts = {.name = "inner"};
    joined = bide_spawn_with(&opts, stuck);
    return bide_await(joined);
}

static bide_async(keeps_its_turn)
{
    for (;;)
        (void)!bide_shielded(INFINITY, bide_sleep(0));
    return 0;
}

static bide_async(deaf)
{
    for (;;)
        (void)!bide_sleep(1);
    return 0;
}

static const struct bide_loop_opts brief = {.cleanup_seconds = 0.02};

static bide_loop *brief_loop(void)
{
    return rig_loop_with(&brief);
}

static void run_turns(bide_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
    }
}

#define STUCK "task does not end although it was cancelled; it waits for: "

/* What the child wrote at its end: the frames, to be found in the backtrace above. */
static void print_frames(void)
{
    printf("frames [%p] [%p]\n", frames[0], frames[1]);
}

static void check_backtrace(char *output)
{
    char frame[2][32];
    char *at = strstr(output, "frames ");
    CHECK(at);
    CHECK_INT(sscanf(at, "frames %31s %31s", frame[0], frame[1]), 2);
    *at = '\0';
    CHECK_CONTAINS(output, frame[0]);
    CHECK_CONTAINS(strstr(output, frame[0]), frame[1]); /* further out, so further down */
}

static void closes_with_stuck_task(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "stuck"};
    bide_task *task = bide_spawn_with(&opts, stuck);
    run_turns(loop, 1);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_STR(take_report(), STUCK "sleep|0||stuck|stuck|closes_with_stuck_task");
    rig_end();
    CHECK(bide_task_cancelled(task));
    CHECK_PTR(bide_loop_current(), NULL);
    bide_detach(task);
    CHECK_INT(bide_run_with(NULL, returns, 3), 3);
    print_frames();
}

/* Shows what the child printed if it fails. */
static void check_child(void (*body)(void *))
{
    char output[8192];
    int status = test_child(body, NULL, output, sizeof output);
    if (status != 0)
        fputs(output, stdout);
    CHECK_INT(status, 0);
}

BIDE_TEST(task_in_a_shield_is_reported_with_its_backtrace)
{
    char output[8192];
    CHECK_INT(test_child(closes_with_stuck_task, NULL, output, sizeof output), 0);
    check_backtrace(output);
}

static void closes_with_join(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "outer"};
    bide_task *task = bide_spawn_with(&opts, joins_stuck);
    run_turns(loop, 2);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_STR(take_report(), STUCK "await|0||outer|joins_stuck|closes_with_join");
    CHECK_STR(take_report(), STUCK "sleep|0||inner|stuck|joins_stuck");
    rig_end();
    bide_detach(task);
    bide_detach(joined);
}

BIDE_TEST(join_of_a_stuck_task_is_reported_too)
{
    check_child(closes_with_join);
}

static void closes_with_busy_tasks(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "busy"};
    bide_detach(bide_spawn_with(&opts, keeps_its_turn));
    opts.name = "deaf";
    bide_detach(bide_spawn_with(&opts, deaf));
    run_turns(loop, 1);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_CONTAINS(take_report(), "task goes on in spite of being cancelled|0||deaf|deaf|");
    const char *first = take_report();
    CHECK_CONTAINS(first, STUCK);
    CHECK_CONTAINS(first, "busy|keeps_its_turn|");
    CHECK_STR(take_report(), STUCK "pause: ignores its cancel|0||deaf|deaf|closes_with_busy_tasks");
    rig_end();
}

BIDE_TEST(task_that_keeps_running_is_reported, .seeds_max = 20)
{
    check_child(closes_with_busy_tasks);
}

static void closes_with_small_stack(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "small", .stack_size = 16 * 1024};
    bide_detach(bide_spawn_with(&opts, stuck));
    run_turns(loop, 1);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_STR(take_report(), STUCK "sleep|0||small|stuck|closes_with_small_stack");
    rig_end();
}

BIDE_TEST(small_stack_survives_the_report)
{
    check_child(closes_with_small_stack);
}

static int nothing(void *data)
{
    (void)data;
    return 0;
}

static void note_drop(void *data)
{
    note(data);
}

static void closes_with_everything(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    bide_remote *remote = bide_loop_remote(loop);
    bide_remote *task = bide_spawn_threadsafe(remote, stuck);
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    char drop[] = "d";
    CHECK_INT(bide_loop_call_later(loop, 100, nothing, drop, note_drop, NULL), 0);
    run_turns(loop, 2);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_STR(take_report(), STUCK "sleep|0||Task-2|stuck|closes_with_everything");
    rig_end();
    CHECK_NOTES("d");
    int result = 0;
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    CHECK_INT(result, -ECANCELED);
    CHECK(bide_task_cancelled(future));
    bide_promise_free(promise);
    bide_detach(future);
    bide_remote_unref(task);
    bide_remote_unref(remote);
}

BIDE_TEST(all_else_is_dropped_and_told)
{
    check_child(closes_with_everything);
}

static bide_async(holds_much)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, stuck), 0);
    return bide_group_close(group, bide_within(10, stuck()));
}

static void closes_with_open_scopes(void *unused)
{
    (void)unused;
    bide_loop *loop = brief_loop();
    struct bide_task_opts opts = {.loop = loop, .name = "parent"};
    bide_detach(bide_spawn_with(&opts, holds_much));
    run_turns(loop, 2);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_CONTAINS(take_report(), STUCK "sleep|0||parent|");
    CHECK_CONTAINS(take_report(), STUCK "sleep|0||Task-2|stuck|holds_much");
    rig_end(); /* that its scopes are open is no news */
}

BIDE_TEST(stuck_task_is_not_blamed_for_its_open_scopes)
{
    check_child(closes_with_open_scopes);
}

static bide_async(main_leaves_stuck)
{
    bide_detach(bide_spawn(stuck));
    turns(1);
    return 2;
}

static void runs_and_leaves_stuck(void *unused)
{
    (void)unused;
    CHECK_INT(bide_run_with(&brief, main_leaves_stuck), 2);
    print_frames();
}

BIDE_TEST(run_ends_in_spite_of_a_stuck_task)
{
    char output[8192];
    CHECK_INT(test_child(runs_and_leaves_stuck, NULL, output, sizeof output), 0);
    CHECK_CONTAINS(output, "bide: " STUCK "sleep: Task-2 (stuck, spawned by main_leaves_stuck at ");
    check_backtrace(output);
}
