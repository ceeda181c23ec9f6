/*
 * Scenario: many connections that turn to TLS behind a few plain bytes, through a proxy that splits
 * what passes, holds it back, serves the two directions in any order, and in most connections does
 * harm at a byte of its choice, in the handshake or behind it: ends one direction early, resets
 * both sides, or resets one and closes the other. In some of them one end does harm as well:
 * cancels its writer, aborts, or closes in the middle of everything. All by chance, from a seed.
 * Claim: every byte that comes is the one that was sent there. An orderly end comes behind exactly
 * what was written by calls that succeeded; a connection that was cut, and a write that was broken
 * off, never end in order. Where nobody does harm, everything arrives. Every call ends, and nothing
 * is left.
 */
#include "proxy_rig.h"
#include "tls_rig.h"

/* Of the handshake and the records, about. */
enum { TLS_BYTES = 5000, LARGE_MAX = 12 * KIB };

static bide_tls_context *client_side, *server_side;
static size_t n_orderly, n_cut, n_torn, n_resumed;

/* Whoever is cut off tells the other end so, with an alert. */
static void check_error(int rc)
{
    if (rc != -BIDE_ETRUNCATED && rc != -BIDE_ETLS && rc != -ECANCELED)
        check_broken(rc);
}

/* A cancelled call has written nothing, or the stream is torn. */
static bide_async(sends, (bide_stream *, stream), (struct story *, story), (int, direction))
{
    char *buffer = malloc(LARGE_MAX);
    size_t total = story->total[direction];
    int rc = 0;
    for (size_t n = 0; rc == 0 && n < total;) {
        size_t size = 1 + chance(chance(8) ? PIECE_MAX : LARGE_MAX);
        size = size < total - n ? size : total - n;
        pattern_fill(buffer, pattern_begin(story, direction) + n, size);
        story->is_writing = story->doer != direction;
        rc = bide_write(stream, buffer, size);
        story->is_writing = false;
        n += size;
        if (rc == 0)
            story->sent[direction] = n;
        if (story->is_closed)
            break;
        some_turns(1);
    }
    free(buffer);
    if (rc == 0 && !story->is_closed)
        rc = bide_write_eof(stream);
    n_torn += rc == -BIDE_ETORN;
    check_error(rc);
    return 0;
}

static void receive(bide_stream *stream, struct story *story, int direction, bide_task *sender)
{
    char buffer[PIECE_MAX];
    size_t until = story->deed != NO_DEED ? chance(story->total[direction] + 1) : SIZE_MAX;
    bool is_done = story->doer != direction;
    int rc = 1;
    while (rc > 0) {
        if (!is_done && story->got[direction] >= until) {
            some_turns(8);
            if (story->deed == CANCELS_WRITER)
                bide_cancel(sender);
            if (story->deed == ABORTS)
                bide_abort(stream);
            if (story->deed == CLOSES && (story->is_writing || bide_task_done(sender))) {
                story->is_closed = true;
                return;
            }
            is_done = story->deed != CLOSES;
        }
        rc = bide_read(stream, buffer, 1 + chance(PIECE_MAX));
        if (rc > 0) {
            pattern_check(buffer, pattern_begin(story, direction) + story->got[direction],
                          (size_t)rc);
            story->got[direction] += (size_t)rc;
        }
        some_turns(1);
    }
    check_error(rc);
    story->end[direction] = rc;
}

static int serves(bide_stream *stream, void *data)
{
    struct story *story = NULL;
    (void)data;
    int rc = number_receive(stream, &story);
    if (rc == 0)
        rc = bide_tls_start_server(stream, server_side, NULL);
    check_error(rc);
    if (rc < 0)
        return 0;
    bide_task *sender = bide_spawn(sends, stream, story, DOWN);
    receive(stream, story, UP, sender);
    check_error(bide_await(sender));
    return 0;
}

static void visit_once(bide_stream *stream, struct story *story)
{
    struct bide_tls_opts opts = {.server_name = "a.test"};
    struct bide_tls_info info;
    int rc = bide_tls_start_client(stream, client_side, &opts);
    check_error(rc);
    if (rc < 0) {
        story->end[DOWN] = rc;
        bide_close(stream);
        return;
    }
    CHECK_INT(bide_tls_info_get(stream, &info), 0);
    CHECK(info.verified);
    n_resumed += info.resumed;
    bide_task *sender = bide_spawn(sends, stream, story, UP);
    receive(stream, story, DOWN, sender);
    if (!story->is_closed)
        check_error(bide_await(sender));
    rc = bide_close(stream);
    check_error(rc);
    if (story->is_closed)
        check_error(bide_await(sender));
}

static bide_async(visits)
{
    while (n_begun < n_stories) {
        bide_stream *stream;
        struct story *story = &stories[n_begun++];
        uint32_t number = (uint32_t)(story - stories);
        story_begin(story, TLS_BYTES);
        story->deed = chance(2) ? NO_DEED : (enum deed)chance(DEEDS);
        story->doer = story->deed == CLOSES ? DOWN : (int)chance(DIRECTIONS);
        CHECK_INT(bide_connect("127.0.0.1", proxy_port, &connect_opts, &stream), 0);
        CHECK_INT(bide_write(stream, &number, sizeof number), 0);
        visit_once(stream, story);
    }
    return 0;
}

static bide_task *visit(void)
{
    return bide_spawn(visits);
}

static void check_direction(const struct story *story, int direction)
{
    size_t got = story->got[direction];
    int end = story->end[direction];
    CHECK(got <= story->total[direction]);
    CHECK(got <= story->passed[direction]);
    if (end == 0)
        CHECK_INT(got, story->sent[direction]);
    if (!story->is_harmed && story->deed == NO_DEED) {
        CHECK_INT(end, 0);
        CHECK_INT(got, story->total[direction]);
    }
    n_orderly += end == 0;
    n_cut += end == -BIDE_ETRUNCATED;
}

STREAM_TEST_SECONDS(no_connection_that_was_cut_ends_in_order, 300)
{
    client_side = client_context();
    server_side = server_context();
    tell_stories(test_slowness() > 1 ? 200 : 2000, serves, visit);
    for (size_t i = 0; i < n_stories; i++)
        for (int direction = 0; direction < DIRECTIONS; direction++)
            check_direction(&stories[i], direction);
    printf("%zu ends in order, %zu truncated, %zu writes torn, %zu sessions resumed\n", n_orderly,
           n_cut, n_torn, n_resumed);
    CHECK(n_orderly > n_stories / 4 && n_cut > n_stories / 20);
    free(stories);
    bide_tls_unref(client_side);
    bide_tls_unref(server_side);
}
