/*
 * Every order in which a few tasks can do a few operations on one object, with a cancel put in at
 * every point, each compared with a model.
 *
 * The tasks are real ones, but no loop runs them: a driver takes any one that is ready and lets it
 * go on until it gives up its turn or is parked. So an operation can come between a wake-up and the
 * woken task's return, and so can a cancel. Each operation is announced to the model at the same
 * moment as it is made; the model says what it returns, or that it waits. After each step the
 * driver checks that exactly those tasks are parked which the model says wait, in the same lines,
 * and the case compares the object's state. A schedule is the list of choices; the driver plays
 * schedule after schedule from the start until each alternative of each choice was taken.
 *
 * Invariant: nothing but the choices influences a run, so a failed one is replayed by its choices,
 * which are printed.
 */
#ifndef BIDE_TEST_INTERLEAVE_H
#define BIDE_TEST_INTERLEAVE_H

#include "task_rig.h"

#include "runtime/coro.h"

enum {
    INTERLEAVE_TASKS_MAX = 4,
    INTERLEAVE_CHOICES_MAX = 64,
    INTERLEAVE_WAITS = INT32_MIN,    /* the model's answer: the operation does not return yet */
    INTERLEAVE_END = INT32_MIN + 1,  /* no further operation */
    INTERLEAVE_START = INT32_MIN + 2 /* there was no operation before */
};

struct interleave_case {
    int n_tasks;
    bool cancels; /* one task is cancelled somewhere in each run, at each point in turn */
    /* A fresh object and a fresh model. */
    void (*reset)(void);
    /* The task's next operation, any number that perform and expect understand, given what the one
     * before returned; or INTERLEAVE_END. `step` counts from 0. */
    int (*next)(int task, int step, int result);
    /* In the task: does it to the object, returns what that returned. */
    int (*perform)(int task, int operation);
    /* Does it to the model; returns what the object has to return, or INTERLEAVE_WAITS. `cancelled`
     * is set if suspending calls of the task fail. */
    int (*expect)(int task, int operation, bool cancelled);
    /* The model's task is cancelled while it waits: calls interleave_grant() if that ends the wait.
     */
    void (*interrupt)(int task);
    /* Compares the object with the model; `ended` if all tasks have ended. */
    void (*compare)(bool ended);
};

struct interleave_task {
    bide_task *task;
    bool waits;   /* by the model: its operation has not returned */
    bool granted; /* by the model: it is to return `expected` when it runs */
    int expected;
    bool cancelled;
    bool ended;
};

static struct {
    const struct interleave_case *test;
    bide_loop *loop;
    struct interleave_task tasks[INTERLEAVE_TASKS_MAX];
    unsigned char choices[INTERLEAVE_CHOICES_MAX];
    unsigned char n_alternatives[INTERLEAVE_CHOICES_MAX];
    int n_choices; /* made in this run */
    int n_fixed;   /* of them, those that the schedule says; then the first alternative each time */
    bool cancel_used;
    unsigned long n_runs;
} interleave;

static RIG_UNUSED void interleave_show(void)
{
    printf("choices:");
    for (int i = 0; i < interleave.n_choices; i++)
        printf(" %d/%d", interleave.choices[i], interleave.n_alternatives[i]);
    printf("\n");
}

#define INTERLEAVE_CHECK(condition) \
    ((condition) ? (void)0 : (interleave_show(), FAIL("%s", #condition)))

/* For models: the task's operation is over and will return that. */
static RIG_UNUSED void interleave_grant(int task, int result)
{
    struct interleave_task *own = &interleave.tasks[task];
    INTERLEAVE_CHECK(own->waits && !own->granted);
    own->granted = true;
    own->expected = result;
}

static bide_async(interleave_body, (int, task))
{
    struct interleave_task *own = &interleave.tasks[task];
    int result = INTERLEAVE_START;
    for (int step = 0;; step++) {
        int operation = interleave.test->next(task, step, result);
        if (operation == INTERLEAVE_END)
            break;
        bide__give_turn(bide__coro_current());
        int expected = interleave.test->expect(task, operation, own->cancelled);
        own->waits = expected == INTERLEAVE_WAITS;
        own->granted = false;
        result = interleave.test->perform(task, operation);
        if (own->waits) {
            INTERLEAVE_CHECK(own->granted);
            expected = own->expected;
        }
        own->waits = false;
        if (result != expected)
            interleave_show();
        CHECK_INT(result, expected);
    }
    own->ended = true;
    return 0;
}

/* One of n; what the schedule says. */
static int interleave_choose(int n)
{
    INTERLEAVE_CHECK(interleave.n_choices < INTERLEAVE_CHOICES_MAX);
    int at = interleave.n_choices++;
    interleave.choices[at] = (unsigned char)(at < interleave.n_fixed ? interleave.choices[at] % n
                                                                     : 0);
    interleave.n_alternatives[at] = (unsigned char)n;
    return interleave.choices[at];
}

/* Takes a task's entry out of the ready queue. */
static bool interleave_unqueue(const struct bide__coro *coro)
{
    struct bide__ready_queue *queue = &interleave.loop->ready;
    struct bide__ready_queue all;
    struct bide__ready *ready;
    bool found = false;
    bide__ready_take(&all, queue);
    while ((ready = bide__ready_pop(&all))) {
        if (ready == &coro->ready)
            found = true;
        else
            bide__ready_push(queue, ready);
    }
    return found;
}

static void interleave_step(int task)
{
    struct bide__coro *coro = interleave.tasks[task].task->coro;
    INTERLEAVE_CHECK(interleave_unqueue(coro));
    bide__coro_continue(coro);
}

static void interleave_cancel(int task)
{
    struct interleave_task *own = &interleave.tasks[task];
    own->cancelled = true;
    if (own->waits && !own->granted)
        interleave.test->interrupt(task);
    CHECK_INT(bide_cancel(own->task), 1);
}

/* A task goes on if it has not ended and its operation, if it is in one, is over. */
static bool interleave_goes_on(int task)
{
    const struct interleave_task *own = &interleave.tasks[task];
    return !own->ended && (!own->waits || own->granted);
}

static void interleave_compare(void)
{
    bool ended = true;
    for (int i = 0; i < interleave.test->n_tasks; i++) {
        const struct interleave_task *own = &interleave.tasks[i];
        ended = ended && own->ended;
        INTERLEAVE_CHECK(own->ended == bide_task_done(own->task));
        if (!own->ended)
            INTERLEAVE_CHECK(interleave_goes_on(i) == (own->task->coro->wait == NULL));
    }
    interleave.test->compare(ended);
}

/* Lets a task that goes on do its next step, or cancels one; false if nothing is left to do. */
static bool interleave_act(void)
{
    int n_actions = 0;
    int actions[2 * INTERLEAVE_TASKS_MAX];
    int n_tasks = interleave.test->n_tasks;
    for (int i = 0; i < n_tasks; i++)
        if (interleave_goes_on(i))
            actions[n_actions++] = i;
    if (interleave.test->cancels && !interleave.cancel_used)
        for (int i = 0; i < n_tasks; i++)
            if (!interleave.tasks[i].ended)
                actions[n_actions++] = n_tasks + i;
    if (n_actions == 0) {
        for (int i = 0; i < n_tasks; i++) /* whoever waits in vain by the model too */
            if (!interleave.tasks[i].ended && !interleave.tasks[i].cancelled) {
                interleave_cancel(i);
                return true;
            }
        return false;
    }
    int action = actions[n_actions == 1 ? 0 : interleave_choose(n_actions)];
    if (action < n_tasks) {
        interleave_step(action);
    } else {
        interleave.cancel_used = true;
        interleave_cancel(action - n_tasks);
    }
    return true;
}

/* Plays one schedule. */
static void interleave_run(void)
{
    const struct interleave_case *test = interleave.test;
    interleave.n_choices = 0;
    interleave.cancel_used = false;
    interleave.n_runs++;
    test->reset();
    for (int i = 0; i < test->n_tasks; i++) {
        struct bide_task_opts opts = {.loop = interleave.loop};
        interleave.tasks[i] = (struct interleave_task){
            .task = bide_spawn_with(&opts, interleave_body, i)};
        CHECK(interleave.tasks[i].task);
        interleave_step(i);
    }
    do
        interleave_compare();
    while (interleave_act());
    for (int i = 0; i < test->n_tasks; i++) {
        INTERLEAVE_CHECK(interleave.tasks[i].ended);
        bide_detach(interleave.tasks[i].task);
    }
}

/* The schedule after the one that was played; false if that was the last one. */
static bool interleave_next_schedule(void)
{
    int at = interleave.n_choices - 1;
    while (at >= 0 && interleave.choices[at] + 1 == interleave.n_alternatives[at])
        at--;
    if (at < 0)
        return false;
    interleave.choices[at]++;
    interleave.n_fixed = at + 1;
    return true;
}

static void interleave_open(const struct interleave_case *test)
{
    memset(&interleave, 0, sizeof interleave);
    interleave.test = test;
    CHECK(test->n_tasks <= INTERLEAVE_TASKS_MAX);
    interleave.loop = rig_loop();
    CHECK_INT(bide__loop_enter(interleave.loop), 0);
}

static void interleave_close(void)
{
    bide__loop_leave(interleave.loop);
    rig_close(interleave.loop);
}

/* Plays all schedules; returns how many there were. */
static RIG_UNUSED unsigned long interleave_all(const struct interleave_case *test)
{
    interleave_open(test);
    do
        interleave_run();
    while (interleave_next_schedule());
    interleave_close();
    return interleave.n_runs;
}

/* Plays n schedules whose choices are drawn; the seed is printed. */
static RIG_UNUSED void interleave_some(const struct interleave_case *test, uint64_t seed,
                                       unsigned long n)
{
    printf("seed %llu\n", (unsigned long long)seed);
    interleave_open(test);
    interleave.n_fixed = INTERLEAVE_CHOICES_MAX;
    while (interleave.n_runs < n) {
        for (int i = 0; i < INTERLEAVE_CHOICES_MAX; i++)
            interleave.choices[i] = (unsigned char)test_random(&seed);
        interleave_run();
    }
    interleave_close();
}

/* The tasks that stand in a line, first to last, as in the model's array. */
static RIG_UNUSED void interleave_check_line(const struct bide__line *line, const int *tasks, int n)
{
    int at = 0;
    if (line->ring.next)
        bide__list_each(node, &line->ring)
        {
            const struct bide__coro *coro = bide__container(node, struct bide__coro, in_line.node);
            INTERLEAVE_CHECK(at < n && interleave.tasks[tasks[at]].task->coro == coro);
            at++;
        }
    INTERLEAVE_CHECK(at == n);
}

#endif
