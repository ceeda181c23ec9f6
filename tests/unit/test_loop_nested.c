/*
 * Scenario: another program's loop, on poll(2), waits for a bide loop and has it run one turn at a
 * time. Claim: whatever ends a wait of the loop's own ends the other one's: timers, callbacks,
 * streams, watchers, signals, children, lookups, posts from other threads; while nothing happens,
 * nobody turns.
 */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <bide/process.h>
#include <bide/remote.h>

#include "fault.h"
#include "stream_rig.h"

enum { LONG_MS = 20 * 1000 };

static bide_loop *loop_open(void)
{
    bide_loop *loop;
    double seconds;
    CHECK_INT(bide_loop_new(NULL, &loop), 0);
    if (strcmp(bide_loop_engine(loop), "poll") == 0) {
        CHECK_INT(bide_loop_fd(loop, &seconds), -ENOSYS);
        bide_loop_close(loop);
        SKIP("poll(2) has no descriptor for others to wait for");
    }
    return loop;
}

static void turn(bide_loop *loop)
{
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
}

/* The other loop's wait. Returns whether the descriptor was readable. */
static bool wait_outside(bide_loop *loop)
{
    double seconds = -1;
    struct pollfd entry = {.fd = bide_loop_fd(loop, &seconds), .events = POLLIN};
    CHECK(entry.fd >= 0);
    CHECK(seconds >= 0);
    int n = poll(&entry, 1,
                 isinf(seconds) ? LONG_MS * test_slowness() : (int)(seconds * 1e3) + (seconds > 0));
    CHECK(n >= 0 || errno == EINTR);
    CHECK(n != 0 || !isinf(seconds));
    return n > 0;
}

/* Turns until it has happened so many times; returns how many turns that took. */
static int drive(bide_loop *loop, const int *count, int target)
{
    int n = 0;
    for (; *count < target; n++) {
        wait_outside(loop);
        turn(loop);
    }
    CHECK_INT(*count, target);
    return n;
}

/* For some time nothing happens. What happened before may have left a few wakes behind. */
static void check_quiet(bide_loop *loop)
{
    for (int i = 0; i < 10; i++) {
        double seconds;
        struct pollfd entry = {.fd = bide_loop_fd(loop, &seconds), .events = POLLIN};
        CHECK(entry.fd >= 0);
        int n = isinf(seconds) ? poll(&entry, 1, (int)(TICKS(2) * 1000)) : 1;
        turn(loop);
        if (n == 0)
            return;
    }
    FAIL("the loop turns and turns");
}

static int count(void *data)
{
    ++*(int *)data;
    return 0;
}

BIDE_TEST(what_cannot_be_waited_for_is_refused)
{
    bide_loop *loop = loop_open();
    double seconds = 5;
    CHECK_INT(bide_loop_fd(NULL, &seconds), -EINVAL);
    CHECK_INT(bide_loop_fd(loop, NULL), -EINVAL);
    bide_loop *simulated;
    CHECK_INT(bide_loop_new(&(struct bide_loop_opts){.engine = "sim"}, &simulated), 0);
    CHECK_INT(bide_loop_fd(simulated, &seconds), -ENOSYS);
    CHECK_INT(bide_loop_close(simulated), 0);
    CHECK(seconds == 5);
    CHECK_INT(bide_loop_close(loop), 0);
}

static int asks_inside(void *data)
{
    double seconds;
    CHECK_INT(bide_loop_fd(data, &seconds), -EBUSY);
    return 0;
}

static void *asks_elsewhere(void *loop)
{
    double seconds;
    CHECK_INT(bide_loop_fd(loop, &seconds), -EPERM);
    return NULL;
}

BIDE_TEST(the_loop_belongs_to_the_thread_that_waits_for_it)
{
    bide_loop *loop = loop_open();
    double seconds;
    pthread_t thread;
    int fd = bide_loop_fd(loop, &seconds);
    CHECK_INT(pthread_create(&thread, NULL, asks_elsewhere, loop), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(bide_loop_call_soon(loop, asks_inside, loop, NULL, NULL), 0);
    turn(loop);
    CHECK_INT(bide_loop_fd(loop, &seconds), fd);
    CHECK_INT(bide_loop_close(loop), 0);
}

BIDE_TEST(callbacks_and_timers_say_when_they_are_due)
{
    bide_loop *loop = loop_open();
    double seconds;
    int n = 0;
    check_quiet(loop);
    CHECK_INT(bide_loop_call_soon(loop, count, &n, NULL, NULL), 0);
    CHECK(bide_loop_fd(loop, &seconds) >= 0);
    CHECK(seconds == 0);
    CHECK_INT(drive(loop, &n, 1), 1);
    double begun = bide_loop_time(loop);
    CHECK_INT(bide_loop_call_later(loop, TICKS(3), count, &n, NULL, NULL), 0);
    CHECK(bide_loop_fd(loop, &seconds) >= 0);
    CHECK(seconds > 0 && seconds <= TICKS(3));
    CHECK(drive(loop, &n, 2) <= 4); /* timers near each other may be looked at early */
    CHECK(bide_loop_time(loop) - begun >= TICKS(3));
    bide_loop_stop(loop);
    CHECK(bide_loop_fd(loop, &seconds) >= 0);
    CHECK(seconds == 0);
    CHECK_INT(bide_loop_run_forever(loop), 0);
    check_quiet(loop);
    CHECK_INT(bide_loop_close(loop), 0);
}

static int counter;

bide_async(echoes, (bide_stream *, stream))
{
    char bytes[4096];
    ssize_t n;
    while ((n = bide_read(stream, bytes, sizeof bytes)) > 0) {
        int rc = bide_write(stream, bytes, (size_t)n);
        if (rc < 0)
            return rc;
    }
    counter++;
    bide_close(stream);
    return (int)n;
}

static int adopts(void *data)
{
    bide_stream *stream;
    CHECK_INT(bide_stream_adopt(*(int *)data, NULL, &stream), 0);
    bide_detach(bide_spawn(echoes, stream));
    return 0;
}

/* The other end is read and written by the other loop, which waits for both. */
BIDE_TEST(streams_go_on)
{
    bide_loop *loop = loop_open();
    int fds[2];
    char bytes[64 * KIB];
    memset(bytes, 'x', sizeof bytes);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(bide_loop_call_soon(loop, adopts, &fds[0], NULL, NULL), 0);
    size_t n_sent = 0;
    size_t n_back = 0;
    while (n_back < MIB) {
        double seconds;
        struct pollfd entries[2] = {
            {.fd = bide_loop_fd(loop, &seconds), .events = POLLIN},
            {.fd = fds[1], .events = (short)(POLLIN | (n_sent < MIB ? POLLOUT : 0))}};
        CHECK(poll(entries, 2, seconds == 0 ? 0 : LONG_MS) > 0 || seconds == 0);
        if (entries[0].revents || seconds == 0)
            turn(loop);
        ssize_t n = n_sent < MIB ? send(fds[1], bytes, sizeof bytes, MSG_NOSIGNAL) : 0;
        n_sent += n > 0 ? (size_t)n : 0;
        n = recv(fds[1], bytes, sizeof bytes, 0);
        n_back += n > 0 ? (size_t)n : 0;
    }
    close(fds[1]);
    drive(loop, &counter, 1);
    check_quiet(loop);
    CHECK_INT(bide_loop_close(loop), 0);
}

static int takes(void *data)
{
    eventfd_t value;
    CHECK_INT(eventfd_read(*(int *)data, &value), 0);
    counter++;
    return 0;
}

BIDE_TEST(watchers_are_called)
{
    bide_loop *loop = loop_open();
    for (int round = 1; round <= 3; round++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK_INT(bide_loop_add_reader(loop, fd, takes, &fd, NULL), 0);
        check_quiet(loop);
        CHECK_INT(eventfd_write(fd, 1), 0);
        CHECK(wait_outside(loop));
        CHECK(drive(loop, &counter, round) <= 3);
        check_quiet(loop);
        CHECK_INT(bide_loop_remove_reader(loop, fd), 1);
        close(fd);
    }
    CHECK_INT(bide_loop_close(loop), 0);
}

BIDE_TEST(signals_arrive)
{
    bide_loop *loop = loop_open();
    int n = 0;
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, count, &n, NULL), 0);
    check_quiet(loop);
    CHECK_INT(raise(SIGUSR1), 0); /* before the wait */
    CHECK(drive(loop, &n, 1) <= 3);
    double seconds;
    struct pollfd entry = {.fd = bide_loop_fd(loop, &seconds), .events = POLLIN};
    CHECK_INT(raise(SIGUSR1), 0); /* when it is being prepared */
    CHECK_INT(poll(&entry, 1, LONG_MS), 1);
    CHECK(drive(loop, &n, 2) <= 3);
    check_quiet(loop);
    CHECK_INT(bide_loop_close(loop), 0);
}

bide_async(asks_and_runs)
{
    struct bide_address addresses[4];
    CHECK(bide_resolve("localhost", 80, 0, addresses, 4) != 0);
    bide_process *process;
    CHECK_INT(bide_process_shell("exit 3", NULL, &process), 0);
    CHECK_INT(bide_process_wait(process, NULL), 0);
    CHECK_INT(bide_process_close(process), 0);
    counter++;
    return 0;
}

BIDE_TEST(lookups_and_children_end)
{
    bide_loop *loop = loop_open();
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}), asks_and_runs);
    CHECK(drive(loop, &counter, 1) < 100);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    check_quiet(loop);
    CHECK_INT(bide_loop_close(loop), 0);
}

enum { POSTS = 200 };

static void *posts(void *remote)
{
    for (int i = 0; i < POSTS; i++)
        CHECK_INT(bide_call_soon_threadsafe(remote, count, &counter, NULL), 0);
    bide_remote_unref(remote);
    return NULL;
}

BIDE_TEST(posts_from_other_threads_end_the_wait)
{
    bide_loop *loop = loop_open();
    pthread_t thread;
    bide_remote *remote = bide_loop_remote(loop);
    CHECK(remote);
    check_quiet(loop);
    CHECK_INT(pthread_create(&thread, NULL, posts, remote), 0);
    drive(loop, &counter, POSTS);
    CHECK_INT(pthread_join(thread, NULL), 0);
    check_quiet(loop);
    CHECK_INT(bide_loop_close(loop), 0);
}

/* The first call makes what is waited for: each step of that fails in turn. */
BIDE_TEST(a_descriptor_that_cannot_be_made_is_refused)
{
    unsigned long n = 1;
    for (;; n++) {
        bide_loop *loop = loop_open();
        double seconds = 5;
        int n_done = 0;
        fault_arm(FAULT_SYSTEM, n, EMFILE);
        int fd = bide_loop_fd(loop, &seconds);
        bool failed = fault_disarm();
        CHECK(fd == -EMFILE || fd >= 0);
        CHECK(fd >= 0 || seconds == 5);
        CHECK_INT(bide_loop_call_soon(loop, count, &n_done, NULL, NULL), 0);
        drive(loop, &n_done, 1); /* the next call makes up for it */
        check_quiet(loop);
        CHECK_INT(bide_loop_close(loop), 0);
        if (!failed)
            break;
    }
    CHECK(n >= 1);
}
