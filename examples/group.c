/* A task group: its children end before it does, and the first failure cancels the others. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_async(child, (const char *, name), (double, seconds), (int, result))
{
    int rc = bide_sleep(seconds);
    printf("  %s: %s\n", name, rc < 0 ? "cancelled" : "done");
    return rc < 0 ? rc : result;
}

bide_async(family, (int, result_of_second), (double, seconds_of_third))
{
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    rc = bide_group_spawn(group, child, "first", 0.01, 0);
    if (rc >= 0)
        rc = bide_group_spawn(group, child, "second", 0.02, result_of_second);
    if (rc >= 0)
        rc = bide_group_spawn(group, child, "third", seconds_of_third, 0);
    return bide_group_close(group, rc);
}

bide_async(amain)
{
    printf("all well:\n");
    printf("the group returned: %s\n", bide_strerror(family(0, 0.03)));
    printf("one fails:\n");
    int rc = family(-ECONNREFUSED, 60);
    printf("the group returned: %s (%s)\n", bide_strerror(rc), bide_error_detail());
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
