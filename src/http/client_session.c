/* Sessions: their options, their life, and the calls that are inside them; see client.h. */
#include "http/client.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double seconds_or(double seconds, double otherwise)
{
    return seconds == 0 ? otherwise : seconds;
}

static unsigned count_or(unsigned count, unsigned otherwise)
{
    return count == 0 ? otherwise : count;
}

enum { KIB = 1024, MIB = 1024 * KIB, FIELDS_MOST = 10000 };

/* Whether a number of seconds makes sense. */
static bool is_time(double seconds)
{
    return seconds >= 0;
}

static int check_opts(const struct bide_http_session_opts *opts)
{
    bool is_right = is_time(opts->total_seconds) && is_time(opts->connect_seconds) &&
                    is_time(opts->read_seconds) && is_time(opts->continue_seconds) &&
                    is_time(opts->idle_seconds) && opts->fields_max <= FIELDS_MOST &&
                    opts->head_bytes_max <= 16 * MIB && (opts->headers || opts->n_headers == 0);
    return is_right ? 0 : -EINVAL;
}

static void fill_opts(struct bide_http_session_opts *opts)
{
    opts->total_seconds = seconds_or(opts->total_seconds, 300);
    opts->connect_seconds = seconds_or(opts->connect_seconds, 30);
    opts->read_seconds = seconds_or(opts->read_seconds, 60);
    opts->continue_seconds = seconds_or(opts->continue_seconds, 1);
    opts->idle_seconds = seconds_or(opts->idle_seconds, 15);
    opts->connections_max = count_or(opts->connections_max, 100);
    opts->connections_per_host_max = count_or(opts->connections_per_host_max,
                                              opts->connections_max);
    opts->redirects_max = count_or(opts->redirects_max, 10);
    opts->fields_max = count_or(opts->fields_max, 128);
    opts->interim_max = count_or(opts->interim_max, 16);
    opts->head_bytes_max = opts->head_bytes_max > 0 ? opts->head_bytes_max : 64 * KIB;
    opts->body_bytes_max = opts->body_bytes_max > 0 ? opts->body_bytes_max : 64 * MIB;
    opts->unpacked_max = opts->unpacked_max > 0 ? opts->unpacked_max : 1024 * (uint64_t)MIB;
    opts->unpacked_factor = count_or(opts->unpacked_factor, 200);
}

/* The loop has ended, and tasks that were inside are gone. Memory is left for
 * bide_http_session_free(): closing streams and files from here would change the list that this is
 * called from. */
static void session_lose_loop(bide_http_session *session)
{
    bide__list_remove(&session->resource.node);
    session->is_closed = true;
    bide__http_pool_forget(session);
    bide__list_each(node, &session->exchanges)
    {
        bide__container(node, bide_http_response, node)->is_inside = false;
    }
    session->n_inside = 0;
    session->loop = NULL;
    bide__http_session_unref(session);
}

static void session_drop(struct bide__resource *resource)
{
    bide_http_session *session = bide__container(resource, bide_http_session, resource);
    bide_handle_free(session->reaper); /* the loop has dropped it */
    session->reaper = NULL;
    session_lose_loop(session);
}

static void session_forget(struct bide__resource *resource)
{
    bide_http_session *session = bide__container(resource, bide_http_session, resource);
    session->reaper = NULL; /* the parent's */
    session_lose_loop(session);
}

static int copy_headers(bide_http_session *session, const struct bide_http_session_opts *opts)
{
    int rc = 0;
    for (size_t i = 0; i < opts->n_headers && rc == 0; i++)
        rc = bide_http_fields_add(&session->headers, opts->headers[i].name, opts->headers[i].value);
    return rc;
}

static int session_fill(bide_http_session *session, const struct bide_http_session_opts *opts)
{
    int rc = copy_headers(session, opts);
    if (rc == 0)
        rc = bide__http_proxies_init(&session->proxies, opts);
    if (rc < 0)
        return rc;
    session->tls = bide__http_tls_ref(opts->tls);
    if (opts->tls && !session->tls)
        return -ENOSYS;
    session->connect = opts->connect;
    if (opts->connect.local) {
        session->local = *opts->connect.local;
        session->connect.local = &session->local;
    }
    session->cookies = opts->no_cookies ? NULL : opts->cookies;
    session->owns_cookies = !opts->no_cookies && !opts->cookies;
    return session->owns_cookies ? bide_http_cookies_new(&session->cookies) : 0;
}

int bide_http_session_new(const struct bide_http_session_opts *opts,
                          bide_http_session **ret_session)
{
    static const struct bide_http_session_opts defaults;
    opts = opts ? opts : &defaults;
    int rc = ret_session ? check_opts(opts) : -EINVAL;
    if (rc < 0)
        return rc;
    bide_http_session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    session->refs = 1;
    session->opts = *opts;
    fill_opts(&session->opts);
    session->resource.drop = session_drop;
    session->resource.forget = session_forget;
    bide__list_init(&session->resource.node);
    bide__list_init(&session->exchanges);
    bide__list_init(&session->ages);
    bide__list_init(&session->dead);
    bide__list_init(&session->hungry);
    rc = session_fill(session, opts);
    if (rc < 0)
        bide__http_session_unref(session);
    else
        *ret_session = session;
    return rc;
}

bide_http_session *bide__http_session_ref(bide_http_session *session)
{
    session->refs++;
    return session;
}

void bide__http_session_unref(bide_http_session *session)
{
    if (--session->refs > 0)
        return;
    bide__http_proxies_fini(&session->proxies);
    bide__http_fields_fini(&session->headers);
    bide__http_tls_unref(session->tls);
    if (session->owns_cookies)
        bide_http_cookies_free(session->cookies);
    free(session);
}

/* The session belongs to the loop of its first call. */
static int session_bind(bide_http_session *session)
{
    bide_loop *loop = bide_loop_current();
    if (!loop || !bide_current_task())
        return -BIDE_ENOTASK;
    if (session->loop == loop)
        return 0;
    if (session->loop)
        return -EXDEV;
    session->loop = loop;
    bide__list_append(&loop->resources, &session->resource.node);
    session->refs++; /* the loop's */
    return 0;
}

int bide__http_enter(bide_http_response *response, double seconds)
{
    bide_http_session *session = response->session;
    if (response->is_inside)
        return -EBUSY;
    if (session->is_closed)
        return bide__http_explain(response, -ESHUTDOWN, "the session is closed");
    int rc = session_bind(session);
    if (rc == 0) {
        double left = response->deadline - bide_time();
        rc = bide_timeout_begin(bide__http_sooner(seconds, left), &response->limit);
    }
    if (rc < 0)
        return rc;
    response->is_inside = true;
    session->n_inside++;
    return 0;
}

static const char *const doing[] = {[BIDE__HTTP_WAITING] = "waiting for a connection",
                                    [BIDE__HTTP_CONNECTING] = "connecting",
                                    [BIDE__HTTP_SENDING] = "sending the request",
                                    [BIDE__HTTP_ANSWERING] = "waiting for the answer",
                                    [BIDE__HTTP_READING] = "reading the body"};

/* The session was closed, or a limit has passed: which one it was, in words. */
static int explain_end(bide_http_response *response)
{
    if (response->session->is_closed)
        return bide__http_explain(response, -ESHUTDOWN, "the session was closed");
    bool is_total = bide_time() >= response->deadline;
    return bide__http_explain(response, -ETIMEDOUT,
                              is_total ? "out of time for the whole of it" : "out of time");
}

int bide__http_leave(bide_http_response *response, int rc)
{
    bide_http_session *session = response->session;
    bool has_expired = bide_timeout_expired(response->limit);
    rc = bide_timeout_end(response->limit, rc);
    response->limit = NULL;
    response->is_inside = false;
    if (--session->n_inside == 0)
        bide_event_set(&session->quiet);
    if ((has_expired && rc == -ETIMEDOUT) || (session->is_closed && rc == -ECONNABORTED))
        rc = explain_end(response);
    return rc;
}

void bide__http_limit(bide_http_response *response, enum bide__http_phase phase, double seconds)
{
    response->phase = phase;
    double deadline = bide__http_sooner(response->deadline, bide_time() + seconds);
    bide_timeout_move(response->limit, deadline);
}

int bide__http_explain(const bide_http_response *response, int error, const char *format, ...)
{
    char words[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    bide__detail_set(error, "%s %s: %s: %s", response->method,
                     response->server[0] ? response->server : "?", doing[response->phase], words);
    return error;
}

/* Ends what is under way: calls that are inside at their next wait, answers that nobody reads now
 * at once. */
static void session_end(bide_http_session *session)
{
    session->is_closed = true;
    bide__list_each(node, &session->exchanges)
    {
        bide_http_response *response = bide__container(node, bide_http_response, node);
        if (response->is_inside) {
            bide_timeout_move(response->limit, 0);
        } else if (response->connection) {
            response->error = -ESHUTDOWN;
            bide__http_pool_discard(response);
        }
    }
    bide__http_pool_close(session, -ESHUTDOWN);
}

int bide_http_session_close(bide_http_session *session)
{
    if (!session)
        return -EINVAL;
    if (!bide_current_task())
        return -BIDE_ENOTASK;
    if (session->loop && session->loop != bide_loop_current())
        return -EXDEV;
    session->refs++;
    if (!session->is_closed)
        session_end(session);
    bide_event_clear(&session->quiet);
    if (session->n_inside > 0)
        bide_shielded(INFINITY, bide_event_wait(&session->quiet));
    bide__http_pool_bury(session);
    bide__http_session_unref(session);
    return 0;
}

/* What abandoned tasks have left. */
static void free_abandoned(bide_http_session *session)
{
    bide__list_each(node, &session->exchanges)
    {
        bide_http_response *response = bide__container(node, bide_http_response, node);
        if (!response->is_handed)
            bide__http_response_free(response);
    }
}

void bide_http_session_free(bide_http_session *session)
{
    if (!session)
        return;
    if (!session->is_closed)
        session_end(session);
    else
        bide__http_pool_close(session, -ESHUTDOWN);
    bide__http_pool_break(session);
    if (!session->loop)
        free_abandoned(session);
    if (session->loop && bide__list_linked(&session->resource.node)) {
        bide__list_remove(&session->resource.node);
        session->refs--; /* the loop's */
    }
    bide__http_session_unref(session);
}

bide_http_cookies *bide_http_session_cookies(bide_http_session *session)
{
    return session ? session->cookies : NULL;
}

size_t bide_http_session_connections(const bide_http_session *session, size_t *ret_idle)
{
    if (ret_idle)
        *ret_idle = session ? session->n_idle : 0;
    return session ? session->n_connections : 0;
}
