/*
 * Scenario: generators of every shape of value and argument, with and without a loop, by hand and
 * in loops, nested a hundred deep, by the hundred thousand. Claim: the consumer gets what was
 * yielded, in order, then 0 or the body's error, once; nothing runs before the first value is asked
 * for; what is asked at the wrong place or with the wrong size is an error and changes nothing.
 */
#include <bide/generator.h>
#include <pthread.h>

#include "base/watched.h"
#include "task_rig.h"

static bide_generator(int, count_to, (int, n))
{
    for (int i = 0; i < n; i++) {
        int rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Gives up a turn before each value. */
static bide_generator(int, count_slowly, (int, n), (int, result))
{
    for (int i = 0; i < n; i++) {
        int rc = bide_sleep(0);
        if (rc == 0)
            rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
    return result;
}

static void check_values(bide_iterator *it, int n, int end)
{
    int value = -1;
    for (int i = 0; i < n; i++) {
        CHECK_INT(bide_next(it, &value), 1);
        CHECK_INT(value, i);
    }
    value = -7;
    CHECK_INT(bide_next(it, &value), end);
    CHECK_INT(value, -7);
    CHECK_INT(bide_next(it, &value), 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

BIDE_TEST(values_without_a_loop)
{
    check_values(bide_iterate(count_to, 10), 10, 0);
    check_values(bide_iterate(count_to, 0), 0, 0);
}

TASK_TEST(values_in_a_task)
{
    check_values(bide_iterate(count_to, 10), 10, 0);
    check_values(bide_iterate(count_slowly, 10, 0), 10, 0);
    check_values(bide_iterate(count_slowly, 0, 0), 0, 0);
}

TASK_TEST(error_of_the_body_comes_once)
{
    check_values(bide_iterate(count_slowly, 3, -EIO), 3, -EIO);
    check_values(bide_iterate(count_slowly, 0, -EIO), 0, -EIO);
    check_values(bide_iterate(count_slowly, 3, 77), 3, 0); /* a result is not an error */
}

BIDE_TEST(waiting_without_a_task_is_the_bodys_error)
{
    check_values(bide_iterate(count_slowly, 3, 0), 0, -BIDE_ENOTASK);
}

static int on_callback(void *data)
{
    *(int *)data += 1;
    check_values(bide_iterate(count_to, 10), 10, 0);
    check_values(bide_iterate(count_slowly, 3, 0), 0, -BIDE_ENOTASK);
    return 0;
}

TASK_TEST(values_in_a_callback)
{
    int n_calls = 0;
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), on_callback, &n_calls, NULL, NULL), 0);
    turns(2);
    CHECK_INT(n_calls, 1);
}

static bide_generator(int, notes_itself, (const char *, what))
{
    note(what);
    return bide_yield(1);
}

TASK_TEST(nothing_runs_before_the_first_value)
{
    bide_iterator *it = bide_iterate(notes_itself, "a");
    bide_iterator *never = bide_iterate(notes_itself, "n");
    int value;
    turns(2);
    CHECK_NOTES("");
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_NOTES("a");
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_INT(bide_iterator_close(never), 0);
    CHECK_NOTES("");
}

struct wide {
    char text[100];
    double number;
};

static bide_generator(struct wide, wide_values, (struct wide, first), (const char *, second))
{
    int rc = bide_yield(first);
    if (rc < 0)
        return rc;
    struct wide wide = {.number = 2};
    snprintf(wide.text, sizeof wide.text, "%s", second);
    rc = bide_yield(wide);
    return rc < 0 ? rc : bide_yield((struct wide){"third", 3});
}

static bide_generator(char, letters)
{
    int rc = 0;
    for (char c = 'a'; c <= 'e' && rc == 0; c++)
        rc = bide_yield(c);
    return rc;
}

static bide_generator(double, converts, (int, n))
{
    return bide_yield(n);
}

BIDE_TEST(values_of_any_size_with_copied_arguments)
{
    struct wide wide = {"first", 1};
    bide_iterator *it = bide_iterate(wide_values, wide, "second");
    CHECK_INT(bide_iterator_item_size(it), sizeof wide);
    memset(&wide, 0, sizeof wide);
    CHECK_INT(bide_next(it, &wide), 1);
    CHECK_STR(wide.text, "first");
    CHECK(wide.number == 1);
    CHECK_INT(bide_next(it, &wide), 1);
    CHECK_STR(wide.text, "second");
    CHECK_INT(bide_next(it, &wide), 1);
    CHECK_STR(wide.text, "third");
    CHECK_INT(bide_next(it, &wide), 0);
    CHECK_INT(bide_iterator_close(it), 0);

    char text[8] = "";
    size_t length = 0;
    int rc;
    bide_for (char, c, rc, bide_iterate(letters))
        text[length++] = c;
    CHECK_INT(rc, 0);
    CHECK_STR(text, "abcde");
    bide_for (double, number, rc, bide_iterate(converts, 3))
        CHECK(number == 3);
    CHECK_INT(rc, 0);
}

BIDE_TEST(wrong_size_is_refused_and_changes_nothing)
{
    bide_iterator *it = bide_iterate(count_to, 2);
    long wrong = 5;
    int value;
    CHECK_INT(bide_next(it, &wrong), -EINVAL);
    CHECK_INT(wrong, 5);
    CHECK_INT(bide__next(it, NULL, sizeof(int)), -EINVAL);
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(value, 0);
    CHECK_INT(bide_iterator_close(it), 0);
}

BIDE_TEST(no_iterator)
{
    int value;
    CHECK_INT(bide_next((bide_iterator *)NULL, &value), -ENOMEM);
    CHECK_INT(bide_iterator_close(NULL), 0);
    CHECK_INT(bide_iterator_item_size(NULL), 0);
}

BIDE_TEST(stack_of_a_senseless_size)
{
    struct bide_generator_opts opts = {.stack_size = 1};
    bide_iterator *it = bide_iterate_with(&opts, count_to, 2);
    int value;
    CHECK_INT(bide_next(it, &value), -EINVAL);
    CHECK_INT(bide_iterator_close(it), 0);
    opts.stack_size = 256 * 1024;
    check_values(bide_iterate_with(&opts, count_to, 2), 2, 0);
}

static int yields_from_below(int from, int to)
{
    if (to - from > 1) {
        int middle = from + (to - from) / 2;
        int rc = yields_from_below(from, middle);
        return rc < 0 ? rc : yields_from_below(middle, to);
    }
    return bide_yield_item(&from, sizeof from);
}

static bide_generator(int, recursive_count, (int, n))
{
    char c = 'x';
    CHECK_INT(bide_yield_item(&c, sizeof c), -EINVAL);
    CHECK_INT(bide_yield_item(NULL, sizeof(int)), -EINVAL);
    return yields_from_below(0, n);
}

BIDE_TEST(functions_below_the_body_yield)
{
    int value = 1;
    CHECK_INT(bide_yield_item(&value, sizeof value), -EINVAL);
    check_values(bide_iterate(recursive_count, 37), 37, 0);
}

/* A tree whose left branches are lists: as deep as there are levels. */
static bide_generator(int, walks, (int, depth))
{
    int rc;
    if (depth == 0)
        return 0;
    bide_for (int, value, rc, bide_iterate(walks, depth - 1)) {
        rc = bide_yield(value);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : bide_yield(depth);
}

static void check_walk(void)
{
    int expected = 1;
    int rc;
    bide_for (int, value, rc, bide_iterate(walks, 100))
        CHECK_INT(value, expected++);
    CHECK_INT(rc, 0);
    CHECK_INT(expected, 101);
}

BIDE_TEST(a_hundred_levels_without_a_loop)
{
    check_walk();
}

TASK_TEST(a_hundred_levels_in_a_task)
{
    check_walk();
}

BIDE_TEST(a_hundred_levels_closed_early)
{
    int rc;
    bide_for (int, value, rc, bide_iterate(walks, 100))
        if (value == 50)
            break;
    CHECK_INT(rc, 0);
}

static bide_iterator *self;

static bide_generator(int, asks_itself)
{
    int value;
    CHECK_INT(bide_next(self, &value), -EBUSY);
    CHECK_INT(bide_iterator_close(self), -EBUSY);
    return bide_yield(1);
}

BIDE_TEST(asking_oneself)
{
    self = bide_iterate(asks_itself);
    int value;
    CHECK_INT(bide_next(self, &value), 1);
    CHECK_INT(bide_next(self, &value), 0);
    CHECK_INT(bide_iterator_close(self), 0);
}

static bide_async(takes_two, (bide_iterator *, it), (const char *, name))
{
    for (int i = 0; i < 2; i++) {
        int value = 0;
        int rc = bide_next(it, &value);
        if (rc <= 0)
            return rc;
        char text[16];
        snprintf(text, sizeof text, "%s%d", name, value);
        note(text);
    }
    return 1;
}

TASK_TEST(tasks_take_turns)
{
    bide_iterator *it = bide_iterate(count_slowly, 100, 0);
    CHECK_INT(bide_await(bide_spawn(takes_two, it, "a")), 1);
    CHECK_INT(bide_await(bide_spawn(takes_two, it, "b")), 1);
    CHECK_INT(takes_two(it, "c"), 1);
    CHECK_NOTES("a0a1b2b3c4c5");
    CHECK_INT(bide_iterator_close(it), 0);
}

TASK_TEST(another_task_is_inside)
{
    bide_iterator *it = bide_iterate(count_slowly, 100, 0);
    bide_task *task = bide_spawn(takes_two, it, "a");
    turns(1);
    int value;
    CHECK_INT(bide_next(it, &value), -EBUSY);
    CHECK_INT(bide_iterator_close(it), -EBUSY);
    CHECK_INT(bide_await(task), 1);
    CHECK_NOTES("a0a1");
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(value, 2);
    CHECK_INT(bide_iterator_close(it), 0);
}

/* Begun without a loop, continued in a task, and the other way round. */
BIDE_TEST(begun_elsewhere)
{
    bide_iterator *it = bide_iterate(count_to, 5);
    int value;
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(bide_run_with(NULL, takes_two, it, "a"), 1);
    CHECK_NOTES("a1a2");
    CHECK_INT(bide_next(it, &value), 0); /* that loop closed it */
    CHECK_INT(bide_iterator_close(it), 0);

    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    it = bide_iterate(count_to, 5);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, takes_two, it, "b")), 1);
    CHECK_NOTES("b0b1");
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(value, 2);
    CHECK_INT(bide_iterator_close(it), 0);
    rig_close(loop);
}

static bide_async(finds_it_foreign, (bide_iterator *, it))
{
    int value;
    CHECK_INT(bide_next(it, &value), -EXDEV);
    CHECK_INT(bide_iterator_close(it), -EXDEV);
    return 1;
}

BIDE_TEST(another_loops_generator)
{
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_iterator *it = bide_iterate(count_to, 5);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, takes_two, it, "")), 1);
    CHECK_INT(bide_run_with(NULL, finds_it_foreign, it), 1);
    CHECK_INT(bide_loop_run_until_complete(loop, bide_spawn_with(&opts, takes_two, it, "")), 1);
    CHECK_NOTES("0123");
    rig_close(loop);
    CHECK_INT(bide_iterator_close(it), 0);
}

static void *finds_it_foreign_too(void *it)
{
    int value;
    CHECK_INT(bide_next((bide_iterator *)it, &value), -EXDEV);
    CHECK_INT(bide_iterator_close(it), -EXDEV);
    check_values(bide_iterate(count_to, 3), 3, 0); /* with a pool of this thread's own */
    return NULL;
}

static void *begins_it(void *it)
{
    int value;
    CHECK_INT(bide_next((bide_iterator *)it, &value), 1);
    CHECK_INT(bide_iterator_close(it), 0);
    return NULL;
}

static void on_thread(void *(*function)(void *), bide_iterator *it)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, function, it), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

BIDE_TEST(another_threads_generator)
{
    bide_iterator *it = bide_iterate(count_to, 5);
    int value;
    CHECK_INT(bide_next(it, &value), 1);
    on_thread(finds_it_foreign_too, it);
    CHECK_INT(bide_next(it, &value), 1);
    CHECK_INT(bide_iterator_close(it), 0);
    on_thread(begins_it, bide_iterate(count_to, 5)); /* one that has not begun may move */
}

static bide_generator(int, runs_a_loop)
{
    int rc = bide_run_with(NULL, returns_after, 2, 5);
    if (rc >= 0)
        rc = bide_yield(rc);
    if (rc >= 0)
        rc = bide_run_with(NULL, returns_after, 2, 6);
    return rc < 0 ? rc : bide_yield(rc);
}

BIDE_TEST(body_that_runs_a_loop)
{
    int sum = 0;
    int rc;
    bide_for (int, value, rc, bide_iterate(runs_a_loop))
        sum += value;
    CHECK_INT(rc, 0);
    CHECK_INT(sum, 11);
}

enum { MANY = 100 * 1000 };

static void check_many(int n)
{
    if (BIDE__TSAN && n > 4000)
        n = 4000; /* more fibers than that it does not know */
    bide_iterator **its = malloc((size_t)n * sizeof(bide_iterator *));
    CHECK(its);
    for (int i = 0; i < n; i++)
        CHECK((its[i] = bide_iterate(count_to, i + 2)));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < n; i++) {
            int value = -1;
            CHECK_INT(bide_next(its[i], &value), 1);
            CHECK_INT(value, round);
        }
    }
    for (int i = 0; i < n; i++)
        CHECK_INT(bide_iterator_close(its[i]), 0);
    free(its);
}

BIDE_TEST(a_hundred_thousand_open_without_a_loop, .seconds = 120, .seeds_max = 3)
{
    check_many(MANY / test_slowness());
}

TASK_TEST(a_hundred_thousand_open_in_a_task, .seconds = 120, .seeds_max = 3)
{
    check_many(MANY / test_slowness());
}

static bide_generator(int, fails_with_words)
{
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_future_new(NULL, &promise, &future), 0);
    CHECK_INT(bide_promise_set(promise, -EIO, "words"), 0);
    bide_promise_free(promise);
    return bide_await(future);
}

TASK_TEST(words_about_the_bodys_error_are_the_consumers)
{
    bide_iterator *it = bide_iterate(fails_with_words);
    int value;
    CHECK_INT(bide_next(it, &value), -EIO);
    CHECK_STR(bide_error_detail(), "words");
    CHECK_INT(bide_iterator_close(it), 0);
}
