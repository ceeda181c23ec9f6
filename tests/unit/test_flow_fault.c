/*
 * Scenario: every allocation of chains of operators fails in turn, while they are made, asked and
 * closed. Claim: the chain comes to an iterator that fails with -ENOMEM, or succeeds as if nothing
 * had been; every source is closed, and nothing leaks.
 */
#include "fault.h"
#include "flow_rig.h"

static int doubles(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(int *)ret_item = 2 * *(const int *)item;
    return 0;
}

static int all(const void *item, void *data)
{
    (void)item;
    (void)data;
    return 1;
}

struct numbered {
    size_t index;
    int item;
};

static int items(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(int *)ret_item = ((const struct numbered *)item)->item;
    return 0;
}

struct pair {
    int left;
    int right;
};

static int lefts(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(int *)ret_item = ((const struct pair *)item)->left;
    return 0;
}

static bide_iterator *once(const void *item, void *data)
{
    static struct script scripts[8];
    static int n;
    (void)data;
    struct script *script = &scripts[n++ % 8];
    *script = (struct script){.steps = {*(const int *)item}};
    return play(script);
}

static bide_iterator *chain_of_all(struct script *scripts)
{
    bide_iterator *it = bide_map(play(&scripts[0]), sizeof(int), doubles, NULL);
    it = bide_filter(bide_skip(bide_take(it, 3), 0), all, NULL);
    it = bide_map(bide_enumerate(it, struct numbered), sizeof(int), items, NULL);
    it = bide_chain((bide_iterator *[]){it, play(&scripts[1])}, 2);
    it = bide_zip(struct pair, (left, it), (right, play(&scripts[2])));
    return bide_throttle(bide_each_within(bide_map(it, sizeof(int), lefts, NULL), 100), 0);
}

static bide_iterator *crew_of_all(struct script *scripts)
{
    bide_iterator *it = bide_merge((bide_iterator *[]){play(&scripts[0]), play(&scripts[1])}, 2);
    return bide_flat_map(it, sizeof(int), 2, once, NULL);
}

/* Whether the failure was hit. */
static bool collects(bide_iterator *(*make)(struct script *scripts), unsigned long n,
                     size_t n_values)
{
    struct script scripts[3] = {{.steps = {1, 2}}, {.steps = {3}}, {.steps = {4, 5, 6}}};
    int *array = NULL;
    size_t n_collected = 0;
    fault_arm(FAULT_ALLOCATION, n, 0);
    int rc = bide_collect(make(scripts), &array, &n_collected, 0);
    bool hit = fault_disarm();
    CHECK(rc == 0 || (hit && rc == -ENOMEM));
    if (rc == 0)
        CHECK_INT(n_collected, n_values);
    CHECK_INT(n_open, 0);
    CHECK_INT((long long)bide_all_tasks(NULL, NULL, 0), 1);
    free(array);
    return hit;
}

static bide_async(takes, (unsigned long, n), (bool *, hit))
{
    *hit = collects(chain_of_all, n, 3);
    return 0;
}

static bide_async(takes_crew, (unsigned long, n), (bool *, hit))
{
    *hit = collects(crew_of_all, n, 3);
    return 0;
}

BIDE_TEST(operators_in_the_task)
{
    bool hit = true;
    unsigned long n;
    for (n = 1; hit; n++)
        CHECK_INT(bide_run_with(NULL, takes, n, &hit), 0);
    CHECK(n > 12);
    rig_end();
}

BIDE_TEST(operators_with_tasks)
{
    bool hit = true;
    unsigned long n;
    for (n = 1; hit; n++)
        CHECK_INT(bide_run_with(NULL, takes_crew, n, &hit), 0);
    CHECK(n > 8);
    rig_end();
}
