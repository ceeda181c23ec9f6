/*
 * Scenario: streams are closed and aborted with output that is not gone and input that nobody read,
 * by tasks that wait, are cancelled, or are none; peers read on, leave, or do nothing.
 * Claim: what stream.h says of ending: what was written arrives unless its time is up, what nobody
 * read destroys none of it, and in the end the descriptor is closed and everybody's call has
 * returned.
 */
#include "io/stream/stream.h"
#include "stream_rig.h"

#include <pthread.h>

enum { LARGE = 300 * KIB };

static char large[LARGE];

static int tcp_state(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_state;
}

static void until_state(int fd, int state)
{
    while (tcp_state(fd) != state)
        turns(1);
}

static void until_fds(int n)
{
    while (count_fds() > n)
        turns(1);
    CHECK_INT(count_fds(), n);
}

/* Reads until the connection ends: 0, or the error that it ended with. */
static int drain_peer(int fd)
{
    static char bytes[64 * KIB];
    ssize_t n;
    do
        n = peer_recv(fd, bytes, sizeof bytes);
    while (n > 0);
    return (int)n;
}

STREAM_TEST(a_close_flushes_and_waits_for_that)
{
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    settle();
    CHECK_INT(bide_task_state(closer), BIDE_TASK_WAITING);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(closer), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(what_this_turn_wrote_is_flushed_too)
{
    struct pair pair = pair_open();
    CHECK_INT(bide_write(pair.stream, "last ", 5), 0);
    CHECK_INT(bide_write(pair.stream, "words", 5), 0);
    CHECK_INT(bide_close(pair.stream), 0);
    peer_hears(pair.peer, "last words");
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(nothing_to_close_is_no_error)
{
    CHECK_INT(bide_close(NULL), 0);
    bide_abort(NULL);
}

STREAM_TEST(a_cancelled_close_flushes_in_the_background)
{
    int n_fds = count_fds();
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    CHECK_INT(bide_cancel(closer), 1);
    CHECK_INT(bide_await(closer), -ECANCELED);
    CHECK_INT(count_fds(), n_fds + 2);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    close(pair.peer);
    until_fds(n_fds);
}

static bide_async(closes_after_cancel, (bide_stream *, stream))
{
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    return bide_close(stream);
}

STREAM_TEST(a_cancelled_task_closes_without_waiting)
{
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    CHECK_INT(bide_await(bide_spawn(closes_after_cancel, pair.stream)), -ECANCELED);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    close(pair.peer);

    pair = pair_open();
    CHECK_INT(bide_offer(pair.stream, "fits", 4), 0);
    CHECK_INT(bide_await(bide_spawn(closes_after_cancel, pair.stream)), 0);
    peer_hears(pair.peer, "fits");
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_limit_around_a_close_is_a_limit)
{
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

static int closes_in_callback(void *stream)
{
    CHECK_INT(bide_close(stream), 0);
    return 0;
}

STREAM_TEST(outside_tasks_a_close_does_not_wait)
{
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    bide_loop *loop = bide_loop_current();
    CHECK_INT(bide_loop_call_soon(loop, closes_in_callback, pair.stream, NULL, NULL), 0);
    turns(2);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

/* What the hooks of a wait count, and how many waits there had been when `data` was dropped. */
struct hooked {
    int n_before;
    int n_after;
    int n_when_dropped;
};

static void before_wait(void *data)
{
    struct hooked *hooked = data;
    CHECK_INT(hooked->n_before++, hooked->n_after);
}

static void after_wait(void *data)
{
    struct hooked *hooked = data;
    CHECK_INT(hooked->n_before, ++hooked->n_after);
}

static void note_waits(void *data)
{
    struct hooked *hooked = data;
    hooked->n_when_dropped = hooked->n_before;
}

static int never(void *data)
{
    (void)data;
    FAIL("called");
}

static bide_async(leaves_a_full_stream, (struct pair *, ret_pair))
{
    *ret_pair = narrow_open();
    stuff(ret_pair->stream);
    return 0;
}

/* Handles are dropped right before the resources: from there on it is they that are waited for, and
 * then the engine's end. */
BIDE_TEST(hooks_surround_the_waits_of_a_closing_loop)
{
    struct hooked hooked = {0};
    struct pair pair;
    bide_loop *loop = rig_loop();
    bide_loop_set_wait_hooks(
        loop,
        &(struct bide_wait_hooks){.before = before_wait, .after = after_wait, .data = &hooked});
    CHECK_INT(bide_loop_call_later(loop, 1000, never, &hooked, note_waits, NULL), 0);
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}),
                                      leaves_a_full_stream, &pair);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    rig_close(loop);
    CHECK(hooked.n_when_dropped > 0);
    CHECK(hooked.n_before >= hooked.n_when_dropped + 2);
    CHECK_INT(hooked.n_after, hooked.n_before);
    bide_close(pair.stream); /* its memory; the loop broke the connection */
    close(pair.peer);
}

STREAM_TEST(the_background_has_a_limit)
{
    static const struct bide_stream_opts opts = {.linger_seconds = 0.05};
    int n_fds = count_fds();
    struct pair pair = narrow_open_with(&opts);
    stuff(pair.stream);
    double begin = bide_time();
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    until_fds(n_fds + 1);
    CHECK(bide_time() >= begin + 0.05);
    CHECK_INT(drain_peer(pair.peer), -ECONNRESET);
    close(pair.peer);
}

STREAM_TEST(a_close_that_waits_has_none)
{
    static const struct bide_stream_opts opts = {.linger_seconds = 0.001};
    struct pair pair = narrow_open_with(&opts);
    size_t n = stuff(pair.stream);
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    CHECK_INT(bide_sleep(0.02), 0);
    CHECK_INT(bide_task_state(closer), BIDE_TASK_WAITING);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(closer), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_close_tells_what_kept_the_output_from_going_out)
{
    int n_fds = count_fds();
    struct pair pair = narrow_open();
    stuff(pair.stream);
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    peer_reset(pair.peer);
    int rc = bide_await(closer);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(count_fds(), n_fds);

    pair = narrow_open();
    stuff(pair.stream);
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    peer_reset(pair.peer);
    until_fds(n_fds);
}

/* What the kernel has of our output would be lost to a reset: closing a socket with unread input
 * causes one. */
static void close_with_unread_input(bool is_buffered)
{
    int n_fds = count_fds();
    struct pair pair = pair_open();
    char *line;
    size_t n = 0;
    peer_say(pair.peer, "line\nand more that nobody wants");
    settle();
    if (is_buffered)
        CHECK_INT(bide_read_line(pair.stream, &line), 5);
    pattern_fill(large, 0, sizeof large);
    while (n + 20000 <= sizeof large) { /* the kernel takes it, but the peer's window does not */
        CHECK_INT(bide_write(pair.stream, large + n, 20000), 0);
        n += 20000;
    }
    CHECK_INT(bide_drain(pair.stream), 0);
    CHECK_INT(bide_close(pair.stream), 0);
    settle();
    peer_say(pair.peer, "still talking");
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    peer_say(pair.peer, "and talking");
    close(pair.peer);
    until_fds(n_fds);
}

STREAM_TEST(unread_input_destroys_no_output)
{
    close_with_unread_input(false);
}

STREAM_TEST(unread_input_in_the_stream_destroys_no_output)
{
    close_with_unread_input(true);
}

STREAM_TEST(a_peer_that_neither_reads_nor_ends_is_left_after_a_second)
{
    int n_fds = count_fds();
    struct pair pair = pair_open();
    peer_say(pair.peer, "unread");
    settle();
    CHECK_INT(bide_write(pair.stream, "bye", 3), 0);
    double begin = bide_time();
    CHECK_INT(bide_close(pair.stream), 0);
    until_fds(n_fds + 1);
    CHECK(bide_time() >= begin + 1);
    peer_hears(pair.peer, "bye");
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_peer_that_goes_on_sending_is_left_after_a_mebibyte)
{
    int n_fds = count_fds();
    struct pair pair = pair_open();
    peer_say(pair.peer, "unread");
    settle();
    CHECK_INT(bide_close(pair.stream), 0);
    size_t n_sent = 0;
    while (count_fds() > n_fds + 1) {
        ssize_t n = send(pair.peer, large, sizeof large, MSG_NOSIGNAL);
        n_sent += n > 0 ? (size_t)n : 0;
        turns(1);
    }
    CHECK_RANGE(n_sent, 64 * KIB, 64 * MIB);
    close(pair.peer);
}

STREAM_TEST(an_abort_resets_and_frees_nothing)
{
    int n_fds = count_fds();
    struct pair pair = narrow_open();
    char byte;
    stuff(pair.stream);
    CHECK_RANGE(bide_stream_fd(pair.stream), 0, n_fds + 10);
    bide_task *tasks[] = {
        waiting(bide_spawn(reads, pair.stream, &byte, 1)),
        waiting(bide_spawn(writes, pair.stream, "abc", 3)),
        waiting(bide_spawn(drains, pair.stream)),
        waiting(bide_spawn(ends_writing, pair.stream)),
    };
    bide_abort(pair.stream);
    bide_abort(pair.stream);
    for (int i = 0; i < 4; i++)
        CHECK_INT(bide_await(tasks[i]), -ECONNABORTED);
    CHECK_INT(bide_stream_fd(pair.stream), -1);
    CHECK_INT(count_fds(), n_fds + 1);
    CHECK_INT(drain_peer(pair.peer), -ECONNRESET);
    CHECK_INT(bide_read(pair.stream, &byte, 1), -ECONNABORTED);
    CHECK_INT(bide_write(pair.stream, "x", 1), -ECONNABORTED);
    CHECK_INT(bide_offer(pair.stream, "x", 1), -ECONNABORTED);
    CHECK_INT(bide_drain(pair.stream), -ECONNABORTED);
    CHECK_INT(bide_write_eof(pair.stream), -ECONNABORTED);
    bide_abort(pair.stream);
    CHECK_INT(bide_close(pair.stream), 0);
    close(pair.peer);
}

STREAM_TEST(an_abort_in_the_middle_of_a_large_write)
{
    int n_fds = count_fds();
    struct pair pair = narrow_open();
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, large, sizeof large));
    settle();
    bide_abort(pair.stream);
    CHECK_INT(bide_await(writer), -ECONNABORTED);
    CHECK_INT(count_fds(), n_fds + 1);
    CHECK_INT(drain_peer(pair.peer), -ECONNRESET);
    CHECK_INT(bide_close(pair.stream), 0);
    close(pair.peer);
}

STREAM_TEST(a_close_expels_others_and_flushes_what_they_had_written)
{
    struct pair pair = narrow_open();
    char byte;
    size_t n = stuff(pair.stream);
    bide_task *tasks[] = {
        waiting(bide_spawn(reads, pair.stream, &byte, 1)),
        waiting(bide_spawn(writes, pair.stream, "abc", 3)),
        waiting(bide_spawn(writes, pair.stream, large, sizeof large)),
        waiting(bide_spawn(drains, pair.stream)),
    };
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    for (int i = 0; i < 4; i++)
        CHECK_INT(bide_await(tasks[i]), -ECONNABORTED);
    CHECK_INT(bide_task_state(closer), BIDE_TASK_WAITING);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(closer), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

static bide_async(hears_to_the_end, (int, peer), (size_t, n))
{
    peer_hears_pattern(peer, 0, n);
    peer_hears_end(peer);
    return 0;
}

/* The turn to write was given to a task that has not run yet: it must not take the closer's place.
 */
STREAM_TEST(a_close_between_two_writers)
{
    struct pair pair = narrow_open();
    size_t n = stuff(pair.stream);
    bide_task *first = waiting(bide_spawn(writes, pair.stream, "abc", 3));
    bide_task *second = waiting(bide_spawn(writes, pair.stream, "def", 3));
    CHECK_INT(bide_cancel(first), 1);
    while (!bide_task_done(first))
        turns(1);
    CHECK_INT(bide_task_state(second), BIDE_TASK_SCHEDULED);
    bide_task *listener = bide_spawn(hears_to_the_end, pair.peer, n);
    CHECK_INT(bide_close(pair.stream), 0);
    CHECK_INT(bide_await(first), -ECANCELED);
    CHECK_INT(bide_await(second), -ECONNABORTED);
    CHECK_INT(bide_await(listener), 0);
    close(pair.peer);
}

STREAM_TEST(a_close_in_the_middle_of_anothers_large_write_ends_at_once)
{
    int n_fds = count_fds();
    for (int i = 0; i < 2; i++) {
        struct pair pair = narrow_open();
        bide_task *writer = waiting(bide_spawn(writes, pair.stream, large, sizeof large));
        settle();
        double begin = bide_time();
        int rc = i == 0 ? bide_close(pair.stream) : bide_within(0, bide_close(pair.stream));
        CHECK_INT(rc, i == 0 ? -BIDE_ETORN : -ETIMEDOUT);
        CHECK_INT(bide_await(writer), -ECONNABORTED);
        until_fds(n_fds + 1);
        CHECK(bide_time() < begin + 5);
        close(pair.peer);
    }
}

/* The kernel has all of it, and the writer does not know yet. */
STREAM_TEST(a_large_write_that_happened_has_happened)
{
    struct pair pair = narrow_open();
    pattern_fill(large, 0, sizeof large);
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, large, sizeof large));
    bide_task *listener = bide_spawn(hears_to_the_end, pair.peer, sizeof large);
    while (pair.stream->channel.send.state != BIDE_OP_IDLE)
        turns(1);
    CHECK(!bide_task_done(writer));
    CHECK_INT(bide_close(pair.stream), 0);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(bide_await(listener), 0);
    close(pair.peer);
}

STREAM_TEST(a_close_behind_our_end_waits_for_nobody)
{
    int n_fds = count_fds();
    struct pair pair = pair_open();
    CHECK_INT(bide_write_eof(pair.stream), 0);
    until_state(pair.peer, TCP_CLOSE_WAIT);
    CHECK_INT(bide_close(pair.stream), 0);
    CHECK_INT(count_fds(), n_fds + 1);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

/* Loops that end */

struct listener {
    pthread_t thread;
    int fd;
    size_t n_wanted;
    bool heard_all;
};

static void *listener_main(void *data)
{
    static char bytes[4096];
    struct listener *listener = data;
    size_t n_heard = 0;
    ssize_t n;
    while ((n = recv(listener->fd, bytes, sizeof bytes, 0)) > 0) {
        pattern_check(bytes, n_heard, (size_t)n);
        n_heard += (size_t)n;
    }
    listener->heard_all = n == 0 && n_heard == listener->n_wanted;
    return NULL;
}

/* The peer begins to read when the loop is closing. */
static bide_async(leaves_output_behind, (struct listener *, listener))
{
    struct pair pair = narrow_open();
    listener->n_wanted = stuff(pair.stream);
    listener->fd = pair.peer;
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    int flags = fcntl(pair.peer, F_GETFL);
    CHECK_INT(fcntl(pair.peer, F_SETFL, flags & ~O_NONBLOCK), 0);
    return -pthread_create(&listener->thread, NULL, listener_main, listener);
}

BIDE_TEST(a_loop_that_closes_waits_for_the_background)
{
    struct listener listener = {0};
    CHECK_INT(bide_run_with(NULL, leaves_output_behind, &listener), 0);
    CHECK_INT(pthread_join(listener.thread, NULL), 0);
    CHECK(listener.heard_all);
    close(listener.fd);
}

static bide_async(leaves_a_deaf_peer, (int *, ret_peer))
{
    struct pair pair = narrow_open();
    *ret_peer = pair.peer;
    stuff(pair.stream);
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    return 0;
}

BIDE_TEST(but_not_for_ever)
{
    static const struct bide_loop_opts opts = {.cleanup_seconds = 0.05};
    int peer;
    int n_fds = count_fds();
    CHECK_INT(bide_run_with(&opts, leaves_a_deaf_peer, &peer), 0);
    CHECK_INT(count_fds(), n_fds + 1);
    close(peer);
}
