/*
 * A fetch: requests until one is answered for good.
 *
 * Invariant: a request is sent again only if no byte of an answer has come, on a connection that
 * had been idle, with a method that may be repeated, and a body that can be; and once.
 */
#include "http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

/* The connection broke before the server can have said anything. */
static bool is_stale(const bide_http_response *response, int rc)
{
    bool is_broken = rc == -EPIPE || rc == -ECONNRESET || rc == -BIDE_EINCOMPLETE ||
                     rc == -BIDE_ETRUNCATED || rc == -BIDE_ETLS;
    return is_broken && response->connection && response->connection->was_used &&
           !response->has_answered && !response->out.has_failed;
}

/* A request and the head of its answer on the connection that we have. */
static int converse(bide_http_response *response)
{
    int rc = bide__http_request_write(response);
    if (rc == 0)
        rc = bide__http_request_send(response);
    if ((rc == -EPIPE || rc == -ECONNRESET) && !response->out.has_failed) {
        /* It may have been refused, with an answer that says why. */
        response->is_sent = false;
        int answered = bide__http_answer_head(response, false);
        return answered == 0 || response->has_answered ? answered : rc;
    }
    return rc < 0 ? rc : bide__http_answer_head(response, false);
}

static int explain_broken(const bide_http_response *response, int rc)
{
    if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNABORTED)
        return bide__http_explain(response, rc, "the server broke the connection");
    return rc;
}

static int exchange(bide_http_response *response)
{
    response->phase = BIDE__HTTP_WAITING;
    int rc = bide__http_pool_origin(response);
    for (bool is_second = false; rc == 0; is_second = true) {
        bide__http_limit(response, BIDE__HTTP_WAITING, response->deadline);
        rc = bide__http_pool_acquire(response);
        if (rc == 0 && !response->connection->stream)
            rc = bide__http_connect(response);
        if (rc == 0)
            rc = converse(response);
        if (!is_second && rc < 0 && is_stale(response, rc) && is_idempotent(response->method) &&
            bide__http_out_rewind(&response->out) == 0) {
            bide__http_pool_discard(response);
            bide__http_answer_reset(response);
            rc = 0;
            continue;
        }
        break;
    }
    bide__http_pool_leave(response);
    return explain_broken(response, rc);
}

static void take_cookies(bide_http_response *response)
{
    bide_http_cookies *cookies = response->session->cookies;
    int64_t now = bide__http_now(response->session);
    for (size_t i = 0; cookies && i < response->parsed.n_fields; i++)
        if (strcasecmp(response->lines[i].field.name, "set-cookie") == 0)
            bide_http_cookies_take(cookies, response->url_shown, response->lines[i].field.value,
                                   now);
}

/* 417: the server does not understand what we expect. 1: once more, without. */
static int unexpect(bide_http_response *response)
{
    if (response->parsed.status != 417 || response->no_expect ||
        bide__http_out_rewind(&response->out) < 0)
        return 0;
    response->no_expect = true;
    bide__http_pool_discard(response);
    bide__http_answer_reset(response);
    return 1;
}

static int run(bide_http_response *response)
{
    int rc = bide__http_out_open(&response->out, response->opts);
    if (rc < 0)
        return rc;
    do {
        rc = exchange(response);
        if (rc < 0)
            return rc;
        take_cookies(response);
        rc = bide__http_answer_begin_body(response);
        if (rc == 0)
            rc = unexpect(response);
        if (rc == 0)
            rc = bide__http_redirect(response);
    } while (rc > 0);
    return rc;
}

static double seconds_or(double seconds, double otherwise)
{
    return seconds == 0 ? otherwise : seconds;
}

static int response_new(bide_http_session *session, const char *method,
                        const struct bide_http_fetch_opts *opts, bide_http_response **ret_response)
{
    size_t size = strlen(method) + 1;
    if (size > sizeof(*ret_response)->method || !(opts->total_seconds >= 0) ||
        !(opts->connect_seconds >= 0) || !(opts->read_seconds >= 0))
        return -EINVAL;
    bide_http_response *response = calloc(1, sizeof *response);
    if (!response)
        return -ENOMEM;
    bide__list_append(&session->exchanges, &response->node);
    bide__list_init(&response->wait);
    response->session = bide__http_session_ref(session);
    memcpy(response->method, method, size);
    response->opts = opts;
    response->deadline = bide_time() + seconds_or(opts->total_seconds, session->opts.total_seconds);
    response->connect_seconds = seconds_or(opts->connect_seconds, session->opts.connect_seconds);
    response->read_seconds = seconds_or(opts->read_seconds, session->opts.read_seconds);
    *ret_response = response;
    return 0;
}

int bide_http_fetch(bide_http_session *session, const char *method, const char *url,
                    const struct bide_http_fetch_opts *opts, bide_http_response **ret_response)
{
    static const struct bide_http_fetch_opts defaults;
    bide_http_response *response;
    if (!session || !method || !url || !ret_response)
        return -EINVAL;
    if (!bide_current_task())
        return -BIDE_ENOTASK;
    int rc = response_new(session, method, opts ? opts : &defaults, &response);
    if (rc < 0)
        return rc;
    rc = bide__http_url_set(response, url);
    if (rc == 0)
        rc = bide__http_request_check(response);
    if (rc == 0)
        rc = bide__http_enter(response, INFINITY);
    if (rc == 0)
        rc = bide__http_leave(response, run(response));
    response->opts = NULL;
    bide__http_out_close(&response->out);
    bide__http_text_fini(&response->head);
    if (rc < 0) {
        bide__http_response_free(response);
        return rc;
    }
    response->is_handed = true;
    *ret_response = response;
    return 0;
}

int bide_http_get(bide_http_session *session, const char *url, bide_http_response **ret_response)
{
    return bide_http_fetch(session, "GET", url, NULL, ret_response);
}

int bide_http_post(bide_http_session *session, const char *url, const char *type, const void *body,
                   size_t size, bide_http_response **ret_response)
{
    struct bide_http_fetch_opts opts = {
        .body = body ? body : "", .body_size = size, .content_type = type};
    if (!body && size > 0)
        return -EINVAL;
    return bide_http_fetch(session, "POST", url, &opts, ret_response);
}
