/* Several sources are asked at once, and the first answer ends the race: a group that is cancelled
 * without being a failure. */
#include <bide.h>

#include <stdio.h>

bide_async(ask, (const char *, source), (double, seconds), (const char **, ret_winner),
           (bide_group *, group))
{
    int rc = bide_sleep(seconds); /* in place of a question over the network */
    printf("%s: %s\n", source, bide_strerror(rc));
    if (rc < 0)
        return rc;
    *ret_winner = source;
    bide_group_cancel(group); /* the others need not go on */
    return 0;
}

static int ask_all(const char **ret_winner)
{
    static const char *const sources[] = {"slow", "fast", "slower"};
    static const double seconds[] = {30, 0.001, 60};
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 3 && rc >= 0; i++)
        rc = bide_group_spawn(group, ask, sources[i], seconds[i], ret_winner, group);
    printf("%zu are asked\n", bide_group_size(group));
    return bide_group_close(group, rc);
}

bide_async(amain)
{
    const char *winner = "nobody";
    int rc = bide_within(5, ask_all(&winner)); /* the limit would end the children too */
    printf("the answer is from: %s\n", winner);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
