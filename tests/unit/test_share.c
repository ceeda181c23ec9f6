/*
 * Scenario: streams over descriptors that come from elsewhere, and that others use too: pipes,
 * terminals, sockets, regular files, devices.
 * Claim: they are streams like any other, in one direction; and nobody else who has the descriptor
 * notices anything, its flags least of all.
 */
#include "stream_rig.h"

#include <bide/pipe.h>

#include <pty.h>
#include <sys/stat.h>
#include <termios.h>

struct ends {
    bide_stream *read;
    bide_stream *write;
};

static struct ends ends_open(void)
{
    struct ends ends;
    CHECK_INT(bide_pipe(NULL, &ends.read, &ends.write), 0);
    return ends;
}

static void ends_close(struct ends *ends)
{
    CHECK_INT(bide_close(ends->write), 0);
    CHECK_INT(bide_close(ends->read), 0);
}

STREAM_TEST(cancelled_readers_and_writers_lose_nothing)
{
    struct ends ends = ends_open();
    char bytes[16];
    bide_task *reader = waiting(bide_spawn(reads, ends.read, bytes, sizeof bytes));
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    size_t n = stuff(ends.write);
    bide_task *writer = waiting(bide_spawn(writes, ends.write, "never", 5));
    bide_cancel(writer);
    CHECK_INT(bide_await(writer), -ECANCELED);
    bide_task *closer = bide_spawn(closes, ends.write);
    for (size_t got = 0; got < n;) {
        static char chunk[64 * KIB];
        int rc = bide_read(ends.read, chunk, sizeof chunk);
        CHECK_RANGE(rc, 1, n - got);
        pattern_check(chunk, got, (size_t)rc);
        got += (size_t)rc;
    }
    CHECK_INT(bide_read(ends.read, bytes, 1), 0);
    CHECK_INT(bide_await(closer), 0);
    CHECK_INT(bide_close(ends.read), 0);
}

/* Adopting */

STREAM_TEST(ends_made_elsewhere_are_adopted)
{
    int fds[2];
    char bytes[4];
    struct ends ends;
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(bide_pipe_adopt_read(fds[1], NULL, &ends.read), -EBADF);
    CHECK_INT(bide_pipe_adopt_write(fds[0], NULL, &ends.write), -EBADF);
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(bide_pipe_adopt_read(fds[0], NULL, &ends.read), 0);
    CHECK_INT(bide_pipe_adopt_write(fds[1], NULL, &ends.write), 0);
    CHECK_INT(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    CHECK_INT(bide_write(ends.write, "abc", 3), 0);
    CHECK_INT(bide_read_exactly(ends.read, bytes, 3), 3);
    ends_close(&ends);
}

STREAM_TEST(what_is_no_pipe_is_not_adopted)
{
    bide_stream *stream;
    int fds[2];
    FILE *file = tmpfile();
    CHECK_INT(bide_pipe_adopt_read(fileno(file), NULL, &stream), -EPERM);
    fclose(file);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(bide_pipe_adopt_read(fds[0], NULL, &stream), -EINVAL);
    CHECK_INT(bide_pipe_adopt_write(fds[0], NULL, &stream), -EINVAL);
    close(fds[0]);
    close(fds[1]);
    CHECK_INT(bide_pipe_adopt_read(-1, NULL, &stream), -EBADF);
    CHECK_INT(bide_pipe_adopt_read(0, NULL, NULL), -EINVAL);
    CHECK_INT(bide_pipe(NULL, NULL, &stream), -EINVAL);
    CHECK_INT(bide_input(19999, NULL, &stream), -EBADF);
    CHECK_INT(bide_output(-1, NULL, &stream), -EBADF);
    CHECK_INT(bide_input(0, NULL, NULL), -EINVAL);
}

/* Sharing */

/* Puts `fd` in the place of a standard descriptor; returns what was there. */
static int replace(int standard, int fd)
{
    int before = fcntl(standard, F_DUPFD_CLOEXEC, 10);
    CHECK(before >= 0);
    CHECK_INT(dup2(fd, standard), standard);
    return before;
}

static void put_back(int standard, int before)
{
    CHECK_INT(dup2(before, standard), standard);
    close(before);
}

STREAM_TEST(standard_input_that_is_a_pipe_keeps_its_flags)
{
    int fds[2];
    char *line;
    bide_stream *in;
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    int before = replace(0, fds[0]);
    CHECK_INT(bide_stdin(NULL, &in), 0);
    bide_task *reader = waiting(bide_spawn(reads_line, in, &line));
    CHECK_INT(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(write(fds[1], "hello\n", 6), 6);
    CHECK_INT(bide_await(reader), 6);
    CHECK_STR(line, "hello");
    CHECK_INT(bide_write(in, "x", 1), -EBADF);
    close(fds[1]);
    CHECK_INT(bide_read_line(in, &line), 0);
    CHECK_INT(bide_close(in), 0);
    CHECK(fcntl(0, F_GETFD) >= 0); /* still there */
    put_back(0, before);
    close(fds[0]);
}

STREAM_TEST(standard_output_that_is_a_full_pipe_holds_back_the_writer_only)
{
    int fds[2];
    bide_stream *out;
    static char sent[200 * KIB], got[200 * KIB];
    pattern_fill(sent, 0, sizeof sent);
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    CHECK_INT(bide_output(fds[1], NULL, &out), 0);
    bide_task *writer = waiting(bide_spawn(writes, out, sent, sizeof sent));
    CHECK_INT(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for (size_t n = 0; n < sizeof got;) {
        ssize_t some = read(fds[0], got + n, sizeof got - n);
        CHECK(some > 0 || errno == EAGAIN);
        n += some > 0 ? (size_t)some : 0;
        turns(1);
    }
    pattern_check(got, 0, sizeof got);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(bide_close(out), 0);
    close(fds[0]);
    close(fds[1]);
}

STREAM_TEST(a_terminal_is_read_and_written_and_keeps_its_flags)
{
    int master, slave;
    struct termios raw;
    bide_stream *in, *out;
    char *line;
    CHECK_INT(openpty(&master, &slave, NULL, NULL, NULL), 0);
    CHECK_INT(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    CHECK_INT(tcsetattr(slave, TCSANOW, &raw), 0);
    CHECK_INT(bide_input(slave, NULL, &in), 0);
    CHECK_INT(bide_output(slave, NULL, &out), 0);
    bide_task *reader = waiting(bide_spawn(reads_line, in, &line));
    CHECK_INT(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(write(master, "typed\n", 6), 6);
    CHECK_INT(bide_await(reader), 6);
    CHECK_STR(line, "typed");
    CHECK_INT(bide_write(out, "shown", 5), 0);
    CHECK_INT(bide_drain(out), 0);
    char shown[8] = "";
    CHECK_INT(read(master, shown, sizeof shown), 5);
    CHECK_STR(shown, "shown");
    CHECK_INT(bide_close(in), 0);
    CHECK_INT(bide_close(out), 0);
    close(slave);
    close(master);
}

/* The master's device file makes another terminal when it is opened again: threads serve it. */
STREAM_TEST(a_terminal_that_cannot_be_opened_again_is_served_by_threads)
{
    int master, slave;
    struct termios raw;
    bide_stream *in, *out;
    char bytes[8] = "";
    CHECK_INT(openpty(&master, &slave, NULL, NULL, NULL), 0);
    CHECK_INT(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    CHECK_INT(tcsetattr(slave, TCSANOW, &raw), 0);
    CHECK_INT(bide_input(master, NULL, &in), 0);
    CHECK_INT(bide_output(master, NULL, &out), 0);
    bide_task *reader = waiting(bide_spawn(reads, in, bytes, sizeof bytes));
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    reader = waiting(bide_spawn(reads, in, bytes, sizeof bytes));
    CHECK_INT(write(slave, "out", 3), 3);
    CHECK_INT(bide_await(reader), 3);
    CHECK_STR(bytes, "out");
    CHECK_INT(bide_write(out, "in", 2), 0);
    CHECK_INT(bide_drain(out), 0);
    CHECK_INT(read(slave, bytes, sizeof bytes), 2);
    CHECK_INT(fcntl(master, F_GETFL) & O_NONBLOCK, 0);
    reader = waiting(
        bide_spawn(reads, in, bytes, sizeof bytes)); /* and the loop ends all the same */
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    CHECK_INT(bide_close(in), 0);
    CHECK_INT(bide_close(out), 0);
    close(slave);
    close(master);
}

STREAM_TEST(a_socket_is_shared_without_changing_it)
{
    int fds[2];
    bide_stream *in, *out;
    char byte;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(bide_input(fds[0], NULL, &in), 0);
    CHECK_INT(bide_output(fds[0], NULL, &out), 0);
    bide_task *reader = waiting(bide_spawn(reads, in, &byte, 1));
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK_INT(bide_await(reader), 1);
    static char bytes[MIB];
    bide_task *writer = waiting(bide_spawn(writes, out, bytes, sizeof bytes));
    peer_prepare(fds[1]);
    static char got[MIB];
    peer_recv_exactly(fds[1], got, sizeof got);
    CHECK_INT(bide_await(writer), 0);
    bide_abort(out); /* of the stream, not of the connection */
    CHECK_INT(bide_close(out), 0);
    CHECK_INT(bide_close(in), 0);
    CHECK_INT(write(fds[0], "y", 1), 1);
    peer_hears(fds[1], "y");
    close(fds[0]);
    close(fds[1]);
}

STREAM_TEST(standard_input_that_is_a_file_is_read_to_its_end)
{
    static char sent[200 * KIB], got[200 * KIB];
    bide_stream *in;
    FILE *file = tmpfile();
    CHECK(file);
    pattern_fill(sent, 0, sizeof sent);
    CHECK_INT(fwrite(sent, 1, sizeof sent, file), sizeof sent);
    rewind(file);
    int before = replace(0, fileno(file));
    CHECK_INT(bide_stdin(NULL, &in), 0);
    bide_task *reader = waiting(bide_spawn(reads, in, got, 1));
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    CHECK_INT(bide_read_exactly(in, got, sizeof got), sizeof got);
    pattern_check(got, 0, sizeof got);
    CHECK_INT(bide_read(in, got, 1), 0);
    CHECK_INT(bide_close(in), 0);
    put_back(0, before);
    fclose(file);
}

STREAM_TEST(output_to_a_file_goes_where_others_left_off)
{
    static char sent[200 * KIB], got[200 * KIB];
    bide_stream *out;
    FILE *file = tmpfile();
    CHECK(file);
    pattern_fill(sent, 0, sizeof sent);
    CHECK_INT(write(fileno(file), "head", 4), 4);
    int before = replace(2, fileno(file));
    CHECK_INT(bide_stderr(NULL, &out), 0);
    CHECK_INT(bide_write(out, "small", 5), 0);
    CHECK_INT(bide_write(out, sent, sizeof sent), 0);
    CHECK_INT(bide_write_eof(out), 0);
    CHECK_INT(bide_close(out), 0);
    put_back(2, before);
    CHECK_INT(write(fileno(file), "tail", 4), 4);
    CHECK_INT(pread(fileno(file), got, 9, 0), 9);
    CHECK_MEM(got, "headsmall", 9);
    CHECK_INT(pread(fileno(file), got, sizeof got, 9), sizeof got);
    pattern_check(got, 0, sizeof got);
    CHECK_INT(pread(fileno(file), got, 5, 9 + sizeof got), 4);
    fclose(file);
}

STREAM_TEST(a_cancelled_write_to_a_file_tells_how_far_it_came)
{
    static char sent[4 * MIB];
    bide_stream *out;
    FILE *file = tmpfile();
    CHECK_INT(bide_output(fileno(file), NULL, &out), 0);
    bide_task *writer = waiting(bide_spawn(writes, out, sent, sizeof sent));
    bide_cancel(writer);
    CHECK_INT(bide_await(writer), -ECANCELED);
    CHECK_INT(bide_write(out, "x", 1), -BIDE_ETORN);
    CHECK_INT(bide_close(out), -BIDE_ETORN);
    fclose(file);
}

STREAM_TEST(devices_without_readiness_are_streams_too)
{
    char bytes[16];
    bide_stream *stream;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_INT(bide_input(fd, NULL, &stream), 0);
    CHECK_INT(bide_read(stream, bytes, sizeof bytes), 0);
    CHECK_INT(bide_close(stream), 0);
    CHECK_INT(bide_output(fd, NULL, &stream), 0);
    CHECK_INT(bide_write(stream, "x", 1), 0);
    CHECK_INT(bide_close(stream), 0);
    close(fd);
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK_INT(bide_input(fd, NULL, &stream), -EBADF);
    CHECK_INT(bide_output(fd, NULL, &stream), 0);
    CHECK_INT(bide_write(stream, "x", 1), 0);
    CHECK_INT(bide_close(stream), -ENOSPC);
    close(fd);
    fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    CHECK_INT(bide_input(fd, NULL, &stream), 0);
    CHECK_INT(bide_read(stream, bytes, sizeof bytes), -EISDIR);
    CHECK_INT(bide_close(stream), 0);
    close(fd);
}

static bide_async(leaves_open, (int, fd), (bide_stream **, streams), (char *, to))
{
    CHECK_INT(bide_pipe(NULL, &streams[0], &streams[1]), 0);
    CHECK_INT(bide_input(fd, NULL, &streams[2]), 0);
    bide_detach(bide_spawn(reads, streams[0], to, 1));
    bide_detach(bide_spawn(reads, streams[2], to, 1));
    turns(3);
    return 0;
}

/* Streams that are left open are the loop's to end. */
BIDE_TEST(a_loop_closes_over_streams_that_wait)
{
    int n_fds = count_fds();
    int master, slave;
    bide_stream *streams[3];
    char byte;
    CHECK_INT(openpty(&master, &slave, NULL, NULL, NULL), 0);
    bide_loop *loop = rig_loop();
    bide_task *task = bide_spawn_with((&(struct bide_task_opts){.loop = loop}), leaves_open, master,
                                      streams, &byte);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    rig_close(loop);
    for (int i = 0; i < 3; i++)
        bide_close(streams[i]);
    close(master);
    close(slave);
    CHECK_INT(count_fds(), n_fds);
}
