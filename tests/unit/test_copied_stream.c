/*
 * Scenario: tasks with copied stacks read into their locals and write from them, also more than a
 * stream buffers, while others of the kind write over the stack that they share; a child process is
 * fed from there; connections are relayed and served by such tasks. Claim: the bytes are those that
 * were meant, and an idle connection costs less than a KiB.
 */
#include <bide/process.h>
#include <bide/socket.h>
#include <bide/transfer.h>

#include "copied_rig.h"
#include "stream_rig.h"

enum { BIG = 150 * 1024 };

static bide_async(writes_much, (bide_stream *, stream))
{
    char data[BIG];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = pattern_at(i);
    int rc = bide_write(stream, data, sizeof data);
    for (size_t i = 0; i < sizeof data; i++)
        CHECK(data[i] == pattern_at(i));
    return rc;
}

/* Hears the whole pattern, slowly, while others write over the stack. */
static void hear_big(int fd)
{
    for (size_t n = 0; n < BIG;) {
        size_t part = BIG - n < 8192 ? BIG - n : 8192;
        bide_task *trampler = spawn_trampler();
        peer_hears_pattern(fd, n, part);
        n += part;
        CHECK_INT(bide_await(trampler), 0);
    }
}

STREAM_TEST(writes_more_than_is_buffered)
{
    struct pair pair = narrow_open_with(&(struct bide_stream_opts){.write_high_bytes = 4096});
    bide_task *writer = bide_spawn_with(&copied, writes_much, pair.stream);
    hear_big(pair.peer);
    CHECK_INT(bide_await(writer), 0);
    pair_close(&pair);
}

static bide_async(sends_much, (bide_socket *, socket))
{
    char data[BIG];
    pattern_fill(data, 0, sizeof data);
    int rc = bide_socket_send_all(socket, data, sizeof data, NULL);
    pattern_check(data, 0, sizeof data);
    return rc;
}

STREAM_TEST(sends_much_on_a_bare_socket)
{
    int fds[2];
    bide_socket *socket;
    connection_open(fds, 4096);
    CHECK_INT(bide_socket_adopt(fds[0], &socket), 0);
    bide_task *sender = bide_spawn_with(&copied, sends_much, socket);
    hear_big(fds[1]);
    CHECK_INT(bide_await(sender), 0);
    bide_socket_close(socket);
    close(fds[1]);
}

/* Into locals, by each call that reads. */
static bide_async(reads_all_ways, (bide_stream *, stream))
{
    char bytes[3000];
    char *line;
    CHECK_INT(bide_read_exactly(stream, bytes, sizeof bytes), sizeof bytes);
    pattern_check(bytes, 0, sizeof bytes);
    CHECK_INT(bide_read_line(stream, &line), 6);
    CHECK_STR(line, "hello");
    CHECK_INT(bide_read(stream, bytes, 1), 1);
    CHECK_INT(bytes[0], '!');
    CHECK_INT(bide_within(0.001, bide_read(stream, bytes, sizeof bytes)), -ETIMEDOUT);
    CHECK_INT(bide_read(stream, bytes, sizeof bytes), 0);
    return 0;
}

STREAM_TEST(reads_into_locals)
{
    struct pair pair = pair_open();
    char bytes[3000];
    pattern_fill(bytes, 0, sizeof bytes);
    bide_task *reader = bide_spawn_with(&copied, reads_all_ways, pair.stream);
    for (size_t n = 0; n < sizeof bytes; n += 1000) {
        peer_send(pair.peer, bytes + n, 1000);
        CHECK_INT(bide_await(spawn_trampler()), 0);
    }
    peer_say(pair.peer, "hello\n");
    CHECK_INT(bide_await(spawn_trampler()), 0);
    peer_say(pair.peer, "!");
    CHECK_INT(bide_sleep(TICKS(2)), 0);
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_await(reader), 0);
    pair_close(&pair);
}

static bide_async(relays_both, (bide_stream *, a), (bide_stream *, b))
{
    int64_t bytes[2] = {-1, -1};
    int rc = bide_relay_both(a, b, bytes);
    CHECK_INT(bytes[0], 2000);
    CHECK_INT(bytes[1], 5);
    return rc;
}

STREAM_TEST(relays)
{
    struct pair a = pair_open();
    struct pair b = pair_open();
    char bytes[2000];
    pattern_fill(bytes, 0, sizeof bytes);
    bide_task *relay = bide_spawn_with(&copied, relays_both, a.stream, b.stream);
    peer_send(a.peer, bytes, sizeof bytes);
    CHECK_INT(bide_await(spawn_trampler()), 0);
    peer_hears_pattern(b.peer, 0, sizeof bytes);
    peer_say(b.peer, "other");
    peer_hears(a.peer, "other");
    CHECK_INT(shutdown(a.peer, SHUT_WR), 0);
    CHECK_INT(shutdown(b.peer, SHUT_WR), 0);
    CHECK_INT(bide_await(relay), 0);
    pair_close(&a);
    pair_close(&b);
}

static bide_async(communicates)
{
    enum { SIZE = 100000 };
    char input[SIZE];
    bide_process *child;
    struct bide_communicated said;
    struct bide_process_opts opts = {.input.kind = BIDE_STDIO_PIPE, .output.kind = BIDE_STDIO_PIPE};
    pattern_fill(input, 0, sizeof input);
    CHECK_INT(bide_process_exec(bide_argv("cat"), &opts, &child), 0);
    CHECK_INT(bide_process_communicate(child, input, sizeof input, 0, &said), 0);
    CHECK_INT(said.output_bytes, SIZE);
    pattern_check(said.output, 0, SIZE);
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(child), 0);
    return 0;
}

STREAM_TEST(feeds_a_child)
{
    bide_task *task = bide_spawn_with(&copied, communicates);
    while (!bide_task_done(task))
        CHECK_INT(bide_await(spawn_trampler()), 0);
    CHECK_INT(bide_await(task), 0);
}

/* Servers */

static int echoes(bide_stream *stream, void *data)
{
    char buffer[512];
    int n;
    (void)data;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0) {
        int rc = bide_write(stream, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

STREAM_TEST(serves)
{
    enum { N = 20 };
    bide_server *server;
    bide_stream *clients[N];
    struct bide_server_opts opts = {.stack = BIDE_STACK_COPIED};
    CHECK_INT(bide_serve("127.0.0.1", 0, echoes, NULL, &opts, &server), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &clients[i]), 0);
    for (int round = 0; round < 3; round++) {
        char said[400];
        for (int i = 0; i < N; i++) {
            pattern_fill(said, (size_t)(i * 7 + round), sizeof said);
            CHECK_INT(bide_write(clients[i], said, sizeof said), 0);
        }
        for (int i = 0; i < N; i++) {
            char heard[400];
            CHECK_INT(bide_read_exactly(clients[i], heard, sizeof heard), sizeof heard);
            pattern_check(heard, (size_t)(i * 7 + round), sizeof heard);
        }
    }
    for (int i = 0; i < N; i++)
        CHECK_INT(bide_close(clients[i]), 0);
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

STREAM_TEST(options_that_cannot_be)
{
    bide_server *server;
    struct bide_server_opts opts = {.stack = BIDE_STACK_COPIED, .stack_size = 65536};
    CHECK_INT(bide_serve("127.0.0.1", 0, echoes, NULL, &opts, &server), -EINVAL);
    opts = (struct bide_server_opts){.stack = (enum bide_stack)7};
    CHECK_INT(bide_serve("127.0.0.1", 0, echoes, NULL, &opts, &server), -EINVAL);
}
