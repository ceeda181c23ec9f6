/*
 * Checks for tests. They print the place, the expressions and the values; the first one that fails
 * ends its test. They may be used on any stack and any thread of the test, and evaluate each
 * argument once. Of the library `bide-test`.
 */
#ifndef BIDE_CHECK_H
#define BIDE_CHECK_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* BIDE_CHECK(condition): it holds. */
#define BIDE_CHECK(condition) \
    ((condition) ? (void)0 : bide_test_fail(__FILE__, __LINE__, "%s", #condition))

/* BIDE_CHECK_INT(actual, expected): two integers are equal. */
#define BIDE_CHECK_INT(actual, expected) \
    bide__check_int(BIDE__HERE(actual), (long long)(actual), #expected, (long long)(expected))

/* BIDE_CHECK_RANGE(actual, low, high): low <= actual <= high, all integers. */
#define BIDE_CHECK_RANGE(actual, low, high) \
    bide__check_range(BIDE__HERE(actual), (long long)(actual), (long long)(low), (long long)(high))

/* BIDE_CHECK_PTR(actual, expected): two pointers are equal. */
#define BIDE_CHECK_PTR(actual, expected) \
    bide__check_ptr(BIDE__HERE(actual), (actual), #expected, (expected))

/* BIDE_CHECK_STR(actual, expected): two strings are equal; NULL is equal to NULL only. */
#define BIDE_CHECK_STR(actual, expected) \
    bide__check_str(BIDE__HERE(actual), (actual), #expected, (expected))

/* BIDE_CHECK_MEM(actual, expected, size): so many bytes are equal. */
#define BIDE_CHECK_MEM(actual, expected, size) \
    bide__check_mem(BIDE__HERE(actual), (actual), #expected, (expected), (size))

/* BIDE_CHECK_CONTAINS(text, part): the string `part` stands somewhere in `text`. */
#define BIDE_CHECK_CONTAINS(text, part) bide__check_contains(BIDE__HERE(text), (text), (part))

/* BIDE_FAIL(format, ...): fails, with words as printf() makes them. */
#define BIDE_FAIL(...) bide_test_fail(__FILE__, __LINE__, __VA_ARGS__)

/*
 * BIDE_SKIP(reason): ends the test as skipped, for what this machine cannot do at all (a system
 * call that is forbidden, a service that is not there), never for what fails. The summary counts
 * it.
 */
#define BIDE_SKIP(reason) bide_test_skip(reason)

/*
 * Ends the test as failed. What the macros call, and checks of your own.
 *
 * file, line: the place that is told. format: as printf(). Does not return.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
void bide_test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/*
 * Ends the test as skipped.
 *
 * reason: one line. Does not return. Suspends: no. Cancel: not affected. Thread: any.
 */
void bide_test_skip(const char *reason) __attribute__((noreturn));

/* From here on: what the macros above expand to. Not to be used directly. */

#define BIDE__HERE(actual) __FILE__, __LINE__, #actual

void bide__check_int(const char *file, int line, const char *what, long long actual,
                     const char *expected_text, long long expected);
void bide__check_range(const char *file, int line, const char *what, long long actual,
                       long long low, long long high);
void bide__check_ptr(const char *file, int line, const char *what, const void *actual,
                     const char *expected_text, const void *expected);
void bide__check_str(const char *file, int line, const char *what, const char *actual,
                     const char *expected_text, const char *expected);
void bide__check_mem(const char *file, int line, const char *what, const void *actual,
                     const char *expected_text, const void *expected, size_t size);
void bide__check_contains(const char *file, int line, const char *what, const char *text,
                          const char *part);

BIDE_END_DECLARATIONS

#endif
