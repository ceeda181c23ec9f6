/* The timers of a loop: order, exactness, and what callbacks may do; time is a number here, nothing
 * sleeps. */
#include "fault.h"
#include "test.h"

#include "runtime/timer.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define NOW (1000 * SECOND + 123456789)

enum { SLOT_FEW = 16 }; /* for as many timers the next deadline is promised exactly */

static struct bide__timers *timers;
static int64_t now_ns;

/* A timer that writes down its number when it expires, then acts. */
struct probe {
    struct bide__timer timer;
    int number;
    void (*act)(struct probe *probe);
    struct probe *other;
    int64_t set_to_ns;
};

static int expired[64];
static int n_expired;

static void probe_expired(struct bide__timer *timer)
{
    struct probe *probe = bide__container(timer, struct probe, timer);
    CHECK(!bide__timer_is_set(timer));
    CHECK(timer->deadline_ns <= now_ns);
    CHECK(n_expired < 64);
    expired[n_expired++] = probe->number;
    if (probe->act)
        probe->act(probe);
}

static void start(int64_t at_ns)
{
    now_ns = at_ns;
    timers = bide__timers_new(now_ns);
    CHECK(timers);
}

static void set(struct probe *probe, int number, int64_t deadline_ns)
{
    probe->number = number;
    bide__timer_init(&probe->timer, probe_expired);
    bide__timer_set(timers, &probe->timer, deadline_ns);
    CHECK(bide__timer_is_set(&probe->timer));
}

static void check_expire(int64_t at_ns, const int *numbers, int n)
{
    now_ns = at_ns;
    n_expired = 0;
    CHECK_INT(bide__timers_expire(timers, at_ns), n);
    CHECK_INT(n_expired, n);
    for (int i = 0; i < n; i++)
        CHECK_INT(expired[i], numbers[i]);
}

/* Without timers there is nothing to wait for and nothing to expire, however far the clock goes. */
BIDE_TEST(timer_none)
{
    start(NOW);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    check_expire(NOW, NULL, 0);
    check_expire(NOW + 1000 * HOUR, NULL, 0);
    check_expire(INT64_MAX, NULL, 0);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    bide__timers_free(timers);
}

/* Without memory there are no timers; setting, expiring and cancelling them needs none. */
BIDE_TEST(timer_allocates_once)
{
    struct probe probes[2] = {0};
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_PTR(bide__timers_new(NOW), NULL);
    CHECK(fault_disarm());
    bide__timers_free(NULL);

    start(NOW);
    fault_arm(FAULT_ALLOCATION, 1, 0);
    set(&probes[0], 0, NOW + 1);
    set(&probes[1], 1, NOW + HOUR);
    check_expire(NOW + 1, (int[]){0}, 1);
    bide__timer_cancel(timers, &probes[1].timer);
    CHECK(!fault_disarm());
    bide__timers_free(timers);
}

/* Timers set in any order, nanoseconds to days apart, expire in the order of their deadlines within
 * one call. */
BIDE_TEST(timer_expires_in_order)
{
    struct probe probes[8] = {0};
    static const int64_t delays_ns[8] = {48 * HOUR, 2, 70 * SECOND, 1, 3 * SECOND, 5000, HOUR, 900};
    start(NOW);
    for (int i = 0; i < 8; i++)
        set(&probes[i], i, NOW + delays_ns[i]);
    check_expire(NOW + 48 * HOUR, (int[]){3, 1, 7, 5, 4, 2, 6, 0}, 8);
    bide__timers_free(timers);
}

/*
 * A single timer at 1 to 2^62 ns from clocks of all shapes: the next expiry is told exactly,
 * nothing happens a nanosecond before, and no further wake-up is asked for.
 */
BIDE_TEST(timer_single_is_exact)
{
    static const int64_t starts_ns[] = {1, 4095, 4096, NOW, (INT64_C(1) << 62) - 1};
    for (int s = 0; s < 5; s++) {
        for (int bit = 0; bit < 62; bit++) {
            struct probe probe = {0};
            int64_t deadline_ns = starts_ns[s] + (INT64_C(1) << bit);
            start(starts_ns[s]);
            set(&probe, 7, deadline_ns);
            CHECK_INT(bide__timers_next_ns(timers), deadline_ns);
            check_expire(deadline_ns - 1, NULL, 0);
            CHECK_INT(bide__timers_next_ns(timers), deadline_ns);
            check_expire(deadline_ns, (int[]){7}, 1);
            CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
            bide__timers_free(timers);
        }
    }
}

/* Equal deadlines expire in the order set, though the clock came nearer between any two of the
 * calls. */
BIDE_TEST(timer_equal_deadlines_keep_order)
{
    enum { N = 40 };
    struct probe probes[N] = {0};
    int order[N];
    int64_t deadline_ns = NOW + 30 * HOUR + 77;
    start(NOW);
    int64_t rest_ns = deadline_ns - NOW;
    for (int i = 0; i < N; i++) {
        set(&probes[i], i, deadline_ns);
        order[i] = i;
        check_expire(deadline_ns - rest_ns, NULL, 0);
        if (rest_ns > 1)
            rest_ns /= 2;
    }
    check_expire(deadline_ns - 1, NULL, 0);
    check_expire(deadline_ns, order, N);
    bide__timers_free(timers);
}

/* The same in one long jump, mixed with later and earlier ones that share their slots. */
BIDE_TEST(timer_equal_deadlines_keep_order_in_a_jump)
{
    enum { N = 60 };
    struct probe probes[N] = {0};
    int order[N];
    start(NOW);
    for (int i = 0; i < N; i++) {
        set(&probes[i], i, NOW + HOUR + 2 - i % 3);
        order[(2 - i % 3) * (N / 3) + i / 3] = i;
    }
    check_expire(NOW + 100 * HOUR, order, N);
    bide__timers_free(timers);
}

/* A deadline in the past is due at the next call, behind what was due before it and before what
 * becomes due later. */
BIDE_TEST(timer_in_the_past)
{
    struct probe probes[5] = {0};
    start(NOW);
    set(&probes[0], 0, NOW + 10);
    set(&probes[1], 1, NOW);
    set(&probes[2], 2, NOW - HOUR);
    set(&probes[3], 3, INT64_MIN);
    set(&probes[4], 4, NOW - 2 * HOUR);
    CHECK_INT(bide__timers_next_ns(timers), NOW);
    check_expire(NOW + 10, (int[]){1, 2, 3, 4, 0}, 5);
    bide__timers_free(timers);
}

static void act_set_other(struct probe *probe)
{
    set(probe->other, probe->other->number, probe->set_to_ns);
}

/* What a callback sets in the past waits for the next call, even itself; what it sets later is not
 * called early. */
BIDE_TEST(timer_set_in_callback)
{
    struct probe again = {.act = act_set_other, .other = &again, .set_to_ns = NOW - HOUR};
    struct probe later = {.number = 5};
    struct probe first = {.act = act_set_other, .other = &later, .set_to_ns = NOW + 101};
    start(NOW);
    set(&again, 1, NOW + 50);
    set(&first, 2, NOW + 60);
    check_expire(NOW + 100, (int[]){1, 2}, 2);
    CHECK_INT(bide__timers_next_ns(timers), NOW + 100);
    check_expire(NOW + 100, (int[]){1}, 1);
    again.act = NULL;
    check_expire(NOW + 101, (int[]){1, 5}, 2);
    check_expire(NOW + HOUR, NULL, 0);
    bide__timers_free(timers);
}

/* A cancelled timer does not expire, cancelling again or before it was ever set is harmless, and it
 * can be set anew. */
BIDE_TEST(timer_cancel)
{
    struct probe probes[2] = {0};
    start(NOW);
    bide__timer_init(&probes[0].timer, probe_expired);
    bide__timer_cancel(timers, &probes[0].timer);
    set(&probes[0], 0, NOW + 1);
    set(&probes[1], 1, NOW + 2);
    bide__timer_cancel(timers, &probes[0].timer);
    CHECK(!bide__timer_is_set(&probes[0].timer));
    CHECK_INT(bide__timers_next_ns(timers), NOW + 2);
    bide__timer_cancel(timers, &probes[0].timer);
    check_expire(NOW + 2, (int[]){1}, 1);
    bide__timer_cancel(timers, &probes[1].timer);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    set(&probes[0], 3, NOW + 4);
    check_expire(NOW + 4, (int[]){3}, 1);
    bide__timers_free(timers);
}

/* After a crowd too large to be searched for its first has been cancelled, nothing is left. */
BIDE_TEST(timer_cancel_crowd)
{
    enum { CROWD = 2 * SLOT_FEW };
    struct probe probes[CROWD] = {0};
    start(NOW);
    for (int i = 0; i < CROWD; i++)
        set(&probes[i], i, NOW + 10 * HOUR + i);
    CHECK_INT(bide__timers_next_ns(timers), NOW + 10 * HOUR);
    for (int i = 0; i < CROWD; i++) {
        bide__timer_cancel(timers, &probes[i].timer);
        if (i == 0)
            CHECK_RANGE(bide__timers_next_ns(timers), NOW + 1, NOW + 10 * HOUR + 1);
    }
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    check_expire(NOW + 11 * HOUR, NULL, 0);
    bide__timers_free(timers);
}

static struct probe cancelled[6];

static void act_cancel_all(struct probe *probe)
{
    bool more_due = probe == &cancelled[0];
    CHECK_INT(bide__timers_next_ns(timers), more_due ? now_ns : cancelled[4].timer.deadline_ns);
    for (int i = 0; i < 6; i++)
        bide__timer_cancel(timers, &cancelled[i].timer);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
}

/* A callback may cancel itself, others that are due in this very call, and later ones; none of them
 * is called. */
BIDE_TEST(timer_cancel_in_callback)
{
    static const int64_t delays_ns[6] = {1, 1, 2, 5000, HOUR, 48 * HOUR};
    start(NOW);
    for (int i = 0; i < 6; i++)
        set(&cancelled[i], i, NOW + delays_ns[i]);
    cancelled[0].act = act_cancel_all;
    check_expire(NOW + HOUR, (int[]){0}, 1);
    check_expire(NOW + 100 * HOUR, NULL, 0);

    for (int i = 0; i < 6; i++)
        set(&cancelled[i], i, now_ns + delays_ns[i]);
    cancelled[0].act = NULL;
    cancelled[3].act = act_cancel_all;
    check_expire(now_ns + 5000, (int[]){0, 1, 2, 3}, 4);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    bide__timers_free(timers);
}

static void act_free(struct probe *probe)
{
    free(probe);
}

/* A callback may free the timer's owner. */
BIDE_TEST(timer_freed_in_callback)
{
    start(NOW);
    for (int i = 0; i < 10; i++) {
        struct probe *probe = calloc(1, sizeof(*probe));
        CHECK(probe);
        probe->act = act_free;
        set(probe, i, NOW + i);
    }
    check_expire(NOW + 9, (int[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10);
    bide__timers_free(timers);
}

/* Deadlines up to the largest number neither overflow nor expire before their nanosecond. */
BIDE_TEST(timer_far_deadlines)
{
    struct probe probes[4] = {0};
    start(1);
    set(&probes[0], 0, INT64_MAX);
    set(&probes[1], 1, INT64_MAX - 1);
    set(&probes[2], 2, INT64_MAX / 2 + 1);
    set(&probes[3], 3, INT64_MAX);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX / 2 + 1);
    check_expire(INT64_MAX / 2, NULL, 0);
    check_expire(INT64_MAX - 2, (int[]){2}, 1);
    check_expire(INT64_MAX - 1, (int[]){1}, 1);
    check_expire(INT64_MAX, (int[]){0, 3}, 2);
    bide__timers_free(timers);
}

struct counted {
    struct bide__timer timer;
    unsigned number;
};

static int64_t last_ns;
static unsigned last_number;
static unsigned n_counted;

/* Deadlines never fall; among equal ones the numbers, which are given in the order of setting,
 * rise. */
static void counted_expired(struct bide__timer *timer)
{
    unsigned number = bide__container(timer, struct counted, timer)->number;
    if (timer->deadline_ns > now_ns)
        FAIL("timer %u of %lld expired at %lld", number, (long long)timer->deadline_ns,
             (long long)now_ns);
    if (timer->deadline_ns < last_ns || (timer->deadline_ns == last_ns && number <= last_number))
        FAIL("timer %u of %lld expired after %u of %lld", number, (long long)timer->deadline_ns,
             last_number, (long long)last_ns);
    last_ns = timer->deadline_ns;
    last_number = number;
    n_counted++;
}

static struct counted *set_many(unsigned n, uint64_t *random, int64_t timeout_max_ns)
{
    struct counted *many = calloc(n, sizeof(*many));
    CHECK(many);
    for (unsigned i = 0; i < n; i++) {
        many[i].number = i;
        bide__timer_init(&many[i].timer, counted_expired);
        bide__timer_set(timers, &many[i].timer,
                        now_ns + 1 + (int64_t)(test_random(random) % (uint64_t)timeout_max_ns));
    }
    return many;
}

/* Sleeps from one deadline to the next until all `n` have expired; returns how often it woke for
 * nothing. */
static unsigned sleep_through(unsigned n)
{
    unsigned idle = 0;
    while (n_counted < n) {
        int64_t next_ns = bide__timers_next_ns(timers);
        CHECK(next_ns > now_ns && next_ns < INT64_MAX);
        now_ns = next_ns;
        if (bide__timers_expire(timers, now_ns) == 0)
            idle++;
    }
    CHECK_INT(n_counted, n);
    CHECK_INT(bide__timers_next_ns(timers), INT64_MAX);
    return idle;
}

/* With few timers a loop that sleeps until the next deadline never wakes for nothing; with many,
 * seldom. */
BIDE_TEST(timer_next_is_exact_for_few_and_near_for_many)
{
    uint64_t random = test_seed();
    static const unsigned sizes[3] = {1, SLOT_FEW, 5000};
    for (int s = 0; s < 3; s++) {
        for (int64_t timeout_ns = 1000; timeout_ns < 1000 * HOUR; timeout_ns *= 100) {
            start(NOW);
            last_ns = 0;
            n_counted = 0;
            struct counted *many = set_many(sizes[s], &random, timeout_ns);
            unsigned idle = sleep_through(sizes[s]);
            CHECK_RANGE(idle, 0, sizes[s] <= SLOT_FEW ? 0 : sizes[s] / 10);
            free(many);
            bide__timers_free(timers);
        }
    }
}

/*
 * Thousands of different deadlines within a few microseconds, set in falling order: each expires at
 * its nanosecond, as a simulated clock needs it, which stands still while the loop is awake.
 */
BIDE_TEST(timer_crowded_microsecond)
{
    enum { N = 4000 };
    static struct counted crowd[N];
    for (int64_t offset_ns = 0; offset_ns < 3 * 4096; offset_ns += 1000) {
        start(NOW + offset_ns);
        last_ns = 0;
        n_counted = 0;
        for (unsigned i = 0; i < N; i++) {
            crowd[i].number = i;
            bide__timer_init(&crowd[i].timer, counted_expired);
            bide__timer_set(timers, &crowd[i].timer, now_ns + N - i);
        }
        unsigned n = 0;
        while (n < N) {
            now_ns++;
            CHECK_RANGE(bide__timers_next_ns(timers), now_ns - 1, now_ns);
            CHECK_INT(bide__timers_expire(timers, now_ns), 1);
            n++;
        }
        bide__timers_free(timers);
    }
}

/* A million timers, a third of them cancelled at random: the rest expires in order, none is lost.
 */
BIDE_TEST_SECONDS(timer_million, 120)
{
    unsigned n = 1000 * 1000 / (unsigned)test_slowness();
    uint64_t random = test_seed();
    start(NOW);
    last_ns = 0;
    n_counted = 0;
    struct counted *many = set_many(n, &random, 10 * SECOND);
    unsigned n_left = n;
    for (unsigned i = 0; i < n / 3; i++) {
        struct bide__timer *timer = &many[test_random(&random) % n].timer;
        n_left -= bide__timer_is_set(timer);
        bide__timer_cancel(timers, timer);
    }
    for (int i = 0; i < 500; i++) {
        now_ns += 1 + (int64_t)(test_random(&random) % (uint64_t)(SECOND / 50));
        bide__timers_expire(timers, now_ns);
        CHECK(bide__timers_next_ns(timers) > now_ns);
    }
    CHECK_RANGE(n_counted, n_left / 4, n_left * 3 / 4);
    now_ns += 100 * HOUR;
    bide__timers_expire(timers, now_ns);
    CHECK_INT(n_counted, n_left);
    free(many);
    bide__timers_free(timers);
}

/*
 * The property: whatever is called, in callbacks too, the timers behave as an array that is
 * searched for the least deadline, the oldest of equal ones.
 */
enum { MODEL_N = 120 };

static struct model_timer {
    struct bide__timer timer;
    bool set;
    bool due; /* in the expiry under way */
    int64_t deadline_ns;
    uint64_t number;
} model[MODEL_N];

static struct {
    uint64_t random;
    uint64_t number;
    int n_max; /* timers in use: with few, exactness is checked more often */
    unsigned n_called;
} play;

static uint64_t pick(uint64_t n)
{
    return test_random(&play.random) % n;
}

static struct model_timer *model_first(bool only_due)
{
    struct model_timer *first = NULL;
    for (int i = 0; i < MODEL_N; i++) {
        struct model_timer *timer = &model[i];
        if (!timer->set || (only_due && !timer->due))
            continue;
        if (!first || timer->deadline_ns < first->deadline_ns ||
            (timer->deadline_ns == first->deadline_ns && timer->number < first->number))
            first = timer;
    }
    return first;
}

static struct model_timer *pick_timer(void)
{
    return &model[pick((uint64_t)play.n_max)];
}

/* Near and far, on the edges of slots, equal to another timer's, in the past. */
static int64_t pick_deadline(void)
{
    struct model_timer *other = pick_timer();
    int64_t room_ns = INT64_MAX - now_ns;
    uint64_t shift = 1 + pick(63);
    int64_t delay_ns = (int64_t)(test_random(&play.random) >> shift);
    switch (pick(10)) {
    case 0:
        return now_ns - (int64_t)pick(10000);
    case 1:
        return pick(20) == 0 ? INT64_MAX - (int64_t)pick(3) : now_ns;
    case 2:
    case 3:
        return other->set ? other->deadline_ns : now_ns + (room_ns > 0);
    case 4:
        if (delay_ns < room_ns)
            return (now_ns + delay_ns) & ~((INT64_C(1) << pick(60)) - 1);
        return INT64_MAX;
    default:
        return now_ns + (delay_ns >> 20 < room_ns ? delay_ns >> 20 : room_ns);
    }
}

static void play_set(struct model_timer *timer)
{
    if (timer->set)
        return;
    int64_t deadline_ns = pick_deadline();
    timer->set = true;
    timer->due = false;
    timer->deadline_ns = deadline_ns < now_ns ? now_ns : deadline_ns;
    timer->number = play.number++;
    bide__timer_set(timers, &timer->timer, deadline_ns);
}

static void play_cancel(struct model_timer *timer)
{
    timer->set = false;
    bide__timer_cancel(timers, &timer->timer);
    CHECK(!bide__timer_is_set(&timer->timer));
}

static void play_check_next(void)
{
    struct model_timer *first = model_first(false);
    int64_t next_ns = bide__timers_next_ns(timers);
    if (!first) {
        CHECK_INT(next_ns, INT64_MAX);
        return;
    }
    int64_t first_ns = first->deadline_ns > now_ns ? first->deadline_ns : now_ns;
    CHECK(next_ns <= first_ns);
    CHECK(next_ns > now_ns || first_ns == now_ns);
    if (play.n_max <= SLOT_FEW)
        CHECK_INT(next_ns, first_ns);
}

static void model_expired(struct bide__timer *timer)
{
    struct model_timer *actual = bide__container(timer, struct model_timer, timer);
    CHECK_PTR(actual, model_first(true));
    CHECK(!bide__timer_is_set(timer));
    actual->set = false;
    play.n_called++;
    switch (pick(8)) {
    case 0:
        play_set(actual);
        break;
    case 1:
        play_set(pick_timer());
        break;
    case 2:
    case 3:
        play_cancel(pick_timer());
        break;
    case 4:
        play_check_next();
        break;
    default:
        break;
    }
}

/* Stands still, creeps, stops around a deadline, leaps. */
static int64_t pick_now(void)
{
    struct model_timer *first = model_first(false);
    struct model_timer *other = pick_timer();
    int64_t at_ns = now_ns;
    int64_t delay_ns = 0;
    switch (pick(8)) {
    case 0:
        break;
    case 1:
        delay_ns = (int64_t)pick(10000);
        break;
    case 2:
        if (other->set && other->deadline_ns < INT64_MAX - 1)
            at_ns = other->deadline_ns - 1 + (int64_t)pick(3);
        break;
    case 3:
        delay_ns = (int64_t)pick(1 + (uint64_t)HOUR * pick(20));
        break;
    default:
        if (first)
            at_ns = bide__timers_next_ns(timers);
        break;
    }
    if (delay_ns < INT64_MAX - now_ns)
        at_ns += delay_ns;
    /* So that the clock seldom comes to its end, where it would stay. */
    if (at_ns < now_ns || (at_ns > INT64_MAX / 2 && pick(50) > 0))
        return now_ns;
    return at_ns;
}

static void play_expire(void)
{
    now_ns = pick_now();
    for (int i = 0; i < MODEL_N; i++)
        model[i].due = model[i].set && model[i].deadline_ns <= now_ns;
    play.n_called = 0;
    unsigned n = bide__timers_expire(timers, now_ns);
    CHECK_INT(n, play.n_called);
    CHECK_PTR(model_first(true), NULL);
}

static void play_seed(uint64_t seed, int n_max, int n_steps)
{
    play.random = seed;
    play.number = 0;
    play.n_max = n_max;
    uint64_t shift = 2 + pick(60);
    start(1 + (int64_t)(test_random(&play.random) >> shift));
    for (int i = 0; i < MODEL_N; i++) {
        model[i] = (struct model_timer){0};
        bide__timer_init(&model[i].timer, model_expired);
    }
    for (int i = 0; i < n_steps; i++) {
        uint64_t what = pick(16);
        if (what < 8)
            play_set(pick_timer());
        else if (what < 11)
            play_cancel(pick_timer());
        else if (what < 13)
            play_expire();
        else
            play_check_next();
    }
    for (int i = 0; i < MODEL_N; i++)
        CHECK_INT(bide__timer_is_set(&model[i].timer), model[i].set);
    bide__timers_free(timers);
}

BIDE_TEST_SECONDS(timer_behaves_as_a_sorted_array, 600)
{
    int n_seeds = test_long() ? 3000 : 200 / test_slowness() + 1;
    for (int i = 0; i < n_seeds; i++) {
        uint64_t seed = test_seed() + (uint64_t)i;
        printf("seed %llu\n", (unsigned long long)seed);
        play_seed(seed, SLOT_FEW, 3000);
        play_seed(seed, MODEL_N, 3000);
    }
}
