/*
 * The test harness. A test program is a file of cases:
 *
 *     #include "test.h"
 *
 *     BIDE_TEST(timer_fires_in_order)
 *     {
 *         CHECK_INT(bide_sleep(0), 0);
 *     }
 *
 * and nothing else: main is in test.c. It prints TAP; `program NAME...` runs single cases, `--list`
 * names them, `--here` runs them without a fork (for gdb and valgrind).
 *
 * Invariants
 *  - Every case runs in a process of its own with a time limit, so that a crash, a hang or a leak
 *    is one failed case and the others still run. What a case prints is shown only if it fails.
 *  - The first failed check ends its case.
 *  - Checks may be used on any stack and any thread of the case.
 */
#ifndef BIDE_TEST_H
#define BIDE_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_SECONDS_DEFAULT 30

/* A case with the default time limit, or with its own. */
#define BIDE_TEST(name) BIDE_TEST_SECONDS(name, TEST_SECONDS_DEFAULT)
#define BIDE_TEST_SECONDS(name, limit_seconds) \
    static void test_##name(void); \
    static struct test_case test_case_##name = {#name, test_##name, limit_seconds, NULL}; \
    __attribute__((constructor)) static void test_register_##name(void) \
    { \
        test_register(&test_case_##name); \
    } \
    static void test_##name(void)

struct test_case {
    const char *name;
    void (*body)(void);
    int seconds;
    struct test_case *next;
};

void test_register(struct test_case *test);

/* What main does with its arguments; returns its exit status. */
int test_run(char **names);

/* Checks print the place, the expressions and the values. Each argument is evaluated once. */
#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #condition))
#define CHECK_INT(actual, expected) \
    test_check_int(__FILE__, __LINE__, #actual, (long long)(actual), #expected, \
                   (long long)(expected))
/* low <= actual <= high */
#define CHECK_RANGE(actual, low, high) \
    test_check_range(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(low), \
                     (long long)(high))
#define CHECK_PTR(actual, expected) \
    test_check_ptr(__FILE__, __LINE__, #actual, (actual), #expected, (expected))
#define CHECK_STR(actual, expected) \
    test_check_str(__FILE__, __LINE__, #actual, (actual), #expected, (expected))
#define CHECK_MEM(actual, expected, size) \
    test_check_mem(__FILE__, __LINE__, #actual, (actual), #expected, (expected), (size))
/* `text` contains `part` */
#define CHECK_CONTAINS(text, part) test_check_contains(__FILE__, __LINE__, #text, (text), (part))
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/*
 * Ends the case as skipped, for what this machine cannot do at all (a system call that an emulator
 * does not know), never for what fails. The summary counts it.
 */
#define SKIP(reason) test_skip(reason)
_Noreturn void test_skip(const char *reason);

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void test_check_int(const char *file, int line, const char *what, long long actual,
                    const char *expected_text, long long expected);
void test_check_range(const char *file, int line, const char *what, long long actual, long long low,
                      long long high);
void test_check_ptr(const char *file, int line, const char *what, const void *actual,
                    const char *expected_text, const void *expected);
void test_check_str(const char *file, int line, const char *what, const char *actual,
                    const char *expected_text, const char *expected);
void test_check_mem(const char *file, int line, const char *what, const void *actual,
                    const char *expected_text, const void *expected, size_t size);
void test_check_contains(const char *file, int line, const char *what, const char *text,
                         const char *part);

/*
 * Runs body(argument) in a further process, for what must crash, exit or print. Returns its wait
 * status; `output` gets what it wrote to stdout and stderr, cut to size - 1 bytes and terminated
 * (NULL: not wanted). A body that returns exits with 0.
 */
int test_child(void (*body)(void *), void *argument, char *output, size_t size);

/* BIDE_TEST_LONG=1: run the many seeds and the large sizes. */
bool test_long(void);

/*
 * The first seed of a seeded test: BIDE_TEST_SEED, or a fixed number. Print the seed before you
 * fail.
 */
uint64_t test_seed(void);

/* A small generator, good enough to choose by; `state` starts as the seed. */
uint64_t test_random(uint64_t *state);

/*
 * How much slower than plain code this build runs (sanitizers, valgrind, emulation:
 * BIDE_TEST_SLOW), at least 1.
 */
int test_slowness(void);

/*
 * Limits that shall pass and deadlines that come one after the other: n * 5 ms in seconds, longer
 * where the build is slow, so that what comes before them has been done by then.
 */
#define TICKS(n) ((n)*0.005 * test_slowness())

#endif
