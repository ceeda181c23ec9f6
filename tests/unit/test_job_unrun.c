/*
 * Scenario: jobs of no lane, which have nothing to run, are submitted, from callbacks too, are
 * abandoned, or are left when the engine closes.
 * Claim: done() comes from the next poll(), without time going by, in the order of submission; or
 * else drop(), once; a lane whose workers are all busy delays none of them.
 */
#include "engine_rig.h"

enum { N = 5 };

struct unrun {
    struct bide_job job; /* first */
    struct bide_engine *engine;
    struct unrun *next; /* submitted by done() */
    int number;
    int n_drops;
};

static int order[N];
static int n_dones;

static void done(struct bide_job *job)
{
    struct unrun *unrun = (struct unrun *)job;
    order[n_dones++] = unrun->number;
    if (unrun->next)
        CHECK_INT(unrun->engine->ops->job_submit(unrun->engine, &unrun->next->job, BIDE_LANE_NONE),
                  0);
}

static void drop(struct bide_job *job)
{
    ((struct unrun *)job)->n_drops++;
}

static void prepare(struct bide_engine *engine, struct unrun unruns[N])
{
    n_dones = 0;
    for (int i = 0; i < N; i++)
        unruns[i] = (struct unrun){
            .job.done = done, .job.drop = drop, .engine = engine, .number = i};
}

static void submit(struct unrun *unrun)
{
    int before = n_dones;
    CHECK_INT(unrun->engine->ops->job_submit(unrun->engine, &unrun->job, BIDE_LANE_NONE), 0);
    CHECK_INT(n_dones, before);
}

BIDE_TEST(the_next_poll_calls_done_in_order)
{
    struct bide_engine *engine = rig_open();
    struct unrun unruns[N];
    prepare(engine, unruns);
    for (int i = 0; i < N; i++)
        submit(&unruns[i]);
    CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), N);
    CHECK_INT(n_dones, N);
    for (int i = 0; i < N; i++)
        CHECK_INT(order[i], i);
    rig_close(engine);
    CHECK_INT(unruns[0].n_drops, 0);
}

BIDE_TEST(done_may_submit_the_next_one)
{
    struct bide_engine *engine = rig_open();
    struct unrun unruns[N];
    prepare(engine, unruns);
    for (int i = 0; i + 1 < N; i++)
        unruns[i].next = &unruns[i + 1];
    submit(&unruns[0]);
    for (int i = 0; i < N && n_dones < N; i++) /* at least one in each */
        CHECK(engine->ops->poll(engine, BIDE_NO_DEADLINE) > 0);
    CHECK_INT(n_dones, N);
    rig_close(engine);
}

BIDE_TEST(an_abandoned_one_is_dropped_at_once)
{
    for (int which = 0; which < N; which++) {
        struct bide_engine *engine = rig_open();
        struct unrun unruns[N];
        prepare(engine, unruns);
        for (int i = 0; i < N; i++)
            submit(&unruns[i]);
        engine->ops->job_abandon(engine, &unruns[which].job);
        CHECK_INT(unruns[which].n_drops, 1);
        CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), N - 1);
        for (int i = 0; i < n_dones; i++)
            CHECK_INT(order[i], i < which ? i : i + 1);
        rig_close(engine);
        CHECK_INT(unruns[which].n_drops, 1);
    }
}

BIDE_TEST(an_engine_that_closes_drops_what_is_left)
{
    struct bide_engine *engine = rig_open();
    struct unrun unruns[N];
    prepare(engine, unruns);
    for (int i = 0; i < N; i++)
        submit(&unruns[i]);
    rig_close(engine);
    CHECK_INT(n_dones, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(unruns[i].n_drops, 1);
}

/* Work of a lane with one worker. */
struct work {
    struct bide_job job; /* first */
    bool is_over;
};

static void work_run(struct bide_job *job)
{
    (void)job;
}

static void work_done(struct bide_job *job)
{
    ((struct work *)job)->is_over = true;
}

static void work_drop(struct bide_job *job)
{
    (void)job;
}

BIDE_TEST(lanes_have_nothing_to_do_with_it)
{
    for (int round = 0; round < 50; round++) {
        struct bide_engine_opts opts = {.user_threads_max = 1};
        struct bide_engine *engine = rig_open_with(&opts);
        struct unrun unruns[N];
        struct work works[N];
        prepare(engine, unruns);
        for (int i = 0; i < N; i++) {
            works[i] = (struct work){
                .job = {.run = work_run, .done = work_done, .drop = work_drop}};
            CHECK_INT(engine->ops->job_submit(engine, &works[i].job, BIDE_LANE_USER), 0);
            submit(&unruns[i]);
        }
        rig_turn(engine);
        CHECK_INT(n_dones, N);
        for (int i = 0; i < N; i++)
            while (!works[i].is_over)
                rig_turn(engine);
        rig_close(engine);
    }
}
