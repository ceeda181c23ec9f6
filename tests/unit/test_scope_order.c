/*
 * Scenario: a task waits, in each of the ways there are, inside a time limit inside a group; then
 * two of {cancel, expiry of the limit, failure of the group, completion, uncancel} happen, in every
 * order, in one turn or some turns apart while the join that was cancelled is still under way.
 * Claim: what the wait, the limit's edge, the group's edge and the next suspension return is what
 * the rules below say, which are those of the design and know nothing of the implementation.
 */
#include "task_rig.h"

enum event { CANCEL, EXPIRE, FAIL_GROUP, COMPLETE, UNCANCEL, N_EVENTS };
enum kind {
    SLEEP,
    AWAIT_FUTURE,
    AWAIT_TASK,
    GATHER,
    GATHER_ALL,
    WAIT,
    NEXT_DONE,
    SHIELD,
    SHIELDED,
    CLOSE,
    N_KINDS,
};

static const char *const event_names[] = {"cancel", "expiry", "failure", "completion", "uncancel"};
static const char *const kind_names[] = {"sleep",      "await a future", "await a task", "gather",
                                         "gather_all", "wait",           "next_done",    "shield",
                                         "shielded",   "close a group"};

enum { VALUE = 7 };

struct scene {
    enum kind kind;
    int n_cleanup_turns; /* of the child that is awaited, when it is cancelled */
    bool child_insists;  /* and then returns a value */
    bide_task *victim;
    bide_group *group;
    bide_timeout *limit;
    bide_promise *promises[2];
    bide_future *futures[2];
    int op;
    int at_limit;
    int at_group;
    int after;
};

static bide_async(child, (struct scene *, scene))
{
    int rc = bide_await(bide_retain(scene->futures[0]));
    if (rc < 0 && scene->n_cleanup_turns > 0)
        CHECK_INT(bide_shielded(INFINITY, returns_after(scene->n_cleanup_turns, 0)), 0);
    return rc < 0 && scene->child_insists ? VALUE : rc;
}

static int closes_group(struct scene *scene)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, child, scene), 0);
    return bide_group_close(group, VALUE);
}

static int value_or(int rc)
{
    return rc < 0 ? rc : VALUE;
}

static int waits(struct scene *scene)
{
    bide_task *both[] = {bide_retain(scene->futures[0]), bide_retain(scene->futures[1])};
    int results[2];
    switch (scene->kind) {
    case GATHER:
        return value_or(bide_gather(both, 2, NULL));
    case GATHER_ALL:
        return value_or(bide_gather_all(both, 2, results));
    default:
        bide_detach(both[0]);
        bide_detach(both[1]);
    }
    switch (scene->kind) {
    case AWAIT_FUTURE:
        return bide_await(bide_retain(scene->futures[0]));
    case AWAIT_TASK:
        return bide_await(bide_spawn(child, scene));
    case WAIT:
        return bide_wait(scene->futures, 2, BIDE_ALL_COMPLETED) == 2 ? VALUE : -ECANCELED;
    case NEXT_DONE:
        return bide_next_done(scene->futures, 2) == 0 ? VALUE : -ECANCELED;
    case SHIELD:
        return bide_shield(scene->futures[0]);
    case SHIELDED:
        return bide_shielded(INFINITY, bide_await(bide_retain(scene->futures[0])));
    case CLOSE:
        return closes_group(scene);
    default:
        return bide_sleep(INFINITY);
    }
}

static bide_async(victim, (struct scene *, scene))
{
    CHECK_INT(bide_group_open(&scene->group), 0);
    CHECK_INT(bide_timeout_begin(INFINITY, &scene->limit), 0);
    scene->op = waits(scene);
    scene->at_limit = bide_timeout_end(scene->limit, scene->op);
    scene->at_group = bide_group_close(scene->group, scene->at_limit);
    scene->after = bide_sleep(0);
    return 0;
}

static bide_async(acts, (struct scene *, scene), (enum event, event))
{
    switch (event) {
    case CANCEL:
        CHECK_INT(bide_cancel(scene->victim), 1);
        break;
    case EXPIRE:
        CHECK_INT(bide_timeout_move(scene->limit, 0), 0);
        break;
    case COMPLETE:
        bide_promise_set(scene->promises[0], VALUE, NULL);
        bide_promise_set(scene->promises[1], VALUE, NULL);
        break;
    case UNCANCEL:
        bide_uncancel(scene->victim);
        break;
    default:
        return -EIO;
    }
    return 0;
}

static void schedule(struct scene *scene, enum event event)
{
    if (event == FAIL_GROUP)
        CHECK_INT(bide_group_spawn(scene->group, acts, scene, event), 0);
    else
        bide_detach(bide_spawn(acts, scene, event));
}

/* The rules. */
struct verdict {
    bool over; /* the wait */
    int op;
    int at_limit;
    int at_group;
    int after;
};

static struct verdict judge(const struct scene *scene, const enum event *events, int n_events)
{
    struct verdict verdict = {.over = false};
    int n_cancels = 0;
    bool expired = false;
    bool failed = false;
    for (int i = 0; i < n_events; i++) {
        enum event event = events[i];
        n_cancels += event == CANCEL;
        n_cancels -= event == UNCANCEL && n_cancels > 0;
        expired = expired || event == EXPIRE;
        failed = failed || event == FAIL_GROUP;
        bool reaches = event == COMPLETE ? scene->kind != SLEEP
                                         : event != UNCANCEL && scene->kind != SHIELDED;
        if (verdict.over || !reaches)
            continue;
        verdict.over = true;
        verdict.op = event == COMPLETE || scene->child_insists ? VALUE : -ECANCELED;
    }
    bool asked_further_out = failed || n_cancels > 0;
    bool limit_ended_it = verdict.op == -ECANCELED && expired && !asked_further_out;
    verdict.at_limit = limit_ended_it ? -ETIMEDOUT : verdict.op;
    verdict.at_group = failed ? -EIO : verdict.at_limit;
    verdict.after = n_cancels > 0 ? -ECANCELED : 0;
    return verdict;
}

static void open_scene(struct scene *scene)
{
    for (int i = 0; i < 2; i++)
        CHECK_INT(bide_future_new(NULL, &scene->promises[i], &scene->futures[i]), 0);
    scene->victim = bide_spawn(victim, scene);
    turns(2); /* until its child, if it has one, waits */
}

static void close_scene(struct scene *scene, const struct verdict *verdict)
{
    CHECK_INT(bide_await(scene->victim), 0);
    CHECK_INT(scene->op, verdict->op);
    CHECK_INT(scene->at_limit, verdict->at_limit);
    CHECK_INT(scene->at_group, verdict->at_group);
    CHECK_INT(scene->after, verdict->after);
    for (int i = 0; i < 2; i++) {
        bide_promise_free(scene->promises[i]);
        bide_detach(scene->futures[i]);
    }
}

static void play(struct scene scene, enum event first, enum event second, int n_turns_between)
{
    enum event events[] = {first, second, scene.kind == SLEEP ? CANCEL : COMPLETE};
    printf("%s: %s, %d turns, %s\n", kind_names[scene.kind], event_names[first], n_turns_between,
           event_names[second]);
    open_scene(&scene);
    schedule(&scene, first);
    if (n_turns_between > 0)
        turns(n_turns_between);
    schedule(&scene, second);
    struct verdict verdict = judge(&scene, events, 2);
    if (!verdict.over) {
        turns(2);
        CHECK(!bide_task_done(scene.victim));
        schedule(&scene, events[2]);
        verdict = judge(&scene, events, 3);
    }
    close_scene(&scene, &verdict);
}

/* A limit expires once, and a group fails once. */
static bool can_follow(enum event first, enum event second)
{
    return first != second || first == CANCEL || first == UNCANCEL || first == COMPLETE;
}

TASK_TEST(any_two_in_one_turn)
{
    for (enum kind kind = SLEEP; kind < N_KINDS; kind++)
        for (enum event first = CANCEL; first < N_EVENTS; first++)
            for (enum event second = CANCEL; second < N_EVENTS; second++)
                if (can_follow(first, second))
                    play((struct scene){.kind = kind}, first, second, 0);
}

static void play_joins(bool insists)
{
    static const enum kind joins[] = {AWAIT_TASK, CLOSE};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        struct scene scene = {.kind = joins[i], .n_cleanup_turns = 6, .child_insists = insists};
        for (enum event first = CANCEL; first < N_EVENTS; first++)
            for (enum event second = CANCEL; second < N_EVENTS; second++)
                if (first != COMPLETE && can_follow(first, second))
                    for (int n_turns = 0; n_turns < 4; n_turns++)
                        play(scene, first, second, n_turns);
    }
}

TASK_TEST(any_two_while_a_cancelled_join_is_under_way)
{
    play_joins(false);
}

TASK_TEST(any_two_while_a_join_whose_result_stands_is_under_way)
{
    play_joins(true);
}
