/*
 * Scenario: clients and servers of different versions, protocols, names and certificates; later
 * connections of the same ones. Claim: they agree on what both have, in the order of preference, or
 * are told why not; names choose certificates; sessions are resumed, once where once is due; all of
 * it can be asked for.
 */
#include "tls_rig.h"

/* A connection of these two, the contexts not given up. */
static struct ends open_between(bide_tls_context *client, bide_tls_context *server,
                                const char *name)
{
    struct ends ends = ends_plain();
    ends_secure(&ends, client, server, name);
    return ends;
}

static struct bide_tls_info info_of(bide_stream *stream)
{
    struct bide_tls_info info;
    CHECK_INT(bide_tls_info_get(stream, &info), 0);
    return info;
}

STREAM_TEST(everything_can_be_asked_for)
{
    struct ends ends = ends_open();
    struct bide_tls_info info = info_of(ends.client);
    CHECK_STR(info.version, "TLSv1.3");
    CHECK_CONTAINS(info.cipher, "TLS_");
    CHECK_PTR(info.alpn, NULL);
    CHECK_STR(info.server_name, "a.test");
    CHECK(info.verified && !info.resumed && !info.verify_error);
    CHECK_STR(info.peer->subject, "CN=a.test");
    CHECK_STR(info.peer->issuer, "CN=Test Middle");
    CHECK_INT(strlen(info.peer->serial), 4);
    CHECK_INT(info.peer->n_names, 5);
    CHECK_STR(info.peer->names[2], "*.wild.test");
    CHECK_STR(info.peer->names[3], "127.0.0.1");
    CHECK_STR(info.peer->names[4], "::1");
    CHECK_RANGE(info.peer->not_after - info.peer->not_before, 366 * 86400 - 9, 366 * 86400 + 9);
    CHECK_INT(info.peer->der[0], 0x30);
    CHECK_RANGE(info.peer->der_size, 100, 2000);
    struct bide_tls_info server = info_of(ends.server);
    CHECK_PTR(server.peer, NULL);
    CHECK_STR(server.server_name, "a.test");
    CHECK(!server.verified);
    ends_abort(&ends);
}

STREAM_TEST(versions)
{
    bide_tls_context *client = client_context_with(
        (struct bide_tls_client_opts){.version_max = BIDE_TLS_1_2});
    bide_tls_context *server = server_context();
    struct ends ends = open_between(client, server, "a.test");
    CHECK_STR(info_of(ends.client).version, "TLSv1.2");
    ends_abort(&ends);
    bide_tls_unref(server);
    server = server_context_with((struct bide_tls_server_opts){.version_min = BIDE_TLS_1_3});
    int results[2];
    ends = ends_plain();
    ends_shake(&ends, client, server, "a.test", results);
    CHECK_INT(results[0], -BIDE_ETLS);
    CHECK_INT(results[1], -BIDE_ETLS);
    CHECK_CONTAINS(client_words, "the peer ended the session: protocol version");
    CHECK_CONTAINS(server_words, "unsupported protocol");
    ends_abort(&ends);
    bide_tls_unref(client);
    bide_tls_unref(server);
}

static const char *const h2_h1[] = {"h2", "http/1.1", NULL};
static const char *const h1_h2[] = {"http/1.1", "h2", NULL};
static const char *const others[] = {"smtp", NULL};

STREAM_TEST(protocols)
{
    bide_tls_context *server = server_context_with((struct bide_tls_server_opts){.alpn = h2_h1});
    bide_tls_context *client = client_context_with((struct bide_tls_client_opts){.alpn = h1_h2});
    struct ends ends = open_between(client, server, "a.test");
    CHECK_STR(info_of(ends.client).alpn, "h2");
    CHECK_STR(info_of(ends.server).alpn, "h2");
    ends_abort(&ends);
    bide_tls_unref(client);

    client = client_context();
    ends = open_between(client, server, "a.test");
    CHECK_PTR(info_of(ends.client).alpn, NULL);
    CHECK_PTR(info_of(ends.server).alpn, NULL);
    ends_abort(&ends);
    bide_tls_unref(client);

    int results[2];
    client = client_context_with((struct bide_tls_client_opts){.alpn = others});
    ends = ends_plain();
    ends_shake(&ends, client, server, "a.test", results);
    CHECK_INT(results[0], -BIDE_ETLS);
    CHECK_INT(results[1], -BIDE_ETLS);
    CHECK_CONTAINS(client_words, "no application protocol");
    ends_abort(&ends);
    bide_tls_unref(server);

    server = server_context();
    ends = open_between(client, server, "a.test");
    CHECK_PTR(info_of(ends.client).alpn, NULL);
    ends_abort(&ends);
    bide_tls_unref(client);
    bide_tls_unref(server);
}

/* Names choose certificates */

struct shown {
    struct tls_cert *certs[4];
    struct bide_tls_identity identities[4];
};

static void shown_init(struct shown *shown)
{
    static const struct tls_cert_opts opts[] = {
        {.name = "first", .hosts = "DNS:a.test"},
        {.name = "second", .hosts = "DNS:b.test,DNS:*.b.test"},
        {.name = "second", .hosts = "DNS:b.test,DNS:*.b.test", .is_rsa = true},
        {.name = "third", .hosts = "DNS:b.test,DNS:c.test"},
    };
    for (int i = 0; i < 4; i++) {
        struct tls_cert_opts all = opts[i];
        all.issuer = tls_certs()->root;
        shown->certs[i] = tls_cert_new(&all);
        shown->identities[i] = (struct bide_tls_identity){
            .cert_pem = tls_cert_pem(shown->certs[i]),
            .key_pem = tls_cert_key_pem(shown->certs[i])};
    }
}

static void shown_fini(struct shown *shown)
{
    for (int i = 0; i < 4; i++)
        tls_cert_free(shown->certs[i]);
}

STREAM_TEST(names_choose_certificates)
{
    static const char *const choices[][2] = {
        {"a.test", "CN=first"},    {"b.test", "CN=second"},      {"x.b.test", "CN=second"},
        {"c.test", "CN=third"},    {"unknown.test", "CN=first"}, {NULL, "CN=first"},
        {"127.0.0.1", "CN=first"},
    };
    struct shown shown;
    shown_init(&shown);
    bide_tls_context *client = client_context_with(
        (struct bide_tls_client_opts){.insecure_accept_any_certificate = true});
    bide_tls_context *server = server_context_with(
        (struct bide_tls_server_opts){.identities = shown.identities, .n_identities = 4});
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct ends ends = open_between(client, server, choices[i][0]);
        CHECK_STR(info_of(ends.client).peer->subject, choices[i][1]);
        ends_abort(&ends);
    }
    bide_tls_unref(client);
    bide_tls_unref(server);
    shown_fini(&shown);
}

STREAM_TEST(unknown_names_are_refused_by_the_strict)
{
    int results[2];
    struct shown shown;
    shown_init(&shown);
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context_with((struct bide_tls_server_opts){
        .identities = shown.identities, .n_identities = 4, .strict_names = true});
    struct ends ends = ends_plain();
    ends_shake(&ends, client, server, "unknown.test", results);
    CHECK_INT(results[0], -BIDE_ETLS);
    CHECK_CONTAINS(client_words, "unrecognized name");
    CHECK_INT(results[1], -BIDE_ETLS);
    ends_abort(&ends);
    ends = open_between(client, server, "c.test");
    ends_abort(&ends);
    uint64_t n_good, n_failed;
    bide_tls_handshakes(server, &n_good, &n_failed);
    CHECK_INT(n_good, 1);
    CHECK_INT(n_failed, 1);
    bide_tls_unref(client);
    bide_tls_unref(server);
    shown_fini(&shown);
}

STREAM_TEST(certificates_are_replaced)
{
    struct shown shown;
    shown_init(&shown);
    bide_tls_context *client = client_context_with(
        (struct bide_tls_client_opts){.no_resumption = true});
    bide_tls_context *server = server_context_with(
        (struct bide_tls_server_opts){.identities = shown.identities, .n_identities = 1});
    struct ends before = open_between(client, server, "a.test");
    struct bide_tls_identity broken = {.cert_pem = "words"};
    CHECK_INT(bide_tls_server_reload(server, &broken, 1), -BIDE_ECERTIFICATE);
    CHECK_INT(bide_tls_server_reload(server, &shown.identities[3], 1), 0);
    struct ends after = open_between(client, server, "c.test");
    CHECK_STR(info_of(before.client).peer->subject, "CN=first");
    CHECK_STR(info_of(after.client).peer->subject, "CN=third");
    passes(before.client, before.server, "still here");
    ends_abort(&before);
    ends_abort(&after);
    bide_tls_unref(client);
    bide_tls_unref(server);
    shown_fini(&shown);
}
