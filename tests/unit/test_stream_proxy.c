/*
 * Scenario: 10,000 connections through a proxy that splits what passes, holds it back, serves the
 * two directions in any order, and in most connections does harm at a byte of its choice: ends one
 * direction early, resets both sides, or resets one and closes the other. All by chance, from a
 * seed.
 * Claim: at both ends every byte that came is the one that was sent there; an end without an error
 * is never before the last byte, unless the proxy itself ended the direction in order, and then it
 * is behind the last byte that the proxy passed on. Every call ends, and nothing is left.
 */
#include "proxy_rig.h"

/* The two ends */

static bide_async(sends, (bide_stream *, stream), (struct story *, story), (int, direction))
{
    char buffer[PIECE_MAX];
    size_t total = story->total[direction];
    int rc = 0;
    for (size_t n = 0; rc == 0 && n < total;) {
        size_t size = 1 + chance(PIECE_MAX);
        size = size < total - n ? size : total - n;
        pattern_fill(buffer, pattern_begin(story, direction) + n, size);
        rc = bide_write(stream, buffer, size);
        n += size;
        some_turns(1);
    }
    if (rc == 0)
        rc = bide_write_eof(stream);
    check_broken(rc);
    return 0;
}

static void receive(bide_stream *stream, struct story *story, int direction)
{
    char buffer[PIECE_MAX];
    int rc;
    while ((rc = bide_read(stream, buffer, 1 + chance(PIECE_MAX))) > 0) {
        pattern_check(buffer, pattern_begin(story, direction) + story->got[direction], (size_t)rc);
        story->got[direction] += (size_t)rc;
        some_turns(1);
    }
    check_broken(rc);
    story->end[direction] = rc;
}

static void converse(bide_stream *stream, struct story *story, int sent)
{
    bide_task *sender = bide_spawn(sends, stream, story, sent);
    receive(stream, story, UP + DOWN - sent);
    CHECK_INT(bide_await(sender), 0);
}

static int serves(bide_stream *stream, void *data)
{
    struct story *story;
    (void)data;
    int rc = number_receive(stream, &story);
    if (rc == 0)
        converse(stream, story, DOWN);
    else /* reset before it came so far */
        check_broken(rc);
    return 0;
}

static bide_async(visits)
{
    while (n_begun < n_stories) {
        bide_stream *stream;
        struct story *story = &stories[n_begun++];
        uint32_t number = (uint32_t)(story - stories);
        story_begin(story, 0);
        CHECK_INT(bide_connect("127.0.0.1", proxy_port, &connect_opts, &stream), 0);
        CHECK_INT(bide_write(stream, &number, sizeof number), 0);
        converse(stream, story, UP);
        int rc = bide_close(stream);
        check_broken(rc);
    }
    return 0;
}

/* The claim */

static void check_direction(const struct story *story, int direction)
{
    size_t got = story->got[direction], total = story->total[direction];
    int end = story->end[direction];
    bool is_own = story->direction == direction;
    CHECK(got <= total);
    CHECK(got <= story->passed[direction]);
    if (story->fate == UNHARMED || (story->fate == HALF_CLOSED && !is_own)) {
        CHECK_INT(end, 0);
        CHECK_INT(got, total);
    } else if (story->fate == HALF_CLOSED) {
        CHECK_INT(end, 0);
        CHECK_INT(got, story->at);
    } else if (end == 0 && (story->fate == RESET || is_own)) {
        CHECK_INT(got, total);
    }
}

static bide_task *visit(void)
{
    return bide_spawn(visits);
}

STREAM_TEST_SECONDS(every_byte_arrives_or_an_error_does, 300)
{
    size_t n_by_end[2] = {0};
    tell_stories(test_slowness() > 1 ? 1000 : 10000, serves, visit);
    for (size_t i = 0; i < n_stories; i++)
        for (int direction = 0; direction < DIRECTIONS; direction++) {
            if (stories[i].end[direction] == 1) /* the server never heard of it */
                CHECK(direction == UP && stories[i].fate >= RESET);
            else
                check_direction(&stories[i], direction);
            n_by_end[stories[i].end[direction] < 0]++;
        }
    CHECK(n_by_end[0] > n_stories && n_by_end[1] > n_stories / 4);
    free(stories);
}
