/*
 * Scenario: a random program of many tasks that sleep, await, gather, wait, open groups, limits and
 * shields in each other, cancel each other at random points, take cancels back, expire each other's
 * limits and keep or drop each other's promises. Claim: everything ends; each join returns what the
 * task returned; a task whose scopes are closed is refused exactly while it has requests that were
 * not taken back; no stack, handle or cleanup is left; nothing is reported.
 *
 * Without timers the program is the same for the same seed. BIDE_TEST_SEED replays a failure.
 */
#include "runtime/loop.h"
#include "task_rig.h"

enum {
    HANDLES = 128,
    PROMISES = 64,
    LIMITS = 64,
    GROUPS = 32,
    CHILDREN_MAX = 4,
    DEPTH_MAX = 6,
    LIVE_MAX = 3000,
    NOT_RUN = -100000,
};

/* What a task has been asked to be. */
struct order {
    int id;
    int depth;
    bool may_fail; /* somebody will read the result */
    bool shielded; /* where nothing would end an endless sleep */
};

static struct {
    uint64_t random;
    bool timed;
    int n_left; /* tasks that may still be spawned */
    int n_spawned;
    int n_inside; /* bodies that have begun and not ended */
    int n_begun;
    int *results; /* by id: what each body returned */
    bide_task *handles[HANDLES];
    int handle_ids[HANDLES];
    bide_promise *promises[PROMISES];
    bide_timeout *limits[LIMITS];
    bide_group *groups[GROUPS];
} world;

static bide_async_declare(lives, (struct order, order));

static int pick(int n)
{
    return (int)(test_random(&world.random) % (uint64_t)n);
}

static bool fails_with(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EIO;
}

/* Everything that a call of the runtime may return here. */
static int checked(int rc)
{
    if (rc < 0 && !fails_with(rc))
        FAIL("a call returned %d (%s)", rc, bide_strerror(rc));
    return rc;
}

static double moment(void)
{
    static const double moments[] = {0, 0, 0.0001, 0.0003, 0.001};
    return world.timed ? moments[pick(5)] : 0;
}

static struct order new_order(int depth, bool may_fail)
{
    world.n_left--;
    int id = world.n_spawned++;
    world.results[id] = NOT_RUN;
    return (struct order){.id = id, .depth = depth + 1, .may_fail = may_fail};
}

/* Joined: what a task returned, or -ECANCELED because it never ran. */
static int check_joined(int id, int rc)
{
    CHECK_INT(rc, world.results[id] == NOT_RUN ? -ECANCELED : world.results[id]);
    return rc;
}

static int child_n(const struct order *self)
{
    int n = 1 + pick(CHILDREN_MAX);
    return self->depth >= DEPTH_MAX || world.n_left < n ? 0 : n;
}

static bide_task *spawn(struct order order)
{
    bide_task *task;
    if (pick(4) == 0) {
        task = bide_coroutine(lives, order);
    } else {
        struct bide_task_opts opts = {.always_start = pick(8) == 0};
        task = bide_spawn_with(&opts, lives, order);
    }
    CHECK(task);
    int slot = pick(HANDLES);
    if (pick(2) == 0 && !world.handles[slot]) {
        world.handles[slot] = bide_retain(task);
        world.handle_ids[slot] = order.id;
    }
    return task;
}

static int does_sleep(const struct order *self)
{
    switch (pick(4)) {
    case 0:
        return bide_sleep(pick(20) == 0 && !self->shielded ? INFINITY : 0);
    case 1:
        return bide_sleep(moment());
    default:
        return bide_sleep(0);
    }
}

static int does_await(const struct order *self)
{
    if (child_n(self) == 0)
        return does_sleep(self);
    struct order order = new_order(self->depth, true);
    return check_joined(order.id, bide_await(spawn(order)));
}

static int does_gather(const struct order *self)
{
    bide_task *tasks[CHILDREN_MAX];
    int ids[CHILDREN_MAX];
    int results[CHILDREN_MAX];
    int n = child_n(self);
    for (int i = 0; i < n; i++) {
        struct order order = new_order(self->depth, true);
        ids[i] = order.id;
        tasks[i] = spawn(order);
    }
    bool all = pick(2) == 0;
    int rc = all ? bide_gather_all(tasks, (size_t)n, results)
                 : bide_gather(tasks, (size_t)n, results);
    for (int i = 0; i < n; i++)
        if (!tasks[i])
            check_joined(ids[i], results[i]);
        else
            CHECK(!all && rc < 0);
    CHECK_INT(bide_cancel_join(tasks, (size_t)n), 0);
    return checked(rc);
}

static int does_wait(const struct order *self)
{
    bide_task *tasks[CHILDREN_MAX];
    int n = child_n(self);
    if (n == 0)
        return does_sleep(self);
    for (int i = 0; i < n; i++)
        tasks[i] = spawn(new_order(self->depth, true));
    int rc = pick(2) == 0 ? bide_wait(tasks, (size_t)n, (enum bide_wait_mode)pick(3))
                          : bide_next_done(tasks, (size_t)n);
    if (rc >= 0)
        CHECK(rc <= n);
    if (pick(3) == 0) {
        CHECK_INT(bide_cancel_join(tasks, (size_t)n), 0);
        return checked(rc);
    }
    for (int i = 0; i < n; i++) {
        int joined = checked(bide_await(tasks[i]));
        rc = rc < 0 ? rc : joined;
    }
    return checked(rc);
}

static int acts(const struct order *self);

static int does_group(const struct order *self)
{
    bide_group *group;
    int n = child_n(self);
    int rc = 0;
    int slot = pick(GROUPS);
    CHECK_INT(bide_group_open(&group), 0);
    bool shown = !world.groups[slot];
    if (shown)
        world.groups[slot] = group;
    for (int i = 0; i < n && rc == 0; i++) {
        struct order order = new_order(self->depth, true);
        rc = bide_group_spawn(group, lives, order);
        CHECK(rc == 0 || rc == -BIDE_EGROUP);
    }
    if (rc == -BIDE_EGROUP) /* somebody cancelled the group: so will the next suspension be */
        rc = 0;
    if (rc == 0 && pick(2) == 0)
        rc = acts(self);
    if (shown)
        world.groups[slot] = NULL;
    return checked(pick(4) == 0 ? bide_within(moment(), bide_group_close(group, rc))
                                : bide_group_close(group, rc));
}

static int does_limit(const struct order *self)
{
    bide_timeout *timeout;
    int slot = pick(LIMITS);
    double limit = pick(4) == 0 ? moment() : INFINITY;
    if (pick(2) == 0)
        return checked(bide_within(limit, acts(self)));
    CHECK_INT(bide_timeout_begin(limit, &timeout), 0);
    bool shown = !world.limits[slot];
    if (shown)
        world.limits[slot] = timeout;
    int rc = acts(self);
    if (shown)
        world.limits[slot] = NULL;
    return checked(bide_timeout_end(timeout, rc));
}

static int does_shield(const struct order *self)
{
    if (pick(2) == 0 || child_n(self) == 0) {
        struct order inside = *self;
        inside.shielded = true;
        return checked(bide_shielded(pick(3) == 0 ? moment() : INFINITY, acts(&inside)));
    }
    struct order order = new_order(self->depth, false);
    bide_task *task = spawn(order);
    int rc = checked(bide_shield(task));
    if (pick(2) == 0)
        rc = check_joined(order.id, bide_await(task));
    else
        bide_detach(task);
    return rc;
}

static int does_future(void)
{
    bide_promise *promise;
    bide_future *future;
    int slot = pick(PROMISES);
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    bide_promise *before = world.promises[slot];
    world.promises[slot] = promise;
    if (before && pick(2) == 0)
        bide_promise_set(before, pick(4) == 0 ? -EIO : 1, "words");
    bide_promise_free(before);
    return checked(bide_await(future));
}

/* To others, at random. */
static int meddles(const struct order *self)
{
    int slot = pick(HANDLES);
    bide_task *task = world.handles[slot];
    bide_timeout *limit = world.limits[pick(LIMITS)];
    bide_group *group = world.groups[pick(GROUPS)];
    switch (pick(6)) {
    case 0:
        if (limit)
            CHECK(bide_timeout_move(limit, pick(2) ? 0 : INFINITY) != -EINVAL);
        return 0;
    case 1:
        bide_group_cancel(group);
        return 0;
    case 2: /* a stranger's result: a younger one's, so that no circle comes of it */
        if (!task || world.handle_ids[slot] <= self->id)
            return 0;
        world.handles[slot] = NULL;
        return checked(bide_await(task));
    default:
        if (task)
            CHECK(pick(2) ? bide_cancel(task) >= 0 : bide_cancel_with(task, "meddled") >= 0);
        return 0;
    }
}

static int acts(const struct order *self)
{
    switch (pick(12)) {
    case 0:
        return does_await(self);
    case 1:
        return does_gather(self);
    case 2:
        return does_wait(self);
    case 3:
        return does_group(self);
    case 4:
        return does_limit(self);
    case 5:
        return does_shield(self);
    case 6:
        return does_future();
    case 7:
        if (child_n(self) > 0)
            bide_detach(spawn(new_order(self->depth, false)));
        return 0;
    case 8:
    case 9:
        return meddles(self);
    default:
        return does_sleep(self);
    }
}

static void takes_cancels_back(void)
{
    bide_task *self = bide_current_task();
    int n = bide_cancelling(self);
    for (int i = 0; i < n; i++)
        CHECK_INT(bide_uncancel(self), n - i - 1);
}

static int lives(struct order order)
{
    bide_task *self = bide_current_task();
    int rc = 0;
    world.n_inside++;
    world.n_begun++;
    int n = 1 + pick(4);
    for (int i = 0; i < n; i++) {
        rc = checked(acts(&order));
        if (rc == -ECANCELED && pick(4) == 0)
            takes_cancels_back();
        else if (rc < 0 && pick(3) != 0)
            break;
    }
    int suspended = bide_sleep(0);
    CHECK_INT(suspended, bide_cancelling(self) > 0 ? -ECANCELED : 0);
    if (rc >= 0 || (rc != -ECANCELED && !order.may_fail))
        rc = suspended < 0 ? suspended : order.id % 1000;
    if (order.may_fail && pick(10) == 0)
        rc = -EIO;
    world.n_inside--;
    world.results[order.id] = rc;
    return rc;
}

static void settle_promises(void)
{
    for (int i = 0; i < PROMISES; i++) {
        bide_promise_free(world.promises[i]);
        world.promises[i] = NULL;
    }
}

static void give_handles_back(void)
{
    for (int i = 0; i < HANDLES; i++) {
        bide_detach(world.handles[i]);
        world.handles[i] = NULL;
    }
}

static void cancel_some(int n)
{
    static bide_task *tasks[100000];
    size_t n_tasks = bide_all_tasks(NULL, tasks, 100000);
    for (int i = 0; i < n && n_tasks > 1; i++) {
        bide_task *task = tasks[1 + pick((int)n_tasks - 1)]; /* the first is the main task */
        CHECK(task != bide_current_task());
        CHECK_INT(bide_cancel(task), 1);
    }
}

static bide_async(runs_the_world)
{
    bide_loop *loop = bide_loop_current();
    bide_loop_set_exception_handler(loop, rig_report, NULL);
    while (world.n_left > 0) {
        size_t n_live = bide_all_tasks(NULL, NULL, 0);
        for (int i = 0; i < 20 && world.n_left > 0 && n_live < LIVE_MAX; i++)
            bide_detach(spawn(new_order(0, false)));
        turns(1 + pick(3));
        cancel_some(n_live < LIVE_MAX ? pick(8) : 200);
    }
    give_handles_back();
    while (bide_all_tasks(NULL, NULL, 0) > 1) {
        settle_promises();
        cancel_some(50);
        turns(1);
        give_handles_back();
    }
    settle_promises();
    CHECK_INT(world.n_inside, 0);
    CHECK_INT((long long)bide__stack_pool_held(loop->stacks), 1);
    CHECK(bide__list_empty(&loop->promises));
    return 0;
}

static void play(uint64_t seed, int n_tasks, bool timed)
{
    printf("seed %llu, %d tasks%s\n", (unsigned long long)seed, n_tasks, timed ? ", timed" : "");
    fflush(stdout);
    memset(&world, 0, sizeof world);
    world.random = seed;
    world.timed = timed;
    world.n_left = n_tasks;
    world.results = calloc((size_t)n_tasks + 100, sizeof *world.results);
    CHECK(world.results);
    CHECK_INT(bide_run_with(NULL, runs_the_world), 0);
    rig_end();
    printf("%d of %d ran\n", world.n_begun, world.n_spawned);
    CHECK(world.n_begun > world.n_spawned / 2);
    free(world.results);
}

static void play_all(bool timed)
{
    int n_seeds = test_long() ? 10 : 1;
    int n_tasks = test_long() ? 100000 : 20000 / test_slowness();
    for (int i = 0; i < n_seeds; i++)
        play(test_seed() + (uint64_t)i, n_tasks, timed);
}

BIDE_TEST_SECONDS(program_without_timers, 250)
{
    play_all(false);
}

BIDE_TEST(program_with_timers, .seconds = 250, .seeds_max = 20)
{
    play_all(true);
}
