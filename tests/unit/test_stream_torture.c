/*
 * Scenario: many connections at once that are reset wherever they happen to be, and long transfers
 * in both directions through a proxy that splits and delays, with calls of every kind and size that
 * are cancelled and made again. All by chance, from a seed.
 * Claim: everything ends, nothing leaks, and every byte arrives once and in its place. With
 * BIDE_TEST_LONG=1 it is 20,000 connections and ten times the bytes.
 */
#include "stream_rig.h"

enum { HIGH = 8 * KIB, CHUNK_MAX = 3 * HIGH };

static uint64_t random_state;

/* 0 … n - 1 */
static size_t chance(size_t n)
{
    return (size_t)(test_random(&random_state) % n);
}

static void some_turns(size_t most)
{
    for (size_t i = chance(most + 1); i > 0; i--)
        if (bide_sleep(0) < 0)
            return;
}

static void begin_by_chance(void)
{
    random_state = test_seed();
    printf("seed %llu\n", (unsigned long long)random_state);
}

/* Connections that are reset */

enum { AT_ONCE = 64 };

static struct {
    unsigned port;
    size_t n_wanted;
    size_t n_begun;
    size_t n_served;
    size_t n_ended;
} resets;

static char noise[4 * HIGH];

/* Whether a call on a connection that may be reset any time came to something that can happen. */
static void check_outcome(int rc)
{
    if (rc < 0 && rc != -ECONNRESET && rc != -EPIPE && rc != -ECONNABORTED &&
        rc != -BIDE_EINCOMPLETE && rc != -BIDE_ELIMIT && rc != -BIDE_ETORN && rc != -EAGAIN)
        CHECK_INT(rc, -ECANCELED);
}

/* Any call; an error if the conversation is to end. */
static int do_something(bide_stream *stream)
{
    char buffer[512];
    char *data;
    int rc;
    switch (chance(9)) {
    case 0:
        rc = bide_read(stream, buffer, 1 + chance(sizeof buffer));
        return rc == 0 ? -ECONNRESET : rc;
    case 1:
        return bide_read_exactly(stream, buffer, 1 + chance(sizeof buffer));
    case 2:
        rc = bide_read_line(stream, &data);
        return rc == 0 ? -ECONNRESET : rc;
    case 3:
        return bide_write(stream, noise, chance(2 * HIGH));
    case 4:
        return bide_write(stream, noise, HIGH + chance(sizeof noise - HIGH));
    case 5:
        return bide_drain(stream);
    case 6:
        rc = bide_offer(stream, noise, chance(HIGH));
        return rc == -EAGAIN ? 0 : rc;
    case 7:
        return bide_sleep(0);
    default:
        return bide_write(stream, "line\n", 5);
    }
}

static int converse(bide_stream *stream)
{
    int rc;
    do {
        rc = do_something(stream);
        if (rc == -EBUSY) /* somebody else reads */
            rc = bide_sleep(0);
        check_outcome(rc);
    } while (rc >= 0 || rc == -BIDE_ELIMIT);
    return rc;
}

static bide_async(converses, (bide_stream *, stream))
{
    return converse(stream) == -ECANCELED ? -ECANCELED : 0;
}

static int serves_nonsense(bide_stream *stream, void *data)
{
    (void)data;
    resets.n_served++;
    bide_task *other = chance(2) ? bide_spawn(converses, stream) : NULL;
    converse(stream);
    if (chance(2) && other)
        bide_abort(stream);
    bide_cancel_join(&other, 1);
    return 0;
}

/* Ends a conversation in one of the ways there are; all but one reset the connection. */
static void break_off(bide_stream *stream, bide_task **tasks, size_t n)
{
    struct linger now = {.l_onoff = 1};
    switch (chance(4)) {
    case 0:
        bide_cancel_join(tasks, n);
        break;
    case 1:
        CHECK_INT(setsockopt(bide_stream_fd(stream), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        if (chance(2))
            bide_within(0, bide_close(stream));
        else
            bide_offer(stream, noise, 100), bide_close(stream);
        bide_cancel_join(tasks, n);
        return;
    default:
        break;
    }
    bide_abort(stream);
    some_turns(1);
    bide_cancel_join(tasks, n);
    CHECK_INT(bide_close(stream), 0);
}

static bide_async(connects_and_resets)
{
    while (resets.n_begun < resets.n_wanted) {
        bide_stream *stream;
        bide_task *tasks[3];
        struct bide_connect_opts opts = {.stream = {.write_high_bytes = HIGH}};
        resets.n_begun++;
        int rc = bide_connect("127.0.0.1", resets.port, &opts, &stream);
        if (rc < 0) {
            CHECK_INT(rc, -ECONNRESET);
            resets.n_ended++;
            continue;
        }
        size_t n = chance(4);
        for (size_t i = 0; i < n; i++)
            tasks[i] = bide_spawn(converses, stream);
        some_turns(6);
        break_off(stream, tasks, n);
        resets.n_ended++;
    }
    return 0;
}

STREAM_TEST_SECONDS(connections_reset_in_the_middle_of_everything, 120)
{
    static const struct bide_server_opts opts = {.stream = {.write_high_bytes = HIGH},
                                                 .connections_max = 2 * AT_ONCE};
    bide_server *server;
    bide_task *tasks[AT_ONCE];
    int n_fds = count_fds();
    begin_by_chance();
    resets.n_wanted = test_long() ? 20000 : 3000;
    CHECK_INT(bide_serve("127.0.0.1", 0, serves_nonsense, NULL, &opts, &server), 0);
    resets.port = bide_server_port(server);
    for (size_t i = 0; i < AT_ONCE; i++)
        tasks[i] = bide_spawn(connects_and_resets);
    CHECK_INT(bide_gather(tasks, AT_ONCE, NULL), 0);
    CHECK_INT(resets.n_ended, resets.n_wanted);
    settle();
    bide_server_close(server);
    bide_server_cancel(server); /* where nobody resets and everybody waits for the other */
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
    CHECK_RANGE(resets.n_served, resets.n_wanted / 2, resets.n_wanted);
    while (count_fds() > n_fds)
        turns(1);
}

/* Transfers. Each direction carries the pattern, so that a byte tells its place. */

enum call { READ, READ_EXACTLY, READ_LINE, READ_UNTIL, WRITE, WRITEV, OFFER, DRAIN };

/* One call with its arguments, so that a task can make it. */
struct attempt {
    enum call call;
    bide_stream *stream;
    char *buffer;
    size_t size;
    char *data;
};

static int do_attempt(struct attempt *attempt)
{
    bide_stream *stream = attempt->stream;
    size_t half = attempt->size / 2;
    struct iovec pieces[] = {{attempt->buffer, half},
                             {attempt->buffer + half, attempt->size - half}};
    attempt->data = attempt->buffer;
    switch (attempt->call) {
    case READ:
        return bide_read(stream, attempt->buffer, attempt->size);
    case READ_EXACTLY:
        return bide_read_exactly(stream, attempt->buffer, attempt->size);
    case READ_LINE:
        return bide_read_line(stream, &attempt->data);
    case READ_UNTIL:
        return bide_read_until(stream, attempt->buffer, 1, &attempt->data);
    case WRITE:
        return bide_write(stream, attempt->buffer, attempt->size);
    case WRITEV:
        return bide_writev(stream, pieces, 2);
    case OFFER:
        return bide_offer(stream, attempt->buffer, attempt->size);
    default:
        return bide_drain(stream);
    }
}

static bide_async(attempts, (struct attempt *, attempt))
{
    return do_attempt(attempt);
}

/* Makes the call until it came to something, with cancels on the way. A large write must not be
 * cancelled: it would tear the stream. */
static int insist(struct attempt *attempt)
{
    bool is_large = attempt->call >= WRITE && attempt->size > HIGH;
    for (;;) {
        if (is_large || chance(3) > 0)
            return do_attempt(attempt);
        bide_task *task = bide_spawn(attempts, attempt);
        some_turns(3);
        bide_cancel(task);
        int rc = bide_await(task);
        if (rc != -ECANCELED)
            return rc;
    }
}

static int write_pattern(bide_stream *stream, size_t total)
{
    char *buffer = malloc(CHUNK_MAX);
    int rc = 0;
    for (size_t n = 0; rc == 0 && n < total;) {
        size_t most = chance(4) ? 300 : CHUNK_MAX;
        size_t size = 1 + chance(most);
        struct attempt attempt = {.call = WRITE + (enum call)chance(4),
                                  .stream = stream,
                                  .buffer = buffer,
                                  .size = size < total - n ? size : total - n};
        pattern_fill(buffer, n, attempt.size);
        rc = insist(&attempt);
        if (rc == 0 && attempt.call != DRAIN)
            n += attempt.size;
        else if (rc == -EAGAIN)
            rc = bide_sleep(0);
        some_turns(1);
    }
    free(buffer);
    return rc < 0 ? rc : bide_write_eof(stream);
}

static int read_pattern(bide_stream *stream, size_t total)
{
    char *buffer = malloc(CHUNK_MAX);
    int rc = 1;
    size_t n = 0;
    while (n < total) {
        size_t size = 1 + chance(chance(4) ? 300 : CHUNK_MAX);
        struct attempt attempt = {.call = (enum call)chance(4),
                                  .stream = stream,
                                  .buffer = buffer,
                                  .size = size < total - n ? size : total - n};
        buffer[0] = (char)chance(256);
        rc = insist(&attempt);
        if (rc == -BIDE_EINCOMPLETE && attempt.call == READ_UNTIL)
            continue; /* the separator does not come any more */
        CHECK_RANGE(rc, 1, total - n);
        if (attempt.call == READ_LINE && pattern_at(n + (size_t)rc - 1) == '\n')
            attempt.data[rc - 1] = '\n';
        pattern_check(attempt.data, n, (size_t)rc);
        n += (size_t)rc;
        some_turns(1);
    }
    free(buffer);
    return bide_read(stream, &(char){0}, 1);
}

static size_t transfer_bytes;

static bide_async(sends, (bide_stream *, stream))
{
    return write_pattern(stream, transfer_bytes);
}

static bide_async(pumps, (bide_stream *, from), (bide_stream *, to))
{
    static const size_t sizes[] = {1, 7, 300, 4096, 20000};
    char *buffer = malloc(20000);
    int rc;
    do {
        struct attempt reading = {READ, from, buffer, sizes[chance(5)], NULL};
        rc = insist(&reading);
        some_turns(2);
        if (rc > 0) {
            struct attempt writing = {WRITE, to, buffer, (size_t)rc, NULL};
            rc = insist(&writing) < 0 ? -EPIPE : 1;
        }
    } while (rc > 0);
    free(buffer);
    return rc < 0 ? rc : bide_write_eof(to);
}

static const struct bide_connect_opts small_marks = {
    .stream = {.write_high_bytes = HIGH, .read_limit_bytes = 64 * KIB}};

/* The proxy: data is the port to connect to. */
static int forwards(bide_stream *stream, void *data)
{
    bide_stream *onward;
    CHECK_INT(bide_connect("127.0.0.1", *(unsigned *)data, &small_marks, &onward), 0);
    bide_task *tasks[] = {bide_spawn(pumps, stream, onward), bide_spawn(pumps, onward, stream)};
    CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    CHECK_INT(bide_close(onward), 0);
    return 0;
}

static int sends_and_hears(bide_stream *stream)
{
    bide_task *sender = bide_spawn(sends, stream);
    CHECK_INT(read_pattern(stream, transfer_bytes), 0);
    CHECK_INT(bide_await(sender), 0);
    return 0;
}

static int answers(bide_stream *stream, void *data)
{
    (void)data;
    return sends_and_hears(stream);
}

static bide_async(transfers, (unsigned, port))
{
    bide_stream *stream;
    CHECK_INT(bide_connect("127.0.0.1", port, &small_marks, &stream), 0);
    int rc = sends_and_hears(stream);
    CHECK_INT(bide_close(stream), 0);
    return rc;
}

STREAM_TEST_SECONDS(every_byte_arrives_through_a_proxy_that_splits_and_delays, 120)
{
    enum { TRANSFERS = 6 };
    struct bide_server_opts opts = {.stream = small_marks.stream};
    bide_server *end;
    bide_server *proxy;
    bide_task *tasks[TRANSFERS];
    begin_by_chance();
    transfer_bytes = test_long() ? 32 * MIB : 1 * MIB;
    CHECK_INT(bide_serve("127.0.0.1", 0, answers, NULL, &opts, &end), 0);
    unsigned port = bide_server_port(end);
    CHECK_INT(bide_serve("127.0.0.1", 0, forwards, &port, &opts, &proxy), 0);
    for (size_t i = 0; i < TRANSFERS; i++)
        tasks[i] = bide_spawn(transfers, bide_server_port(proxy));
    CHECK_INT(bide_gather(tasks, TRANSFERS, NULL), 0);
    bide_server_close(proxy);
    CHECK_INT(bide_server_wait_closed(proxy), 0);
    bide_server_close(end);
    CHECK_INT(bide_server_wait_closed(end), 0);
    bide_server_free(proxy);
    bide_server_free(end);
}
