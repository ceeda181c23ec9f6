/*
 * Scenario: a task reads from a stream whose other end says this and that, in pieces, and ends or
 * resets the connection; readers are cancelled where they wait.
 * Claim: what stream.h says of the reading calls: whatever a call did not return stays in the
 * stream, in order, and nothing is read twice.
 */
#include "stream_rig.h"

/* The line that comes next is this text, or the end of the stream if it is NULL. */
static void hears_line(bide_stream *stream, const char *text)
{
    char *line;
    int n = bide_read_line(stream, &line);
    if (!text) {
        CHECK_INT(n, 0);
        return;
    }
    CHECK(n > 0);
    CHECK_STR(line, text);
    CHECK_INT(n, strlen(text) + !bide_at_eof(stream));
}

static void hears_until(bide_stream *stream, const char *separator, const char *text)
{
    char *data;
    int n = bide_read_until(stream, separator, strlen(separator), &data);
    CHECK_INT(n, strlen(text));
    CHECK_MEM(data, text, strlen(text));
}

static void hears(bide_stream *stream, const char *text)
{
    char got[256];
    int n = bide_read_exactly(stream, got, strlen(text));
    CHECK_INT(n, strlen(text));
    CHECK_MEM(got, text, strlen(text));
}

STREAM_TEST(a_read_returns_what_is_there)
{
    struct pair pair = pair_open();
    char got[16];
    peer_say(pair.peer, "hello");
    CHECK_INT(bide_read(pair.stream, got, 3), 3);
    CHECK_MEM(got, "hel", 3);
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 2);
    CHECK_MEM(got, "lo", 2);
    CHECK(!bide_at_eof(pair.stream));
    pair_close(&pair);
}

STREAM_TEST(a_read_waits_for_one_byte)
{
    struct pair pair = pair_open();
    char got[16];
    bide_task *reader = waiting(bide_spawn(reads, pair.stream, got, sizeof got));
    settle();
    CHECK_INT(bide_task_state(reader), BIDE_TASK_WAITING);
    peer_say(pair.peer, "x");
    CHECK_INT(bide_await(reader), 1);
    CHECK_INT(got[0], 'x');
    pair_close(&pair);
}

/* A pattern that no peer sends. */
static void smear(char *buffer, size_t size)
{
    memset(buffer, '#', size);
}

static bool is_smeared(const char *buffer, size_t size)
{
    while (size > 0 && buffer[size - 1] == '#')
        size--;
    return size == 0;
}

/* Says what it read by another buffer, before it suspends. */
bide_async(shares, (bide_stream *, stream), (char *, shared), (size_t, size), (char *, got))
{
    size_t n_got = 0;
    int n;
    while ((n = bide_read(stream, shared, size)) > 0) {
        memcpy(got + n_got, shared, (size_t)n);
        n_got += (size_t)n;
        smear(shared, size);
    }
    return n < 0 ? n : (int)n_got;
}

/* Large and small messages in turn, since engines receive them in different ways. */
STREAM_TEST(readers_may_share_their_memory)
{
    enum { STREAMS = 3, SHARED = 16 * KIB, ROUNDS = 6 };
    static char shared[SHARED], got[STREAMS][ROUNDS * SHARED], said[SHARED];
    struct pair pairs[STREAMS];
    bide_task *readers[STREAMS];
    size_t n_said = 0;
    smear(shared, SHARED);
    for (int i = 0; i < STREAMS; i++) {
        pairs[i] = pair_open();
        readers[i] = waiting(bide_spawn(shares, pairs[i].stream, shared, SHARED, got[i]));
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = round % 2 == 0 ? SHARED : 10;
        for (int i = 0; i < STREAMS; i++) {
            memset(said, 'a' + i + round, size);
            peer_send(pairs[i].peer, said, size);
        }
        n_said += size;
        settle();
        CHECK(is_smeared(shared, SHARED));
    }
    for (int i = 0; i < STREAMS; i++) {
        CHECK_INT(shutdown(pairs[i].peer, SHUT_WR), 0);
        CHECK_INT(bide_await(readers[i]), n_said);
        for (size_t at = 0, round = 0; at < n_said; round++) {
            size_t size = round % 2 == 0 ? SHARED : 10;
            for (size_t end = at + size; at < end; at++)
                CHECK_INT(got[i][at], 'a' + i + (int)round);
        }
        pair_close(&pairs[i]);
    }
}

STREAM_TEST(the_end_comes_behind_the_data_and_stays)
{
    struct pair pair = pair_open();
    char got[16];
    peer_say(pair.peer, "end");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    settle();
    CHECK(!bide_at_eof(pair.stream));
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_read(pair.stream, got, sizeof got), 0);
        CHECK(bide_at_eof(pair.stream));
    }
    hears_line(pair.stream, NULL);
    pair_close(&pair);
}

/* SEMANTICS 39 */
STREAM_TEST(the_peers_end_leaves_our_direction_open)
{
    struct pair pair = pair_open();
    char byte;
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read(pair.stream, &byte, 1), 0);
    settle();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(bide_write(pair.stream, "still here", 10), 0);
        peer_hears(pair.peer, "still here");
    }
    pair_close(&pair);
}

STREAM_TEST(a_reset_is_told_to_every_reader)
{
    struct pair pair = pair_open();
    char *line;
    char got[8];
    bide_task *reader = waiting(bide_spawn(reads, pair.stream, got, sizeof got));
    peer_reset(pair.peer);
    pair.peer = -1;
    CHECK_INT(bide_await(reader), -ECONNRESET);
    CHECK_INT(bide_read(pair.stream, got, sizeof got), -ECONNRESET);
    CHECK_INT(bide_read_exactly(pair.stream, got, sizeof got), -ECONNRESET);
    CHECK_INT(bide_read_line(pair.stream, &line), -ECONNRESET);
    CHECK_INT(bide_read_until(pair.stream, "x", 1, &line), -ECONNRESET);
    CHECK(!bide_at_eof(pair.stream));
    CHECK(bide_write(pair.stream, "x", 1) <= 0);
    settle();
    CHECK(bide_write(pair.stream, "x", 1) < 0);
    pair_close(&pair);
}

STREAM_TEST(exactly_as_many_bytes_from_many_packets)
{
    struct pair pair = pair_open();
    char got[10];
    bide_task *reader = waiting(bide_spawn(reads_exactly, pair.stream, got, sizeof got));
    for (size_t i = 0; i < sizeof got; i++) {
        CHECK(!bide_task_done(reader));
        peer_send(pair.peer, "0123456789+" + i, 1);
        settle();
    }
    CHECK_INT(bide_await(reader), sizeof got);
    CHECK_MEM(got, "0123456789", sizeof got);
    peer_say(pair.peer, "more than enough");
    CHECK_INT(bide_read_exactly(pair.stream, got, 4), 4);
    CHECK_MEM(got, "more", 4);
    hears(pair.stream, " than enough");
    pair_close(&pair);
}

/* SEMANTICS 35 */
STREAM_TEST(an_end_before_enough_tells_how_much_and_loses_nothing)
{
    struct pair pair = pair_open();
    char got[16];
    peer_say(pair.peer, "only this");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bide_read_exactly(pair.stream, got, sizeof got), -BIDE_EINCOMPLETE);
        CHECK_STR(bide_error_detail(), "9 of 16 bytes");
        CHECK(!bide_at_eof(pair.stream));
    }
    hears(pair.stream, "only");
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 5);
    CHECK_MEM(got, " this", 5);
    CHECK(bide_at_eof(pair.stream));
    CHECK_INT(bide_read_exactly(pair.stream, got, 1), -BIDE_EINCOMPLETE);
    CHECK_STR(bide_error_detail(), "0 of 1 bytes");
    pair_close(&pair);
}

STREAM_TEST(lines_come_one_by_one_however_they_were_sent)
{
    struct pair pair = pair_open();
    char *line;
    peer_say(pair.peer, "first\n\nthird\r\n");
    hears_line(pair.stream, "first");
    CHECK_INT(bide_read_line(pair.stream, &line), 1);
    CHECK_STR(line, "");
    hears_line(pair.stream, "third\r");
    bide_task *reader = waiting(bide_spawn(reads_line, pair.stream, &line));
    for (const char *c = "slow\n"; *c; c++) {
        CHECK(!bide_task_done(reader));
        peer_send(pair.peer, c, 1);
        settle();
    }
    CHECK_INT(bide_await(reader), 5);
    CHECK_STR(line, "slow");
    peer_say(pair.peer, "last, without an end");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read_line(pair.stream, &line), 20);
    CHECK(bide_at_eof(pair.stream));
    CHECK_STR(line, "last, without an end");
    hears_line(pair.stream, NULL);
    pair_close(&pair);
}

STREAM_TEST(a_line_may_hold_any_byte_but_its_end)
{
    struct pair pair = pair_open();
    char *line;
    peer_send(pair.peer, "a\0b\0\n\0\n\0", 8);
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read_line(pair.stream, &line), 5);
    CHECK_MEM(line, "a\0b\0\0", 5);
    CHECK_INT(bide_read_line(pair.stream, &line), 2);
    CHECK_MEM(line, "\0\0", 2);
    CHECK_INT(bide_read_line(pair.stream, &line), 1);
    CHECK(bide_at_eof(pair.stream));
    CHECK_MEM(line, "\0\0", 2);
    pair_close(&pair);
}

STREAM_TEST(a_line_stays_until_the_next_read)
{
    struct pair pair = pair_open();
    char *line;
    peer_say(pair.peer, "kept\nnext");
    CHECK_INT(bide_read_line(pair.stream, &line), 5);
    peer_say(pair.peer, " one\n");
    CHECK_INT(bide_write(pair.stream, "abc", 3), 0);
    CHECK_INT(bide_drain(pair.stream), 0);
    CHECK_INT(bide_write_eof(pair.stream), 0);
    settle();
    CHECK_STR(line, "kept");
    hears_line(pair.stream, "next one");
    pair_close(&pair);
}

static const struct bide_stream_opts limit_of_8 = {.read_limit_bytes = 8};

/* A packet each; NULL behind the last. Then nothing more comes. */
static struct pair said_in_packets(const char *const packets[], bide_task **ret_reader, char **line)
{
    struct pair pair = pair_open_with(&limit_of_8);
    *ret_reader = waiting(bide_spawn(reads_line, pair.stream, line));
    for (size_t i = 0; packets[i]; i++) {
        peer_say(pair.peer, packets[i]);
        settle();
    }
    return pair;
}

/* SEMANTICS 35 */
STREAM_TEST(a_line_over_the_limit_is_skipped_through_its_end)
{
    static const char *const cases[][8] = {
        {"12345678\nnext\n"},
        {"1234567", "8\nnext\n"},
        {"12345678", "\nnext\n"},
        {"123456789", "\n", "next\n"},
        {"1", "2", "3", "456", "789", "0abcdefghijklmnopqrst", "uvwxyz\nnext\n"},
        {"a line that goes on", " and on", " and on", "\nne", "xt\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bide_task *reader;
        char *line;
        struct pair pair = said_in_packets(cases[i], &reader, &line);
        CHECK_INT(bide_await(reader), -BIDE_ELIMIT);
        hears_line(pair.stream, "next");
        pair_close(&pair);
    }
}

STREAM_TEST(a_line_of_just_the_limit_is_none_too_long)
{
    struct pair pair = pair_open_with(&limit_of_8);
    char *line;
    peer_say(pair.peer, "1234567\n");
    hears_line(pair.stream, "1234567");
    for (const char *c = "abcdefg\n"; *c; c++) {
        peer_send(pair.peer, c, 1);
        settle();
    }
    hears_line(pair.stream, "abcdefg");
    peer_say(pair.peer, "12345678");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read_line(pair.stream, &line), 8);
    CHECK_STR(line, "12345678");
    hears_line(pair.stream, NULL);
    pair_close(&pair);
}

STREAM_TEST(a_last_line_over_the_limit_ends_with_the_stream)
{
    struct pair pair = pair_open_with(&limit_of_8);
    char *line;
    peer_say(pair.peer, "123456789");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read_line(pair.stream, &line), -BIDE_ELIMIT);
    CHECK(bide_at_eof(pair.stream));
    hears_line(pair.stream, NULL);
    pair_close(&pair);
}

STREAM_TEST(the_default_limit_is_64_kib)
{
    static char bytes[64 * KIB + 1];
    struct pair pair = pair_open();
    char *line;
    memset(bytes, 'x', sizeof bytes);
    bide_task *reader = waiting(bide_spawn(reads_line, pair.stream, &line));
    peer_send(pair.peer, bytes, 64 * KIB - 1);
    peer_say(pair.peer, "\n");
    CHECK_INT(bide_await(reader), 64 * KIB);
    CHECK_INT(strlen(line), 64 * KIB - 1);
    reader = waiting(bide_spawn(reads_line, pair.stream, &line));
    peer_send(pair.peer, bytes, 64 * KIB);
    peer_say(pair.peer, "\nnext\n");
    CHECK_INT(bide_await(reader), -BIDE_ELIMIT);
    hears_line(pair.stream, "next");
    pair_close(&pair);
}

/* Cancels the waiting task and takes its end. */
static void cancel_and_join(bide_task *task)
{
    until_waiting(task);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
}

STREAM_TEST(skipping_goes_on_over_cancelled_calls)
{
    struct pair pair = pair_open_with(&limit_of_8);
    char *line;
    cancel_and_join(bide_spawn(reads_line, pair.stream, &line));
    for (int i = 0; i < 4; i++) {
        peer_say(pair.peer, "much too long, ");
        settle();
        bide_task *reader = bide_spawn(reads_line, pair.stream, &line);
        turns(1);
        cancel_and_join(reader);
    }
    peer_say(pair.peer, "and over\nnext\n");
    CHECK_INT(bide_read_line(pair.stream, &line), -BIDE_ELIMIT);
    hears_line(pair.stream, "next");
    pair_close(&pair);
}

/* Who goes on by bytes instead takes over from where the skipping stopped. */
STREAM_TEST(skipping_ends_when_the_rest_is_read_as_bytes)
{
    struct pair pair = pair_open_with(&limit_of_8);
    char *line;
    peer_say(pair.peer, "much too long");
    settle();
    bide_task *reader = bide_spawn(reads_line, pair.stream, &line);
    turns(1);
    cancel_and_join(reader);
    peer_say(pair.peer, "!\nnext\nlast\n");
    hears_until(pair.stream, "\n", "!\n");
    hears_line(pair.stream, "next");
    hears_line(pair.stream, "last");
    pair_close(&pair);
}

/* SEMANTICS 36 */
STREAM_TEST(a_separator_is_found_wherever_the_packets_split_it)
{
    static const char text[] = "aab\r\r\n\r\r\n\rx";
    static const char separator[] = "\r\n\r\r\n";
    for (size_t split = 1; split < sizeof text - 1; split++) {
        struct pair pair = pair_open();
        char *data;
        bide_task *reader = waiting(bide_spawn(reads_until, pair.stream, separator, &data));
        peer_send(pair.peer, text, split);
        settle();
        peer_say(pair.peer, text + split);
        CHECK_INT(bide_await(reader), 9);
        CHECK_MEM(data, text, 9);
        hears(pair.stream, "\rx");
        pair_close(&pair);
    }
}

#define PIECE(text) \
    { \
        (char[]){text}, sizeof text - 1 \
    }

static const struct iovec several[] = {PIECE("\r\n\r\n"), PIECE("\n\n"), PIECE("end"),
                                       PIECE("the end"), PIECE("\0")};

static int reads_several(bide_stream *stream, char **ret_data)
{
    return bide_read_until_any(stream, several, sizeof several / sizeof *several, ret_data);
}

/* SEMANTICS 36 */
STREAM_TEST(of_several_separators_the_earliest_end_counts)
{
    static const char text[] = "a\r\n\r\nb\n\nc the end\n\n\n\0\0x";
    static const int sizes[] = {5, 3, 9, 2, 2, 1};
    struct pair pair = pair_open();
    size_t at = 0;
    peer_send(pair.peer, text, sizeof text - 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *data;
        CHECK_INT(reads_several(pair.stream, &data), sizes[i]);
        CHECK_MEM(data, text + at, (size_t)sizes[i]);
        at += (size_t)sizes[i];
    }
    hears(pair.stream, "x");
    pair_close(&pair);
}

STREAM_TEST(several_separators_byte_by_byte)
{
    struct pair pair = pair_open();
    static const char text[] = "xthe enthe end";
    char *data = NULL;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        peer_send(pair.peer, text + i, 1);
        settle();
        if (i < sizeof text - 2)
            CHECK_INT(bide_within(0, reads_several(pair.stream, &data)), -ETIMEDOUT);
    }
    CHECK_INT(reads_several(pair.stream, &data), sizeof text - 1);
    CHECK_MEM(data, text, sizeof text - 1);
    pair_close(&pair);
}

STREAM_TEST(without_a_separator_everything_stays)
{
    struct pair pair = pair_open_with(&limit_of_8);
    char *data;
    peer_say(pair.peer, "12345678;90");
    for (int i = 0; i < 2; i++)
        CHECK_INT(bide_read_until(pair.stream, ";", 1, &data), -BIDE_ELIMIT);
    hears(pair.stream, "1");
    hears_until(pair.stream, ";", "2345678;");
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bide_read_until(pair.stream, ";", 1, &data), -BIDE_EINCOMPLETE);
        CHECK_STR(bide_error_detail(), "2 bytes without a separator");
    }
    hears_line(pair.stream, "90");
    CHECK_INT(bide_read_until(pair.stream, ";", 1, &data), -BIDE_EINCOMPLETE);
    pair_close(&pair);
}

STREAM_TEST(kinds_of_reading_take_turns_on_the_same_bytes)
{
    struct pair pair = pair_open();
    char got[64];
    peer_say(pair.peer, "line\n4444rest;of\nit and so on");
    hears_line(pair.stream, "line");
    hears(pair.stream, "4444");
    hears_until(pair.stream, ";", "rest;");
    hears_line(pair.stream, "of");
    CHECK_INT(bide_read(pair.stream, got, 2), 2);
    CHECK_INT(bide_read(pair.stream, got + 2, SIZE_MAX), 10);
    CHECK_MEM(got, "it and so on", 12);
    pair_close(&pair);
}

STREAM_TEST(cancelled_readers_lose_nothing)
{
    static const char text[] = "one byte at a time\n";
    const size_t size = sizeof text - 1;
    struct pair pair = pair_open();
    char got[64];
    char *data;
    for (size_t i = 0; i < size; i++) {
        bide_task *readers[] = {
            bide_spawn(reads, pair.stream, got, sizeof got),
            bide_spawn(reads_exactly, pair.stream, got, size),
        };
        for (int j = 0; j < 2; j++)
            bide_cancel(readers[j]); /* before they begin */
        CHECK_INT(bide_cancel_join(readers, 2), 0);
        cancel_and_join(bide_spawn(reads_exactly, pair.stream, got, size));
        cancel_and_join(bide_spawn(reads_line, pair.stream, &data));
        cancel_and_join(bide_spawn(reads_until, pair.stream, "time\n", &data));
        peer_send(pair.peer, text + i, 1);
        settle();
    }
    CHECK_INT(bide_read(pair.stream, got, sizeof got), size - 1); /* what they had come by */
    CHECK_MEM(got, text, size - 1);
    cancel_and_join(bide_spawn(reads_exactly, pair.stream, got, 2));
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 1);
    cancel_and_join(bide_spawn(reads, pair.stream, got, sizeof got));
    peer_say(pair.peer, "the end");
    hears(pair.stream, "the end");
    pair_close(&pair);
}

/* A limit that passes while the reader is on its way is its limit, not a cancel. */
static bide_async(reads_within, (bide_stream *, stream), (char *, got), (bide_timeout **, ret))
{
    int rc = bide_timeout_begin(INFINITY, ret);
    return rc < 0 ? rc : bide_timeout_end(*ret, bide_read_exactly(stream, got, 4));
}

STREAM_TEST(a_limit_that_meets_a_part_is_still_a_limit)
{
    struct pair pair = pair_open();
    bide_timeout *timeout;
    char got[4];
    bide_task *reader = waiting(bide_spawn(reads_within, pair.stream, got, &timeout));
    peer_say(pair.peer, "12");
    until_scheduled(reader);
    CHECK_INT(bide_timeout_move(timeout, 0), 0);
    CHECK_INT(bide_await(reader), -ETIMEDOUT);
    peer_say(pair.peer, "34");
    hears(pair.stream, "1234");
    pair_close(&pair);
}

STREAM_TEST(a_second_reader_is_refused_and_the_first_goes_on)
{
    struct pair pair = pair_open();
    char got[8];
    char other[8];
    char *data;
    bide_task *reader = waiting(bide_spawn(reads_exactly, pair.stream, got, sizeof got));
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bide_read(pair.stream, other, sizeof other), -EBUSY);
        CHECK_INT(bide_read_exactly(pair.stream, other, sizeof other), -EBUSY);
        CHECK_INT(bide_read_line(pair.stream, &data), -EBUSY);
        CHECK_INT(bide_read_until(pair.stream, "\n", 1, &data), -EBUSY);
        CHECK_INT(bide_read_until_any(pair.stream, several, 1, &data), -EBUSY);
        peer_say(pair.peer, "1234");
        settle();
    }
    CHECK_INT(bide_await(reader), sizeof got);
    CHECK_MEM(got, "12341234", sizeof got);
    peer_say(pair.peer, "x");
    CHECK_INT(bide_read(pair.stream, other, sizeof other), 1);
    pair_close(&pair);
}

static bide_async(reads_after_cancel, (bide_stream *, stream), (char *, got))
{
    CHECK_INT(bide_cancel(bide_current_task()), 1);
    CHECK_INT(bide_read(stream, got, 4), -ECANCELED);
    CHECK_INT(bide_uncancel(bide_current_task()), 0);
    return bide_read(stream, got, 4);
}

STREAM_TEST(a_cancelled_task_does_not_even_take_what_is_there)
{
    struct pair pair = pair_open();
    char got[4];
    peer_say(pair.peer, "here");
    settle();
    CHECK_INT(bide_await(bide_spawn(reads_after_cancel, pair.stream, got)), 4);
    CHECK_MEM(got, "here", 4);
    pair_close(&pair);
}

static int n_rounds;

static bide_async(counts_rounds)
{
    while (bide_sleep(0) == 0)
        n_rounds++;
    return 0;
}

/* Nothing of this waits: others get their turns all the same (DESIGN.md, semantics 10). */
STREAM_TEST(a_reader_that_never_waits_lets_others_run)
{
    static char bytes[4096];
    struct pair pair = pair_open();
    char byte;
    peer_send(pair.peer, bytes, sizeof bytes);
    settle();
    bide_task *other = waiting(bide_spawn(sleeps, INFINITY));
    bide_task *counter = bide_spawn(counts_rounds);
    for (size_t i = 0; i < sizeof bytes; i++)
        CHECK_INT(bide_read(pair.stream, &byte, 1), 1);
    CHECK_RANGE(n_rounds, sizeof bytes / 256, sizeof bytes);
    bide_task *tasks[] = {other, counter};
    CHECK_INT(bide_cancel_join(tasks, 2), 0);
    pair_close(&pair);
}

STREAM_TEST(senseless_arguments_are_refused)
{
    struct pair pair = pair_open();
    struct iovec none[] = {PIECE("x"), PIECE("")};
    char got[4];
    char *data;
    CHECK_INT(bide_read(NULL, got, 1), -EINVAL);
    CHECK_INT(bide_read(pair.stream, NULL, 1), -EINVAL);
    CHECK_INT(bide_read(pair.stream, got, 0), -EINVAL);
    CHECK_INT(bide_read_exactly(NULL, got, 1), -EINVAL);
    CHECK_INT(bide_read_exactly(pair.stream, NULL, 1), -EINVAL);
    CHECK_INT(bide_read_exactly(pair.stream, got, 0), -EINVAL);
    CHECK_INT(bide_read_line(NULL, &data), -EINVAL);
    CHECK_INT(bide_read_line(pair.stream, NULL), -EINVAL);
    CHECK_INT(bide_read_until(NULL, "x", 1, &data), -EINVAL);
    CHECK_INT(bide_read_until(pair.stream, NULL, 1, &data), -EINVAL);
    CHECK_INT(bide_read_until(pair.stream, "x", 0, &data), -EINVAL);
    CHECK_INT(bide_read_until(pair.stream, "x", 1, NULL), -EINVAL);
    CHECK_INT(bide_read_until_any(pair.stream, none, 0, &data), -EINVAL);
    CHECK_INT(bide_read_until_any(pair.stream, none, 2, &data), -EINVAL);
    CHECK_INT(bide_read_until_any(pair.stream, NULL, 1, &data), -EINVAL);
    CHECK(!bide_at_eof(NULL));
    pair_close(&pair);
}
