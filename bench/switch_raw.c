/*
 * The bare switch between fibers, in rings of several sizes and in alternating rounds beside
 * swapcontext(); prints medians of CPU time per switch and the latter's time relative to ours.
 *
 *     switch_raw              the table
 *     switch_raw --json       of ours alone, for bench/run.py
 */
#include "bench.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

#include <ucontext.h>

enum { ROUNDS = 9, RING_MAX = 10000, SWITCHES = 400000, SWITCHES_SLOW = 40000 };

struct member {
    struct bide__fiber fiber;
    unsigned watched;
    ucontext_t *context;
    struct bide__stack stack;
    struct member *next;
};

static struct bide__fiber thread;
static ucontext_t thread_context;
static long left;

/* Several places to switch from, as in a program: a return would be predicted to come from the one
 * before. */
static void fiber_body(void *argument)
{
    struct member *self = argument;
    for (;;) {
        if (--left < 0)
            bide__fiber_switch(&self->fiber, &thread);
        bide__fiber_switch(&self->fiber, &self->next->fiber);
        if (--left < 0)
            bide__fiber_switch(&self->fiber, &thread);
        __asm__ volatile("" : : : "memory");
        bide__fiber_switch(&self->fiber, &self->next->fiber);
    }
}

static void context_body(unsigned high, unsigned low)
{
    struct member *self = (void *)((uintptr_t)high << 32 | low);
    for (;;) {
        if (--left < 0)
            swapcontext(self->context, &thread_context);
        swapcontext(self->context, self->next->context);
    }
}

/* The block of a member lies at the top of its stack, at one of a few offsets, as a task's does. */
static struct member *new_member(struct bide__stack_pool *pool, int i)
{
    struct bide__stack stack;
    if (bide__stack_get(pool, 0, &stack) < 0)
        abort();
    size_t room = sizeof(struct member) + sizeof(ucontext_t);
    uintptr_t at = (uintptr_t)stack.top - (uintptr_t)(i % 8 * 128) - room;
    struct member *member = (void *)(at & ~(uintptr_t)63);
    member->stack = stack;
    member->context = (ucontext_t *)(void *)(member + 1);
    member->watched = bide__fiber_init(&member->fiber, stack.low, member, fiber_body, member);
    return member;
}

static void make_context(struct member *member, char *top)
{
    getcontext(member->context);
    member->context->uc_stack.ss_sp = member->stack.low;
    member->context->uc_stack.ss_size = (size_t)(top - member->stack.low);
    member->context->uc_link = NULL;
    uint64_t self = (uintptr_t)member;
    makecontext(member->context, (void (*)(void))context_body, 2, (unsigned)(self >> 32),
                (unsigned)self);
}

static void run_fibers(struct member *first, struct bench *bench, long switches)
{
    left = switches;
    bench_begin(bench);
    bide__fiber_switch(&thread, &first->fiber);
    bench_end(bench, (double)switches);
}

static void run_contexts(struct member *first, struct bench *bench, long switches)
{
    left = switches;
    bench_begin(bench);
    swapcontext(&thread_context, first->context);
    bench_end(bench, (double)switches);
}

static void shuffle(struct member **members, int n)
{
    uint64_t state = 1;
    for (int i = n - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int other = (int)((state >> 33) % (uint64_t)(i + 1));
        struct member *swapped = members[i];
        members[i] = members[other];
        members[other] = swapped;
    }
}

static void link_ring(struct member **members, int n)
{
    for (int i = 0; i < n; i++)
        members[i]->next = members[(i + 1) % n];
}

static void compare(struct member **fibers, struct member **contexts, int n, const char *order)
{
    struct bench fiber_bench = {0};
    struct bench context_bench = {0};
    link_ring(fibers, n);
    link_ring(contexts, n);
    for (int round = 0; round < ROUNDS; round++) {
        run_fibers(fibers[0], &fiber_bench, SWITCHES);
        run_contexts(contexts[0], &context_bench, SWITCHES_SLOW);
    }
    double ours = bench_median(&fiber_bench);
    if (bench_chosen()->json) {
        char name[32];
        snprintf(name, sizeof name, "switch/%d", n);
        if (strcmp(order, "by address") == 0)
            bench_value(name, ours, "ns");
        return;
    }
    double theirs = bench_median(&context_bench);
    printf("ring of %5d %-18s fiber %6.1f ns   swapcontext %6.1f ns   %5.1f times as long\n", n,
           order, ours, theirs, theirs / ours);
}

static void end_member(struct bide__stack_pool *pool, struct member *member)
{
    struct bide__stack stack = member->stack;
    bide__fiber_fini(&member->fiber, member->watched);
    bide__stack_put(pool, stack);
}

static void bench_ring(struct bide__stack_pool *pool, int n)
{
    static struct member *fibers[RING_MAX];
    static struct member *contexts[RING_MAX];
    for (int i = 0; i < n; i++)
        fibers[i] = new_member(pool, i);
    for (int i = 0; i < n; i++) {
        contexts[i] = new_member(pool, i);
        make_context(contexts[i], (char *)contexts[i]);
    }
    compare(fibers, contexts, n, "by address");
    if (n > 2) {
        shuffle(fibers, n);
        shuffle(contexts, n);
        compare(fibers, contexts, n, "in random order");
    }
    for (int i = 0; i < n; i++) {
        end_member(pool, fibers[i]);
        end_member(pool, contexts[i]);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    struct bide__stack_pool *pool;
    bench_options(argv);
    if (bide__stack_pool_new(0, &pool) < 0)
        abort();
    bide__fiber_init_thread(&thread);
    bench_ring(pool, 2);
    bench_ring(pool, 100);
    bench_ring(pool, 1000);
    bench_ring(pool, RING_MAX);
    bide__stack_pool_free(pool);
    return 0;
}
