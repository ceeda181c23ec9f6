/* Pipes and standard input and output as streams. */
#include "io/stream/stream.h"

#include <bide/pipe.h>

#include <assert.h>
#include <unistd.h>

/* How a descriptor becomes a socket of the engine's. */
typedef int opener(bide_loop *loop, int fd, enum bide_direction direction,
                   struct bide_sock **ret_sock);

static int adopt(bide_loop *loop, int fd, enum bide_direction direction,
                 struct bide_sock **ret_sock)
{
    return loop->engine->ops->sock_adopt(
        loop->engine, fd, direction == BIDE_INPUT ? BIDE_ADOPT_INPUT : BIDE_ADOPT_OUTPUT, ret_sock);
}

static int share(bide_loop *loop, int fd, enum bide_direction direction,
                 struct bide_sock **ret_sock)
{
    return loop->engine->ops->sock_share(loop->engine, fd, direction, ret_sock);
}

static int open_stream(int fd, opener *open_sock, enum bide_direction direction,
                       const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    struct bide_sock *sock;
    bide_stream *stream = NULL;
    bide_loop *loop = bide__loop_running;
    int rc = ret_stream ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = bide__stream_new_plain(loop, opts, direction, &stream);
    if (rc < 0)
        return rc;
    rc = open_sock(loop, fd, direction, &sock);
    if (rc < 0) {
        bide__stream_unref(stream);
        return rc;
    }
    bide__stream_take_sock(stream, sock);
    *ret_stream = stream;
    return 0;
}

int bide_pipe_adopt_read(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return open_stream(fd, adopt, BIDE_INPUT, opts, ret_stream);
}

int bide_pipe_adopt_write(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return open_stream(fd, adopt, BIDE_OUTPUT, opts, ret_stream);
}

int bide_input(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return open_stream(fd, share, BIDE_INPUT, opts, ret_stream);
}

int bide_output(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return open_stream(fd, share, BIDE_OUTPUT, opts, ret_stream);
}

int bide_stdin(const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return bide_input(STDIN_FILENO, opts, ret_stream);
}

int bide_stdout(const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return bide_output(STDOUT_FILENO, opts, ret_stream);
}

int bide_stderr(const struct bide_stream_opts *opts, bide_stream **ret_stream)
{
    return bide_output(STDERR_FILENO, opts, ret_stream);
}

int bide_pipe(const struct bide_stream_opts *opts, bide_stream **ret_read, bide_stream **ret_write)
{
    struct bide_sock *socks[2];
    bide_stream *read = NULL;
    bide_stream *write = NULL;
    bide_loop *loop = bide__loop_running;
    int rc = ret_read && ret_write ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = bide__stream_new_plain(loop, opts, BIDE_INPUT, &read);
    if (rc < 0)
        return rc;
    assert(read);
    rc = bide__stream_new_plain(loop, opts, BIDE_OUTPUT, &write);
    if (rc < 0) {
        bide__stream_unref(read);
        return rc;
    }
    rc = loop->engine->ops->pipe(loop->engine, &socks[0], &socks[1]);
    if (rc < 0) {
        bide__stream_unref(read);
        bide__stream_unref(write);
        return rc;
    }
    bide__stream_take_sock(read, socks[0]);
    bide__stream_take_sock(write, socks[1]);
    *ret_read = read;
    *ret_write = write;
    return 0;
}
