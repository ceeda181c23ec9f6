/*
 * Scenario: token and leaky buckets, first their arithmetic on a clock of the test's own, a million
 * permits long, then tasks that wait for permits on the loop's clock. Claim: the rate is exact over
 * any time, never more than a burst passes at once, nobody passes early or before those who came
 * first, and a task that is cancelled has taken nothing and delays nobody.
 */
#include "runtime/limiter.h"

#include <bide/limiter.h>

#include "fault.h"
#include "sim_rig.h"
#include "task_rig.h"

enum { MILLION = 1000000 };
#define SECOND INT64_C(1000000000)

static bide_limiter made(struct bide_limiter_opts opts)
{
    bide_limiter limiter;
    CHECK_INT(bide_limiter_init(&limiter, &opts), 0);
    return limiter;
}

/* Waits by the arithmetic until n permits are there, wakes `late_ns` after that, and takes them.
 * Returns the moment at which they were there. */
static int64_t pass(bide_limiter *limiter, int64_t *now_ns, uint32_t n, int64_t late_ns)
{
    bide__limiter_advance(limiter, *now_ns, false);
    int64_t ready_ns = bide__limiter_ready_ns(limiter, n);
    if (ready_ns > *now_ns) {
        bide__limiter_advance(limiter, ready_ns - 1, true);
        CHECK(!bide__limiter_take(limiter, n)); /* not a nanosecond early */
        *now_ns = ready_ns + late_ns;
        bide__limiter_advance(limiter, *now_ns, true);
    }
    CHECK(bide__limiter_take(limiter, n));
    return ready_ns;
}

/* When the k-th permit after the first is there at the earliest: the first whole nanosecond. */
static int64_t due_ns(int64_t k, int64_t permits, int64_t period_ns)
{
    return k / permits * period_ns + (k % permits * period_ns + permits - 1) / permits;
}

static void check_million(enum bide_limiter_kind kind, uint32_t permits, double period_seconds,
                          int64_t late_ns)
{
    struct bide_limiter_opts opts = {
        .kind = kind, .permits = permits, .period_seconds = period_seconds, .burst = 1};
    bide_limiter limiter = made(opts);
    int64_t period_ns = limiter.period_ns;
    int64_t begin_ns = 5 * SECOND;
    int64_t now_ns = begin_ns;
    for (int64_t k = 0; k < MILLION; k++) {
        int64_t ready_ns = pass(&limiter, &now_ns, 1, late_ns);
        if (ready_ns != begin_ns + due_ns(k, permits, period_ns))
            CHECK_INT(ready_ns, begin_ns + due_ns(k, permits, period_ns));
    }
}

/* Rates whose distances are no whole nanoseconds. */
BIDE_TEST(a_million_permits_exactly, .seconds = 120, .seeds_max = 20)
{
    for (enum bide_limiter_kind kind = BIDE_TOKEN_BUCKET; kind <= BIDE_LEAKY_BUCKET; kind++) {
        check_million(kind, 3, 0, 0);
        check_million(kind, 7, 0, 0);
        check_million(kind, 999983, 0, 0);
        check_million(kind, 1, 0.001, 0);
        check_million(kind, 11, 60, 0);
    }
}

/* Late wake-ups, as every loop has them, do not add up. */
BIDE_TEST(a_million_late_permits_exactly, .seconds = 120, .seeds_max = 20)
{
    for (enum bide_limiter_kind kind = BIDE_TOKEN_BUCKET; kind <= BIDE_LEAKY_BUCKET; kind++) {
        check_million(kind, 3, 0, SECOND / 3 - 1);
        check_million(kind, 7000, 0, 60 * 1000);
    }
}

/* In any window as many as the burst and what the window's length is worth, never more. */
BIDE_TEST(no_window_with_too_many)
{
    enum { PASSES = 2000, BURST = 5, PERMITS = 7 };
    static int64_t at_ns[PASSES];
    bide_limiter limiter = made((struct bide_limiter_opts){.permits = PERMITS, .burst = BURST});
    uint64_t state = test_seed();
    int64_t now_ns = SECOND;
    for (int i = 0; i < PASSES; i++) {
        if (test_random(&state) % 8 == 0) /* a rest */
            now_ns += (int64_t)(test_random(&state) % (3 * SECOND));
        pass(&limiter, &now_ns, 1, 0);
        at_ns[i] = now_ns;
    }
    for (int i = 0; i < PASSES; i++)
        for (int k = i; k < PASSES && k < i + 100; k++) /* (k - i + 1 - BURST) / PERMITS seconds */
            CHECK((at_ns[k] - at_ns[i]) * PERMITS >= (k - i + 1 - BURST) * SECOND);
}

static int passes_now(bide_limiter *limiter)
{
    int n = 0;
    while (bide__limiter_take(limiter, 1))
        n++;
    return n;
}

/* A loop that was kept busy for ten seconds while somebody waited. */
BIDE_TEST(no_more_than_a_burst_after_a_very_late_wake_up)
{
    bide_limiter bucket = made((struct bide_limiter_opts){.permits = 10, .burst = 4});
    bide__limiter_advance(&bucket, SECOND, false);
    CHECK_INT(passes_now(&bucket), 4);
    bide__limiter_advance(&bucket, 11 * SECOND, true);
    CHECK_INT(passes_now(&bucket), 4);
    bide_limiter leaky = made((struct bide_limiter_opts){.permits = 10, .kind = BIDE_LEAKY_BUCKET});
    bide__limiter_advance(&leaky, SECOND, false);
    CHECK_INT(passes_now(&leaky), 1);
    bide__limiter_advance(&leaky, 11 * SECOND, true);
    CHECK_INT(passes_now(&leaky), 1);
}

BIDE_TEST(rest_is_saved_up_to_the_burst)
{
    bide_limiter bucket = made((struct bide_limiter_opts){.permits = 2, .burst = 3});
    bide__limiter_advance(&bucket, SECOND, false);
    CHECK_INT(passes_now(&bucket), 3);
    bide__limiter_advance(&bucket, 2 * SECOND, false);
    CHECK_INT(passes_now(&bucket), 2);
    bide__limiter_advance(&bucket, 100 * SECOND, false);
    CHECK_INT(passes_now(&bucket), 3);
    CHECK_INT(bide__limiter_ready_ns(&bucket, 1), 100 * SECOND + SECOND / 2);
    CHECK_INT(bide__limiter_ready_ns(&bucket, 3), 100 * SECOND + 3 * SECOND / 2);
    bide__limiter_advance(&bucket, INT64_MAX / 2, false);
    CHECK_INT(passes_now(&bucket), 3);
}

BIDE_TEST(leaky_bucket_makes_the_next_one_wait)
{
    bide_limiter leaky = made((struct bide_limiter_opts){.permits = 4, .kind = BIDE_LEAKY_BUCKET});
    bide__limiter_advance(&leaky, SECOND, false);
    CHECK(bide__limiter_take(&leaky, 8)); /* at once, for a debt of two seconds */
    CHECK_INT(bide__limiter_ready_ns(&leaky, 1), 3 * SECOND);
    CHECK_INT(bide__limiter_ready_ns(&leaky, 100), 3 * SECOND);
    bide__limiter_advance(&leaky, 50 * SECOND, false);
    CHECK_INT(passes_now(&leaky), 1);
}

BIDE_TEST(clock_that_stands_or_goes_back)
{
    bide_limiter bucket = made((struct bide_limiter_opts){.permits = 1});
    bide__limiter_advance(&bucket, 9 * SECOND, false);
    CHECK_INT(passes_now(&bucket), 1);
    bide__limiter_advance(&bucket, 8 * SECOND, false);
    CHECK_INT(bide__limiter_ready_ns(&bucket, 1), 10 * SECOND);
}

BIDE_TEST(senseless_limiters)
{
    bide_limiter limiter;
    struct bide_limiter_opts opts = {.permits = 1};
    CHECK_INT(bide_limiter_init(NULL, &opts), -EINVAL);
    CHECK_INT(bide_limiter_init(&limiter, NULL), -EINVAL);
    const struct bide_limiter_opts senseless[] = {
        {.permits = 0},
        {.permits = UINT32_MAX},
        {.permits = 1, .period_seconds = NAN},
        {.permits = 1, .period_seconds = -1},
        {.permits = 1, .period_seconds = 1e-10},
        {.permits = 1, .period_seconds = INFINITY},
        {.permits = 1, .period_seconds = 1e9, .burst = 10},
        {.permits = 1, .kind = (enum bide_limiter_kind)2},
    };
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        CHECK_INT(bide_limiter_init(&limiter, &senseless[i]), -EINVAL);
    CHECK_INT(bide_limiter_init(&limiter, &opts), 0);
    CHECK_INT(bide_limiter_try(&limiter, 1), -EINVAL); /* there is no clock */
    CHECK_INT(bide_limiter_acquire(&limiter, 1), -BIDE_ENOTASK);
}

TASK_TEST(senseless_arguments)
{
    bide_limiter limiter = made((struct bide_limiter_opts){.permits = 10, .burst = 5});
    bide_limiter zeroed = {0};
    CHECK_INT(bide_limiter_acquire(NULL, 1), -EINVAL);
    CHECK_INT(bide_limiter_acquire(&limiter, 0), -EINVAL);
    CHECK_INT(bide_limiter_acquire(&limiter, 6), -EINVAL);
    CHECK_INT(bide_limiter_acquire(&limiter, UINT32_MAX), -EINVAL);
    CHECK_INT(bide_limiter_acquire(&zeroed, 1), -EINVAL);
    CHECK_INT(bide_limiter_try(NULL, 1), -EINVAL);
    CHECK_INT(bide_limiter_try(&limiter, 6), -EINVAL);
    CHECK_INT(bide_limiter_try(&zeroed, 1), -EINVAL);
    CHECK_INT(bide_limiter_n_waiting(NULL), 0);
    CHECK_INT(bide_limiter_try(&limiter, 5), 0);
    CHECK_INT(bide_limiter_try(&limiter, 1), -EAGAIN);
}

/* So long that it does not pass during a test. */
static bide_limiter slow(uint32_t burst)
{
    return made((struct bide_limiter_opts){.permits = 1, .period_seconds = 1e6, .burst = burst});
}

static bide_async(takes, (bide_limiter *, limiter), (uint32_t, n), (const char *, word))
{
    int rc = bide_limiter_acquire(limiter, n);
    note(rc == -ECANCELED ? "c" : word);
    return rc;
}

TASK_TEST(burst_needs_no_turn)
{
    bide_limiter limiter = slow(3);
    bide_task *other = bide_spawn(returns, 1);
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    CHECK_INT(bide_limiter_acquire(&limiter, 2), 0);
    CHECK_INT(bide_limiter_try(&limiter, 1), -EAGAIN);
    CHECK_INT(bide_task_state(other), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_await(other), 1);
}

TASK_TEST(permits_on_the_loops_clock)
{
    double distance = TICKS(6);
    for (enum bide_limiter_kind kind = BIDE_TOKEN_BUCKET; kind <= BIDE_LEAKY_BUCKET; kind++) {
        bide_limiter limiter = made(
            (struct bide_limiter_opts){.kind = kind, .permits = 1, .period_seconds = distance});
        double begin = bide_time();
        bide_task *tasks[] = {
            bide_spawn(takes, &limiter, 1, "a"), bide_spawn(takes, &limiter, 1, "b"),
            bide_spawn(takes, &limiter, 1, "c"), bide_spawn(takes, &limiter, 1, "d")};
        turns(1);
        CHECK_NOTES("a");
        CHECK_INT(bide_limiter_n_waiting(&limiter), 3);
        CHECK_INT(bide_limiter_try(&limiter, 1), -EAGAIN);
        CHECK_INT(bide_gather(tasks, 4, NULL), 0);
        CHECK(bide_time() >= begin + 3 * distance);
        CHECK_NOTES("bcd");
        CHECK_INT(bide_limiter_n_waiting(&limiter), 0);
    }
}

TASK_TEST(a_small_request_does_not_overtake_a_large_one)
{
    bide_limiter limiter = slow(3);
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *tasks[] = {bide_spawn(takes, &limiter, 3, "l"), bide_spawn(takes, &limiter, 1, "s"),
                          bide_spawn(takes, &limiter, 1, "t")};
    turns(2);
    CHECK_NOTES(""); /* though two permits are there */
    CHECK_INT(bide_limiter_try(&limiter, 1), -EAGAIN);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    turns(1);
    CHECK_NOTES("cst"); /* as if it had never come */
    CHECK_INT(bide_limiter_n_waiting(&limiter), 0);
    CHECK_INT(bide_limiter_try(&limiter, 1), -EAGAIN);
    CHECK_INT(bide_cancel_join(tasks, 3), 0);
}

TASK_TEST(cancelled_in_the_middle_and_at_the_end_of_the_line)
{
    bide_limiter limiter = slow(1);
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *tasks[] = {bide_spawn(takes, &limiter, 1, "1"), bide_spawn(takes, &limiter, 1, "2"),
                          bide_spawn(takes, &limiter, 1, "3")};
    turns(1);
    CHECK_INT(bide_cancel(tasks[1]), 1);
    CHECK_INT(bide_cancel(tasks[2]), 1);
    turns(1);
    CHECK_NOTES("cc");
    CHECK_INT(bide_limiter_n_waiting(&limiter), 1);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    turns(1);
    CHECK_NOTES("c");
    CHECK_INT(bide_limiter_n_waiting(&limiter), 0);
    CHECK_INT(bide_cancel_join(tasks, 3), 0);
}

TASK_TEST(the_next_one_is_not_delayed_by_a_cancelled_one)
{
    double distance = TICKS(8);
    bide_limiter limiter = made((struct bide_limiter_opts){
        .kind = BIDE_LEAKY_BUCKET, .permits = 1, .period_seconds = distance});
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *large = bide_spawn(takes, &limiter, 1000000, "l");
    bide_task *next = bide_spawn(takes, &limiter, 1, "n");
    turns(1);
    CHECK_INT(bide_cancel(large), 1);
    CHECK_INT(bide_within(1000 * distance, bide_await(next)), 0);
    CHECK_NOTES("cn");
    CHECK_INT(bide_await(large), -ECANCELED);
}

static bide_async(cancels_when_handed, (bide_limiter *, limiter), (bide_task **, task))
{
    while (bide_limiter_n_waiting(limiter) > 0)
        CHECK_INT(bide_sleep(0), 0);
    CHECK_INT(bide_cancel(*task), 1); /* the timer's turn has come, the task's has not */
    return 0;
}

/* Its own turn comes before that of a task which is woken in the same turn. */
static bide_async(stands, (bide_limiter *, limiter))
{
    int rc = bide_limiter_acquire(limiter, 1);
    note(rc == 0 ? "0" : "c");
    CHECK_INT(bide_sleep(0), -ECANCELED);
    return rc;
}

TASK_TEST(cancelled_after_it_was_handed_its_permit)
{
    bide_limiter limiter = made(
        (struct bide_limiter_opts){.permits = 1, .period_seconds = TICKS(6)});
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *task = bide_spawn(stands, &limiter);
    turns(1);
    CHECK_INT(bide_await(bide_spawn(cancels_when_handed, &limiter, &task)), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_NOTES("0");
}

static bide_async(takes_and_sleeps, (bide_limiter *, limiter), (double, seconds))
{
    int rc = bide_limiter_acquire(limiter, 1);
    note(rc == -ECANCELED ? "c" : "p");
    double begin = bide_time();
    CHECK_INT(bide_shielded(INFINITY, bide_sleep(seconds)), 0);
    CHECK(bide_time() >= begin + seconds);
    return rc;
}

/* The task's timer serves for its next wait, whichever way the one for the permit ended. */
TASK_TEST(sleep_after_a_cancelled_wait)
{
    bide_limiter limiter = made(
        (struct bide_limiter_opts){.permits = 1, .period_seconds = TICKS(8)});
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *task = bide_spawn(takes_and_sleeps, &limiter, TICKS(10));
    turns(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_NOTES("c");
}

/* The first one's moment has passed, its timer has not expired yet, and the cancel of another one
 * makes the limiter look. */
static void wait_that_ends_before_its_timer(int n_turns)
{
    double distance = TICKS(8);
    bide_limiter limiter = made(
        (struct bide_limiter_opts){.permits = 1, .period_seconds = distance});
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *first = bide_spawn(takes_and_sleeps, &limiter, TICKS(10));
    bide_task *second = bide_spawn(takes, &limiter, 1, "2");
    turns(n_turns);
    CHECK_INT(bide_limiter_n_waiting(&limiter), 2);
    for (double begin = bide_time(); bide_time() < begin + distance;)
        ;
    CHECK_INT(bide_cancel(second), 1);
    CHECK_INT(bide_limiter_n_waiting(&limiter), 0);
    CHECK_INT(bide_await(second), -ECANCELED);
    CHECK_INT(bide_await(first), 0);
    CHECK_NOTES("cp");
}

/* After many short turns the loop looks at its clock rarely, so that the timer is late. */
TASK_TEST(sleep_after_a_wait_that_ended_before_its_timer)
{
    rig_needs_kernel(); /* a clock that runs on while code does */
    for (int i = 0; i < 3; i++)
        wait_that_ends_before_its_timer(1000 + i);
}

TASK_TEST(bounded_line)
{
    bide_limiter limiter = made((struct bide_limiter_opts){
        .kind = BIDE_LEAKY_BUCKET, .permits = 1, .period_seconds = 1e6, .waiting_max = 2});
    CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    bide_task *tasks[] = {bide_spawn(takes, &limiter, 1, "?"), bide_spawn(takes, &limiter, 1, "?"),
                          bide_spawn(takes, &limiter, 1, "full"), NULL};
    turns(1);
    CHECK_NOTES("full");
    CHECK_INT(bide_await(tasks[2]), -EAGAIN);
    CHECK_INT(bide_cancel(tasks[0]), 1);
    tasks[2] = bide_spawn(takes, &limiter, 1, "?");
    turns(1);
    CHECK_INT(bide_limiter_n_waiting(&limiter), 2);
    CHECK_INT(bide_cancel_join(tasks, 3), 0);
    CHECK_NOTES("ccc");
}

TASK_TEST(cancelled_before_it_takes_anything)
{
    bide_limiter limiter = slow(1);
    CHECK_INT(bide_within(0, bide_limiter_acquire(&limiter, 1)), -ETIMEDOUT);
    CHECK_INT(bide_limiter_try(&limiter, 1), 0);
    CHECK_INT(bide_within(TICKS(1), bide_limiter_acquire(&limiter, 1)), -ETIMEDOUT);
    CHECK_INT(bide_limiter_n_waiting(&limiter), 0);
}

TASK_TEST(waiting_allocates_nothing)
{
    bide_limiter limiter = made(
        (struct bide_limiter_opts){.permits = 1, .period_seconds = TICKS(1)});
    fault_arm(FAULT_ALLOCATION, 1, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_limiter_acquire(&limiter, 1), 0);
    CHECK(!fault_disarm());
}
