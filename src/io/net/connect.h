/* How a task connects, and what is asked for without one. */
#ifndef BIDE_IO_CONNECT_H
#define BIDE_IO_CONNECT_H

#include "io/net/connector.h"
#include "runtime/coro.h"

#include <bide/stream.h>

/* The public arguments as a request, without `done`, `gone` and `data`; `opts` may be NULL, and the
 * stream's are made whole. 0 or -EINVAL. */
int bide__connect_request(const char *host, unsigned port, const struct bide_connect_opts *opts,
                          struct bide__connect_request *ret_request,
                          struct bide_stream_opts *ret_opts);

/* Of the request all but `done`, `gone` and `data` is the caller's; opts: without zeroes. */
int bide__connect(struct bide__coro *coro, struct bide__connect_request *request,
                  const struct bide_stream_opts *opts, bide_stream **ret_stream);

#endif
