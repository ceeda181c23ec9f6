/*
 * HTTP clients, as their files share them.
 *
 * Invariants
 *  - A connection is idle, in use by one exchange, or being made for one; it counts in its origin
 * and in the session as long as it is any of these.
 *  - An exchange, which is what becomes the response, lies on the heap and in the session's list:
 * what a task that a closing loop abandoned has left is found there.
 *  - While a call is inside an exchange, `limit` is the time limit that it is under, so that
 * whoever closes the session can end it.
 *  - A connection goes back to the pool only if the answer was read to its end, the request was
 * sent to its end, and both sides said that it goes on.
 */
#ifndef BIDE_HTTP_CLIENT_INTERNAL_H
#define BIDE_HTTP_CLIENT_INTERNAL_H

#include "base/list.h"
#include "codec/http1.h"
#include "http/body.h"
#include "http/fields.h"
#include "http/proxy.h"
#include "http/text.h"
#include "http/unpack.h"
#include "runtime/coro.h"

#include <bide/awaitable.h>
#include <bide/event.h>
#include <bide/http_client.h>
#include <bide/timeout.h>
#include <bide/url.h>

#include <math.h>

enum { BIDE__HTTP_ORIGIN_BUCKETS = 64 };

/* Where connections that can serve the same requests lead to. */
struct bide__http_origin {
    struct bide__http_origin *next; /* in its bucket */
    struct bide__list idle;         /* connections, the one used last first */
    struct bide__list waiters;      /* exchanges, the one that came first first */
    struct bide__list hungry;       /* in the session's list while somebody waits */
    unsigned refs;                  /* connections, and exchanges that lead there */
    unsigned n_connections;
    bool is_tunnel; /* through the proxy: CONNECT */
    bool is_secure;
    const struct bide__http_proxy *proxy; /* NULL: directly */
    unsigned port;                        /* of the host, not the proxy */
    char *host;                           /* within key, behind its NUL */
    size_t hash;
    char key[];
};

struct bide__http_connection {
    struct bide__list node; /* in the origin's idle ones, or in the session's dead ones */
    struct bide__list age;  /* in the session's idle ones, the oldest first */
    struct bide__http_origin *origin;
    bide_stream *stream; /* NULL: still to be made */
    double idle_since;
    bool was_used; /* it has carried an exchange before */
};

struct bide_http_session {
    struct bide__resource resource;
    bide_loop *loop; /* NULL before the first fetch, and behind the loop's end */
    unsigned refs;   /* the user's handle, every exchange, and who closes it */
    bool is_closed;

    struct bide__list exchanges;
    unsigned n_inside; /* exchanges with a call inside */
    bide_event quiet;  /* set while that is 0 */

    struct bide__http_origin *origins[BIDE__HTTP_ORIGIN_BUCKETS];
    struct bide__list ages;   /* idle connections */
    struct bide__list dead;   /* to be closed by the reaper */
    struct bide__list hungry; /* origins somebody waits for */
    uint64_t n_tickets;
    unsigned n_connections;
    unsigned n_idle;
    bide_handle *reaper;
    double reaper_due;

    bide_http_fields headers;
    struct bide_tls_context *tls;
    struct bide_connect_opts connect;
    struct bide_address local; /* what connect.local points at */
    bide_http_cookies *cookies;
    bool owns_cookies;
    struct bide__http_proxies proxies;
    struct bide_http_session_opts opts; /* numbers without zeroes; no pointer of it counts */
};

enum bide__http_phase {
    BIDE__HTTP_WAITING, /* for a connection */
    BIDE__HTTP_CONNECTING,
    BIDE__HTTP_SENDING,
    BIDE__HTTP_ANSWERING, /* the head is to come */
    BIDE__HTTP_READING,
};

union bide__http_line {
    struct bide__http1_field at; /* while the head is parsed */
    struct bide_http_field field;
};

struct bide_http_response {
    struct bide__list node;
    bide_http_session *session;
    struct bide__http_connection *connection; /* NULL: none yet, or given back */
    struct bide__http_connection *spare;      /* what a new one will be */
    bool is_inside;
    bool is_handed; /* the user has it */
    int error;      /* why nothing more is read */

    bide_timeout *limit; /* of the call that is inside */
    double deadline;     /* of the whole fetch */
    double connect_seconds, read_seconds;
    enum bide__http_phase phase;

    struct bide__list wait; /* in the origin's waiters */
    uint64_t ticket;
    bide_waker *waker; /* its task waits */
    struct bide__http_origin *origin;

    /* the request */
    char method[33];
    char *url; /* in its normal form, with its user */
    char *url_shown;
    struct bide_url parts;
    const struct bide_http_fetch_opts *opts; /* while the fetch is under way */
    struct bide__http_out out;
    struct bide__http_text head;
    unsigned n_redirects;
    bool has_left_origin; /* a redirect led elsewhere: credentials stay behind */
    bool drops_body;      /* a redirect made it a GET */
    bool no_expect;
    bool is_sent;      /* the whole request is */
    bool wants_close;  /* the request said so */
    bool is_retry;     /* a new connection is needed */
    bool has_answered; /* bytes of an answer have come */

    /* the answer */
    char *in; /* its head, and what came behind it */
    size_t in_begin, in_end, in_capacity;
    bool has_head; /* the final one */
    unsigned n_interim;
    struct bide__http1_head parsed;
    union bide__http_line *lines;
    struct bide__http1_body body;
    struct bide__http_unpack *unpack; /* NULL: the body is as it was sent */
    struct bide__http_text all;       /* of bide_http_response_read_all() */
    bool is_whole;                    /* all of it */
    char server[160];                 /* scheme, host and port, for people */
};

/* Sessions: client_session.c */

bide_http_session *bide__http_session_ref(bide_http_session *session);
void bide__http_session_unref(bide_http_session *session);
/* Seconds since 1970-01-01 UTC, by the loop's clock. */
static inline int64_t bide__http_now(const bide_http_session *session)
{
    struct bide_engine *engine = session->loop->engine;
    return engine->ops->wall_ns(engine) / 1000000000;
}

static inline double bide__http_sooner(double one, double other)
{
    return one < other ? one : other;
}

/* Around every call that may suspend. 0, -ESHUTDOWN, -EXDEV, … */
int bide__http_enter(bide_http_response *response, double seconds);
int bide__http_leave(bide_http_response *response, int rc);
/* The next wait may take so long, within what the whole fetch may. */
void bide__http_limit(bide_http_response *response, enum bide__http_phase phase, double seconds);
/* Words about an error: the request, what was being done, and these. Returns the error. */
int bide__http_explain(const bide_http_response *response, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The pool: client_pool.c */

/* Finds or makes what leads to the response's URL. 0 or an error. */
int bide__http_pool_origin(bide_http_response *response);
/* The response needs it no more. */
void bide__http_pool_leave(bide_http_response *response);
/* Waits until the response may have a connection, which may have no stream yet. */
int bide__http_pool_acquire(bide_http_response *response);
/* Takes the response's connection back, to be used again or not. */
void bide__http_pool_release(bide_http_response *response);
void bide__http_pool_discard(bide_http_response *response);
/* Everything that is idle goes; whoever waits gets `error`. */
void bide__http_pool_close(bide_http_session *session, int error);
/* Closes what has gone: in a task it may wait for farewells to be sent. */
void bide__http_pool_bury(bide_http_session *session);
/* The same without farewells. */
void bide__http_pool_break(bide_http_session *session);
/* The loop has ended: nobody waits any more. */
void bide__http_pool_forget(bide_http_session *session);

/* Connecting: client_connect.c */

int bide__http_connect(bide_http_response *response);
/* The context for https; -ENOSYS in a build without TLS. */
int bide__http_tls_context(bide_http_session *session);
void bide__http_tls_unref(struct bide_tls_context *context);
struct bide_tls_context *bide__http_tls_ref(struct bide_tls_context *context);

/* The request: client_request.c */

/* Checks what the options ask for. */
int bide__http_request_check(bide_http_response *response);
int bide__http_request_write(bide_http_response *response);
/* Sends it all; stops without an error if an answer has come that makes the rest needless. */
int bide__http_request_send(bide_http_response *response);

/* The answer: client_answer.c, client_response.c */

/* Waits for more of the answer: how many bytes, 0 at the end. */
int bide__http_answer_more(bide_http_response *response);
/* Takes what has come without waiting. Whether there is anything. */
bool bide__http_answer_peek(bide_http_response *response);
/* Reads heads until one is final. -BIDE_EPENDING instead: only `until` heads of 1xx were to be
 * waited for, and 100 has come. */
int bide__http_answer_head(bide_http_response *response, bool until_continue);
/* The body begins: how it ends, and how it is packed. */
int bide__http_answer_begin_body(bide_http_response *response);
/* Forgets the answer, for the next one. */
void bide__http_answer_reset(bide_http_response *response);
/* Some of the body without limits and locks; see bide_http_response_read(). */
int bide__http_body_read(bide_http_response *response, void *buffer, size_t size);
/* Reads and drops what is left if it is little; then the connection goes back, or ends. */
void bide__http_body_drain(bide_http_response *response);
const char *bide__http_answer_field(const bide_http_response *response, const char *name);
void bide__http_response_free(bide_http_response *response);

/* Redirects: client_redirect.c */

/* Makes the response ask for what its answer points at: 1; 0 if it points at nothing; an error. */
int bide__http_redirect(bide_http_response *response);

/* Takes the URL apart and keeps its normal form. 0, -EINVAL or -EPROTONOSUPPORT in words, … */
int bide__http_url_set(bide_http_response *response, const char *text);

#endif
