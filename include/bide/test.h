/*
 * Tests: the library `bide-test`. A test program is a file of tests and nothing else:
 *
 *     #include <bide/test.h>
 *
 *     BIDE_TEST_TASK(a_child_has_a_result)
 *     {
 *         bide_task *child = bide_spawn(delay, 2);
 *         BIDE_CHECK_INT(bide_await(child), 2);
 *     }
 *
 * main() is in the library. It prints TAP; `program NAME...` runs the tests with these names (as
 * patterns of a shell), `--list` names them, `--here` runs them without a process of their own (for
 * gdb and valgrind).
 *
 * Invariants
 *  - Every test, and every seed of one, runs in a process of its own with a time limit, so that a
 *    crash, a hang or a leak is one failed test and the others still run. What a test prints is
 *    shown only if it fails.
 *  - The first failed check ends its test.
 *  - A test in a loop leaves nothing behind, unless it says that it does.
 */
#ifndef BIDE_TEST_H
#define BIDE_TEST_H

#include <bide/async.h>
#include <bide/check.h>

BIDE_BEGIN_DECLARATIONS

/* What a test in a loop may leave behind without failing; to be combined with |. */
enum bide_test_leaves {
    BIDE_TEST_LEAVES_TASKS = 1 << 0,       /* tasks that are not done */
    BIDE_TEST_LEAVES_RESULTS = 1 << 1,     /* handles of tasks, and promises */
    BIDE_TEST_LEAVES_CALLBACKS = 1 << 2,   /* scheduled callbacks, watchers, signal handlers */
    BIDE_TEST_LEAVES_STREAMS = 1 << 3,     /* streams, servers */
    BIDE_TEST_LEAVES_DESCRIPTORS = 1 << 4, /* the process's own */
    BIDE_TEST_LEAVES_REPORTS = 1 << 5,     /* reports that bide_test_take_report() did not take */
    BIDE_TEST_LEAVES_ALL = (1 << 6) - 1    /* all of these */
};

/* How a test is run; zeroed fields mean defaults. */
struct bide_test_opts {
    int seconds; /* its time limit, times bide_test_slowness(); 0: 30 */
    /* The rest is for tests in a loop. */
    const char *engine; /* as in struct bide_loop_opts. "sim": in virtual time, once for each of
                           many seeds */
    unsigned seeds;     /* how many, with "sim"; 0: 100. The environment's BIDE_TEST_SEEDS counts
                           more */
    unsigned seeds_max; /* how many at most, whatever the environment says, for a test that takes
                           long; 0: no limit */
    uint64_t seed;      /* the first one; the environment's BIDE_TEST_SEED counts more, and then it
                           is the only one */
    size_t stack_size;  /* as in struct bide_loop_opts */
    double cleanup_seconds; /* likewise */
    unsigned leaves;        /* of enum bide_test_leaves */
};

/*
 * BIDE_TEST(name, options...) { body }
 *
 * A test without a loop. Options are fields of struct bide_test_opts in any order, as in
 *     BIDE_TEST(many_items, .seconds = 60)
 */
#define BIDE_TEST(...) BIDE__PICK(BIDE__TEST_, __VA_ARGS__)(__VA_ARGS__)

/*
 * BIDE_TEST_TASK(name, options...) { body }
 *
 * A test whose body is the main task of a loop of its own, so that it may suspend. When the body
 * has returned and what can run has run, nothing may be left: see enum bide_test_leaves. If the
 * time is up, or with the engine "sim" nothing can ever happen any more, it is told what each task
 * waits for.
 */
#define BIDE_TEST_TASK(...) BIDE__PICK(BIDE__TEST_TASK_, __VA_ARGS__)(__VA_ARGS__)

/*
 * BIDE_TEST_EACH(array, name, options...) { body }
 * BIDE_TEST_TASK_EACH(array, name, options...) { body }
 *
 * A test for each element of a static array. In the body, `each` points at the element. The tests
 * are called name/0, name/1 and so on; `name` runs them all.
 */
#define BIDE_TEST_EACH(array, ...) \
    BIDE__PICK(BIDE__TEST_EACH_, __VA_ARGS__)(array, false, __VA_ARGS__)
#define BIDE_TEST_TASK_EACH(array, ...) \
    BIDE__PICK(BIDE__TEST_EACH_, __VA_ARGS__)(array, true, __VA_ARGS__)

/*
 * BIDE_FIXTURE(name, type, set_up, tear_down);
 *
 * What tests need around them: before the body, int set_up(type *) fills a zeroed object, or fails
 * with a negative error, and with it the test; after it, void tear_down(type *) empties it. Both
 * run in the test's loop, if it has one, and may suspend then.
 *
 * The object is torn down on every way out that leaves the process alive: also if set_up() failed,
 * half-built then, and if a check failed in a task of the test's loop.
 */
#define BIDE_FIXTURE(name, type, set_up, tear_down) \
    BIDE__FIXTURE(name, type, NULL, set_up((type *)bide__it), tear_down)

/*
 * BIDE_FIXTURE_ON(base, name, type, set_up, tear_down);
 *
 * A fixture that stands on another one, which is set up before and torn down after it: int
 * set_up(type *, base's type *).
 */
#define BIDE_FIXTURE_ON(base, name, type, set_up, tear_down) \
    BIDE__FIXTURE(name, type, &base##__bide_fixture, \
                  set_up((type *)bide__it, (base##__bide_type *)bide__base), tear_down)

/*
 * BIDE_TEST_WITH(fixture, name, options...) { body }
 * BIDE_TEST_TASK_WITH(fixture, name, options...) { body }
 *
 * A test with a fixture. In the body, the fixture's name points at its object.
 */
#define BIDE_TEST_WITH(fixture, ...) \
    BIDE__PICK(BIDE__TEST_WITH_, __VA_ARGS__)(fixture, false, __VA_ARGS__)
#define BIDE_TEST_TASK_WITH(fixture, ...) \
    BIDE__PICK(BIDE__TEST_WITH_, __VA_ARGS__)(fixture, true, __VA_ARGS__)

/*
 * The oldest report of the test's loop that was not taken, NULL if there is none: what went wrong
 * and would otherwise fail the test.
 *
 * Returns borrowed; stays valid to the end of the test. Suspends: no. Cancel: not affected. Thread:
 * loop thread only.
 */
const struct bide_report *bide_test_take_report(void);

/*
 * What receives the reports of a test's loop: for loops that a test makes itself, with
 * bide_loop_set_exception_handler(loop, bide_test_catch_report, NULL).
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
void bide_test_catch_report(bide_loop *loop, const struct bide_report *report, void *data);

/*
 * Lets n turns of the loop pass, so that what can run does. Fails the test if it is cancelled.
 *
 * Suspends: yes, if n > 0. Cancel: fails the test. Thread: loop thread only.
 */
void bide_test_turns(int n);

/*
 * What main() does, for programs that have one of their own.
 *
 * argc, argv: main's. Returns its exit status: 0 if all tests passed or were skipped, 1 if one
 * failed, 2 if there is none of a name that was given. Suspends: no. Cancel: not affected. Thread:
 * the main one, with no loop running.
 */
int bide_test_main(int argc, char **argv);

/*
 * Runs body(argument) in a further process, for what must crash, exit or print. A body that returns
 * exits with 0.
 *
 * output: gets what it wrote to standard output and error, cut to size - 1 bytes and terminated;
 * NULL if it is not wanted. Returns its wait status. Suspends: no (it occupies the thread). Cancel:
 * not affected. Thread: any.
 */
int bide_test_child(void (*body)(void *argument), void *argument, char *output, size_t size);

/*
 * The seed of a test that chooses at random: the environment's BIDE_TEST_SEED, or a fixed number.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
uint64_t bide_test_seed(void);

/*
 * A number at random, good enough to choose by; the same state gives the same numbers.
 *
 * state: begins as the seed. Suspends: no. Cancel: not affected. Thread: any.
 */
uint64_t bide_test_random(uint64_t *state);

/*
 * How much slower than plain code this program runs (sanitizers, valgrind, emulation), at least 1:
 * the environment's BIDE_TEST_SLOW, or 4 with sanitizers.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
int bide_test_slowness(void);

/* From here on: what the macros above expand to. Not to be used directly. */

struct bide__fixture {
    const char *name;
    size_t size;
    const struct bide__fixture *base;
    int (*set_up)(void *it, void *base);
    void (*tear_down)(void *it);
};

typedef void bide__test_body(void *it, const void *each);

struct bide__test {
    const char *name;
    struct bide_place place;
    bide__test_body *body;
    bool in_task;
    const struct bide__fixture *fixture;
    const void *array;
    size_t n;
    size_t element_size;
    struct bide_test_opts opts;
    struct bide__test *next;
};

void bide__test_add(struct bide__test *test, const char *name, bide__test_body *body,
                    const char *file, int line);

#define BIDE__OPTION(option) bide__test.opts option;
#define BIDE__OPTIONS(...) BIDE__EACH(BIDE__OPTION, __VA_ARGS__)
#define BIDE__IN_TASK(value) bide__test.in_task = value;

#define BIDE__TEST_ONE(name) BIDE__DEFINE_TEST(name, (void), (), )
#define BIDE__TEST_MANY(name, ...) BIDE__DEFINE_TEST(name, (void), (), BIDE__OPTIONS(__VA_ARGS__))
#define BIDE__TEST_TASK_ONE(name) BIDE__DEFINE_TEST(name, (void), (), BIDE__IN_TASK(true))
#define BIDE__TEST_TASK_MANY(name, ...) \
    BIDE__DEFINE_TEST(name, (void), (), BIDE__IN_TASK(true) BIDE__OPTIONS(__VA_ARGS__))

#define BIDE__TEST_EACH_ONE(array, in_task, name) BIDE__DEFINE_EACH(array, in_task, name, )
#define BIDE__TEST_EACH_MANY(array, in_task, name, ...) \
    BIDE__DEFINE_EACH(array, in_task, name, BIDE__OPTIONS(__VA_ARGS__))
#define BIDE__DEFINE_EACH(elements, is_in_task, name, options) \
    typedef __typeof__((elements)[0]) name##__bide_element; \
    BIDE__DEFINE_TEST(name, (const name##__bide_element *each __attribute__((unused))), \
                      ((const name##__bide_element *)bide__each), \
                      BIDE__IN_TASK(is_in_task) bide__test.array = (elements); \
                      bide__test.n = sizeof(elements) / sizeof((elements)[0]); \
                      bide__test.element_size = sizeof((elements)[0]); options)

#define BIDE__TEST_WITH_ONE(fixture, in_task, name) BIDE__DEFINE_WITH(fixture, in_task, name, )
#define BIDE__TEST_WITH_MANY(fixture, in_task, name, ...) \
    BIDE__DEFINE_WITH(fixture, in_task, name, BIDE__OPTIONS(__VA_ARGS__))
#define BIDE__DEFINE_WITH(rig, is_in_task, name, options) \
    BIDE__DEFINE_TEST(name, (rig##__bide_type * rig __attribute__((unused))), \
                      ((rig##__bide_type *)bide__it), \
                      BIDE__IN_TASK(is_in_task) bide__test.fixture = &rig##__bide_fixture; \
                      options)

#define BIDE__DEFINE_TEST(name, parameters, arguments, settings) \
    static void test_##name parameters; \
    static void name##__bide_body(void *bide__it, const void *bide__each) \
    { \
        (void)bide__it; \
        (void)bide__each; \
        test_##name arguments; \
    } \
    __attribute__((constructor)) static void name##__bide_add(void) \
    { \
        static struct bide__test bide__test; \
        settings bide__test_add(&bide__test, #name, name##__bide_body, __FILE__, __LINE__); \
    } \
    static void test_##name parameters

#define BIDE__FIXTURE(name, type, base, set_up, tear_down) \
    static int name##__bide_set_up(void *bide__it, void *bide__base) \
    { \
        (void)bide__base; \
        return set_up; \
    } \
    static void name##__bide_tear_down(void *bide__it) \
    { \
        tear_down((type *)bide__it); \
    } \
    static const struct bide__fixture name##__bide_fixture __attribute__((unused)) = { \
        #name, sizeof(type), base, name##__bide_set_up, name##__bide_tear_down}; \
    typedef type name##__bide_type

BIDE_END_DECLARATIONS

#endif
