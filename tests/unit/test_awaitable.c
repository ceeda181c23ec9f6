/*
 * Scenario: objects of the user's that tasks wait for: one that has its result at once, one that
 * somebody wakes in each possible moment, one that is cancelled, an eventfd. Claim: the result
 * arrives exactly once, a cancel gives the wait up once, and a result that was reached before the
 * cancel stands.
 */
#include <bide/awaitable.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "task_rig.h"

struct box {
    bide_waker *waker;
    int start_result;
    int result;
    bool wakes_in_start;
    bool cancels_in_start;
    bool gives_up; /* at once */
    unsigned n_starts;
    unsigned n_cancels;
};

static int box_start(void *object, bide_waker *waker)
{
    struct box *box = object;
    box->waker = waker;
    box->n_starts++;
    if (box->cancels_in_start)
        bide_cancel(bide_current_task());
    if (box->wakes_in_start)
        bide_wake(waker, box->result);
    return box->start_result;
}

static void box_cancel(void *object, bide_waker *waker)
{
    struct box *box = object;
    box->n_cancels++;
    CHECK_PTR(waker, box->waker);
    if (box->gives_up)
        bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable box_kind = {"a box", box_start, box_cancel};
static const struct bide_awaitable firm_kind = {"a firm box", box_start, NULL};

static bide_async(opens, (const struct bide_awaitable *, kind), (struct box *, box))
{
    return bide_await_object(kind, box);
}

TASK_TEST(result_at_once)
{
    struct box box = {.start_result = 5};
    CHECK_INT(opens(&box_kind, &box), 5);
    box.start_result = -EIO;
    CHECK_INT(opens(&box_kind, &box), -EIO);
    CHECK_INT(box.n_starts, 2);
}

TASK_TEST(woken_inside_start)
{
    struct box box = {.start_result = -BIDE_EPENDING, .wakes_in_start = true, .result = 7};
    CHECK_INT(opens(&box_kind, &box), 7);
    box.result = -ECANCELED;
    CHECK_INT(opens(&box_kind, &box), -ECANCELED);
    CHECK_INT(bide_sleep(0), 0);
}

static int wake_box(void *data)
{
    struct box *box = data;
    bide_wake(box->waker, box->result);
    return 0;
}

TASK_TEST(woken_later)
{
    struct box box = {.start_result = -BIDE_EPENDING, .result = 9};
    bide_task *task = bide_spawn(opens, &box_kind, &box);
    char text[128];
    turns(2);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    bide_task_print(task, text, sizeof text);
    CHECK_CONTAINS(text, "wait=a box");
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), wake_box, &box, NULL, NULL), 0);
    CHECK_INT(bide_await(task), 9);
    CHECK_INT(box.n_cancels, 0);
}

TASK_TEST(cancelled_and_given_up)
{
    struct box box = {.start_result = -BIDE_EPENDING, .gives_up = true};
    bide_task *task = bide_spawn(opens, &box_kind, &box);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(box.n_cancels, 1);
}

/* It takes its time, and comes to a result meanwhile. */
TASK_TEST(result_stands_against_a_cancel)
{
    struct box box = {.start_result = -BIDE_EPENDING, .result = 3};
    bide_task *task = bide_spawn(opens, &box_kind, &box);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    turns(2);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(box.n_cancels, 1);
    bide_wake(box.waker, box.result);
    CHECK_INT(bide_await(task), 3);
}

TASK_TEST(woken_then_cancelled_in_one_turn)
{
    struct box box = {.start_result = -BIDE_EPENDING, .gives_up = true};
    bide_task *task = bide_spawn(opens, &box_kind, &box);
    turns(2);
    bide_wake(box.waker, 4);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), 4);
    CHECK_INT(box.n_cancels, 0);
}

TASK_TEST(cannot_be_given_up)
{
    struct box box = {.start_result = -BIDE_EPENDING, .result = 6};
    bide_task *task = bide_spawn(opens, &firm_kind, &box);
    turns(2);
    CHECK_INT(bide_cancel(task), 1);
    turns(2);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    bide_wake(box.waker, 6);
    CHECK_INT(bide_await(task), 6);
}

TASK_TEST(cancelled_by_its_own_start)
{
    struct box box = {.start_result = -BIDE_EPENDING, .cancels_in_start = true, .gives_up = true};
    CHECK_INT(bide_await(bide_spawn(opens, &box_kind, &box)), -ECANCELED);
    CHECK_INT(box.n_cancels, 1);
    box = (struct box){.start_result = -BIDE_EPENDING,
                       .cancels_in_start = true,
                       .wakes_in_start = true,
                       .result = 2};
    CHECK_INT(bide_await(bide_spawn(opens, &box_kind, &box)), 2);
    CHECK_INT(box.n_cancels, 0);
    box = (struct box){.start_result = -BIDE_EPENDING, .cancels_in_start = true, .result = 8};
    bide_task *task = bide_spawn(opens, &box_kind, &box);
    turns(2);
    CHECK_INT(box.n_cancels, 1);
    bide_wake(box.waker, box.result);
    CHECK_INT(bide_await(task), 8);
}

TASK_TEST(cancelled_before)
{
    struct box box = {.start_result = 1};
    bide_cancel(bide_current_task());
    CHECK_INT(opens(&box_kind, &box), -ECANCELED);
    CHECK_INT(box.n_starts, 0);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
}

TASK_TEST(within_a_time_limit)
{
    struct box box = {.start_result = -BIDE_EPENDING, .gives_up = true};
    CHECK_INT(bide_within(TICKS(1), opens(&box_kind, &box)), -ETIMEDOUT);
    CHECK_INT(box.n_cancels, 1);
}

TASK_TEST(senseless_arguments)
{
    struct box box = {.start_result = 1};
    CHECK_INT(bide_await_object(NULL, &box), -EINVAL);
    CHECK_INT(bide_await_object(&(struct bide_awaitable){.name = "x"}, &box), -EINVAL);
    bide_wake(NULL, 0);
}

BIDE_TEST(outside_tasks)
{
    struct box box = {.start_result = 1};
    CHECK_INT(bide_await_object(&box_kind, &box), -BIDE_ENOTASK);
    CHECK_INT(box.n_starts, 0);
}

struct event_fd {
    int fd;
    bide_waker *waker;
};

static int event_arrived(void *data)
{
    struct event_fd *event = data;
    eventfd_t count;
    if (eventfd_read(event->fd, &count) < 0)
        return 0;
    bide_loop_remove_reader(bide_loop_current(), event->fd);
    bide_wake(event->waker, (int)count);
    return 0;
}

static int event_start(void *object, bide_waker *waker)
{
    struct event_fd *event = object;
    eventfd_t count;
    if (eventfd_read(event->fd, &count) == 0)
        return (int)count;
    event->waker = waker;
    int rc = bide_loop_add_reader(bide_loop_current(), event->fd, event_arrived, event, NULL);
    return rc < 0 ? rc : -BIDE_EPENDING;
}

static void event_cancel(void *object, bide_waker *waker)
{
    struct event_fd *event = object;
    bide_loop_remove_reader(bide_loop_current(), event->fd);
    bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable event_kind = {"eventfd", event_start, event_cancel};

static bide_async(signals, (int, fd), (int, count))
{
    int rc = bide_sleep(TICKS(1));
    return rc < 0 ? rc : eventfd_write(fd, (eventfd_t)count);
}

TASK_TEST(eventfd)
{
    struct event_fd event = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    CHECK(event.fd >= 0);
    CHECK_INT(eventfd_write(event.fd, 2), 0);
    CHECK_INT(bide_await_object(&event_kind, &event), 2);
    bide_task *task = bide_spawn(signals, event.fd, 3);
    CHECK_INT(bide_await_object(&event_kind, &event), 3);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_within(TICKS(1), bide_await_object(&event_kind, &event)), -ETIMEDOUT);
    CHECK_INT(bide_loop_remove_reader(bide_loop_current(), event.fd), 0);
    close(event.fd);
}
