/*
 * Scenario: streams over the two ends of a pipe.
 * Claim: they are streams like any other, in one direction; closing the writing end is the end of
 * the stream. In simulation, too.
 */
#include "stream_rig.h"

#include <bide/pipe.h>

struct ends {
    bide_stream *read;
    bide_stream *write;
};

static struct ends ends_open(void)
{
    struct ends ends;
    CHECK_INT(bide_pipe(NULL, &ends.read, &ends.write), 0);
    return ends;
}

static void ends_close(struct ends *ends)
{
    CHECK_INT(bide_close(ends->write), 0);
    CHECK_INT(bide_close(ends->read), 0);
}

STREAM_TEST(what_goes_in_comes_out)
{
    struct ends ends = ends_open();
    char *line;
    bide_task *reader = waiting(bide_spawn(reads_line, ends.read, &line));
    CHECK_INT(bide_write(ends.write, "one\ntwo\n", 8), 0);
    CHECK_INT(bide_await(reader), 4);
    CHECK_STR(line, "one");
    CHECK_INT(bide_read_line(ends.read, &line), 4);
    CHECK_STR(line, "two");
    ends_close(&ends);
}

STREAM_TEST(ending_the_one_side_is_the_end_of_the_other)
{
    struct ends ends = ends_open();
    char bytes[8];
    CHECK_INT(bide_write(ends.write, "end", 3), 0);
    CHECK_INT(bide_write_eof(ends.write), 0);
    CHECK_INT(bide_write_eof(ends.write), -EALREADY);
    CHECK_INT(bide_write(ends.write, "x", 1), -EPIPE);
    CHECK_INT(bide_read(ends.read, bytes, sizeof bytes), 3);
    CHECK_INT(bide_read(ends.read, bytes, sizeof bytes), 0);
    CHECK_INT(bide_at_eof(ends.read), true);
    ends_close(&ends);
}

STREAM_TEST(ending_goes_behind_what_was_written)
{
    struct ends ends = ends_open();
    static char sent[300 * KIB], got[300 * KIB];
    pattern_fill(sent, 0, sizeof sent);
    bide_task *reader = waiting(bide_spawn(reads_exactly, ends.read, got, sizeof got));
    CHECK_INT(bide_write(ends.write, sent, sizeof sent), 0);
    bide_task *ender = bide_spawn(ends_writing, ends.write);
    CHECK_INT(bide_await(reader), sizeof got);
    pattern_check(got, 0, sizeof got);
    CHECK_INT(bide_await(ender), 0);
    CHECK_INT(bide_read(ends.read, got, 1), 0);
    ends_close(&ends);
}

STREAM_TEST(each_end_has_one_direction)
{
    struct ends ends = ends_open();
    char byte;
    CHECK_INT(bide_read(ends.write, &byte, 1), -EBADF);
    CHECK_INT(bide_write(ends.read, "x", 1), -EBADF);
    CHECK_INT(bide_offer(ends.read, "x", 1), -EBADF);
    CHECK_INT(bide_drain(ends.read), -EBADF);
    CHECK_INT(bide_write_eof(ends.read), -EBADF);
    CHECK_INT(bide_write(ends.write, "x", 1), 0); /* and nothing is broken by that */
    CHECK_INT(bide_read(ends.read, &byte, 1), 1);
    ends_close(&ends);
}

STREAM_TEST(writing_to_a_pipe_that_nobody_reads_is_an_error_and_no_signal)
{
    struct ends ends = ends_open();
    CHECK_INT(bide_close(ends.read), 0);
    CHECK_INT(bide_write(ends.write, "x", 1), 0);
    CHECK_INT(bide_drain(ends.write), -EPIPE);
    CHECK_INT(bide_close(ends.write), -EPIPE);
}

STREAM_TEST(a_writer_waits_for_room_and_is_told_that_the_reader_left)
{
    struct ends ends = ends_open();
    static char bytes[MIB];
    bide_task *writer = waiting(bide_spawn(writes, ends.write, bytes, sizeof bytes));
    CHECK_INT(bide_close(ends.read), 0);
    CHECK_INT(bide_await(writer), -EPIPE);
    CHECK_INT(bide_close(ends.write), -EPIPE);
}

STREAM_TEST(closing_a_reader_with_unread_data_does_not_wait)
{
    struct ends ends = ends_open();
    char byte;
    CHECK_INT(bide_write(ends.write, "xyz", 3), 0);
    CHECK_INT(bide_drain(ends.write), 0);
    CHECK_INT(bide_read(ends.read, &byte, 1), 1);
    double before = bide_time();
    CHECK_INT(bide_close(ends.read), 0);
    CHECK(bide_time() - before < 0.9);
    CHECK_INT(bide_close(ends.write), 0);
}
