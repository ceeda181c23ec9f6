/*
 * WebSockets and tasks. Scenario: clients that are silent, slow or gone; many tasks that send;
 * calls that are cancelled; handlers by functions and by iteration. Claim: a silent peer is given
 * up, and one that was asked and answers is not; each message is contiguous; a cancelled call has
 * lost nothing; who cannot go on is told.
 */
#include "websocket_server_rig.h"

/* Silence */

STREAM_TEST(a_silent_client_is_given_up)
{
    struct client client;
    ws_begin(echo_messages,
             &(struct bide_websocket_opts){.ping_seconds = 0.02, .pong_seconds = 0.02});
    client_open(&client);
    CHECK_STR(client_hear(&client, "P"), "P()");
    CHECK_STR(client_hear(&client, "|"), "!");
    CHECK_INT(ws_result, -ETIMEDOUT);
    CHECK_STR(ws_reason, "the peer answers no pings");
    client_close(&client);
    http_end();
}

STREAM_TEST(a_client_that_answers_pings_is_not)
{
    struct client client;
    ws_begin(echo_messages, &(struct bide_websocket_opts){.ping_seconds = 0.01, .pong_seconds = 1});
    client_open(&client);
    for (int i = 0; i < 3; i++) {
        CHECK_STR(client_hear(&client, "P"), "P()");
        client_say(&client, "8a:");
    }
    client_say(&client, "88:=03e8");
    CHECK_CONTAINS(client_hear(&client, "|"), "C1000()|");
    CHECK_INT(ws_result, 0);
    client_close(&client);
    http_end();
}

static int busy(bide_websocket *ws)
{
    CHECK_INT(bide_sleep(0.1), 0);
    return echo_messages(ws);
}

/* Who does not listen cannot say that nothing was heard. */
STREAM_TEST(a_handler_that_is_busy_gives_nobody_up)
{
    struct client client;
    ws_begin(busy, &(struct bide_websocket_opts){.ping_seconds = 0.01, .pong_seconds = 0.01});
    client_open(&client);
    client_say(&client, "81:a 88:=03e8");
    CHECK_CONTAINS(client_hear(&client, "|"), "T(a)C1000()|");
    client_close(&client);
    http_end();
}

/* Many pings while nothing goes out: the last one is answered. */
static bide_event go;

static int holds_out(bide_websocket *ws)
{
    static char much[16 * KIB];
    for (size_t size = sizeof much; size > 0; size /= 4)
        while (bide_websocket_offer(ws, BIDE_WEBSOCKET_BINARY, much, size) == 0)
            bide_test_turns(1);
    CHECK(bide_websocket_pending(ws) > 0);
    CHECK_INT(bide_event_wait(&go), 0);
    return echo_messages(ws);
}

STREAM_TEST(pings_while_nothing_goes_out)
{
    struct client client;
    ws_begin(holds_out, NULL);
    client_open(&client);
    while (!bide_event_is_set(&go)) {
        size_t before = bide_http_server_connections(rig_server);
        bide_test_turns(400);
        if (before > 0)
            bide_event_set(&go);
    }
    client_say(&client, "89:1 89:2 89:3");
    bide_test_turns(5);
    client_say(&client, "88:=03e8");
    const char *told = client_hear(&client, "|");
    CHECK_CONTAINS(told, "O(3)C1000()|");
    CHECK_INT(bide_loop_engine(bide_loop_current())[0] == 's' || !strstr(told, "O(2)"), 1);
    client_close(&client);
    http_end();
    bide_event_clear(&go);
}

/* Several tasks */

static bide_async(sends_many, (bide_websocket *, ws), (char, letter), (int, size))
{
    char *text = malloc((size_t)size);
    memset(text, letter, (size_t)size);
    int rc = 0;
    for (int i = 0; i < 4 && rc == 0; i++)
        rc = bide_websocket_send(ws, BIDE_WEBSOCKET_TEXT, text, (size_t)size);
    for (int i = 0; i < 4 && rc == 0; i++)
        rc = bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, text, (size_t)size, i == 3);
    free(text);
    return rc;
}

static int many_writers(bide_websocket *ws)
{
    struct bide_websocket_message message;
    bide_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = bide_spawn(sends_many, ws, (char)('a' + i), 10 + 30000 * i);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_BINARY, "ab", 2, false), 0);
    CHECK_INT(bide_websocket_send_text(ws, "no"), -EDEADLK);
    CHECK_INT(bide_websocket_offer(ws, BIDE_WEBSOCKET_TEXT, "no", 2), -EAGAIN);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "no", 2, true), -EINVAL);
    CHECK_INT(bide_websocket_ping(ws, "between", 7), 0);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_BINARY, NULL, 0, true), 0);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "\xc3", 1, false), 0);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "x", 1, true), -EILSEQ);
    CHECK_INT(bide_websocket_send_part(ws, BIDE_WEBSOCKET_TEXT, "\xa4", 1, true), 0);
    CHECK_INT(bide_websocket_send_text(ws, "\xc3"), -EILSEQ);
    CHECK_INT(bide_websocket_offer(ws, BIDE_WEBSOCKET_TEXT, "\xc3", 1), -EILSEQ);
    CHECK_INT(bide_websocket_offer(ws, BIDE_WEBSOCKET_TEXT, "end", 3), 0);
    return bide_websocket_receive(ws, &message);
}

STREAM_TEST_SECONDS(messages_of_many_tasks_are_contiguous, 60)
{
    struct client client;
    int n_messages = 0;
    ws_begin(many_writers, NULL);
    client_open(&client);
    while (strncmp(client_hear(&client, ""), "B(ab)", 5) != 0 || n_messages < 15) {
        if (client.told[0] == 'P')
            continue;
        n_messages++;
        CHECK_INT(client.told[0], 'T');
        size_t size = strtoul(client.told + 2, NULL, 10);
        size = size > 0 ? size : strlen(client.told) - 3;
        for (size_t i = 1; i < size; i++)
            CHECK_INT(client.message[i], client.message[0]);
    }
    CHECK_INT(n_messages, 15);
    CHECK_CONTAINS(client_hear(&client, "T(end"), "T[2]T(end)");
    client_say(&client, "88:=03e8");
    CHECK_STR(client_hear(&client, "|"), "C1000()|");
    client_close(&client);
    http_end();
}

static bide_async(receives, (bide_websocket *, ws))
{
    struct bide_websocket_message message;
    return bide_websocket_receive(ws, &message);
}

static int receives_twice(bide_websocket *ws)
{
    struct bide_websocket_message message;
    struct bide_websocket_part part;
    char byte;
    bide_task *other = bide_spawn(receives, ws);
    bide_test_turns(2);
    CHECK_INT(bide_websocket_receive(ws, &message), -EBUSY);
    CHECK_INT(bide_websocket_receive_part(ws, &byte, 1, &part), -EBUSY);
    CHECK_INT(bide_websocket_close(ws, 0, NULL), 0); /* waits for what the other one hears */
    CHECK_INT(bide_await(other), 0);
    return 0;
}

STREAM_TEST(one_receives_and_another_closes)
{
    struct client client;
    ws_begin(receives_twice, NULL);
    client_open(&client);
    CHECK_STR(client_hear(&client, "C"), "C1000()");
    client_say(&client, "88:=03e8");
    CHECK_STR(client_hear(&client, "|"), "|");
    client_close(&client);
    http_end();
}

static bide_task *other_task;

static int leaves_another(bide_websocket *ws)
{
    struct bide_websocket_message message;
    CHECK_INT(bide_websocket_receive(ws, &message), 1);
    other_task = bide_spawn(receives, ws);
    bide_test_turns(2);
    return 0;
}

STREAM_TEST(freed_while_another_receives)
{
    struct client client;
    ws_begin(leaves_another, NULL);
    client_open(&client);
    client_say(&client, "81:go");
    (void)client_hear(&client, "|");
    CHECK_INT(bide_await(other_task), -ECONNABORTED);
    client_close(&client);
    http_end();
}

/* Cancelled calls */

static bide_async(receives_into, (bide_websocket *, ws), (struct bide_websocket_message *, message))
{
    return bide_websocket_receive(ws, message);
}

static int cancels_at_each_turn(bide_websocket *ws)
{
    struct bide_websocket_message message;
    for (int n = 0;; n++) {
        bide_task *task = bide_spawn(receives_into, ws, &message);
        bide_test_turns(1 + n % 3);
        bide_cancel(task);
        int rc = bide_await(task);
        if (rc == -ECANCELED)
            continue;
        if (rc <= 0)
            return rc;
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            return rc;
    }
}

STREAM_TEST_SECONDS(cancelled_at_each_point_nothing_is_lost, 60)
{
    static char data[WS_BYTES];
    struct client client;
    size_t size = ws_frames("01:ab 89:p 00:cd 80:ef 82:*3000 81:g 88:=03e8", true, data);
    ws_begin(cancels_at_each_turn, NULL);
    client_open(&client);
    for (size_t at = 0; at < size; at += 11) {
        CHECK_INT(bide_write(client.stream, data + at, size - at < 11 ? size - at : 11), 0);
        bide_test_turns(2);
    }
    CHECK_STR(client_hear(&client, "|"), "O(p)T(abcdef)B[3000]T(g)C1000()|");
    client_close(&client);
    http_end();
}

static int mixes(bide_websocket *ws)
{
    struct bide_websocket_message message;
    struct bide_websocket_part part;
    char bytes[2];
    CHECK_INT(bide_websocket_receive_part(ws, bytes, 2, &part), 1);
    CHECK_INT(part.size, 2);
    CHECK(part.is_first && !part.is_last && part.type == BIDE_WEBSOCKET_TEXT);
    CHECK_INT(bide_websocket_receive(ws, &message), -EINVAL);
    CHECK_INT(bide_websocket_receive_part(ws, bytes, 2, &part), 1);
    CHECK(!part.is_first && part.is_last && part.size == 1);
    CHECK_INT(bide_within(0.01, bide_websocket_receive(ws, &message)), -ETIMEDOUT);
    CHECK_INT(bide_websocket_receive_part(ws, bytes, 2, &part), -EINVAL);
    CHECK_INT(bide_websocket_send_text(ws, "on"), 0);
    CHECK_INT(bide_websocket_receive(ws, &message), 1);
    CHECK_STR(message.data, "xyz");
    return bide_websocket_receive(ws, &message);
}

STREAM_TEST(whole_and_in_parts)
{
    struct client client;
    ws_begin(mixes, NULL);
    client_open(&client);
    client_say(&client, "81:abc 01:xy");
    CHECK_STR(client_hear(&client, "T"), "T(on)");
    client_say(&client, "80:z 88:=03e8");
    CHECK_STR(client_hear(&client, "|"), "C1000()|");
    client_close(&client);
    http_end();
}

/* A client that takes nothing: sending waits, and a cancel of it loses no order. */
static int sends_until_full(bide_websocket *ws)
{
    static char much[32 * KIB];
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_within(
                0.02, bide_websocket_send(ws, BIDE_WEBSOCKET_BINARY, much, sizeof much))) == 0)
        ;
    CHECK_INT(rc, -ETIMEDOUT);
    bide_event_set(&go);
    CHECK_INT(bide_websocket_send_text(ws, "whole"), 0);
    return bide_websocket_receive(ws, &message);
}

STREAM_TEST_SECONDS(a_cancelled_send_has_sent_nothing, 60)
{
    struct client client;
    ws_begin(sends_until_full, NULL);
    client_open(&client);
    CHECK_INT(bide_event_wait(&go), 0);
    do {
        (void)client_hear(&client, "");
        CHECK(strcmp(client.told, "B[32768]") == 0 || strcmp(client.told, "T(whole)") == 0);
    } while (client.told[0] == 'B');
    client_say(&client, "88:=03e8");
    CHECK_STR(client_hear(&client, "|"), "C1000()|");
    client_close(&client);
    http_end();
    bide_event_clear(&go);
}

/* Handlers and iterators */

static int on_connect(bide_websocket *ws, void *data)
{
    note(data);
    return bide_websocket_send_text(ws, "welcome");
}

static int on_receive(bide_websocket *ws, const struct bide_websocket_message *message, void *data)
{
    note(message->data);
    (void)ws;
    (void)data;
    return strcmp(message->data, "fail") == 0 ? -EDOM : 0;
}

static void on_disconnect(bide_websocket *ws, unsigned code, void *data)
{
    char text[32];
    (void)ws;
    (void)data;
    sprintf(text, "%u.", code);
    note(text);
}

static int by_handlers(bide_websocket *ws)
{
    static char begin[] = "+";
    static const struct bide_websocket_handlers handlers = {on_connect, on_receive, on_disconnect};
    CHECK_INT(bide_websocket_run(NULL, &handlers, begin), -EINVAL);
    int rc = bide_websocket_run(ws, &handlers, begin);
    return rc == -EDOM ? 0 : rc;
}

STREAM_TEST(by_functions_of_ones_own)
{
    struct client client;
    ws_begin(by_handlers, NULL);
    client_open(&client);
    CHECK_STR(client_hear(&client, "T"), "T(welcome)");
    client_say(&client, "81:a 81:b 88:=03e9");
    CHECK_STR(client_hear(&client, "|"), "C1001()|");
    CHECK_NOTES("+ab1001.");
    client_close(&client);
    client_open(&client);
    client_say(&client, "81:fail");
    CHECK_STR(client_hear(&client, "|"), "T(welcome)C1011()|");
    CHECK_NOTES("+fail1006.");
    client_close(&client);
    client_open(&client);
    bide_abort(client.stream);
    while (ws_ended < 3)
        bide_test_turns(1);
    CHECK_NOTES("+1006.");
    client_close(&client);
    http_end();
}

static int by_iteration(bide_websocket *ws)
{
    int rc;
    CHECK_PTR(bide_websocket_messages(NULL), NULL);
    bide_for (struct bide_websocket_message, message, rc, bide_websocket_messages(ws))
        note(message.data);
    return rc;
}

STREAM_TEST(by_iteration_to_the_close)
{
    struct client client;
    ws_begin(by_iteration, NULL);
    client_open(&client);
    client_say(&client, "81:a 81:b 88:");
    CHECK_STR(client_hear(&client, "|"), "C1005()|");
    CHECK_NOTES("ab");
    CHECK_INT(ws_result, 0);
    client_close(&client);
    http_end();
}
