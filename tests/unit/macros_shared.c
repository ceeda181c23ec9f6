/* The definitions of what macros_shared.h declares. */
#include "macros_shared.h"

#include <string.h>

int shared_none(void)
{
    int rc = bide_sleep(0);
    return rc < 0 ? rc : 77;
}

int shared_two(int first, const char *second)
{
    int rc = bide_sleep(0);
    return rc < 0 ? rc : first + (int)strlen(second);
}

bide_generator_body(int, shared_none_values)
{
    return bide_yield(5);
}

bide_generator_body(const char *, shared_values, (const char *, first), (int, n))
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++)
        rc = bide_yield(first + i);
    return rc;
}
