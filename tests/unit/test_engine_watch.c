/*
 * Scenario: users' descriptors are watched, changed, closed behind the engine's back, and their
 * numbers used again. Claim: watches are level-triggered, a closed watch is never called, and a
 * watch never hears of another file than the one that it was opened for.
 */
#include "engine_rig.h"

#include <stdio.h>
#include <time.h>

/* Everything that a callback of these tests does. */
struct observer {
    struct bide_engine *engine;
    struct bide_watch *watch;
    int n_calls;
    unsigned events;           /* of the last call */
    struct bide_watch **close; /* a watch to close from inside */
    int read_from;             /* a descriptor to read a byte from, or -1 */
};

static void observe(void *data, unsigned events)
{
    struct observer *observer = data;
    observer->n_calls++;
    observer->events = events;
    if (observer->close && *observer->close) {
        struct bide_watch *watch = *observer->close;
        *observer->close = NULL;
        observer->engine->ops->watch_close(watch);
    }
    char byte;
    if (observer->read_from >= 0)
        CHECK_INT(read(observer->read_from, &byte, 1), 1);
}

static void observer_open(struct observer *observer, struct bide_engine *engine, int fd,
                          unsigned events)
{
    *observer = (struct observer){.engine = engine, .read_from = -1};
    CHECK_INT(engine->ops->watch_open(engine, fd, events, observe, observer, &observer->watch), 0);
}

static void observer_close(struct observer *observer)
{
    observer->engine->ops->watch_close(observer->watch);
}

static void open_pipe(int fds[2])
{
    CHECK_INT(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static void put(int fd)
{
    CHECK_INT(write(fd, "x", 1), 1);
}

static void take(int fd)
{
    char byte;
    CHECK_INT(read(fd, &byte, 1), 1);
}

BIDE_TEST(a_ready_descriptor_is_reported_until_it_is_served)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    rig_settle(engine);
    CHECK_INT(reader.n_calls, 0);
    put(fds[1]);
    for (int i = 1; i <= 5; i++) { /* the byte stays where it is */
        rig_turn_until(engine, &reader.n_calls, i);
        CHECK_INT(reader.events, BIDE_WATCH_READ);
    }
    take(fds[0]);
    rig_settle(engine);
    int n_calls = reader.n_calls;
    CHECK_RANGE(n_calls, 5, 6);
    rig_settle(engine);
    CHECK_INT(reader.n_calls, n_calls);
    put(fds[1]);
    rig_turn_until(engine, &reader.n_calls, n_calls + 1);
    observer_close(&reader);
    rig_settle(engine);
    CHECK_INT(reader.n_calls, n_calls + 1);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(a_watch_is_called_at_most_once_per_poll)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    put(fds[1]);
    struct observer both;
    observer_open(&both, engine, fds[0], BIDE_WATCH_READ | BIDE_WATCH_WRITE);
    while (both.n_calls < 5) {
        int n_before = both.n_calls;
        rig_turn(engine);
        CHECK_RANGE(both.n_calls, n_before, n_before + 1);
        if (both.n_calls > n_before)
            CHECK_INT(both.events, BIDE_WATCH_READ | BIDE_WATCH_WRITE);
    }
    observer_close(&both);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(what_a_watch_asks_for_can_change)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    put(fds[1]);
    struct observer observer;
    observer_open(&observer, engine, fds[0], 0);
    rig_settle(engine);
    CHECK_INT(observer.n_calls, 0);
    CHECK_INT(ops->watch_set(observer.watch, BIDE_WATCH_WRITE), 0);
    CHECK_INT(ops->watch_set(observer.watch, BIDE_WATCH_WRITE), 0);
    rig_turn_until(engine, &observer.n_calls, 1);
    CHECK_INT(observer.events, BIDE_WATCH_WRITE);
    CHECK_INT(ops->watch_set(observer.watch, BIDE_WATCH_READ), 0);
    rig_turn_until(engine, &observer.n_calls, 2);
    CHECK_INT(observer.events, BIDE_WATCH_READ);
    CHECK_INT(ops->watch_set(observer.watch, 0), 0);
    rig_settle(engine);
    CHECK_INT(observer.n_calls, 2);
    CHECK_INT(ops->watch_set(observer.watch, BIDE_WATCH_READ), 0);
    rig_turn_until(engine, &observer.n_calls, 3);
    observer_close(&observer);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(hang_ups_count_as_whatever_was_asked_for)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    close(fds[0]);
    struct observer writer;
    observer_open(&writer, engine, fds[1], BIDE_WATCH_WRITE);
    rig_turn_until(engine, &writer.n_calls, 1);
    CHECK_INT(writer.events, BIDE_WATCH_WRITE);
    observer_close(&writer);
    close(fds[1]);
    open_pipe(fds);
    close(fds[1]);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    rig_turn_until(engine, &reader.n_calls, 1);
    CHECK_INT(reader.events, BIDE_WATCH_READ);
    observer_close(&reader);
    close(fds[0]);
    rig_close(engine);
}

static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * SECOND_NS + used.tv_nsec;
}

/* A hang-up can not be left out of what epoll reports: a watch that wants nothing must not spin. */
BIDE_TEST(a_watch_for_nothing_lets_the_loop_sleep)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    close(fds[1]);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    rig_turn_until(engine, &reader.n_calls, 1);
    CHECK_INT(engine->ops->watch_set(reader.watch, 0), 0);
    int64_t cpu_before_ns = cpu_ns();
    int64_t deadline_ns = engine->ops->now_ns(engine) + SECOND_NS / 5;
    int n_turns = 0;
    while (engine->ops->now_ns(engine) < deadline_ns) {
        CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
        n_turns++;
    }
    CHECK_RANGE(n_turns, 1, 5);
    CHECK_RANGE(cpu_ns() - cpu_before_ns, 0, SECOND_NS / 10);
    CHECK_INT(reader.n_calls, 1);
    observer_close(&reader);
    close(fds[0]);
    rig_close(engine);
}

BIDE_TEST(what_cannot_be_watched_is_refused)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    struct observer first;
    int fds[2];
    open_pipe(fds);
    observer_open(&first, engine, fds[0], BIDE_WATCH_READ);
    struct bide_watch *watch = NULL;
    CHECK_INT(ops->watch_open(engine, fds[0], BIDE_WATCH_READ, observe, NULL, &watch), -EEXIST);
    CHECK_INT(ops->watch_set(first.watch, 0), 0);
    CHECK_INT(ops->watch_open(engine, fds[0], BIDE_WATCH_READ, observe, NULL, &watch), -EEXIST);
    FILE *file = tmpfile();
    CHECK(file);
    CHECK_INT(ops->watch_open(engine, fileno(file), BIDE_WATCH_READ, observe, NULL, &watch),
              -EPERM);
    CHECK_INT(ops->watch_open(engine, 19999, BIDE_WATCH_READ, observe, NULL, &watch), -EBADF);
    CHECK_INT(ops->watch_open(engine, -1, BIDE_WATCH_READ, observe, NULL, &watch), -EBADF);
    CHECK_PTR(watch, NULL);
    fclose(file);
    observer_close(&first);
    observer_open(&first, engine, fds[0], BIDE_WATCH_READ); /* free again */
    observer_close(&first);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(a_callback_may_close_its_own_watch)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    reader.close = &reader.watch;
    put(fds[1]);
    rig_turn_until(engine, &reader.n_calls, 1);
    rig_settle(engine);
    CHECK_INT(reader.n_calls, 1);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(a_callback_may_close_another_watch_that_is_ready_too)
{
    struct bide_engine *engine = rig_open();
    int fds[2][2];
    struct observer readers[2];
    for (int i = 0; i < 2; i++) {
        open_pipe(fds[i]);
        observer_open(&readers[i], engine, fds[i][0], BIDE_WATCH_READ);
    }
    for (int i = 0; i < 2; i++) {
        readers[i].close = &readers[1 - i].watch;
        put(fds[i][1]);
    }
    while (readers[0].n_calls + readers[1].n_calls < 5)
        rig_turn(engine);
    int closed = readers[0].n_calls == 0 ? 0 : 1;
    CHECK_INT(readers[closed].n_calls, 0);
    CHECK_PTR(readers[closed].watch, NULL);
    CHECK_INT(readers[1 - closed].n_calls, 5);
    observer_close(&readers[1 - closed]);
    for (int i = 0; i < 2; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    rig_close(engine);
}

/* Closes the watch of a number and opens one of the same number for another file, in a callback. */
struct swapper {
    struct bide_engine *engine;
    struct observer *victim;
    int victim_fd;
    int other_fd;
    struct observer successor;
    int n_calls;
};

static void swap(void *data, unsigned events)
{
    struct swapper *swapper = data;
    CHECK_INT(events, BIDE_WATCH_READ);
    if (swapper->n_calls++ > 0)
        return;
    swapper->engine->ops->watch_close(swapper->victim->watch);
    CHECK_INT(dup2(swapper->other_fd, swapper->victim_fd), swapper->victim_fd);
    observer_open(&swapper->successor, swapper->engine, swapper->victim_fd, BIDE_WATCH_READ);
}

BIDE_TEST(an_event_of_a_closed_watch_is_not_its_successors)
{
    struct bide_engine *engine = rig_open();
    int fds[3][2];
    for (int i = 0; i < 3; i++)
        open_pipe(fds[i]);
    struct observer victim;
    struct swapper swapper = {
        .engine = engine, .victim = &victim, .victim_fd = fds[1][0], .other_fd = fds[2][0]};
    struct bide_watch *watch;
    CHECK_INT(engine->ops->watch_open(engine, fds[0][0], BIDE_WATCH_READ, swap, &swapper, &watch),
              0);
    observer_open(&victim, engine, fds[1][0], BIDE_WATCH_READ);
    put(fds[0][1]); /* comes first in the batch */
    put(fds[1][1]);
    while (swapper.n_calls < 3)
        rig_turn(engine);
    CHECK_INT(swapper.successor.n_calls, 0);
    put(fds[2][1]);
    rig_turn_until(engine, &swapper.successor.n_calls, 1);
    engine->ops->watch_close(watch);
    observer_close(&swapper.successor);
    for (int i = 0; i < 3; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    rig_close(engine);
}

BIDE_TEST(a_watch_whose_number_was_closed_cannot_change)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    close(fds[0]);
    CHECK_INT(engine->ops->watch_set(reader.watch, BIDE_WATCH_WRITE), -EBADF);
    CHECK_INT(dup2(fds[1], fds[0]), fds[0]); /* the number is another file's */
    CHECK_INT(engine->ops->watch_set(reader.watch, BIDE_WATCH_WRITE), -EBADF);
    FILE *file = tmpfile();
    CHECK(file);
    CHECK_INT(dup2(fileno(file), fds[0]), fds[0]); /* of one that has no readiness */
    CHECK_INT(engine->ops->watch_set(reader.watch, BIDE_WATCH_WRITE), -EBADF);
    CHECK_INT(engine->ops->watch_set(reader.watch, BIDE_WATCH_READ), 0); /* no change */
    observer_close(&reader);
    fclose(file);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

BIDE_TEST(a_descriptor_may_be_closed_before_its_watch)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    put(fds[1]);
    rig_turn_until(engine, &reader.n_calls, 1);
    close(fds[0]);
    close(fds[1]);
    rig_settle(engine);
    int n_calls = reader.n_calls;
    CHECK_RANGE(n_calls, 1, 2);
    observer_close(&reader);
    rig_close(engine);
}

/* The number that the user closed becomes one of the engine's sockets: the late close spares it. */
BIDE_TEST(a_late_close_spares_the_socket_that_got_the_number)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    rig_settle(engine);
    close(fds[0]);
    int pair_fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_fds), 0);
    if (pair_fds[0] != fds[0]) {
        CHECK_INT(dup2(pair_fds[0], fds[0]), fds[0]);
        close(pair_fds[0]);
        pair_fds[0] = fds[0];
    }
    struct rig_pair pair = rig_adopt_pair(engine, pair_fds);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &wait.op), BIDE_PENDING);
    rig_settle(engine);
    observer_close(&reader);
    rig_settle(engine);
    CHECK_INT(wait.n_ends, 0);
    rig_write(pair.peer, "x", 1);
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    CHECK_INT(reader.n_calls, 0);
    rig_pair_close(&pair);
    close(fds[1]);
    rig_close(engine);
}

/* As an event loop that is built on us does: the new watch comes before the old one is closed. */
BIDE_TEST(a_number_that_was_closed_can_be_watched_again_for_its_new_file)
{
    struct bide_engine *engine = rig_open();
    int old[2];
    int new[2];
    open_pipe(old);
    struct observer before;
    observer_open(&before, engine, old[0], BIDE_WATCH_READ);
    open_pipe(new);
    CHECK_INT(dup2(new[0], old[0]), old[0]);
    struct observer after;
    observer_open(&after, engine, old[0], BIDE_WATCH_READ);
    CHECK_INT(engine->ops->watch_set(before.watch, BIDE_WATCH_WRITE), -EBADF);
    observer_close(&before);
    rig_settle(engine);
    CHECK_INT(after.n_calls, 0);
    put(new[1]);
    rig_turn_until(engine, &after.n_calls, 1);
    CHECK_INT(before.n_calls, 0);
    observer_close(&after);
    close(old[0]);
    close(old[1]);
    close(new[0]);
    close(new[1]);
    rig_close(engine);
}

/*
 * The number is closed, then the watch, but the file lives on in a duplicate, and is ready: no
 * number reaches its entry in the epoll set any more. The others' watches go on, and nothing spins.
 */
BIDE_TEST(a_file_that_outlives_its_number_does_not_make_the_loop_spin)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    int others[2];
    int gone[2];
    open_pipe(fds);
    open_pipe(others);
    open_pipe(gone);
    struct observer reader;
    struct observer other;
    struct observer dead;
    struct observer idle;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    observer_open(&other, engine, others[0], BIDE_WATCH_READ);
    observer_open(&dead, engine, gone[0], BIDE_WATCH_READ);
    observer_open(&idle, engine, others[1], 0);
    rig_settle(engine);
    int alive = dup(fds[0]);
    CHECK(alive >= 0);
    close(fds[0]);
    close(gone[0]);
    observer_close(&reader);
    put(fds[1]);

    int64_t cpu_before_ns = cpu_ns();
    int64_t deadline_ns = engine->ops->now_ns(engine) + SECOND_NS / 5;
    int n_turns = 0;
    while (engine->ops->now_ns(engine) < deadline_ns) {
        CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
        n_turns++;
    }
    CHECK_RANGE(n_turns, 1, 5);
    CHECK_RANGE(cpu_ns() - cpu_before_ns, 0, SECOND_NS / 10);
    CHECK_INT(reader.n_calls, 0);
    put(others[1]);
    rig_turn_until(engine, &other.n_calls, 1);
    CHECK_INT(engine->ops->watch_set(idle.watch, BIDE_WATCH_WRITE), 0);
    rig_turn_until(engine, &idle.n_calls, 1);
    CHECK_INT(dead.n_calls, 0);
    observer_close(&other);
    observer_close(&dead);
    observer_close(&idle);
    close(alive);
    close(fds[1]);
    close(gone[1]);
    close(others[0]);
    close(others[1]);
    rig_close(engine);
}

/* The same file under its old number again, after its watch was closed too late. */
BIDE_TEST(a_file_that_gets_its_number_back_can_be_watched_again)
{
    struct bide_engine *engine = rig_open();
    int fds[2];
    open_pipe(fds);
    struct observer reader;
    observer_open(&reader, engine, fds[0], BIDE_WATCH_READ);
    int alive = dup(fds[0]);
    CHECK(alive >= 0);
    close(fds[0]);
    observer_close(&reader);
    CHECK_INT(dup2(alive, fds[0]), fds[0]);
    struct observer again;
    observer_open(&again, engine, fds[0], BIDE_WATCH_READ);
    put(fds[1]);
    rig_turn_until(engine, &again.n_calls, 1);
    CHECK_INT(reader.n_calls, 0);
    observer_close(&again);
    close(alive);
    close(fds[0]);
    close(fds[1]);
    rig_close(engine);
}

/* More than one batch at once, all of them served by their callbacks. */
BIDE_TEST(many_watches_are_all_served)
{
    struct bide_engine *engine = rig_open();
    enum { N = 500, ROUNDS = 3 };
    static struct observer readers[N];
    static int fds[N][2];
    for (int i = 0; i < N; i++) {
        open_pipe(fds[i]);
        observer_open(&readers[i], engine, fds[i][0], BIDE_WATCH_READ);
        readers[i].read_from = fds[i][0];
    }
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            put(fds[i][1]);
        for (int i = 0; i < N; i++) {
            while (readers[i].n_calls < round)
                rig_turn(engine);
        }
    }
    rig_settle(engine);
    for (int i = 0; i < N; i++) {
        CHECK_INT(readers[i].n_calls, ROUNDS);
        observer_close(&readers[i]);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    rig_close(engine);
}
