/*
 * Pipes, and the program's own standard input and output, as streams of one direction: reading from
 * one that is for writing, or the other way round, is -EBADF.
 */
#ifndef BIDE_PIPE_H
#define BIDE_PIPE_H

#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/*
 * Makes a pipe: what is written to the one stream is read from the other. bide_write_eof() closes
 * the writing end.
 *
 * opts: of both, borrowed until return; NULL for defaults. ret_read, ret_write: return owned, each
 * to be given back with bide_close(). Returns 0, -EMFILE, -ENOMEM, -EINVAL, -ESHUTDOWN.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_pipe(const struct bide_stream_opts *opts, bide_stream **ret_read,
                          bide_stream **ret_write);

/*
 * Makes a stream of the reading end of a pipe, or of a FIFO or device that is ready at times.
 *
 * fd: takes on success; made non-blocking (for whoever shares its open file as well) and
 * close-on-exec. For descriptors of which others have copies there is bide_input().
 * Returns 0, -EBADF (not open for reading), -EPERM (a regular file: it has no readiness), -EINVAL
 * (a socket: see bide_stream_adopt()), -ENOMEM, -ESHUTDOWN; -ENOSYS in simulation. Suspends: no.
 * Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_pipe_adopt_read(int fd, const struct bide_stream_opts *opts,
                                     bide_stream **ret_stream);

/*
 * The same of the writing end.
 *
 * Returns as bide_pipe_adopt_read(), -EBADF if it is not open for writing.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_pipe_adopt_write(int fd, const struct bide_stream_opts *opts,
                                      bide_stream **ret_stream);

/*
 * A stream that reads what a descriptor of any kind stands for: a pipe, a terminal, a socket, a
 * regular file, a device. Others may go on using the descriptor; its flags stay as they are.
 *
 * fd: borrowed until return; it stays the caller's, and open. What the stream has read ahead is
 * gone for others. ret_stream: returns owned.
 * Returns 0, -EBADF (no descriptor, or not open for reading), -EINVAL (a socket without a
 * connection), -EMFILE, -ENOMEM, -ESHUTDOWN; -ENOSYS in simulation.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_input(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream);

/*
 * The same for writing. bide_write_eof() does not end what others can write to still.
 *
 * Returns as bide_input(), -EBADF if it is not open for writing.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_output(int fd, const struct bide_stream_opts *opts, bide_stream **ret_stream);

/*
 * bide_input() of the standard input. One stream at a time: two would take turns by accident.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stdin(const struct bide_stream_opts *opts, bide_stream **ret_stream);

/*
 * bide_output() of the standard output. printf() has a buffer of its own: fflush() before writing
 * here. What was written is out after bide_drain() or bide_close().
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stdout(const struct bide_stream_opts *opts, bide_stream **ret_stream);

/*
 * bide_output() of the standard error.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_stderr(const struct bide_stream_opts *opts, bide_stream **ret_stream);

BIDE_END_DECLARATIONS

#endif
