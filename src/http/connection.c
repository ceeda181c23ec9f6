/* One connection of a server; the invariants stand in connection.h. */
#include "http/connection.h"

#include <bide/error.h>
#include <bide/stream.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { BODY_ROOM_MIN = 4096 };

/* Memory */

static size_t held(const struct bide__http_connection *connection)
{
    return connection->end - connection->begin;
}

/* Room for at least one more byte, in memory for at most `capacity_max`. -ENOBUFS: it is full. */
static int make_room(struct bide__http_connection *connection, size_t more, size_t capacity_max)
{
    size_t size = held(connection);
    if (connection->begin > 0 && connection->capacity - connection->end < more) {
        memmove(connection->in, connection->in + connection->begin, size);
        connection->begin = 0;
        connection->end = size;
    }
    if (connection->capacity - connection->end >= more)
        return 0;
    size_t capacity = connection->capacity;
    while (capacity - size < more)
        capacity *= 2;
    if (capacity > capacity_max)
        return -ENOBUFS;
    char *in = malloc(capacity);
    if (!in)
        return -ENOMEM;
    memcpy(in, connection->in + connection->begin, size);
    if (connection->in != connection->in_inline)
        free(connection->in);
    connection->in = in;
    connection->capacity = capacity;
    connection->begin = 0;
    connection->end = size;
    return 0;
}

/* An idle connection holds nothing beyond itself. */
static void give_back_memory(struct bide__http_connection *connection)
{
    if (connection->in != connection->in_inline) {
        free(connection->in);
        connection->in = connection->in_inline;
        connection->capacity = sizeof connection->in_inline;
    }
    connection->begin = 0;
    connection->end = 0;
    if (connection->fields != connection->fields_inline)
        free(connection->fields);
    connection->fields = connection->fields_inline;
}

/* The head */

static void head_init(struct bide__http_connection *connection, size_t n_fields)
{
    const struct bide_http_server_opts *opts = &connection->server->opts;
    struct bide__http1_limits limits = {.line_bytes = (uint32_t)opts->line_bytes,
                                        .head_bytes = (uint32_t)opts->head_bytes,
                                        .n_fields = (uint32_t)n_fields};
    bide__http1_head_init(&connection->head, BIDE__HTTP1_REQUEST, &limits, connection->fields);
}

/* Most requests have few fields. One that has more is parsed once more from its beginning. */
static bool fields_grow(struct bide__http_connection *connection)
{
    size_t n_max = connection->server->opts.fields_max;
    struct bide__http1_head *head = &connection->head;
    if (head->n_fields < head->limits.n_fields || head->limits.n_fields == n_max)
        return false;
    if (connection->fields == connection->fields_inline) {
        struct bide__http1_field *fields = malloc(n_max * sizeof *fields);
        if (!fields)
            return false;
        connection->fields = fields;
    }
    head_init(connection, n_max);
    return true;
}

/* 1: the head is there; 0: more must come; -EBADMSG. */
static int parse(struct bide__http_connection *connection)
{
    const char *data = connection->in + connection->begin;
    int rc = bide__http1_head_parse(&connection->head, data, held(connection));
    if (rc == -EBADMSG && fields_grow(connection))
        rc = bide__http1_head_parse(&connection->head, data, held(connection));
    return rc > 0 ? 1 : rc;
}

static int receive(struct bide__http_connection *connection, double deadline)
{
    int rc = bide_until(deadline, bide_read(connection->stream, connection->in + connection->end,
                                            connection->capacity - connection->end));
    if (rc > 0)
        connection->end += (size_t)rc;
    return rc;
}

/* What has come before the server was closed is a request that was begun. 1 or 0. */
static int take_now(struct bide__http_connection *connection)
{
    ssize_t n = bide__stream_take_now(connection->stream, connection->in + connection->end,
                                      connection->capacity - connection->end);
    if (n > 0)
        connection->end += (size_t)n;
    return n > 0;
}

/* The beginning of a request: 1, or 0 if the connection ended, or an error. */
static int wait_request(struct bide__http_connection *connection)
{
    bide_http_server *server = connection->server;
    if (held(connection) > 0)
        return 1;
    give_back_memory(connection);
    if (server->is_closing)
        return take_now(connection);
    connection->is_idle = true;
    int rc = receive(connection, bide_time() + server->opts.idle_seconds);
    connection->is_idle = false;
    if (connection->is_woken) {
        connection->is_woken = false;
        bide_uncancel(connection->task);
        if (rc == -ECANCELED)
            rc = take_now(connection);
    }
    return rc > 0 ? 1 : rc;
}

/* 1: the head of a request is there; 0: none will come; -EBADMSG: it is refused; -ETIMEDOUT: it
 * took too long; or another error. */
static int read_head(struct bide__http_connection *connection)
{
    const struct bide_http_server_opts *opts = &connection->server->opts;
    head_init(connection, opts->fields_max < BIDE__HTTP_FIELDS_INLINE ? opts->fields_max
                                                                      : BIDE__HTTP_FIELDS_INLINE);
    int rc = wait_request(connection);
    if (rc <= 0)
        return rc == -ETIMEDOUT ? 0 : rc;
    connection->waits_since = 0;
    while ((rc = parse(connection)) == 0) {
        if (connection->waits_since == 0)
            connection->waits_since = bide_time();
        rc = make_room(connection, 1, 2 * (opts->head_bytes + BIDE__HTTP_IN_INLINE));
        if (rc == 0)
            rc = receive(connection, connection->waits_since + opts->header_seconds);
        if (rc <= 0)
            return rc;
    }
    return rc;
}

/* What the client asks, as texts: the byte behind each part of a head is of no more use. */

char *bide__http_connection_text(struct bide__http_connection *connection,
                                 struct bide__http1_span span)
{
    char *text = connection->in + connection->begin + span.at;
    text[span.size] = '\0';
    return text;
}

static const char *connection_header(const bide_http_request *request, const char *name)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    const char *data = connection->in + connection->begin;
    size_t size = strlen(name);
    for (uint32_t i = 0; i < connection->head.n_fields; i++) {
        struct bide__http1_span span = connection->fields[i].name;
        if (span.size == size && strncasecmp(data + span.at, name, size) == 0)
            return bide__http_connection_text(connection, connection->fields[i].value);
    }
    return NULL;
}

static size_t connection_n_headers(const bide_http_request *request)
{
    return bide__http_connection_of(request)->head.n_fields;
}

static struct bide_http_field connection_header_at(const bide_http_request *request, size_t i)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    return (struct bide_http_field){
        .name = bide__http_connection_text(connection, connection->fields[i].name),
        .value = bide__http_connection_text(connection, connection->fields[i].value)};
}

static struct bide_address connection_peer(const bide_http_request *request)
{
    struct bide_address address = {.length = 0};
    bide_stream_peer(bide__http_connection_of(request)->stream, &address);
    return address;
}

const struct bide__exchange_ops bide__http_connection_ops = {
    .read = bide__http_connection_read,
    .write = bide__http_connection_write,
    .header = connection_header,
    .n_headers = connection_n_headers,
    .header_at = connection_header_at,
    .peer = connection_peer,
    .send_file = bide__http_connection_send_file,
    .has_upgrade = true,
};

/* The authority of an absolute target lies within that, and can't be ended in place. */
static const char *host_of(struct bide__http_connection *connection)
{
    struct bide__http1_span span = connection->head.authority;
    const char *data = connection->in + connection->begin;
    if (span.size == 0)
        return "";
    if (connection->head.target_kind == BIDE__HTTP1_ORIGIN ||
        connection->head.target_kind == BIDE__HTTP1_ASTERISK)
        return bide__http_connection_text(connection, span);
    char *copy = bide_http_alloc(&connection->request, span.size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, data + span.at, span.size);
    copy[span.size] = '\0';
    return copy;
}

/* The target's path and query; no text for those that have none. */
static struct bide__http_segment origin_of(const struct bide__http_connection *connection)
{
    const char *target = connection->request.target;
    size_t size = connection->head.target.size;
    if (connection->head.target_kind == BIDE__HTTP1_ORIGIN)
        return (struct bide__http_segment){target, size};
    if (connection->head.target_kind != BIDE__HTTP1_ABSOLUTE)
        return (struct bide__http_segment){NULL, 0};
    const char *rest = strstr(target, "://") + 3;
    rest += strcspn(rest, "/?");
    return (struct bide__http_segment){rest, size - (size_t)(rest - target)};
}

/* 0; -EINVAL: the path is none; -ENOMEM. */
static int request_fill(struct bide__http_connection *connection)
{
    struct bide__http1_head *head = &connection->head;
    bide_http_request *request = &connection->request;
    bide__http_request_begin(request);
    request->ops = &bide__http_connection_ops;
    request->method = bide__http_connection_text(connection, head->method);
    request->target = bide__http_connection_text(connection, head->target);
    request->is_head = strcmp(request->method, "HEAD") == 0;
    request->version = head->minor_version == 0 ? "1.0" : "1.1";
    request->is_secure = connection->server->opts.tls;
    request->body_bytes_max = connection->server->opts.body_bytes;
    request->content_length = head->framing == BIDE__HTTP1_CHUNKED ? -1 : (int64_t)head->length;
    request->host = host_of(connection);
    if (!request->host)
        return -ENOMEM;
    struct bide__http_segment origin = origin_of(connection);
    return origin.text ? bide__http_request_take_target(request, origin) : 0;
}

static int exchange_begin(struct bide__http_connection *connection)
{
    struct bide__http1_head *head = &connection->head;
    if (head->framing != BIDE__HTTP1_NO_BODY) {
        int rc = make_room(connection, BODY_ROOM_MIN, SIZE_MAX);
        if (rc < 0)
            return rc;
    }
    bide__http1_body_init(&connection->body, head->framing, head->length);
    connection->body_at = head->size;
    connection->is_continue_due = head->flags & BIDE__HTTP1_EXPECT;
    connection->keeps_alive = head->flags & BIDE__HTTP1_KEEP_ALIVE;
    connection->is_chunked = false;
    return request_fill(connection);
}

/* While the handler runs */

static void guard_came(struct bide__stream_guard *guard)
{
    struct bide__http_connection *connection = bide__container(guard, struct bide__http_connection,
                                                               guard);
    size_t room = connection->capacity - connection->end;
    if (room == 0) /* for as long as the handler takes, whoever sends ahead is on his own */
        return;
    ssize_t n = bide__stream_guard_take(guard, connection->in + connection->end, room);
    if (n > 0)
        connection->end += (size_t)n;
    if (n > 0 || n == -EAGAIN) {
        bide__stream_guard_again(guard);
        return;
    }
    if (n == 0 && connection->server->opts.half_close)
        return;
    connection->is_gone = true;
    bide_cancel_with(connection->task, "the client is gone");
}

static bool is_of_the_connection(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNABORTED || rc == -BIDE_ETORN ||
           rc == -BIDE_EINCOMPLETE || rc == -EBADMSG || rc == -BIDE_ELIMIT;
}

static void report(struct bide__http_connection *connection, int rc)
{
    char words[256];
    bool is_gone = connection->is_gone || connection->request.is_body_late ||
                   (connection->is_upgraded && rc == -ETIMEDOUT);
    if (is_gone || is_of_the_connection(rc) || rc == -ECANCELED)
        return;
    snprintf(words, sizeof words, "%s %s: %s", connection->request.method,
             connection->request.target, bide_error_detail());
    bide_loop_report(connection->server->loop,
                     &(struct bide_report){
                         .message = "a request's handler failed", .error = rc, .detail = words});
}

static int run(struct bide__http_connection *connection)
{
    double seconds = connection->server->opts.handler_seconds;
    bide_http_request *request = &connection->request;
    if (isinf(seconds))
        return bide__http_app_answer(connection->server->app, request);
    int rc = bide__http_time_limit_begin(request, &connection->handler_limit, seconds);
    if (rc < 0)
        return rc;
    rc = bide__http_app_answer(connection->server->app, request);
    rc = bide__http_time_limit_end(request, &connection->handler_limit, rc);
    if (rc == -ETIMEDOUT && request->reply_state < BIDE__REPLY_SENT) {
        bide__http_reply_give_up(request);
        bide_http_reply_text(request, 503, "Service Unavailable\n");
    }
    return rc;
}

/* Answers one request. Whether the connection goes on: 1 or 0, or an error. What went wrong with
 * the handler was reported. */
static int exchange(struct bide__http_connection *connection)
{
    bide_http_request *request = &connection->request;
    int rc = exchange_begin(connection);
    if (rc < 0) {
        bide__http_request_end(request);
        return bide__http_connection_refuse(connection, rc == -EINVAL ? 400 : 503,
                                            rc == -EINVAL ? "a malformed path" : "no memory");
    }
    connection->guard.came = guard_came;
    bide__stream_guard_begin(&connection->guard, connection->stream);
    rc = run(connection);
    if (connection->upgrade)
        connection->upgrade->ended(connection->upgrade);
    if (rc < 0)
        report(connection, rc);
    bool is_ended = request->reply_state == BIDE__REPLY_ENDED;
    bool goes_on = is_ended && connection->keeps_alive &&
                   bide__http_connection_skip_body(connection) == 0;
    bide__stream_guard_end(&connection->guard);
    /* Without a length or chunks an orderly end would look like the answer's. */
    if (!is_ended && request->reply_state == BIDE__REPLY_SENT && !connection->is_chunked &&
        request->wire_length < 0)
        bide_abort(connection->stream);
    bide__http_request_end(request);
    connection->begin += connection->body_at;
    return goes_on;
}

static int serve(struct bide__http_connection *connection)
{
    for (;;) {
        int rc = read_head(connection);
        if (rc == -EBADMSG)
            return bide__http_connection_refuse(connection, connection->head.status,
                                                connection->head.why);
        if (rc == -ETIMEDOUT)
            return bide__http_connection_refuse(connection, 408, "the request took too long");
        if (rc == -ENOMEM)
            return bide__http_connection_refuse(connection, 503, "no memory");
        if (rc > 0)
            rc = exchange(connection);
        if (rc <= 0)
            return rc;
    }
}

int bide__http_connection_main(bide_stream *stream, void *data)
{
    bide_http_server *server = data;
    struct bide__http_connection *connection = malloc(sizeof *connection);
    if (!connection)
        return -ENOMEM;
    memset(&connection->request, 0, offsetof(bide_http_request, scratch));
    connection->server = server;
    connection->stream = stream;
    connection->task = bide_current_task();
    connection->is_idle = false;
    connection->is_woken = false;
    connection->is_gone = false;
    connection->upgrade = NULL;
    connection->is_upgraded = false;
    connection->in = connection->in_inline;
    connection->capacity = sizeof connection->in_inline;
    connection->fields = connection->fields_inline;
    connection->begin = 0;
    connection->end = 0;
    bide__list_append(&server->connections, &connection->node);
    int rc = serve(connection);
    /* A client that takes nothing must not hold what waits for the end of the connection. */
    if (bide_within(server->opts.write_seconds, bide_drain(stream)) == -ETIMEDOUT)
        bide_abort(stream);
    bide__list_remove(&connection->node);
    bide__http_fields_fini(&connection->request.fields);
    give_back_memory(connection);
    free(connection);
    return is_of_the_connection(rc) || rc > 0 ? 0 : rc;
}
