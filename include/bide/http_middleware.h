/*
 * What stands around the handlers of an application: added to it before it is served, outermost
 * first. A usual order: log, request ids, CORS, compression, limits.
 *
 * All of them work for answers of any kind, those to errors and to what no route fits included.
 * Options are copied, texts too. Adding returns as bide_http_use(): 0, -EINVAL, -EBUSY, -ENOMEM.
 */
#ifndef BIDE_HTTP_MIDDLEWARE_H
#define BIDE_HTTP_MIDDLEWARE_H

#include <bide/http_app.h>

BIDE_BEGIN_DECLARATIONS

/* See bide/stream.h. */
struct bide_stream;

/*
 * Gives each request an id, and the answer the field X-Request-Id with it: the client's own, if it
 * sent one of 1 to 128 letters, digits, "-", "_", "." and "~", or else a new one at random.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_request_id(bide_http_app *app);

/*
 * The request's id; NULL without bide_http_use_request_id().
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_request_id(const bide_http_request *request);

/* How a line of a log looks. */
enum bide_http_log_format {
    BIDE_HTTP_LOG_COMMON,   /* that of NCSA's and most other servers */
    BIDE_HTTP_LOG_COMBINED, /* the same, with Referer and User-Agent */
    BIDE_HTTP_LOG_JSON,     /* an object a line, with the seconds that it took and the id; what is
                               not known is left out */
};

/* Where and how to log; zeroed fields mean defaults. */
struct bide_http_log_opts {
    const char *path; /* a file to append to; it is opened when the application is served */
    struct bide_stream *stream; /* instead of a file; borrowed until the application is not served
                                   any more */
    enum bide_http_log_format format;
    size_t queue_bytes; /* that wait to be written; 0: 262,144 */
    uint64_t *dropped;  /* counts lines that did not fit there or could not be written; borrowed as
                           long as the application; NULL: not wanted */
};

/*
 * Logs each answer, when it is ended, also to what was refused before it was a request (400, 408,
 * 431, 505 and the like): with its first line as it came, and "-" for what is not known; in JSON
 * the member "line" is in the place of "method" and "target" then. No request waits for the log:
 * lines are queued, written in the background, and dropped while too many wait. A failure to write,
 * such as a full disk, is reported to the loop's exception handler once, and then not before
 * writing has succeeded again.
 *
 * opts: path or stream must be there.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_log(bide_http_app *app, const struct bide_http_log_opts *opts);

/* Who may ask from pages of elsewhere; zeroed fields mean defaults. */
struct bide_http_cors_opts {
    const char *origins; /* such as "https://a.example https://b.example"; NULL: all */
    const char *methods; /* NULL: "GET, HEAD, POST, PUT, PATCH, DELETE" */
    const char *headers; /* that requests may have; NULL: whatever the browser asks for */
    const char *exposed; /* fields of answers that pages may read beyond the usual; NULL: none */
    bool credentials;    /* with cookies and the like; -EINVAL together with all origins */
    unsigned max_age_seconds; /* that a browser keeps what it was allowed; 0: says nothing */
};

/*
 * Lets pages of other origins use the application (the CORS protocol of the Fetch standard), and
 * answers a browser's questions before it does.
 *
 * opts: NULL for defaults.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_cors(bide_http_app *app, const struct bide_http_cors_opts *opts);

/* What is packed and how; zeroed fields mean defaults. */
struct bide_http_compression_opts {
    unsigned level;   /* 1 (fast) to 9 (small); 0: 6 */
    size_t bytes_min; /* shorter answers are left alone, if their length is known; 0: 512 */
};

/*
 * Packs answers for clients that take gzip or deflate: those whose type says that it pays (text,
 * JSON, XML, SVG, JavaScript, …), whole ones and those in pieces. Of an answer of unknown length
 * each piece goes out at once. Partial answers, those that are packed already, and those with
 * Cache-Control: no-transform are left alone. A strong entity tag becomes a weak one.
 *
 * opts: NULL for defaults. Returns also -ENOSYS in a build without zlib.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_compression(bide_http_app *app,
                                          const struct bide_http_compression_opts *opts);

/*
 * Limits the bodies of requests, however they are read: one that says that it is longer is answered
 * with 413 at once, of another one reading fails with -BIDE_ELIMIT.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_body_limit(bide_http_app *app, uint64_t bytes_max);

/*
 * Limits the time that a handler takes, its answer included: it is cancelled then, and the client
 * gets 503 if nothing was sent yet. For a WebSocket the limit ends when it is accepted.
 *
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use_time_limit(bide_http_app *app, double seconds);

/*
 * What the client says it is, by basic authentication (RFC 7617).
 *
 * ret_user, ret_password: borrowed until the handler returns. Returns 0; -ENOENT: it says nothing,
 * or nothing that can be understood; -EINVAL, -ENOMEM. Suspends: no. Cancel: not affected. Thread:
 * loop thread only.
 */
BIDE_EXPORT int bide_http_basic_credentials(bide_http_request *request, const char **ret_user,
                                            const char **ret_password);

/*
 * Answers that the client must say who it is: 401.
 *
 * realm: what for, without quotes. Returns as bide_http_reply(). Suspends: yes. Cancel: as
 * bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_ask_credentials(bide_http_request *request, const char *realm);

/*
 * Whether two texts are the same, in a time that tells nothing but the length of `given`.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bool bide_http_same_secret(const char *given, const char *secret);

BIDE_END_DECLARATIONS

#endif
