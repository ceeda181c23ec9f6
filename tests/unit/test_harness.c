/*
 * Scenario: child processes that fail in every way a case can fail. Claim: the harness sees each of
 * them, names the place and the values, and a passing case stays silent.
 */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void wrong_int(void *argument)
{
    (void)argument;
    int answer = 41;
    CHECK_INT(answer, 42);
}

BIDE_TEST(a_wrong_number_names_place_expression_and_values)
{
    char output[512];
    int status = test_child(wrong_int, NULL, output, sizeof(output));
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 1);
    CHECK_CONTAINS(output, "test_harness.c:");
    CHECK_CONTAINS(output, "answer is 41, expected 42 = 42");
}

static void wrong_string(void *argument)
{
    CHECK_STR((const char *)argument, "right");
}

BIDE_TEST(a_wrong_string_fails_and_null_is_no_string)
{
    char output[512];
    char wrong[] = "wrong";
    char right[] = "right";
    CHECK_INT(WEXITSTATUS(test_child(wrong_string, wrong, output, sizeof(output))), 1);
    CHECK_CONTAINS(output, "\"wrong\"");
    CHECK_INT(WEXITSTATUS(test_child(wrong_string, NULL, output, sizeof(output))), 1);
    CHECK_INT(test_child(wrong_string, right, output, sizeof(output)), 0);
    CHECK_STR(output, "");
}

static void wrong_others(void *argument)
{
    switch (*(int *)argument) {
    case 0:
        CHECK(1 + 1 == 3);
        break;
    case 1:
        CHECK_RANGE(7, 1, 6);
        break;
    case 2:
        CHECK_PTR(argument, NULL);
        break;
    case 3:
        CHECK_MEM("abc", "abd", 3);
        break;
    case 4:
        CHECK_CONTAINS("hay", "needle");
        break;
    default:
        FAIL("case %d", 5);
    }
}

BIDE_TEST(every_kind_of_check_can_fail)
{
    for (int i = 0; i <= 5; i++)
        CHECK_INT(WEXITSTATUS(test_child(wrong_others, &i, NULL, 0)), 1);
}

static void abort_here(void *argument)
{
    (void)argument;
    fputs("last words", stderr);
    abort();
}

BIDE_TEST(a_crash_shows_as_signal_with_what_was_printed)
{
    char output[64];
    int status = test_child(abort_here, NULL, output, sizeof(output));
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
    CHECK_CONTAINS(output, "last words"); /* qemu adds some of its own */
}

BIDE_TEST(seeded_numbers_repeat)
{
    uint64_t one = 1;
    uint64_t same = 1;
    uint64_t two = 2;
    uint64_t first = test_random(&one);
    CHECK(first == test_random(&same));
    CHECK(first != test_random(&two));
    CHECK(first != test_random(&one));
}

/* The cases of the group "inner" are what the case below makes the runner judge. */
static bool is_inner(void)
{
    return getenv("TEST_HARNESS_INNER") != NULL;
}

BIDE_TEST_SECONDS(inner_hang, 1)
{
    while (is_inner())
        pause();
}

BIDE_TEST(inner_crash)
{
    if (is_inner())
        raise(SIGKILL);
}

BIDE_TEST(inner_failure)
{
    CHECK(!is_inner());
}

BIDE_TEST(inner_skip)
{
    if (is_inner()) {
        fputs("words\n", stderr);
        SKIP("there is none");
    }
}

static void run_inner(void *argument)
{
    char program[] = "test_harness";
    char *words[] = {program, argument, NULL};
    setenv("TEST_HARNESS_INNER", "1", 1);
    setenv("BIDE_TEST_SLOW", "1", 1);
    exit(bide_test_main(2, words));
}

static int judge(const char *case_name, char *output, size_t size)
{
    char name[64];
    snprintf(name, sizeof(name), "%s", case_name);
    return WEXITSTATUS(test_child(run_inner, name, output, size));
}

BIDE_TEST(the_runner_reports_hang_crash_failure_and_skip)
{
    char output[1024];
    CHECK_INT(judge("inner_hang", output, sizeof(output)), 1);
    CHECK_STR(output, "not ok 1 - inner_hang\n# still running after 1 s\n1..1\n");
    CHECK_INT(judge("inner_crash", output, sizeof(output)), 1);
    CHECK_CONTAINS(output, "not ok 1 - inner_crash\n# killed by signal 9");
    CHECK_INT(judge("inner_failure", output, sizeof(output)), 1);
    CHECK_CONTAINS(output, "# exit status 1");
    CHECK_INT(judge("inner_skip", output, sizeof(output)), 0);
    CHECK_STR(output, "ok 1 - inner_skip # SKIP there is none\n1..1\n");
    CHECK_INT(judge("seeded_numbers_repeat", output, sizeof(output)), 0);
    CHECK_STR(output, "ok 1 - seeded_numbers_repeat\n1..1\n");
    CHECK_INT(judge("no_such_test", output, sizeof(output)), 2);
}
