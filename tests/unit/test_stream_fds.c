/*
 * Scenario: descriptors are sent over Unix streams between bytes, with and without room, and are
 * taken, not taken, or taken the wrong way; calls are cancelled, and streams closed in the middle.
 * Claim: they come with the first byte that they were sent with, in order; those that nobody takes
 * are closed; a cancelled call has sent nothing.
 */
#include <bide/descriptors.h>

#include "stream_rig.h"

struct streams {
    bide_stream *from, *to;
};

static struct streams streams_open(void)
{
    struct streams streams;
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide_stream_adopt(fds[0], NULL, &streams.from), 0);
    CHECK_INT(bide_stream_adopt(fds[1], NULL, &streams.to), 0);
    return streams;
}

static void streams_close(struct streams *streams)
{
    CHECK_INT(bide_close(streams->from), 0);
    CHECK_INT(bide_close(streams->to), 0);
}

static bide_async(sends_fds, (bide_stream *, stream), (const void *, data), (size_t, size),
                  (const int *, fds), (size_t, n))
{
    return bide_stream_send_fds(stream, data, size, fds, n);
}

static bide_async(receives_fds, (bide_stream *, stream), (void *, buffer), (size_t, size),
                  (struct bide_fds *, fds))
{
    return bide_stream_receive_fds(stream, buffer, size, fds);
}

/* Both ends of a pipe; what comes back is the same pipe's. */
static void check_pipe(int read_fd, int write_fd)
{
    char byte = 0;
    CHECK_INT(write(write_fd, "!", 1), 1);
    CHECK_INT(read(read_fd, &byte, 1), 1);
    CHECK_INT(byte, '!');
}

STREAM_TEST(descriptors_come_with_their_bytes)
{
    int n_fds = count_fds();
    struct streams streams = streams_open();
    int ends[2], got[4];
    char bytes[16];
    struct bide_fds fds = {.fds = got, .size = 4};
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(bide_write(streams.from, "before", 6), 0); /* still buffered */
    CHECK_INT(bide_stream_send_fds(streams.from, "one", 3, ends, 2), 0);
    CHECK_INT(bide_write(streams.from, "after", 5), 0);
    CHECK_INT(bide_drain(streams.from), 0);
    int n = bide_stream_receive_fds(streams.to, bytes, 6, &fds);
    CHECK_INT(n, 6);
    CHECK_INT(fds.n, 0);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 3);
    CHECK_INT(fds.n, 2);
    CHECK(!fds.lost);
    check_pipe(got[0], ends[1]);
    check_pipe(ends[0], got[1]);
    CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    close(got[0]);
    close(got[1]);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 5);
    CHECK_INT(fds.n, 0);
    bide_task *reader = waiting(
        bide_spawn(receives_fds, streams.to, bytes, sizeof bytes, &fds)); /* the reader first */
    fds.size = 1;
    int n_lost = !test_emulated();
    CHECK_INT(bide_stream_send_fds(streams.from, "two", 3, n_lost ? ends : ends + 1,
                                   (size_t)(1 + n_lost)),
              0);
    CHECK_INT(bide_await(reader), 3);
    CHECK_INT(fds.n, 1);
    CHECK_INT(fds.lost, n_lost);
    if (n_lost)
        check_pipe(got[0], ends[1]);
    close(got[0]);
    close(ends[0]);
    close(ends[1]);
    CHECK_INT(bide_write_eof(streams.from), 0);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 0);
    CHECK_INT(fds.n, 0);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 0);
    streams_close(&streams);
    CHECK_INT(count_fds(), n_fds);
}

STREAM_TEST(what_nobody_takes_is_closed)
{
    int n_fds = count_fds();
    struct streams streams = streams_open();
    int got[4];
    char bytes[16], *line;
    struct bide_fds fds = {.fds = got, .size = 4};
    CHECK_INT(bide_stream_send_fds(streams.from, "read", 4, (int[]){1, 2}, 2), 0);
    CHECK_INT(bide_read(streams.to, bytes, sizeof bytes), 4);
    CHECK_INT(bide_stream_send_fds(streams.from, "line\nahead", 10, (int[]){1, 2}, 2), 0);
    CHECK_INT(bide_read_line(streams.to, &line), 5);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 5);
    CHECK_INT(fds.n, 0); /* what was read ahead comes without */
    CHECK_INT(bide_stream_send_fds(streams.from, "none", 4, (int[]){1, 2}, 2), 0);
    struct bide_fds none = {0};
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &none), 4);
    CHECK_INT(none.n, 0);
    CHECK(none.lost);
    CHECK_INT(bide_stream_send_fds(streams.from, "left", 4, (int[]){1, 2}, 2), 0);
    CHECK_INT(count_fds(), n_fds + 2);
    bide_abort(streams.to);
    bide_abort(streams.from);
    streams_close(&streams);
    CHECK_INT(count_fds(), n_fds);
}

/* Fills the kernel, so that the next descriptors have to wait. Returns how much that took. */
static size_t fill(bide_stream *stream)
{
    static char data[1000];
    size_t n = 0;
    ssize_t sent;
    while ((sent = send(bide_stream_fd(stream), data, sizeof data, MSG_DONTWAIT)) > 0)
        n += (size_t)sent;
    return n;
}

static void skip(bide_stream *stream, size_t n)
{
    static char data[1000];
    while (n > 0) {
        int rc = bide_read(stream, data, n < sizeof data ? n : sizeof data);
        CHECK(rc > 0);
        n -= (size_t)rc;
    }
}

STREAM_TEST(senders_wait_for_room_and_are_cancelled)
{
    int n_fds = count_fds();
    struct streams streams = streams_open();
    int got[4];
    char bytes[16];
    struct bide_fds fds = {.fds = got, .size = 4};
    size_t n = fill(streams.from);
    bide_task *first = waiting(bide_spawn(sends_fds, streams.from, "first", 5, (int[]){1}, 1));
    bide_task *second = waiting(bide_spawn(sends_fds, streams.from, "second", 6, (int[]){1}, 1));
    bide_task *writer = waiting(bide_spawn(writes, streams.from, "third", 5));
    bide_cancel(first); /* waits for room */
    CHECK_INT(bide_await(first), -ECANCELED);
    bide_cancel(second); /* has the turn by now */
    CHECK_INT(bide_await(second), -ECANCELED);
    CHECK_INT(bide_await(writer), 0);
    skip(streams.to, n);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 5);
    CHECK(memcmp(bytes, "third", 5) == 0);
    CHECK_INT(fds.n, 0);
    n = fill(streams.from);
    first = waiting(bide_spawn(sends_fds, streams.from, "first", 5, (int[]){1}, 1));
    skip(streams.to, n);
    CHECK_INT(bide_await(first), 0);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 5);
    CHECK_INT(fds.n, 1);
    close(got[0]);
    streams_close(&streams);
    CHECK_INT(count_fds(), n_fds);
}

STREAM_TEST(who_drains_meanwhile_hears_of_the_end)
{
    struct streams streams = streams_open();
    int got[1];
    char bytes[16];
    struct bide_fds fds = {.fds = got, .size = 1};
    size_t n = fill(streams.from);
    bide_task *sender = waiting(bide_spawn(sends_fds, streams.from, "first", 5, (int[]){1}, 1));
    bide_task *drainer = waiting(bide_spawn(drains, streams.from));
    skip(streams.to, n);
    CHECK_INT(bide_await(sender), 0);
    CHECK_INT(bide_await(drainer), 0);
    CHECK_INT(bide_stream_receive_fds(streams.to, bytes, sizeof bytes, &fds), 5);
    CHECK_INT(fds.n, 1);
    close(got[0]);
    streams_close(&streams);
}

/* More than the kernel takes at once: the rest follows from the stream's buffer. */
STREAM_TEST(a_large_message_goes_out_whole)
{
    enum { SIZE = 2 * MIB };
    struct streams streams = streams_open();
    char *sent = malloc(SIZE), *heard = malloc(SIZE);
    CHECK(sent && heard);
    pattern_fill(sent, 0, SIZE);
    int got[4];
    struct bide_fds fds = {.fds = got, .size = 4};
    bide_task *sender = bide_spawn(sends_fds, streams.from, sent, SIZE, (int[]){1, 2}, 2);
    int n = bide_stream_receive_fds(streams.to, heard, SIZE, &fds);
    CHECK(n > 0);
    CHECK_INT(fds.n, 2);
    close(got[0]);
    close(got[1]);
    CHECK_INT(bide_read_exactly(streams.to, heard + n, (size_t)(SIZE - n)), SIZE - n);
    CHECK_INT(bide_await(sender), 0);
    pattern_check(heard, 0, SIZE);
    free(sent);
    free(heard);
    streams_close(&streams);
}

STREAM_TEST(the_end_ends_who_waits)
{
    for (int how = 0; how < 4; how++) {
        int n_fds = count_fds();
        struct streams streams = streams_open();
        char bytes[8];
        int got[1];
        struct bide_fds fds = {.fds = got, .size = 1};
        fill(streams.from);
        bide_task *reader = waiting(
            bide_spawn(receives_fds, streams.from, bytes, sizeof bytes, &fds));
        bide_task *first = waiting(bide_spawn(sends_fds, streams.from, "x", 1, (int[]){1}, 1));
        bide_task *second = waiting(bide_spawn(sends_fds, streams.from, "x", 1, (int[]){1}, 1));
        if (how == 0)
            bide_abort(streams.from);
        if (how == 1)
            bide_abort(streams.to);
        if (how == 2) {
            CHECK_INT(bide_close(streams.from), 0);
            streams.from = NULL;
        }
        if (how == 3) {
            bide_cancel(reader);
            bide_cancel(first);
            bide_cancel(second);
        }
        CHECK(bide_await(reader) < 0);
        CHECK(bide_await(first) < 0);
        CHECK(bide_await(second) < 0);
        bide_abort(streams.to);
        bide_close(streams.to);
        bide_close(streams.from);
        CHECK_INT(count_fds(), n_fds);
    }
}

STREAM_TEST(what_cannot_be_sent_is_refused)
{
    struct streams streams = streams_open();
    static const int many[BIDE_FDS_MAX + 1];
    char byte;
    struct bide_fds fds = {.size = 1};
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 1, (int[]){19999}, 1), -EBADF);
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 1, many, BIDE_FDS_MAX + 1), -EINVAL);
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 0, many, 1), -EINVAL);
    CHECK_INT(bide_stream_send_fds(streams.from, NULL, 1, many, 1), -EINVAL);
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 1, NULL, 1), -EINVAL);
    CHECK_INT(bide_stream_send_fds(NULL, "x", 1, many, 1), -EINVAL);
    CHECK_INT(bide_stream_receive_fds(streams.to, &byte, 1, &fds), -EINVAL);
    CHECK_INT(bide_stream_receive_fds(streams.to, &byte, 1, NULL), -EINVAL);
    fds.size = 0;
    CHECK_INT(bide_stream_receive_fds(NULL, &byte, 1, &fds), -EINVAL);
    CHECK_INT(bide_stream_receive_fds(streams.to, NULL, 1, &fds), -EINVAL);
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 1, NULL, 0), 0); /* the stream goes on */
    CHECK_INT(bide_stream_receive_fds(streams.to, &byte, 1, &fds), 1);
    CHECK_INT(bide_write_eof(streams.from), 0);
    CHECK_INT(bide_stream_send_fds(streams.from, "x", 1, NULL, 0), -EPIPE);
    streams_close(&streams);
}
