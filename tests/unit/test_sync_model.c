/*
 * Scenario: up to four tasks do three operations each on one lock, semaphore or condition, in every
 * order, and one of them is cancelled at every point in turn; whatever they hold then is released.
 * Claim: at each point exactly those wait that wait in a model of arrays, in the same order, and
 * each operation returns what the model says. So no wake-up is lost, no permit is created or lost,
 * a lock has one owner, and first come is first served.
 *
 * With BIDE_TEST_LONG all orders of four tasks are played, otherwise those of three and some of
 * those of four, in a slow build some of each.
 */
#include "interleave.h"

#include <bide/condition.h>
#include <bide/lock.h>
#include <bide/semaphore.h>

enum operation { END, ACQUIRE, TRY, RELEASE, WAIT, NOTIFY, NOTIFY_ALL };
enum { OPERATIONS = 3, NOBODY = -1 };

typedef unsigned char program[OPERATIONS];

/* Who waits, first to last. */
struct model_line {
    int tasks[INTERLEAVE_TASKS_MAX];
    int n;
};

static struct {
    const program *programs;
    bool leaving[INTERLEAVE_TASKS_MAX]; /* a cancelled task only releases what it holds */
    int held[INTERLEAVE_TASKS_MAX];
    int owner;
    int value;
    int limit;
    struct model_line line;                  /* for the lock or a permit */
    struct model_line waiters;               /* for a notification */
    bool relocking[INTERLEAVE_TASKS_MAX];    /* after a condition: no cancel ends that wait */
    int relock_result[INTERLEAVE_TASKS_MAX]; /* what the call returns once it has the lock */
} model;

static void model_reset(void)
{
    memset(model.leaving, 0, sizeof model.leaving);
    memset(model.held, 0, sizeof model.held);
    memset(model.relocking, 0, sizeof model.relocking);
    model.owner = NOBODY;
    model.line.n = 0;
    model.waiters.n = 0;
}

static void line_add(struct model_line *line, int task)
{
    line->tasks[line->n++] = task;
}

static void line_remove(struct model_line *line, int at)
{
    line->n--;
    for (; at < line->n; at++)
        line->tasks[at] = line->tasks[at + 1];
}

/* The task's place; NOBODY if it is not there. */
static int line_find(const struct model_line *line, int task)
{
    for (int at = 0; at < line->n; at++)
        if (line->tasks[at] == task)
            return at;
    return NOBODY;
}

static int next_operation(int task, int step, int result)
{
    if (result == -ECANCELED || step >= OPERATIONS || model.programs[task][step] == END)
        model.leaving[task] = true;
    if (!model.leaving[task])
        return model.programs[task][step];
    bool can = model.held[task] > 0 && result != -EOVERFLOW; /* somebody released what he had not */
    return can ? RELEASE : INTERLEAVE_END;
}

static bide_lock lock;

static void lock_reset(void)
{
    model_reset();
    lock = (bide_lock){0};
}

static int lock_perform(int task, int operation)
{
    (void)task;
    switch (operation) {
    case ACQUIRE:
        return bide_lock_acquire(&lock);
    case TRY:
        return bide_lock_try(&lock);
    default:
        return bide_lock_release(&lock);
    }
}

static void own(int task)
{
    model.owner = task;
    model.held[task] = 1;
}

/* The model's owner gives the lock to the next one. */
static void pass(void)
{
    model.held[model.owner] = 0;
    model.owner = NOBODY;
    if (model.line.n == 0)
        return;
    int next = model.line.tasks[0];
    line_remove(&model.line, 0);
    own(next);
    interleave_grant(next, model.relocking[next] ? model.relock_result[next] : 0);
    model.relocking[next] = false;
}

static int lock_expect(int task, int operation, bool cancelled)
{
    if (operation == RELEASE) {
        if (model.owner != task)
            return -EPERM;
        pass();
        return 0;
    }
    if (operation == ACQUIRE && cancelled)
        return -ECANCELED;
    if (model.owner == NOBODY) {
        own(task);
        return 0;
    }
    if (model.owner == task)
        return -EDEADLK;
    if (operation == TRY)
        return -EAGAIN;
    line_add(&model.line, task);
    return INTERLEAVE_WAITS;
}

/* From the line for a lock or a permit. */
static void line_interrupt(int task)
{
    line_remove(&model.line, line_find(&model.line, task));
    interleave_grant(task, -ECANCELED);
}

static void compare_lock(const bide_lock *actual, bool ended)
{
    const bide_task *owner = model.owner == NOBODY ? NULL : interleave.tasks[model.owner].task;
    INTERLEAVE_CHECK(actual->owner == (owner ? owner->number : 0));
    INTERLEAVE_CHECK(bide_lock_locked(actual) == (owner != NULL));
    interleave_check_line(&actual->line, model.line.tasks, model.line.n);
    if (ended)
        INTERLEAVE_CHECK(model.owner == NOBODY);
}

static void lock_compare(bool ended)
{
    compare_lock(&lock, ended);
}

static const struct interleave_case lock_case = {
    .cancels = true,
    .reset = lock_reset,
    .next = next_operation,
    .perform = lock_perform,
    .expect = lock_expect,
    .interrupt = line_interrupt,
    .compare = lock_compare,
};

static bide_semaphore semaphore;
static int semaphore_permits;
static bool semaphore_bounded;

static void semaphore_reset(void)
{
    model_reset();
    model.value = semaphore_permits;
    model.limit = semaphore_bounded ? semaphore_permits : 1000;
    if (semaphore_bounded)
        CHECK_INT(bide_semaphore_init_bounded(&semaphore, (size_t)semaphore_permits), 0);
    else
        CHECK_INT(bide_semaphore_init(&semaphore, (size_t)semaphore_permits), 0);
}

static int semaphore_perform(int task, int operation)
{
    (void)task;
    switch (operation) {
    case ACQUIRE:
        return bide_semaphore_acquire(&semaphore);
    case TRY:
        return bide_semaphore_try(&semaphore);
    default:
        return bide_semaphore_release(&semaphore);
    }
}

static int semaphore_expect(int task, int operation, bool cancelled)
{
    if (operation == RELEASE) {
        if (model.value >= model.limit)
            return -EOVERFLOW;
        model.held[task]--;
        if (model.line.n == 0) {
            model.value++;
            return 0;
        }
        int next = model.line.tasks[0];
        line_remove(&model.line, 0);
        model.held[next]++;
        interleave_grant(next, 0);
        return 0;
    }
    if (operation == ACQUIRE && cancelled)
        return -ECANCELED;
    if (model.value > 0) {
        model.value--;
        model.held[task]++;
        return 0;
    }
    if (operation == TRY)
        return -EAGAIN;
    line_add(&model.line, task);
    return INTERLEAVE_WAITS;
}

static void semaphore_compare(bool ended)
{
    int n_held = 0;
    for (int i = 0; i < interleave.test->n_tasks; i++)
        n_held += model.held[i];
    INTERLEAVE_CHECK((int)bide_semaphore_value(&semaphore) + n_held == semaphore_permits);
    INTERLEAVE_CHECK((int)bide_semaphore_value(&semaphore) == model.value);
    interleave_check_line(&semaphore.line, model.line.tasks, model.line.n);
    if (ended)
        INTERLEAVE_CHECK(model.line.n == 0);
}

static const struct interleave_case semaphore_case = {
    .cancels = true,
    .reset = semaphore_reset,
    .next = next_operation,
    .perform = semaphore_perform,
    .expect = semaphore_expect,
    .interrupt = line_interrupt,
    .compare = semaphore_compare,
};

static bide_condition condition;

static void condition_reset(void)
{
    model_reset();
    condition = (bide_condition){0};
}

static int condition_perform(int task, int operation)
{
    (void)task;
    switch (operation) {
    case ACQUIRE:
        return bide_lock_acquire(bide_condition_lock(&condition));
    case TRY:
        return bide_lock_try(bide_condition_lock(&condition));
    case WAIT:
        return bide_condition_wait(&condition);
    case NOTIFY:
        return bide_condition_notify(&condition, 1);
    case NOTIFY_ALL:
        return bide_condition_notify_all(&condition);
    default:
        return bide_lock_release(bide_condition_lock(&condition));
    }
}

/* A waiting task is on its way back, and will return that. */
static void relock(int task, int result)
{
    if (model.owner == NOBODY) {
        own(task);
        interleave_grant(task, result);
    } else {
        model.relocking[task] = true;
        model.relock_result[task] = result;
        line_add(&model.line, task);
    }
}

static int condition_expect(int task, int operation, bool cancelled)
{
    int n = 0;
    if (operation == ACQUIRE || operation == TRY || operation == RELEASE)
        return lock_expect(task, operation, cancelled);
    if (operation == WAIT && cancelled)
        return -ECANCELED;
    if (model.owner != task)
        return -EPERM;
    if (operation == WAIT) {
        pass();
        line_add(&model.waiters, task);
        return INTERLEAVE_WAITS;
    }
    for (; model.waiters.n > 0 && (operation == NOTIFY_ALL || n == 0); n++) {
        int first = model.waiters.tasks[0];
        line_remove(&model.waiters, 0);
        relock(first, 0);
    }
    return n;
}

static void condition_interrupt(int task)
{
    int at = line_find(&model.waiters, task);
    if (at >= 0) {
        line_remove(&model.waiters, at);
        relock(task, -ECANCELED);
    } else if (!model.relocking[task]) {
        line_interrupt(task);
    }
}

static void condition_compare(bool ended)
{
    compare_lock(bide_condition_lock(&condition), ended);
    interleave_check_line(&condition.line, model.waiters.tasks, model.waiters.n);
}

static const struct interleave_case condition_case = {
    .cancels = true,
    .reset = condition_reset,
    .next = next_operation,
    .perform = condition_perform,
    .expect = condition_expect,
    .interrupt = condition_interrupt,
    .compare = condition_compare,
};

/* Plays all orders of these programs; of four tasks, or where the build is slow, a part of them. */
static void play(const struct interleave_case *kind, const program *programs, int n_tasks)
{
    struct interleave_case test = *kind;
    test.n_tasks = n_tasks;
    model.programs = programs;
    if (test_long() || (n_tasks < 4 && test_slowness() == 1))
        printf("%lu schedules\n", interleave_all(&test));
    else
        interleave_some(&test, test_seed(), 50000 / (unsigned)test_slowness());
}

/* The n-th of the programs whose operations are the first `base` ones of an alphabet. */
static void spell(int n, const unsigned char *alphabet, int base, program ret_program)
{
    for (int i = 0; i < OPERATIONS; i++, n /= base)
        ret_program[i] = alphabet[n % base];
}

/* All orders of every pair of such programs; of the pairs, every `stride`-th if there is little
 * time. */
static void play_pairs(const struct interleave_case *kind, const unsigned char *alphabet, int base,
                       int stride)
{
    struct interleave_case test = *kind;
    program pair[2];
    int n_programs = base * base * base;
    unsigned long n_runs = 0;
    test.n_tasks = 2;
    model.programs = (const program *)pair;
    stride = test_long() ? 1 : stride * test_slowness();
    for (int n = 0; n < n_programs * n_programs; n += stride) {
        spell(n % n_programs, alphabet, base, pair[0]);
        spell(n / n_programs, alphabet, base, pair[1]);
        n_runs += interleave_all(&test);
    }
    printf("%lu schedules\n", n_runs);
}

static const unsigned char alphabet[] = {ACQUIRE, RELEASE, TRY, WAIT, NOTIFY, NOTIFY_ALL};

BIDE_TEST(lock_by_three, .seeds_max = 3)
{
    static const program programs[][3] = {
        {{ACQUIRE, RELEASE, ACQUIRE}, {ACQUIRE, RELEASE, TRY}, {ACQUIRE, ACQUIRE, RELEASE}},
        {{ACQUIRE, RELEASE, RELEASE}, {TRY, ACQUIRE, RELEASE}, {RELEASE, TRY, RELEASE}},
        {{ACQUIRE, RELEASE, END}, {ACQUIRE, RELEASE, ACQUIRE}, {ACQUIRE, RELEASE, ACQUIRE}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(&lock_case, programs[i], 3);
}

BIDE_TEST(lock_by_four, .seconds = 240, .seeds_max = 3)
{
    static const program programs[] = {{ACQUIRE, RELEASE, ACQUIRE},
                                       {ACQUIRE, RELEASE, TRY},
                                       {ACQUIRE, ACQUIRE, RELEASE},
                                       {TRY, ACQUIRE, RELEASE}};
    play(&lock_case, programs, 4);
}

BIDE_TEST(lock_by_every_pair)
{
    play_pairs(&lock_case, alphabet, 3, 7);
}

BIDE_TEST(semaphore_by_three, .seeds_max = 3)
{
    static const program programs[][3] = {
        {{ACQUIRE, ACQUIRE, RELEASE}, {ACQUIRE, RELEASE, ACQUIRE}, {ACQUIRE, RELEASE, TRY}},
        {{ACQUIRE, RELEASE, RELEASE}, {TRY, ACQUIRE, RELEASE}, {RELEASE, ACQUIRE, ACQUIRE}},
    };
    for (semaphore_permits = 0; semaphore_permits <= 2; semaphore_permits++) {
        semaphore_bounded = semaphore_permits == 1;
        for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
            play(&semaphore_case, programs[i], 3);
    }
}

BIDE_TEST(semaphore_by_four, .seconds = 240, .seeds_max = 3)
{
    static const program programs[] = {{ACQUIRE, RELEASE, ACQUIRE},
                                       {ACQUIRE, ACQUIRE, RELEASE},
                                       {ACQUIRE, RELEASE, END},
                                       {ACQUIRE, RELEASE, RELEASE}};
    semaphore_bounded = true;
    semaphore_permits = 1;
    play(&semaphore_case, programs, 4);
    semaphore_permits = 2;
    play(&semaphore_case, programs, 4);
}

BIDE_TEST(semaphore_by_every_pair, .seeds_max = 3)
{
    semaphore_permits = 1;
    play_pairs(&semaphore_case, alphabet, 3, 7);
    semaphore_bounded = true;
    play_pairs(&semaphore_case, alphabet, 3, 7);
}

BIDE_TEST(condition_by_three, .seeds_max = 3)
{
    static const program programs[][3] = {
        {{ACQUIRE, WAIT, RELEASE}, {ACQUIRE, WAIT, NOTIFY}, {ACQUIRE, NOTIFY, RELEASE}},
        {{ACQUIRE, WAIT, RELEASE}, {ACQUIRE, WAIT, RELEASE}, {ACQUIRE, NOTIFY_ALL, RELEASE}},
        {{ACQUIRE, WAIT, WAIT}, {ACQUIRE, NOTIFY, WAIT}, {ACQUIRE, NOTIFY, WAIT}},
        {{ACQUIRE, WAIT, RELEASE}, {ACQUIRE, RELEASE, ACQUIRE}, {TRY, NOTIFY, RELEASE}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(&condition_case, programs[i], 3);
}

BIDE_TEST(condition_by_four, .seconds = 240, .seeds_max = 3)
{
    static const program programs[][4] = {
        {{ACQUIRE, WAIT, RELEASE},
         {ACQUIRE, WAIT, RELEASE},
         {ACQUIRE, NOTIFY, RELEASE},
         {ACQUIRE, NOTIFY, RELEASE}},
        {{ACQUIRE, WAIT, RELEASE},
         {ACQUIRE, WAIT, NOTIFY},
         {ACQUIRE, NOTIFY_ALL, WAIT},
         {ACQUIRE, RELEASE, ACQUIRE}},
        {{ACQUIRE, WAIT, RELEASE},
         {ACQUIRE, WAIT, NOTIFY},
         {ACQUIRE, WAIT, NOTIFY},
         {ACQUIRE, NOTIFY, RELEASE}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(&condition_case, programs[i], 4);
}

BIDE_TEST(condition_by_every_pair, .seconds = 120, .seeds_max = 3)
{
    play_pairs(&condition_case, alphabet, 6, 101);
}
