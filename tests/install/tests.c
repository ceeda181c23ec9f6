/*
 * A test program outside the project, compiled as C and as C++: it uses the kit's macros in each of
 * their forms.
 */
#include <bide/test.h>

BIDE_TEST(numbers_are_equal)
{
    BIDE_CHECK(1 + 1 == 2);
    BIDE_CHECK_INT(1 + 1, 2);
    BIDE_CHECK_STR("a", "a");
}

BIDE_TEST(limits_are_scaled, .seconds = 5)
{
    BIDE_CHECK_RANGE(bide_test_slowness(), 1, 100);
}
