/*
 * Tests: the library `bide-test`. A test program is a file of tests and nothing else:
 *
 *     #include <bide/test.h>
 *
 *     BIDE_TEST(numbers_are_added)
 *     {
 *         BIDE_CHECK_INT(add(1, 1), 2);
 *     }
 *
 * main() is in the library. It prints TAP; `program NAME...` runs single tests, `--list` names
 * them, `--here` runs them without a process of their own (for gdb and valgrind).
 *
 * Invariants
 *  - Every test runs in a process of its own with a time limit, so that a crash, a hang or a leak
 *    is one failed test and the others still run. What a test prints is shown only if it fails.
 *  - The first failed check ends its test.
 */
#ifndef BIDE_TEST_H
#define BIDE_TEST_H

#include <bide/async.h>
#include <bide/check.h>

BIDE_BEGIN_DECLARATIONS

/* How a test is run; zeroed fields mean defaults. */
struct bide_test_opts {
    int seconds; /* its time limit, times bide_test_slowness(); 0: 30 */
};

/*
 * BIDE_TEST(name, options...) { body }
 *
 * A test. Options are fields of struct bide_test_opts in any order, as in
 *     BIDE_TEST(many_items, .seconds = 60)
 */
#define BIDE_TEST(...) BIDE__PICK(BIDE__TEST_, __VA_ARGS__)(__VA_ARGS__)

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

struct bide__test {
    const char *name;
    void (*body)(void);
    struct bide_test_opts opts;
    struct bide__test *next;
};

void bide__test_add(struct bide__test *test, const char *name, void (*body)(void));

#define BIDE__TEST_OPTION(option) bide__test.opts option;
#define BIDE__TEST_ONE(name) BIDE__TEST_DEFINE(name, )
#define BIDE__TEST_MANY(name, ...) \
    BIDE__TEST_DEFINE(name, BIDE__EACH(BIDE__TEST_OPTION, __VA_ARGS__))
#define BIDE__TEST_DEFINE(name, options) \
    static void test_##name(void); \
    __attribute__((constructor)) static void name##__bide_add(void) \
    { \
        static struct bide__test bide__test; \
        options bide__test_add(&bide__test, #name, test_##name); \
    } \
    static void test_##name(void)

BIDE_END_DECLARATIONS

#endif
