/*
 * Scenario: tasks wait until descriptors of the test's own are ready; alone, several at once, next
 * to callbacks, cancelled before and after it happened, and while the loop closes.
 * Claim: readiness is told to everybody who waits for it, by level; a cancelled wait leaves nothing
 * behind.
 */
#include <bide/watch.h>

#include <fcntl.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task_rig.h"

struct pair {
    int here;
    int there;
};

static struct pair pair_open(void)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return (struct pair){fds[0], fds[1]};
}

static void pair_close(struct pair pair)
{
    close(pair.here);
    close(pair.there);
}

static void say(int fd, const char *text)
{
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
}

/* Until no more fits. */
static void stuff(int fd)
{
    char bytes[4096] = "";
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    CHECK_INT(errno, EAGAIN);
}

static void drain(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static bide_async(waits_readable, (int, fd))
{
    return bide_wait_readable(fd);
}

static bide_async(waits_writable, (int, fd))
{
    return bide_wait_writable(fd);
}

/* Lets the task begin, and sees that it waits on. */
static bide_task *waiting(bide_task *task)
{
    CHECK(task);
    turns(5);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    return task;
}

TASK_TEST(a_task_waits_until_there_is_something_to_read)
{
    struct pair pair = pair_open();
    bide_task *reader = waiting(bide_spawn(waits_readable, pair.here));
    say(pair.there, "x");
    CHECK_INT(bide_await(reader), 0);
    CHECK_INT(bide_wait_readable(pair.here), 0); /* it still is */
    drain(pair.here);
    reader = waiting(bide_spawn(waits_readable, pair.here));
    CHECK_INT(shutdown(pair.there, SHUT_WR), 0);
    CHECK_INT(bide_await(reader), 0);
    pair_close(pair);
}

TASK_TEST(a_task_waits_until_there_is_room_to_write)
{
    struct pair pair = pair_open();
    CHECK_INT(bide_wait_writable(pair.here), 0);
    stuff(pair.here);
    bide_task *writer = waiting(bide_spawn(waits_writable, pair.here));
    drain(pair.there);
    CHECK_INT(bide_await(writer), 0);
    pair_close(pair);
}

TASK_TEST(both_directions_of_one_descriptor)
{
    struct pair pair = pair_open();
    stuff(pair.here);
    bide_task *reader = waiting(bide_spawn(waits_readable, pair.here));
    bide_task *writer = waiting(bide_spawn(waits_writable, pair.here));
    say(pair.there, "x");
    CHECK_INT(bide_await(reader), 0);
    waiting(writer);
    drain(pair.there);
    CHECK_INT(bide_await(writer), 0);
    pair_close(pair);
}

TASK_TEST(everybody_who_waits_is_told)
{
    struct pair pair = pair_open();
    bide_task *readers[3];
    int results[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++)
        readers[i] = waiting(bide_spawn(waits_readable, pair.here));
    bide_cancel(readers[1]);
    CHECK_INT(bide_await(readers[1]), -ECANCELED);
    readers[1] = readers[2];
    say(pair.there, "x");
    CHECK_INT(bide_gather(readers, 2, results), 0);
    CHECK_INT(results[0], 0);
    CHECK_INT(results[1], 0);
    pair_close(pair);
}

static int n_calls;

static int on_readable(void *data)
{
    (void)data;
    n_calls++;
    return 0;
}

TASK_TEST(tasks_and_callbacks_wait_for_the_same)
{
    struct pair pair = pair_open();
    bide_loop *loop = bide_loop_current();
    n_calls = 0;
    bide_task *reader = waiting(bide_spawn(waits_readable, pair.here));
    CHECK_INT(bide_loop_add_reader(loop, pair.here, on_readable, NULL, NULL), 0);
    say(pair.there, "x");
    CHECK_INT(bide_await(reader), 0);
    turns(2);
    CHECK_RANGE(n_calls, 1, 100);
    drain(pair.here);
    reader = waiting(bide_spawn(waits_readable, pair.here));
    CHECK_INT(bide_loop_remove_reader(loop, pair.here), 1); /* the task's wait goes on */
    CHECK_INT(bide_loop_remove_reader(loop, pair.here), 0);
    n_calls = 0;
    say(pair.there, "x");
    CHECK_INT(bide_await(reader), 0);
    CHECK_INT(n_calls, 0);
    pair_close(pair);
}

TASK_TEST(a_cancelled_wait_leaves_nothing)
{
    struct pair pair = pair_open();
    bide_task *reader = waiting(bide_spawn(waits_readable, pair.here));
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    reader = waiting(bide_spawn(waits_readable, pair.here));
    bide_cancel(reader);
    say(pair.there, "x"); /* too late */
    CHECK_INT(bide_await(reader), -ECANCELED);
    CHECK_INT(bide_within(INFINITY, bide_wait_readable(pair.here)), 0);
    CHECK_INT(bide_within(0, bide_wait_readable(pair.here)), -ETIMEDOUT);
    pair_close(pair);
}

TASK_TEST(readiness_before_the_cancel_stands)
{
    struct pair pair = pair_open();
    bide_task *reader = waiting(bide_spawn(waits_readable, pair.here));
    say(pair.there, "x");
    while (bide_task_state(reader) == BIDE_TASK_WAITING)
        turns(1);
    CHECK_INT(bide_task_state(reader), BIDE_TASK_SCHEDULED);
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), 0);
    pair_close(pair);
}

TASK_TEST(what_cannot_be_waited_for)
{
    struct pair pair = pair_open();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    CHECK_INT(bide_wait_readable(file), -EPERM);
    CHECK_INT(bide_wait_readable(-1), -EBADF);
    CHECK_INT(bide_wait_writable(-7), -EBADF);
    close(file);
    CHECK_INT(bide_wait_writable(file), -EBADF);
    pair_close(pair);
}

BIDE_TEST(waiting_needs_a_task)
{
    CHECK_INT(bide_wait_readable(0), -BIDE_ENOTASK);
    CHECK_INT(bide_wait_writable(0), -BIDE_ENOTASK);
}

static bide_async(gets_stuck, (int, fd))
{
    return bide_shielded(INFINITY, bide_wait_readable(fd));
}

static bide_async(leaves_stuck_tasks, (int, fd))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(waiting(bide_spawn(gets_stuck, fd)));
    bide_detach(waiting(bide_spawn(gets_stuck, fd)));
    return 0;
}

BIDE_TEST(a_loop_gives_up_tasks_that_wait)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    struct pair pair = pair_open();
    CHECK_INT(bide_run_with(&impatient, leaves_stuck_tasks, pair.here), 0);
    CHECK_CONTAINS(take_report(), "gets_stuck");
    CHECK_CONTAINS(take_report(), "gets_stuck");
    rig_end();
    pair_close(pair);
}
