/*
 * The numbered cases of docs/semantics.md about streams and protocols. Claim: each holds on the
 * engines that have a kernel below them.
 */
#include "../unit/transport_rig.h"

TASK_TEST(case_35_limits_ends_and_second_readers)
{
    struct bide_stream_opts opts = {.read_limit_bytes = 16};
    struct pair pair = pair_open_with(&opts);
    char *line;
    char buffer[16];
    peer_say(pair.peer, "this line is longer than the limit\nshort\nend");
    CHECK_INT(bide_read_line(pair.stream, &line), -BIDE_ELIMIT);
    CHECK_INT(bide_read_line(pair.stream, &line), 6);
    CHECK_STR(line, "short");

    bide_task *reader = waiting(bide_spawn(reads_exactly, pair.stream, buffer, 5));
    CHECK_INT(bide_read(pair.stream, buffer, 1), -EBUSY);
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_await(reader), -BIDE_EINCOMPLETE);
    CHECK_STR(bide_error_detail(), "3 of 5 bytes");
    CHECK_INT(bide_read(pair.stream, buffer, sizeof buffer), 3);
    CHECK(memcmp(buffer, "end", 3) == 0);
    CHECK_INT(bide_read(pair.stream, buffer, sizeof buffer), 0);
    pair_close(&pair);
}

TASK_TEST(case_36_separators_across_packets_and_the_earliest_end)
{
    struct pair pair = pair_open();
    char words[] = "long one";
    struct iovec separators[] = {{words, 8}, {words + 2, 2}};
    char *data;
    bide_task *reader = waiting(bide_spawn(reads_until, pair.stream, "\r\n\r\n", &data));
    for (const char *at = "ab\r\n\r\n"; *at; at++) {
        peer_send(pair.peer, at, 1);
        settle();
    }
    CHECK_INT(bide_await(reader), 6);
    CHECK(memcmp(data, "ab\r\n\r\n", 6) == 0);
    peer_say(pair.peer, "a long one");
    CHECK_INT(bide_read_until_any(pair.stream, separators, 2, &data), 6);
    CHECK(memcmp(data, "a long", 6) == 0);
    pair_close(&pair);
}

/* Both the task and the loop have nothing to do but wait for the answer. */
TASK_TEST(case_37_a_write_reaches_the_kernel_before_the_loop_waits)
{
    struct pair pair = pair_open();
    char bytes[4];
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, answers, &pair.peer), 0);
    CHECK_INT(bide_write(pair.stream, "pi", 2), 0);
    CHECK_INT(bide_write(pair.stream, "ng", 2), 0);
    CHECK_INT(bide_read_exactly(pair.stream, bytes, sizeof bytes), sizeof bytes);
    CHECK_INT(pthread_join(thread, NULL), 0);
    pair_close(&pair);
}

BIDE_TEST(case_37_for_protocols_too)
{
    struct scene scene = {0};
    scene_open(&scene);
    scene_is_answered(&scene);
    scene_close(&scene);
}

BIDE_TEST(case_38_one_pause_and_one_resume_per_crossing_and_one_loss)
{
    struct scene scene = {0};
    scene_open_with(&scene, NULL, 4096);
    for (size_t n = 0; n < 100 * KIB; n += KIB)
        CHECK_INT(talker_write(&scene.talker, n, KIB), 0);
    UNTIL(scene.loop, scene.talker.paused);
    CHECK_INT(talker_write(&scene.talker, 100 * KIB, 100 * KIB), 0);
    some_turns(scene.loop);
    CHECK_INT(scene.talker.n_pauses, 1);
    CHECK_INT(scene.talker.n_resumes, 0);
    talker_close(&scene.talker);
    scene_hears(&scene, 0, 200 * KIB);
    UNTIL(scene.loop, scene.talker.lost); /* a second one would fail the talker */
    CHECK_INT(scene.talker.n_pauses, 1);
    CHECK_INT(scene.talker.n_resumes, 1);
    CHECK_INT(scene.talker.error, 0);
    some_turns(scene.loop);
    scene_close(&scene);
}

BIDE_TEST(case_38_writing_to_a_dead_peer_is_an_error)
{
    struct scene scene = {.talker.keeps_open = true};
    scene_open_with(&scene, NULL, 4096);
    CHECK_INT(talker_write(&scene.talker, 0, 500 * KIB), 0);
    peer_reset(scene.peer);
    scene.peer = -1;
    UNTIL(scene.loop, scene.talker.lost);
    CHECK(scene.talker.error == -EPIPE || scene.talker.error == -ECONNRESET);
    scene_close(&scene);
}

TASK_TEST(case_38_so_it_is_for_tasks)
{
    struct pair pair = narrow_open();
    static char bytes[500 * KIB];
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, bytes, sizeof bytes));
    peer_reset(pair.peer);
    pair.peer = -1;
    int rc = bide_await(writer);
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    CHECK(bide_write(pair.stream, bytes, 1) < 0);
    pair_close(&pair);
}

BIDE_TEST(case_39_our_direction_stays_open_when_asked)
{
    for (int keeps = 0; keeps < 2; keeps++) {
        struct scene scene = {.talker.keeps_open = keeps};
        scene_open(&scene);
        CHECK_INT(shutdown(scene.peer, SHUT_WR), 0);
        UNTIL(scene.loop, scene.talker.eof && (keeps || scene.talker.lost));
        some_turns(scene.loop);
        CHECK_INT(scene.talker.lost, !keeps);
        if (keeps) {
            CHECK_INT(talker_write(&scene.talker, 0, 100), 0);
            scene_hears(&scene, 0, 100);
            talker_close(&scene.talker);
            UNTIL(scene.loop, scene.talker.lost);
        }
        scene_hears_end(&scene);
        scene_close(&scene);
    }
}

static int lingers(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    return bide_read(stream, &byte, 1);
}

static bide_async(waits_closed, (bide_server *, server))
{
    return bide_server_wait_closed(server);
}

TASK_TEST(case_39_wait_closed_waits_for_the_connections)
{
    bide_server *server;
    bide_stream *stream;
    CHECK_INT(bide_serve("127.0.0.1", 0, lingers, NULL, NULL, &server), 0);
    CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream), 0);
    while (bide_server_connections(server) == 0)
        turns(1);
    bide_task *waiter = waiting(bide_spawn(waits_closed, server));
    CHECK_INT(bide_server_close(server), 1);
    settle();
    CHECK_INT(bide_task_state(waiter), BIDE_TASK_WAITING);
    CHECK_INT(bide_close(stream), 0);
    CHECK_INT(bide_await(waiter), 0);
    CHECK_INT(bide_server_connections(server), 0);
    bide_server_free(server);
}
