/*
 * Scenario: done callbacks on tasks and futures, added before and after the end, removed by
 * themselves, by each other and by their drops. Claim: they never run inline, run in the order in
 * which callbacks and waiters were added, and drop their data exactly once.
 */
#include "task_rig.h"

struct entry {
    const char *name;
    bide_task *task;
    int n_drops;
    void (*drop_act)(struct entry *entry);
};

static struct entry *removed_by_drop;

static void on_done(bide_task *task, void *data)
{
    struct entry *entry = data;
    CHECK_PTR(task, entry->task);
    CHECK(bide_task_done(task));
    CHECK_PTR(bide_current_task(), NULL);
    note(entry->name);
}

static void on_drop(void *data)
{
    struct entry *entry = data;
    entry->n_drops++;
    if (entry->drop_act)
        entry->drop_act(entry);
}

static struct entry add(bide_task *task, const char *name)
{
    return (struct entry){.name = name, .task = task};
}

static void attach(struct entry *entry)
{
    CHECK_INT(bide_task_add_done_callback(entry->task, on_done, entry, on_drop), 0);
}

TASK_TEST(not_inline_when_the_result_is_set)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    struct entry a = add(future, "a");
    struct entry b = add(future, "b");
    attach(&a);
    attach(&b);
    CHECK_INT(bide_promise_set(promise, 1, NULL), 0);
    CHECK_NOTES("");
    turns(1);
    CHECK_NOTES("ab");
    CHECK_INT(a.n_drops, 1);
    CHECK_INT(b.n_drops, 1);
    bide_promise_free(promise);
    bide_detach(future);
}

TASK_TEST(not_inline_when_added_to_a_done_task)
{
    bide_task *task = bide_spawn(returns, 1);
    turns(1);
    CHECK(bide_task_done(task));
    struct entry a = add(task, "a");
    attach(&a);
    CHECK_NOTES("");
    turns(1);
    CHECK_NOTES("a");
    CHECK_INT(a.n_drops, 1);
    bide_detach(task);
}

static bide_async(awaits, (bide_task *, task), (const char *, name))
{
    int rc = bide_await(task);
    note(name);
    return rc;
}

TASK_TEST(callbacks_and_waiters_in_the_order_in_which_they_were_added)
{
    bide_task *task = bide_spawn(returns_after, 3, 1);
    struct entry a = add(task, "a");
    struct entry c = add(task, "c");
    attach(&a);
    bide_task *waiter = bide_spawn(awaits, bide_retain(task), "b");
    turns(1);
    attach(&c);
    CHECK_INT(bide_await(waiter), 1);
    turns(1);
    CHECK_NOTES("abc");
    CHECK_INT(bide_await(task), 1);
}

TASK_TEST(task_lives_until_its_callback_has_run)
{
    bide_task *task = bide_spawn(returns, 1);
    struct entry a = add(task, "a");
    attach(&a);
    bide_detach(task);
    turns(2);
    CHECK_NOTES("a");
    CHECK_INT(a.n_drops, 1);
}

TASK_TEST(removal_counts_what_was_removed)
{
    bide_task *task = bide_spawn(returns, 1);
    struct entry a = add(task, "a");
    struct entry b = add(task, "b");
    attach(&a);
    attach(&b);
    attach(&a);
    CHECK_INT(bide_task_remove_done_callback(task, on_done, &a), 2);
    CHECK_INT(a.n_drops, 2);
    CHECK_INT(bide_task_remove_done_callback(task, on_done, &a), 0);
    CHECK_INT(bide_task_remove_done_callback(task, NULL, &b), 0);
    CHECK_INT(bide_task_remove_done_callback(NULL, on_done, &b), -EINVAL);
    CHECK_INT(bide_await(task), 1);
    turns(1);
    CHECK_NOTES("b");
    CHECK_INT(b.n_drops, 1);
}

static void removes_the_other(struct entry *entry)
{
    entry->drop_act = NULL;
    CHECK_INT(bide_task_remove_done_callback(entry->task, on_done, removed_by_drop), 1);
}

TASK_TEST(drop_removes_another_callback)
{
    bide_task *task = bide_spawn(returns, 1);
    struct entry a = add(task, "a");
    struct entry b = add(task, "b");
    struct entry c = add(task, "c");
    attach(&a);
    attach(&b);
    attach(&c);
    a.drop_act = removes_the_other;
    removed_by_drop = &b;
    CHECK_INT(bide_task_remove_done_callback(task, on_done, &a), 1);
    CHECK_INT(a.n_drops, 1);
    CHECK_INT(b.n_drops, 1);
    CHECK_INT(bide_await(task), 1);
    turns(1);
    CHECK_NOTES("c");
}

TASK_TEST(scheduled_callback_cannot_be_removed)
{
    bide_task *task = bide_spawn(returns, 1);
    struct entry a = add(task, "a");
    attach(&a);
    CHECK_INT(bide_await(bide_retain(task)), 1);
    CHECK_INT(a.n_drops, 1);
    attach(&a);
    CHECK_INT(bide_task_remove_done_callback(task, on_done, &a), 0);
    turns(1);
    CHECK_NOTES("aa");
    bide_detach(task);
}

static void removes_itself(bide_task *task, void *data)
{
    CHECK_INT(bide_task_remove_done_callback(task, removes_itself, data), 0);
    note("r");
}

TASK_TEST(callback_removes_itself)
{
    bide_task *task = bide_spawn(returns, 1);
    struct entry a = add(task, "a");
    CHECK_INT(bide_task_add_done_callback(task, removes_itself, &a, on_drop), 0);
    CHECK_INT(bide_await(task), 1);
    turns(1);
    CHECK_NOTES("r");
    CHECK_INT(a.n_drops, 1);
}

BIDE_TEST(close_drops_callbacks_of_futures)
{
    bide_loop *loop = rig_loop();
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    struct entry a = add(future, "a");
    attach(&a);
    rig_close(loop);
    CHECK_NOTES("");
    CHECK_INT(a.n_drops, 1);
    CHECK(bide_task_cancelled(future));
    CHECK_INT(bide_task_add_done_callback(future, on_done, &a, on_drop), -ESHUTDOWN);
    CHECK_INT(bide_task_add_done_callback(NULL, on_done, &a, on_drop), -EINVAL);
    CHECK_INT(bide_task_add_done_callback(future, NULL, &a, on_drop), -EINVAL);
    CHECK_INT(a.n_drops, 1);
    bide_promise_free(promise);
    bide_detach(future);
}

static bide_async(awaits_for_ever)
{
    return bide_sleep(INFINITY);
}

BIDE_TEST(callbacks_of_tasks_run_while_the_loop_closes)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, awaits_for_ever);
    struct entry a = add(task, "a");
    attach(&a);
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK_NOTES("a");
    CHECK_INT(a.n_drops, 1);
    bide_detach(task);
    rig_end();
}
