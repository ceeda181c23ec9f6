/*
 * Scenario: expressions that suspend, fail and stand in each other are timed. Claim: their values
 * come through, and what is told is the label or the expression's text, and the loop's time.
 */
#include "task_rig.h"

#include <bide/timed.h>

static char told[1024];
static FILE *stream;

static void open_stream(void)
{
    stream = fmemopen(told, sizeof told, "w");
    CHECK(stream);
}

/* Takes one line off the front; the seconds in it, or -1 for a line without. */
static double take_line(const char *beginning)
{
    static size_t taken;
    fflush(stream);
    const char *line = told + taken;
    size_t length = strcspn(line, "\n");
    CHECK(line[length] == '\n');
    taken += length + 1;
    if (strncmp(line, beginning, strlen(beginning)) != 0)
        FAIL("%.*s does not begin with %s", (int)length, line, beginning);
    const char *rest = line + strlen(beginning);
    double seconds = -1;
    int end = 0;
    if (*rest == '\n')
        return seconds;
    CHECK_INT(sscanf(rest, " in %lf second(s)%n", &seconds, &end), 1);
    CHECK_INT(rest + end - line, length);
    CHECK(strchr(rest, '.') && strspn(strchr(rest, '.') + 1, "0123456789") == 4);
    return seconds;
}

TASK_TEST(a_call_is_told_with_its_time)
{
    open_stream();
    double start = bide_time();
    CHECK_INT(bide_timed_to(stream, NULL, returns_after(2, 7)), 7);
    CHECK_INT(bide_timed_to(stream, "nap", bide_sleep(0.01)), 0);
    double passed = bide_time() - start;
    CHECK(take_line("starting returns_after(2, 7)") < 0);
    CHECK(take_line("finished returns_after(2, 7)") >= 0);
    CHECK(take_line("starting nap") < 0);
    double seconds = take_line("finished nap");
    CHECK(seconds >= 0.01 && seconds <= passed + 0.0001);
    fclose(stream);
}

TASK_TEST(failures_and_limits_come_through)
{
    open_stream();
    CHECK_INT(bide_timed_to(stream, "a", bide_within(0.01, bide_sleep(INFINITY))), -ETIMEDOUT);
    CHECK_INT(bide_within(0.01, bide_timed_to(stream, "b", bide_sleep(INFINITY))), -ETIMEDOUT);
    take_line("starting a");
    CHECK(take_line("finished a") >= 0.01);
    take_line("starting b");
    CHECK(take_line("finished b") >= 0); /* the limit began before */
    fclose(stream);
}

TASK_TEST(one_in_the_other)
{
    open_stream();
    CHECK_INT(bide_timed_to(stream, "outer", 1 + bide_timed_to(stream, "inner", returns(2))), 3);
    take_line("starting outer");
    take_line("starting inner");
    CHECK(take_line("finished inner") <= take_line("finished outer"));
    fclose(stream);
}

static void tells(void *unused)
{
    (void)unused;
    CHECK_INT(bide_timed("plain", 5), 5);
}

BIDE_TEST(without_a_loop_and_on_standard_output)
{
    char output[128];
    CHECK_INT(test_child(tells, NULL, output, sizeof output), 0);
    CHECK_CONTAINS(output, "starting plain\nfinished plain in 0.");
    open_stream();
    double seconds = -1;
    CHECK_INT(bide_timed_to(stream, "run", bide_run(sleeps, 0.01)), 0);
    take_line("starting run");
    seconds = take_line("finished run");
    CHECK(seconds >= (strcmp(getenv("BIDE_ENGINE"), "sim") == 0 ? 0 : 0.01));
    fclose(stream);
}
