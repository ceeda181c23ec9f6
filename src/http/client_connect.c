/*
 * Connecting: directly, to a proxy, through a proxy's tunnel; and TLS on top.
 *
 * Invariant: a connection gets its stream only when it may carry requests.
 */
#include "http/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>

#include "tls/shared.h"

/* Sessions that bring none share one, which offers HTTP/1.1 alone. */
int bide__http_tls_context(bide_http_session *session)
{
    bide_tls_context *context;
    if (session->tls)
        return 0;
    int rc = bide__tls_shared_await(BIDE__TLS_SHARED_HTTP1, &context);
    if (rc == 0 && !session->tls)
        session->tls = bide_tls_ref(context);
    return rc;
}

struct bide_tls_context *bide__http_tls_ref(struct bide_tls_context *context)
{
    return bide_tls_ref(context);
}

void bide__http_tls_unref(struct bide_tls_context *context)
{
    bide_tls_unref(context);
}

static int start_tls(bide_http_response *response, bide_stream *stream)
{
    struct bide_tls_info info;
    struct bide_tls_opts opts = {.server_name = response->origin->host};
    int rc = bide_tls_start_client(stream, response->session->tls, &opts);
    if (rc == 0)
        rc = bide_tls_info_get(stream, &info);
    if (rc == 0 && info.alpn && strcmp(info.alpn, "http/1.1") != 0)
        rc = bide__http_explain(response, -EPROTO, "TLS agreed on \"%s\"", info.alpn);
    return rc;
}
#else
int bide__http_tls_context(bide_http_session *session)
{
    (void)session;
    return -ENOSYS;
}

struct bide_tls_context *bide__http_tls_ref(struct bide_tls_context *context)
{
    (void)context;
    return NULL;
}

void bide__http_tls_unref(struct bide_tls_context *context)
{
    (void)context;
}

static int start_tls(bide_http_response *response, bide_stream *stream)
{
    (void)stream;
    return bide__http_explain(response, -ENOSYS, "this library was built without TLS");
}
#endif

/* What a proxy answers to CONNECT: a head, and then what the server says, so that it is read byte
 * by byte up to its end. */
static int read_tunnel_head(bide_http_response *response, bide_stream *stream)
{
    char *data;
    struct bide__http1_head head;
    struct bide__http1_limits limits = {.line_bytes = 8192, .head_bytes = 16384, .n_fields = 64};
    struct bide__http1_field *fields = malloc(limits.n_fields * sizeof *fields);
    if (!fields)
        return -ENOMEM;
    bide__http1_head_init(&head, BIDE__HTTP1_RESPONSE, &limits, fields);
    head.is_for_connect = true;
    int rc = bide_read_until(stream, "\r\n\r\n", 4, &data);
    int size = rc > 0 ? bide__http1_head_parse(&head, data, (size_t)rc) : rc;
    free(fields);
    if (rc < 0)
        return bide__http_explain(response, rc, "the proxy did not answer");
    if (size != rc)
        return bide__http_explain(response, -EBADMSG, "the proxy's answer is no HTTP: %s",
                                  head.why ? head.why : "no head");
    if (head.status / 100 != 2)
        return bide__http_explain(response, -EPROTO, "the proxy refused: %d %.*s", head.status,
                                  (int)head.reason.size, data + head.reason.at);
    return 0;
}

static int open_tunnel(bide_http_response *response, bide_stream *stream)
{
    const struct bide__http_origin *origin = response->origin;
    const char *host = origin->host;
    const char *brackets = strchr(host, ':') ? "[]" : NULL;
    struct bide__http_text text = {0};
    char authority[300];
    snprintf(authority, sizeof authority, "%.1s%s%.1s:%u", brackets ? brackets : "", host,
             brackets ? brackets + 1 : "", origin->port);
    bide__http_text_print(&text, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority, authority);
    if (origin->proxy->credentials)
        bide__http_text_print(&text, "Proxy-Authorization: %s\r\n", origin->proxy->credentials);
    bide__http_text_say(&text, "\r\n");
    int rc = text.has_failed ? -ENOMEM : bide_write(stream, text.data, text.size);
    bide__http_text_fini(&text);
    return rc < 0 ? rc : read_tunnel_head(response, stream);
}

/* TLS also finds out itself that there is input that came in clear. */
static int dress(bide_http_response *response, bide_stream *stream)
{
    int rc = response->origin->is_tunnel ? open_tunnel(response, stream) : 0;
    if (rc == 0 && response->origin->is_secure)
        rc = start_tls(response, stream);
    return rc;
}

int bide__http_connect(bide_http_response *response)
{
    bide_http_session *session = response->session;
    const struct bide__http_origin *origin = response->origin;
    const struct bide__http_proxy *proxy = origin->proxy;
    bide_stream **stream = &response->connection->stream;
    bide__http_limit(response, BIDE__HTTP_CONNECTING, response->connect_seconds);
    int rc = origin->is_secure ? bide__http_tls_context(session) : 0;
    if (rc == -ENOSYS)
        return bide__http_explain(response, rc, "this library was built without TLS");
    if (rc == 0)
        rc = bide_connect(proxy ? proxy->host : origin->host, proxy ? proxy->port : origin->port,
                          &session->connect, stream);
    if (rc == 0)
        rc = dress(response, *stream);
    return rc;
}
