/* The plain definitions of what macros_shared.h declares. */
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
