/*
 * Scenario: between two ends, or between one end and a bare OpenSSL, bytes arrive one by one, stop
 * anywhere, are changed; the peer asks for a renegotiation or for new keys, also while much is
 * being written. Claim: what arrives is right or an error; nothing hangs; keys change unnoticed,
 * and nothing is negotiated again.
 */
#include "tls_rig.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* A relay between two connections: so many bytes a time, up to a limit, with one byte changed. */
struct relay {
    int from, to;
    size_t n, piece, limit, changed;
};

static bide_async(relays, (struct relay *, relay))
{
    char bytes[4096];
    while (relay->n < relay->limit) {
        size_t room = relay->limit - relay->n;
        size_t piece = relay->piece < room ? relay->piece : room;
        ssize_t got = recv(relay->from, bytes, piece, 0);
        if (got == 0)
            break;
        if (got < 0) {
            if (errno != EAGAIN)
                break;
            int rc = bide_sleep(0);
            if (rc < 0)
                return rc;
            continue;
        }
        if (relay->changed >= relay->n && relay->changed < relay->n + (size_t)got)
            bytes[relay->changed - relay->n] ^= 1;
        for (ssize_t at = 0; at < got;) {
            ssize_t sent = send(relay->to, bytes + at, (size_t)(got - at), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN)
                return 0;
            at += sent > 0 ? sent : 0;
            if (sent < 0 && bide_sleep(0) < 0)
                return 0;
        }
        relay->n += (size_t)got;
    }
    shutdown(relay->to, SHUT_WR);
    return 0;
}

/* Ends with a relay between them. */
struct relayed {
    struct ends ends;
    struct relay up, down; /* from the client, from the server */
    bide_task *tasks[2];
    int fds[2];
};

static void relayed_open(struct relayed *relayed, size_t piece, size_t up_limit, size_t down_limit)
{
    int client[2], server[2];
    connection_open(client, 0);
    connection_open(server, 0);
    CHECK_INT(bide_stream_adopt(client[0], NULL, &relayed->ends.client), 0);
    CHECK_INT(bide_stream_adopt(server[0], NULL, &relayed->ends.server), 0);
    relayed->fds[0] = client[1];
    relayed->fds[1] = server[1];
    relayed->up = (struct relay){client[1], server[1], 0, piece, up_limit, SIZE_MAX};
    relayed->down = (struct relay){server[1], client[1], 0, piece, down_limit, SIZE_MAX};
}

static void relayed_start(struct relayed *relayed)
{
    relayed->tasks[0] = bide_spawn(relays, &relayed->up);
    relayed->tasks[1] = bide_spawn(relays, &relayed->down);
}

static void relayed_close(struct relayed *relayed)
{
    bide_abort(relayed->ends.client);
    bide_abort(relayed->ends.server);
    bide_close(relayed->ends.client);
    bide_close(relayed->ends.server);
    CHECK_INT(bide_cancel_join(relayed->tasks, 2), 0);
    close(relayed->fds[0]);
    close(relayed->fds[1]);
}

STREAM_TEST_SECONDS(single_bytes, 60)
{
    static const enum bide_tls_version versions[] = {BIDE_TLS_1_2, BIDE_TLS_1_3};
    for (int i = 0; i < 2; i++) {
        struct relayed relayed;
        bide_tls_context *client = client_context_with(
            (struct bide_tls_client_opts){.version_max = versions[i]});
        bide_tls_context *server = server_context();
        relayed_open(&relayed, 1, SIZE_MAX, SIZE_MAX);
        relayed_start(&relayed);
        ends_secure(&relayed.ends, client, server, "a.test");
        passes(relayed.ends.client, relayed.ends.server, "question");
        passes(relayed.ends.server, relayed.ends.client, "answer");
        CHECK_INT(bide_close(relayed.ends.client), 0);
        char byte;
        CHECK_INT(bide_read(relayed.ends.server, &byte, 1), 0);
        relayed.ends.client = NULL;
        relayed_close(&relayed);
        bide_tls_unref(client);
        bide_tls_unref(server);
    }
}

static bool is_broken_connection(int rc)
{
    return rc == -BIDE_ETRUNCATED || rc == -ECONNRESET || rc == -EPIPE;
}

/* How many bytes a handshake is in this direction. */
static void measure(bide_tls_context *client, bide_tls_context *server, size_t *up, size_t *down)
{
    struct relayed relayed;
    relayed_open(&relayed, 4096, SIZE_MAX, SIZE_MAX);
    relayed_start(&relayed);
    ends_secure(&relayed.ends, client, server, "a.test");
    *up = relayed.up.n;
    turns(3);
    *down = relayed.down.n;
    relayed_close(&relayed);
}

STREAM_TEST_SECONDS(handshakes_that_stop_anywhere, 200)
{
    static const enum bide_tls_version versions[] = {BIDE_TLS_1_2, BIDE_TLS_1_3};
    size_t step = test_long() ? 1 : 61;
    for (int i = 0; i < 2; i++) {
        size_t limits[2];
        bide_tls_context *server = server_context_with(
            (struct bide_tls_server_opts){.no_resumption = true});
        bide_tls_context *client = client_context_with(
            (struct bide_tls_client_opts){.version_max = versions[i]});
        measure(client, server, &limits[0], &limits[1]);
        for (int way = 0; way < 2; way++)
            for (size_t at = 0; at < limits[way]; at += step) {
                int results[2];
                struct relayed relayed;
                relayed_open(&relayed, 4096, way == 0 ? at : SIZE_MAX, way == 1 ? at : SIZE_MAX);
                relayed_start(&relayed);
                ends_shake(&relayed.ends, client, server, "a.test", results);
                if (!is_broken_connection(results[way == 0]))
                    FAIL("%d at byte %zu of way %d: %s", results[way == 0], at, way,
                         way ? client_words : server_words);
                relayed_close(&relayed);
            }
        bide_tls_unref(client);
        bide_tls_unref(server);
    }
}

STREAM_TEST_SECONDS(records_that_stop_anywhere, 200)
{
    enum { RECORD = 5 + 40 + 1 + 16 };
    bide_tls_context *server = server_context_with(
        (struct bide_tls_server_opts){.no_resumption = true});
    bide_tls_context *client = client_context();
    for (size_t extra = 0; extra <= RECORD; extra += test_long() ? 1 : 7) {
        char got[64];
        char sent[40] = "";
        struct relayed relayed;
        relayed_open(&relayed, 4096, SIZE_MAX, SIZE_MAX);
        relayed_start(&relayed);
        ends_secure(&relayed.ends, client, server, "a.test");
        turns(3);
        relayed.down.limit = relayed.down.n + extra;
        CHECK_INT(bide_write(relayed.ends.server, sent, sizeof sent), 0);
        CHECK_INT(bide_write(relayed.ends.server, sent, sizeof sent), 0);
        int rc = bide_read(relayed.ends.client, got, sizeof got);
        CHECK_INT(rc, -BIDE_ETRUNCATED);
        CHECK_STR(bide_error_detail(), "the connection ended without the end of the TLS session");
        relayed_close(&relayed);
    }
    bide_tls_unref(client);
    bide_tls_unref(server);
}

STREAM_TEST(a_changed_byte_is_found)
{
    struct relayed relayed;
    char byte;
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context_with(
        (struct bide_tls_server_opts){.no_resumption = true});
    relayed_open(&relayed, 4096, SIZE_MAX, SIZE_MAX);
    relayed_start(&relayed);
    ends_secure(&relayed.ends, client, server, "a.test");
    turns(3);
    relayed.down.changed = relayed.down.n + 8;
    CHECK_INT(bide_write(relayed.ends.server, "x", 1), 0);
    CHECK_INT(bide_read(relayed.ends.client, &byte, 1), -BIDE_ETLS);
    CHECK_STR(bide_error_detail(), "decryption failed or bad record mac");
    CHECK_INT(bide_write(relayed.ends.client, "x", 1), 0);
    CHECK_INT(bide_drain(relayed.ends.client), -BIDE_ETLS);
    CHECK_INT(bide_read(relayed.ends.server, &byte, 1), -BIDE_ETLS);
    CHECK_STR(bide_error_detail(), "the peer ended the session: bad record mac");
    relayed_close(&relayed);
    bide_tls_unref(client);
    bide_tls_unref(server);
}

/* A bare OpenSSL at the other end */

struct bare {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static struct bare bare_new(const SSL_METHOD *method, int fd, int version_max)
{
    struct bare bare = {.context = SSL_CTX_new(method), .fd = fd};
    SSL_CTX_set_max_proto_version(bare.context, version_max);
    SSL_CTX_set_options(bare.context, SSL_OP_LEGACY_SERVER_CONNECT);
    bare.ssl = SSL_new(bare.context);
    SSL_set_fd(bare.ssl, fd);
    return bare;
}

static void bare_free(struct bare *bare)
{
    SSL_free(bare->ssl);
    SSL_CTX_free(bare->context);
    close(bare->fd);
}

/* Again until it did not have to wait: its result. */
#define BARE_DO(bare, call) \
    __extension__({ \
        int rc_; \
        for (;;) { \
            ERR_clear_error(); \
            rc_ = (call); \
            int error_ = rc_ > 0 ? 0 : SSL_get_error((bare)->ssl, rc_); \
            if (error_ != SSL_ERROR_WANT_READ && error_ != SSL_ERROR_WANT_WRITE) \
                break; \
            turns(1); \
        } \
        rc_; \
    })

static bide_async(bare_client, (struct bare *, bare))
{
    return BARE_DO(bare, SSL_connect(bare->ssl)) == 1 ? 0 : -EIO;
}

static struct bare bare_open(bide_stream **ret_stream, int version_max)
{
    int fds[2];
    connection_open(fds, 0);
    CHECK_INT(bide_stream_adopt(fds[0], NULL, ret_stream), 0);
    struct bare bare = bare_new(TLS_client_method(), fds[1], version_max);
    bide_tls_context *context = server_context();
    bide_task *task = bide_spawn(bare_client, &bare);
    CHECK_INT(bide_tls_start_server(*ret_stream, context, NULL), 0);
    CHECK_INT(bide_await(task), 0);
    bide_tls_unref(context);
    return bare;
}

static void stream_end(bide_stream *stream)
{
    bide_abort(stream);
    bide_close(stream);
}

STREAM_TEST(nothing_is_negotiated_again)
{
    char byte;
    bide_stream *stream;
    struct bare bare = bare_open(&stream, TLS1_2_VERSION);
    bide_task *reader = waiting(bide_spawn(reads, stream, &byte, 1));
    CHECK_INT(SSL_renegotiate(bare.ssl), 1);
    CHECK(BARE_DO(&bare, SSL_do_handshake(bare.ssl)) <= 0);
    CHECK_INT(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    stream_end(stream);
    CHECK_INT(bide_await(reader), -ECONNABORTED);
    bare_free(&bare);
}

static bide_async(writes_much, (bide_stream *, stream), (size_t, size))
{
    char *buffer = malloc(size);
    pattern_fill(buffer, 0, size);
    int rc = bide_write(stream, buffer, size);
    free(buffer);
    return rc;
}

STREAM_TEST_SECONDS(keys_change_while_much_is_written, 60)
{
    static char buffer[16 * KIB];
    enum { SIZE = 2 * MIB };
    bide_stream *stream;
    char byte;
    struct bare bare = bare_open(&stream, TLS1_3_VERSION);
    bide_task *writer = bide_spawn(writes_much, stream, SIZE);
    bide_task *reader = bide_spawn(reads, stream, &byte, 1);
    int n_changes = 0;
    for (size_t n = 0; n < SIZE;) {
        if (n / (200 * KIB) > (size_t)n_changes) {
            CHECK_INT(SSL_key_update(bare.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            CHECK_INT(BARE_DO(&bare, SSL_do_handshake(bare.ssl)), 1);
            n_changes++;
        }
        int got = BARE_DO(&bare, SSL_read(bare.ssl, buffer, sizeof buffer));
        CHECK_RANGE(got, 1, sizeof buffer);
        pattern_check(buffer, n, (size_t)got);
        n += (size_t)got;
    }
    CHECK(n_changes > 5);
    CHECK_INT(bide_await(writer), 0);
    CHECK_INT(BARE_DO(&bare, SSL_write(bare.ssl, "x", 1)), 1);
    CHECK_INT(bide_await(reader), 1);
    CHECK_INT(byte, 'x');
    stream_end(stream);
    bare_free(&bare);
}

STREAM_TEST(what_is_not_tls_is_told)
{
    struct pair pair = pair_open();
    bide_tls_context *context = client_context();
    bide_task *task = waiting(bide_spawn(starts_client, pair.stream, context, "a.test"));
    peer_say(pair.peer, "220 mail.test ESMTP\r\n");
    CHECK_INT(bide_await(task), -BIDE_ETLS);
    CHECK_CONTAINS(bide_error_detail(), "wrong version number");
    bide_tls_unref(context);
    pair_close(&pair);
}
