/*
 * Blocking work in a simulation: it runs inline, at a moment that the seed decides, and is done at
 * a later one.
 *
 * Invariant: jobs of a lane begin in the order of their submission, and no more are under way than
 * the lane has workers. Those of no lane end in the order of their submission, without time going
 * by; they need no memory, so that submitting one can't fail.
 */
#include "engine/sim_world.h"

#include <assert.h>
#include <stdlib.h>

/* Not the machine's number of processors: a run must not depend on it. */
enum { USER_WORKERS = 4, FILE_WORKERS = 4, RESOLVE_WORKERS = 256 };

enum state {
    QUEUED,    /* no worker is free */
    STARTING,  /* a worker has it; run() is an event */
    RUNNING,   /* inside run() */
    ABANDONED, /* by its own run() */
    FINISHED,  /* done() is an event */
};

struct entry {
    struct bide__sim_event event;
    struct bide__list node;  /* in the engine's jobs */
    struct bide__list place; /* queued in its lane */
    struct bide__sim *sim;
    struct bide_job *job;
    unsigned number;
    enum bide_lane lane;
    enum state state;
    bool looks_up;
};

static int finish_unrun(struct bide__sim_event *event);

void bide__sim_jobs_init(struct bide__sim *sim, const struct bide_engine_opts *opts)
{
    static const unsigned n_workers[BIDE_LANE_COUNT] = {
        [BIDE_LANE_USER] = USER_WORKERS,
        [BIDE_LANE_FILE] = FILE_WORKERS,
        [BIDE_LANE_RESOLVE] = RESOLVE_WORKERS,
    };
    bide__list_init(&sim->jobs);
    for (int i = 0; i < BIDE_LANE_COUNT; i++) {
        bide__list_init(&sim->lanes[i].queued);
        sim->lanes[i].n_workers = n_workers[i];
    }
    sim->unrun_end = &sim->unrun;
    sim->unrun_event.happen = finish_unrun;
    if (opts->user_threads_max > 0)
        sim->lanes[BIDE_LANE_USER].n_workers = opts->user_threads_max;
}

static struct bide_job *release(struct entry *entry)
{
    struct bide_job *job = entry->job;
    bide__sim_event_remove(&entry->sim->queue, &entry->event);
    bide__list_remove(&entry->node);
    bide__list_remove(&entry->place);
    free(entry);
    return job;
}

static int run(struct bide__sim_event *event);

static void start(struct entry *entry)
{
    entry->sim->lanes[entry->lane].n_busy++;
    entry->state = STARTING;
    entry->event.happen = run;
    bide__sim_soon(entry->sim, &entry->event, entry->sim->shape.job_ns_max);
}

/* The worker of a job that needs it no more takes the next one. */
static void free_worker(struct bide__sim_lane *lane)
{
    lane->n_busy--;
    struct bide__list *place = bide__list_pop(&lane->queued);
    if (place)
        start(bide__container(place, struct entry, place));
}

static int finish(struct bide__sim_event *event)
{
    struct entry *entry = bide__container(event, struct entry, event);
    bide__sim_note(entry->sim, "job done", entry->number, 0);
    struct bide_job *job = release(entry);
    job->done(job);
    return 1;
}

static int run(struct bide__sim_event *event)
{
    struct entry *entry = bide__container(event, struct entry, event);
    struct bide__sim *sim = entry->sim;
    bide__sim_note(sim, "job runs", entry->number, 0);
    entry->state = RUNNING;
    if (entry->looks_up)
        bide__sim_look_up(sim, bide__container(entry->job, struct bide_lookup, job));
    else
        entry->job->run(entry->job);
    free_worker(&sim->lanes[entry->lane]);
    if (entry->state == ABANDONED) {
        struct bide_job *job = release(entry);
        job->drop(job);
        return 1;
    }
    entry->state = FINISHED;
    event->happen = finish;
    bide__sim_soon(sim, event, sim->shape.delay_ns_max);
    return 1;
}

static void unrun_append(struct bide__sim *sim, struct bide_job *job)
{
    job->next = NULL;
    job->link = sim->unrun_end;
    *sim->unrun_end = job;
    sim->unrun_end = &job->next;
    if (!sim->unrun_event.scheduled)
        bide__sim_event_add(&sim->queue, &sim->unrun_event, sim->now_ns);
}

static void unrun_remove(struct bide__sim *sim, struct bide_job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    else
        sim->unrun_end = job->link;
    if (!sim->unrun)
        bide__sim_event_remove(&sim->queue, &sim->unrun_event);
}

static int finish_unrun(struct bide__sim_event *event)
{
    struct bide__sim *sim = bide__container(event, struct bide__sim, unrun_event);
    struct bide_job *job = sim->unrun;
    unrun_remove(sim, job);
    if (sim->unrun)
        bide__sim_event_add(&sim->queue, event, sim->now_ns);
    bide__sim_note(sim, "job done", 0, 0);
    job->done(job);
    return 1;
}

static int submit(struct bide__sim *sim, struct bide_job *job, enum bide_lane lane, bool looks_up)
{
    assert(job->done && job->drop);
    job->lane = (uint8_t)lane;
    if (lane == BIDE_LANE_NONE) {
        unrun_append(sim, job);
        return 0;
    }
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        return -ENOMEM;
    *entry = (struct entry){.sim = sim,
                            .job = job,
                            .number = ++sim->n_objects,
                            .lane = lane,
                            .state = QUEUED,
                            .looks_up = looks_up};
    bide__list_init(&entry->place);
    bide__list_append(&sim->jobs, &entry->node);
    if (sim->lanes[lane].n_busy < sim->lanes[lane].n_workers)
        start(entry);
    else
        bide__list_append(&sim->lanes[lane].queued, &entry->place);
    return 0;
}

int bide__sim_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    assert(job->run || lane == BIDE_LANE_NONE);
    return submit(bide__sim_of(engine), job, lane, false);
}

int bide__sim_lookup(struct bide_engine *engine, struct bide_lookup *lookup)
{
    return submit(bide__sim_of(engine), &lookup->job, BIDE_LANE_RESOLVE, true);
}

static void let_go(struct entry *entry)
{
    struct bide__sim_lane *lane = &entry->sim->lanes[entry->lane];
    if (entry->state == RUNNING) {
        entry->state = ABANDONED;
        return;
    }
    bool has_worker = entry->state == STARTING;
    struct bide_job *job = release(entry);
    if (has_worker)
        free_worker(lane);
    job->drop(job);
}

static struct entry *find(struct bide__sim *sim, const struct bide_job *job)
{
    bide__list_each(node, &sim->jobs)
    {
        struct entry *entry = bide__container(node, struct entry, node);
        if (entry->job == job)
            return entry;
    }
    return NULL;
}

void bide__sim_job_abandon(struct bide_engine *engine, struct bide_job *job)
{
    struct bide__sim *sim = bide__sim_of(engine);
    if (job->lane == BIDE_LANE_NONE) {
        unrun_remove(sim, job);
        job->drop(job);
        return;
    }
    struct entry *entry = find(sim, job);
    assert(entry); /* not abandoned twice, nor after done() */
    let_go(entry);
}

bool bide__sim_job_recall(struct bide__sim *sim, struct bide_job *job)
{
    struct entry *entry = find(sim, job);
    assert(entry);
    if (entry->state != QUEUED && entry->state != STARTING)
        return false;
    struct bide__sim_lane *lane = &sim->lanes[entry->lane];
    bool has_worker = entry->state == STARTING;
    release(entry);
    if (has_worker)
        free_worker(lane);
    return true;
}

void bide__sim_jobs_drop(struct bide__sim *sim)
{
    struct bide__list *node;
    while ((node = bide__list_first(&sim->jobs)))
        let_go(bide__container(node, struct entry, node));
    for (struct bide_job *job; (job = sim->unrun);) {
        unrun_remove(sim, job);
        job->drop(job);
    }
}

void bide__sim_jobs_forget(struct bide__sim *sim)
{
    struct bide__list *node;
    while ((node = bide__list_first(&sim->jobs)))
        release(bide__container(node, struct entry, node));
}
