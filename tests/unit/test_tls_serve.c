/*
 * Scenario: a TLS server and clients that connect to it by host and port: good ones, ones that say
 * nothing, speak something else, do not trust it, come again. Claim: the handler sees those alone
 * that shook hands; the rest is counted, told to who wants to know, and holds nothing; those who
 * come again resume their session.
 */
#include "tls_rig.h"

static int n_handled, n_refused, refused_error;
static bool handler_resumed;
static char refused_words[256];

static int answer(bide_stream *stream, void *data)
{
    char byte;
    struct bide_tls_info info;
    (void)data;
    n_handled++;
    CHECK_INT(bide_tls_info_get(stream, &info), 0);
    handler_resumed = info.resumed;
    for (;;) {
        int rc = bide_read(stream, &byte, 1);
        if (rc > 0)
            rc = bide_write(stream, &byte, 1);
        if (rc <= 0 && rc != 0)
            return rc;
        if (rc == 0 && bide_at_eof(stream))
            return 0;
    }
}

static void refuse(bide_stream *stream, int error, void *data)
{
    struct bide_address address;
    CHECK_INT(bide_stream_peer(stream, &address), 0);
    CHECK_STR(data, "data");
    n_refused++;
    refused_error = error;
    snprintf(refused_words, sizeof refused_words, "%s", bide_error_detail());
}

static bide_server *serve(bide_tls_context *context, double seconds)
{
    bide_server *server;
    struct bide_tls_serve_opts opts = {.handshake_seconds = seconds, .refused = refuse};
    static char data[] = "data";
    n_handled = 0;
    n_refused = 0;
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, context, answer, data, &opts, &server), 0);
    return server;
}

static int connects(bide_server *server, bide_tls_context *context, const char *name,
                    bide_stream **ret_stream)
{
    struct bide_tls_opts opts = {.server_name = name};
    return bide_tls_connect("127.0.0.1", bide_server_port(server), context, &opts, ret_stream);
}

static void until_refused(int n)
{
    while (n_refused < n)
        turns(1);
}

static void server_end(bide_server *server)
{
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

/* Whether a connection of this client resumes a session. It is used, so that tickets arrive. */
static bool resumes(bide_server *server, bide_tls_context *client, const char *name)
{
    char byte;
    bide_stream *stream;
    struct bide_tls_info info;
    CHECK_INT(connects(server, client, name, &stream), 0);
    CHECK_INT(bide_write(stream, "x", 1), 0);
    CHECK_INT(bide_read(stream, &byte, 1), 1);
    CHECK_INT(bide_tls_info_get(stream, &info), 0);
    CHECK_INT(info.resumed, handler_resumed);
    CHECK(info.verified);
    CHECK_STR(info.peer->subject, "CN=a.test");
    CHECK_INT(bide_close(stream), 0);
    return info.resumed;
}

static bide_tls_context *client_of(enum bide_tls_version version, bool no_resumption)
{
    return client_context_with(
        (struct bide_tls_client_opts){.version_max = version, .no_resumption = no_resumption});
}

STREAM_TEST(sessions_are_resumed)
{
    static const enum bide_tls_version versions[] = {BIDE_TLS_1_2, BIDE_TLS_1_3};
    bide_tls_context *context = server_context();
    bide_server *server = serve(context, 0);
    bide_tls_unref(context);
    for (int i = 0; i < 2; i++) {
        bide_tls_context *client = client_of(versions[i], false);
        CHECK(!resumes(server, client, "a.test"));
        for (int n = 0; n < 5; n++)
            CHECK(resumes(server, client, "a.test"));
        CHECK(!resumes(server, client, "localhost"));
        CHECK(resumes(server, client, "localhost"));
        bide_tls_unref(client);
        client = client_of(versions[i], true);
        CHECK(!resumes(server, client, "a.test"));
        CHECK(!resumes(server, client, "a.test"));
        bide_tls_unref(client);
    }
    server_end(server);
}

STREAM_TEST(servers_may_not_want_sessions)
{
    static const enum bide_tls_version versions[] = {BIDE_TLS_1_2, BIDE_TLS_1_3};
    bide_tls_context *context = server_context_with(
        (struct bide_tls_server_opts){.no_resumption = true});
    bide_server *server = serve(context, 0);
    bide_tls_unref(context);
    for (int i = 0; i < 2; i++) {
        bide_tls_context *client = client_of(versions[i], false);
        CHECK(!resumes(server, client, "a.test"));
        CHECK(!resumes(server, client, "a.test"));
        bide_tls_unref(client);
    }
    server_end(server);
}

STREAM_TEST_SECONDS(many_hosts_are_remembered_up_to_a_limit, 60)
{
    bide_tls_context *context = server_context();
    bide_tls_context *client = client_context();
    bide_server *server = serve(context, 0);
    char name[32];
    for (int i = 0; i < 140; i++) { /* two sessions each, and 256 in all */
        snprintf(name, sizeof name, "n%d.wild.test", i);
        CHECK(!resumes(server, client, name));
    }
    CHECK(resumes(server, client, "n139.wild.test"));
    CHECK(!resumes(server, client, "n0.wild.test"));
    bide_tls_unref(context);
    bide_tls_unref(client);
    server_end(server);
}

STREAM_TEST(who_does_not_shake_hands_is_let_go)
{
    struct bide_address address;
    bide_tls_context *context = server_context();
    bide_server *server = serve(context, TICKS(4));
    char byte;
    bide_stream *silent;
    bide_stream *other;
    CHECK_INT(bide_server_addresses(server, &address, 1), 1);
    CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &silent), 0);
    CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &other), 0);
    CHECK_INT(bide_write(other, "GET / HTTP/1.0\r\n\r\n", 18), 0);
    until_refused(1);
    CHECK_INT(refused_error, -BIDE_ETLS);
    CHECK_STR(refused_words, "http request");
    until_refused(2);
    CHECK_INT(refused_error, -ETIMEDOUT);
    CHECK_INT(bide_read(silent, &byte, 1), 0);
    while (bide_server_connections(server) > 0)
        turns(1);
    uint64_t n_good, n_failed;
    bide_tls_handshakes(context, &n_good, &n_failed);
    CHECK_INT(n_good, 0);
    CHECK_INT(n_failed, 2);
    CHECK_INT(n_handled, 0);
    bide_abort(other);
    bide_close(other);
    bide_close(silent);
    bide_tls_unref(context);
    server_end(server);
}

STREAM_TEST(who_does_not_trust_it_says_so)
{
    bide_tls_context *context = server_context();
    bide_tls_context *client = NULL;
    bide_server *server = serve(context, 0);
    bide_stream *stream = NULL;
    CHECK_INT(connects(server, NULL, "a.test", &stream), -BIDE_ECERTIFICATE);
    CHECK_CONTAINS(bide_error_detail(), "issuer unknown");
    CHECK_PTR(stream, NULL);
    until_refused(1);
    CHECK_INT(refused_error, -BIDE_ETLS);
    CHECK_STR(refused_words, "the peer ended the session: unknown CA");
    CHECK_INT(connects(server, NULL, "", &stream), -EINVAL);
    CHECK_INT(connects(server, context, "a.test", &stream), -EINVAL);
    client = client_context();
    CHECK_INT(bide_tls_connect("127.0.0.1", bide_server_port(server), client, NULL, &stream), 0);
    CHECK_INT(bide_close(stream), 0);
    bide_tls_unref(context);
    bide_tls_unref(client);
    server_end(server);
}

STREAM_TEST(a_client_that_breaks_off_is_usual)
{
    bide_tls_context *context = server_context();
    bide_tls_context *client = client_context();
    bide_server *server = serve(context, 0);
    for (int i = 0; i < 2; i++) {
        bide_stream *stream;
        CHECK_INT(connects(server, client, "a.test", &stream), 0);
        if (i == 0)
            bide_abort(stream);
        else
            shutdown(bide_stream_fd(stream), SHUT_RDWR);
        bide_close(stream);
    }
    bide_tls_unref(context);
    bide_tls_unref(client);
    server_end(server);
    CHECK_INT(n_refused, 0);
    CHECK_INT(n_handled, 2);
}

STREAM_TEST(senseless_arguments_are_refused)
{
    bide_server *server;
    bide_stream *stream;
    bide_tls_context *client = client_context();
    bide_tls_context *context = server_context();
    struct bide_tls_serve_opts opts = {.handshake_seconds = -1};
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, client, answer, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, NULL, answer, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, context, NULL, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, context, answer, NULL, &opts, &server), -EINVAL);
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, context, answer, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_tls_connect(NULL, 1, client, NULL, &stream), -EINVAL);
    CHECK_INT(bide_tls_connect("127.0.0.1", 0, client, NULL, &stream), -EINVAL);
    CHECK_INT(bide_tls_connect("127.0.0.1", 1, client, NULL, NULL), -EINVAL);
    bide_tls_unref(client);
    bide_tls_unref(context);
}
