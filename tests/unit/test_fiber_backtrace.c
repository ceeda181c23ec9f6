/*
 * Scenario: backtraces taken inside a fiber, by the C library, by gdb, and at every single
 * instruction of a switch. Claim: each reaches the fiber's entry and ends there, or while the
 * switch still stands on the other stack, that one's beginning.
 */
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "test.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

enum { FRAMES_MAX = 64 };

static struct bide__fiber thread;
static struct bide__fiber fiber;

/* The end of what the entry function does before it leaves. */
static void *entry_address;

static void *frames[FRAMES_MAX];
static int frame_count;

__attribute__((noinline)) static void take_backtrace(int depth)
{
    if (depth > 0)
        take_backtrace(depth - 1);
    else
        frame_count = backtrace(frames, FRAMES_MAX);
    __asm__ volatile("" : : : "memory"); /* no tail call */
}

__attribute__((noinline)) static void note_caller(void)
{
    entry_address = __builtin_return_address(0);
}

static void run_on_fiber(void (*entry)(void *), void *argument)
{
    struct bide__stack_pool *pool;
    struct bide__stack stack;
    CHECK_INT(bide__stack_pool_new(0, &pool), 0);
    CHECK_INT(bide__stack_get(pool, 0, &stack), 0);
    bide__fiber_init_thread(&thread);
    unsigned watched = bide__fiber_init(&fiber, stack.low, stack.top, entry, argument);
    bide__fiber_switch(&thread, &fiber);
    bide__fiber_fini(&fiber, watched);
    bide__stack_put(pool, stack);
    bide__stack_pool_free(pool);
}

static void backtrace_entry(void *argument)
{
    int depth = *(int *)argument;
    take_backtrace(depth);
    note_caller();
    bide__fiber_leave(&fiber, &thread);
}

static int entry_frame(void)
{
    for (int i = 0; i < frame_count; i++) {
        if ((uintptr_t)frames[i] > (uintptr_t)backtrace_entry && frames[i] <= entry_address)
            return i;
    }
    return -1;
}

BIDE_TEST(the_c_librarys_backtrace_ends_at_the_entry)
{
    void *before[FRAMES_MAX];
    backtrace(before, FRAMES_MAX); /* loads what it needs, on a large stack */
    for (int depth = 0; depth <= 10; depth += 5) {
        run_on_fiber(backtrace_entry, &depth);
        int entry = entry_frame();
        CHECK_RANGE(entry, depth + 1, depth + 2); /* a sanitizer stands in front of backtrace() */
        /* below it the trampoline, and where switches are watched or slow, one more */
        CHECK_RANGE(frame_count - entry, 2, 4);
        CHECK(frame_count < FRAMES_MAX);
    }
}

/* What gdb is made to stop in. */
__attribute__((noinline, used)) static void gdb_stops_here(void)
{
    __asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void gdb_level(int depth)
{
    if (depth > 0)
        gdb_level(depth - 1);
    else
        gdb_stops_here();
    __asm__ volatile("" : : : "memory");
}

static void gdb_entry(void *argument)
{
    (void)argument;
    gdb_level(3);
    bide__fiber_leave(&fiber, &thread);
}

/* The case that runs under gdb; alone it shows that the program is sound. */
BIDE_TEST(gdb_inner)
{
    run_on_fiber(gdb_entry, NULL);
}

static void run_gdb(void *argument)
{
    (void)argument;
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length <= 0)
        _exit(126);
    program[length] = '\0';
    unsetenv("DEBUGINFOD_URLS");
    execlp("gdb", "gdb", "-nx", "-batch", "-ex", "break gdb_stops_here", "-ex", "run", "-ex", "bt",
           "-ex", "kill", "--args", program, "--here", "gdb_inner", (char *)NULL);
    _exit(127);
}

BIDE_TEST_SECONDS(gdbs_backtrace_ends_at_the_entry, 60)
{
    static char output[32768];
    int status = test_child(run_gdb, NULL, output, sizeof(output));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return; /* no gdb on this machine */
    /* Strict containers and emulators forbid tracing; then there is no backtrace to judge. */
    if (strstr(output, "ptrace") || strstr(output, "Exec format error"))
        return;
    CHECK_CONTAINS(output, "gdb_stops_here");
    const char *level = strstr(output, "#4 ");
    CHECK_CONTAINS(level, "gdb_level");
    CHECK_CONTAINS(level, "gdb_entry");
    CHECK_CONTAINS(level, BIDE__SWITCH_UCONTEXT ? "in run (" : "switch_start");
    CHECK(!strstr(output, "Backtrace stopped"));
    CHECK(!strstr(output, "run_on_fiber"));
}

#if BIDE__SWITCH_X86_64
/*
 * The trap flag stops the thread after each instruction; the handler unwinds from there. The raw
 * switch is used, for a sanitizer's part in a switch is not to be unwound.
 */
enum { TRAP_FLAG = 0x100 };

struct landmarks {
    const char *thread_frame; /* the frame of the thread that called the switch */
    bool reached_thread;
    bool reached_start;
    int count;
};

extern char bide__switch_start[];
static const char *stepping_frame;
static int steps_on_thread;
static int steps_on_fiber;
static int steps_lost;
static void *thread_sp;
static void *fiber_sp;

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *data)
{
    struct landmarks *seen = data;
    const char *ip = (const char *)_Unwind_GetIP(context);
    if (ip > bide__switch_start && ip < bide__switch_start + 32)
        seen->reached_start = true;
    if ((const char *)_Unwind_GetCFA(context) > stepping_frame &&
        (const char *)_Unwind_GetCFA(context) < stepping_frame + 4096)
        seen->reached_thread = true;
    seen->count++;
    return seen->count < FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void on_step(int number,
                                                                                   siginfo_t *info,
                                                                                   void *data)
{
    (void)number;
    (void)info;
    const ucontext_t *context = data;
    const char *ip = (const char *)context->uc_mcontext.gregs[REG_RIP];
    const char *from = (const char *)(uintptr_t)bide__switch;
    if (ip < from || ip >= bide__switch_start + 32)
        return;
    struct landmarks seen = {0};
    _Unwind_Backtrace(look_at_frame, &seen);
    if (seen.count >= FRAMES_MAX || seen.reached_thread == seen.reached_start)
        steps_lost++;
    else if (seen.reached_thread)
        steps_on_thread++;
    else
        steps_on_fiber++;
}

static void set_trap_flag(unsigned long flag)
{
    __asm__ volatile("subq $128, %%rsp\n\t"
                     "pushfq\n\t"
                     "andq %1, (%%rsp)\n\t"
                     "orq %0, (%%rsp)\n\t"
                     "popfq\n\t"
                     "addq $128, %%rsp\n\t"
                     :
                     : "r"(flag), "r"(~(unsigned long)TRAP_FLAG)
                     : "memory", "cc");
}

static void step_entry(void *argument)
{
    (void)argument;
    bide__switch(&fiber_sp, &thread_sp);
    bide__switch(&fiber_sp, &thread_sp);
    abort();
}

__attribute__((noinline)) static void step_through_switches(void)
{
    stepping_frame = __builtin_frame_address(0);
    bide__switch(&thread_sp, &fiber_sp);
    set_trap_flag(TRAP_FLAG);
    bide__switch(&thread_sp, &fiber_sp);
    set_trap_flag(0);
}

__attribute__((noinline)) static void step_through_start(void)
{
    stepping_frame = __builtin_frame_address(0);
    set_trap_flag(TRAP_FLAG);
    bide__switch(&thread_sp, &fiber_sp);
    set_trap_flag(0);
}

static void step(void (*body)(void), int on_fiber_min)
{
    if (bide__on_valgrind())
        return; /* its processor has no trap flag */
    static char alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    CHECK_INT(sigaltstack(&stack, NULL), 0);
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_step;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    CHECK_INT(sigaction(SIGTRAP, &action, NULL), 0);
    static char memory[65536] __attribute__((aligned(64)));
    fiber_sp = bide__switch_prepare(memory + sizeof(memory), step_entry, NULL);
    body();
    CHECK_INT(steps_lost, 0);
    /* there and back: nearly all of a switch is still on the stack that it leaves */
    CHECK_RANGE(steps_on_thread, 25, 100);
    CHECK_RANGE(steps_on_fiber, on_fiber_min, 100);
}

BIDE_TEST(every_instruction_of_a_switch_can_be_unwound)
{
    step(step_through_switches, 25);
}

BIDE_TEST(every_instruction_of_the_first_switch_can_be_unwound)
{
    step(step_through_start, 28);
}
#endif
