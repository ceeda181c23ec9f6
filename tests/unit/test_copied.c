/*
 * Scenario: tasks with copied stacks that park in deep and shallow frames, with pointers to their
 * own locals, in every kind of wait, while others of the kind write over the stack that they share.
 * Claim: each finds its frames as it left them, with its own floating-point control words; waits,
 * limits, cancels, groups, combinators, queues and generators behave as for any other task; what
 * lies on such a stack is not lent to others, and where that cannot be, the call says so.
 */
#include "copied_rig.h"

#include <bide/barrier.h>
#include <bide/condition.h>
#include <bide/context.h>
#include <bide/event.h>
#include <bide/generator.h>
#include <bide/limiter.h>
#include <bide/lock.h>
#include <bide/queue.h>
#include <bide/select.h>
#include <bide/semaphore.h>
#include <bide/thread.h>
#include <fenv.h>

#include "fault.h"
#include "runtime/copied.h"

/* Frames */

struct knot {
    struct knot *self;
    struct knot *outer;
    uint64_t value;
};

static int deep(int depth, struct knot *outer, uint64_t seed)
{
    struct knot knot = {&knot, outer, seed * 0x9e3779b97f4a7c15u};
    volatile uint64_t filling[16];
    for (size_t i = 0; i < 16; i++)
        filling[i] = seed ^ i;
    int rc = depth > 0 ? deep(depth - 1, &knot, seed + 1) : bide_sleep(0);
    CHECK_PTR(knot.self, &knot);
    CHECK_PTR(knot.outer, outer);
    CHECK(knot.value == seed * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < 16; i++)
        CHECK(filling[i] == (seed ^ i));
    return rc;
}

static bide_async(goes_deep, (int, depth), (int, seed))
{
    for (int i = 0; i < 5; i++)
        CHECK_INT(deep(depth * (i + 1) / 5, NULL, (uint64_t)seed), 0);
    return seed;
}

TASK_TEST(frames_and_pointers_to_locals_survive)
{
    bide_task *tasks[24];
    for (int i = 0; i < 20; i++)
        tasks[i] = bide_spawn_with(&copied, goes_deep, i * i, i);
    for (int i = 20; i < 24; i++)
        tasks[i] = spawn_trampler();
    for (int i = 0; i < 20; i++)
        CHECK_INT(bide_await(tasks[i]), i);
    CHECK_INT(bide_gather(tasks + 20, 4, NULL), 0);
}

struct big {
    char bytes[3000];
};

static bide_async(takes_much, (struct big, big), (long double, wide))
{
    char sum = 0;
    CHECK_INT(bide_sleep(0), 0);
    for (size_t i = 0; i < sizeof big.bytes; i++)
        sum = (char)(sum + big.bytes[i]);
    CHECK(wide == 1.5L);
    return sum;
}

TASK_TEST(arguments_of_any_size)
{
    struct big big = {{0}};
    big.bytes[2999] = 7;
    bide_task *task = bide_spawn_with(&copied, takes_much, big, 1.5L);
    bide_task *trampler = spawn_trampler();
    CHECK_INT(bide_await(task), 7);
    CHECK_INT(bide_await(trampler), 0);
}

TASK_TEST(a_stack_size_of_its_own_cannot_be)
{
    struct bide_task_opts opts = {.stack = BIDE_STACK_COPIED, .stack_size = 65536};
    if (!copies_here())
        SKIP("no copied stacks here");
    CHECK_PTR(bide_spawn_with(&opts, returns, 1), NULL);
}

static bide_async(rounds, (int, own), (int, inherited))
{
    CHECK_INT(fegetround(), inherited);
    fesetround(own);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_sleep(0), 0);
        CHECK_INT(fegetround(), own);
    }
    return 0;
}

TASK_TEST(control_words_are_the_tasks_own)
{
    bide_task *tasks[2];
    if (test_emulated() || bide__on_valgrind())
        SKIP("rounding modes are not emulated");
    fesetround(FE_UPWARD);
    tasks[0] = bide_spawn_with(&copied, rounds, FE_DOWNWARD, FE_UPWARD);
    fesetround(FE_TONEAREST);
    tasks[1] = bide_spawn_with(&copied, rounds, FE_TOWARDZERO, FE_TONEAREST);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_INT(fegetround(), FE_TONEAREST);
}

/* At random */

static int wanders(int depth, unsigned *state);

static bide_async(wanderer, (unsigned, seed))
{
    unsigned state = seed * 2654435761u + 1;
    return wanders(3, &state);
}

static unsigned draw(unsigned *state, unsigned n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % n;
}

static int waits_somehow(unsigned *state)
{
    switch (draw(state, 4)) {
    case 0:
        return bide_sleep(0);
    case 1:
        return bide_sleep(draw(state, 100) * 1e-5);
    case 2:
        return bide_within(1e-4, bide_sleep(10)) == -ETIMEDOUT ? 0 : -EIO;
    default:
        return bide_await(bide_spawn_with(&copied, goes_deep, 5, 1)) == 1 ? 0 : -EIO;
    }
}

static int wanders(int depth, unsigned *state)
{
    unsigned frame[48];
    unsigned *const begin = frame;
    unsigned sum = 0;
    size_t n = draw(state, 48) + 1;
    for (size_t i = 0; i < n; i++)
        sum += frame[i] = *state ^ (unsigned)i * 40503u;
    int n_steps = (int)draw(state, 3);
    for (int i = 0; i < n_steps; i++) {
        int rc = depth > 0 && draw(state, 2) ? wanders(depth - 1, state)
                 : depth == 3                ? waits_somehow(state)
                                             : bide_sleep(draw(state, 3) * 1e-5);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < n; k++)
            sum -= begin[k];
        CHECK_INT(sum, 0);
        for (size_t k = 0; k < n; k++)
            sum += frame[k];
    }
    return 0;
}

TASK_TEST_SECONDS(many_at_random_keep_their_frames, 200)
{
    size_t n = test_long() ? 100000 : copies_here() ? 5000 : 200;
    bide_task **tasks = malloc(n * sizeof *tasks);
    unsigned seed = (unsigned)test_seed();
    CHECK(tasks);
    for (size_t i = 0; i < n; i++) {
        tasks[i] = bide_spawn_with(i % 17 ? &copied : NULL, wanderer, seed + (unsigned)i);
        CHECK(tasks[i]);
    }
    CHECK_INT(bide_gather_all(tasks, n, NULL), 0);
    free(tasks);
}

/* Cancels, limits, groups */

static bide_async(unwinds, (int, depth))
{
    char local[64] = "mine";
    int rc = depth > 0 ? unwinds(depth - 1) : bide_sleep(INFINITY);
    CHECK_STR(local, "mine");
    CHECK_INT(bide_shielded(1, bide_sleep(0)), 0);
    return rc;
}

TASK_TEST(cancel_with_words_and_taken_back)
{
    bide_task *task = bide_spawn_with(&copied, unwinds, 5);
    bide_task *trampler = spawn_trampler();
    turns(1);
    CHECK_INT(bide_cancel_with(task, "enough"), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_STR(bide_error_detail(), "enough");
    CHECK_INT(bide_await(trampler), 0);
}

static bide_async(limits)
{
    bide_timeout *outer;
    CHECK_INT(bide_timeout_begin(100, &outer), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_within(50, bide_within(20, bide_within(0.001, unwinds(2)))), -ETIMEDOUT);
    CHECK_INT(bide_timeout_end(outer, 0), 0);
    return 7;
}

static bide_async(fails, (int, rc))
{
    int waited = bide_sleep(0);
    return waited < 0 ? waited : bide_fail(rc, "as told");
}

static bide_async(groups)
{
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_group_spawn_with(group, &copied, unwinds, i), 0);
    CHECK_INT(bide_group_spawn_with(group, &copied, fails, -EDOM), 0);
    CHECK_INT(bide_group_close(group, 0), -EDOM);
    CHECK_CONTAINS(bide_error_detail(), "as told");
    return 8;
}

TASK_TEST(limits_shields_and_groups)
{
    bide_task *tasks[] = {bide_spawn_with(&copied, limits), bide_spawn_with(&copied, groups),
                          spawn_trampler()};
    int results[3];
    CHECK_INT(bide_gather(tasks, 3, results), 0);
    CHECK_INT(results[0], 7);
    CHECK_INT(results[1], 8);
}

/* Arrays on the stack of who waits */

static bide_async(gathers)
{
    bide_task *tasks[4];
    int results[4] = {0};
    for (int i = 0; i < 4; i++)
        tasks[i] = bide_spawn_with(&copied, goes_deep, 30, i + 1);
    CHECK_INT(bide_gather(tasks, 4, results), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_PTR(tasks[i], NULL);
        CHECK_INT(results[i], i + 1);
    }
    for (int i = 0; i < 4; i++)
        tasks[i] = i == 2 ? spawn_trampler() : bide_spawn_with(&copied, unwinds, 3);
    CHECK_INT(bide_next_done(tasks, 4), 2);
    CHECK_INT(bide_wait(tasks, 4, BIDE_FIRST_COMPLETED), 1);
    CHECK_INT(bide_within(0.001, bide_wait(tasks + 1, 3, BIDE_ALL_COMPLETED)), -ETIMEDOUT);
    CHECK_INT(bide_cancel_join(tasks, 4), 0);
    for (int i = 0; i < 4; i++)
        CHECK_PTR(tasks[i], NULL);
    return 0;
}

/* Cancelled while it gathers: the request goes on to what is in its array. */
static bide_async(gathers_forever)
{
    bide_task *tasks[2] = {bide_spawn_with(&copied, unwinds, 1),
                           bide_spawn_with(&copied, unwinds, 9)};
    int rc = bide_gather(tasks, 2, NULL);
    CHECK_PTR(tasks[0], NULL);
    CHECK_PTR(tasks[1], NULL);
    return rc;
}

TASK_TEST(arrays_of_who_gathers_and_waits)
{
    bide_task *trampler = spawn_trampler();
    bide_task *task = bide_spawn_with(&copied, gathers);
    bide_task *forever = bide_spawn_with(&copied, gathers_forever);
    bide_task *another = bide_spawn_with(&copied, goes_deep, 20, 3);
    turns(3);
    CHECK_INT(bide_cancel(forever), 1);
    CHECK_INT(bide_await(forever), -ECANCELED);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_await(another), 3);
    CHECK_INT(bide_await(trampler), 0);
}

/* Queues, select, locks */

struct item {
    int number;
    char text[40];
};

static bide_async(puts_items, (bide_queue *, queue))
{
    for (int i = 0; i < 20; i++) {
        struct item item = {.number = i};
        snprintf(item.text, sizeof item.text, "item %d", i);
        CHECK_INT(bide_queue_put(queue, &item), 0);
        trample(10);
    }
    return 0;
}

static bide_async(gets_items, (bide_queue *, queue))
{
    for (int i = 0; i < 20; i++) {
        struct item item = {.number = -1};
        char text[40];
        if (i % 2) {
            CHECK_INT(bide_queue_get(queue, &item), 0);
        } else {
            struct bide_case cases[] = {bide_case_until(bide_time() + 100),
                                        bide_case_get(queue, &item)};
            CHECK_INT(bide_select(cases, 2), 1);
        }
        CHECK_INT(item.number, i);
        snprintf(text, sizeof text, "item %d", i);
        CHECK_STR(item.text, text);
        trample(20);
    }
    return 0;
}

TASK_TEST(queues_give_into_locals_and_take_from_them)
{
    bide_queue *queue;
    struct bide_queue_opts opts = {.rendezvous = true};
    CHECK_INT(bide_queue_new(sizeof(struct item), &opts, &queue), 0);
    bide_task *tasks[] = {bide_spawn_with(&copied, gets_items, queue),
                          bide_spawn_with(&copied, puts_items, queue)};
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    bide_queue_free(queue);
}

static struct {
    bide_lock lock;
    bide_semaphore semaphore;
    bide_condition condition;
    bide_event event;
    bide_barrier barrier;
    bide_limiter limiter;
} shared;

static bide_async(synchronises, (int, i))
{
    char mine[32];
    snprintf(mine, sizeof mine, "task %d", i);
    CHECK_INT(bide_lock_acquire(&shared.lock), 0);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_lock_release(&shared.lock), 0);
    CHECK_INT(bide_semaphore_acquire(&shared.semaphore), 0);
    trample(5 + i);
    CHECK_INT(bide_semaphore_release(&shared.semaphore), 0);
    CHECK_INT(bide_event_wait(&shared.event), 0);
    CHECK_RANGE(bide_barrier_wait(&shared.barrier), 0, 3);
    CHECK_INT(bide_limiter_acquire(&shared.limiter, 1), 0);
    CHECK_INT(bide_lock_acquire(bide_condition_lock(&shared.condition)), 0);
    CHECK_INT(bide_within(0.001, bide_condition_wait(&shared.condition)), -ETIMEDOUT);
    CHECK_INT(bide_lock_release(bide_condition_lock(&shared.condition)), 0);
    char expected[32];
    snprintf(expected, sizeof expected, "task %d", i);
    CHECK_STR(mine, expected);
    return i;
}

TASK_TEST(locks_and_their_like)
{
    bide_task *tasks[4];
    memset(&shared, 0, sizeof shared);
    CHECK_INT(bide_semaphore_init(&shared.semaphore, 1), 0);
    CHECK_INT(bide_barrier_init(&shared.barrier, 4), 0);
    CHECK_INT(bide_limiter_init(&shared.limiter,
                                &(struct bide_limiter_opts){.permits = 1, .period_seconds = 0.001}),
              0);
    for (int i = 0; i < 4; i++)
        tasks[i] = bide_spawn_with(&copied, synchronises, i);
    turns(5);
    bide_event_set(&shared.event);
    for (int i = 0; i < 4; i++)
        CHECK_INT(bide_await(tasks[i]), i);
}

static int unused_job(void *data)
{
    (void)data;
    return 3;
}

#define CHECK_REFUSED(call) \
    do { \
        CHECK_INT(call, -EINVAL); \
        CHECK_CONTAINS(bide_error_detail(), "on the stack of a task whose stack is copied"); \
    } while (0)

static bide_async(lends_locals)
{
    bide_event event = {0};
    bide_semaphore semaphore = {0};
    bide_barrier barrier;
    bide_lock lock = {0};
    static bide_event elsewhere;
    static int number;
    struct bide_case cases[] = {bide_case_event(&elsewhere), bide_case_event(&event)};
    CHECK_REFUSED(bide_event_wait(&event));
    CHECK_REFUSED(bide_semaphore_acquire(&semaphore));
    CHECK_INT(bide_barrier_init(&barrier, 2), 0);
    CHECK_REFUSED(bide_barrier_wait(&barrier));
    CHECK_REFUSED(bide_select(cases, 2));
    CHECK_REFUSED(bide_to_thread(unused_job, &event));
    CHECK_INT(bide_to_thread(unused_job, &number), 3);
    CHECK_INT(bide_to_thread(unused_job, NULL), 3);
    CHECK_INT(bide_lock_acquire(&lock), 0); /* nobody else can want it */
    CHECK_INT(bide_lock_release(&lock), 0);
    return 0;
}

TASK_TEST(what_cannot_be_lent_is_refused_in_words)
{
    if (!copies_here())
        SKIP("no copied stacks here");
    CHECK_INT(bide_await(bide_spawn_with(&copied, lends_locals)), 0);
}

/* Generators and context variables */

static bide_generator(int, counts, (int, n))
{
    char frame[256] = "body";
    for (int i = 0; i < n; i++) {
        int rc = i % 3 ? 0 : bide_sleep(0);
        if (rc < 0)
            return rc;
        CHECK_STR(frame, "body");
        rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bide_async(consumes, (int, n))
{
    int sum = 0;
    int item = -1;
    bide_iterator *numbers = bide_iterate(counts, n);
    for (int rc; (rc = bide_next(numbers, &item)) != 0;) {
        CHECK_INT(rc, 1);
        sum += item;
        CHECK_INT(bide_sleep(0), 0);
    }
    CHECK_INT(bide_iterator_close(numbers), 0);
    return sum;
}

TASK_TEST(generators_in_copied_tasks)
{
    bide_task *tasks[4];
    for (int i = 0; i < 3; i++)
        tasks[i] = bide_spawn_with(&copied, consumes, 10);
    tasks[3] = spawn_trampler();
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_await(tasks[i]), 45);
    CHECK_INT(bide_await(tasks[3]), 0);
}

static const bide_context_var number_var = {"number", NULL};

static bide_async(reads_variable, (uintptr_t, expected))
{
    CHECK(bide_context_get(&number_var) == (void *)expected);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_context_set(&number_var, (void *)(expected + 1), NULL, NULL), 0);
    CHECK_INT(bide_sleep(0), 0);
    CHECK(bide_context_get(&number_var) == (void *)(expected + 1));
    return 0;
}

TASK_TEST(context_variables)
{
    bide_task *tasks[2];
    tasks[0] = bide_spawn_with(&copied, reads_variable, 0);
    CHECK_INT(bide_context_set(&number_var, (void *)40, NULL, NULL), 0);
    CHECK_INT(bide_await(tasks[0]), 0);
    tasks[0] = bide_spawn_with(&copied, reads_variable, 40);
    tasks[1] = bide_spawn_with(&copied, reads_variable, 40);
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
}

/* Ends */

static bide_async(ignores, (int *, n_cleaned))
{
    while (bide_sleep(INFINITY) < 0)
        ++*n_cleaned;
    return 0;
}

BIDE_TEST(loop_closed_with_parked_tasks)
{
    static int n_cleaned;
    struct bide_loop_opts opts = {.cleanup_seconds = 0.05};
    struct bide_task_opts task_opts = {.stack = BIDE_STACK_COPIED};
    bide_loop *loop = rig_loop_with(&opts);
    task_opts.loop = loop;
    bide_task *kept = bide_spawn_with(&task_opts, ignores, &n_cleaned);
    for (int i = 0; i < 10; i++)
        bide_detach(bide_spawn_with(&task_opts, unwinds, i));
    bide_task *ended = bide_spawn_with(&task_opts, returns, 5);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_retain(ended)), 5);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK(n_cleaned > 0);
    while (*take_report())
        ;
    CHECK_INT(bide_task_done(kept), true);
    CHECK_INT(bide_task_cancelled(kept), true);
    int result;
    CHECK_INT(bide_task_result(ended, &result), 0);
    CHECK_INT(result, 5);
    bide_detach(kept);
    bide_detach(ended);
    rig_end();
}

TASK_TEST(never_begun_and_abandoned)
{
    bide_task *task = bide_spawn_with(&copied, returns, 5);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    struct bide_task_opts opts = {.stack = BIDE_STACK_COPIED, .always_start = true, .name = "one"};
    task = bide_spawn_with(&opts, fails, -EDOM);
    CHECK_STR(bide_task_name(task), "one");
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

/* Memory */

TASK_TEST(no_memory_to_spawn)
{
    bide_loop *loop = bide_loop_current();
    for (unsigned long n = 1;; n++) {
        fault_arm(FAULT_ALLOCATION, n, 0);
        struct bide_task_opts opts = {.stack = BIDE_STACK_COPIED, .name = "named"};
        bide_task *task = bide_spawn_with(&opts, returns, 5);
        bool failed = fault_disarm();
        CHECK_INT(!task, failed);
        if (task)
            CHECK_INT(bide_await(task), 5);
        CHECK_INT(bide_all_tasks(loop, NULL, 0), 1);
        if (!failed)
            break;
    }
}

/* The reserve does not reach down here, and there is no memory for a larger one. */
static bide_async(parks_deep, (int, kib), (bide_queue *, full), (bide_task *, child))
{
    volatile char frame[1024];
    frame[kib % 1024] = (char)kib;
    if (kib > 0) {
        int rc = parks_deep(kib - 1, full, child);
        CHECK_INT(frame[kib % 1024], (char)kib);
        return rc;
    }
    int item = 1;
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_queue_put(full, &item), -ENOMEM);
    CHECK_INT(fault_disarm(), true);
    CHECK_INT(bide_queue_size(full), 1);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_sleep(0), -ENOMEM);
    CHECK_INT(fault_disarm(), true);
    /* A join goes on all the same. */
    CHECK_INT(bide_await(child), 4);
    CHECK_INT(bide_sleep(0), 0);
    return 0;
}

TASK_TEST(no_memory_to_park)
{
    bide_queue *queue;
    int item = 1;
    if (!copies_here())
        SKIP("no copied stacks here");
    CHECK_INT(bide_queue_new(sizeof item, &(struct bide_queue_opts){.capacity = 1}, &queue), 0);
    CHECK_INT(bide_queue_put(queue, &item), 0);
    bide_task *task = bide_spawn_with(&copied, parks_deep, 60, queue, bide_spawn(returns, 4));
    bide_task *other = bide_spawn_with(&copied, goes_deep, 10, 2);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_await(other), 2);
    bide_queue_free(queue);
}

static bide_async(joins_deep, (int, kib), (bide_task *, child))
{
    volatile char frame[1024];
    frame[kib % 1024] = (char)kib;
    int rc = kib > 0 ? joins_deep(kib - 1, child) : bide_await(child);
    CHECK_INT(frame[kib % 1024], (char)kib);
    return rc;
}

static bide_async(lasts, (int, n_turns))
{
    for (int i = 0; i < n_turns; i++)
        CHECK_INT(bide_sleep(0), 0);
    return 6;
}

/*
 * A join parks although there is no memory to copy its frames to: it stays on the shared stack, and
 * others of its kind wait until there is, or until it went on.
 */
TASK_TEST(who_cannot_be_copied_stays)
{
    if (!copies_here())
        SKIP("no copied stacks here");
    struct bide_task_opts private = {.stack = BIDE_STACK_PRIVATE};
    bide_task *child = bide_spawn_with(&private, lasts, 6);
    bide_task *deep_one = bide_spawn_with(&copied, joins_deep, 50, child);
    turns(1);
    bide_task *other = bide_spawn_with(&copied, returns, 3);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    turns(1);
    CHECK_INT(fault_disarm(), true);
    CHECK_INT(bide_task_done(other), false);
    CHECK_INT(bide_await(other), 3);
    CHECK_INT(bide_await(deep_one), 6);
}

TASK_TEST(after_a_peak_memory_goes_back)
{
    enum { N = 20000 };
    if (!copies_here())
        SKIP("no copied stacks here");
    bide_task **tasks = malloc(N * sizeof *tasks);
    CHECK(tasks);
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn_with(&copied, unwinds, 0);
    turns(2);
    const struct bide__slab *slab = &bide_loop_current()->copied->slab;
    size_t peak = slab->bytes;
    CHECK_RANGE(peak, N * 300, N * 5000); /* a ucontext alone is a KiB */
    CHECK_INT(bide_cancel_join(tasks, N), 0);
    CHECK_RANGE(slab->bytes, 1, peak / 2);
    free(tasks);
}
