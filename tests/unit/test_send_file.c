/*
 * Scenario: files go into streams and bare sockets: whole and in part, small and large, to peers
 * that read, stop reading, vanish, and from tasks that are cancelled or whose socket is closed.
 * Claim: the bytes arrive in order behind what was written before; whoever asked learns how many
 * went, or the connection is torn; nothing leaks.
 */
#include <bide/inspect.h>
#include <bide/path.h>
#include <bide/transfer.h>

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "socket_rig.h"

enum { SMALL = 1000, LARGE = 3 * MIB };

static char bytes[LARGE];

static bide_file *file_new(size_t size)
{
    bide_file *file;
    char *directory;
    char path[512];
    pattern_fill(bytes, 0, size);
    CHECK_INT(bide_directory_temporary(NULL, &directory), 0);
    snprintf(path, sizeof path, "%s/pattern", directory);
    CHECK_INT(bide_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, &file), 0);
    CHECK_INT(bide_file_write(file, bytes, size, NULL), 0);
    CHECK_INT(bide_path_unlink(path), 0); /* it lives as long as it is open */
    CHECK_INT(bide_directory_remove(directory), 0);
    free(directory);
    return file;
}

struct way {
    bide_stream *stream;
    bide_socket *peer;
};

static struct way way_of(struct ends ends, size_t high_bytes)
{
    struct way way = {.peer = ends.there};
    struct bide_stream_opts opts = {.write_high_bytes = high_bytes};
    CHECK_INT(bide_socket_to_stream(ends.here, &opts, &way.stream), 0);
    return way;
}

static void way_close(struct way *way)
{
    bide_abort(way->stream);
    bide_close(way->stream);
    bide_socket_close(way->peer);
}

static bide_async(hears, (bide_socket *, peer), (size_t, from), (size_t, size))
{
    hears_pattern(peer, from, size);
    return 0;
}

static bide_async(streams_file, (bide_stream *, stream), (bide_file *, file), (int64_t *, ret_sent))
{
    int64_t sent = bide_stream_send_file(stream, file, 0, BIDE_TO_THE_END);
    if (ret_sent)
        *ret_sent = sent;
    return sent < 0 ? (int)sent : 0;
}

static bide_async(sends_file, (bide_socket *, socket), (bide_file *, file), (int64_t, offset),
                  (int64_t *, ret_sent))
{
    return bide_socket_send_file(socket, file, offset, BIDE_TO_THE_END, ret_sent);
}

/* Lets the task go on until the peer has no room, or somebody has his turn before it. */
static bide_task *held_up(bide_task *task)
{
    int n_quiet = 0;
    for (int i = 0; i < 20000 && n_quiet < 20; i++) {
        const char *wait = bide_task_waits_for(task);
        bool is_held = strcmp(wait, "send") == 0 || strncmp(wait, "room", 4) == 0 ||
                       strncmp(wait, "turn", 4) == 0;
        n_quiet = is_held ? n_quiet + 1 : 0;
        CHECK_INT(bide_sleep(is_held ? 0 : TICKS(1) / 10), 0);
    }
    CHECK_INT(n_quiet, 20);
    return task;
}

TASK_TEST(a_file_goes_into_a_stream_behind_what_was_written)
{
    struct way way = way_of(ends_open(), 0);
    bide_file *file = file_new(LARGE);
    CHECK_INT(bide_write(way.stream, "begin", 5), 0);
    bide_task *sender = bide_spawn(streams_file, way.stream, file, NULL);
    turns(1);
    bide_task *other = bide_spawn(streams_file, way.stream, file, NULL);
    hears_text(way.peer, "begin");
    hears_pattern(way.peer, 0, LARGE);
    CHECK_INT(bide_await(sender), 0);
    hears_pattern(way.peer, 0, LARGE);
    CHECK_INT(bide_await(other), 0);
    CHECK_INT(bide_write(way.stream, "end", 3), 0);
    CHECK_INT(bide_drain(way.stream), 0);
    hears_text(way.peer, "end");
    CHECK_INT(bide_file_tell(file), LARGE); /* it does not move */
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

TASK_TEST(a_part_of_a_file)
{
    struct ends ends = ends_open();
    bide_file *file = file_new(SMALL);
    int64_t sent = -1;
    CHECK_INT(bide_socket_send_file(ends.here, file, 100, 200, &sent), 0);
    CHECK_INT(sent, 200);
    hears_pattern(ends.there, 100, 200);
    CHECK_INT(bide_socket_send_file(ends.here, file, 900, 200, &sent), 0);
    CHECK_INT(sent, 100); /* it ended before */
    hears_pattern(ends.there, 900, 100);
    CHECK_INT(bide_socket_send_file(ends.here, file, SMALL + 5, 1, &sent), 0);
    CHECK_INT(sent, 0);
    CHECK_INT(bide_socket_send_file(ends.here, file, INT64_MAX - 1, INT64_MAX, NULL), 0);
    CHECK_INT(bide_socket_send_file(ends.here, file, 0, 0, &sent), 0);
    CHECK_INT(sent, 0);
    struct way way = way_of(ends, 0);
    CHECK_INT(bide_stream_send_file(way.stream, file, 0, 10), 10);
    CHECK_INT(bide_stream_send_file(way.stream, file, 10, INT64_MAX), SMALL - 10);
    CHECK_INT(bide_stream_send_file(way.stream, file, SMALL, 10), 0);
    CHECK_INT(bide_stream_send_file(way.stream, file, 0, 0), 0);
    CHECK_INT(bide_drain(way.stream), 0);
    hears_pattern(way.peer, 0, SMALL);
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

TASK_TEST(a_small_high_water_mark_is_no_limit_for_files)
{
    struct way way = way_of(ends_open_narrow(), 1000);
    bide_file *file = file_new(100 * KIB);
    bide_task *peer = bide_spawn(hears, way.peer, 0, 100 * KIB);
    CHECK_INT(bide_stream_send_file(way.stream, file, 0, BIDE_TO_THE_END), 100 * KIB);
    CHECK_INT(bide_drain(way.stream), 0);
    CHECK_INT(bide_await(peer), 0);
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

TASK_TEST(a_peer_that_does_not_read_holds_it_up_and_a_cancel_tears_the_stream)
{
    struct way way = way_of(ends_open_narrow(), 0);
    bide_file *file = file_new(LARGE);
    int64_t sent = 0;
    bide_task *sender = held_up(bide_spawn(streams_file, way.stream, file, &sent));
    CHECK_INT(bide_offer(way.stream, "x", 1), -EAGAIN); /* its turn comes later */
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_INT(sent, -ECANCELED);
    CHECK_INT(bide_write(way.stream, "x", 1), -BIDE_ETORN);
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

TASK_TEST(a_cancel_before_anything_went_leaves_the_stream_as_it_was)
{
    struct way way = way_of(ends_open(), 0);
    bide_file *file = file_new(SMALL);
    bide_task *sender = bide_spawn_with(&(struct bide_task_opts){.always_start = true},
                                        streams_file, way.stream, file, NULL);
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_INT(bide_write(way.stream, "x", 1), 0);
    CHECK_INT(bide_drain(way.stream), 0);
    hears_text(way.peer, "x");
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

TASK_TEST(a_bare_socket_says_how_much_went_and_goes_on)
{
    struct ends ends = ends_open_narrow();
    bide_file *file = file_new(LARGE);
    int64_t first = -1;
    int64_t rest = -1;
    bide_task *sender = held_up(bide_spawn(sends_file, ends.here, file, 0, &first));
    CHECK_INT(bide_socket_send(ends.here, "x", 1), -EBUSY);
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_RANGE(first, 1, LARGE - 1);
    hears_pattern(ends.there, 0, (size_t)first);
    sender = bide_spawn(sends_file, ends.here, file, LARGE - 100 * KIB, &rest);
    hears_pattern(ends.there, LARGE - 100 * KIB, 100 * KIB);
    CHECK_INT(bide_await(sender), 0);
    CHECK_INT(rest, 100 * KIB);
    sender = held_up(bide_spawn(sends_file, ends.here, file, 0, NULL));
    CHECK_INT(cancel_and_await(sender), -ECANCELED);
    CHECK_INT(bide_socket_send(ends.here, "x", 1), -BIDE_ETORN); /* nobody knows */
    CHECK_INT(bide_file_close(file), 0);
    ends_close(&ends);
}

TASK_TEST(who_closes_the_connection_ends_it)
{
    struct ends ends = ends_open_narrow();
    bide_file *file = file_new(LARGE);
    int64_t sent = -1;
    bide_task *sender = held_up(bide_spawn(sends_file, ends.here, file, 0, &sent));
    bide_socket_close(ends.here);
    CHECK_INT(bide_await(sender), -ECONNABORTED);
    CHECK_RANGE(sent, 1, LARGE - 1);
    bide_socket_close(ends.there);
    struct way way = way_of(ends_open_narrow(), 0);
    sender = held_up(bide_spawn(streams_file, way.stream, file, &sent));
    bide_task *other = held_up(bide_spawn(streams_file, way.stream, file, NULL));
    bide_abort(way.stream);
    CHECK_INT(bide_await(sender), -ECONNABORTED);
    CHECK_INT(bide_await(other), -ECONNABORTED);
    way_close(&way);
    way = way_of(ends_open_narrow(), 0);
    sender = held_up(bide_spawn(streams_file, way.stream, file, &sent));
    CHECK(bide_within(0.01, bide_close(way.stream)) < 0);
    CHECK_INT(bide_await(sender), -ECONNABORTED);
    bide_socket_close(way.peer);
    CHECK_INT(bide_file_close(file), 0);
}

TASK_TEST(a_peer_that_vanishes_is_an_error_and_no_signal)
{
    struct linger reset = {.l_onoff = 1};
    bide_file *file = file_new(LARGE);
    struct way way = way_of(ends_open_narrow(), 0);
    bide_task *sender = held_up(bide_spawn(streams_file, way.stream, file, NULL));
    CHECK_INT(bide_socket_setopt(way.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    bide_socket_close(way.peer);
    int rc = bide_await(sender);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    rc = (int)bide_stream_send_file(way.stream, file, 0, 1);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    way.peer = NULL;
    way_close(&way);
    struct ends ends = ends_open();
    CHECK_INT(bide_socket_shutdown(ends.here, SHUT_WR), 0);
    CHECK_INT(bide_socket_send_file(ends.here, file, 0, 1, NULL), -EPIPE);
    ends_close(&ends);
    CHECK_INT(bide_file_close(file), 0);
}

TASK_TEST(a_file_that_is_closed_meanwhile)
{
    struct ends ends = ends_open_narrow();
    bide_file *file = file_new(LARGE);
    int64_t sent;
    bide_task *sender = held_up(bide_spawn(sends_file, ends.here, file, 0, &sent));
    CHECK_INT(bide_file_close(file), 0);
    static char rest[LARGE];
    size_t heard = 0;
    while (bide_task_state(sender) != BIDE_TASK_DONE) {
        int n = now(bide_spawn(receives, ends.there, rest, sizeof rest));
        heard += n > 0 ? (size_t)n : 0;
    }
    CHECK_INT(bide_await(sender), -EBADF);
    CHECK_RANGE(sent, heard, LARGE - 1);
    ends_close(&ends);
}

TASK_TEST(senseless_arguments)
{
    struct ends ends = ends_open();
    bide_file *file = file_new(SMALL);
    int64_t sent = 7;
    CHECK_INT(bide_socket_send_file(NULL, file, 0, 1, NULL), -EINVAL);
    CHECK_INT(bide_socket_send_file(ends.here, NULL, 0, 1, &sent), -EINVAL);
    CHECK_INT(sent, 0);
    CHECK_INT(bide_socket_send_file(ends.here, file, -1, 1, NULL), -EINVAL);
    CHECK_INT(bide_socket_send_file(ends.here, file, 0, -2, NULL), -EINVAL);
    struct way way = way_of(ends, 0);
    CHECK_INT(bide_stream_send_file(NULL, file, 0, 1), -EINVAL);
    CHECK_INT(bide_stream_send_file(way.stream, NULL, 0, 1), -EINVAL);
    CHECK_INT(bide_stream_send_file(way.stream, file, -1, 1), -EINVAL);
    CHECK_INT(bide_write_eof(way.stream), 0);
    CHECK_INT(bide_stream_send_file(way.stream, file, 0, 1), -EPIPE);
    CHECK_INT(bide_file_close(file), 0);
    way_close(&way);
}

/* Loops that end */

static bide_async(gets_stuck, (bide_stream *, stream), (bide_socket *, socket), (bide_file *, file))
{
    if (stream)
        return bide_shielded(INFINITY, (int)bide_stream_send_file(stream, file, 0, LARGE));
    return bide_shielded(INFINITY, bide_socket_send_file(socket, file, 0, LARGE, NULL));
}

static bide_async(leaves_a_stuck_task, (struct way *, ret_way), (bide_socket **, ret_socket),
                  (bide_file **, ret_file))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    *ret_file = file_new(LARGE);
    struct ends ends = ends_open_narrow();
    if (ret_socket) {
        *ret_socket = ends.here;
        *ret_way = (struct way){.peer = ends.there};
    } else {
        *ret_way = way_of(ends, 0);
    }
    bide_detach(waiting(
        bide_spawn(gets_stuck, ret_way->stream, ret_socket ? *ret_socket : NULL, *ret_file)));
    return 0;
}

BIDE_TEST(a_loop_gives_up_tasks_that_send_files)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    for (int i = 0; i < 2; i++) {
        struct way way;
        bide_socket *socket = NULL;
        bide_file *file;
        CHECK_INT(bide_run_with(&impatient, leaves_a_stuck_task, &way, i ? &socket : NULL, &file),
                  0);
        CHECK_CONTAINS(take_report(), "gets_stuck");
        bide_socket_close(socket);
        bide_socket_close(way.peer);
        bide_close(way.stream);
        bide_file_abort(file);
    }
    rig_end();
}
