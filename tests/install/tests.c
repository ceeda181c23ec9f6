/*
 * A test program outside the project, compiled as C and as C++: it uses the kit's macros in each of
 * their forms.
 */
#include <bide.h>
#include <bide/test.h>

#include <string.h>

BIDE_TEST(numbers_are_equal)
{
    BIDE_CHECK(1 + 1 == 2);
    BIDE_CHECK_INT(1 + 1, 2);
    BIDE_CHECK_STR("a", "a");
    BIDE_CHECK_PTR(bide_loop_current(), NULL);
    BIDE_CHECK_MEM("ab", "ac", 1);
    BIDE_CHECK_CONTAINS("hay", "a");
}

BIDE_TEST(limits_are_scaled, .seconds = 5)
{
    BIDE_CHECK_RANGE(bide_test_slowness(), 1, 100);
}

bide_async(nap, (double, seconds))
{
    return bide_sleep(seconds);
}

BIDE_TEST_TASK(a_minute_passes, .engine = "sim", .seeds = 2, .seconds = 5)
{
    BIDE_CHECK_INT(bide_timed_to(stderr, "nap", nap(60)), 0);
    bide_test_turns(1);
    BIDE_CHECK_PTR(bide_test_take_report(), NULL);
}

static const char *const words[] = {"one", "two"};

BIDE_TEST_EACH(words, each_word)
{
    BIDE_CHECK_INT(strlen(*each), 3);
}

struct rig {
    bide_task *task;
};

static int rig_up(struct rig *rig)
{
    rig->task = bide_spawn(nap, 0);
    return bide_sleep(0);
}

static void rig_down(struct rig *rig)
{
    bide_cancel_join(&rig->task, 1);
}

BIDE_FIXTURE(rig, struct rig, rig_up, rig_down);

static int twin_up(struct rig *twin, struct rig *rig)
{
    twin->task = bide_retain(rig->task);
    return 0;
}

BIDE_FIXTURE_ON(rig, twin, struct rig, twin_up, rig_down);

BIDE_TEST_TASK_WITH(rig, with_a_task)
{
    BIDE_CHECK(rig->task);
}

BIDE_TEST_TASK_WITH(twin, with_its_twin,
                    .leaves = BIDE_TEST_LEAVES_TASKS | BIDE_TEST_LEAVES_REPORTS)
{
    BIDE_CHECK(!bide_task_cancelled(twin->task));
}

BIDE_TEST_TASK_EACH(words, not_today)
{
    if (*each)
        BIDE_SKIP("not today");
}
