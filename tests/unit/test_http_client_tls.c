/*
 * Scenario: https, directly and through a proxy's tunnel: with servers that are who they should be,
 * that are not, and that cut a body off without a word.
 * Claim: it is as http, on connections that are kept; who is not who he should be gets no request;
 * a cut is no end.
 */
#include "http_client_rig.h"

#include <bide/tls.h>

#include <sys/socket.h>

#include "tls_certs.h"

static bide_tls_context *server_context, *client_context;

static void contexts_open(void)
{
    static const char *const alpn[] = {"http/1.1", NULL};
    const struct tls_certs *certs = tls_certs();
    struct bide_tls_identity identity = {.cert_pem = certs->chain,
                                         .key_pem = tls_cert_key_pem(certs->leaf)};
    struct bide_tls_server_opts server = {.identities = &identity, .n_identities = 1, .alpn = alpn};
    struct bide_tls_client_opts client = {.trust.ca_pem = tls_cert_pem(certs->root), .alpn = alpn};
    CHECK_INT(bide_tls_server_new(&server, &server_context), 0);
    CHECK_INT(bide_tls_client_new(&client, &client_context), 0);
}

static void contexts_close(void)
{
    bide_tls_unref(server_context);
    bide_tls_unref(client_context);
}

static void serve_tls(rig_script *script)
{
    struct bide_tls_serve_opts opts = {0};
    contexts_open();
    rig_run_script = script;
    rig_connections = 0;
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, server_context, rig_handle, NULL, &opts, &rig_server),
              0);
    snprintf(rig_base, sizeof rig_base, "https://127.0.0.1:%u", bide_server_port(rig_server));
}

static int says_ok(bide_stream *stream, int number)
{
    (void)number;
    return rig_answer_all(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

TASK_TEST(https)
{
    serve_tls(says_ok);
    bide_http_session *session = rig_session_with(
        &(struct bide_http_session_opts){.tls = client_context});
    for (int i = 0; i < 3; i++)
        rig_body(rig_get(session, "/"), "ok");
    CHECK_INT(rig_connections, 1);
    rig_session_end(session);
    rig_stop();
    contexts_close();
}

TASK_TEST(not_trusted)
{
    serve_tls(says_ok);
    bide_http_session *session = rig_session(); /* what the system trusts */
    CHECK_INT(rig_get_fails(session, "/"), -BIDE_ECERTIFICATE);
    CHECK_INT(rig_connections, 0);
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 0);
    rig_session_end(session);
    rig_stop();
    contexts_close();
}

/* Breaks off where only the end of the session would say that the body is whole. */
static int cuts_off(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 OK\r\n\r\nhalf of it");
    if (rc == 0)
        rc = bide_drain(stream);
    bide_abort(stream);
    return rc;
}

TASK_TEST(cut_off)
{
    serve_tls(cuts_off);
    bide_http_session *session = rig_session_with(
        &(struct bide_http_session_opts){.tls = client_context});
    bide_http_response *response = rig_get(session, "/");
    int rc = bide_http_response_read_all(response, 0, NULL, NULL);
    CHECK(rc == -BIDE_ETRUNCATED || rc == -ECONNRESET);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
    rig_stop();
    contexts_close();
}

/* The same with TCP's orderly end, which is the end of nothing. */
static const char *cut_answer;

static int ends_without_a_word(bide_stream *stream, int number)
{
    (void)number;
    int rc = rig_hear(stream);
    if (rc > 0)
        rc = rig_say(stream, cut_answer);
    if (rc == 0)
        rc = bide_drain(stream);
    shutdown(bide_stream_fd(stream), SHUT_RDWR);
    return rc;
}

TASK_TEST(cut_off_in_an_orderly_way)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\n\r\nhalf of it",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf of it",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n",
    };
    serve_tls(ends_without_a_word);
    bide_http_session *session = rig_session_with(
        &(struct bide_http_session_opts){.tls = client_context});
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        cut_answer = answers[i];
        bide_http_response *response = rig_get(session, "/");
        int rc = bide_http_response_read_all(response, 0, NULL, NULL);
        CHECK(rc == -BIDE_ETRUNCATED || rc == -BIDE_EINCOMPLETE);
        CHECK_INT(bide_http_response_close(response), 0);
    }
    cut_answer = "HTTP/1.1 200 OK\r\nContent-";
    CHECK(rig_get_fails(session, "/") < 0);
    rig_session_end(session);
    rig_stop();
    contexts_close();
}

/* A proxy that is the server itself behind its tunnel. */
static int tunnels(bide_stream *stream, int number)
{
    int rc = rig_hear(stream);
    CHECK_CONTAINS(rig_heard, "CONNECT a.test:443 HTTP/1.1\r\n");
    CHECK_CONTAINS(rig_heard, "Proxy-Authorization: Basic dTpw\r\n");
    if (rc > 0)
        rc = rig_say(stream, "HTTP/1.1 200 Connection established\r\n\r\n");
    if (rc == 0)
        rc = bide_tls_start_server(stream, server_context, NULL);
    return rc < 0 ? rc : says_ok(stream, number);
}

HTTP_TEST(through_a_tunnel, tunnels)
{
    char proxy[128];
    contexts_open();
    snprintf(proxy, sizeof proxy, "http://u:p@%s", rig_base + 7);
    bide_http_session *session = rig_session_with(
        &(struct bide_http_session_opts){.tls = client_context, .proxy = proxy});
    for (int i = 0; i < 2; i++) {
        bide_http_response *response;
        CHECK_INT(bide_http_get(session, "https://a.test/path", &response), 0);
        rig_body(response, "ok");
        CHECK_CONTAINS(rig_heard, "GET /path HTTP/1.1\r\nHost: a.test\r\n");
        CHECK_PTR(strstr(rig_heard, "Proxy-Authorization"), NULL);
    }
    CHECK_INT(rig_connections, 1);
    rig_session_end(session);
    contexts_close();
}
