/*
 * Scenario: iterators made from a table of one's own functions, whose next() gives values, ends,
 * fails in every way and suspends; also with allocations that fail. Claim: next() is asked as long
 * as the kind promises it, sizes are checked, close() runs once, and its error and the iteration's
 * come out.
 */
#include <bide/generator.h>
#include <pthread.h>

#include "fault.h"
#include "task_rig.h"

struct script {
    const int *steps; /* a value, or an error if negative; ends with 0 */
    int n_asked;
    int n_closed;
    int close_result;
    bool suspends;
};

static int script_next(void *self, void *ret_item)
{
    struct script *script = self;
    if (script->suspends) {
        int rc = bide_sleep(0);
        if (rc < 0)
            return rc;
    }
    int step = script->steps[script->n_asked++];
    if (step <= 0)
        return step;
    *(int *)ret_item = step;
    return 1;
}

static int script_close(void *self)
{
    struct script *script = self;
    script->n_closed++;
    int rc = script->suspends ? bide_sleep(0) : 0;
    return rc < 0 ? rc : script->close_result;
}

static const struct bide_iterator_kind script_kind = {
    .name = "script", .next = script_next, .close = script_close};

/* Asks until the end comes a second time, and compares all that was returned; values as themselves.
 */
static void check_asked(bide_iterator *it, const int *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int value = -77;
        int rc = bide_next(it, &value);
        CHECK_INT(rc == 1 ? value : rc, expected[i]);
        if (rc != 1)
            CHECK_INT(value, -77);
    }
}

#define CHECK_ASKED(it, ...) \
    check_asked(it, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void check_script(const int *steps, const int *expected, size_t n, int n_asked)
{
    struct script script = {.steps = steps};
    bide_iterator *it = bide_iterator_new(&script_kind, &script, sizeof(int));
    check_asked(it, expected, n);
    CHECK_INT(script.n_asked, n_asked);
    CHECK_INT(script.n_closed, 0);
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_INT(script.n_closed, 1);
}

#define STEPS(...) ((const int[]){__VA_ARGS__})

BIDE_TEST(values_then_the_end)
{
    check_script(STEPS(1, 2, 3, 0), STEPS(1, 2, 3, 0, 0, 0), 6, 4);
    check_script(STEPS(0), STEPS(0, 0), 2, 1);
}

BIDE_TEST(error_is_the_end)
{
    check_script(STEPS(1, -EIO, 2), STEPS(1, -EIO, 0, 0), 4, 2);
    check_script(STEPS(-BIDE_ELIMIT, 2), STEPS(-BIDE_ELIMIT, 0), 2, 1);
}

BIDE_TEST(errors_after_which_it_goes_on)
{
    check_script(STEPS(1, -ECANCELED, 2, -EBUSY, 3, -EXDEV, 4, -ENOMEM, 5, -BIDE_ENOTASK, 6, 0),
                 STEPS(1, -ECANCELED, 2, -EBUSY, 3, -EXDEV, 4, -ENOMEM, 5, -BIDE_ENOTASK, 6, 0, 0),
                 13, 12);
}

BIDE_TEST(what_cannot_be_made)
{
    static const struct bide_iterator_kind empty = {.name = "empty"};
    struct script script = {0};
    CHECK_PTR(bide_iterator_new(NULL, &script, sizeof(int)), NULL);
    CHECK_PTR(bide_iterator_new(&empty, &script, sizeof(int)), NULL);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    bide_iterator *it = bide_iterator_new(&script_kind, &script, sizeof(int));
    CHECK(fault_disarm());
    CHECK_PTR(it, NULL);
    CHECK_INT(script.n_closed, 0);
}

BIDE_TEST(error_of_the_close)
{
    struct script script = {.steps = STEPS(1, 2, 0), .close_result = -EIO};
    CHECK_INT(bide_iterator_close(bide_iterator_new(&script_kind, &script, sizeof(int))), -EIO);
    CHECK_INT(script.n_closed, 1);
    script.close_result = 5;
    CHECK_INT(bide_iterator_close(bide_iterator_new(&script_kind, &script, sizeof(int))), 0);
    int rc;
    script.close_result = -EPIPE;
    bide_for (int, value, rc, bide_iterator_new(&script_kind, &script, sizeof(int)))
        CHECK_INT(value, script.n_asked);
    CHECK_INT(rc, -EPIPE);
    CHECK_INT(script.n_closed, 3);
}

BIDE_TEST(kind_without_a_close)
{
    static const struct bide_iterator_kind kind = {.name = "no close", .next = script_next};
    struct script script = {.steps = STEPS(1, 0)};
    bide_iterator *it = bide_iterator_new(&kind, &script, sizeof(int));
    CHECK_ASKED(it, 1, 0, 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_async(asks, (bide_iterator *, it))
{
    int value;
    int rc = bide_next(it, &value);
    return rc == 1 ? value : rc;
}

TASK_TEST(next_that_suspends)
{
    struct script script = {.steps = STEPS(1, 2, 0), .suspends = true};
    bide_iterator *it = bide_iterator_new(&script_kind, &script, sizeof(int));
    bide_task *task = bide_spawn(asks, it);
    turns(1);
    CHECK_ASKED(it, -EBUSY);
    CHECK_INT(bide_iterator_close(it), -EBUSY);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_ASKED(it, 1, 2, 0); /* nothing was lost */
    CHECK_INT(bide_iterator_close(it), 0);
}

static bide_async(leaves_a_loop, (struct script *, script))
{
    int rc;
    bide_for (int, value, rc, bide_iterator_new(&script_kind, script, sizeof(int))) {
        CHECK_INT(value, 1);
        CHECK_INT(bide_cancel(bide_current_task()), 1);
        break;
    }
    return rc;
}

TASK_TEST(close_of_a_loop_is_shielded)
{
    struct script script = {.steps = STEPS(1, 2, 0), .suspends = true};
    CHECK_INT(bide_await(bide_spawn(leaves_a_loop, &script)), 0);
    CHECK_INT(script.n_closed, 1);
}

static bide_generator(int, limited)
{
    bide_timeout *timeout;
    int rc = bide_timeout_begin(100, &timeout);
    if (rc < 0)
        return rc;
    rc = bide_yield(1);
    if (rc == 0)
        rc = bide_within(100, bide_sleep(0));
    if (rc == 0)
        rc = bide_yield(2);
    return bide_timeout_end(timeout, rc);
}

/* Every allocation of making, asking and closing a generator fails in turn. */
static bide_async(allocates, (unsigned long, n), (bool *, hit))
{
    int rc;
    int sum = 0;
    fault_arm(FAULT_ALLOCATION, n, 0);
    bide_for (int, value, rc, bide_iterate(limited))
        sum += value;
    *hit = fault_disarm();
    CHECK_INT(rc, *hit ? -ENOMEM : 0);
    CHECK(*hit || sum == 3);
    rc = 0;
    bide_iterator *it = bide_iterate(limited);
    fault_arm(FAULT_ALLOCATION, n, 0);
    int value;
    rc = bide_next(it, &value);
    if (fault_disarm() && rc == -ENOMEM && n == 1)
        CHECK_ASKED(it, 0); /* its body failed: it had a stack in the cache */
    CHECK_INT(bide_iterator_close(it), 0);
    return 0;
}

BIDE_TEST(generators_without_memory)
{
    bool hit = true;
    unsigned long n;
    for (n = 1; hit; n++)
        CHECK_INT(bide_run_with(NULL, allocates, n, &hit), 0);
    CHECK(n > 4);
    rig_end();
}

struct attempt {
    unsigned long n;
    bool hit;
};

static void *asks_without_memory(void *data)
{
    struct attempt *attempt = data;
    fault_arm(FAULT_ALLOCATION, attempt->n, 0);
    bide_iterator *it = bide_iterate(limited);
    int value;
    int rc = bide_next(it, &value);
    attempt->hit = fault_disarm();
    if (!attempt->hit || rc != -ENOMEM) /* some failures are made up for */
        CHECK_INT(rc, -BIDE_ENOTASK);
    else if (it)
        CHECK_ASKED(it, -BIDE_ENOTASK, 0); /* it may be asked again */
    CHECK_INT(bide_iterator_close(it), 0);
    return NULL;
}

/* Each time on a thread that has no stacks yet. */
BIDE_TEST(generators_without_memory_or_loop)
{
    struct attempt attempt = {.hit = true};
    while (attempt.hit) {
        pthread_t thread;
        attempt.n++;
        CHECK_INT(pthread_create(&thread, NULL, asks_without_memory, &attempt), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
    CHECK(attempt.n > 3);
}

/* Left open, with no memory for the tasks that would run its cleanup. */
static bide_async(leaves_open, (bide_iterator **, ret_it))
{
    int value;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    *ret_it = bide_iterate(limited);
    CHECK_INT(bide_next(*ret_it, &value), 1);
    return 1;
}

BIDE_TEST(loop_that_has_no_memory_to_close_a_generator)
{
    bide_iterator *it = NULL;
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, leaves_open, &it);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_retain(task)), 1); /* no handle is unused */
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_INT(bide_loop_close(loop), 0);
    CHECK(fault_disarm());
    CHECK_STR(take_report(),
              "generator was left open, its cleanup did not run|0|||limited|leaves_open");
    rig_end();
    bide_detach(task);
    CHECK_INT(bide_iterator_close(it), -ECANCELED);
}
