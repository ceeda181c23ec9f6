/* One connection of a server; the invariants stand in connection.h. */
#include "http/connection.h"

#include "base/time.h"
#include "base/watched.h"
#include "runtime/loop.h"
#include "runtime/scope.h"

#include <bide/error.h>
#include <bide/stream.h>
#include <bide/task.h>
#include <bide/timeout.h>
#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { BODY_ROOM_MIN = 4096, SPARE_MAX = BIDE__ASAN ? 0 : 64 };

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

/* Nothing beyond itself. */
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

/* What a request needs */

static void connection_free(struct bide__http_connection *connection)
{
    bide__http_fields_fini(&connection->request.fields);
    free(connection);
}

void bide__http_connections_free(bide_http_server *server)
{
    while (server->spare) {
        struct bide__http_connection *connection = server->spare;
        server->spare = connection->next_spare;
        connection_free(connection);
    }
}

static struct bide__http_connection *connection_new(bide_http_server *server)
{
    struct bide__http_connection *connection = malloc(sizeof *connection);
    if (!connection)
        return NULL;
    memset(&connection->request, 0, offsetof(bide_http_request, scratch));
    connection->server = server;
    connection->guard.stream = NULL;
    connection->in = connection->in_inline;
    connection->capacity = sizeof connection->in_inline;
    connection->fields = connection->fields_inline;
    connection->begin = 0;
    connection->end = 0;
    return connection;
}

/* 0 or -ENOMEM. */
static int connection_take(struct bide__http_peer *peer)
{
    bide_http_server *server = peer->server;
    struct bide__http_connection *connection = server->spare;
    if (peer->connection)
        return 0;
    if (connection) {
        server->spare = connection->next_spare;
        server->n_spare--;
    } else {
        connection = connection_new(server);
        if (!connection)
            return -ENOMEM;
    }
    connection->peer = peer;
    connection->stream = peer->stream;
    connection->task = peer->task;
    connection->upgrade = NULL;
    connection->is_upgraded = false;
    connection->is_gone = false;
    connection->refused_status = 0;
    connection->waits_since = 0;
    connection->head.target.size = 0; /* nothing of the one before is told of this one */
    connection->head.n_fields = 0;
    peer->connection = connection;
    return 0;
}

static void connection_give(struct bide__http_peer *peer)
{
    bide_http_server *server = peer->server;
    struct bide__http_connection *connection = peer->connection;
    if (!connection)
        return;
    peer->connection = NULL;
    give_back_memory(connection);
    if (server->n_spare == SPARE_MAX) {
        connection_free(connection);
        return;
    }
    connection->next_spare = server->spare;
    server->spare = connection;
    server->n_spare++;
}

void bide__http_peer_drop(struct bide__http_peer *peer)
{
    struct bide__http_connection *connection = peer->connection;
    bide__list_remove(&peer->node);
    if (connection) {
        if (connection->upgrade)
            connection->upgrade->ended(connection->upgrade);
        if (connection->guard.stream)
            bide__stream_guard_end(&connection->guard);
        bide__http_request_end(&connection->request);
    }
    connection_give(peer);
    free(peer);
}

/* Waiting */

/* No limit any more. One that has passed just now came too late. */
static int limit_lift(struct bide__http_peer *peer)
{
    if (bide__timeout_postpone(peer->limit, BIDE__NEVER) == 0)
        return 0;
    bide_timeout_end(peer->limit, 0);
    return bide_timeout_begin(INFINITY, &peer->limit);
}

/* What has come: at least 1 byte; 0 at the end of the stream; -EAGAIN, or an error. `read`: how. */
static int take(struct bide__http_peer *peer,
                ssize_t (*read)(bide_stream *stream, void *buffer, size_t size))
{
    int rc = connection_take(peer);
    if (rc < 0)
        return rc;
    struct bide__http_connection *connection = peer->connection;
    size_t room = connection->capacity - connection->end;
    rc = (int)read(peer->stream, connection->in + connection->end, room);
    connection->end += rc > 0 ? (size_t)rc : 0;
    connection->was_full = rc > 0 && (size_t)rc == room;
    return rc;
}

/* Whether it was ended, because the server closes. */
static bool idle_end(struct bide__http_peer *peer)
{
    bool is_woken = peer->is_woken;
    peer->is_idle = false;
    peer->is_woken = false;
    if (is_woken)
        bide_uncancel(peer->task);
    return is_woken;
}

/* Waits without a connection until something may have come: 0, or an error. */
static int wait_idle(struct bide__http_peer *peer)
{
    bide_http_server *server = peer->server;
    connection_give(peer);
    bide__stream_flush(peer->stream);
    bide__timeout_postpone(peer->limit,
                           bide__deadline_ns(server->loop->polled_ns, server->opts.idle_seconds));
    peer->is_idle = true;
    int rc = bide__stream_wait_input(peer->stream);
    return idle_end(peer) && rc == -ECANCELED ? 0 : rc;
}

/* The beginning of a request: 1, or 0 if the connection ended, or an error. What has come before
 * the server was closed is a request that was begun. */
static int wait_request(struct bide__http_peer *peer)
{
    if (peer->connection && held(peer->connection) > 0)
        return 1;
    bool was_full = peer->connection && peer->connection->was_full;
    if (peer->connection)
        give_back_memory(peer->connection);
    int rc = peer->server->is_closing ? take(peer, bide__stream_take_now)
             : was_full               ? take(peer, bide__stream_read_now)
                                      : -EAGAIN;
    while (rc == -EAGAIN && !peer->server->is_closing) {
        rc = wait_idle(peer);
        if (rc == 0)
            rc = take(peer, bide__stream_take_now);
        if (rc > 0)
            rc = limit_lift(peer) < 0 ? -ENOMEM : 1;
    }
    return rc > 0 ? 1 : rc == -EAGAIN ? 0 : rc;
}

static int receive(struct bide__http_connection *connection)
{
    int rc = bide_read(connection->stream, connection->in + connection->end,
                       connection->capacity - connection->end);
    if (rc > 0)
        connection->end += (size_t)rc;
    return rc;
}

/* Of a head that did not come at once: 1, or 0 if the connection ended, or an error. */
static int read_rest(struct bide__http_connection *connection)
{
    const struct bide_http_server_opts *opts = &connection->server->opts;
    struct bide__http_peer *peer = connection->peer;
    int rc;
    connection->waits_since = bide_time();
    bide_timeout_move(peer->limit, connection->waits_since + opts->header_seconds);
    do {
        rc = make_room(connection, 1, 2 * (opts->head_bytes + BIDE__HTTP_IN_INLINE));
        if (rc == 0)
            rc = receive(connection);
        if (rc <= 0)
            return rc;
        rc = parse(connection);
    } while (rc == 0);
    int lifted = limit_lift(peer);
    return lifted < 0 ? lifted : rc;
}

/* 1: the head of a request is there; 0: none will come; -EBADMSG: it is refused; -ECANCELED: it
 * took too long, perhaps; or another error. */
static int read_head(struct bide__http_peer *peer)
{
    const struct bide_http_server_opts *opts = &peer->server->opts;
    int rc = wait_request(peer);
    if (rc <= 0)
        return rc;
    struct bide__http_connection *connection = peer->connection;
    connection->waits_since = 0;
    head_init(connection, opts->fields_max < BIDE__HTTP_FIELDS_INLINE ? opts->fields_max
                                                                      : BIDE__HTTP_FIELDS_INLINE);
    rc = parse(connection);
    return rc == 0 ? read_rest(connection) : rc;
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
           rc == -BIDE_EINCOMPLETE || rc == -BIDE_ETRUNCATED || rc == -BIDE_ETLS ||
           rc == -EBADMSG || rc == -BIDE_ELIMIT;
}

static void report(struct bide__http_connection *connection, int rc)
{
    char words[256];
    bool is_gone = connection->is_gone || connection->request.is_body_late ||
                   (connection->is_upgraded && rc == -ETIMEDOUT);
    if (is_gone || is_of_the_connection(rc) || rc == -ECANCELED || rc == -EMEDIUMTYPE)
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

/* It is answered as one that came to no handler; nothing comes after it. */
static int refused(struct bide__http_connection *connection, int status, const char *why)
{
    connection->refused_status = status;
    connection->refused_why = why;
    return -EBADMSG;
}

/* Answers one request. Whether the connection goes on: 1 or 0, or an error. What went wrong with
 * the handler was reported. */
static int exchange(struct bide__http_connection *connection)
{
    bide_http_request *request = &connection->request;
    int rc = exchange_begin(connection);
    if (rc < 0) {
        bide__http_request_end(request);
        return refused(connection, rc == -EINVAL ? 400 : 503,
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

/* Until there are no more requests: 0, or an error. */
static int serve(struct bide__http_peer *peer)
{
    for (;;) {
        int rc = read_head(peer);
        struct bide__http_connection *connection = peer->connection;
        if (rc == -EBADMSG)
            return refused(connection, connection->head.status, connection->head.why);
        if (rc == -ENOMEM && connection && held(connection) > 0)
            return refused(connection, 503, "no memory");
        if (rc > 0)
            rc = exchange(connection);
        if (rc <= 0)
            return rc;
    }
}

/* Within the limit for waiting, which ends before what it stopped is answered. */
static int serve_all(struct bide__http_peer *peer)
{
    int rc = bide_timeout_begin(INFINITY, &peer->limit);
    if (rc < 0)
        return rc;
    rc = bide_timeout_end(peer->limit, serve(peer));
    struct bide__http_connection *connection = peer->connection;
    if (rc == -ETIMEDOUT && connection && held(connection) > 0)
        refused(connection, 408, "the request took too long");
    else if (rc == -ETIMEDOUT)
        rc = 0;
    if (connection && connection->refused_status > 0)
        rc = bide__http_connection_refuse(connection, connection->refused_status,
                                          connection->refused_why);
    return rc;
}

#if BIDE_HAVE_TLS
/* Nothing has been asked meanwhile, so that a server that closes need not wait for it. Failures are
 * the context's to count: whatever scans the network causes them. */
static int shake_hands(struct bide__http_peer *peer)
{
    const struct bide_http_server_opts *opts = &peer->server->opts;
    struct bide_tls_opts tls = {.handshake_seconds = opts->handshake_seconds};
    if (peer->server->is_closing)
        return -ECONNABORTED;
    peer->is_idle = true;
    int rc = bide_tls_start_server(peer->stream, opts->tls, &tls);
    if (idle_end(peer) && rc < 0)
        rc = -ECONNABORTED;
    return rc < 0 && rc != -ECANCELED && rc != -ENOMEM ? -ECONNABORTED : rc;
}
#else
static int shake_hands(struct bide__http_peer *peer)
{
    (void)peer;
    return -ENOSYS;
}
#endif

int bide__http_connection_main(bide_stream *stream, void *data)
{
    bide_http_server *server = data;
    struct bide__http_peer *peer = malloc(sizeof *peer);
    if (!peer)
        return -ENOMEM;
    *peer = (struct bide__http_peer){
        .server = server, .stream = stream, .task = bide_current_task()};
    bide__list_append(&server->peers, &peer->node);
    int rc = server->opts.tls ? shake_hands(peer) : 0;
    if (rc == 0)
        rc = serve_all(peer);
    /* A client that takes nothing must not hold what waits for the end of the connection. */
    if (bide_within(server->opts.write_seconds, bide_drain(stream)) == -ETIMEDOUT)
        bide_abort(stream);
    bide__list_remove(&peer->node);
    connection_give(peer);
    free(peer);
    return is_of_the_connection(rc) || rc > 0 ? 0 : rc;
}
