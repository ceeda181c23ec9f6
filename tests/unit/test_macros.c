/*
 * Scenario: every form of the macros that define and start coroutines and generators, with 0 to 12
 * parameters, and of those for typed queues, as gnu11, gnu17 and C++. Claim: each compiles without
 * a warning, hands every argument over and evaluates it once.
 */
#define MACROS_MAIN macros_gnu17
#include "macros_cases.h"

#include "test.h"

int macros_gnu11(void);
int macros_cxx(void);

BIDE_TEST(as_gnu17)
{
    CHECK_INT(macros_gnu17(), 0);
}

BIDE_TEST(as_gnu11)
{
    CHECK_INT(macros_gnu11(), 0);
}

#if HAVE_CXX
BIDE_TEST(as_cxx)
{
    CHECK_INT(macros_cxx(), 0);
}
#endif

/* Used by nobody: a coroutine that is only defined or only declared costs no warning. */
static bide_async(unused_none)
{
    return 0;
}

static bide_async(unused_one, (int, n))
{
    return n;
}

bide_async_declare(declared_only, (int, n));

static bide_async(is_recursive, (int, n))
{
    return n == 0 ? 0 : 1 + bide_await(bide_spawn(is_recursive, n - 1));
}

BIDE_TEST(coroutine_spawns_itself)
{
    CHECK_INT(bide_run_with(NULL, is_recursive, 20), 20);
}
