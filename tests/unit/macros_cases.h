/*
 * Every form of the macros that define and start coroutines and generators, and of typed queues, in
 * the common part of C and C++. To be included once by a file that defines MACROS_MAIN, the
 * function that tries them all: it returns 0, or the line of the first that went wrong.
 */
#include "macros_shared.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TRY(expression) \
    do { \
        if (!(expression)) \
            return -__LINE__; \
    } while (0)

struct macros_point {
    int x;
    int y;
};
typedef int macros_function(int);

static int macros_doubled(int n)
{
    return 2 * n;
}

static bide_async(takes_0)
{
    return 100;
}

static bide_async(takes_1, (int, a))
{
    return a;
}

static bide_async(takes_2, (double, a), (const char *, b))
{
    return (int)a + (int)strlen(b);
}

static bide_async(takes_3, (struct macros_point, a), (macros_function *, b), (bool, c))
{
    return b(a.x + a.y) + c;
}

static bide_async(takes_4, (const int, a), (unsigned char, b), (long long, c), (size_t, d))
{
    return a + b + (int)c + (int)d;
}

static bide_async(takes_5, (char, a), (short, b), (float, c), (void *, d), (int *, e))
{
    *e = a + b + (int)c;
    return d == e;
}

static bide_async(takes_6, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f))
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;
}

static bide_async(takes_7, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g))
{
    return takes_6(a, b, c, d, e, f) + 7 * g;
}

static bide_async(takes_8, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
                  (int, h))
{
    return takes_7(a, b, c, d, e, f, g) + 8 * h;
}

static bide_async(takes_9, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
                  (int, h), (int, i))
{
    return takes_8(a, b, c, d, e, f, g, h) + 9 * i;
}

static bide_async(takes_10, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
                  (int, h), (int, i), (int, j))
{
    return takes_9(a, b, c, d, e, f, g, h, i) + 10 * j;
}

static bide_async(takes_11, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
                  (int, h), (int, i), (int, j), (int, k))
{
    return takes_10(a, b, c, d, e, f, g, h, i, j) + 11 * k;
}

static bide_async(takes_12, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g),
                  (int, h), (int, i), (int, j), (int, k), (int, l))
{
    return takes_11(a, b, c, d, e, f, g, h, i, j, k) + 12 * l;
}

static bide_async(macros_try_counts)
{
    struct macros_point point = {3, 4};
    int number = 0;
    TRY(bide_await(bide_spawn(takes_0)) == 100);
    TRY(bide_await(bide_spawn(takes_1, 1)) == 1);
    TRY(bide_await(bide_spawn(takes_2, 5, "abc")) == 8);
    TRY(bide_await(bide_spawn(takes_3, point, macros_doubled, true)) == 15);
    TRY(bide_await(bide_spawn(takes_4, 1, 2, 3, 4)) == 10);
    TRY(bide_await(bide_spawn(takes_5, 1, 2, 3.5f, &number, &number)) == 1);
    TRY(number == 6);
    TRY(bide_await(bide_spawn(takes_6, 1, 2, 3, 4, 5, 6)) == 91);
    TRY(bide_await(bide_spawn(takes_7, 1, 2, 3, 4, 5, 6, 7)) == 140);
    TRY(bide_await(bide_spawn(takes_8, 1, 2, 3, 4, 5, 6, 7, 8)) == 204);
    TRY(bide_await(bide_spawn(takes_9, 1, 2, 3, 4, 5, 6, 7, 8, 9)) == 285);
    TRY(bide_await(bide_spawn(takes_10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)) == 385);
    TRY(bide_await(bide_spawn(takes_11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)) == 506);
    TRY(bide_await(bide_spawn(takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)) == 650);
    TRY(bide_await(bide_spawn(shared_none)) == 77);
    TRY(bide_await(bide_spawn(shared_two, 2, "abc")) == 5);
    return 0;
}

static int macros_plain(void *argument)
{
    return *(int *)argument;
}

static int macros_try_groups(const struct bide_task_opts *opts)
{
    bide_group *group;
    TRY(bide_group_open(&group) == 0);
    TRY(bide_group_spawn(group, takes_0) == 0);
    TRY(bide_group_spawn(group, takes_1, 1) == 0);
    TRY(bide_group_spawn(group, takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == 0);
    TRY(bide_group_spawn_with(group, opts, takes_0) == 0);
    TRY(bide_group_spawn_with(group, opts, takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == 0);
    TRY(bide_group_size(group) == 5);
    TRY(bide_group_close(group, 3) == 3);
    return 0;
}

static int macros_try_remotes(void)
{
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    bide_remote *none = bide_spawn_threadsafe(remote, takes_0);
    bide_remote *one = bide_spawn_threadsafe(remote, takes_1, 1);
    bide_remote *many = bide_spawn_threadsafe(remote, takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                              12);
    TRY(remote && none && one && many);
    bide_remote_unref(none);
    bide_remote_unref(one);
    bide_remote_unref(many);
    bide_remote_unref(remote);
    return 0;
}

static bide_async(macros_try_variants)
{
    struct bide_task_opts opts;
    int number = 5;
    int rc;
    memset(&opts, 0, sizeof opts);
    opts.name = "named";
    bide_task *task = bide_spawn_with(&opts, takes_0);
    TRY(strcmp(bide_task_name(task), "named") == 0);
    TRY(strcmp(bide_task_place(task)->coroutine, "takes_0") == 0);
    TRY(strcmp(bide_task_place(task)->function, "macros_try_variants") == 0);
    TRY(bide_await(task) == 100);
    TRY(bide_await(bide_spawn_with(&opts, takes_1, 4)) == 4);
    TRY(bide_await(bide_spawn_with(NULL, takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)) == 650);
    TRY(bide_await(bide_coroutine(takes_0)) == 100);
    TRY(bide_await(bide_coroutine(takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)) == 650);
    TRY(bide_await(bide_spawn_fn(macros_plain, &number)) == 5);
    TRY(bide_await(bide_spawn_fn_with(&opts, macros_plain, &number)) == 5);
    TRY((rc = macros_try_groups(&opts)) == 0);
    TRY((rc = macros_try_remotes()) == 0);
    return rc;
}

static int macros_next(int *n)
{
    return ++*n;
}

static bide_async(macros_try_expressions)
{
    int n = 0;
    TRY(bide_within(10, takes_1(3)) == 3);
    TRY(bide_within(0, bide_sleep(0)) == -ETIMEDOUT);
    TRY(bide_until(bide_time() + 10, takes_1(4)) == 4);
    TRY(bide_shielded(INFINITY, takes_1(5)) == 5);
    TRY(bide_within(10, bide_until(INFINITY, bide_shielded(1, takes_1(6)))) == 6);
    TRY(bide_await(bide_spawn(takes_1, macros_next(&n))) == 1);
    TRY(bide_within(macros_next(&n), macros_next(&n)) == 3);
    TRY(n == 3);
    return 0;
}

BIDE_QUEUE_DEFINE(macros_points, struct macros_point);
BIDE_QUEUE_DEFINE(macros_names, const char *);

static bide_async(macros_puts, (macros_points *, queue), (int, n))
{
    struct macros_point point = {0, 0};
    for (int i = 0; i < n; i++) {
        point.x = i;
        TRY(macros_points_put(queue, point) == 0);
    }
    return 0;
}

static bide_async(macros_try_queues)
{
    macros_points *queue;
    macros_names *names;
    struct macros_point point;
    const char *name;
    struct bide_queue_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.capacity = 2;
    TRY(macros_points_new(&opts, &queue) == 0);
    TRY(macros_names_new(NULL, &names) == 0);
    bide_task *task = bide_spawn(macros_puts, queue, 5);
    for (int i = 0; i < 5; i++)
        TRY(macros_points_get(queue, &point) == 0 && point.x == i && point.y == 0);
    TRY(bide_await(task) == 0);
    TRY(macros_points_get_nowait(queue, &point) == -EAGAIN && macros_points_empty(queue));
    TRY(macros_points_put_nowait(queue, point) == 0 && macros_points_size(queue) == 1);
    TRY(!macros_points_full(queue) && bide_queue_size(macros_points_untyped(queue)) == 1);
    for (int i = 0; i < 6; i++)
        TRY(macros_points_task_done(queue) == 0);
    TRY(macros_points_join(queue) == 0);
    TRY(macros_points_shutdown(queue, BIDE_AT_ONCE) == 0);
    macros_points_free(queue);
    TRY(macros_names_put(names, "name") == 0 && macros_names_get(names, &name) == 0);
    TRY(strcmp(name, "name") == 0);
    macros_names_free(names);
    return 0;
}

static int macros_released;

static int macros_release(void *number)
{
    macros_released += *(int *)number;
    return 0;
}

static int macros_leave(int *number, bide_lock *lock, bide_semaphore *semaphore)
{
    int rc;
    bide_defer(macros_release, number);
    bide_with (rc, macros_next(number), macros_release, number) {
        bide_with_lock (rc, lock)
            bide_with_semaphore (rc, semaphore) {
                return rc;
            }
    }
    return 1;
}

static bide_async(macros_try_scoped)
{
    static bide_lock lock;
    static bide_condition condition = BIDE_CONDITION(&lock);
    static bide_semaphore semaphore = BIDE_SEMAPHORE(1);
    static bide_semaphore bounded = BIDE_BOUNDED_SEMAPHORE(2);
    static bide_barrier barrier = BIDE_BARRIER(1);
    int number = 4;
    int rc;
    bide_task_scoped *task = bide_spawn(takes_1, 8);
    TRY(macros_leave(&number, &lock, &semaphore) == 0);
    TRY(number == 5 && macros_released == 10);
    TRY(!bide_lock_locked(&lock) && bide_semaphore_value(&semaphore) == 1);
    bide_with_condition (rc, &condition) {
        TRY(bide_lock_locked(&lock));
    }
    TRY(rc == 0 && !bide_lock_locked(&lock));
    TRY(bide_semaphore_value(&bounded) == 2);
    TRY(bide_barrier_wait(&barrier) == 0);
    TRY(bide_await(bide_task_steal(&task)) == 8);
    return 0;
}

static bide_generator(int, gives_0)
{
    return bide_yield(100);
}

static bide_generator(struct macros_point, gives_2, (int, x), (int, y))
{
    struct macros_point point = {x, y};
    int rc = bide_yield(point);
    if (rc < 0)
        return rc;
    point.x++;
    return bide_yield(point);
}

static bide_generator(double, gives_12, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f),
                      (int, g), (int, h), (int, i), (int, j), (int, k), (int, l))
{
    return bide_yield(takes_12(a, b, c, d, e, f, g, h, i, j, k, l));
}

static int macros_leave_early(int *rc)
{
    bide_for (int, value, *rc, bide_iterate(gives_0))
        return value;
    return -1;
}

struct macros_numbered {
    size_t index;
    int item;
};
struct macros_chunk {
    size_t n;
    int items[4];
};

static int macros_add_y(const void *item, void *ret_item, void *data)
{
    const struct macros_point *point = (const struct macros_point *)item;
    *(int *)ret_item = point->x + point->y + *(int *)data;
    return 0;
}

static int macros_try_flows(void)
{
    int n = 0;
    int rc;
    size_t n_items = 0;
    int *items = NULL;
    bide_iterator *it = bide_zip(struct macros_point, (y, bide_iterate(shared_none_values)),
                                 (x, bide_iterate(gives_0)));
    it = bide_map(it, sizeof(int), macros_add_y, &n);
    bide_for (struct macros_numbered, number, rc, bide_enumerate(it, struct macros_numbered))
        n += number.item + (int)number.index;
    TRY(rc == 0 && n == 105);
    bide_for (struct macros_chunk, chunk, rc,
              bide_chunks(bide_iterate(gives_0), struct macros_chunk))
        n += chunk.items[0] + (int)chunk.n;
    TRY(rc == 0 && n == 206);
    rc = bide_collect(bide_take(bide_iterate(gives_0), 3), &items, &n_items, 10);
    TRY(rc == 0 && n_items == 1 && items[0] == 100);
    free(items);
    TRY(bide_zip(struct macros_point, (x, NULL)) == NULL);
    return 0;
}

static bide_generator(int, managed, (int, n))
{
    int rc = bide_yield(n);
    return rc < 0 ? rc : rc + 1;
}

static int macros_try_managers(void)
{
    int n = 0;
    int rc;
    bide_with_manager (int, value, rc, bide_iterate(managed, 3)) {
        bide_with_manager (int, more, rc, bide_iterate(managed, 4)) {
            n = value + more;
            rc = 10;
        }
    }
    TRY(rc == 12 && n == 7);
    bide_manager manager = bide_manage(bide_iterate(managed, 5));
    TRY(bide_manager_enter(&manager, &n) == 0 && n == 5);
    TRY(bide_manager_value(&manager, &n) == 0 && n == 5);
    TRY(bide_manager_exit(&manager, 6) == 7);
    TRY(bide_manager_release(&manager) == -BIDE_EMANAGER);
    return 0;
}

static int macros_try_generators(void)
{
    struct bide_generator_opts opts;
    int n = 0;
    int rc;
    memset(&opts, 0, sizeof opts);
    opts.stack_size = 128 * 1024;
    bide_for (int, value, rc, bide_iterate(gives_0))
        n += value;
    TRY(rc == 0 && n == 100);
    bide_for (struct macros_point, point, rc, bide_iterate_with(&opts, gives_2, 3, 4)) {
        if (point.x == 3)
            continue;
        n += point.x;
        bide_for (int, value, rc, bide_iterate_with(NULL, gives_0))
            n += value;
        break;
    }
    TRY(rc == 0 && n == 204);
    bide_for (double, value, rc, bide_iterate(gives_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
        n += (int)value;
    TRY(rc == 0 && n == 854);
    bide_for (int, value, rc, bide_iterate(shared_none_values))
        n += value;
    bide_for (const char *, text, rc, bide_iterate(shared_values, "abc", 3))
        n += (int)strlen(text);
    TRY(rc == 0 && n == 865);
    TRY(macros_leave_early(&rc) == 100 && rc == 0);
    bide_iterator *it = bide_iterate(gives_0);
    TRY(bide_next(it, &n) == 1 && n == 100);
    TRY(bide_next(it, &n) == 0);
    TRY(bide_iterator_close(it) == 0);
    return 0;
}

int MACROS_MAIN(void);
int MACROS_MAIN(void)
{
    int rc = bide_run_with(NULL, macros_try_counts);
    if (rc == 0)
        rc = bide_run_with(NULL, macros_try_variants);
    if (rc == 0)
        rc = bide_run_with(NULL, macros_try_expressions);
    if (rc == 0)
        rc = bide_run_with(NULL, macros_try_scoped);
    if (rc == 0)
        rc = bide_run_with(NULL, macros_try_queues);
    if (rc == 0)
        rc = macros_try_generators();
    if (rc == 0)
        rc = macros_try_flows();
    if (rc == 0)
        rc = macros_try_managers();
    if (rc < 0)
        return -rc;
    TRY(bide_run(takes_0) == 100);
    TRY(bide_run(takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1) == 255);
    TRY(bide_run_with(NULL, takes_12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == 650);
    TRY(bide_run_with(NULL, shared_two, 1, "a") == 2);
    return 0;
}
