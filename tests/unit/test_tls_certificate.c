/*
 * Scenario: servers and clients with certificates that are expired, not valid yet, self-signed, for
 * another host, revoked, of an unknown issuer, without the one between, for another use. Claim:
 * each is refused, with the certificate and the reason in words, and the other side hears the
 * reason, too; what is good is taken.
 */
#include "tls_rig.h"

/* What the client makes of the server's certificate; what the server hears. */
static void refused(const struct tls_cert *cert, const char *pem, bide_tls_context *client,
                    const char *name, const char *words, const char *heard)
{
    int results[2];
    bide_tls_context *server = server_showing(cert, pem);
    struct ends ends = ends_plain();
    ends_shake(&ends, client, server, name, results);
    CHECK_INT(results[0], -BIDE_ECERTIFICATE);
    CHECK_CONTAINS(client_words, words);
    CHECK_INT(results[1], -BIDE_ETLS);
    CHECK_CONTAINS(server_words, heard);
    char byte;
    CHECK_INT(bide_read(ends.client, &byte, 1), -BIDE_ECERTIFICATE);
    ends_abort(&ends);
    bide_tls_unref(server);
    bide_tls_unref(client);
}

/* A certificate from the common middle one, with its chain. */
static void refused_leaf(const struct tls_cert_opts *opts, const char *words, const char *heard)
{
    struct tls_cert_opts all = *opts;
    all.issuer = tls_certs()->middle;
    struct tls_cert *cert = tls_cert_new(&all);
    char *chain = tls_pem_join(tls_cert_pem(cert), tls_cert_pem(tls_certs()->middle), NULL);
    refused(cert, chain, client_context(), "a.test", words, heard);
    free(chain);
    tls_cert_free(cert);
}

STREAM_TEST(an_expired_one)
{
    struct tls_cert_opts opts = {
        .name = "a.test", .hosts = "DNS:a.test", .from_days = -20, .until_days = -10};
    refused_leaf(&opts, "certificate of a.test (CN=a.test, issued by CN=Test Middle) expired on 20",
                 "certificate expired");
}

STREAM_TEST(one_that_is_not_valid_yet)
{
    struct tls_cert_opts opts = {
        .name = "a.test", .hosts = "DNS:a.test", .from_days = 10, .until_days = 20};
    refused_leaf(&opts,
                 "certificate of a.test (CN=a.test, issued by CN=Test Middle) is not valid before",
                 "bad certificate");
}

STREAM_TEST(one_for_another_host)
{
    struct tls_cert_opts opts = {.name = "b.test", .hosts = "DNS:b.test,DNS:c.test,IP:192.0.2.1"};
    refused_leaf(&opts,
                 "host name does not match: wanted a.test, certificate is for b.test, c.test, "
                 "192.0.2.1",
                 "bad certificate");
}

STREAM_TEST(one_for_no_host)
{
    struct tls_cert_opts opts = {.name = "Somebody"};
    refused_leaf(&opts, "host name does not match: wanted a.test, certificate is for Somebody",
                 "bad certificate");
}

STREAM_TEST(one_for_clients_only)
{
    struct tls_cert_opts opts = {.name = "a.test", .hosts = "DNS:a.test", .usage = "clientAuth"};
    refused_leaf(&opts,
                 "certificate of a.test (CN=a.test, issued by CN=Test Middle): ", "certificate");
}

STREAM_TEST(a_self_signed_one)
{
    struct tls_cert *cert = tls_cert_new(
        &(struct tls_cert_opts){.name = "a.test", .hosts = "DNS:a.test"});
    refused(cert, tls_cert_pem(cert), client_context(), "a.test",
            "certificate of a.test (CN=a.test, issued by CN=a.test) is self-signed and not trusted",
            "unknown CA");
    struct bide_tls_client_opts opts = {.trust.ca_pem = tls_cert_pem(cert)};
    bide_tls_context *client = client_context_with(opts);
    bide_tls_context *server = server_showing(cert, tls_cert_pem(cert));
    struct ends ends = ends_plain();
    ends_secure(&ends, client, server, "a.test");
    ends_abort(&ends);
    bide_tls_unref(client);
    bide_tls_unref(server);
    tls_cert_free(cert);
}

STREAM_TEST(one_of_an_unknown_root)
{
    struct tls_cert *root = tls_cert_new(
        &(struct tls_cert_opts){.name = "Other Root", .is_authority = true});
    struct tls_cert *cert = tls_cert_new(
        &(struct tls_cert_opts){.name = "a.test", .hosts = "DNS:a.test", .issuer = root});
    refused(cert, tls_cert_pem(cert), client_context(), "a.test",
            "certificate of a.test (CN=a.test, issued by CN=Other Root): issuer unknown",
            "unknown CA");
    char *chain = tls_pem_join(tls_cert_pem(cert), tls_cert_pem(root), NULL);
    refused(cert, chain, client_context(), "a.test",
            "certificate of Other Root (CN=Other Root, issued by CN=Other Root) is a self-signed "
            "certificate in the chain",
            "unknown CA");
    free(chain);
    tls_cert_free(cert);
    tls_cert_free(root);
}

STREAM_TEST(a_chain_without_the_one_between)
{
    const struct tls_certs *certs = tls_certs();
    refused(
        certs->leaf, tls_cert_pem(certs->leaf), client_context(), "a.test",
        "certificate of a.test (CN=a.test, issued by CN=Test Middle): issuer unknown: it is not "
        "trusted, or an intermediate certificate is missing",
        "unknown CA");
}

/* A client that knows what was revoked. */
static bide_tls_context *client_with_lists(const char *first, const char *second)
{
    char path[] = "/tmp/bide-crl-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, first, strlen(first)), strlen(first));
    CHECK_INT(write(fd, second, strlen(second)), strlen(second));
    close(fd);
    struct bide_tls_client_opts opts = {.trust.crl_file = path};
    bide_tls_context *client = client_context_with(opts);
    unlink(path);
    return client;
}

STREAM_TEST(a_revoked_one_between)
{
    const struct tls_certs *certs = tls_certs();
    char *of_root = tls_crl_pem(certs->root, certs->middle);
    char *of_middle = tls_crl_pem(certs->middle, NULL);
    refused(certs->leaf, certs->chain, client_with_lists(of_root, of_middle), "a.test",
            "certificate of Test Middle (CN=Test Middle, issued by CN=Test Root) was revoked",
            "certificate revoked");
    free(of_root);
    of_root = tls_crl_pem(certs->root, NULL);
    refused(certs->leaf, certs->chain, client_with_lists(of_root, ""), "a.test",
            "certificate of a.test (CN=a.test, issued by CN=Test Middle): there is no list of what "
            "its issuer has revoked",
            "unknown CA");
    bide_tls_context *client = client_with_lists(of_root, of_middle);
    bide_tls_context *server = server_context();
    struct ends ends = ends_plain();
    ends_secure(&ends, client, server, "a.test");
    ends_abort(&ends);
    bide_tls_unref(client);
    bide_tls_unref(server);
    free(of_root);
    free(of_middle);
}

STREAM_TEST(each_name_of_a_good_one)
{
    static const char *const names[] = {"a.test",    "A.Test", "a.test.",    "localhost",
                                        "127.0.0.1", "::1",    "x.wild.test"};
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ends ends = ends_plain();
        ends_secure(&ends, client, server, names[i]);
        ends_abort(&ends);
    }
    bide_tls_unref(client);
    bide_tls_unref(server);
}

STREAM_TEST(names_that_only_look_alike)
{
    static const char *const names[] = {"wild.test", "x.y.wild.test", "127.0.0.2", "a.test.evil"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        refused(tls_certs()->leaf, tls_certs()->chain, client_context(), names[i],
                "host name does not match: wanted ", "bad certificate");
}

STREAM_TEST(whoever_asks_for_it_takes_any)
{
    struct tls_cert *cert = tls_cert_new(&(struct tls_cert_opts){.name = "Nobody"});
    struct bide_tls_client_opts opts = {.insecure_accept_any_certificate = true};
    bide_tls_context *client = client_context_with(opts);
    bide_tls_context *server = server_showing(cert, tls_cert_pem(cert));
    static const char *const names[] = {"a.test", NULL};
    for (int i = 0; i < 2; i++) {
        struct bide_tls_info info;
        struct ends ends = ends_plain();
        ends_secure(&ends, client, server, names[i]);
        CHECK_INT(bide_tls_info_get(ends.client, &info), 0);
        CHECK(!info.verified);
        CHECK(info.verify_error);
        ends_abort(&ends);
    }
    bide_tls_unref(client);
    bide_tls_unref(server);
    tls_cert_free(cert);
}

/* Clients' certificates */

static bide_tls_context *server_asking(enum bide_tls_client_auth auth,
                                       enum bide_tls_version version)
{
    struct bide_tls_server_opts opts = {.client_auth = auth,
                                        .version_max = version,
                                        .trust.ca_pem = tls_cert_pem(tls_certs()->root)};
    return server_context_with(opts);
}

static bide_tls_context *client_showing(const char *pem, const struct tls_cert *cert)
{
    struct bide_tls_client_opts opts = {
        .identity = {.cert_pem = pem, .key_pem = tls_cert_key_pem(cert)}};
    return client_context_with(opts);
}

/* With TLS 1.3 the client is through before the server has looked at it, and hears of it later. */
static void client_refused(bide_tls_context *client, enum bide_tls_version version,
                           const char *words, const char *heard)
{
    int results[2];
    char byte;
    bide_tls_context *server = server_asking(BIDE_TLS_CLIENT_AUTH_REQUIRED, version);
    struct ends ends = ends_plain();
    ends_shake(&ends, client, server, "a.test", results);
    CHECK_INT(results[1], -BIDE_ECERTIFICATE);
    CHECK_CONTAINS(server_words, words);
    if (results[0] == 0) {
        CHECK_INT(version, BIDE_TLS_ANY);
        results[0] = bide_read(ends.client, &byte, 1);
        snprintf(client_words, sizeof client_words, "%s", bide_error_detail());
    }
    CHECK_INT(results[0], -BIDE_ETLS);
    CHECK_CONTAINS(client_words, heard);
    ends_abort(&ends);
    bide_tls_unref(server);
    bide_tls_unref(client);
}

STREAM_TEST(clients_show_theirs)
{
    static const enum bide_tls_version versions[] = {BIDE_TLS_1_2, BIDE_TLS_ANY};
    const struct tls_certs *certs = tls_certs();
    for (int i = 0; i < 2; i++) {
        struct bide_tls_info info;
        struct ends ends = ends_plain();
        bide_tls_context *client = client_showing(certs->client_chain, certs->client);
        bide_tls_context *server = server_asking(BIDE_TLS_CLIENT_AUTH_REQUIRED, versions[i]);
        ends_secure(&ends, client, server, "a.test");
        CHECK_INT(bide_tls_info_get(ends.server, &info), 0);
        CHECK(info.verified);
        CHECK_STR(info.peer->subject, "CN=some client");
        ends_abort(&ends);
        bide_tls_unref(client);
        bide_tls_unref(server);
        client_refused(client_context(), versions[i], "peer did not return a certificate",
                       versions[i] == BIDE_TLS_ANY ? "certificate required" : "handshake failure");
        client_refused(client_showing(tls_cert_pem(certs->client), certs->client), versions[i],
                       "certificate of some client (CN=some client, issued by CN=Test Middle): "
                       "issuer unknown",
                       "unknown CA");
    }
}

STREAM_TEST(clients_may_show_theirs)
{
    struct bide_tls_info info;
    struct ends ends = ends_plain();
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_asking(BIDE_TLS_CLIENT_AUTH_OPTIONAL, BIDE_TLS_ANY);
    ends_secure(&ends, client, server, "a.test");
    CHECK_INT(bide_tls_info_get(ends.server, &info), 0);
    CHECK(!info.verified);
    CHECK_PTR(info.peer, NULL);
    ends_abort(&ends);
    bide_tls_unref(client);
    bide_tls_unref(server);
}

/* What contexts are made of */

static void not_made(const struct bide_tls_client_opts *opts, int error, const char *words)
{
    bide_tls_context *context = NULL;
    CHECK_INT(bide_tls_client_new(opts, &context), error);
    CHECK_PTR(context, NULL);
    CHECK_CONTAINS(bide_error_detail(), words);
}

BIDE_TEST(what_cannot_be_read_is_told)
{
    const struct tls_certs *certs = tls_certs();
    const char *pem = tls_cert_pem(certs->leaf);
    not_made(&(struct bide_tls_client_opts){.trust.ca_file = "/nowhere/ca.pem"}, -ENOENT,
             "/nowhere/ca.pem");
    not_made(&(struct bide_tls_client_opts){.trust.crl_file = "/nowhere/crl.pem"}, -ENOENT,
             "/nowhere/crl.pem");
    not_made(&(struct bide_tls_client_opts){.trust.ca_pem = "words"}, -BIDE_ECERTIFICATE,
             "authority in the text given: ");
    not_made(&(struct bide_tls_client_opts){.identity.cert_file = "/nowhere/cert.pem"}, -ENOENT,
             "/nowhere/cert.pem");
    not_made(&(struct bide_tls_client_opts){.identity = {.cert_pem = pem, .key_pem = "words"}},
             -BIDE_ECERTIFICATE, "key in the text given: ");
    not_made(&(struct bide_tls_client_opts){.identity.cert_pem = "words"}, -BIDE_ECERTIFICATE,
             "certificate in the text given: ");
    not_made(&(struct bide_tls_client_opts){.identity = {.cert_pem = pem,
                                                         .key_pem = tls_cert_key_pem(certs->root)}},
             -BIDE_ECERTIFICATE, "key values mismatch");
    struct bide_tls_identity locked = {.cert_pem = pem,
                                       .key_pem = tls_cert_locked_key_pem(certs->leaf)};
    not_made(&(struct bide_tls_client_opts){.identity = locked}, -BIDE_ECERTIFICATE, "key in");
    locked.key_password = "wrong";
    not_made(&(struct bide_tls_client_opts){.identity = locked}, -BIDE_ECERTIFICATE, "key in");
    locked.key_password = "secret";
    bide_tls_context *context;
    CHECK_INT(bide_tls_client_new(&(struct bide_tls_client_opts){.identity = locked}, &context), 0);
    bide_tls_unref(context);
}

BIDE_TEST(contradictions_are_refused)
{
    bide_tls_context *context;
    static const char *const empty[] = {"", NULL};
    static const char *const none[] = {NULL};
    struct bide_tls_identity identity = {.cert_pem = tls_certs()->chain,
                                         .key_pem = tls_cert_key_pem(tls_certs()->leaf)};
    struct bide_tls_identity both = {.cert_pem = "x", .cert_file = "x"};
    struct bide_tls_identity keyless = {.key_pem = "x"};
    const struct bide_tls_client_opts clients[] = {
        {.alpn = empty},    {.alpn = none},
        {.identity = both}, {.identity = keyless},
        {.version_min = 9}, {.version_min = BIDE_TLS_1_3, .version_max = BIDE_TLS_1_2},
    };
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++)
        CHECK_INT(bide_tls_client_new(&clients[i], &context), -EINVAL);
    const struct bide_tls_server_opts servers[] = {
        {.n_identities = 0},
        {.identities = &identity},
        {.identities = &identity, .n_identities = 1, .client_auth = BIDE_TLS_CLIENT_AUTH_REQUIRED},
        {.identities = &identity, .n_identities = 1, .client_auth = 9, .trust.system = true},
        {.identities = &keyless, .n_identities = 1},
    };
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        CHECK_INT(bide_tls_server_new(&servers[i], &context), -EINVAL);
    CHECK_INT(bide_tls_client_new(NULL, NULL), -EINVAL);
    CHECK_INT(bide_tls_server_new(NULL, &context), -EINVAL);
    bide_tls_unref(NULL);
    CHECK_PTR(bide_tls_ref(NULL), NULL);
}
