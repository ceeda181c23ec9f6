/*
 * Scenario: pairs of protocols in one loop that write, pause, resume, hand over to another
 * protocol, end their side, close and abort by chance, from a seed; also simulated. Claim: every
 * order of calls is one that transport.h allows; an end of file comes behind every byte that was
 * written, and no byte comes twice or in another's place; every connection is lost and every
 * protocol dropped once. With BIDE_TEST_LONG=1 it is ten times the connections.
 */
#include "transport_rig.h"

enum { PAIRS_AT_ONCE = 8, PAIRS = 300, ACTIONS_MAX = 25, WRITE_MAX = 40 * KIB };

struct side {
    struct talker talker;
    struct side *other;
    size_t n_written;
    int n_actions;
    bool ended; /* our side: nothing more is to be written */
    bool broke; /* aborted, or sure to be */
};

/* The protocol may be handed to a copy of itself, which goes on where the first one was. */
struct pair_of_sides {
    struct side sides[2];
    bool begun;
};

static struct {
    bide_loop *loop;
    bide_server *server;
    uint64_t random;
    size_t n_wanted;
    size_t n_begun;
    size_t n_over;
    struct pair_of_sides pairs[PAIRS_AT_ONCE];
    struct side *expected[PAIRS_AT_ONCE]; /* hosts of guests that have called */
    size_t n_expected;
} torture;

static size_t chance(size_t n)
{
    return (size_t)(bide_test_random(&torture.random) % n);
}

/* Protocols: the rig's, with what is particular here. */

static bool side_eof(void *data)
{
    struct side *side = data;
    bool keeps = talker_eof(data);
    CHECK_INT(side->talker.n_received, side->other->n_written);
    return keeps;
}

static void side_lost(void *data, int error)
{
    struct side *side = data;
    talker_lost(data, error);
    if (!side->broke && !side->other->broke)
        CHECK_INT(error, 0);
    if (error < 0 && error != -EPIPE && error != -ECONNABORTED)
        CHECK_INT(error, -ECONNRESET);
    side->ended = true;
}

static const struct bide_protocol side_protocols[2] = {
    {.connection_made = talker_made,
     .data_received = talker_received,
     .eof_received = side_eof,
     .connection_lost = side_lost,
     .pause_writing = talker_pause,
     .resume_writing = talker_resume},
    {.connection_made = talker_made,
     .get_buffer = talker_buffer,
     .buffer_updated = talker_updated,
     .eof_received = side_eof,
     .connection_lost = side_lost,
     .pause_writing = talker_pause,
     .resume_writing = talker_resume},
};

static void side_drop(void *data)
{
    struct side *side = data;
    talker_drop(data);
    CHECK(side->talker.lost);
    torture.n_over += side->talker.dropped && side->other->talker.dropped;
}

static void side_init(struct side *side, struct side *other)
{
    *side = (struct side){.other = other, .n_actions = 1 + (int)chance(ACTIONS_MAX)};
    side->talker.loop = torture.loop;
    side->talker.keeps_open = chance(2) > 0;
    side->talker.buffer_size = 1 + chance(sizeof side->talker.buffer);
}

static int receive_guest(void *data, struct bide_party *ret_party)
{
    (void)data;
    CHECK(torture.n_expected > 0);
    struct side *side = torture.expected[0];
    torture.n_expected--;
    memmove(torture.expected, torture.expected + 1, torture.n_expected * sizeof(struct side *));
    *ret_party = (struct bide_party){&side_protocols[chance(2)], side, side_drop};
    return 0;
}

/* Guests are told apart by calling one after the other: the next one calls when this one's host has
 * come. */
static void begin_pair(struct pair_of_sides *pair)
{
    side_init(&pair->sides[0], &pair->sides[1]);
    side_init(&pair->sides[1], &pair->sides[0]);
    pair->begun = true;
    torture.n_begun++;
    torture.expected[torture.n_expected++] = &pair->sides[1];
    CHECK_INT(bide_loop_connect(torture.loop, "127.0.0.1", bide_server_port(torture.server), NULL,
                                &side_protocols[chance(2)], &pair->sides[0], side_drop,
                                &pair->sides[0].talker.transport),
              0);
}

static void side_write(struct side *side)
{
    size_t size = 1 + chance(chance(2) ? 100 : WRITE_MAX);
    int rc = talker_write(&side->talker, side->n_written, size);
    if (rc == 0) {
        side->n_written += size;
        return;
    }
    if (rc == -EPIPE && side->ended)
        return;
    CHECK(rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNABORTED || rc == -ENOTCONN);
}

static void side_act(struct side *side)
{
    bide_transport *transport = side->talker.transport;
    size_t what = side->n_actions-- > 0 ? chance(100) : 98;
    if (what < 55) {
        side_write(side);
    } else if (what < 65) {
        side->talker.deaf = true;
        INSIDE(bide_transport_pause_reading(transport));
    } else if (what < 80) {
        side->talker.deaf = bide_transport_is_closing(transport);
        INSIDE(bide_transport_resume_reading(transport));
    } else if (what < 86) {
        INSIDE(CHECK_INT(bide_transport_set_write_limits(transport, chance(WRITE_MAX), 0), 0));
    } else if (what < 90) {
        INSIDE((void)bide_transport_write_eof(transport));
        side->ended = true;
    } else if (what < 93) {
        side->broke = true;
        side->ended = true;
        talker_abort(&side->talker);
    } else if (what >= 97) {
        side->ended = true;
        /* What comes behind that is for nobody: the other's bytes may end in a reset. */
        side->broke = side->broke || !side->talker.eof;
        talker_close(&side->talker);
    }
}

static int act(void *data)
{
    (void)data;
    struct pair_of_sides *pair = &torture.pairs[chance(PAIRS_AT_ONCE)];
    struct side *side = &pair->sides[chance(2)];
    bool over = !pair->begun || (pair->sides[0].talker.dropped && pair->sides[1].talker.dropped);
    if (over && torture.n_begun < torture.n_wanted && torture.n_expected == 0)
        begin_pair(pair);
    else if (pair->begun && side->talker.made && !side->talker.lost)
        side_act(side);
    if (torture.n_over == torture.n_wanted)
        bide_loop_stop(torture.loop);
    else if (chance(3) > 0)
        CHECK_INT(bide_loop_call_soon(torture.loop, act, NULL, NULL, NULL), 0);
    else
        CHECK_INT(
            bide_loop_call_later(torture.loop, (double)chance(100) * 1e-6, act, NULL, NULL, NULL),
            0);
    return 0;
}

BIDE_TEST(by_chance, .seconds = 120, .seeds_max = 20)
{
    int n_fds = count_fds();
    find_stack();
    torture.random = bide_test_seed();
    torture.n_wanted = getenv("BIDE_TEST_LONG") ? 10 * PAIRS : PAIRS;
    torture.loop = rig_loop();
    CHECK_INT(bide_loop_listen(torture.loop, "127.0.0.1", 0, NULL, receive_guest, NULL, NULL,
                               &torture.server),
              0);
    CHECK_INT(bide_loop_call_soon(torture.loop, act, NULL, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(torture.loop), 0);
    CHECK_INT(torture.n_over, torture.n_wanted);
    bide_server_free(torture.server);
    rig_close(torture.loop);
    CHECK_INT(count_fds(), n_fds);
}
