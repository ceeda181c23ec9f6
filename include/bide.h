/* bide: asyncio, whole, in C. Includes every header of the library `bide` but
 * <bide/engine_kind.h>, which is for whoever writes an engine. */
#ifndef BIDE_H
#define BIDE_H

#include <bide/address.h>
#include <bide/async.h>
#include <bide/attributes.h>
#include <bide/awaitable.h>
#include <bide/barrier.h>
#include <bide/callable.h>
#include <bide/combine.h>
#include <bide/condition.h>
#include <bide/context.h>
#include <bide/datagram.h>
#include <bide/descriptors.h>
#include <bide/error.h>
#include <bide/event.h>
#include <bide/file.h>
#include <bide/file_status.h>
#include <bide/flow.h>
#include <bide/generator.h>
#include <bide/group.h>
#include <bide/inspect.h>
#include <bide/iterator.h>
#include <bide/limiter.h>
#include <bide/line.h>
#include <bide/lock.h>
#include <bide/loop.h>
#include <bide/manager.h>
#include <bide/path.h>
#include <bide/pipe.h>
#include <bide/port.h>
#include <bide/process.h>
#include <bide/queue.h>
#include <bide/remote.h>
#include <bide/scoped.h>
#include <bide/select.h>
#include <bide/semaphore.h>
#include <bide/server.h>
#include <bide/socket.h>
#include <bide/stream.h>
#include <bide/task.h>
#include <bide/terminal.h>
#include <bide/thread.h>
#include <bide/thread_queue.h>
#include <bide/timed.h>
#include <bide/timeout.h>
#include <bide/transfer.h>
#include <bide/transport.h>
#include <bide/unix.h>
#include <bide/url.h>
#include <bide/watch.h>
#include <bide/workers.h>

#endif
