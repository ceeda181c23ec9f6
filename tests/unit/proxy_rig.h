/*
 * What the tests with a harmful proxy share: a story for each connection, which tells what is sent
 * and what the proxy does to it, and the proxy.
 *
 * Invariant: everything by chance comes from one seed.
 */
#ifndef BIDE_TEST_PROXY_RIG_H
#define BIDE_TEST_PROXY_RIG_H

#include "stream_rig.h"

enum { TOTAL_MAX = 24 * KIB, PIECE_MAX = 3000, HIGH = 4 * KIB };

enum fate {
    UNHARMED,
    HALF_CLOSED, /* one direction is ended early */
    RESET,       /* both sides are reset */
    RESET_ONE,   /* one side is reset, the other one closed */
    FATES,
};

/* The directions, and the ends that receive them. */
enum { UP, DOWN, DIRECTIONS };

/* What one of the two ends does. */
enum deed {
    NO_DEED,
    CANCELS_WRITER, /* in the middle of it */
    ABORTS,
    CLOSES, /* while it reads and writes still */
    DEEDS,
};

struct story {
    enum fate fate;
    int direction;            /* in which the proxy does its harm */
    size_t at;                /* after so many bytes of it */
    bool is_harmed;           /* it came so far */
    size_t total[DIRECTIONS]; /* to be sent */
    size_t sent[DIRECTIONS];  /* by writes that succeeded */
    size_t passed[DIRECTIONS];
    size_t got[DIRECTIONS];
    int end[DIRECTIONS]; /* how receiving ended; 1: it did not yet, or the end was not waited for */
    enum deed deed;
    int doer;        /* the end that receives this direction */
    bool is_writing; /* it is inside a call */
    bool is_closed;  /* by its doer */
};

static struct story *stories;
static size_t n_stories, n_begun;
static unsigned proxy_port, server_port;
static uint64_t random_state;

static const struct bide_connect_opts connect_opts = {.stream = {.write_high_bytes = HIGH}};
static const struct bide_server_opts server_opts = {.stream = {.write_high_bytes = HIGH}};

/* 0 … n - 1 */
static RIG_UNUSED size_t chance(size_t n)
{
    return (size_t)(test_random(&random_state) % n);
}

static RIG_UNUSED void some_turns(size_t most)
{
    for (size_t i = chance(most + 1); i > 0; i--)
        bide_sleep(0);
}

static RIG_UNUSED size_t total_by_chance(void)
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

/* `more_bytes`: about how many more pass than are sent. */
static RIG_UNUSED void story_begin(struct story *story, size_t more_bytes)
{
    story->fate = (enum fate)chance(FATES);
    story->direction = (int)chance(DIRECTIONS);
    for (int i = 0; i < DIRECTIONS; i++) {
        story->total[i] = total_by_chance();
        story->end[i] = 1;
    }
    story->at = story->fate == UNHARMED ? SIZE_MAX
                                        : chance(story->total[story->direction] + more_bytes + 1);
}

/* Bytes of each story and direction are others. */
static RIG_UNUSED size_t pattern_begin(const struct story *story, int direction)
{
    return (size_t)(story - stories) * 1000003 + (size_t)direction * 500009;
}

/* All that was written is gone, or an error. */
static RIG_UNUSED void check_broken(int rc)
{
    if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET && rc != -ECONNABORTED)
        CHECK_INT(rc, -BIDE_ETORN);
}

/* The number of the story comes first, and nothing behind it is read. */
static RIG_UNUSED int number_receive(bide_stream *stream, struct story **ret_story)
{
    uint32_t number;
    for (size_t n = 0; n < sizeof number;) {
        int rc = bide_read(stream, (char *)&number + n, sizeof number - n);
        if (rc <= 0)
            return rc < 0 ? rc : -ECONNRESET;
        n += (size_t)rc;
    }
    CHECK(number < n_stories);
    *ret_story = &stories[number];
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
    story->is_harmed = true;
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
    bool is_reached = is_harmed && story->passed[direction] == story->at;
    if (is_reached && story->fate != HALF_CLOSED) {
        harm(passage);
    } else if (rc >= 0) {
        story->is_harmed = story->is_harmed || is_reached;
        rc = bide_write_eof(to);
        int swallowed = swallow(from);
        check_broken(swallowed);
    }
    for (int i = 0; rc < 0 && !story->is_harmed && i < 2; i++)
        bide_abort(passage->sides[i]); /* one of the ends broke it */
    check_broken(rc);
    return 0;
}

static RIG_UNUSED int forwards(bide_stream *stream, void *data)
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
    check_broken(rc);
    return 0;
}

/* Serves, and has so many tasks of `visits` at work until all stories are told. */
static RIG_UNUSED void tell_stories(size_t n, bide_handler *serves, bide_task *(*visit)(void))
{
    enum { AT_ONCE = 64 };
    bide_task *tasks[AT_ONCE];
    bide_server *server, *proxy;
    n_stories = n;
    random_state = test_seed();
    printf("seed %llu\n", (unsigned long long)random_state);
    stories = calloc(n_stories, sizeof *stories);
    CHECK_INT(bide_serve("127.0.0.1", 0, serves, NULL, &server_opts, &server), 0);
    server_port = bide_server_port(server);
    CHECK_INT(bide_serve("127.0.0.1", 0, forwards, NULL, &server_opts, &proxy), 0);
    proxy_port = bide_server_port(proxy);
    for (size_t i = 0; i < AT_ONCE; i++)
        tasks[i] = visit();
    CHECK_INT(bide_gather(tasks, AT_ONCE, NULL), 0);
    bide_server_close(proxy);
    CHECK_INT(bide_server_wait_closed(proxy), 0);
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(proxy);
    bide_server_free(server);
}

#endif
