/*
 * The pool of a session: connections by where they lead to, and who waits for one.
 *
 * Invariants
 *  - Who waits is served first come first served among all whom there is something for: an idle
 * connection to their origin, or room for a new one under both limits.
 *  - A connection that is given is taken out of its list, and counted, by whoever gives it, before
 * the one who is woken runs.
 *  - Nothing here suspends: connections are closed after an abort, or by the reaper, which is no
 * task.
 */
#include "http/client.h"

#include "io/stream/stream.h"

#include <bide/awaitable.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void dispatch(bide_http_session *session);
static int reap(void *data);

/* Origins */

static size_t hash_of(const char *key)
{
    size_t hash = 1469598103934665603u;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash;
}

static struct bide__http_origin **find(bide_http_session *session, const char *key, size_t hash)
{
    struct bide__http_origin **link = &session->origins[hash % BIDE__HTTP_ORIGIN_BUCKETS];
    while (*link && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

/* One that nobody uses goes. */
static void origin_unref(bide_http_session *session, struct bide__http_origin *origin)
{
    if (!origin || --origin->refs > 0)
        return;
    struct bide__http_origin **link = find(session, origin->key, origin->hash);
    *link = origin->next;
    free(origin);
}

static struct bide__http_origin *origin_new(const struct bide__http_text *key, size_t hash,
                                            size_t host_at)
{
    struct bide__http_origin *origin = calloc(1, sizeof *origin + key->size);
    if (!origin)
        return NULL;
    memcpy(origin->key, key->data, key->size);
    origin->host = origin->key + host_at;
    origin->hash = hash;
    bide__list_init(&origin->idle);
    bide__list_init(&origin->waiters);
    bide__list_init(&origin->hungry);
    return origin;
}

/* "https host 443", or "proxy" for all that a proxy forwards; behind the NUL the host again. */
static size_t write_key(const bide_http_response *response, const struct bide__http_proxy *proxy,
                        bool is_secure, const char *host, struct bide__http_text *key)
{
    unsigned port = bide_url_port(&response->parts);
    if (proxy && !is_secure) {
        bide__http_text_say(key, "proxy");
    } else {
        bide__http_text_say(key, proxy ? "tunnel " : "");
        bide__http_text_say(key, is_secure ? "https " : "http ");
        bide__http_text_say(key, host);
        bide__http_text_say(key, " ");
        bide__http_text_number(key, port);
    }
    bide__http_text_add(key, "", 1);
    size_t host_at = key->size;
    bide__http_text_add(key, host, strlen(host) + 1);
    return host_at;
}

int bide__http_pool_origin(bide_http_response *response)
{
    bide_http_session *session = response->session;
    char host[256];
    int length = bide_url_decode(response->parts.host.data, response->parts.host.size, host,
                                 sizeof host);
    if (length < 0 || (size_t)length >= sizeof host || strlen(host) != (size_t)length)
        return bide__http_explain(response, -EINVAL, "no name of a host");
    bool is_secure = response->parts.scheme.size == 5;
    unsigned port = bide_url_port(&response->parts);
    const struct bide__http_proxy *proxy = bide__http_proxy_for(&session->proxies, is_secure, host,
                                                                port);
    struct bide__http_text key = {0};
    size_t host_at = write_key(response, proxy, is_secure, host, &key);
    if (key.has_failed) {
        bide__http_text_fini(&key);
        return -ENOMEM;
    }
    size_t hash = hash_of(key.data);
    struct bide__http_origin **link = find(session, key.data, hash);
    struct bide__http_origin *origin = *link;
    if (!origin && (origin = origin_new(&key, hash, host_at))) {
        origin->is_secure = is_secure;
        origin->is_tunnel = proxy && is_secure;
        origin->proxy = proxy;
        origin->port = port;
        *link = origin;
    }
    bide__http_text_fini(&key);
    if (!origin)
        return -ENOMEM;
    origin->refs++;
    origin_unref(session, response->origin);
    response->origin = origin;
    return 0;
}

void bide__http_pool_leave(bide_http_response *response)
{
    origin_unref(response->session, response->origin);
    response->origin = NULL;
}

/* Connections */

/* The server has ended it, or said something that nobody asked for. */
static bool is_dead(const struct bide__http_connection *connection)
{
    struct bide__channel *channel = &connection->stream->channel;
    char byte;
    if (bide__stream_buffered(connection->stream) > 0 || channel->eof || !channel->sock)
        return true;
    /* The engine may remember that there was nothing, and look only when it is asked again. */
    return bide__channel_recv(channel, &byte, 1) != -EAGAIN ||
           bide__channel_recv(channel, &byte, 1) != -EAGAIN;
}

/* It counts no more. */
static void connection_leave(bide_http_session *session, struct bide__http_connection *connection)
{
    assert(connection->origin);
    session->n_connections--;
    connection->origin->n_connections--;
    origin_unref(session, connection->origin);
    connection->origin = NULL;
}

static void connection_free(struct bide__http_connection *connection)
{
    bide_close(connection->stream);
    free(connection);
}

static void connection_break(bide_http_session *session, struct bide__http_connection *connection)
{
    connection_leave(session, connection);
    bide_abort(connection->stream);
    connection_free(connection);
}

static void take_idle(bide_http_session *session, struct bide__http_connection *connection)
{
    bide__list_remove(&connection->node);
    bide__list_remove(&connection->age);
    session->n_idle--;
}

/* An idle connection of the origin that is alive; NULL if there is none. */
static struct bide__http_connection *find_idle(bide_http_session *session,
                                               struct bide__http_origin *origin)
{
    struct bide__list *node;
    while ((node = bide__list_first(&origin->idle))) {
        struct bide__http_connection *connection = bide__container(
            node, struct bide__http_connection, node);
        take_idle(session, connection);
        if (!is_dead(connection))
            return connection;
        connection_break(session, connection);
    }
    return NULL;
}

static void drop_reaper(bide_http_session *session)
{
    bide_handle_cancel(session->reaper);
    bide_handle_free(session->reaper);
    session->reaper = NULL;
}

/* Has the reaper run in so many seconds, or before. */
static void call_reaper(bide_http_session *session, double seconds)
{
    bide_handle *handle;
    double due = bide_loop_time(session->loop) + seconds;
    if (session->reaper && session->reaper_due <= due)
        return;
    if (bide_loop_call_later(session->loop, seconds, reap, session, NULL, &handle) < 0)
        return; /* without memory connections stay until the next occasion */
    drop_reaper(session);
    session->reaper = handle;
    session->reaper_due = due;
}

/* Has an idle connection closed in the words that its protocol has for that, which may take a
 * moment. */
static void retire(bide_http_session *session, struct bide__http_connection *connection)
{
    take_idle(session, connection);
    connection_leave(session, connection);
    bide__list_append(&session->dead, &connection->node);
    call_reaper(session, 0);
}

void bide__http_pool_bury(bide_http_session *session)
{
    struct bide__list *node;
    while ((node = bide__list_pop(&session->dead)))
        connection_free(bide__container(node, struct bide__http_connection, node));
}

static struct bide__http_connection *oldest_idle(const bide_http_session *session)
{
    struct bide__list *node = bide__list_first(&session->ages);
    return node ? bide__container(node, struct bide__http_connection, age) : NULL;
}

/* On the loop, outside of tasks: closing does not wait there. */
static int reap(void *data)
{
    bide_http_session *session = data;
    struct bide__http_connection *connection;
    bide_handle_free(session->reaper);
    session->reaper = NULL;
    while ((connection = oldest_idle(session))) {
        double left = connection->idle_since + session->opts.idle_seconds -
                      bide_loop_time(session->loop);
        if (left > 0) {
            call_reaper(session, left);
            break;
        }
        take_idle(session, connection);
        connection_leave(session, connection);
        bide__list_append(&session->dead, &connection->node);
    }
    bide__http_pool_bury(session);
    dispatch(session);
    return 0;
}

/* Giving */

/* Whether there is something for who waits longest for the origin; gives it. */
static bool give(bide_http_session *session, struct bide__http_origin *origin)
{
    bide_http_response *response = bide__container(bide__list_first(&origin->waiters),
                                                   bide_http_response, wait);
    struct bide__http_connection *connection = find_idle(session, origin);
    if (!connection) {
        if (origin->n_connections >= session->opts.connections_per_host_max)
            return false;
        if (session->n_connections >= session->opts.connections_max) {
            if (!oldest_idle(session))
                return false;
            retire(session, oldest_idle(session));
        }
        connection = response->spare;
        assert(connection);
        response->spare = NULL;
        connection->origin = origin;
        origin->refs++;
        origin->n_connections++;
        session->n_connections++;
    }
    bide__list_remove(&response->wait);
    if (bide__list_empty(&origin->waiters))
        bide__list_remove(&origin->hungry);
    response->connection = connection;
    if (response->waker)
        bide_wake(response->waker, 0);
    response->waker = NULL;
    return true;
}

/* Of an origin for which somebody waits. */
static uint64_t first_ticket(const struct bide__http_origin *origin)
{
    return bide__container(origin->waiters.next, bide_http_response, wait)->ticket;
}

/* Serves the one that came first of all whom something can be given. */
static bool serve_one(bide_http_session *session)
{
    for (uint64_t from = 0;;) {
        struct bide__http_origin *next = NULL;
        bide__list_each(node, &session->hungry)
        {
            struct bide__http_origin *origin = bide__container(node, struct bide__http_origin,
                                                               hungry);
            if (first_ticket(origin) >= from &&
                (!next || first_ticket(origin) < first_ticket(next)))
                next = origin;
        }
        if (!next)
            return false;
        from = first_ticket(next) + 1;
        if (give(session, next))
            return true;
    }
}

static void dispatch(bide_http_session *session)
{
    while (!bide__list_empty(&session->hungry) && serve_one(session))
        ;
}

/* Waiting */

static int wait_start(void *object, bide_waker *waker)
{
    bide_http_response *response = object;
    if (response->connection)
        return 0;
    response->waker = waker;
    return -BIDE_EPENDING;
}

static void leave_line(bide_http_response *response)
{
    bide__list_remove(&response->wait);
    if (bide__list_empty(&response->origin->waiters))
        bide__list_remove(&response->origin->hungry);
}

static void wait_cancel(void *object, bide_waker *waker)
{
    bide_http_response *response = object;
    response->waker = NULL;
    leave_line(response);
    bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable pool_wait = {
    .name = "HTTP connection", .start = wait_start, .cancel = wait_cancel};

static void join_line(bide_http_response *response)
{
    bide_http_session *session = response->session;
    struct bide__http_origin *origin = response->origin;
    response->ticket = session->n_tickets++;
    bide__list_append(&origin->waiters, &response->wait);
    if (!bide__list_linked(&origin->hungry))
        bide__list_append(&session->hungry, &origin->hungry);
}

int bide__http_pool_acquire(bide_http_response *response)
{
    bide_http_session *session = response->session;
    assert(!response->connection);
    if (!response->spare && !(response->spare = calloc(1, sizeof *response->spare)))
        return -ENOMEM;
    bide__list_init(&response->spare->node);
    bide__list_init(&response->spare->age);
    join_line(response);
    dispatch(session);
    int rc = bide_await_object(&pool_wait, response);
    if (rc < 0 && bide__list_linked(&response->wait))
        leave_line(response); /* it was refused before it began */
    if (rc < 0 && response->connection)
        bide__http_pool_release(response);
    return rc;
}

/* Taking back */

void bide__http_pool_release(bide_http_response *response)
{
    bide_http_session *session = response->session;
    struct bide__http_connection *connection = response->connection;
    if (session->is_closed || !connection->stream) {
        bide__http_pool_discard(response);
        return;
    }
    response->connection = NULL;
    connection->was_used = true;
    connection->idle_since = bide_loop_time(session->loop);
    struct bide__list *first = connection->origin->idle.next;
    connection->node.next = first; /* in front */
    connection->node.prev = first->prev;
    first->prev->next = &connection->node;
    first->prev = &connection->node;
    bide__list_append(&session->ages, &connection->age);
    session->n_idle++;
    call_reaper(session, session->opts.idle_seconds);
    dispatch(session);
}

void bide__http_pool_discard(bide_http_response *response)
{
    struct bide__http_connection *connection = response->connection;
    if (!connection)
        return;
    response->connection = NULL;
    connection_break(response->session, connection);
    if (!response->session->is_closed)
        dispatch(response->session);
}

/* The end */

static void refuse_waiters(bide_http_session *session, int error)
{
    struct bide__list *node;
    while ((node = bide__list_first(&session->hungry))) {
        struct bide__http_origin *origin = bide__container(node, struct bide__http_origin, hungry);
        bide_http_response *response = bide__container(bide__list_first(&origin->waiters),
                                                       bide_http_response, wait);
        leave_line(response);
        if (response->waker)
            bide_wake(response->waker, error);
        response->waker = NULL;
    }
}

void bide__http_pool_close(bide_http_session *session, int error)
{
    struct bide__http_connection *connection;
    refuse_waiters(session, error);
    while ((connection = oldest_idle(session))) {
        take_idle(session, connection);
        connection_leave(session, connection);
        bide__list_append(&session->dead, &connection->node);
    }
    drop_reaper(session);
}

void bide__http_pool_break(bide_http_session *session)
{
    bide__list_each(node, &session->dead)
    {
        bide_abort(bide__container(node, struct bide__http_connection, node)->stream);
    }
    bide__http_pool_bury(session);
}

void bide__http_pool_forget(bide_http_session *session)
{
    struct bide__list *node;
    while ((node = bide__list_first(&session->hungry))) {
        struct bide__http_origin *origin = bide__container(node, struct bide__http_origin, hungry);
        bide_http_response *response = bide__container(bide__list_first(&origin->waiters),
                                                       bide_http_response, wait);
        response->waker = NULL; /* its task is gone */
        leave_line(response);
    }
}
