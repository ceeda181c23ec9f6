/* How a task connects. */
#ifndef BIDE_IO_CONNECT_H
#define BIDE_IO_CONNECT_H

#include "io/connector.h"
#include "runtime/coro.h"

#include <bide/stream.h>

/* Of the request all but `done`, `gone` and `data` is the caller's; opts: without zeroes. */
int bide__connect(struct bide__coro *coro, struct bide__connect_request *request,
                  const struct bide_stream_opts *opts, bide_stream **ret_stream);

#endif
