/*
 * One exchange of HTTP as a server sees it: what a client asks, and the answer.
 *
 * A handler runs in the task of the connection. It asks about the request, reads its body if there
 * is one, and answers: all at once with bide_http_reply(), or piece by piece. What it does not do
 * is done when it has returned: an answer that was begun is ended, a missing one is 404, or 500 if
 * the handler failed.
 *
 * When the client is gone, the task is cancelled: suspending calls fail with -ECANCELED, unless the
 * code is shielded. An end of the client's side counts as gone, too; see struct
 * bide_http_server_opts.
 *
 * All texts are borrowed until the handler returns.
 */
#ifndef BIDE_HTTP_REQUEST_H
#define BIDE_HTTP_REQUEST_H

#include <bide/address.h>
#include <bide/http.h>

BIDE_BEGIN_DECLARATIONS

/* A request and its answer; the server's. */
typedef struct bide_http_request bide_http_request;

/*
 * Answers a request.
 *
 * data: as it was given with the handler. Returns 0 or more, or an error: then the client gets 500
 * if nothing was sent yet, otherwise the connection is broken off, and the error is reported to the
 * loop's exception handler unless the client was the reason.
 */
typedef int bide_http_handler(bide_http_request *request, void *data);

/*
 * The method, such as "GET".
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_method(const bide_http_request *request);

/*
 * The target as the client wrote it: path and query, or a whole URL, or "*".
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_target(const bide_http_request *request);

/*
 * The path of the target, with its escapes taken out and without segments of dots, so that it
 * begins with "/" and never leads upwards. NULL where the target has none. One with an escaped NUL,
 * or with both dots and an escaped slash, is answered with 400 before a handler sees it.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_path(const bide_http_request *request);

/*
 * The query of the target as the client wrote it, without the question mark; NULL if there is none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_query(const bide_http_request *request);

/*
 * The value of the first parameter of that name in the query, with "+" and escapes taken out; NULL
 * if there is none, or without memory.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_query_get(bide_http_request *request, const char *name);

/*
 * The host that the client asks, with its port if it named one; "" if it named none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_host(const bide_http_request *request);

/*
 * The value of the first header field of that name; NULL if there is none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_header(const bide_http_request *request, const char *name);

/*
 * All header fields in their order.
 *
 * ret_n: how many. Returns NULL without memory.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const struct bide_http_field *bide_http_headers(bide_http_request *request,
                                                            size_t *ret_n);

/*
 * What stands in the place of {name} in the route's pattern, with its escapes taken out; NULL if
 * the pattern has no such place.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_param(const bide_http_request *request, const char *name);

/*
 * The client's address; of length 0 if it has none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT struct bide_address bide_http_peer(const bide_http_request *request);

/*
 * Whether the connection is encrypted.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bool bide_http_is_secure(const bide_http_request *request);

/*
 * Memory that lasts until the handler has returned; NULL without memory.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void *bide_http_alloc(bide_http_request *request, size_t size);

/*
 * The length of the body that the client announced; -1 if it did not say one.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_http_content_length(const bide_http_request *request);

/*
 * Reads of the request's body what is there, waiting until there is at least one byte. The first
 * call tells a client that waits for it to go on ("100 Continue").
 *
 * buffer: size bytes, borrowed until return.
 * Returns how many bytes were read, 0 at the end of the body; -EBADMSG (malformed), -ETIMEDOUT (no
 * byte came within the server's limit), -BIDE_EINCOMPLETE (the client ended within it), -ECANCELED,
 * -EINVAL, the connection's error. Suspends: yes. Cancel: nothing was read. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_http_read(bide_http_request *request, void *buffer, size_t size);

/*
 * Reads the rest of the request's body whole.
 *
 * limit: bytes; 0: the server's limit. ret_data: terminated by a NUL behind the body. Returns how
 * many bytes; -BIDE_ELIMIT if it is longer (the answer should be 413, which it is if the handler
 * returns this); -ENOMEM; otherwise as bide_http_read(). Suspends: yes. Cancel: what came is lost.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_read_all(bide_http_request *request, size_t limit, char **ret_data);

/*
 * Sets a header field of the answer, before its head is sent. Content-Length, Transfer-Encoding,
 * Connection and Date are the server's.
 *
 * name, value: copied. Returns 0; -EINVAL, -E2BIG as bide_http_fields_set(); -EALREADY: the head is
 * sent; -ENOMEM. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_header(bide_http_request *request, const char *name,
                                       const char *value);

/*
 * The same beside other fields of that name, for Set-Cookie and its like.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_header_add(bide_http_request *request, const char *name,
                                           const char *value);

/*
 * Answers all at once.
 *
 * status: 200 to 599. type: the Content-Type, or NULL for none. data: size bytes, borrowed until
 * return; not sent where an answer has no body (to HEAD, 204, 304).
 * Returns 0; -EALREADY: there is an answer; -EINVAL; -ENOMEM; or as bide_write(). Suspends: yes.
 * Cancel: as bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply(bide_http_request *request, int status, const char *type,
                                const void *data, size_t size);

/*
 * bide_http_reply() of a text, as "text/plain; charset=utf-8".
 *
 * Suspends: yes. Cancel: as bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_text(bide_http_request *request, int status, const char *text);

/*
 * bide_http_reply() of a text in JSON.
 *
 * Suspends: yes. Cancel: as bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_json(bide_http_request *request, int status, const char *json);

/*
 * Sends the client elsewhere.
 *
 * status: 301, 302, 303, 307 or 308. location: a URL or a reference; escaped where need be.
 * Suspends: yes. Cancel: as bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_redirect(bide_http_request *request, int status, const char *location);

/* For bide_http_reply_begin(): the length is not known yet. */
#define BIDE_HTTP_LENGTH_UNKNOWN (-1)

/*
 * Begins an answer whose body is written in pieces.
 *
 * status, type: as bide_http_reply(). length: of the body in bytes, or BIDE_HTTP_LENGTH_UNKNOWN
 * (chunks to clients of HTTP/1.1; older ones see the end of the connection). Nothing is sent before
 * the first piece or the end.
 * Returns 0, -EALREADY, -EINVAL, -ENOMEM. Suspends: no. Cancel: not affected. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_http_reply_begin(bide_http_request *request, int status, const char *type,
                                      int64_t length);

/*
 * Writes a piece of the answer's body, waiting for room as bide_write() does.
 *
 * data: borrowed until return. Returns 0; -EINVAL: nothing was begun; -EFBIG: more than the length
 * that was said (nothing is written); -ENOMEM; or as bide_write(). Suspends: yes. Cancel: nothing
 * was written, or the connection is torn as with bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_write(bide_http_request *request, const void *data, size_t size);

/*
 * Ends the answer.
 *
 * Returns 0; -EINVAL: nothing was begun; -BIDE_EINCOMPLETE: less than the length that was said (the
 * connection is broken off); or as bide_write(). Suspends: yes. Cancel: as bide_http_write().
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_end(bide_http_request *request);

/*
 * The status of the answer; 0 if there is none yet.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_status(const bide_http_request *request);

/*
 * The bytes of the answer's body that were written.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT uint64_t bide_http_reply_bytes(const bide_http_request *request);

BIDE_END_DECLARATIONS

#endif
