/*
 * An exchange, as asking, answering and the protocol below share it.
 *
 * Invariants
 *  - What handlers see of a request is whole before the first of them runs, and stays until the
 * last has returned.
 *  - The answer is in one of four states: none yet, begun (nothing is sent), sent (its head is
 * out), ended. It only goes forward.
 *  - The protocol is known by its functions alone.
 */
#ifndef BIDE_HTTP_EXCHANGE_H
#define BIDE_HTTP_EXCHANGE_H

#include "http/fields.h"

#include <bide/file.h>
#include <bide/http_app.h>
#include <bide/timeout.h>

enum bide__reply_state {
    BIDE__REPLY_NONE,
    BIDE__REPLY_BEGUN,
    BIDE__REPLY_SENT,
    BIDE__REPLY_ENDED,
};

/* How bodies and answers go through a protocol. Each may suspend and returns as the call of a
 * handler does. */
struct bide__exchange_ops {
    /* As bide_http_read(). */
    int (*read)(bide_http_request *request, void *buffer, size_t size);
    /* A piece of the answer, with its head before it if that is not sent. ends: it is the last
     * one. The length that was said is kept to already. */
    int (*write)(bide_http_request *request, const void *data, size_t size, bool ends);
    const char *(*header)(const bide_http_request *request, const char *name);
    size_t (*n_headers)(const bide_http_request *request);
    struct bide_http_field (*header_at)(const bide_http_request *request, size_t i);
    struct bide_address (*peer)(const bide_http_request *request);
    /* A part of the answer from a file, with the head before it: how many bytes, fewer if the file
     * ends. The answer's length is known. */
    int64_t (*send_file)(bide_http_request *request, bide_file *file, int64_t offset, int64_t size);
    bool has_upgrade; /* see http/upgrade.h */
};

/*
 * What an answer passes through on its way out. Filters are added before the answer begins; the one
 * that was added last is the first that it passes.
 */
struct bide__http_filter {
    struct bide__http_filter *next; /* the next one that the answer passes */
    /* The head is about to be sent, with this as the first piece: fields and `wire_length` may be
     * changed. NULL: nothing to do. May be asked again, if that answer is given up for another. */
    int (*head)(struct bide__http_filter *filter, bide_http_request *request, size_t size,
                bool ends);
    /* Passes on by bide__http_pass() what becomes of a piece. NULL: everything as it is. */
    int (*write)(struct bide__http_filter *filter, bide_http_request *request, const void *data,
                 size_t size, bool ends);
    /* The exchange is over. May not suspend; NULL: nothing to do. */
    void (*done)(struct bide__http_filter *filter, bide_http_request *request);
};

/*
 * A limit for the time that a handler takes. It ends where the answer turns the connection over to
 * another protocol: what comes then is no answer, and has limits of its own.
 */
struct bide__http_time_limit {
    struct bide__http_time_limit *outer;
    bide_timeout *timeout;
};

/* One segment of a path, or what stands in the place of a {name}. */
struct bide__http_segment {
    const char *text;
    size_t size;
};

struct bide__http_param {
    const char *name; /* the route's */
    const char *value;
};

enum { BIDE__HTTP_SEGMENTS_MAX = 64, BIDE__HTTP_PARAMS_MAX = 16, BIDE__HTTP_SCRATCH = 512 };

struct bide_http_request {
    const struct bide__exchange_ops *ops;
    bide_http_app *app;
    const char *method;
    const char *target;
    const char *host;
    const char *version; /* "1.1" and the like */
    const char *line;    /* the first line, of one that was refused; NULL: it was taken */
    size_t line_size;
    double waited_seconds; /* for the head of that */
    const char *id;        /* that a middleware gave it; NULL: none */
    const char *path;
    struct bide__http_segment raw_path; /* as it was written; only if there is a path */
    const char *query;
    bool is_secure;
    bool is_head;           /* asked with HEAD: the answer has no body */
    int64_t content_length; /* -1: unknown */
    size_t body_bytes_max;
    uint64_t body_left; /* that may be read of the body still */
    bool is_body_late;  /* the client let us wait for it too long */

    size_t n_params;
    struct bide__http_param params[BIDE__HTTP_PARAMS_MAX];

    enum bide__reply_state reply_state;
    int status;
    int64_t reply_length; /* as the handler said it; -1: unknown */
    int64_t wire_length;  /* as the client is told it */
    uint64_t n_written;   /* by the handler */
    uint64_t n_sent;      /* of the body */
    bool has_head_passed; /* the filters */
    struct bide__http_filter *filters;
    struct bide__http_time_limit *time_limits; /* the innermost one */
    const char *type;                          /* the Content-Type, or NULL */
    size_t type_size;                          /* 0: there is none */
    bide_http_fields fields;

    struct bide__http_block *blocks; /* what bide_http_alloc() gave beyond the scratch */
    size_t scratch_used;
    char scratch[BIDE__HTTP_SCRATCH] __attribute__((aligned(16)));
};

/* Before the answer begins. */
static inline void bide__http_filter_add(bide_http_request *request,
                                         struct bide__http_filter *filter)
{
    filter->next = request->filters;
    request->filters = filter;
}

/* From `filter` on; NULL: to the client. */
int bide__http_pass(bide_http_request *request, struct bide__http_filter *filter, const void *data,
                    size_t size, bool ends);

/* A piece of an answer that was begun, from a file: how many bytes, fewer if the file ends. */
int64_t bide__http_send_file(bide_http_request *request, bide_file *file, int64_t offset,
                             int64_t size);

/* An answer that was begun, and of which nothing was sent, is none. */
void bide__http_reply_give_up(bide_http_request *request);

/* Adds a name to the field Vary, unless it is there. */
int bide__http_vary(bide_http_request *request, const char *name);

/* Of the loop's engine: since 1970-01-01 UTC; at random. */
int64_t bide__http_wall_seconds(void);
int bide__http_entropy(void *buffer, size_t size);

/* For one exchange after the other on the same memory; zeroed before the first. */
void bide__http_request_begin(bide_http_request *request);
/* Memory that this exchange took goes back. */
void bide__http_request_end(bide_http_request *request);

/*
 * Takes the target apart: path and query. -EINVAL: a path that is none, such as one with a NUL.
 * -ENOMEM.
 */
int bide__http_request_take_target(bide_http_request *request, struct bide__http_segment origin);

/* Whether an answer of this status has a body at all. */
static inline bool bide__http_has_body(const bide_http_request *request)
{
    return !request->is_head && request->status >= 200 && request->status != 204 &&
           request->status != 304;
}

/* Runs what the application has for the request, and ends the answer, whatever it takes. Returns
 * what the handler did, or why the connection can't go on. */
int bide__http_app_answer(bide_http_app *app, bide_http_request *request);

/* Around what answers the request; `limit` stays where it is in between. As bide_timeout_begin()
 * and bide_timeout_end(). */
int bide__http_time_limit_begin(bide_http_request *request, struct bide__http_time_limit *limit,
                                double seconds);
int bide__http_time_limit_end(bide_http_request *request, struct bide__http_time_limit *limit,
                              int rc);
/* No limit any more, whatever was begun. */
void bide__http_time_limits_lift(bide_http_request *request);

/* Hears of what was refused before any middleware saw it. Of the request, `line` and whatever else
 * is not NULL is known, the status, and n_sent. Must not suspend. */
typedef void bide__http_refused(bide_http_request *request, void *data);

/* bide_http_on(), with that besides. */
int bide__http_on(bide_http_app *app, bide_http_hook *start, bide_http_hook *stop,
                  bide__http_refused *refused, void *data);
void bide__http_app_refused(bide_http_app *app, bide_http_request *request);

/* The application is served once more, or once less: its hooks run. Suspend. */
int bide__http_app_begin(bide_http_app *app);
int bide__http_app_end(bide_http_app *app);

#endif
