/*
 * Scenario: 10,000 connections through a proxy that splits what passes, holds it back, serves the
 * two directions in any order, and in most connections does harm at a byte of its choice: ends one
 * direction early, resets both sides, or resets one and closes the other. All by chance, from a
 * seed.
 * Claim: at both ends every byte that came is the one that was sent there; an end without an error
 * is never before the last byte, unless the proxy itself ended the direction in order, and then it
 * is behind the last byte that the proxy passed on. Every call ends, and nothing is left.
 */
#include "stream_rig.h"

enum { AT_ONCE = 64, TOTAL_MAX = 24 * KIB, PIECE_MAX = 3000, HIGH = 4 * KIB };

enum fate {
    UNHARMED,
    HALF_CLOSED, /* one direction is ended early */
    RESET,       /* both sides are reset */
    RESET_ONE,   /* one side is reset, the other one closed */
    FATES,
};

/* The directions, and the ends that receive them. */
enum { UP, DOWN, DIRECTIONS };

struct story {
    enum fate fate;
    int direction;            /* in which the proxy does its harm */
    size_t at;                /* after so many bytes of it */
    size_t total[DIRECTIONS]; /* sent */
    size_t passed[DIRECTIONS];
    size_t got[DIRECTIONS];
    int end[DIRECTIONS]; /* how receiving ended; 1: it did not yet */
};

static struct story *stories;
static size_t n_stories, n_begun;
static unsigned proxy_port, server_port;
static uint64_t random_state;

static const struct bide_connect_opts connect_opts = {.stream = {.write_high_bytes = HIGH}};
static const struct bide_server_opts server_opts = {.stream = {.write_high_bytes = HIGH}};

/* 0 … n - 1 */
static size_t chance(size_t n)
{
    return (size_t)(test_random(&random_state) % n);
}

static void some_turns(size_t most)
{
    for (size_t i = chance(most + 1); i > 0; i--)
        bide_sleep(0);
}

static size_t total_by_chance(void)
{
    switch (chance(4)) {
    case 0:
        return 0;
    case 1:
        return chance(TOTAL_MAX);
    default:
        return chance(PIECE_MAX);
    }
}

static void story_begin(struct story *story)
{
    story->fate = (enum fate)chance(FATES);
    story->direction = (int)chance(DIRECTIONS);
    for (int i = 0; i < DIRECTIONS; i++) {
        story->total[i] = total_by_chance();
        story->end[i] = 1;
    }
    story->at = story->fate == UNHARMED ? SIZE_MAX : chance(story->total[story->direction] + 1);
}

/* Bytes of each story and direction are others. */
static size_t pattern_begin(const struct story *story, int direction)
{
    return (size_t)(story - stories) * 1000003 + (size_t)direction * 500009;
}

static void check_error(int rc)
{
    if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET && rc != -ECONNABORTED)
        CHECK_INT(rc, -BIDE_ETORN);
}

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
    check_error(rc);
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
    check_error(rc);
    story->end[direction] = rc;
}

static void converse(bide_stream *stream, struct story *story, int sent)
{
    bide_task *sender = bide_spawn(sends, stream, story, sent);
    receive(stream, story, UP + DOWN - sent);
    CHECK_INT(bide_await(sender), 0);
}

/* The number of the story comes first. */
static int number_receive(bide_stream *stream, struct story **ret_story)
{
    uint32_t number;
    int rc = bide_read_exactly(stream, &number, sizeof number);
    if (rc < 0)
        return rc;
    CHECK(number < n_stories);
    *ret_story = &stories[number];
    return 0;
}

static int serves(bide_stream *stream, void *data)
{
    struct story *story;
    (void)data;
    int rc = number_receive(stream, &story);
    if (rc == 0)
        converse(stream, story, DOWN);
    else /* reset before it came so far */
        check_error(rc);
    return 0;
}

static bide_async(visits)
{
    while (n_begun < n_stories) {
        bide_stream *stream;
        struct story *story = &stories[n_begun++];
        uint32_t number = (uint32_t)(story - stories);
        story_begin(story);
        CHECK_INT(bide_connect("127.0.0.1", proxy_port, &connect_opts, &stream), 0);
        CHECK_INT(bide_write(stream, &number, sizeof number), 0);
        converse(stream, story, UP);
        int rc = bide_close(stream);
        check_error(rc);
    }
    return 0;
}

/* The proxy */

struct passage {
    struct story *story;
    bide_stream *sides[2]; /* the client's, the server's */
};

/* Nothing goes through any more. */
static void harm(struct passage *passage)
{
    struct story *story = passage->story;
    for (int i = 0; i < 2; i++)
        if (story->fate == RESET || i != story->direction)
            bide_abort(passage->sides[i]);
}

/* What still comes is for nobody. */
static int swallow(bide_stream *from)
{
    char buffer[PIECE_MAX];
    int rc;
    while ((rc = bide_read(from, buffer, sizeof buffer)) > 0)
        ;
    return rc;
}

static bide_async(pumps, (struct passage *, passage), (int, direction))
{
    struct story *story = passage->story;
    bide_stream *from = passage->sides[direction], *to = passage->sides[1 - direction];
    bool is_harmed = story->direction == direction;
    char buffer[PIECE_MAX];
    int rc = 0;
    while (rc >= 0) {
        size_t *passed = &story->passed[direction];
        if (is_harmed && *passed == story->at)
            break;
        size_t most = 1 + chance(chance(3) ? PIECE_MAX : 8);
        if (is_harmed && most > story->at - *passed)
            most = story->at - *passed;
        some_turns(3);
        rc = bide_read(from, buffer, most);
        if (rc <= 0)
            break;
        some_turns(3);
        size_t size = (size_t)rc, half = chance(size + 1);
        *passed += size;
        rc = bide_write(to, buffer, half);
        if (rc == 0 && chance(2))
            rc = bide_drain(to);
        if (rc == 0)
            rc = bide_write(to, buffer + half, size - half);
    }
    if (is_harmed && story->passed[direction] == story->at && story->fate != HALF_CLOSED) {
        harm(passage);
    } else if (rc >= 0) {
        rc = bide_write_eof(to);
        int swallowed = swallow(from);
        check_error(swallowed);
    }
    check_error(rc);
    return 0;
}

static int forwards(bide_stream *stream, void *data)
{
    struct passage passage = {.sides[0] = stream};
    uint32_t number;
    (void)data;
    CHECK_INT(number_receive(stream, &passage.story), 0);
    number = (uint32_t)(passage.story - stories);
    CHECK_INT(bide_connect("127.0.0.1", server_port, &connect_opts, &passage.sides[1]), 0);
    CHECK_INT(bide_write(passage.sides[1], &number, sizeof number), 0);
    bide_task *tasks[] = {bide_spawn(pumps, &passage, UP), bide_spawn(pumps, &passage, DOWN)};
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    int rc = bide_close(passage.sides[1]);
    check_error(rc);
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

STREAM_TEST_SECONDS(every_byte_arrives_or_an_error_does, 300)
{
    bide_task *tasks[AT_ONCE];
    bide_server *server, *proxy;
    size_t n_by_end[2] = {0};
    n_stories = test_slowness() > 1 ? 1000 : 10000;
    random_state = test_seed();
    printf("seed %llu\n", (unsigned long long)random_state);
    stories = calloc(n_stories, sizeof *stories);
    CHECK_INT(bide_serve("127.0.0.1", 0, serves, NULL, &server_opts, &server), 0);
    server_port = bide_server_port(server);
    CHECK_INT(bide_serve("127.0.0.1", 0, forwards, NULL, &server_opts, &proxy), 0);
    proxy_port = bide_server_port(proxy);
    for (size_t i = 0; i < AT_ONCE; i++)
        tasks[i] = bide_spawn(visits);
    CHECK_INT(bide_gather(tasks, AT_ONCE, NULL), 0);
    bide_server_close(proxy);
    CHECK_INT(bide_server_wait_closed(proxy), 0);
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(proxy);
    bide_server_free(server);
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
