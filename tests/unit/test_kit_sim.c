/*
 * Scenario: tests in virtual time, with many seeds, with one of them, and stuck; each run by the
 * runner in a further process. Claim: hours pass at once, a failing seed is named together with the
 * command that runs it again and does fail again, and a deadlock is told with every wait.
 */
#include "task_rig.h"

#include <sys/wait.h>
#include <time.h>

static bool is_inner(void)
{
    return getenv("TEST_KIT_INNER") != NULL;
}

static void run_inner(void *argument)
{
    char program[] = "./test_kit_sim";
    char *words[] = {program, argument, NULL};
    setenv("TEST_KIT_INNER", "1", 1);
    exit(bide_test_main(2, words));
}

static char judged[8192];

static int judge(const char *name)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s", name);
    int status = test_child(run_inner, pattern, judged, sizeof judged);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

BIDE_TEST_TASK(an_hour_passes_at_once, .engine = "sim", .seeds = 3)
{
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    double start = bide_time();
    CHECK_INT(bide_within(3600, bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK_RANGE(bide_time() - start, 3600, 3601);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(after.tv_sec - before.tv_sec < 60);
}

/* What the seeds 100, 101 … make of a clock that oversleeps now and then. */
BIDE_TEST_TASK(inner_clock, .engine = "sim", .seed = 100, .seeds = 4)
{
    double start = bide_time();
    for (int i = 0; i < 50; i++)
        CHECK_INT(bide_sleep(0.001), 0);
    if (is_inner() && bide_test_seed() == 102)
        FAIL("clock %.9f", bide_time() - start);
}

static void judge_clock(const char *seed, char clock[64])
{
    setenv("BIDE_TEST_SEED", seed, 1);
    CHECK_INT(judge("inner_clock"), 1);
    const char *words = strstr(judged, "clock 0.");
    CHECK(words);
    snprintf(clock, 64, "%.*s", (int)strcspn(words, "\n"), words);
}

BIDE_TEST(a_failing_seed_is_named_and_fails_again)
{
    char first[64];
    char again[64];
    unsetenv("BIDE_TEST_SEED");
    unsetenv("BIDE_TEST_SEEDS");
    CHECK_INT(judge("inner_clock"), 1);
    CHECK_CONTAINS(judged,
                   "# seed 3 of 4; again with: BIDE_TEST_SEED=102 ./test_kit_sim inner_clock\n");
    const char *words = strstr(judged, "clock 0.");
    CHECK(words);
    snprintf(first, sizeof first, "%.*s", (int)strcspn(words, "\n"), words);
    judge_clock("102", again);
    CHECK_CONTAINS(judged, "# seed 1 of 1; again with: BIDE_TEST_SEED=102 ");
    CHECK_STR(again, first);
    setenv("BIDE_TEST_SEED", "103", 1);
    CHECK_INT(judge("inner_clock"), 0);
}

BIDE_TEST(the_environment_says_how_many_seeds)
{
    unsetenv("BIDE_TEST_SEED");
    setenv("BIDE_TEST_SEEDS", "2", 1);
    CHECK_INT(judge("inner_clock"), 0);
    setenv("BIDE_TEST_SEEDS", "3", 1);
    CHECK_INT(judge("inner_clock"), 1);
    CHECK_CONTAINS(judged, "# seed 3 of 3; ");
}

/* Not one that names its engine: the command names it too. */
BIDE_TEST_TASK(inner_plain)
{
    CHECK(!is_inner());
}

BIDE_TEST(an_engine_from_the_environment_is_part_of_the_command)
{
    unsetenv("BIDE_TEST_SEEDS");
    setenv("BIDE_ENGINE", "sim", 1);
    setenv("BIDE_TEST_SEED", "7", 1);
    CHECK_INT(judge("inner_plain"), 1);
    CHECK_CONTAINS(judged, "again with: BIDE_ENGINE=sim BIDE_TEST_SEED=7 ./test_kit_sim");
    unsetenv("BIDE_TEST_SEED");
    setenv("BIDE_SEED", "8", 1);
    CHECK_INT(judge("inner_plain"), 1);
    CHECK_CONTAINS(judged, "# seed 1 of 1; again with: BIDE_ENGINE=sim BIDE_TEST_SEED=8 ");
}

static int set_up(int *number)
{
    *number = 1;
    return bide_sleep(60);
}

static void tear_down(int *number)
{
    CHECK_INT(bide_sleep(5), 0);
    CHECK_INT(*number, 1);
    if (is_inner())
        fprintf(stderr, "torn down\n");
}

BIDE_FIXTURE(minute, int, set_up, tear_down);

BIDE_TEST_TASK_WITH(minute, inner_stuck, .engine = "sim", .seeds = 1)
{
    CHECK_INT(*minute, 1);
    struct bide_task_opts opts = {.name = "other"};
    bide_task *other = bide_spawn_with(&opts, sleeps, is_inner() ? INFINITY : 60);
    CHECK_INT(bide_await(other), 0);
}

BIDE_TEST(a_deadlock_is_told_with_every_wait)
{
    CHECK_INT(judge("inner_stuck"), 1);
    CHECK_CONTAINS(judged, "# nothing can happen any more: every task waits\n");
    CHECK_CONTAINS(judged, "deadlock: task waits for: await: Task-1 (inner_stuck, spawned by ");
    CHECK_CONTAINS(judged, "deadlock: task waits for: sleep: other (sleeps, spawned by "
                           "test_inner_stuck at ");
    CHECK_CONTAINS(judged, "# torn down\n");
}
