/*
 * Scenario: tests in a loop that leave something behind, hang, fail in the middle of their
 * fixtures, or do none of that; each run by the runner in a further process. Claim: the kit tells
 * exactly what is wrong, tears down what was set up in reverse order and once, and a test that says
 * what it leaves passes.
 */
#include "task_rig.h"

#include <bide/inspect.h>
#include <bide/stream.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The cases called inner_… do nothing unless another case has them judged. */
static bool is_inner(void)
{
    return getenv("TEST_KIT_INNER") != NULL;
}

static void run_inner(void *argument)
{
    char program[] = "test_kit";
    char *words[] = {program, argument, NULL};
    setenv("TEST_KIT_INNER", "1", 1);
    setenv("BIDE_TEST_SLOW", "1", 1);
    exit(bide_test_main(2, words));
}

static char judged[8192]; /* what the runner printed about it */

static int judge(const char *name)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s", name);
    int status = test_child(run_inner, pattern, judged, sizeof judged);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check_passes(const char *name)
{
    char expected[128];
    snprintf(expected, sizeof expected, "ok 1 - %s\n1..1\n", name);
    CHECK_INT(judge(name), 0);
    CHECK_STR(judged, expected);
}

/* It fails because of `words` and of nothing else that the kit looks for. */
static void check_fails(const char *name, const char *words)
{
    CHECK_INT(judge(name), 1);
    CHECK_CONTAINS(judged, words);
    int n_lines = 0;
    for (const char *c = judged; *c; c++)
        n_lines += *c == '\n';
    if (n_lines != 4) /* not ok, the words, the exit status, the plan */
        FAIL("too much is told: %s", judged);
}

static void leave_task(void)
{
    struct bide_task_opts opts = {.name = "left"};
    if (is_inner())
        bide_detach(bide_spawn_with(&opts, sleeps, INFINITY));
}

TASK_TEST(inner_task)
{
    leave_task();
}

TASK_TEST(inner_task_allowed, .leaves = BIDE_TEST_LEAVES_TASKS)
{
    leave_task();
}

TASK_TEST(inner_cancelled_task)
{
    bide_task *task = bide_spawn(sleeps, INFINITY);
    turns(1);
    bide_cancel(task);
    bide_detach(task);
    bide_detach(bide_spawn(returns_after, 20, 0));
}

BIDE_TEST(a_task_that_is_left_is_named_with_its_wait)
{
    check_fails("inner_task", "# left: <Task pending name='left' coro=sleeps wait=sleep>, spawned "
                              "by leave_task at ");
    check_passes("inner_task_allowed");
    check_passes("inner_cancelled_task");
}

static bide_task *volatile kept_task; /* or the compiler sees that nobody reads it */
static bide_promise *kept_promise;
static bide_future *kept_future;

TASK_TEST(inner_handle)
{
    if (is_inner())
        kept_task = bide_spawn(returns, 1);
}

TASK_TEST(inner_handle_allowed, .leaves = BIDE_TEST_LEAVES_RESULTS)
{
    if (is_inner())
        kept_task = bide_spawn(returns, 1);
}

TASK_TEST(inner_promise)
{
    if (is_inner())
        CHECK_INT(bide_future_new(NULL, &kept_promise, &kept_future), 0);
}

BIDE_TEST(handles_that_are_not_given_back_are_counted)
{
    check_fails("inner_handle", "# left: 1 handles of tasks or futures that are done");
    check_passes("inner_handle_allowed");
    check_fails("inner_promise", "# left: 1 promises that were not set");
}

static int never(void *data)
{
    (void)data;
    FAIL("it was not to run");
}

TASK_TEST(inner_callback)
{
    if (is_inner())
        CHECK_INT(bide_loop_call_later(bide_loop_current(), 60, never, NULL, NULL, NULL), 0);
}

TASK_TEST(inner_signal)
{
    if (is_inner())
        CHECK_INT(bide_loop_add_signal_handler(bide_loop_current(), SIGUSR1, never, NULL, NULL), 0);
}

static void leave_watcher(void)
{
    static int ends[2];
    if (!is_inner())
        return;
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(bide_loop_add_reader(bide_loop_current(), ends[0], never, NULL, NULL), 0);
}

TASK_TEST(inner_watcher, .leaves = BIDE_TEST_LEAVES_DESCRIPTORS)
{
    leave_watcher();
}

TASK_TEST(inner_watcher_allowed, .leaves = BIDE_TEST_LEAVES_ALL)
{
    leave_watcher();
}

TASK_TEST(inner_descriptor)
{
    if (is_inner())
        CHECK(dup(STDIN_FILENO) >= 0);
}

TASK_TEST(inner_stream)
{
    static bide_stream *stream;
    int ends[2];
    if (!is_inner())
        return;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(bide_stream_adopt(ends[0], NULL, &stream), 0);
    close(ends[1]);
}

BIDE_TEST(what_stays_with_the_loop_is_told_by_kind)
{
    check_fails("inner_callback", "# left: 1 scheduled callbacks");
    check_fails("inner_signal", "# left: 1 signal handlers");
    check_fails("inner_watcher", "# left: 1 watched descriptors");
    check_passes("inner_watcher_allowed");
    check_fails("inner_stream", "# left: 1 streams or servers");
    check_fails("inner_descriptor", ", /dev/null");
}

TASK_TEST(inner_report)
{
    if (is_inner())
        bide_detach(bide_spawn(returns, -EIO));
    turns(2);
}

TASK_TEST(inner_report_allowed, .leaves = BIDE_TEST_LEAVES_REPORTS)
{
    if (is_inner())
        bide_detach(bide_spawn(returns, -EIO));
}

TASK_TEST(inner_report_taken)
{
    bide_detach(bide_spawn(returns, -EIO));
    turns(2);
    const struct bide_report *report = bide_test_take_report();
    CHECK(report);
    CHECK_STR(report->message, "task failed and nobody read its result");
    CHECK_INT(report->error, -EIO);
    CHECK_STR(report->place->coroutine, "returns");
    CHECK_PTR(bide_test_take_report(), NULL);
}

TASK_TEST(inner_many_reports)
{
    for (int i = 0; i < 100 && is_inner(); i++)
        bide_loop_report(bide_loop_current(), &(struct bide_report){.message = "odd"});
}

BIDE_TEST(a_report_that_nobody_took_fails_the_test)
{
    check_fails("inner_report", "# report that nobody took: task failed and nobody read its "
                                "result: Task-2 (returns, spawned by test_inner_report at ");
    CHECK_CONTAINS(judged, "Input/output error");
    check_passes("inner_report_allowed");
    check_passes("inner_report_taken");
    CHECK_INT(judge("inner_many_reports"), 1);
    CHECK_CONTAINS(judged, "# report that nobody took: odd\n");
    CHECK_CONTAINS(judged, "# and 36 more reports\n");
}

TASK_TEST(inner_hang, .seconds = 1)
{
    if (!is_inner())
        return;
    leave_task();
    (void)!bide_sleep(INFINITY);
}

TASK_TEST(inner_block, .seconds = 1)
{
    while (is_inner()) /* the loop cannot go on */
        poll(NULL, 0, 1000);
}

BIDE_TEST(when_the_time_is_up_every_wait_is_told)
{
    CHECK_INT(judge("inner_hang"), 1);
    CHECK_CONTAINS(judged, "# <Task pending name='Task-1' coro=inner_hang wait=sleep>\n");
    CHECK_CONTAINS(judged, "# <Task pending name='left' coro=sleeps wait=sleep>\n");
    CHECK_CONTAINS(judged, "# still running after 1 s\n");
    CHECK_INT(judge("inner_block"), 1);
    CHECK_CONTAINS(judged, "# <Task running name='Task-1' coro=inner_block>\n");
}

/* The order in which fixtures stand and fall, written to the test's output. */
static void say(const char *what)
{
    if (is_inner())
        fprintf(stderr, "%s\n", what);
}

struct ground {
    int number;
};

static int ground_up(struct ground *ground)
{
    say("ground up");
    CHECK_INT(ground->number, 0);
    ground->number = 7;
    return 0;
}

static void ground_down(struct ground *ground)
{
    CHECK_INT(ground->number, 7);
    say("ground down");
}

BIDE_FIXTURE(ground, struct ground, ground_up, ground_down);

struct house {
    struct ground *ground;
    bide_task *keeper;
};

static int house_up(struct house *house, struct ground *ground)
{
    say("house up");
    house->ground = ground;
    house->keeper = bide_spawn(sleeps, INFINITY);
    return bide_sleep(0);
}

static void house_down(struct house *house)
{
    CHECK_INT(bide_cancel_join(&house->keeper, 1), 0);
    CHECK_INT(house->ground->number, 7);
    say("house down");
}

BIDE_FIXTURE_ON(ground, house, struct house, house_up, house_down);

static int ruin_up(struct ground *ruin, struct house *house)
{
    CHECK(house->ground);
    say("ruin up");
    ruin->number = 7;
    return is_inner() ? -EIO : 0;
}

BIDE_FIXTURE_ON(house, ruin, struct ground, ruin_up, ground_down);

BIDE_TEST_WITH(ground, inner_plain_fixture)
{
    CHECK_INT(ground->number, 7);
    CHECK_PTR(bide_loop_current(), NULL);
}

BIDE_TEST_TASK_WITH(house, inner_fixture, .seconds = 10)
{
    CHECK_INT(house->ground->number, 7);
    CHECK_INT(bide_task_state(house->keeper), BIDE_TASK_WAITING);
    CHECK(!is_inner());
}

static bide_async(fails_a_check)
{
    CHECK(!is_inner());
    return 0;
}

BIDE_TEST_TASK_WITH(house, inner_fixture_other_task)
{
    CHECK_INT(bide_await(bide_spawn(fails_a_check)), 0);
}

BIDE_TEST_TASK_WITH(house, inner_fixture_cancelled)
{
    bide_cancel(bide_current_task());
    CHECK_INT(bide_sleep(0), -ECANCELED);
    if (is_inner())
        SKIP("enough");
}

BIDE_TEST_TASK_WITH(ruin, inner_ruin)
{
    say("body");
}

BIDE_TEST(fixtures_fall_in_reverse_order_on_every_way_out)
{
    check_passes("inner_plain_fixture");
    CHECK_INT(judge("inner_fixture"), 1);
    CHECK_CONTAINS(judged, "# ground up\n# house up\n# ");
    CHECK_CONTAINS(judged, "!is_inner()\n# house down\n# ground down\n# exit status 1\n");
    CHECK_INT(judge("inner_fixture_other_task"), 1);
    CHECK_CONTAINS(judged, "!is_inner()\n# house down\n# ground down\n# exit status 1\n");
    CHECK_INT(judge("inner_fixture_cancelled"), 0);
    CHECK_STR(judged, "ok 1 - inner_fixture_cancelled # SKIP enough\n1..1\n");
    CHECK_INT(judge("inner_ruin"), 1);
    CHECK_CONTAINS(judged,
                   "# ground up\n# house up\n# ruin up\n# the fixture ruin could not be set up: "
                   "Input/output error\n# ground down\n# house down\n# ground down\n");
    CHECK(!strstr(judged, "body"));
}

static const struct {
    const char *text;
    long number;
} numbers[] = {{"0", 0}, {"0x10", 16}, {"-7", -7}};

BIDE_TEST_EACH(numbers, inner_each)
{
    CHECK_INT(strtol(each->text, NULL, 0), each->number);
}

BIDE_TEST_TASK_EACH(numbers, inner_each_task, .seconds = 10)
{
    turns(1);
    CHECK(!is_inner() || each->number != 16);
}

BIDE_TEST(each_element_is_a_test_of_its_own)
{
    CHECK_INT(judge("inner_each"), 0);
    CHECK_STR(judged, "ok 1 - inner_each/0\nok 2 - inner_each/1\nok 3 - inner_each/2\n1..3\n");
    check_passes("inner_each/1");
    CHECK_INT(judge("inner_each_*"), 1);
    CHECK_CONTAINS(judged, "ok 1 - inner_each_task/0\nnot ok 2 - inner_each_task/1\n");
    CHECK_CONTAINS(judged, "\nok 3 - inner_each_task/2\n");
}

BIDE_TEST(an_engine_that_there_is_not)
{
    setenv("BIDE_ENGINE", "steam", 1);
    CHECK_INT(judge("inner_task"), 1);
    CHECK_CONTAINS(judged, "there is no loop: Invalid argument");
}

static void checks_in_a_child(void *unused)
{
    (void)unused;
    FAIL("here");
}

BIDE_TEST_TASK_WITH(ground, a_child_process_tears_nothing_down)
{
    char output[256];
    CHECK_INT(WEXITSTATUS(test_child(checks_in_a_child, NULL, output, sizeof output)), 1);
    CHECK_CONTAINS(output, ": here\n");
    CHECK_INT(ground->number, 7);
}
