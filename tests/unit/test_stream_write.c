/*
 * Scenario: tasks write to a stream whose other end reads at once, later, never, or is gone.
 * Claim: what stream.h says of the writing calls: bytes arrive once, whole and in the order of the
 * calls; what is buffered stays under the high-water mark; nobody waits for a peer that is gone.
 */
#include "stream_rig.h"

#include <limits.h>
#include <malloc.h>

enum { HIGH = 8 * KIB, LOW = 2 * KIB, LARGE = 300 * KIB };

static const struct bide_stream_opts marks = {.write_high_bytes = HIGH, .write_low_bytes = LOW};

static char large[LARGE];

/* How many segments with data went out. The kernel's structure goes on where the C library's ends.
 */
static unsigned segments_sent(bide_stream *stream)
{
    struct {
        struct tcp_info begin;
        uint64_t rates_and_bytes[4];
        uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    } info = {0};
    socklen_t length = sizeof info;
    CHECK_INT(getsockopt(bide_stream_fd(stream), IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    if (length == sizeof(int))
        SKIP("TCP_INFO is an int here (qemu-user knows no other options)");
    CHECK_INT(length, sizeof info);
    return info.data_segs_out;
}

static void peer_hears_only(int fd, const char *text)
{
    char byte;
    peer_hears(fd, text);
    CHECK_INT(recv(fd, &byte, 1, 0), -1);
    CHECK_INT(errno, EAGAIN);
}

/* SEMANTICS 37 */
STREAM_TEST(what_one_turn_writes_goes_out_together_at_its_end)
{
    struct pair pair = pair_open();
    char byte;
    for (int i = 0; i < 10; i++)
        CHECK_INT(bide_write(pair.stream, "0123456789" + i, 1), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 10);
    CHECK_INT(recv(pair.peer, &byte, 1, 0), -1);
    CHECK_INT(bide_sleep(1e-9), 0); /* the loop waits in the kernel */
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    peer_hears_only(pair.peer, "0123456789");
    CHECK_INT(segments_sent(pair.stream), 1);
    pair_close(&pair);
}

STREAM_TEST(pieces_are_written_as_one)
{
    static const char empty[1];
    struct pair pair = pair_open();
    struct iovec pieces[] = {
        {(char[]){"one"}, 3}, {NULL, 0}, {(char[]){" and "}, 5}, {(char *)empty, 0},
        {(char[]){"two"}, 3},
    };
    CHECK_INT(bide_writev(pair.stream, pieces, 5), 0);
    CHECK_INT(bide_writev(pair.stream, pieces, 0), 0);
    CHECK_INT(bide_writev(pair.stream, pieces + 1, 1), 0);
    CHECK_INT(bide_write(pair.stream, NULL, 0), 0);
    CHECK_INT(bide_write(pair.stream, ".", 1), 0);
    peer_hears_only(pair.peer, "one and two.");
    pair_close(&pair);
}

static bide_async(writes_pieces, (bide_stream *, stream), (const struct iovec *, pieces), (int, n))
{
    return bide_writev(stream, pieces, n);
}

/* More pieces than the kernel takes at once: buffered, and straight from our memory. */
STREAM_TEST(there_may_be_any_number_of_pieces)
{
    static struct iovec pieces[3 * IOV_MAX + 7];
    const int n = sizeof pieces / sizeof *pieces;
    pattern_fill(large, 0, sizeof large);
    for (size_t step = 1; step <= 50; step += 7) {
        struct pair pair = pair_open_with(&marks);
        size_t size = 0;
        for (int i = 0; i < n; i++) {
            size_t length = i % 5 == 0 ? 0 : step;
            pieces[i] = (struct iovec){.iov_base = large + size, .iov_len = length};
            size += length;
        }
        bide_task *writer = bide_spawn(writes_pieces, pair.stream, pieces, n);
        peer_hears_pattern(pair.peer, 0, size);
        CHECK_INT(bide_await(writer), 0);
        pair_close(&pair);
    }
}

STREAM_TEST(a_large_write_goes_out_of_our_own_memory)
{
    struct pair pair = narrow_open_with(&marks);
    pattern_fill(large, 0, sizeof large);
    CHECK_INT(bide_write(pair.stream, large, 100), 0);
    size_t used = mallinfo2().uordblks;
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, large + 100, sizeof large - 100));
    settle();
    CHECK_RANGE(mallinfo2().uordblks, 0, used + HIGH);
    CHECK_RANGE(bide_stream_pending(pair.stream), sizeof large / 2, sizeof large);
    CHECK_INT(bide_offer(pair.stream, "x", 1), -EAGAIN);
    peer_hears_pattern(pair.peer, 0, sizeof large);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    pair_close(&pair);
}

/* SEMANTICS 38 */
STREAM_TEST(above_the_high_mark_a_write_waits_until_the_low_one)
{
    static char got[1024];
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    size_t n_read = 0;
    size_t before = bide_stream_pending(pair.stream);
    CHECK_RANGE(before, LOW + 1, HIGH);
    CHECK_INT(bide_offer(pair.stream, large, HIGH - before + 1), -EAGAIN);
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, "after it", 8));
    while (!bide_task_done(writer)) {
        ssize_t size = recv(pair.peer, got, sizeof got, 0);
        if (size > 0) {
            pattern_check(got, n_read, (size_t)size);
            n_read += (size_t)size;
        }
        settle();
    }
    CHECK_RANGE(bide_stream_pending(pair.stream), 0, LOW + 8);
    CHECK_INT(bide_await(writer), 0);
    peer_hears_pattern(pair.peer, n_read, n - n_read);
    peer_hears_only(pair.peer, "after it");
    pair_close(&pair);
}

static bide_async(writes_on, (bide_stream *, stream), (size_t, size))
{
    int rc;
    do
        rc = bide_write(stream, large, size);
    while (rc == 0);
    return rc;
}

STREAM_TEST(a_peer_that_does_not_read_costs_no_more_than_the_mark)
{
    enum { WRITERS = 50 };
    bide_task *tasks[WRITERS];
    struct pair pair = narrow_open_with(&marks);
    size_t used = 0;
    for (size_t i = 0; i < WRITERS; i++) {
        tasks[i] = bide_spawn(writes_on, pair.stream, i * 200);
        if (i == 0) /* of nothing: never waits */
            bide_cancel(tasks[0]);
    }
    for (int i = 0; i < 20; i++) {
        settle();
        CHECK_RANGE(bide_stream_pending(pair.stream), 0, HIGH);
        CHECK_INT(bide_offer(pair.stream, "x", 1), -EAGAIN);
        if (i == 0)
            used = mallinfo2().uordblks;
        CHECK_RANGE(mallinfo2().uordblks, 0, used + HIGH);
    }
    CHECK_INT(bide_cancel_join(tasks, WRITERS), 0);
    pair_close(&pair);
}

STREAM_TEST(writers_take_turns_first_come_first_served)
{
    static const size_t sizes[] = {100, 9000, 1, 5000, HIGH, HIGH + 1, 20000, 3, 4000, 4000};
    enum { WRITERS = sizeof sizes / sizeof *sizes };
    static char texts[WRITERS][20000];
    static char got[20000];
    bide_task *tasks[WRITERS];
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    for (size_t i = 0; i < WRITERS; i++) {
        memset(texts[i], 'a' + (int)i, sizes[i]);
        tasks[i] = bide_spawn(writes, pair.stream, texts[i], sizes[i]);
    }
    settle();
    peer_hears_pattern(pair.peer, 0, n);
    for (size_t i = 0; i < WRITERS; i++) {
        peer_recv_exactly(pair.peer, got, sizes[i]);
        CHECK_MEM(got, texts[i], sizes[i]);
    }
    CHECK_INT(bide_gather(tasks, WRITERS, NULL), 0);
    pair_close(&pair);
}

STREAM_TEST(nobody_overtakes_a_writer_that_waits)
{
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    char byte;
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, large, LOW));
    while (!bide_task_done(writer)) {
        if (bide_stream_pending(pair.stream) > 0) /* once the writer was let in, there is room */
            CHECK(bide_offer(pair.stream, "x", 1) == -EAGAIN || bide_task_done(writer));
        CHECK_INT(peer_recv(pair.peer, &byte, 1), 1);
        n--;
    }
    CHECK_INT(bide_await(writer), 0);
    pair_close(&pair);
}

STREAM_TEST(cancelled_writers_write_nothing_and_pass_the_turn_on)
{
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    bide_task *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = waiting(bide_spawn(writes, pair.stream, "abcde" + i, 1));
    CHECK_INT(bide_cancel(tasks[0]), 1); /* has the turn */
    CHECK_INT(bide_cancel(tasks[2]), 1); /* waits for it */
    CHECK_INT(bide_await(tasks[0]), -ECANCELED);
    CHECK_INT(bide_await(tasks[2]), -ECANCELED);
    CHECK_INT(bide_task_state(tasks[1]), BIDE_TASK_WAITING);
    CHECK_INT(bide_cancel(tasks[1]), 1); /* and now it has it */
    until_scheduled(tasks[1]);
    turns(1);
    CHECK_INT(bide_cancel(tasks[3]), 1); /* was just given it */
    CHECK_INT(bide_await(tasks[1]), -ECANCELED);
    CHECK_INT(bide_await(tasks[3]), -ECANCELED);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(tasks[4]), 0);
    CHECK_INT(bide_write(pair.stream, "!", 1), 0);
    peer_hears_only(pair.peer, "e!");
    pair_close(&pair);
}

STREAM_TEST(an_offer_is_taken_whole_or_not_at_all)
{
    struct pair pair = narrow_open_with(&marks);
    CHECK_INT(bide_offer(pair.stream, large, HIGH + 1), -EAGAIN);
    CHECK_INT(bide_offer(pair.stream, NULL, 0), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    size_t n = stuff(pair.stream);
    pattern_fill(large, 0, sizeof large);
    size_t n_taken = 0;
    for (size_t size = 511; size > 0; size--) {
        size_t pending = bide_stream_pending(pair.stream);
        int rc = bide_offer(pair.stream, large + n + n_taken, size);
        size_t taken = rc == 0 ? size : 0;
        CHECK_INT(rc, rc == 0 ? 0 : -EAGAIN);
        CHECK_INT(bide_stream_pending(pair.stream), pending + taken);
        n_taken += taken;
    }
    peer_hears_pattern(pair.peer, 0, n + n_taken);
    CHECK_INT(bide_offer(pair.stream, "!", 1), 0);
    peer_hears_only(pair.peer, "!");
    pair_close(&pair);
}

/* There is room, only nobody looked: an offer does. */
STREAM_TEST(an_offer_that_finds_no_room_asks_the_kernel)
{
    struct pair pair = pair_open_with(&marks);
    pattern_fill(large, 0, sizeof large);
    for (size_t n = 0; n < 10 * HIGH; n += 1000)
        CHECK_INT(bide_offer(pair.stream, large + n, 1000), 0);
    peer_hears_pattern(pair.peer, 0, 10 * HIGH + 80);
    pair_close(&pair);
}

static int offers(void *data)
{
    return bide_offer(data, "from a callback", 15);
}

STREAM_TEST(an_offer_needs_no_task)
{
    struct pair pair = pair_open();
    CHECK_INT(bide_loop_call_soon(bide_loop_current(), offers, pair.stream, NULL, NULL), 0);
    peer_hears(pair.peer, "from a callback");
    pair_close(&pair);
}

/* In the middle of a large write. */
static bide_task *half_written(bide_stream *stream)
{
    bide_task *writer = waiting(bide_spawn(writes, stream, large, sizeof large));
    settle();
    CHECK_RANGE(bide_stream_pending(stream), 1, sizeof large);
    return writer;
}

STREAM_TEST(a_large_write_cancelled_midway_tears_the_stream)
{
    struct pair pair = narrow_open_with(&marks);
    char byte;
    bide_task *writer = half_written(pair.stream);
    bide_task *next = waiting(bide_spawn(writes, pair.stream, "x", 1));
    bide_task *reader = waiting(bide_spawn(reads, pair.stream, &byte, 1));
    bide_task *drainer = waiting(bide_spawn(drains, pair.stream));
    CHECK_INT(bide_cancel(writer), 1);
    CHECK_INT(bide_await(writer), -ECANCELED);
    CHECK_INT(bide_await(next), -BIDE_ETORN);
    CHECK_INT(bide_await(drainer), -BIDE_ETORN);
    CHECK_INT(bide_await(reader), -BIDE_ETORN);
    CHECK_INT(bide_offer(pair.stream, "x", 1), -BIDE_ETORN);
    CHECK_INT(bide_read(pair.stream, &byte, 1), -BIDE_ETORN);
    CHECK_INT(bide_close(pair.stream), -BIDE_ETORN);
    close(pair.peer);
}

STREAM_TEST(a_torn_stream_may_be_aborted)
{
    struct pair pair = narrow_open_with(&marks);
    bide_task *writer = half_written(pair.stream);
    CHECK_INT(bide_cancel(writer), 1);
    CHECK_INT(bide_await(writer), -ECANCELED);
    bide_abort(pair.stream);
    CHECK_INT(bide_write(pair.stream, "x", 1), -ECONNABORTED);
    CHECK_INT(bide_close(pair.stream), 0);
    ssize_t n;
    while ((n = peer_recv(pair.peer, large, sizeof large)) > 0)
        ;
    CHECK_INT(n, -ECONNRESET);
    close(pair.peer);
}

STREAM_TEST(a_large_write_with_too_many_pieces_tears_as_well)
{
    static struct iovec pieces[2 * IOV_MAX];
    struct pair pair = narrow_open_with(&marks);
    for (int i = 0; i < 2 * IOV_MAX; i++)
        pieces[i] = (struct iovec){large + (size_t)i * 100, 100};
    bide_task *writer = waiting(bide_spawn(writes_pieces, pair.stream, pieces, 2 * IOV_MAX));
    settle();
    CHECK_INT(bide_cancel(writer), 1);
    CHECK_INT(bide_await(writer), -ECANCELED);
    CHECK_INT(bide_write(pair.stream, "x", 1), -BIDE_ETORN);
    pair_close(&pair);
}

static bide_async(writes_after_cancel, (bide_stream *, stream), (size_t, size))
{
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    CHECK_INT(bide_write(stream, large, size), -ECANCELED);
    CHECK_INT(bide_drain(stream), -ECANCELED);
    CHECK_INT(bide_write_eof(stream), -ECANCELED);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
    return bide_write(stream, "ok", 2);
}

STREAM_TEST(a_cancelled_task_does_not_begin_to_write)
{
    struct pair pair = pair_open();
    CHECK_INT(bide_await(bide_spawn(writes_after_cancel, pair.stream, 10)), 2 - 2);
    CHECK_INT(bide_await(bide_spawn(writes_after_cancel, pair.stream, sizeof large)), 0);
    peer_hears_only(pair.peer, "okok");
    pair_close(&pair);
}

/* SEMANTICS 38 */
STREAM_TEST(writing_to_a_peer_that_reset_ends_with_an_error)
{
    struct pair pair = narrow_open_with(&marks);
    stuff(pair.stream);
    bide_task *tasks[] = {
        waiting(bide_spawn(writes, pair.stream, large, 1000)),
        waiting(bide_spawn(writes, pair.stream, large, sizeof large)),
        waiting(bide_spawn(drains, pair.stream)),
        waiting(bide_spawn(ends_writing, pair.stream)),
    };
    peer_reset(pair.peer);
    pair.peer = -1;
    for (int i = 0; i < 4; i++) {
        int rc = bide_await(tasks[i]);
        CHECK(rc == -ECONNRESET || rc == -EPIPE);
    }
    int rc = bide_write(pair.stream, "x", 1);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(bide_offer(pair.stream, "x", 1), rc);
    CHECK_INT(bide_drain(pair.stream), rc);
    CHECK_INT(bide_write_eof(pair.stream), rc);
    pair_close(&pair);
}

STREAM_TEST(a_large_write_to_a_peer_that_resets_ends_with_an_error)
{
    struct pair pair = narrow_open_with(&marks);
    bide_task *writer = half_written(pair.stream);
    peer_reset(pair.peer);
    pair.peer = -1;
    int rc = bide_await(writer);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(bide_write(pair.stream, "x", 1), rc);
    CHECK_INT(bide_close(pair.stream), rc);
}

STREAM_TEST(writing_to_a_peer_that_left_ends_with_an_error)
{
    struct pair pair = pair_open();
    close(pair.peer);
    pair.peer = -1;
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        CHECK(i < 10);
        rc = bide_write(pair.stream, "anybody?", 8);
        settle();
    }
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    pair_close(&pair);
}

STREAM_TEST(a_drain_waits_for_all_that_was_written)
{
    struct pair pair = narrow_open_with(&marks);
    CHECK_INT(bide_drain(pair.stream), 0);
    CHECK_INT(bide_write(pair.stream, "!", 1), 0);
    CHECK_INT(bide_drain(pair.stream), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    peer_hears_only(pair.peer, "!");
    size_t n = stuff(pair.stream);
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, "abc", 3));
    bide_task *drainer = waiting(bide_spawn(drains, pair.stream));
    bide_task *cancelled = waiting(bide_spawn(drains, pair.stream));
    CHECK_INT(bide_cancel(cancelled), 1);
    CHECK_INT(bide_await(cancelled), -ECANCELED);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(drainer), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    CHECK_INT(bide_await(writer), 0);
    peer_hears_only(pair.peer, "abc");
    pair_close(&pair);
}

STREAM_TEST(our_end_comes_behind_all_that_was_written)
{
    struct pair pair = narrow_open_with(&marks);
    char got[8];
    size_t n = stuff(pair.stream);
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, "abc", 3));
    bide_task *ender = waiting(bide_spawn(ends_writing, pair.stream));
    bide_task *second = waiting(bide_spawn(ends_writing, pair.stream));
    bide_task *late = waiting(bide_spawn(writes, pair.stream, "late", 4));
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears(pair.peer, "abc");
    peer_hears_end(pair.peer);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(bide_await(ender), 0);
    CHECK_INT(bide_await(second), -EALREADY);
    CHECK_INT(bide_await(late), -EPIPE);
    CHECK_INT(bide_write(pair.stream, "x", 1), -EPIPE);
    CHECK_INT(bide_offer(pair.stream, "x", 1), -EPIPE);
    CHECK_INT(bide_write_eof(pair.stream), -EALREADY);
    CHECK_INT(bide_drain(pair.stream), 0); /* all is gone */
    peer_say(pair.peer, "well");
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 4);
    CHECK_INT(bide_close(pair.stream), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_cancelled_end_comes_all_the_same)
{
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    bide_task *ender = waiting(bide_spawn(ends_writing, pair.stream));
    CHECK_INT(bide_cancel(ender), 1);
    CHECK_INT(bide_await(ender), -ECANCELED);
    CHECK_INT(bide_write_eof(pair.stream), -EALREADY);
    bide_task *drainer = waiting(bide_spawn(drains, pair.stream));
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears_end(pair.peer);
    CHECK_INT(bide_await(drainer), 0);
    CHECK_INT(bide_write_eof(pair.stream), -EALREADY);
    pair_close(&pair);
}

/* It never got its turn: nothing happened. */
STREAM_TEST(an_end_cancelled_behind_other_writers_does_not_come)
{
    struct pair pair = narrow_open_with(&marks);
    size_t n = stuff(pair.stream);
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, "abc", 3));
    bide_task *ender = waiting(bide_spawn(ends_writing, pair.stream));
    CHECK_INT(bide_cancel(ender), 1);
    CHECK_INT(bide_await(ender), -ECANCELED);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(bide_write(pair.stream, "def", 3), 0);
    peer_hears_only(pair.peer, "abcdef");
    pair_close(&pair);
}

STREAM_TEST(pending_is_what_the_kernel_has_not_taken)
{
    struct pair pair = narrow_open_with(&marks);
    int queued;
    CHECK_INT(bide_stream_pending(pair.stream), 0);
    CHECK_INT(bide_write(pair.stream, large, 100), 0);
    CHECK_INT(bide_stream_pending(pair.stream), 100);
    size_t n = stuff(pair.stream) + 100;
    int unread;
    CHECK_INT(ioctl(bide_stream_fd(pair.stream), TIOCOUTQ, &queued), 0);
    CHECK_INT(ioctl(pair.peer, FIONREAD, &unread), 0);
    /* The kernel may tell only at the end what it took of a long send. */
    CHECK_RANGE(bide_stream_pending(pair.stream), n - (size_t)queued - (size_t)unread, HIGH);
    pair_close(&pair);
    CHECK_INT(bide_stream_pending(NULL), 0);
}

STREAM_TEST(a_writer_that_never_waits_lets_others_run)
{
    struct pair pair = pair_open();
    bide_task *other = bide_spawn(returns_after, 3, 7);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    CHECK(bide_task_done(other));
    CHECK_INT(bide_await(other), 7);
    pair_close(&pair);
}

STREAM_TEST(senseless_arguments_are_refused)
{
    struct pair pair = pair_open();
    struct iovec pieces[] = {{large, SIZE_MAX}, {large, 2}, {NULL, 1}};
    CHECK_INT(bide_write(NULL, "x", 1), -EINVAL);
    CHECK_INT(bide_write(pair.stream, NULL, 1), -EINVAL);
    CHECK_INT(bide_writev(pair.stream, NULL, 1), -EINVAL);
    CHECK_INT(bide_writev(pair.stream, pieces, -1), -EINVAL);
    CHECK_INT(bide_writev(pair.stream, pieces, 2), -EINVAL);
    CHECK_INT(bide_writev(pair.stream, pieces + 2, 1), -EINVAL);
    CHECK_INT(bide_offer(NULL, "x", 1), -EINVAL);
    CHECK_INT(bide_offer(pair.stream, NULL, 1), -EINVAL);
    CHECK_INT(bide_drain(NULL), -EINVAL);
    CHECK_INT(bide_write_eof(NULL), -EINVAL);
    CHECK_INT(bide_write(pair.stream, "fine", 4), 0);
    peer_hears_only(pair.peer, "fine");
    pair_close(&pair);
}
