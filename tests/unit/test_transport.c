/*
 * Scenario: protocols on connections whose other end the test holds: bytes, ends, resets, closes
 * and aborts from either side, reading and writing paused, protocols with buffers of their own and
 * protocols that are replaced; no task anywhere.
 * Claim: what transport.h says: the order of the calls, that each comes once and later than what
 * caused it, what is left of the bytes, and the error in the end.
 */
#include "transport_rig.h"

#include "io/transport/transport.h"
#include "sim_rig.h"

BIDE_TEST(bytes_pass_both_ways_and_the_peer_s_end_closes)
{
    for (int is_buffered = 0; is_buffered < 2; is_buffered++) {
        struct scene scene = {.talker.is_buffered = is_buffered};
        scene_open(&scene);
        CHECK(bide_transport_is_reading(scene.talker.transport));
        CHECK(bide_transport_can_write_eof(scene.talker.transport));
        scene_send(&scene, 0, 300 * KIB);
        UNTIL(scene.loop, scene.talker.n_received == 300 * KIB);
        CHECK_INT(talker_write(&scene.talker, 0, 5), 0);
        CHECK_INT(talker_write(&scene.talker, 5, 70 * KIB), 0);
        scene_hears(&scene, 0, 5 + 70 * KIB);
        CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
        UNTIL(scene.loop, scene.talker.lost);
        CHECK(scene.talker.eof);
        CHECK_INT(scene.talker.error, 0);
        scene_hears_end(&scene);
        scene_close(&scene);
    }
}

BIDE_TEST(nothing_is_said_before_the_next_turn)
{
    struct scene scene = {.loop = rig_loop()};
    find_stack();
    scene.n_fds = count_fds();
    INSIDE(scene_connect(&scene, NULL, 0));
    CHECK_INT(scene.talker.n_calls, 0);
    UNTIL(scene.loop, scene.talker.made);
    CHECK_INT(scene.talker.n_calls, 1);
    talker_abort(&scene.talker);
    CHECK_INT(scene.talker.n_calls, 1);
    UNTIL(scene.loop, scene.talker.lost);
    close(scene.peer);
    CHECK_INT(count_fds(), scene.n_fds);
    rig_close(scene.loop);
}

BIDE_TEST(our_side_stays_open_when_the_protocol_says_so)
{
    struct scene scene = {.talker.keeps_open = true};
    scene_open(&scene);
    scene_send(&scene, 0, 10);
    CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
    UNTIL(scene.loop, scene.talker.eof);
    CHECK_INT(scene.talker.n_received, 10);
    some_turns(scene.loop);
    CHECK(!scene.talker.lost && !bide_transport_is_closing(scene.talker.transport));
    CHECK(!bide_transport_is_reading(scene.talker.transport));
    CHECK_INT(talker_write(&scene.talker, 0, 100), 0);
    scene_hears(&scene, 0, 100);
    CHECK_INT(talker_write(&scene.talker, 100, 100), 0);
    talker_close(&scene.talker);
    CHECK_INT(talker_write(&scene.talker, 0, 1), -EPIPE);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, 0);
    scene_hears(&scene, 100, 100);
    scene_hears_end(&scene);
    scene_close(&scene);
}

BIDE_TEST(our_end_leaves_the_peer_s_side_open)
{
    struct scene scene = {0};
    scene_open(&scene);
    CHECK_INT(talker_write(&scene.talker, 0, 10), 0);
    CHECK_INT(bide_transport_write_eof(scene.talker.transport), 0);
    CHECK_INT(bide_transport_write_eof(scene.talker.transport), -EALREADY);
    CHECK_INT(talker_write(&scene.talker, 0, 1), -EPIPE);
    scene_hears(&scene, 0, 10);
    scene_hears_end(&scene);
    scene_send(&scene, 0, 100);
    UNTIL(scene.loop, scene.talker.n_received == 100);
    close(scene.peer);
    scene.peer = -1;
    UNTIL(scene.loop, scene.talker.lost);
    CHECK(scene.talker.eof);
    CHECK_INT(scene.talker.error, 0);
    scene_close(&scene);
}

BIDE_TEST(a_close_flushes_first)
{
    struct scene scene = {0};
    scene_open_with(&scene, NULL, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    CHECK_RANGE(bide_transport_pending(scene.talker.transport), 300 * KIB, 500 * KIB);
    talker_close(&scene.talker);
    CHECK(bide_transport_is_closing(scene.talker.transport));
    some_turns(scene.loop);
    CHECK(!scene.talker.lost);
    scene_hears(&scene, 0, 500 * KIB);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, 0);
    scene_hears_end(&scene);
    scene_close(&scene);
}

BIDE_TEST(a_close_that_takes_too_long_is_told_as_such)
{
    struct scene scene = {0};
    scene_open_with(&scene, &(struct bide_stream_opts){.linger_seconds = TICKS(2)}, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, -ECONNABORTED);
    scene_close(&scene);
}

BIDE_TEST(an_abort_drops_and_resets)
{
    struct scene scene = {0};
    char bytes[64];
    scene_open_with(&scene, NULL, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    talker_abort(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, 0);
    ssize_t n;
    do
        n = scene_recv(&scene, bytes, sizeof bytes);
    while (n > 0);
    CHECK_INT(n, -ECONNRESET);
    scene_close(&scene);
}

BIDE_TEST(an_abort_ends_a_close_that_waits)
{
    struct scene scene = {0};
    scene_open_with(&scene, NULL, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    talker_close(&scene.talker);
    some_turns(scene.loop);
    CHECK(!scene.talker.lost);
    talker_abort(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, 0);
    scene_close(&scene);
}

BIDE_TEST(a_reset_is_told)
{
    struct scene scene = {0};
    scene_open(&scene);
    peer_reset(scene.peer);
    scene.peer = -1;
    UNTIL(scene.loop, scene.talker.lost);
    CHECK(!scene.talker.eof);
    CHECK_INT(scene.talker.error, -ECONNRESET);
    scene_close(&scene);
}

/* A peer that is gone while the protocol listens, has stopped listening, or has heard the end. */
BIDE_TEST(writing_to_a_dead_peer_ends_with_an_error)
{
    for (int listens = 0; listens < 3; listens++) {
        struct scene scene = {.talker.keeps_open = true};
        scene_open_with(&scene, NULL, 4096);
        if (listens == 1)
            bide_transport_pause_reading(scene.talker.transport);
        if (listens == 2) {
            CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
            UNTIL(scene.loop, scene.talker.eof);
        }
        CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
        some_turns(scene.loop);
        peer_reset(scene.peer);
        scene.peer = -1;
        for (size_t i = 0; !scene.talker.lost; i++) {
            int rc = bide_transport_write(scene.talker.transport, "x", 1);
            CHECK(rc == 0 || rc == -EPIPE || rc == -ECONNRESET || rc == -ENOTCONN);
            one_turn(scene.loop);
        }
        CHECK(scene.talker.error == -EPIPE || scene.talker.error == -ECONNRESET);
        scene_close(&scene);
    }
}

/* As of a server that refuses an upload: its words are not lost behind the failing write. */
BIDE_TEST(last_words_are_heard_although_writing_fails)
{
    struct scene scene = {0};
    scene_open_with(&scene, NULL, 4096);
    bide_transport_pause_reading(scene.talker.transport);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    scene_send(&scene, 0, 20);
    some_turns(scene.loop);
    bide_transport_resume_reading(scene.talker.transport);
    close(scene.peer); /* with unread bytes: a reset */
    scene.peer = -1;
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.n_received, 20);
    CHECK(scene.talker.error == -EPIPE || scene.talker.error == -ECONNRESET);
    scene_close(&scene);
}

BIDE_TEST(after_pause_reading_nothing_comes_until_it_is_resumed)
{
    for (int is_buffered = 0; is_buffered < 2; is_buffered++) {
        struct scene scene = {.talker.is_buffered = is_buffered};
        scene_open(&scene);
        scene_send(&scene, 0, 1);
        some_turns(scene.loop); /* what came may be on its way to the protocol now */
        UNTIL(scene.loop, scene.talker.n_received == 1);
        scene_send(&scene, 1, 10);
        bide_transport_pause_reading(scene.talker.transport);
        bide_transport_pause_reading(scene.talker.transport);
        CHECK(!bide_transport_is_reading(scene.talker.transport));
        scene.talker.deaf = true;
        some_turns(scene.loop);
        CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
        some_turns(scene.loop);
        CHECK_INT(scene.talker.n_received, 1);
        scene.talker.deaf = false;
        bide_transport_resume_reading(scene.talker.transport);
        bide_transport_resume_reading(scene.talker.transport);
        UNTIL(scene.loop, scene.talker.lost);
        CHECK_INT(scene.talker.n_received, 11);
        scene_close(&scene);
    }
}

BIDE_TEST(paused_before_it_is_made)
{
    struct scene scene = {.loop = rig_loop()};
    scene.n_fds = count_fds();
    scene_connect(&scene, NULL, 0);
    bide_transport_pause_reading(scene.talker.transport);
    scene.talker.deaf = true;
    UNTIL(scene.loop, scene.talker.made);
    scene_send(&scene, 0, 10);
    some_turns(scene.loop);
    scene.talker.deaf = false;
    bide_transport_resume_reading(scene.talker.transport);
    UNTIL(scene.loop, scene.talker.n_received == 10);
    talker_abort(&scene.talker);
    close(scene.peer);
    UNTIL(scene.loop, scene.talker.lost);
    rig_close(scene.loop);
}

static void pauses_itself(struct talker *talker, const char *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    bide_transport_pause_reading(talker->transport);
    talker->deaf = true;
}

/* Bytes that were received and not handed over yet must neither get lost nor to a deaf protocol. */
BIDE_TEST(a_small_buffer_and_a_pause_at_each_call)
{
    struct scene scene = {.talker.is_buffered = true, .talker.buffer_size = 700};
    scene.talker.on_data = pauses_itself;
    scene_open(&scene);
    scene_send(&scene, 0, 10 * KIB);
    CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
    int n_pauses = 0;
    bide_transport_ref(scene.talker.transport);
    for (; !scene.talker.eof; n_pauses++) {
        UNTIL(scene.loop, scene.talker.deaf || scene.talker.eof);
        some_turns(scene.loop);
        scene.talker.deaf = false;
        bide_transport_resume_reading(scene.talker.transport);
    }
    CHECK_RANGE(n_pauses, 14, 40);
    CHECK_INT(scene.talker.n_received, 10 * KIB);
    UNTIL(scene.loop, scene.talker.lost);
    bide_transport_unref(scene.talker.transport);
    scene_close(&scene);
}

static void *no_buffer(void *data, size_t hint, size_t *ret_size)
{
    struct talker *talker = talker_called(data);
    CHECK(hint > 0);
    *ret_size = 0;
    return talker->buffer;
}

BIDE_TEST(a_buffer_without_room_breaks_the_connection)
{
    struct bide_protocol protocol = buffered_protocol;
    protocol.get_buffer = no_buffer;
    struct scene scene = {0};
    scene_open(&scene);
    CHECK_INT(bide_transport_set_protocol(scene.talker.transport, &protocol, &scene.talker, NULL),
              0);
    scene.talker.dropped = false;
    scene_send(&scene, 0, 10);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, -ENOBUFS);
    scene.talker.dropped = true;
    scene_close(&scene);
}

/* A protocol that has nothing but what it must have. */
BIDE_TEST(functions_that_are_missing_do_what_is_usual)
{
    struct bide_protocol protocol = {.connection_made = talker_made};
    struct scene scene = {0};
    scene_open(&scene);
    int n = count_fds();
    CHECK_INT(bide_transport_set_protocol(scene.talker.transport, &protocol, &scene.talker, NULL),
              0);
    scene_send(&scene, 0, 300 * KIB);
    CHECK_INT(talker_write(&scene.talker, 0, 300 * KIB), 0);
    scene_hears(&scene, 0, 300 * KIB);
    CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
    scene_hears_end(&scene);
    CHECK_INT(count_fds(), n - 1);
    scene_close(&scene);
}

/* Marks */

BIDE_TEST(one_pause_and_one_resume_per_crossing)
{
    struct bide_stream_opts opts = {.write_high_bytes = 64 * KIB, .write_low_bytes = 16 * KIB};
    struct scene scene = {0};
    size_t n = 0;
    size_t n_heard = 0;
    scene_open_with(&scene, &opts, 4096);
    for (int round = 1; round <= 3; round++) {
        CHECK(!scene.talker.paused);
        while (bide_transport_pending(scene.talker.transport) <= 64 * KIB) {
            CHECK_INT(talker_write(&scene.talker, n, 4000), 0);
            n += 4000;
            CHECK_INT(scene.talker.n_pauses, round - 1);
        }
        CHECK_INT(talker_write(&scene.talker, n, 200 * KIB), 0); /* further above changes nothing */
        n += 200 * KIB;
        UNTIL(scene.loop, scene.talker.paused);
        some_turns(scene.loop);
        CHECK_INT(scene.talker.n_pauses, round);
        CHECK_INT(scene.talker.n_resumes, round - 1);
        while (n_heard < n) {
            bool was_low = bide_transport_pending(scene.talker.transport) <= 16 * KIB;
            CHECK(scene.talker.paused || was_low);
            size_t part = n - n_heard < 1000 ? n - n_heard : 1000;
            scene_hears(&scene, n_heard, part);
            n_heard += part;
        }
        UNTIL(scene.loop, !scene.talker.paused);
        CHECK_INT(scene.talker.n_resumes, round);
    }
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    scene_close(&scene);
}

BIDE_TEST(marks_can_be_moved)
{
    struct scene scene = {0};
    size_t high = 0;
    size_t low = 0;
    scene_open_with(&scene, NULL, 4096);
    bide_transport *transport = scene.talker.transport;
    bide_transport_write_limits(transport, &high, &low);
    CHECK_INT(high, 64 * KIB);
    CHECK_INT(low, 16 * KIB);
    CHECK_INT(bide_transport_set_write_limits(transport, 10, 11), -EINVAL);
    CHECK_INT(bide_transport_set_write_limits(transport, MIB, MIB), 0);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    some_turns(scene.loop);
    CHECK_INT(scene.talker.n_pauses, 0);
    CHECK_INT(bide_transport_set_write_limits(transport, 0, 0), 0);
    CHECK_INT(scene.talker.n_pauses, 0);
    UNTIL(scene.loop, scene.talker.paused);
    CHECK_INT(bide_transport_set_write_limits(transport, MIB, MIB), 0);
    UNTIL(scene.loop, !scene.talker.paused);
    scene_hears(&scene, 0, 500 * KIB);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.n_pauses, 1);
    scene_close(&scene);
}

BIDE_TEST(a_closing_transport_still_resumes)
{
    struct scene scene = {0};
    scene_open_with(&scene, NULL, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.paused);
    scene_hears(&scene, 0, 500 * KIB);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.n_resumes, 1);
    scene_close(&scene);
}

BIDE_TEST(what_a_turn_writes_goes_out_before_the_wait_and_together)
{
    struct scene scene = {0};
    char bytes[64];
    scene_open(&scene);
    for (size_t i = 0; i < 10; i++)
        CHECK_INT(talker_write(&scene.talker, i, 1), 0);
    CHECK_INT(bide_transport_pending(scene.talker.transport), 10);
    CHECK_INT(recv(scene.peer, bytes, sizeof bytes, 0), -1);
    one_turn(scene.loop);
    ssize_t n = scene_recv(&scene, bytes, sizeof bytes);
    CHECK_INT(n, 10);
    CHECK_INT(bide_transport_pending(scene.talker.transport), 0);
    struct iovec pieces[] = {{bytes, 3}, {bytes, 0}, {bytes + 3, 7}};
    CHECK_INT(bide_transport_writev(scene.talker.transport, pieces, 3), 0);
    scene_hears(&scene, 0, 10);
    talker_abort(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    scene_close(&scene);
}

/* The loop runs once, and has nothing to do but wait for the peer's answer. */
BIDE_TEST(what_is_written_outside_of_a_turn_goes_out_before_the_wait)
{
    struct scene scene = {0};
    scene_open(&scene);
    some_turns(scene.loop);
    scene_is_answered(&scene);
    scene_close(&scene);
}

/* Protocols that are replaced */

static struct talker second;

static void hands_on(struct talker *talker, const char *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    second = (struct talker){.loop = talker->loop,
                             .transport = talker->transport,
                             .stops_loop = true,
                             .made = true,
                             .is_buffered = second.is_buffered,
                             .n_received = talker->n_received};
    CHECK_INT(
        bide_transport_set_protocol(talker->transport, protocol_of(&second), &second, talker_drop),
        0);
    CHECK(!talker->dropped); /* it is being called */
    talker->deaf = true;
}

/* From and to either kind, with bytes that the first one had no room for. */
BIDE_TEST(after_set_protocol_the_old_one_gets_nothing)
{
    for (int kinds = 0; kinds < 4; kinds++) {
        struct scene scene = {.talker.is_buffered = kinds & 1, .talker.buffer_size = 100};
        scene.talker.on_data = hands_on;
        second.is_buffered = kinds & 2;
        scene_open(&scene);
        scene_send(&scene, 0, 1000);
        UNTIL(scene.loop, scene.talker.dropped && second.n_received == 1000);
        CHECK_INT(scene.talker.n_received, kinds & 1 ? 100 : 1000);
        size_t n_calls = scene.talker.n_calls;
        scene_send(&scene, 1000, 1000);
        UNTIL(scene.loop, second.n_received == 2000);
        INSIDE(bide_transport_close(scene.talker.transport));
        UNTIL(scene.loop, second.lost);
        CHECK_INT(scene.talker.n_calls, n_calls);
        CHECK(!scene.talker.lost);
        scene_close(&scene);
        CHECK(second.dropped);
    }
}

BIDE_TEST(outside_of_its_calls_a_protocol_is_dropped_at_once)
{
    struct scene scene = {0};
    scene_open(&scene);
    bide_transport *transport = scene.talker.transport;
    second = (struct talker){
        .loop = scene.loop, .transport = transport, .stops_loop = true, .made = true};
    CHECK_INT(bide_transport_set_protocol(transport, NULL, &second, NULL), -EINVAL);
    CHECK_INT(bide_transport_set_protocol(transport, &talker_protocol, &second, talker_drop), 0);
    CHECK(scene.talker.dropped);
    CHECK_PTR(bide_transport_data(transport), &second);
    bide_transport_ref(transport);
    INSIDE(bide_transport_abort(transport));
    UNTIL(scene.loop, second.lost);
    CHECK_INT(bide_transport_set_protocol(transport, &talker_protocol, &scene.talker, NULL),
              -ENOTCONN);
    bide_transport_unref(transport);
    scene_close(&scene);
    CHECK(second.dropped);
}

/* Handles */

BIDE_TEST(a_reference_outlives_the_connection_and_the_loop)
{
    struct scene scene = {0};
    struct bide_address address;
    scene_open(&scene);
    bide_transport *transport = bide_transport_ref(scene.talker.transport);
    CHECK_INT(bide_transport_peer(transport, &address), 0);
    CHECK(bide_address_port(&address) > 0);
    CHECK_INT(bide_transport_local(transport, &address), 0);
    CHECK(bide_transport_fd(transport) >= 0);
    CHECK(bide__transport_sock(transport)->fd == bide_transport_fd(transport));
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    for (int closed = 0; closed < 2; closed++) {
        CHECK_INT(bide_transport_write(transport, "x", 1), -ENOTCONN);
        CHECK_INT(bide_transport_write_eof(transport), -ENOTCONN);
        CHECK_INT(bide_transport_peer(transport, &address), -ENOTCONN);
        CHECK_INT(bide_transport_fd(transport), -1);
        CHECK_INT(bide_transport_pending(transport), 0);
        CHECK(bide_transport_is_closing(transport));
        CHECK(!bide_transport_is_reading(transport));
        bide_transport_close(transport);
        bide_transport_abort(transport);
        bide_transport_pause_reading(transport);
        bide_transport_resume_reading(transport);
        CHECK_INT(bide_transport_set_write_limits(transport, 10, 5), 0);
        if (!closed)
            scene_close(&scene);
        CHECK_PTR(bide_transport_data(transport), NULL);
    }
    bide_transport_unref(transport);
}

BIDE_TEST(nothing_is_done_without_a_transport)
{
    bide_transport_close(NULL);
    bide_transport_abort(NULL);
    bide_transport_pause_reading(NULL);
    bide_transport_resume_reading(NULL);
    bide_transport_unref(NULL);
    CHECK_PTR(bide_transport_ref(NULL), NULL);
    CHECK_INT(bide_transport_write(NULL, "x", 1), -EINVAL);
    CHECK_INT(bide_transport_write_eof(NULL), -EINVAL);
    CHECK_INT(bide_transport_set_write_limits(NULL, 1, 1), -EINVAL);
    CHECK_INT(bide_transport_set_protocol(NULL, &talker_protocol, NULL, NULL), -EINVAL);
    CHECK(!bide_transport_is_reading(NULL) && !bide_transport_can_write_eof(NULL));
    CHECK(!bide_transport_is_closing(NULL));
    CHECK_INT(bide_transport_pending(NULL), 0);
    CHECK_INT(bide_transport_fd(NULL), -1);
    CHECK_INT(bide_transport_peer(NULL, NULL), -EINVAL);
    CHECK_INT(bide_transport_local(NULL, NULL), -EINVAL);
    CHECK_PTR(bide_transport_data(NULL), NULL);
    CHECK_PTR(bide_transport_loop(NULL), NULL);
}

BIDE_TEST(what_can_not_be_adopted_stays_the_caller_s)
{
    struct talker talker = {0};
    bide_loop *loop = rig_loop();
    struct bide_protocol lacking = {.connection_lost = talker_lost};
    struct bide_stream_opts senseless = {.write_high_bytes = 1, .write_low_bytes = 2};
    int fds[2];
    connection_open(fds, 0);
    CHECK_INT(
        bide_transport_adopt(NULL, fds[0], NULL, &talker_protocol, &talker, talker_drop, NULL),
        -EINVAL);
    CHECK_INT(bide_transport_adopt(loop, fds[0], NULL, NULL, &talker, talker_drop, NULL), -EINVAL);
    CHECK_INT(bide_transport_adopt(loop, fds[0], NULL, &lacking, &talker, talker_drop, NULL),
              -EINVAL);
    CHECK_INT(bide_transport_adopt(loop, fds[0], &senseless, &talker_protocol, &talker, talker_drop,
                                   NULL),
              -EINVAL);
    CHECK_INT(bide_transport_adopt(loop, -1, NULL, &talker_protocol, &talker, talker_drop, NULL),
              -EBADF);
    CHECK_INT(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    rig_close(loop);
    CHECK(!talker.dropped && talker.n_calls == 0);
    close(fds[0]);
    close(fds[1]);
}

BIDE_TEST(pipes_are_transports_of_one_direction)
{
    int fds[2];
    find_stack();
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    bide_loop *loop = rig_loop();
    struct talker in = {.loop = loop, .stops_loop = true};
    struct talker out = {.loop = loop, .stops_loop = true};
    CHECK_INT(bide_transport_input(loop, fds[1], NULL, &talker_protocol, &in, talker_drop, NULL),
              -EBADF);
    CHECK_INT(bide_transport_input(loop, fds[0], NULL, &talker_protocol, &in, talker_drop, NULL),
              0);
    CHECK_INT(bide_transport_output(loop, fds[1], NULL, &talker_protocol, &out, talker_drop, NULL),
              0);
    close(fds[0]);
    close(fds[1]);
    UNTIL(loop, in.made && out.made);
    CHECK_INT(bide_transport_write(in.transport, "x", 1), -EBADF);
    CHECK(!bide_transport_can_write_eof(in.transport));
    CHECK(bide_transport_is_reading(in.transport) && !bide_transport_is_reading(out.transport));
    CHECK_INT(talker_write(&out, 0, 500 * KIB), 0);
    CHECK_INT(bide_transport_write_eof(out.transport), 0);
    UNTIL(loop, in.lost && out.lost);
    CHECK_INT(in.n_received, 500 * KIB);
    CHECK(in.eof && in.error == 0 && out.error == 0);
    rig_close(loop);
    CHECK(in.dropped && out.dropped);
}

/* The loop's end */

BIDE_TEST(a_loop_that_closes_drops_and_does_not_tell_of_a_loss)
{
    for (int state = 0; state < 4; state++) {
        struct scene scene = {0};
        if (state == 0) {
            scene.n_fds = count_fds();
            scene.loop = rig_loop();
            scene_connect(&scene, NULL, 0);
        } else {
            scene_open_with(&scene, NULL, 4096);
        }
        if (state >= 2)
            CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
        if (state == 3)
            scene_send(&scene, 0, 100);
        bide_transport *transport = bide_transport_ref(scene.talker.transport);
        scene.talker.stops_loop = false;
        rig_close(scene.loop);
        CHECK(scene.talker.dropped && !scene.talker.lost);
        CHECK_INT(bide_transport_write(transport, "x", 1), -ENOTCONN);
        bide_transport_unref(transport);
        close(scene.peer);
        CHECK_INT(count_fds(), scene.n_fds);
    }
}

BIDE_TEST(a_loop_that_closes_flushes_what_was_closed)
{
    struct scene scene = {0};
    scene_open(&scene);
    CHECK_INT(talker_write(&scene.talker, 0, 1000), 0);
    talker_close(&scene.talker);
    rig_close(scene.loop);
    CHECK(scene.talker.dropped);
    char bytes[2000];
    CHECK_INT(recv(scene.peer, bytes, sizeof bytes, 0), 1000);
    CHECK_INT(recv(scene.peer, bytes, sizeof bytes, 0), 0);
    close(scene.peer);
    CHECK_INT(count_fds(), scene.n_fds);
}
