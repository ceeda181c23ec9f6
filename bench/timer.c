/*
 * The loop's timer wheel beside an indexed 4-ary heap (timer_heap.h), in alternating rounds; prints
 * the median of each in ns of CPU time per operation and the heap's time relative to the wheel's.
 *
 *     timer             the table
 *     timer --json      of the wheel with 1,000,000 pending, for bench/run.py
 */
#include "runtime/timer.h"
#include "bench.h"
#include "timer_heap.h"

enum {
    ROUNDS = 5,
    OPERATIONS_MIN = 200 * 1000, /* of each measurement, in as many repetitions as that takes */
};

static const int64_t start_ns = INT64_C(1000000000000);
static const int64_t timeout_max_ns = INT64_C(60000000000);
static const int64_t step_ns = 1000000;

/* A timer in the middle of what owns it, as in a task's control block: neighbours do not share
 * cache lines. */
struct owner {
    uint64_t before[8];
    union {
        struct bide__timer wheel;
        struct heap_timer heap;
    } timer;
    uint64_t after[8];
};

static struct owner *owners;
static unsigned *shuffled;

static uint64_t random_next(void)
{
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int64_t random_timeout(void)
{
    return 1 + (int64_t)(random_next() % (uint64_t)timeout_max_ns);
}

/* What the clock itself, a system call, adds to a measurement: short ones would feel it. */
static double clock_ns;

static double elapsed_since(int64_t begin_ns)
{
    return (double)(bench_cpu_ns() - begin_ns) - clock_ns;
}

static void calibrate(void)
{
    enum { CALLS = 10000 };
    int64_t begin_ns = bench_cpu_ns();
    for (int i = 1; i < CALLS; i++)
        bench_cpu_ns();
    clock_ns = (double)(bench_cpu_ns() - begin_ns) / CALLS;
}

/* Both queues behind one face. The scenarios are inlined for each, so that every call in them is
 * direct. */
struct queue_kind {
    void *(*new)(int64_t now_ns);
    void (*free)(void *queue);
    void (*init)(struct owner *owner);
    void (*set)(void *queue, struct owner *owner, int64_t deadline_ns);
    void (*cancel)(void *queue, struct owner *owner);
    int64_t (*next_ns)(void *queue);
    unsigned (*expire)(void *queue, int64_t now_ns);
};

#define FACE static inline __attribute__((always_inline))

/* What the expiry of the "expire + set" scenario sets the timer in again; NULL: nowhere. */
static void *again_queue;
static int64_t again_now_ns;

static void wheel_expired(struct bide__timer *timer)
{
    if (again_queue)
        bide__timer_set(again_queue, timer, again_now_ns + random_timeout());
}

FACE void *wheel_new(int64_t now_ns)
{
    return bide__timers_new(now_ns);
}

FACE void wheel_free(void *queue)
{
    bide__timers_free(queue);
}

FACE void wheel_init(struct owner *owner)
{
    bide__timer_init(&owner->timer.wheel, wheel_expired);
}

FACE void wheel_set(void *queue, struct owner *owner, int64_t deadline_ns)
{
    bide__timer_set(queue, &owner->timer.wheel, deadline_ns);
}

FACE void wheel_cancel(void *queue, struct owner *owner)
{
    bide__timer_cancel(queue, &owner->timer.wheel);
}

FACE int64_t wheel_next_ns(void *queue)
{
    return bide__timers_next_ns(queue);
}

FACE unsigned wheel_expire(void *queue, int64_t now_ns)
{
    return bide__timers_expire(queue, now_ns);
}

static void rival_expired(struct heap_timer *timer)
{
    if (again_queue)
        heap_set(again_queue, timer, again_now_ns + random_timeout());
}

FACE void *rival_new(int64_t now_ns)
{
    return heap_new(now_ns);
}

FACE void rival_free(void *queue)
{
    heap_free(queue);
}

FACE void rival_init(struct owner *owner)
{
    heap_timer_init(&owner->timer.heap, rival_expired);
}

FACE void rival_set(void *queue, struct owner *owner, int64_t deadline_ns)
{
    heap_set(queue, &owner->timer.heap, deadline_ns);
}

FACE void rival_cancel(void *queue, struct owner *owner)
{
    heap_cancel(queue, &owner->timer.heap);
}

FACE int64_t rival_next_ns(void *queue)
{
    return heap_next_ns(queue);
}

FACE unsigned rival_expire(void *queue, int64_t now_ns)
{
    return heap_expire(queue, now_ns);
}

static const struct queue_kind wheel = {wheel_new,    wheel_free,    wheel_init,  wheel_set,
                                        wheel_cancel, wheel_next_ns, wheel_expire};
static const struct queue_kind rival = {rival_new,    rival_free,    rival_init,  rival_set,
                                        rival_cancel, rival_next_ns, rival_expire};

FACE void *new_queue(const struct queue_kind *kind, unsigned n)
{
    void *queue = kind->new (start_ns);
    if (!queue)
        abort();
    for (unsigned i = 0; i < n; i++)
        kind->init(&owners[i]);
    return queue;
}

FACE void fill(const struct queue_kind *kind, void *queue, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kind->set(queue, &owners[i], start_ns + random_timeout());
}

/* Each returns ns per operation with `n` timers pending. */
FACE double measure_set(const struct queue_kind *kind, unsigned n)
{
    unsigned repetitions = (OPERATIONS_MIN + n - 1) / n;
    double sum = 0;
    for (unsigned r = 0; r < repetitions; r++) {
        void *queue = new_queue(kind, n);
        int64_t begin_ns = bench_cpu_ns();
        fill(kind, queue, n);
        sum += elapsed_since(begin_ns);
        kind->free(queue);
    }
    return sum / repetitions / n;
}

FACE double measure_cancel(const struct queue_kind *kind, unsigned n)
{
    unsigned repetitions = (OPERATIONS_MIN + n - 1) / n;
    double sum = 0;
    for (unsigned i = 0; i < n; i++)
        shuffled[i] = i;
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)(random_next() % i);
        unsigned other = shuffled[j];
        shuffled[j] = shuffled[i - 1];
        shuffled[i - 1] = other;
    }
    for (unsigned r = 0; r < repetitions; r++) {
        void *queue = new_queue(kind, n);
        fill(kind, queue, n);
        int64_t begin_ns = bench_cpu_ns();
        for (unsigned i = 0; i < n; i++)
            kind->cancel(queue, &owners[shuffled[i]]);
        sum += elapsed_since(begin_ns);
        kind->free(queue);
    }
    return sum / repetitions / n;
}

/* A timeout around something that is over at once, as most are. */
FACE double measure_set_cancel(const struct queue_kind *kind, unsigned n, unsigned pairs)
{
    void *queue = new_queue(kind, n + 1);
    fill(kind, queue, n);
    int64_t begin_ns = bench_cpu_ns();
    for (unsigned i = 0; i < pairs; i++) {
        kind->set(queue, &owners[n], start_ns + timeout_max_ns / 2 + (int64_t)i * 100);
        kind->cancel(queue, &owners[n]);
    }
    double elapsed = elapsed_since(begin_ns);
    kind->free(queue);
    return elapsed / pairs;
}

/* The loop sleeps for each timer; what expires is set again, as by a task that sleeps in turn. */
FACE double measure_expire_set(const struct queue_kind *kind, unsigned n)
{
    void *queue = new_queue(kind, n);
    fill(kind, queue, n);
    again_queue = queue;
    unsigned expired = 0;
    int64_t begin_ns = bench_cpu_ns();
    while (expired < OPERATIONS_MIN) {
        again_now_ns = kind->next_ns(queue);
        expired += kind->expire(queue, again_now_ns);
    }
    double elapsed = elapsed_since(begin_ns);
    again_queue = NULL;
    kind->free(queue);
    return elapsed / expired;
}

/* A busy loop comes by every millisecond. */
FACE double measure_expire_steps(const struct queue_kind *kind, unsigned n)
{
    void *queue = new_queue(kind, n);
    fill(kind, queue, n);
    unsigned expired = 0;
    int64_t begin_ns = bench_cpu_ns();
    for (int64_t now_ns = start_ns; expired < n; now_ns += step_ns)
        expired += kind->expire(queue, now_ns);
    double elapsed = elapsed_since(begin_ns);
    kind->free(queue);
    return elapsed / n;
}

/* The loop was asleep for as long as the longest timeout. */
FACE double measure_expire_at_once(const struct queue_kind *kind, unsigned n)
{
    void *queue = new_queue(kind, n);
    fill(kind, queue, n);
    int64_t begin_ns = bench_cpu_ns();
    kind->expire(queue, start_ns + timeout_max_ns);
    double elapsed = elapsed_since(begin_ns);
    kind->free(queue);
    return elapsed / n;
}

#define BOTH(name, call) \
    static double wheel_##name(unsigned n) \
    { \
        const struct queue_kind *kind = &wheel; \
        return call; \
    } \
    static double rival_##name(unsigned n) \
    { \
        const struct queue_kind *kind = &rival; \
        return call; \
    }

BOTH(sets, measure_set(kind, n))
BOTH(cancels, measure_cancel(kind, n))
BOTH(pairs, measure_set_cancel(kind, n, OPERATIONS_MIN))
BOTH(cycles, measure_expire_set(kind, n))
BOTH(steps, measure_expire_steps(kind, n))
BOTH(jump, measure_expire_at_once(kind, n))

static void row(const char *what, unsigned n, double (*of_wheel)(unsigned),
                double (*of_rival)(unsigned))
{
    struct bench wheels = {0};
    struct bench rivals = {0};
    for (int i = 0; i < ROUNDS; i++) {
        wheels.ns[wheels.n_rounds++] = of_wheel(n);
        rivals.ns[rivals.n_rounds++] = of_rival(n);
    }
    double wheel_ns = bench_median(&wheels);
    double rival_ns = bench_median(&rivals);
    printf("%-26s %8u %8.1f %8.1f %8.2f\n", what, n, wheel_ns, rival_ns, rival_ns / wheel_ns);
    fflush(stdout);
}

static void wheel_alone(unsigned n)
{
    bench_value("timers/insert", wheel_sets(n), "ns");
    bench_value("timers/cancel", wheel_cancels(n), "ns");
    bench_value("timers/expire", wheel_jump(n), "ns");
    bench_value("timers/set+cancel", wheel_pairs(n), "ns");
}

int main(int argc, char **argv)
{
    enum { N_MAX = 1000 * 1000 };
    (void)argc;
    bench_options(argv);
    owners = calloc(N_MAX + 1, sizeof(*owners));
    shuffled = calloc(N_MAX, sizeof(*shuffled));
    if (!owners || !shuffled)
        return 1;
    memset(owners, 1, (N_MAX + 1) * sizeof(*owners)); /* first touches are not the queues' */
    calibrate();
    if (bench_chosen()->json) {
        wheel_alone(N_MAX);
        return 0;
    }
    printf("%-26s %8s %8s %8s %8s\n", "ns per operation", "pending", "wheel", "heap", "heap/wheel");
    static const unsigned pending[] = {1, 1000, N_MAX};
    for (int i = 0; i < 3; i++) {
        unsigned n = pending[i];
        row("set + cancel", n, wheel_pairs, rival_pairs);
        row("sleep: expire + set", n, wheel_cycles, rival_cycles);
        if (n == 1)
            continue;
        row("set", n, wheel_sets, rival_sets);
        row("cancel at random", n, wheel_cancels, rival_cancels);
        row("expire, every 1 ms", n, wheel_steps, rival_steps);
        row("expire, all at once", n, wheel_jump, rival_jump);
    }
    free(owners);
    free(shuffled);
    return 0;
}
