/*
 * Scenario: streams turn to TLS and are then used in every way that streams are: lines, large
 * writes, both ways at once, half-closed, closed in each order, aborted, cancelled. Claim: they
 * behave as streams do, and the end of a session is told from the end of a connection.
 */
#include "tls_rig.h"

#include <bide/descriptors.h>
#include <bide/transfer.h>

STREAM_TEST(both_ends_talk)
{
    struct ends ends = ends_open();
    char *line;
    passes(ends.client, ends.server, "question");
    passes(ends.server, ends.client, "answer");
    CHECK_INT(bide_write(ends.client, "one\ntwo\n", 8), 0);
    CHECK_INT(bide_read_line(ends.server, &line), 4);
    CHECK_INT(bide_read_line(ends.server, &line), 4);
    CHECK_STR(line, "two");
    CHECK_INT(bide_close(ends.client), 0);
    CHECK_INT(bide_read_line(ends.server, &line), 0);
    CHECK_INT(bide_close(ends.server), 0);
}

static bide_async(writes_pattern, (bide_stream *, stream), (size_t, size), (size_t, piece))
{
    char *buffer = malloc(piece);
    int rc = 0;
    for (size_t n = 0; n < size && rc == 0; n += piece) {
        pattern_fill(buffer, n, piece);
        rc = bide_write(stream, buffer, piece);
    }
    free(buffer);
    return rc;
}

static bide_async(reads_pattern, (bide_stream *, stream), (size_t, size))
{
    char *buffer = malloc(64 * KIB);
    for (size_t n = 0; n < size;) {
        int rc = bide_read(stream, buffer, 64 * KIB);
        if (rc <= 0)
            FAIL("%d after %zu bytes", rc, n);
        pattern_check(buffer, n, (size_t)rc);
        n += (size_t)rc;
    }
    free(buffer);
    return 0;
}

static void exchange(const struct ends *ends, size_t size, size_t piece)
{
    bide_task *tasks[] = {
        bide_spawn(writes_pattern, ends->client, size, piece),
        bide_spawn(writes_pattern, ends->server, size, piece),
        bide_spawn(reads_pattern, ends->client, size),
        bide_spawn(reads_pattern, ends->server, size),
    };
    int results[4];
    CHECK_INT(bide_gather(tasks, 4, results), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(results[i], 0);
}

STREAM_TEST_SECONDS(much_goes_both_ways_at_once, 60)
{
    static const size_t pieces[] = {512, 16 * KIB, 64 * KIB, 256 * KIB};
    for (size_t i = 0; i < 4; i++) {
        struct ends ends = ends_open();
        exchange(&ends, MIB, pieces[i]);
        ends_abort(&ends);
    }
}

STREAM_TEST_SECONDS(it_waits_at_the_marks_of_narrow_connections, 60)
{
    struct bide_stream_opts opts = {.write_high_bytes = 3000, .write_low_bytes = 1000};
    struct ends ends = ends_open_with(&opts, 4096);
    exchange(&ends, 256 * KIB, 2048);
    ends_abort(&ends);
}

/* Whatever fits into what encrypts, and into nothing below it. */
STREAM_TEST(draining_waits_for_the_kernel)
{
    enum { PIECE = 48 * KIB };
    char *bytes = malloc(PIECE);
    for (int flushed_first = 0; flushed_first < 2; flushed_first++) {
        struct ends ends = ends_open_with(NULL, 4096);
        pattern_fill(bytes, 0, PIECE);
        CHECK_INT(bide_offer(ends.client, bytes, PIECE), 0);
        if (flushed_first)
            CHECK_INT(bide_sleep(0), 0);
        CHECK_INT(bide_within(0.01, bide_drain(ends.client)), -ETIMEDOUT);
        CHECK(bide_stream_pending(ends.client) > 0);
        pattern_fill(bytes, PIECE, PIECE / 16);
        CHECK_INT(bide_offer(ends.client, bytes, PIECE / 16), 0);
        bide_task *reader = bide_spawn(reads_pattern, ends.server, PIECE + PIECE / 16);
        CHECK_INT(bide_drain(ends.client), 0);
        CHECK_INT(bide_stream_pending(ends.client), 0);
        CHECK_INT(bide_await(reader), 0);
        passes(ends.server, ends.client, "back");
        ends_abort(&ends);
    }
    free(bytes);
}

/* Takes what comes past TLS, until the peer ends. */
static bide_async(swallows, (bide_stream *, stream))
{
    static char nowhere[64 * KIB];
    int rc = 0;
    while (rc == 0 && recv(bide_stream_fd(stream), nowhere, sizeof nowhere, MSG_DONTWAIT) != 0)
        rc = bide_sleep(0);
    return rc;
}

/* Takes whatever comes. */
static bide_async(reads_on, (bide_stream *, stream))
{
    char bytes[64];
    int rc;
    while ((rc = bide_read(stream, bytes, sizeof bytes)) > 0)
        ;
    return rc;
}

/*
 * A writer that room was made for, and that has not run since: nobody hears of room twice. Others
 * are busy meanwhile, so that io_uring lets the end of the session wait for its next call.
 */
STREAM_TEST(a_stream_is_closed_when_its_writer_was_woken)
{
    enum { HIGH = 4096, OTHERS = 16 };
    struct bide_stream_opts opts = {.write_high_bytes = HIGH, .write_low_bytes = 1024};
    static char bytes[HIGH];
    struct ends ends = ends_open_with(&opts, 4096), others[OTHERS];
    bide_task *tasks[OTHERS + 1], *writer = NULL;
    for (int i = 0; i < OTHERS; i++) {
        others[i] = ends_plain();
        tasks[i] = bide_spawn(reads_on, others[i].server);
    }
    do {
        CHECK_INT(writer ? bide_await(writer) : 0, 0);
        writer = bide_spawn(writes, ends.client, bytes, sizeof bytes);
        for (int i = 0; i < 8; i++)
            CHECK_INT(bide_sleep(0), 0);
    } while (bide_task_state(writer) == BIDE_TASK_DONE);
    tasks[OTHERS] = bide_spawn(swallows, ends.server);
    while (bide_task_state(writer) == BIDE_TASK_WAITING) {
        for (int i = 0; i < OTHERS; i++)
            CHECK_INT(send(bide_stream_fd(others[i].client), "x", 1, 0), 1);
        CHECK_INT(bide_sleep(0), 0);
    }
    CHECK_INT(bide_task_state(writer), BIDE_TASK_SCHEDULED);
    CHECK_INT(bide_close(ends.client), 0);
    CHECK_INT(bide_await(writer), -ECONNABORTED);
    bide_cancel_join(tasks, OTHERS + 1);
    for (int i = 0; i < OTHERS; i++)
        ends_abort(&others[i]);
    bide_abort(ends.server);
    bide_close(ends.server);
}

STREAM_TEST(nothing_is_written)
{
    struct ends ends = ends_open();
    CHECK_INT(bide_write(ends.client, "", 0), 0);
    CHECK_INT(bide_drain(ends.client), 0);
    passes(ends.client, ends.server, "x");
    ends_abort(&ends);
}

STREAM_TEST(one_side_ends_and_the_other_goes_on)
{
    char byte;
    struct ends ends = ends_open();
    CHECK_INT(bide_write(ends.client, "last", 4), 0);
    CHECK_INT(bide_write_eof(ends.client), 0);
    CHECK_INT(bide_write(ends.client, "x", 1), -EPIPE);
    passes(ends.server, ends.client, "still here");
    char got[4];
    CHECK_INT(bide_read_exactly(ends.server, got, 4), 4);
    CHECK_INT(bide_read(ends.server, &byte, 1), 0);
    CHECK(bide_at_eof(ends.server));
    passes(ends.server, ends.client, "and here");
    CHECK_INT(bide_close(ends.server), 0);
    CHECK_INT(bide_read(ends.client, &byte, 1), 0);
    CHECK_INT(bide_close(ends.client), 0);
}

STREAM_TEST(closing_says_the_end_in_either_order)
{
    for (int i = 0; i < 2; i++) {
        char byte;
        struct ends ends = ends_open();
        bide_stream *first = i == 0 ? ends.client : ends.server;
        bide_stream *second = i == 0 ? ends.server : ends.client;
        CHECK_INT(bide_write(first, "bye", 3), 0);
        CHECK_INT(bide_close(first), 0);
        char got[3];
        CHECK_INT(bide_read_exactly(second, got, 3), 3);
        CHECK_INT(bide_read(second, &byte, 1), 0);
        CHECK_INT(bide_close(second), 0);
    }
}

STREAM_TEST(an_abort_is_no_end)
{
    char byte;
    struct ends ends = ends_open();
    bide_task *reader = waiting(bide_spawn(reads, ends.server, &byte, 1));
    bide_abort(ends.client);
    CHECK_INT(bide_await(reader), -ECONNRESET);
    bide_close(ends.client);
    CHECK_INT(bide_close(ends.server), 0);
}

STREAM_TEST(plain_input_before_the_handshake_is_refused)
{
    char *line;
    struct ends ends = ends_plain();
    bide_tls_context *context = server_context();
    CHECK_INT(bide_write(ends.client, "STARTTLS\nINJECTED\n", 18), 0);
    CHECK_INT(bide_read_line(ends.server, &line), 9);
    CHECK_INT(bide_tls_start_server(ends.server, context, NULL), -EPROTO);
    CHECK_INT(bide_read_line(ends.server, &line), 9);
    passes(ends.server, ends.client, "in clear");
    bide_tls_unref(context);
    ends_abort(&ends);
}

STREAM_TEST(plain_output_goes_before_the_handshake)
{
    char *line;
    struct ends ends = ends_plain();
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    CHECK_INT(bide_write(ends.server, "ready\n", 6), 0);
    CHECK(bide_stream_pending(ends.server) > 0);
    bide_task *task = bide_spawn(starts_server, ends.server, server);
    CHECK_INT(bide_read_line(ends.client, &line), 6);
    CHECK_INT(starts_client(ends.client, client, "a.test"), 0);
    CHECK_INT(bide_await(task), 0);
    passes(ends.client, ends.server, "protected");
    bide_tls_unref(client);
    bide_tls_unref(server);
    ends_abort(&ends);
}

STREAM_TEST(tls_goes_through_tls)
{
    struct ends ends = ends_open();
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    ends_secure(&ends, client, server, "localhost");
    exchange(&ends, 256 * KIB, 32 * KIB);
    bide_tls_unref(client);
    bide_tls_unref(server);
    CHECK_INT(bide_close(ends.client), 0);
    CHECK_INT(bide_close(ends.server), 0);
}

STREAM_TEST(a_handshake_has_its_time)
{
    struct ends ends = ends_plain();
    bide_tls_context *context = server_context();
    struct bide_tls_opts opts = {.handshake_seconds = TICKS(2)};
    CHECK_INT(bide_tls_start_server(ends.server, context, &opts), -ETIMEDOUT);
    char byte;
    CHECK_INT(bide_read(ends.server, &byte, 1), -BIDE_ETORN);
    CHECK_INT(bide_write(ends.server, "x", 1), -BIDE_ETORN);
    uint64_t n_failed;
    bide_tls_handshakes(context, NULL, &n_failed);
    CHECK_INT(n_failed, 1);
    bide_tls_unref(context);
    ends_abort(&ends);
}

STREAM_TEST(a_handshake_is_cancelled)
{
    struct ends ends = ends_plain();
    bide_tls_context *context = client_context();
    bide_task *task = waiting(bide_spawn(starts_client, ends.client, context, "a.test"));
    char byte;
    CHECK_INT(bide_read(ends.client, &byte, 1), -EBUSY);
    CHECK_INT(bide_tls_start_client(ends.client, context,
                                    &(struct bide_tls_opts){.server_name = "a.test"}),
              -EBUSY);
    bide_cancel(task);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_read(ends.client, &byte, 1), -BIDE_ETORN);
    bide_tls_unref(context);
    ends_abort(&ends);
}

STREAM_TEST(a_stream_is_closed_in_its_handshake)
{
    for (int i = 0; i < 2; i++) {
        struct ends ends = ends_plain();
        bide_tls_context *context = client_context();
        bide_task *task = waiting(bide_spawn(starts_client, ends.client, context, "a.test"));
        if (i == 0)
            bide_abort(ends.client);
        bide_close(ends.client);
        CHECK_INT(bide_await(task), -ECONNABORTED);
        bide_tls_unref(context);
        bide_abort(ends.server);
        bide_close(ends.server);
    }
}

STREAM_TEST(senseless_arguments_are_refused)
{
    struct ends ends = ends_plain();
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    struct bide_tls_opts named = {.server_name = "a.test"};
    struct bide_tls_info info;
    CHECK_INT(bide_tls_start_client(NULL, client, &named), -EINVAL);
    CHECK_INT(bide_tls_start_client(ends.client, client, NULL), -EINVAL);
    CHECK_INT(bide_tls_start_client(ends.client, server, &named), -EINVAL);
    CHECK_INT(bide_tls_start_server(ends.server, client, NULL), -EINVAL);
    CHECK_INT(bide_tls_start_server(ends.server, NULL, NULL), -EINVAL);
    named.handshake_seconds = -1;
    CHECK_INT(bide_tls_start_client(ends.client, client, &named), -EINVAL);
    CHECK_INT(bide_tls_info_get(ends.client, &info), -ENOTCONN);
    CHECK_INT(bide_tls_info_get(NULL, &info), -EINVAL);
    CHECK_INT(bide_tls_server_reload(client, NULL, 0), -EINVAL);
    bide_tls_unref(client);
    bide_tls_unref(server);
    ends_abort(&ends);
}

/* Longer ways through OpenSSL are the loop's, on its own stack. */
STREAM_TEST_SECONDS(small_stacks_suffice, 60)
{
    static const struct bide_task_opts small = {.stack_size = 16 * KIB};
    static const struct bide_task_opts *const opts = &small;
    struct ends ends = ends_plain();
    bide_tls_context *client = client_context();
    bide_tls_context *server = server_context();
    bide_task *task = bide_spawn_with(opts, starts_server, ends.server, server);
    CHECK_INT(bide_await(bide_spawn_with(opts, starts_client, ends.client, client, "a.test")), 0);
    CHECK_INT(bide_await(task), 0);
    bide_task *tasks[] = {
        bide_spawn_with(opts, writes_pattern, ends.client, MIB, 64 * KIB),
        bide_spawn_with(opts, writes_pattern, ends.server, MIB, 512),
        bide_spawn_with(opts, reads_pattern, ends.client, MIB),
        bide_spawn_with(opts, reads_pattern, ends.server, MIB),
    };
    CHECK_INT(bide_gather(tasks, 4, NULL), 0);
    bide_tls_unref(client);
    bide_tls_unref(server);
    ends_abort(&ends);
}

/* What would go past the encryption does not. */
STREAM_TEST(files_are_encrypted_and_descriptors_refused)
{
    char path[] = "/tmp/bide-tls-XXXXXX";
    char got[6];
    bide_file *file;
    int fd = mkstemp(path);
    CHECK_INT(write(fd, "secret", 6), 6);
    close(fd);
    struct ends ends = ends_open();
    CHECK_INT(bide_file_open(path, O_RDONLY, 0, &file), 0);
    CHECK_INT(bide_stream_send_file(ends.client, file, 0, BIDE_TO_THE_END), 6);
    CHECK_INT(bide_read_exactly(ends.server, got, 6), 6);
    CHECK_MEM(got, "secret", 6);
    int fds[1] = {0};
    CHECK_INT(bide_stream_send_fds(ends.client, "x", 1, fds, 1), -ENOTSOCK);
    CHECK_INT(bide_file_close(file), 0);
    unlink(path);
    ends_abort(&ends);
}

static struct ends left;

static bide_async(leaves_all_open)
{
    left = ends_open();
    bide_task *reader = bide_spawn(reads, left.client, client_words, 1);
    bide_sleep(0);
    bide_detach(reader);
    return 0;
}

static bide_async(leaves_a_handshake, (bide_tls_context *, context))
{
    left = ends_plain();
    bide_detach(waiting(bide_spawn(starts_client, left.client, context, "a.test")));
    return 0;
}

BIDE_TEST(a_loop_ends_with_open_streams)
{
    int n_fds = count_fds();
    bide_tls_context *context = client_context();
    CHECK_INT(bide_run(leaves_all_open), 0);
    bide_close(left.client);
    bide_close(left.server);
    CHECK_INT(bide_run(leaves_a_handshake, context), 0);
    bide_close(left.client);
    bide_close(left.server);
    bide_tls_unref(context);
    CHECK_INT(count_fds(), n_fds);
}
