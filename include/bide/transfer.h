/*
 * Bytes that go from one place to another without the program looking at them: files into
 * connections, connections into each other.
 */
#ifndef BIDE_TRANSFER_H
#define BIDE_TRANSFER_H

#include <bide/file.h>
#include <bide/socket.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* A count that means: until the end. */
#define BIDE_TO_THE_END INT64_C(-1)

/*
 * Writes a part of a file to a stream, behind all that was written before; others who write have
 * their turn behind it.
 *
 * What lies in the kernel's memory goes straight to a plain connection, without a copy; what has
 * to be read from a disk first is read as bide_file_read_at() does, and the loop does not wait for
 * it. TLS, pipes and the simulation are served by reading and writing.
 * file: a regular file that is open for reading, borrowed until return; its position does not
 * matter and does not move. offset: bytes from its start. count: how many, or BIDE_TO_THE_END.
 * Returns how many bytes, fewer than count if the file ends before (the last ones may be buffered
 * still, as after bide_write()); an error of the stream as from bide_write(), of the file as from
 * bide_file_read_at(); -ESPIPE (a file without positions), -EINVAL, -ENOMEM, -ECANCELED,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: nothing was written; but if a part went already, the stream
 * is torn, as after any other error. Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_stream_send_file(bide_stream *stream, bide_file *file, int64_t offset,
                                          int64_t count);

/*
 * The same to a bare socket.
 *
 * ret_sent: how many bytes the kernel took, set also when the call fails; may be NULL. Returns 0,
 * with fewer bytes than count if the file ends before; otherwise as bide_socket_send_all() and
 * bide_stream_send_file(). Suspends: yes. Cancel: as bide_socket_send_all(). Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_socket_send_file(bide_socket *socket, bide_file *file, int64_t offset,
                                      int64_t count, int64_t *ret_sent);

/*
 * Passes on what one stream receives to another one, as fast as that takes it. The streams may be
 * of any kind, and the same.
 *
 * count: how many bytes, or BIDE_TO_THE_END. The end itself is not passed on: bide_write_eof() does
 * that. Returns how many bytes, fewer than count if `from` ends before; an error of bide_read() of
 * `from`, or of bide_write() to `to`; -ENOMEM, -ECANCELED, -EINVAL, -BIDE_ENOTASK. Suspends: yes.
 * Cancel: what was not passed on stays in `from`, to be read. Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_relay(bide_stream *from, bide_stream *to, int64_t count);

/*
 * Passes on everything both ways, which is what a proxy does: until both streams have ended, or one
 * fails. When one side ends, the other one is told with bide_write_eof(), and the way back goes on.
 *
 * ret_bytes: room for how many bytes went from a to b, and from b to a; set also on failure; may be
 * NULL. Returns 0; the first error of either way, after which the other one has been stopped, too;
 * -ENOMEM, -ECANCELED, -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel: as bide_relay(), each way.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_relay_both(bide_stream *a, bide_stream *b, int64_t ret_bytes[2]);

BIDE_END_DECLARATIONS

#endif
