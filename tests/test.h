/*
 * What the project's own tests have on top of the public kit, <bide/test.h>: short names, and what
 * only they need.
 */
#ifndef BIDE_TESTS_TEST_H
#define BIDE_TESTS_TEST_H

#include <bide/test.h>

#include <stdlib.h>

#define BIDE_TEST_SECONDS(name, limit_seconds) BIDE_TEST(name, .seconds = (limit_seconds))

#define CHECK BIDE_CHECK
#define CHECK_INT BIDE_CHECK_INT
#define CHECK_RANGE BIDE_CHECK_RANGE
#define CHECK_PTR BIDE_CHECK_PTR
#define CHECK_STR BIDE_CHECK_STR
#define CHECK_MEM BIDE_CHECK_MEM
#define CHECK_CONTAINS BIDE_CHECK_CONTAINS
#define FAIL BIDE_FAIL
#define SKIP BIDE_SKIP

#define test_child bide_test_child
#define test_seed bide_test_seed
#define test_random bide_test_random
#define test_slowness bide_test_slowness

/* BIDE_TEST_LONG=1: run the many seeds and the large sizes. */
static inline bool test_long(void)
{
    const char *text = getenv("BIDE_TEST_LONG");
    return text && strtol(text, NULL, 0) != 0;
}

/*
 * Limits that shall pass and deadlines that come one after the other: n * 5 ms in seconds, longer
 * where the build is slow, so that what comes before them has been done by then.
 */
#define TICKS(n) ((n)*0.005 * test_slowness())

/* Whether this processor is emulated: descriptors that have no room in a message are then lost,
 * open and without a word. */
static inline bool test_emulated(void)
{
    return getenv("BIDE_TEST_EMULATED") != NULL;
}

#endif
