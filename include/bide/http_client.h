/*
 * HTTP clients: sessions that keep connections, and what they fetch.
 *
 *     bide_http_session *session;
 *     bide_http_response *response;
 *     int rc = bide_http_session_new(NULL, &session);
 *     if (rc < 0)
 *         return rc;
 *     rc = bide_http_get(session, "https://example.org/", &response);
 *     if (rc >= 0) {
 *         printf("%d\n", bide_http_response_status(response));
 *         bide_http_response_close(response);
 *     }
 *     bide_http_session_close(session);
 *     bide_http_session_free(session);
 *
 * A fetch returns when the head of the answer is there; its body comes as it is read. A status such
 * as 404 is an answer, not an error. Redirects are followed, cookies kept, compressed bodies
 * unpacked, and a request that a server's idle connection did not take is sent once more if its
 * method allows that.
 *
 * Every error has words in bide_error_detail(): which URL, and what was being done.
 */
#ifndef BIDE_HTTP_CLIENT_H
#define BIDE_HTTP_CLIENT_H

#include <bide/error.h>
#include <bide/http.h>
#include <bide/http_cookies.h>
#include <bide/http_form.h>
#include <bide/stream.h>
#include <bide/task.h>

BIDE_BEGIN_DECLARATIONS

/* See bide/tls.h. */
struct bide_tls_context;

/* What fetches share: connections, cookies, defaults. It belongs to the loop of its first fetch. */
typedef struct bide_http_session bide_http_session;
/* An answer. */
typedef struct bide_http_response bide_http_response;

/*
 * How a session fetches; zeroed fields mean defaults. Times are in seconds, and INFINITY is no
 * limit. All of it is borrowed until return.
 */
struct bide_http_session_opts {
    const struct bide_http_field *headers; /* of every request that does not bring its own */
    size_t n_headers;
    struct bide_tls_context *tls; /* of clients; retained. NULL: one with the defaults */
    struct bide_connect_opts connect;
    bide_http_cookies *cookies; /* borrowed until the session is freed; NULL: its own */
    bool no_cookies;

    const char *proxy;    /* "http://[user:password@]host:port" for all requests but … */
    const char *no_proxy; /* … those to these hosts: "localhost,.example.org,10.0.0.0/8" or "*" */
    bool proxy_from_environment; /* http_proxy, https_proxy, all_proxy and no_proxy, where `proxy`
                                    and `no_proxy` say nothing */

    double total_seconds;    /* of a fetch, from its call to the end of the body; 0: 300 */
    double connect_seconds;  /* name, connection, proxy and TLS; 0: 30 */
    double read_seconds;     /* between two pieces of what is sent or received; 0: 60 */
    double continue_seconds; /* for "100 Continue" before the body is sent all the same; 0: 1 */

    unsigned connections_max;          /* further fetches wait for their turn; 0: 100 */
    unsigned connections_per_host_max; /* 0: as connections_max */
    double idle_seconds;               /* that an unused connection is kept; 0: 15 */

    unsigned redirects_max;   /* 0: 10; see also no_redirects of a fetch */
    size_t head_bytes_max;    /* of an answer; 0: 65,536 */
    unsigned fields_max;      /* in its head; 0: 128 */
    unsigned interim_max;     /* answers of 1xx before the real one; 0: 16 */
    size_t body_bytes_max;    /* that bide_http_response_read_all() takes by default; 0: 64 MiB */
    uint64_t unpacked_max;    /* bytes that a compressed body may unpack to; 0: 1 GiB */
    unsigned unpacked_factor; /* and how many times its own size, beyond the first MiB; 0: 200 */
};

/*
 * Gives the next piece of a body that is sent. Runs in the fetching task and may suspend.
 *
 * data: as it was given with the source. buffer: to be filled with up to size bytes. Returns how
 * many; 0: the body ends; an error, which ends the fetch.
 */
typedef int bide_http_source(void *data, void *buffer, size_t size);

/*
 * One request; zeroed fields mean defaults. All of it is borrowed until the fetch returns. At most
 * one kind of body may be set.
 */
struct bide_http_fetch_opts {
    const struct bide_http_field *headers; /* in the place of those that we and the session would
                                              send; an empty value sends none */
    size_t n_headers;

    const void *body; /* of body_size bytes */
    size_t body_size;
    const char *json;            /* a text, sent as application/json */
    const char *body_file;       /* path of a file */
    const bide_http_form *form;  /* see bide/http_form.h */
    bide_http_source *source;    /* called as source(source_data, …) */
    void *source_data;           /* */
    const uint64_t *source_size; /* how much it gives; NULL: unknown, sent in chunks */
    const char *content_type;    /* NULL: what the kind of body implies, or none */

    const char *user; /* and password, sent at once ("Basic") */
    const char *password;
    const char *bearer; /* a token in their place */

    bool expect_continue; /* let the server refuse before the body is sent; always done from 1 MiB
                             on and for sources of unknown size, unless… */
    bool no_expect;       /* … the server is known not to understand that */
    bool no_redirects;    /* a redirect is the answer */
    bool as_packed;       /* ask for no compression, and unpack nothing */

    double total_seconds; /* 0: the session's */
    double connect_seconds;
    double read_seconds;
};

/*
 * Makes a session. It opens connections as they are needed.
 *
 * opts: borrowed until return; NULL for defaults. ret_session: returns owned, to be given back with
 * bide_http_session_free().
 * Returns 0; -EINVAL for senseless options, such as a proxy that is no "http://" URL; -ENOSYS: TLS
 * in a build without; -ENOMEM. Suspends: no. Cancel: not affected. Thread: any that runs its loop
 * later.
 */
BIDE_EXPORT int bide_http_session_new(const struct bide_http_session_opts *opts,
                                      bide_http_session **ret_session);

/*
 * Ends a session: fetches of other tasks fail with -ESHUTDOWN, as do those that wait for a
 * connection and whoever reads an answer; all connections are closed. From then on every fetch
 * fails with -ESHUTDOWN.
 *
 * Returns 0 when nothing is under way any more, also if it was closed before; -EINVAL,
 * -BIDE_ENOTASK. Suspends: yes, a join. Cancel: not affected; what it waits for ends at once.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_session_close(bide_http_session *session);

/*
 * Gives a session back. What was not closed is broken off, as bide_http_session_close() does, but
 * without waiting for it. Answers of it may still be there, and are to be closed as ever.
 *
 * session: takes; NULL is allowed; also after its loop has ended.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_http_session_free(bide_http_session *session);

/*
 * The session's cookies, borrowed until it is freed; NULL if it keeps none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_http_cookies *bide_http_session_cookies(bide_http_session *session);

/*
 * How many connections the session has, those that are being made included.
 *
 * ret_idle: how many of them are not in use; may be NULL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_http_session_connections(const bide_http_session *session,
                                                 size_t *ret_idle);

/*
 * Sends a request, and waits for the head of the answer.
 *
 * method: a token, such as "GET"; not "CONNECT". url: "http://" or "https://"; what people type,
 * with spaces or letters beyond ASCII in it, is escaped. A user and password in it are sent
 * ("Basic"). opts: borrowed until return; NULL for defaults. ret_response: returns owned, to be
 * given back with bide_http_response_close().
 * Returns 0, whatever the status; -EINVAL: the URL is none or has no host, or a header, body or
 * method makes no sense; -EPROTONOSUPPORT: its scheme is not HTTP; -ENOSYS: it is https, and this
 * is a build without TLS; -ESHUTDOWN: the session is closed; -EXDEV: it is another loop's;
 * -ETIMEDOUT: one of the limits passed; -ELOOP: too many redirects; -BIDE_EINCOMPLETE: the
 * connection ended before the answer's head did; -EBADMSG: what came is not HTTP; -EPROTO: the
 * proxy refused, or TLS agreed on another protocol; -BIDE_ELIMIT: a limit of the session;
 * -EOPNOTSUPP: a redirect asks for a body again that is gone; an error of bide_connect() or
 * bide_tls_connect(), of the file, or of the source; -ECANCELED, -ENOMEM, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: the connection in use is closed; the server may have acted. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_http_fetch(bide_http_session *session, const char *method, const char *url,
                                const struct bide_http_fetch_opts *opts,
                                bide_http_response **ret_response);

/*
 * bide_http_fetch() with GET and defaults.
 *
 * Suspends: yes. Cancel: as bide_http_fetch(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_get(bide_http_session *session, const char *url,
                              bide_http_response **ret_response);

/*
 * bide_http_fetch() with POST and a body from memory.
 *
 * type: its Content-Type. body: size bytes, borrowed until return.
 * Suspends: yes. Cancel: as bide_http_fetch(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_post(bide_http_session *session, const char *url, const char *type,
                               const void *body, size_t size, bide_http_response **ret_response);

/*
 * Told how a fetch went: result is 0 or the error (bide_error_detail() has its words).
 *
 * response: owned, to be closed by a task or dropped with bide_http_response_abort(); NULL after an
 * error.
 */
typedef void bide_http_fetched(int result, bide_http_response *response, void *data);

/*
 * The same without waiting: the fetch runs by itself, body included, and calls back.
 *
 * The body is read whole before, so that bide_http_response_read_all() does not suspend; a body
 * over the session's limit is -BIDE_ELIMIT.
 * loop: NULL for the current one. method, url: copied. opts: borrowed, with all in it, until the
 * callback. data: given to the callback. ret_task: may be NULL; returns owned: bide_cancel() ends
 * the fetch with -ECANCELED, bide_detach() lets it run on; its result is the fetch's. A loop
 * that closes cancels it.
 * Returns 0, -EINVAL, -ENOMEM (also if the loop closes).
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_fetch_callback(bide_loop *loop, bide_http_session *session,
                                         const char *method, const char *url,
                                         const struct bide_http_fetch_opts *opts,
                                         bide_http_fetched *callback, void *data,
                                         bide_task **ret_task);

/*
 * The status, such as 200; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_response_status(const bide_http_response *response);

/*
 * The words that came with the status, as the server chose them; borrowed until the answer is
 * closed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_response_reason(const bide_http_response *response);

/*
 * The value of the first header field of that name, borrowed until the answer is closed; NULL if
 * there is none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_response_header(const bide_http_response *response,
                                                  const char *name);

/*
 * All header fields in their order, borrowed until the answer is closed. Content-Length and
 * Content-Encoding are about the body as it was sent, also where it is unpacked.
 *
 * ret_n: how many. Returns NULL if there are none.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const struct bide_http_field *bide_http_response_headers(
    const bide_http_response *response, size_t *ret_n);

/*
 * The URL that answered, behind all redirects, in its normal form and without a user; borrowed
 * until the answer is closed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_response_url(const bide_http_response *response);

/*
 * How many redirects were followed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_http_response_redirects(const bide_http_response *response);

/*
 * The length of the body that the server announced, as it is sent; -1 if it did not say one.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_http_response_content_length(const bide_http_response *response);

/*
 * Reads of the body what is there, waiting until there is at least one byte.
 *
 * buffer: size bytes, borrowed until return.
 * Returns how many bytes, 0 at the end; -BIDE_EINCOMPLETE or -BIDE_ETRUNCATED: the connection ended
 * within the body; -EBADMSG: chunks or compressed data make no sense; -EPROTONOSUPPORT: it is
 * packed in a way that we do not know; -BIDE_ELIMIT: it unpacks to more than the session's limits;
 * -ETIMEDOUT; -EBUSY: another task reads; -ESHUTDOWN: the session was closed; the connection's
 * error; -ECANCELED, -EINVAL, -ENOMEM, -BIDE_ENOTASK. After an error other than -ECANCELED, -EBUSY
 * and -EINVAL all further calls return the same.
 * Suspends: yes. Cancel: nothing was read. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_response_read(bide_http_response *response, void *buffer, size_t size);

/*
 * Reads the rest of the body whole.
 *
 * limit: bytes; 0: the session's. ret_data: borrowed until the answer is closed, and terminated by
 * a NUL behind the body; may be NULL. ret_size: how many bytes; may be NULL. Called again, it
 * returns the same. Returns 0; -BIDE_ELIMIT: it is longer (what came is kept for a call with a
 * larger limit); otherwise as bide_http_response_read(). Suspends: yes. Cancel: what came is kept
 * for the next call of this kind. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_response_read_all(bide_http_response *response, size_t limit,
                                            const char **ret_data, size_t *ret_size);

/*
 * Reads the rest of the body whole if it is JSON, by its Content-Type.
 *
 * ret_json: as of bide_http_response_read_all().
 * Returns 0; -EBADMSG: it is another type, which bide_error_detail() names, or has a NUL in it;
 * otherwise as bide_http_response_read_all(). Suspends: yes. Cancel: as
 * bide_http_response_read_all(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_response_json(bide_http_response *response, const char **ret_json);

/*
 * Writes the rest of the body to a file, which is there whole or not at all.
 *
 * path: as bide_file_open(); an existing file is replaced. Returns 0, or as
 * bide_http_response_read_all() and bide_file_store().
 * Suspends: yes. Cancel: as bide_http_response_read_all() and bide_file_store(). Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_http_response_save(bide_http_response *response, const char *path);

/*
 * Ends an answer. A small rest of its body is read, so that the connection can be used again;
 * otherwise the connection is closed.
 *
 * response: takes, whatever is returned, except with -EBUSY (another task reads); NULL is allowed.
 * Returns 0 or -EBUSY. Suspends: yes, a join; at most a second. Cancel: the connection is closed
 * at once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_response_close(bide_http_response *response);

/*
 * The same at once, for where nothing can suspend: an unread rest closes the connection.
 *
 * response: takes; NULL is allowed; no task reads it; also after its loop has ended.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_http_response_abort(bide_http_response *response);

BIDE_END_DECLARATIONS

#endif
