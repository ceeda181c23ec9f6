/*
 * Scenario: each operator that runs in the task that asks, over sources that give values at once
 * and after turns, end, fail and are cancelled at each suspension; alone and in chains; with
 * senseless arguments. Claim: values come in order, errors after the values before them, a cancel
 * loses nothing, nobody asks for more than was needed, and every source is closed once, whatever
 * happened.
 */
#include "flow_rig.h"

static int doubles(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(int *)ret_item = 2 * *(const int *)item;
    return 0;
}

static int halves(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(double *)ret_item = *(const int *)item / 2.0;
    return 7;
}

static int doubles_slowly(const void *item, void *ret_item, void *data)
{
    int rc = bide_sleep(0);
    if (rc == 0)
        rc = bide_sleep(0);
    return rc < 0 ? rc : doubles(item, ret_item, data);
}

static int fails_at(const void *item, void *ret_item, void *data)
{
    if (*(const int *)item == *(int *)data)
        return -EIO;
    return doubles(item, ret_item, data);
}

TASK_TEST(map)
{
    CHECK_FLOW(bide_map(FLOW(1, 2, WAIT, 3), sizeof(int), doubles, NULL), 2, 4, 6, 0);
    CHECK_FLOW(bide_map(FLOW(0), sizeof(int), doubles, NULL), 0);
    CHECK_FLOW(bide_map(FLOW(1, 2), sizeof(int), doubles_slowly, NULL), 2, 4);
    CHECK_FLOW(bide_map(FLOW(1, -EIO, 2), sizeof(int), doubles, NULL), 2, -EIO);
    bide_iterator *it = bide_map(FLOW(1, 5), sizeof(double), halves, NULL);
    double value;
    CHECK_INT(bide_next(it, &value), 1);
    CHECK(value == 0.5);
    CHECK_INT(bide_next(it, &value), 1);
    CHECK(value == 2.5);
    CHECK_INT(bide_next(it, &value), 0);
    check_closed(it, 0);
}

BIDE_TEST(without_a_loop)
{
    CHECK_FLOW(bide_take(bide_map(FLOW(1, 2, 3), sizeof(int), doubles, NULL), 2), 2, 4);
    bide_iterator *it = bide_take(FLOW(1, WAIT, 2), 5);
    CHECK_ASKED(it, 1, -BIDE_ENOTASK, -BIDE_ENOTASK);
    check_closed(it, 0);
}

TASK_TEST(map_whose_function_fails)
{
    int number = 2;
    CHECK_FLOW(bide_map(FLOW(1, 2, 3), sizeof(int), fails_at, &number), 2, -EIO);
}

static bide_iterator *make_map(void)
{
    static struct script script;
    script = (struct script){.steps = {1, WAIT, 2, WAIT, 3}};
    return bide_map(play(&script), sizeof(int), doubles_slowly, NULL);
}

TASK_TEST(map_cancelled)
{
    CHECK_CANCELS(make_map, 2, 4, 6);
}

static int is_odd(const void *item, void *data)
{
    (void)data;
    return *(const int *)item % 2;
}

static int is_odd_slowly(const void *item, void *data)
{
    int rc = bide_sleep(0);
    return rc < 0 ? rc : is_odd(item, data);
}

static int fails(const void *item, void *data)
{
    (void)item;
    (void)data;
    return -EPIPE;
}

TASK_TEST(filter)
{
    CHECK_FLOW(bide_filter(FLOW(1, 2, 3, WAIT, 4, 5), is_odd, NULL), 1, 3, 5);
    CHECK_FLOW(bide_filter(FLOW(2, 4), is_odd, NULL), 0);
    CHECK_FLOW(bide_filter(FLOW(2, -EIO, 3), is_odd, NULL), -EIO);
    CHECK_FLOW(bide_filter(FLOW(2, 3), fails, NULL), -EPIPE);
}

static bide_iterator *make_filter(void)
{
    static struct script script;
    script = (struct script){.steps = {1, WAIT, 2, WAIT, 3, 4, WAIT, 5}};
    return bide_filter(play(&script), is_odd_slowly, NULL);
}

TASK_TEST(filter_cancelled)
{
    CHECK_CANCELS(make_filter, 1, 3, 5);
}

TASK_TEST(take_and_skip)
{
    CHECK_FLOW(bide_take(FLOW(1, 2, 3), 2), 1, 2);
    CHECK_FLOW(bide_take(FLOW(1, 2), 5), 1, 2);
    CHECK_FLOW(bide_take(FLOW(1, 2), 0), 0);
    CHECK_FLOW(bide_take(FLOW(1, -EIO), 2), 1, -EIO);
    CHECK_FLOW(bide_skip(FLOW(1, 2, 3), 2), 3);
    CHECK_FLOW(bide_skip(FLOW(1, 2, 3), 0), 1, 2, 3);
    CHECK_FLOW(bide_skip(FLOW(1, 2), 2), 0);
    CHECK_FLOW(bide_skip(FLOW(1, 2), SIZE_MAX), 0);
    CHECK_FLOW(bide_skip(FLOW(1, -EIO), 2), -EIO);
}

TASK_TEST(take_asks_no_more_than_it_takes)
{
    struct script script = {.steps = {1, 2, 3, 4, 5}};
    CHECK_FLOW(bide_take(play(&script), 3), 1, 2, 3, 0);
    CHECK_INT(script.n_asked, 3);
}

static bide_iterator *make_take_and_skip(void)
{
    static struct script script;
    script = (struct script){.steps = {1, WAIT, 2, WAIT + 1, 3, WAIT, 4, 5}};
    return bide_take(bide_skip(play(&script), 2), 2);
}

TASK_TEST(take_and_skip_cancelled)
{
    CHECK_CANCELS(make_take_and_skip, 3, 4);
}

struct numbered {
    char item[sizeof(int)];
    char letter;
    size_t index;
};

struct numbered_int {
    size_t index;
    int item;
};

TASK_TEST(enumerate)
{
    size_t n = 0;
    int rc;
    bide_for (struct numbered_int, pair, rc,
              bide_enumerate(FLOW(5, WAIT, 6, 7), struct numbered_int)) {
        CHECK_INT(pair.index, n);
        CHECK_INT(pair.item, 5 + n++);
    }
    CHECK_INT(rc, 0);
    CHECK_INT(n, 3);
    bide_for (struct numbered, pair, rc, bide_enumerate(FLOW(5, -EIO), struct numbered)) {
        CHECK_INT(pair.index, 0);
        CHECK_MEM(pair.item, &(int){5}, sizeof(int));
    }
    CHECK_INT(rc, -EIO);
    CHECK_INT(n_open, 0);
}

struct ints {
    size_t n;
    int items[3];
};

static void check_chunk(bide_iterator *it, size_t n, int first)
{
    struct ints ints = {0};
    CHECK_INT(bide_next(it, &ints), 1);
    CHECK_INT(ints.n, n);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(ints.items[i], first + (int)i);
}

TASK_TEST(chunks)
{
    struct ints ints;
    bide_iterator *it = bide_chunks(FLOW(1, 2, WAIT, 3, 4, 5, 6, 7), struct ints);
    check_chunk(it, 3, 1);
    check_chunk(it, 3, 4);
    check_chunk(it, 1, 7);
    CHECK_INT(bide_next(it, &ints), 0);
    check_closed(it, 0);
    it = bide_chunks(FLOW(1, 2, 3), struct ints);
    check_chunk(it, 3, 1);
    CHECK_INT(bide_next(it, &ints), 0);
    check_closed(it, 0);
    it = bide_chunks(FLOW(0), struct ints);
    CHECK_INT(bide_next(it, &ints), 0);
    check_closed(it, 0);
}

TASK_TEST(chunks_before_an_error)
{
    struct ints ints;
    bide_iterator *it = bide_chunks(FLOW(1, 2, 3, 4, -EIO, 5), struct ints);
    check_chunk(it, 3, 1);
    check_chunk(it, 1, 4);
    CHECK_INT(bide_next(it, &ints), -EIO);
    CHECK_INT(bide_next(it, &ints), 0);
    check_closed(it, 0);
}

static int sums(const void *item, void *ret_item, void *data)
{
    const struct ints *ints = item;
    (void)data;
    int sum = 0;
    for (size_t i = 0; i < ints->n; i++)
        sum += ints->items[i];
    *(int *)ret_item = sum;
    return 0;
}

static bide_iterator *make_chunks(void)
{
    static struct script script;
    script = (struct script){.steps = {1, WAIT, 2, WAIT, 3, WAIT, 4, 5, WAIT}};
    return bide_map(bide_chunks(play(&script), struct ints), sizeof(int), sums, NULL);
}

TASK_TEST(chunks_cancelled)
{
    CHECK_CANCELS(make_chunks, 6, 9);
}

TASK_TEST(chain)
{
    bide_iterator *three[] = {FLOW(1, 2), FLOW(0), FLOW(WAIT, 3)};
    CHECK_FLOW(bide_chain(three, 3), 1, 2, 3);
    bide_iterator *failing[] = {FLOW(1, -EIO), FLOW(2)};
    CHECK_FLOW(bide_chain(failing, 2), 1, -EIO);
    CHECK_PTR(bide_chain(NULL, 0), NULL);
}

static bide_iterator *make_chain(void)
{
    static struct script scripts[2];
    scripts[0] = (struct script){.steps = {1, WAIT, 2, WAIT}};
    scripts[1] = (struct script){.steps = {WAIT, 3}};
    return bide_chain((bide_iterator *[]){play(&scripts[0]), play(&scripts[1])}, 2);
}

TASK_TEST(chain_cancelled)
{
    CHECK_CANCELS(make_chain, 1, 2, 3);
}

struct pair {
    char letter;
    int left;
    double right;
};

TASK_TEST(zip)
{
    int n = 0;
    int rc;
    bide_for (struct pair, pair, rc,
              bide_zip(struct pair,
                       (right, bide_map(FLOW(1, WAIT, 2, 3), sizeof(double), halves, NULL)),
                       (left, FLOW(4, 5)))) {
        CHECK_INT(pair.left, 4 + n++);
        CHECK(pair.right == n / 2.0);
    }
    CHECK_INT(rc, 0);
    CHECK_INT(n, 2);
    CHECK_INT(n_open, 0);
    bide_iterator *it = bide_zip(struct pair, (left, FLOW(1, 2, 3)));
    struct pair pair;
    CHECK_INT(bide_next(it, &pair), 1);
    check_closed(it, 0);
    bide_for (struct ints, ints, rc,
              bide_zip(struct ints, (items[0], FLOW(1, 2)), (items[2], FLOW(3, -EIO))))
        CHECK_INT(ints.items[0] + ints.items[2], 4);
    CHECK_INT(rc, -EIO);
    CHECK_INT(n_open, 0);
}

static int sums_pair(const void *item, void *ret_item, void *data)
{
    (void)data;
    const int *pair = item;
    *(int *)ret_item = pair[0] * 10 + pair[1];
    return 0;
}

struct two {
    int left;
    int right;
};

static bide_iterator *make_zip(void)
{
    static struct script scripts[2];
    scripts[0] = (struct script){.steps = {1, WAIT, 2, WAIT, 3}};
    scripts[1] = (struct script){.steps = {WAIT, 4, WAIT, 5, WAIT, 6}};
    bide_iterator *it = bide_zip(struct two, (left, play(&scripts[0])), (right, play(&scripts[1])));
    return bide_map(it, sizeof(int), sums_pair, NULL);
}

TASK_TEST(zip_cancelled)
{
    CHECK_CANCELS(make_zip, 14, 25, 36);
}

TASK_TEST(throttle)
{
    double begin = bide_time();
    bide_iterator *it = bide_throttle(FLOW(1, 2, 3), TICKS(2));
    CHECK_ASKED(it, 1);
    CHECK(bide_time() - begin < TICKS(2));
    CHECK_ASKED(it, 2);
    CHECK(bide_time() - begin >= TICKS(2) * 0.999);
    CHECK_INT(bide_within(TICKS(1), asks(it)), -ETIMEDOUT); /* while it pauses */
    CHECK_ASKED(it, 3, 0);
    CHECK(bide_time() - begin >= TICKS(4) * 0.999);
    check_closed(it, 0);
    it = bide_throttle(FLOW(1, 2), 0);
    CHECK_ASKED(it, 1, 2, 0);
    check_closed(it, 0);
}

static bide_generator(int, slow_at, (int, n), (int, slow))
{
    int rc = 0;
    for (int i = 1; i <= n && rc == 0; i++) {
        if (i == slow)
            rc = bide_sleep(INFINITY);
        if (rc == 0)
            rc = bide_yield(i);
    }
    note(rc == -ECANCELED ? "c" : "-");
    return rc;
}

TASK_TEST(each_within)
{
    CHECK_FLOW(bide_each_within(bide_iterate(slow_at, 2, 0), 10), 1, 2);
    CHECK_NOTES("-");
    CHECK_FLOW(bide_each_within(bide_iterate(slow_at, 4, 3), TICKS(1)), 1, 2, -ETIMEDOUT, 0);
    CHECK_NOTES("c");
    bide_iterator *it = bide_each_within(bide_iterate(slow_at, 4, 3), TICKS(1));
    CHECK_ASKED(it, 1);
    CHECK_INT(bide_sleep(TICKS(3)), 0); /* nobody was asking */
    CHECK_ASKED(it, 2, -ETIMEDOUT, 0);
    check_closed(it, 0);
}

static int adds(void *accumulator, const void *item, void *data)
{
    *(int *)accumulator += *(const int *)item;
    return *(const int *)item == *(int *)data ? -EPIPE : 0;
}

TASK_TEST(reduce)
{
    int sum = 0;
    int never = 0;
    CHECK_INT(bide_reduce(FLOW(1, 2, WAIT, 3), adds, &sum, &never), 0);
    CHECK_INT(sum, 6);
    CHECK_INT(bide_reduce(FLOW(1, -EIO), adds, &sum, &never), -EIO);
    CHECK_INT(bide_reduce(FLOW(1, 2, 3), adds, &sum, &(int){2}), -EPIPE);
    CHECK_INT(sum, 10);
    CHECK_INT(bide_reduce(NULL, adds, &sum, &never), -ENOMEM);
    CHECK_INT(bide_reduce(FLOW(1), NULL, &sum, &never), -EINVAL);
    CHECK_INT(bide_reduce(play(&(struct script){.steps = {1}, .close_result = -EBADF}), adds, &sum,
                          &never),
              -EBADF);
    CHECK_INT(sum, 11);
    CHECK_INT(n_open, 0);
}

TASK_TEST(collect)
{
    int *array = NULL;
    size_t n = 0;
    CHECK_INT(bide_collect(FLOW(1, 2, WAIT, 3), &array, &n, 0), 0);
    CHECK_INT(n, 3);
    CHECK_MEM(array, ((int[]){1, 2, 3}), 3 * sizeof(int));
    free(array);
    CHECK_INT(bide_collect(FLOW(0), &array, &n, 0), 0);
    CHECK_INT(n, 0);
    free(array);
    array = &(int){0};
    int *kept = array;
    n = 7;
    CHECK_INT(bide_collect(FLOW(1, 2, 3), &array, &n, 2), -BIDE_ELIMIT);
    CHECK_INT(bide_collect(FLOW(1, -EIO), &array, &n, 2), -EIO);
    CHECK_INT(bide_collect((bide_iterator *)NULL, &array, &n, 2), -ENOMEM);
    char *wrong = NULL;
    CHECK_INT(bide_collect(FLOW(1, 2), &wrong, &n, 0), -EINVAL);
    CHECK_INT(bide_collect(FLOW(1, 2), &array, NULL, 0), -EINVAL);
    CHECK_PTR(array, kept);
    CHECK_INT(n, 7);
    CHECK_INT(bide_collect(FLOW(1, 2), &array, &n, 2), 0);
    CHECK_INT(n, 2);
    free(array);
    CHECK_INT(n_open, 0);
}

static bide_generator(int, counts, (int, n))
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++)
        rc = bide_yield(i);
    return rc;
}

BIDE_TEST(collect_many)
{
    int *array = NULL;
    size_t n = 0;
    CHECK_INT(bide_collect(bide_iterate(counts, 10000), &array, &n, 10000), 0);
    CHECK_INT(n, 10000);
    for (int i = 0; i < 10000; i++)
        CHECK_INT(array[i], i);
    free(array);
}

static bide_async(reduces, (bide_iterator *, it), (int *, sum))
{
    return bide_reduce(it, adds, sum, &(int){0});
}

TASK_TEST(reduce_cancelled_closes_shielded)
{
    int sum = 0;
    bide_task *task = bide_spawn(reduces, FLOW(1, 2, WAIT + 5, 3), &sum);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(sum, 3);
    CHECK_INT(n_open, 0);
}

/* Everything that is asked for with senseless arguments fails when it is asked, and closes its
 * sources. */
static void check_spoiled(bide_iterator *it, int error)
{
    CHECK(it);
    CHECK_ASKED(it, error, error);
    long wrong;
    CHECK_INT(bide_next(it, &wrong), error);
    it = bide_take(bide_map(it, sizeof(double), halves, NULL), 2); /* goes up the chain */
    CHECK_ASKED(it, error, error);
    check_closed(it, 0);
}

TASK_TEST(senseless_arguments)
{
    check_spoiled(bide_map(FLOW(1), sizeof(int), NULL, NULL), -EINVAL);
    check_spoiled(bide_filter(FLOW(1), NULL, NULL), -EINVAL);
    check_spoiled(bide_throttle(FLOW(1), NAN), -EINVAL);
    check_spoiled(bide_each_within(FLOW(1), NAN), -EINVAL);
    check_spoiled(bide_zip(struct pair, (left, FLOW(1)), (right, FLOW(2))), -EINVAL);
    check_spoiled(bide_zip(struct pair, (left, FLOW(1)), (right, (bide_iterator *)NULL)), -ENOMEM);
    check_spoiled(bide_zip(struct pair, (left, (bide_iterator *)NULL), (right, FLOW(1))), -ENOMEM);
    check_spoiled(bide_enumerate(
                      FLOW(1),
                      struct {
                          size_t index;
                          double item;
                      }),
                  -EINVAL);
    check_spoiled(bide_chunks(
                      FLOW(1),
                      struct {
                          size_t n;
                          double items[2];
                      }),
                  -EINVAL);
    check_spoiled(bide_flat_map(FLOW(1), sizeof(int), 0, NULL, NULL), -EINVAL);
    bide_iterator *different[] = {FLOW(1), bide_map(FLOW(1), sizeof(double), halves, NULL)};
    check_spoiled(bide_chain(different, 2), -EINVAL);
    bide_iterator *missing[] = {NULL, FLOW(1), NULL, FLOW(2)};
    check_spoiled(bide_merge(missing, 4), -ENOMEM);
    bide_iterator *twice = FLOW(1);
    check_spoiled(bide_chain((bide_iterator *[]){twice, twice}, 2), -EINVAL);
    twice = FLOW(1);
    check_spoiled(bide_merge((bide_iterator *[]){twice, FLOW(2), twice}, 3), -EINVAL);
    struct script script = {.steps = {1}};
    twice = play(&script);
    check_spoiled(bide_zip(struct two, (left, twice), (right, twice)), -EINVAL);
}

BIDE_TEST(nothing_at_all)
{
    bide_iterator *none = NULL;
    CHECK_PTR(bide_take(bide_map(none, sizeof(int), doubles, NULL), 3), NULL);
    CHECK_PTR(bide_filter(none, is_odd, NULL), NULL);
    CHECK_PTR(bide_enumerate(none, struct numbered_int), NULL);
    CHECK_PTR(bide_chunks(none, struct ints), NULL);
    CHECK_PTR(bide_chain(&none, 1), NULL);
    CHECK_PTR(bide_zip(struct two, (left, none), (right, none)), NULL);
    CHECK_PTR(bide_merge(&none, 1), NULL);
    CHECK_PTR(bide_merge(&none, 0), NULL);
    CHECK_PTR(bide_throttle(none, 1), NULL);
    CHECK_PTR(bide_each_within(none, 1), NULL);
}

TASK_TEST(error_of_a_sources_close)
{
    struct script failing = {.steps = {1}, .close_result = -EIO};
    struct script later = {.steps = {1}, .close_result = -EPIPE};
    bide_iterator *it = bide_chain((bide_iterator *[]){FLOW(1), play(&failing), play(&later)}, 3);
    check_closed(bide_take(bide_map(it, sizeof(int), doubles, NULL), 1), -EIO);
}

TASK_TEST(long_chain)
{
    bide_iterator *it = bide_iterate(counts, 1000);
    for (int i = 0; i < 50; i++)
        it = bide_take(bide_skip(bide_map(it, sizeof(int), doubles, NULL), 0), 100);
    it = bide_take(it, 2);
    CHECK_INT(asks(it), 0);
    check_closed(it, 0);
}
