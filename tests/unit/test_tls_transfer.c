/*
 * Scenario: files are sent into streams that speak TLS, and streams of which one or both do are
 * relayed; the sending task is cancelled, or its stream closed or aborted by another one, in the
 * middle.
 * Claim: everything arrives, and the end behind it; of what was broken off the peer never sees an
 * orderly end.
 */
#include <bide/inspect.h>
#include <bide/path.h>
#include <bide/transfer.h>

#include "io/file/file.h"
#include "tls_rig.h"

enum { SIZE = 3 * MIB };

static char bytes[SIZE];

static bide_file *file_new(void)
{
    bide_file *file;
    char *path;
    pattern_fill(bytes, 0, SIZE);
    CHECK_INT(bide_file_temporary(NULL, &path, &file), 0);
    CHECK_INT(bide_file_write(file, bytes, SIZE, NULL), 0);
    CHECK_INT(bide_path_unlink(path), 0); /* it lives as long as it is open */
    free(path);
    return file;
}

static bide_async(sends_file, (bide_stream *, stream), (bide_file *, file))
{
    return (int)bide_stream_send_file(stream, file, 0, BIDE_TO_THE_END);
}

static bide_async(sends_all, (bide_stream *, stream))
{
    int rc = bide_write(stream, bytes, SIZE);
    return rc == 0 ? bide_write_eof(stream) : rc;
}

/* How reading ends, and how much came. */
static bide_async(hears, (bide_stream *, stream), (size_t *, n_heard))
{
    char buffer[16 * KIB];
    int rc;
    while ((rc = bide_read(stream, buffer, sizeof buffer)) > 0) {
        pattern_check(buffer, *n_heard, (size_t)rc);
        *n_heard += (size_t)rc;
    }
    return rc;
}

STREAM_TEST_SECONDS(a_file_arrives_and_the_end_behind_it, 60)
{
    struct ends ends = ends_open();
    bide_file *file = file_new();
    size_t n = 0;
    bide_task *listener = bide_spawn(hears, ends.client, &n);
    CHECK_INT(sends_file(ends.server, file), SIZE);
    CHECK_INT(bide_close(ends.server), 0);
    CHECK_INT(bide_await(listener), 0);
    CHECK_INT(n, SIZE);
    CHECK_INT(bide_close(ends.client), 0);
    CHECK_INT(bide_file_close(file), 0);
}

/* Until a piece is out and the next one is being read, with nothing on its way if that happens
 * soon.
 */
static void until_reading(const struct ends *ends, bide_task *sender, const size_t *n)
{
    for (int n_turns = 0; n_turns < 4;) {
        const char *what = bide_task_waits_for(sender);
        CHECK(!bide_task_done(sender));
        if (*n > 0 && what && strcmp(what, "reading a file") == 0 &&
            bide_stream_pending(ends->server) == 0)
            return;
        n_turns += *n > 0;
        turns(1);
    }
}

STREAM_TEST_SECONDS(a_file_that_is_broken_off_has_no_end, 60)
{
    enum { CLOSE, ABORT, CANCEL, HOWS };
    for (int how = 0; how < HOWS; how++) {
        struct ends ends = ends_open();
        bide_file *file = file_new();
        size_t n = 0;
        file->no_try_read = true; /* as if each piece came from a disk */
        bide_task *listener = bide_spawn(hears, ends.client, &n);
        bide_task *sender = bide_spawn(sends_file, ends.server, file);
        until_reading(&ends, sender, &n);
        if (how == ABORT)
            bide_abort(ends.server);
        if (how == CANCEL) {
            bide_cancel(sender);
            CHECK_INT(bide_await(sender), -ECANCELED);
        }
        int closed = bide_close(ends.server);
        CHECK_INT(closed, how == ABORT ? 0 : -BIDE_ETORN);
        if (how != CANCEL)
            CHECK_INT(bide_await(sender), -ECONNABORTED);
        int rc = bide_await(listener);
        CHECK(rc == -BIDE_ETRUNCATED || rc == -ECONNRESET);
        CHECK(n < SIZE);
        bide_close(ends.client);
        CHECK_INT(bide_file_close(file), 0);
    }
}

/* Two connections with a relay between them. */
struct chain {
    struct ends near, far;
    bide_task *relay;
};

static bide_async(relays, (bide_stream *, one), (bide_stream *, other))
{
    return bide_relay_both(one, other, NULL);
}

static struct chain chain_open(bool near_speaks, bool far_speaks)
{
    struct chain chain = {.near = near_speaks ? ends_open() : ends_plain(),
                          .far = far_speaks ? ends_open() : ends_plain()};
    pattern_fill(bytes, 0, SIZE);
    chain.relay = bide_spawn(relays, chain.near.server, chain.far.client);
    return chain;
}

static void chain_close(const struct chain *chain)
{
    ends_abort(&chain->near);
    ends_abort(&chain->far);
}

STREAM_TEST_SECONDS(relays_hand_on_everything_and_the_end, 120)
{
    for (int i = 0; i < 4; i++) {
        struct chain chain = chain_open(i & 1, i & 2);
        size_t n[2] = {0};
        bide_task *tasks[] = {bide_spawn(sends_all, chain.near.client),
                              bide_spawn(sends_all, chain.far.server),
                              bide_spawn(hears, chain.near.client, &n[0]),
                              bide_spawn(hears, chain.far.server, &n[1])};
        CHECK_INT(bide_gather(tasks, 4, NULL), 0);
        CHECK_INT(n[0], SIZE);
        CHECK_INT(n[1], SIZE);
        CHECK_INT(bide_await(chain.relay), 0);
        chain_close(&chain);
    }
}

/* The one side is cut; the relay ends with that, and its owner cuts the other one. */
STREAM_TEST_SECONDS(a_cut_is_not_relayed_as_an_end, 60)
{
    struct chain chain = chain_open(true, true);
    size_t n = 0;
    bide_task *listener = bide_spawn(hears, chain.far.server, &n);
    CHECK_INT(bide_write(chain.near.client, bytes, 1000), 0);
    while (n < 1000)
        turns(1);
    CHECK_INT(shutdown(bide_stream_fd(chain.near.client), SHUT_WR), 0);
    CHECK_INT(bide_await(chain.relay), -BIDE_ETRUNCATED);
    CHECK(!bide_task_done(listener));
    bide_abort(chain.far.client);
    int rc = bide_await(listener);
    CHECK(rc == -BIDE_ETRUNCATED || rc == -ECONNRESET);
    chain_close(&chain);
}

/* The client speaks TLS with a proxy, and through it with a server. */
STREAM_TEST_SECONDS(a_tunnel_ends_in_order_on_both_levels, 60)
{
    for (int i = 0; i < 2; i++) {
        struct chain chain = chain_open(true, false);
        bide_stream *client = chain.near.client, *server = chain.far.server;
        bide_tls_context *contexts[] = {client_context(), server_context()};
        size_t n[2] = {0};
        ends_secure(&(struct ends){client, server}, contexts[0], contexts[1], "a.test");
        bide_task *tasks[] = {bide_spawn(sends_all, client), bide_spawn(sends_all, server),
                              bide_spawn(hears, client, &n[0]), bide_spawn(hears, server, &n[1])};
        CHECK_INT(bide_gather(tasks, 4, NULL), 0);
        CHECK_INT(n[0], SIZE);
        CHECK_INT(n[1], SIZE);
        CHECK_INT(bide_close(i == 0 ? client : server), 0);
        CHECK_INT(bide_close(i == 0 ? server : client), 0);
        CHECK_INT(bide_await(chain.relay), 0);
        chain.near.client = NULL;
        chain.far.server = NULL;
        chain_close(&chain);
        bide_tls_unref(contexts[0]);
        bide_tls_unref(contexts[1]);
    }
}
