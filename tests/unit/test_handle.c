/*
 * Scenario: callbacks scheduled for the next turn, for later, for a moment, from outside and from
 * inside callbacks; cancelled at every point of their life. Claim: they run in the documented order
 * and never inline, and the data of each is dropped exactly once on every path.
 */
#include "task_rig.h"

/* One registration: what it notes when it runs, and how often its data was dropped. */
struct entry {
    const char *name;
    bide_loop *loop;
    bide_handle *handle;
    struct entry *other; /* what `act` is done to */
    void (*act)(struct entry *entry);
    int result;
    int n_drops;
};

static int entry_run(void *data)
{
    struct entry *entry = data;
    note(entry->name);
    if (entry->act)
        entry->act(entry);
    return entry->result;
}

static void entry_drop(void *data)
{
    ((struct entry *)data)->n_drops++;
}

static void soon(bide_loop *loop, struct entry *entry)
{
    entry->loop = loop;
    CHECK_INT(bide_loop_call_soon(loop, entry_run, entry, entry_drop, &entry->handle), 0);
}

static void later(bide_loop *loop, struct entry *entry, double seconds)
{
    entry->loop = loop;
    CHECK_INT(bide_loop_call_later(loop, seconds, entry_run, entry, entry_drop, &entry->handle), 0);
}

static void release(struct entry *entry)
{
    bide_handle_free(entry->handle);
    CHECK_INT(entry->n_drops, 1);
}

static int stop(void *data)
{
    bide_loop_stop(data);
    return 0;
}

/* As many turns, without waiting in the kernel. */
static void run_turns(bide_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
    }
}

BIDE_TEST(soon_runs_in_order_and_not_inline)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    struct entry b = {.name = "b"};
    soon(loop, &a);
    soon(loop, &b);
    CHECK_NOTES("");
    run_turns(loop, 1);
    CHECK_NOTES("ab");
    run_turns(loop, 2);
    CHECK_NOTES("");
    release(&a);
    release(&b);
    rig_close(loop);
}

static void schedule_other(struct entry *entry)
{
    soon(entry->loop, entry->other);
    note("-");
}

BIDE_TEST(scheduled_from_inside_runs_a_turn_later_behind_what_is_queued)
{
    bide_loop *loop = rig_loop();
    struct entry inner = {.name = "i"};
    struct entry a = {.name = "a", .other = &inner, .act = schedule_other};
    struct entry b = {.name = "b"};
    soon(loop, &a);
    soon(loop, &b);
    run_turns(loop, 1);
    CHECK_NOTES("a-b");
    struct entry c = {.name = "c"};
    soon(loop, &c);
    run_turns(loop, 1);
    CHECK_NOTES("ic");
    release(&inner);
    release(&a);
    release(&b);
    release(&c);
    rig_close(loop);
}

BIDE_TEST(without_handle_and_without_drop)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    CHECK_INT(bide_loop_call_soon(loop, entry_run, &a, NULL, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, 0, entry_run, &a, NULL, NULL), 0);
    CHECK_INT(bide_loop_call_at(loop, INFINITY, entry_run, &a, NULL, NULL), 0);
    run_turns(loop, 2);
    CHECK_NOTES("aa");
    rig_close(loop);
    CHECK_INT(a.n_drops, 0);
}

BIDE_TEST(equal_deadlines_run_in_the_order_in_which_they_were_set)
{
    enum { N = 200 };
    bide_loop *loop = rig_loop();
    static struct entry entries[N];
    char expected[N + 1] = "";
    double deadline = bide_loop_time(loop) + TICKS(2);
    for (int i = 0; i < N; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
        entries[i] = (struct entry){.name = names[i % 7]};
        strcat(expected, names[i % 7]);
        CHECK_INT(bide_loop_call_at(loop, deadline, entry_run, &entries[i], entry_drop, NULL), 0);
    }
    CHECK_INT(bide_loop_call_at(loop, deadline, stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES(expected);
    rig_close(loop);
    for (int i = 0; i < N; i++)
        CHECK_INT(entries[i].n_drops, 1);
}

BIDE_TEST(timers_run_in_the_order_of_their_deadlines_and_not_early)
{
    bide_loop *loop = rig_loop();
    struct entry entries[] = {{.name = "3"}, {.name = "1"}, {.name = "2"}};
    double start = bide_loop_time(loop);
    later(loop, &entries[0], TICKS(6));
    later(loop, &entries[1], TICKS(2));
    later(loop, &entries[2], TICKS(4));
    CHECK_INT(bide_loop_call_at(loop, start + TICKS(8), stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK(bide_loop_time(loop) >= start + TICKS(8));
    CHECK_NOTES("123");
    for (int i = 0; i < 3; i++)
        release(&entries[i]);
    rig_close(loop);
}

BIDE_TEST(past_deadlines_run_in_a_turn_that_looks_at_the_timers)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    struct entry b = {.name = "b"};
    struct entry c = {.name = "c"};
    later(loop, &a, 0);
    later(loop, &b, -1);
    later(loop, &c, -INFINITY);
    CHECK_NOTES("");
    run_turns(loop, 1);
    CHECK_INT((long long)strlen(rig_notes), 3);
    release(&a);
    release(&b);
    release(&c);
    rig_close(loop);
}

BIDE_TEST(cancelled_callback_does_not_run_and_drops_at_once)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    struct entry b = {.name = "b"};
    soon(loop, &a);
    later(loop, &b, TICKS(1));
    CHECK_INT(bide_handle_cancel(a.handle), 1);
    CHECK_INT(a.n_drops, 1);
    CHECK_INT(bide_handle_cancel(a.handle), 0);
    CHECK_INT(bide_handle_cancel(b.handle), 1);
    CHECK_INT(b.n_drops, 1);
    CHECK_INT(bide_handle_cancel(b.handle), 0);
    run_turns(loop, 2);
    CHECK_NOTES("");
    release(&a);
    release(&b);
    CHECK_INT(bide_handle_cancel(NULL), -EINVAL);
    bide_handle_free(NULL);
    rig_close(loop);
}

BIDE_TEST(handle_given_back_before_the_run_leaves_it_scheduled)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    soon(loop, &a);
    bide_handle_free(a.handle);
    run_turns(loop, 1);
    CHECK_NOTES("a");
    CHECK_INT(a.n_drops, 1);
    rig_close(loop);
}

static void cancel_other(struct entry *entry)
{
    CHECK_INT(bide_handle_cancel(entry->other->handle), 1);
}

BIDE_TEST(callback_cancels_one_that_is_in_the_same_batch)
{
    bide_loop *loop = rig_loop();
    struct entry b = {.name = "b"};
    struct entry a = {.name = "a", .other = &b, .act = cancel_other};
    struct entry c = {.name = "c"};
    soon(loop, &a);
    soon(loop, &b);
    soon(loop, &c);
    run_turns(loop, 1);
    CHECK_NOTES("ac");
    release(&a);
    release(&b);
    release(&c);
    rig_close(loop);
}

BIDE_TEST(timer_that_expired_can_still_be_cancelled_before_it_runs)
{
    bide_loop *loop = rig_loop();
    struct entry b = {.name = "b"};
    struct entry a = {.name = "a", .other = &b, .act = cancel_other};
    later(loop, &a, 0);
    later(loop, &b, 0);
    run_turns(loop, 1);
    if (strcmp(rig_notes, "a") != 0) /* the clock moved between the two */
        CHECK_STR(rig_notes, "b");
    rig_notes[0] = '\0';
    b.act = NULL;
    bide_handle_free(a.handle);
    bide_handle_free(b.handle);
    rig_close(loop);
    CHECK_INT(a.n_drops, 1);
    CHECK_INT(b.n_drops, 1);
}

static void cancel_self(struct entry *entry)
{
    CHECK_INT(bide_handle_cancel(entry->handle), 0);
    CHECK_INT(entry->n_drops, 0);
    bide_handle_free(entry->handle);
    entry->handle = NULL;
}

BIDE_TEST(callback_gives_its_own_handle_back)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a", .act = cancel_self};
    soon(loop, &a);
    run_turns(loop, 1);
    CHECK_NOTES("a");
    release(&a);
    rig_close(loop);
}

static void drop_gives_handle_back(void *data)
{
    struct entry *entry = data;
    entry->n_drops++;
    CHECK_INT(bide_handle_cancel(entry->handle), 0);
    bide_handle_free(entry->handle);
    entry->handle = NULL;
}

BIDE_TEST(drop_gives_the_handle_back)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    struct entry b = {.name = "b"};
    CHECK_INT(bide_loop_call_soon(loop, entry_run, &a, drop_gives_handle_back, &a.handle), 0);
    CHECK_INT(bide_loop_call_later(loop, 1, entry_run, &b, drop_gives_handle_back, &b.handle), 0);
    CHECK_INT(bide_handle_cancel(b.handle), 1);
    run_turns(loop, 1);
    CHECK_NOTES("a");
    release(&a);
    release(&b);
    rig_close(loop);
}

BIDE_TEST(close_drops_what_did_not_run)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    struct entry b = {.name = "b"};
    struct entry c = {.name = "c"};
    later(loop, &a, 10);
    later(loop, &b, INFINITY);
    later(loop, &c, 10);
    bide_handle_free(c.handle);
    rig_close(loop);
    CHECK_NOTES("");
    CHECK_INT(a.n_drops, 1);
    CHECK_INT(b.n_drops, 1);
    CHECK_INT(c.n_drops, 1);
    CHECK_INT(bide_handle_cancel(a.handle), 0);
    bide_handle_free(a.handle);
    bide_handle_free(b.handle);
}

static void drop_schedules(void *data)
{
    struct entry *entry = data;
    entry->n_drops++;
    CHECK_INT(bide_loop_call_soon(entry->loop, entry_run, entry, entry_drop, NULL), -ESHUTDOWN);
    CHECK_INT(bide_loop_call_later(entry->loop, 0, entry_run, entry, entry_drop, NULL), -ESHUTDOWN);
    CHECK_INT(bide_loop_call_at(entry->loop, 0, entry_run, entry, entry_drop, NULL), -ESHUTDOWN);
}

BIDE_TEST(closing_loop_takes_nothing_and_data_stays_the_caller_s)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a", .loop = loop};
    CHECK_INT(bide_loop_call_later(loop, 10, entry_run, &a, drop_schedules, NULL), 0);
    rig_close(loop);
    CHECK_NOTES("");
    CHECK_INT(a.n_drops, 1);
}

BIDE_TEST(senseless_arguments)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a"};
    CHECK_INT(bide_loop_call_soon(loop, NULL, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_soon(NULL, entry_run, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_later(NULL, 1, entry_run, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_later(loop, NAN, entry_run, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_later(loop, 1, NULL, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_at(loop, NAN, entry_run, &a, entry_drop, NULL), -EINVAL);
    CHECK_INT(bide_loop_call_at(NULL, 0, entry_run, &a, entry_drop, NULL), -EINVAL);
    rig_close(loop);
    CHECK_INT(a.n_drops, 0);
}

static void schedule_self_again(struct entry *entry)
{
    bide_handle_free(entry->handle);
    entry->handle = NULL;
    if (strlen(rig_notes) < 5)
        soon(entry->loop, entry);
    else
        bide_loop_stop(entry->loop);
}

BIDE_TEST(callback_that_schedules_itself_leaves_room_for_timers)
{
    bide_loop *loop = rig_loop();
    struct entry a = {.name = "a", .act = schedule_self_again};
    soon(loop, &a);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("aaaaa");
    CHECK_INT(a.n_drops, 5);
    rig_close(loop);
}

static int spin(void *data)
{
    struct entry *entry = data;
    return entry->n_drops ? 0 : bide_loop_call_soon(entry->loop, spin, data, NULL, NULL);
}

BIDE_TEST(queue_that_never_empties_does_not_starve_timers)
{
    bide_loop *loop = rig_loop();
    struct entry timed = {.name = "t", .loop = loop};
    CHECK_INT(bide_loop_call_soon(loop, spin, &timed, NULL, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, TICKS(2), entry_run, &timed, entry_drop, NULL), 0);
    CHECK_INT(bide_loop_call_later(loop, TICKS(3), stop, loop, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    CHECK_NOTES("t");
    rig_close(loop);
}
