/*
 * Scenario: fibers that switch among themselves and with the thread, on stacks of every alignment,
 * in several threads. Claim: each finds its registers, control words and locals as it left them,
 * and none writes above the end of its stack.
 */
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "test.h"

#include <pthread.h>
#include <string.h>

/* A fiber on a stack of its own, and what it shall do. */
struct actor {
    struct bide__fiber fiber;
    unsigned watched;
    struct bide__fiber *back; /* to whom it yields and leaves */
    struct bide__stack stack;
    void (*body)(struct actor *);
    unsigned long seed;
    unsigned long steps;
    bool done;
};

static void actor_main(void *argument)
{
    struct actor *actor = argument;
    actor->body(actor);
    actor->done = true;
    bide__fiber_leave(&actor->fiber, actor->back);
}

static void actor_start(struct actor *actor, struct bide__stack_pool *pool,
                        struct bide__fiber *back, void (*body)(struct actor *))
{
    memset(actor, 0, sizeof(*actor));
    actor->back = back;
    actor->body = body;
    CHECK_INT(bide__stack_get(pool, 0, &actor->stack), 0);
    actor->watched = bide__fiber_init(&actor->fiber, actor->stack.low, actor->stack.top, actor_main,
                                      actor);
}

static void actor_end(struct actor *actor, struct bide__stack_pool *pool)
{
    CHECK(actor->done);
    bide__fiber_fini(&actor->fiber, actor->watched);
    bide__stack_put(pool, actor->stack);
}

static struct bide__stack_pool *new_pool(void)
{
    struct bide__stack_pool *pool;
    CHECK_INT(bide__stack_pool_new(0, &pool), 0);
    return pool;
}

static char trace[64];

static void say(const char *word)
{
    strncat(trace, word, sizeof(trace) - strlen(trace) - 1);
}

static void say_twice(struct actor *actor)
{
    say("b");
    bide__fiber_switch(&actor->fiber, actor->back);
    say("d");
}

BIDE_TEST(control_goes_where_it_was_sent)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actor;
    actor_start(&actor, pool, &thread, say_twice);
    say("a");
    bide__fiber_switch(&thread, &actor.fiber);
    say("c");
    CHECK(!actor.done);
    bide__fiber_switch(&thread, &actor.fiber);
    say("e");
    CHECK_STR(trace, "abcde");
    actor_end(&actor, pool);
    bide__stack_pool_free(pool);
}

/*
 * There are two switches where one can be inline, and either may continue what the other left: they
 * take turns, out of step with every other rhythm.
 */
static void switch_either_way(struct bide__fiber *from, struct bide__fiber *to)
{
#if BIDE__SANITIZED
    bide__fiber_switch(from, to);
#else
    static _Thread_local unsigned turn;
    if (turn++ % 5 < 2)
        bide__switch(&from->sp, &to->sp);
    else
        bide__fiber_switch(from, to);
#endif
}

/* The two fibers of a thread that the functions below switch between, without arguments. */
static _Thread_local struct bide__fiber *running;
static _Thread_local struct bide__fiber *other;

__attribute__((used, noinline)) void test_fiber_swap(void);
void test_fiber_swap(void)
{
    struct bide__fiber *from = running;
    struct bide__fiber *to = other;
    running = to;
    other = from;
    switch_either_way(from, to);
}

/* Fills every register that a call preserves, switches, and returns the bits that came back wrong.
 */
#if defined(__x86_64__)
static unsigned long registers_wrong_after_switch(unsigned long seed)
{
    unsigned long wrong;
    __asm__ volatile("movq %%rsp, %%rax\n\t"
                     "subq $256, %%rsp\n\t"
                     "andq $-16, %%rsp\n\t"
                     "pushq %%rax\n\t"
                     "pushq %%rbp\n\t"
                     "pushq %%rdi\n\t"
                     "pushq %%rdi\n\t"
                     "leaq 1(%%rdi), %%rbx\n\t"
                     "leaq 2(%%rdi), %%rbp\n\t"
                     "leaq 3(%%rdi), %%r12\n\t"
                     "leaq 4(%%rdi), %%r13\n\t"
                     "leaq 5(%%rdi), %%r14\n\t"
                     "leaq 6(%%rdi), %%r15\n\t"
                     "callq test_fiber_swap\n\t"
                     "popq %%rdi\n\t"
                     "popq %%rdi\n\t"
                     "subq %%rdi, %%rbx\n\t"
                     "subq %%rdi, %%rbp\n\t"
                     "subq %%rdi, %%r12\n\t"
                     "subq %%rdi, %%r13\n\t"
                     "subq %%rdi, %%r14\n\t"
                     "subq %%rdi, %%r15\n\t"
                     "xorq $1, %%rbx\n\t"
                     "xorq $2, %%rbp\n\t"
                     "xorq $3, %%r12\n\t"
                     "xorq $4, %%r13\n\t"
                     "xorq $5, %%r14\n\t"
                     "xorq $6, %%r15\n\t"
                     "orq %%rbp, %%rbx\n\t"
                     "orq %%r12, %%rbx\n\t"
                     "orq %%r13, %%rbx\n\t"
                     "orq %%r14, %%rbx\n\t"
                     "orq %%r15, %%rbx\n\t"
                     "movq %%rbx, %%rcx\n\t"
                     "popq %%rbp\n\t"
                     "popq %%rsp\n\t"
                     : "=c"(wrong), "+D"(seed)
                     :
                     : "rax", "rbx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
    return wrong;
}
#elif defined(__aarch64__)
static unsigned long registers_wrong_after_switch(unsigned long seed)
{
    register unsigned long x0 __asm__("x0") = seed;
    __asm__ volatile("stp x29, x0, [sp, #-16]!\n\t"
                     "add x19, x0, #19\n\t"
                     "add x20, x0, #20\n\t"
                     "add x21, x0, #21\n\t"
                     "add x22, x0, #22\n\t"
                     "add x23, x0, #23\n\t"
                     "add x24, x0, #24\n\t"
                     "add x25, x0, #25\n\t"
                     "add x26, x0, #26\n\t"
                     "add x27, x0, #27\n\t"
                     "add x28, x0, #28\n\t"
                     "add x29, x0, #29\n\t"
                     "fmov d8, x19\n\t"
                     "fmov d9, x20\n\t"
                     "fmov d10, x21\n\t"
                     "fmov d11, x22\n\t"
                     "fmov d12, x23\n\t"
                     "fmov d13, x24\n\t"
                     "fmov d14, x25\n\t"
                     "fmov d15, x26\n\t"
                     "bl test_fiber_swap\n\t"
                     "mov x2, x29\n\t"
                     "ldp x29, x1, [sp], #16\n\t"
                     "mov x0, xzr\n\t"
                     ".macro check_vector register, number\n\t"
                     "fmov x3, \\register\n\t"
                     "sub x3, x3, x1\n\t"
                     "mov x4, #\\number\n\t"
                     "eor x3, x3, x4\n\t"
                     "orr x0, x0, x3\n\t"
                     ".endm\n\t"
                     ".macro check_integer register, number\n\t"
                     "sub x3, \\register, x1\n\t"
                     "mov x4, #\\number\n\t"
                     "eor x3, x3, x4\n\t"
                     "orr x0, x0, x3\n\t"
                     ".endm\n\t"
                     "check_integer x19, 19\n\t"
                     "check_integer x20, 20\n\t"
                     "check_integer x21, 21\n\t"
                     "check_integer x22, 22\n\t"
                     "check_integer x23, 23\n\t"
                     "check_integer x24, 24\n\t"
                     "check_integer x25, 25\n\t"
                     "check_integer x26, 26\n\t"
                     "check_integer x27, 27\n\t"
                     "check_integer x28, 28\n\t"
                     "check_integer x2, 29\n\t"
                     "check_vector d8, 19\n\t"
                     "check_vector d9, 20\n\t"
                     "check_vector d10, 21\n\t"
                     "check_vector d11, 22\n\t"
                     "check_vector d12, 23\n\t"
                     "check_vector d13, 24\n\t"
                     "check_vector d14, 25\n\t"
                     "check_vector d15, 26\n\t"
                     ".purgem check_integer\n\t"
                     ".purgem check_vector\n\t"
                     : "+r"(x0)
                     :
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
                       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31", "memory", "cc");
    return x0;
}
#else
static unsigned long registers_wrong_after_switch(unsigned long seed)
{
    unsigned long a = seed * 3;
    unsigned long b = seed * 5;
    unsigned long c = seed * 7;
    double d = (double)seed;
    test_fiber_swap();
    return (a ^ seed * 3) | (b ^ seed * 5) | (c ^ seed * 7) | (d != (double)seed);
}
#endif

static void check_registers(struct actor *actor)
{
    for (unsigned long i = 0; i < 5; i++)
        CHECK_INT(registers_wrong_after_switch(actor->seed + i * 100), 0);
}

BIDE_TEST(registers_are_kept_apart)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actor;
    actor_start(&actor, pool, &thread, check_registers);
    actor.seed = 0x1234567800000000;
    running = &thread;
    other = &actor.fiber;
    for (unsigned long i = 0; i < 6; i++)
        CHECK_INT(registers_wrong_after_switch(0x7654321000000000 + i * 100), 0);
    actor_end(&actor, pool);
    bide__stack_pool_free(pool);
}

/* Control words as one number; where there are none to be had, always the same. */
#if defined(__x86_64__)
static unsigned long control_words(void)
{
    unsigned mxcsr;
    unsigned short x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (unsigned long)(mxcsr & 0xffc0) << 16 | x87;
}

static void set_control_words(unsigned long words)
{
    unsigned mxcsr = (unsigned)(words >> 16);
    unsigned short x87 = (unsigned short)words;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
}

/* Default; round up in SSE alone, in x87 alone, in both; flush to zero; single precision in x87. */
static const unsigned long control_candidates[] = {0x1f80037f, 0x5f80037f, 0x1f800b7f,
                                                   0x5f800b7f, 0x9f80037f, 0x1f80007f};
#elif defined(__aarch64__)
static unsigned long control_words(void)
{
    unsigned long words;
    __asm__ volatile("mrs %0, fpcr" : "=r"(words));
    return words;
}

static void set_control_words(unsigned long words)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(words));
}

/* Default; round up; flush to zero; default NaN. */
static const unsigned long control_candidates[] = {0, 1 << 22, 1 << 24, 1 << 25};
#else
static unsigned long control_words(void)
{
    return 0;
}

static void set_control_words(unsigned long words)
{
    (void)words;
}

static const unsigned long control_candidates[] = {0};
#endif

enum { N_CANDIDATES = sizeof(control_candidates) / sizeof(control_candidates[0]) };
static unsigned long control_choices[N_CANDIDATES];
static unsigned long n_choices;

/* Valgrind does not keep all of them, even without a switch. */
static void choose_control_words(void)
{
    for (int i = 0; i < N_CANDIDATES; i++) {
        set_control_words(control_candidates[i]);
        if (control_words() == control_candidates[i])
            control_choices[n_choices++] = control_candidates[i];
    }
    set_control_words(control_choices[0]);
    CHECK_RANGE(n_choices, N_CANDIDATES > 4 ? 4 : N_CANDIDATES, N_CANDIDATES);
}

static void keep_control_words(struct actor *actor)
{
    for (unsigned long i = 0; i < 8; i++) {
        unsigned long mine = control_choices[(actor->seed + i) % n_choices];
        set_control_words(mine);
        volatile double third = 3;
        third = 1 / third; /* inexact: a status flag that shall matter to nobody */
        switch_either_way(&actor->fiber, actor->back);
        CHECK_INT(control_words(), mine);
    }
    set_control_words(control_choices[0]);
}

static void meet_others_with(unsigned long mine)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actors[4];
    for (unsigned long i = 0; i < 4; i++) {
        actor_start(&actors[i], pool, &thread, keep_control_words);
        actors[i].seed = i;
    }
    set_control_words(mine);
    for (int round = 0; round < 9; round++) {
        for (int i = 0; i < 4; i++) {
            switch_either_way(&thread, &actors[i].fiber);
            CHECK_INT(control_words(), mine);
        }
    }
    set_control_words(control_choices[0]);
    for (int i = 0; i < 4; i++)
        actor_end(&actors[i], pool);
    bide__stack_pool_free(pool);
}

/* Each choice meets each other one, so that a difference in any single word has to be seen. */
BIDE_TEST(control_words_belong_to_the_fiber)
{
    choose_control_words();
    for (unsigned long i = 0; i < n_choices; i++)
        meet_others_with(control_choices[i]);
}

static void note_control_words(struct actor *actor)
{
    actor->seed = control_words();
}

BIDE_TEST(a_fiber_starts_with_the_control_words_of_its_maker)
{
    choose_control_words();
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actor;
    set_control_words(control_choices[n_choices - 1]);
    actor_start(&actor, pool, &thread, note_control_words);
    set_control_words(control_choices[0]);
    bide__fiber_switch(&thread, &actor.fiber);
    CHECK_INT(actor.seed, control_choices[n_choices - 1]);
    actor_end(&actor, pool);
    bide__stack_pool_free(pool);
}

static void note_frame(struct actor *actor)
{
    _Alignas(16) volatile char local[16] = {0};
    actor->seed = (unsigned long)(uintptr_t)local;
}

BIDE_TEST(any_top_will_do_and_nothing_above_it_is_touched)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    for (size_t above = 0; above < 200; above += 7) {
        struct actor actor;
        actor_start(&actor, pool, &thread, note_frame);
        bide__fiber_fini(&actor.fiber, actor.watched);
        char *top = actor.stack.top - above;
        memset(top, 0x5a, above);
        actor.watched = bide__fiber_init(&actor.fiber, actor.stack.low, top, actor_main, &actor);
        bide__fiber_switch(&thread, &actor.fiber);
        for (size_t i = 0; i < above; i++)
            CHECK_INT(top[i], 0x5a);
        CHECK(actor.seed % 16 == 0);
#if !BIDE__ASAN /* there locals may live on its fake stack */
        CHECK_RANGE(actor.seed, (uintptr_t)actor.stack.low, (uintptr_t)top - 16);
#endif
        actor_end(&actor, pool);
    }
    bide__stack_pool_free(pool);
}

enum { CROWD = 500 };

struct crowd {
    struct actor actors[CROWD];
    struct bide__fiber thread;
    uint64_t random;
    unsigned long switches_left;
};

static struct crowd crowd;

/* Hands on to a random one, itself excluded, checking a page of locals each time it comes back. */
static void wander(struct actor *actor)
{
    volatile unsigned char locals[1024];
    while (crowd.switches_left > 0) {
        crowd.switches_left--;
        unsigned char mark = (unsigned char)(actor->seed + ++actor->steps);
        for (size_t i = 0; i < sizeof(locals); i += 97)
            locals[i] = mark;
        struct actor *next = &crowd.actors[test_random(&crowd.random) % CROWD];
        if (next == actor)
            continue;
        switch_either_way(&actor->fiber, &next->fiber);
        for (size_t i = 0; i < sizeof(locals); i += 97)
            CHECK_INT(locals[i], mark);
    }
}

BIDE_TEST(a_crowd_wanders_at_random)
{
    struct bide__stack_pool *pool = new_pool();
    crowd.random = test_seed();
    crowd.switches_left = test_long() ? 2000000 : 20000;
    bide__fiber_init_thread(&crowd.thread);
    for (unsigned long i = 0; i < CROWD; i++) {
        actor_start(&crowd.actors[i], pool, &crowd.thread, wander);
        crowd.actors[i].seed = i;
    }
    for (int i = 0; i < CROWD; i++) {
        while (!crowd.actors[i].done)
            switch_either_way(&crowd.thread, &crowd.actors[i].fiber);
    }
    unsigned long steps = 0;
    for (int i = 0; i < CROWD; i++) {
        steps += crowd.actors[i].steps;
        actor_end(&crowd.actors[i], pool);
    }
    CHECK_INT(steps, test_long() ? 2000000 : 20000);
    bide__stack_pool_free(pool);
}

/* Fills most of the stack, and leaves it from below all those frames, which never end. */
static void leave_from_below(struct actor *actor, int depth);
static void (*volatile go_deeper)(struct actor *, int) = leave_from_below;

static void leave_from_below(struct actor *actor, int depth)
{
    volatile unsigned char frame[1000];
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (unsigned char)(i + (size_t)depth);
    if (depth > 0)
        go_deeper(actor, depth - 1);
    actor->steps = frame[77];
    actor->done = true;
    bide__fiber_leave(&actor->fiber, actor->back);
}

static void leave_deep(struct actor *actor)
{
    leave_from_below(actor, 20);
}

static void come_back(struct actor *actor)
{
    volatile unsigned char frame[3000];
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (unsigned char)i;
    actor->steps = frame[77];
}

BIDE_TEST(a_stack_left_with_frames_on_it_serves_the_next_fiber)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    char *low = NULL;
    for (int round = 0; round < 20; round++) {
        struct actor actor;
        actor_start(&actor, pool, &thread, round % 2 ? come_back : leave_deep);
        CHECK(!low || low == actor.stack.low);
        low = actor.stack.low;
        bide__fiber_switch(&thread, &actor.fiber);
        CHECK_INT(actor.steps, 77);
        actor_end(&actor, pool);
    }
    bide__stack_pool_free(pool);
}

static void count_to_thousand(struct actor *actor)
{
    while (actor->steps < 1000) {
        actor->steps++;
        bide__fiber_switch(&actor->fiber, actor->back);
    }
}

static void *run_two(void *argument)
{
    (void)argument;
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actors[2];
    for (int i = 0; i < 2; i++)
        actor_start(&actors[i], pool, &thread, count_to_thousand);
    for (int turn = 0; turn < 2002; turn++)
        bide__fiber_switch(&thread, &actors[turn % 2].fiber);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(actors[i].steps, 1000);
        actor_end(&actors[i], pool);
    }
    bide__stack_pool_free(pool);
    return NULL;
}

BIDE_TEST(threads_have_fibers_of_their_own)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_two, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static void never_started(struct actor *actor)
{
    FAIL("fiber %p was started", (void *)actor);
}

BIDE_TEST(a_fiber_may_end_before_it_starts)
{
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    for (int i = 0; i < 10; i++) {
        struct actor actor;
        actor_start(&actor, pool, &thread, never_started);
        actor.done = true;
        actor_end(&actor, pool);
    }
    CHECK_INT(bide__stack_pool_held(pool), 0);
    bide__stack_pool_free(pool);
}

#if BIDE__ASAN
static void write_behind_array(struct actor *actor)
{
    char array[32] = {0};
    char *volatile start = array; /* hides the bounds from the other sanitizer */
    bide__fiber_switch(&actor->fiber, actor->back);
    start[actor->seed] = 1;
    actor->steps = (unsigned char)array[0];
}

static void overrun_in_fiber(void *argument)
{
    (void)argument;
    struct bide__stack_pool *pool = new_pool();
    struct bide__fiber thread;
    bide__fiber_init_thread(&thread);
    struct actor actor;
    actor_start(&actor, pool, &thread, write_behind_array);
    actor.seed = 32;
    bide__fiber_switch(&thread, &actor.fiber);
    bide__fiber_switch(&thread, &actor.fiber);
}

BIDE_TEST(address_sanitizer_sees_an_overrun_on_a_fiber)
{
    char output[8192];
    CHECK(test_child(overrun_in_fiber, NULL, output, sizeof(output)) != 0);
    CHECK_CONTAINS(output, "stack-buffer-overflow");
    CHECK_CONTAINS(output, "write_behind_array");
    CHECK_CONTAINS(output, "actor_main");
}
#endif
