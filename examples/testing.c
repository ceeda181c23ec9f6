/* A test program: limits of a minute are tested in no time, and with a hundred seeds. */
#include <bide.h>
#include <bide/test.h>

#include <errno.h>
#include <math.h>

/* What is tested: asks up to three times, for a minute each. */
bide_async(ask, (bide_queue *, questions), (bide_queue *, answers))
{
    int answer = -ETIMEDOUT;
    for (int i = 0; i < 3 && answer == -ETIMEDOUT; i++) {
        int rc = bide_queue_put(questions, &i);
        if (rc < 0)
            return rc;
        rc = bide_within(60, bide_queue_get(answers, &answer));
        if (rc < 0 && rc != -ETIMEDOUT)
            return rc;
    }
    return answer;
}

/* What the tests need around them: the two queues. */
struct line {
    bide_queue *questions;
    bide_queue *answers;
};

static int line_up(struct line *line)
{
    int rc = bide_queue_new(sizeof(int), NULL, &line->questions);
    return rc < 0 ? rc : bide_queue_new(sizeof(int), NULL, &line->answers);
}

static void line_down(struct line *line)
{
    bide_queue_free(line->questions);
    bide_queue_free(line->answers);
}

BIDE_FIXTURE(line, struct line, line_up, line_down);

BIDE_TEST_TASK_WITH(line, an_answer_is_returned, .engine = "sim")
{
    int answer = 42;
    BIDE_CHECK_INT(bide_queue_put(line->answers, &answer), 0);
    BIDE_CHECK_INT(ask(line->questions, line->answers), 42);
}

BIDE_TEST_TASK_WITH(line, after_three_minutes_it_gives_up, .engine = "sim")
{
    double start = bide_time();
    BIDE_CHECK_INT(ask(line->questions, line->answers), -ETIMEDOUT);
    BIDE_CHECK_RANGE(bide_time() - start, 180, 181);
    BIDE_CHECK_INT(bide_queue_size(line->questions), 3);
}

BIDE_TEST_TASK_WITH(line, an_answer_may_come_late, .engine = "sim")
{
    int answer = 42;
    bide_task *task = bide_spawn(ask, line->questions, line->answers);
    BIDE_CHECK_INT(bide_sleep(70), 0);
    BIDE_CHECK_INT(bide_queue_put(line->answers, &answer), 0);
    BIDE_CHECK_INT(bide_await(task), 42);
}

/* Several cases of one test. */
static const struct {
    double seconds;
    int result;
} naps[] = {{0, 0}, {59, 0}, {61, -ETIMEDOUT}, {INFINITY, -ETIMEDOUT}};

BIDE_TEST_TASK_EACH(naps, a_nap_may_take_a_minute, .engine = "sim", .seconds = 5)
{
    BIDE_CHECK_INT(bide_within(60, bide_sleep(each->seconds)), each->result);
}
