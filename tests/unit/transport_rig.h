/*
 * What the tests of transports share: a protocol that notes what it is told and insists on the
 * order in which it may be told, and a loop that is run from outside, without any task.
 *
 * Invariant: a talker fails the test when it is called out of order, from inside a call of its own,
 * on a stack that is not the thread's, or once its data was dropped.
 */
#ifndef BIDE_TEST_TRANSPORT_RIG_H
#define BIDE_TEST_TRANSPORT_RIG_H

#include <bide/transport.h>

#include <pthread.h>

#include "stream_rig.h"

struct talker {
    bide_loop *loop;
    bide_transport *transport;
    bool is_buffered;
    bool keeps_open; /* at the peer's end */
    bool stops_loop; /* at each call */
    bool made, failed, eof, lost, dropped;
    bool paused; /* writing, by the transport */
    bool deaf;   /* was closed, aborted or paused by the test: nothing more may come */
    bool buffer_out;
    int error; /* of the loss or failure */
    int n_pauses, n_resumes;
    size_t n_calls;
    size_t n_received; /* bytes, of the pattern */
    size_t buffer_size;
    bool is_text; /* what comes is not the pattern */
    char text[256];
    char buffer[8 * KIB];
    /* More to do in a call; may be NULL. */
    void (*on_made)(struct talker *talker);
    void (*on_data)(struct talker *talker, const char *bytes, size_t size);
    void (*on_lost)(struct talker *talker);
};

static bool rig_inside; /* a function of bide/transport.h is being called */
static char *rig_frame;

/* Calls a function from which nothing may be called back. */
#define INSIDE(call) (rig_inside = true, (call), rig_inside = false)

/* The calls that follow stand on the stack of the caller's. */
static RIG_UNUSED void find_stack(void)
{
    rig_frame = __builtin_frame_address(0); /* sanitizers move locals elsewhere */
}

/* A task's stack is somewhere else altogether. */
static RIG_UNUSED void check_stack(void)
{
    char *frame = __builtin_frame_address(0);
    CHECK(!rig_frame || (frame > rig_frame - 256 * KIB && frame < rig_frame + 256 * KIB));
    CHECK(!rig_inside);
}

static struct talker *talker_called(void *data)
{
    struct talker *talker = data;
    check_stack();
    CHECK(!talker->dropped && !talker->lost);
    talker->n_calls++;
    if (talker->stops_loop)
        bide_loop_stop(talker->loop);
    return talker;
}

static void talker_made(void *data, bide_transport *transport)
{
    struct talker *talker = talker_called(data);
    CHECK(!talker->made);
    talker->made = true;
    talker->transport = transport;
    CHECK_PTR(bide_transport_data(transport), talker);
    CHECK_PTR(bide_transport_loop(transport), talker->loop);
    if (talker->on_made)
        talker->on_made(talker);
}

static void talker_failed(void *data, int error)
{
    struct talker *talker = talker_called(data);
    CHECK(!talker->made && !talker->failed);
    talker->failed = true;
    talker->lost = true;
    talker->error = error;
}

static void talker_received(void *data, const void *bytes, size_t size)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made && !talker->eof && !talker->deaf && size > 0);
    if (talker->is_text) {
        CHECK(talker->n_received + size < sizeof talker->text);
        memcpy(talker->text + talker->n_received, bytes, size);
    } else {
        pattern_check(bytes, talker->n_received, size);
    }
    talker->n_received += size;
    if (talker->on_data)
        talker->on_data(talker, bytes, size);
}

static void *talker_buffer(void *data, size_t hint, size_t *ret_size)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made && !talker->eof && !talker->deaf && !talker->buffer_out);
    CHECK(hint > 0);
    talker->buffer_out = true;
    *ret_size = talker->buffer_size ? talker->buffer_size : sizeof talker->buffer;
    return talker->buffer;
}

static void talker_updated(void *data, size_t n)
{
    struct talker *talker = data;
    CHECK(talker->buffer_out && n <= sizeof talker->buffer);
    talker->buffer_out = false;
    talker_received(data, talker->buffer, n);
    memset(talker->buffer, 0, sizeof talker->buffer); /* nobody else needs it any more */
}

static bool talker_eof(void *data)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made && !talker->eof && !talker->deaf);
    talker->eof = true;
    return talker->keeps_open;
}

static void talker_lost(void *data, int error)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made);
    talker->lost = true;
    talker->error = error;
    CHECK(bide_transport_is_closing(talker->transport));
    CHECK_INT(bide_transport_fd(talker->transport), -1);
    CHECK(bide_transport_write(talker->transport, "x", 1) < 0);
    if (talker->on_lost)
        talker->on_lost(talker);
}

static void talker_pause(void *data)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made && !talker->paused);
    talker->paused = true;
    talker->n_pauses++;
}

static void talker_resume(void *data)
{
    struct talker *talker = talker_called(data);
    CHECK(talker->made && talker->paused);
    talker->paused = false;
    talker->n_resumes++;
}

static RIG_UNUSED void talker_drop(void *data)
{
    struct talker *talker = data;
    check_stack();
    CHECK(!talker->dropped);
    talker->dropped = true;
    if (talker->stops_loop && !talker->lost) /* replaced, or the loop closes */
        bide_loop_stop(talker->loop);
}

static const struct bide_protocol talker_protocol = {
    .connection_made = talker_made,
    .connection_failed = talker_failed,
    .data_received = talker_received,
    .eof_received = talker_eof,
    .connection_lost = talker_lost,
    .pause_writing = talker_pause,
    .resume_writing = talker_resume,
};

static const struct bide_protocol buffered_protocol = {
    .connection_made = talker_made,
    .connection_failed = talker_failed,
    .get_buffer = talker_buffer,
    .buffer_updated = talker_updated,
    .eof_received = talker_eof,
    .connection_lost = talker_lost,
    .pause_writing = talker_pause,
    .resume_writing = talker_resume,
};

static RIG_UNUSED const struct bide_protocol *protocol_of(const struct talker *talker)
{
    return talker->is_buffered ? &buffered_protocol : &talker_protocol;
}

/* Runs the loop until the condition holds; only calls that stop the loop end its waits. */
#define UNTIL(loop, condition) \
    do \
        CHECK_INT((condition) ? 0 : bide_loop_run_forever(loop), 0); \
    while (!(condition))

static RIG_UNUSED void one_turn(bide_loop *loop)
{
    bide_loop_stop(loop);
    CHECK_INT(bide_loop_run_forever(loop), 0);
}

/* So many turns do not change that something has not happened. */
static RIG_UNUSED void some_turns(bide_loop *loop)
{
    for (int i = 0; i < 5; i++)
        one_turn(loop);
}

/* A talker whose other end is a plain descriptor. */
struct scene {
    bide_loop *loop;
    struct talker talker;
    int peer;
    int n_fds;
};

static RIG_UNUSED void scene_connect(struct scene *scene, const struct bide_stream_opts *opts,
                                     int kernel_bytes)
{
    int fds[2];
    connection_open(fds, kernel_bytes);
    scene->peer = fds[1];
    scene->talker.loop = scene->loop;
    scene->talker.stops_loop = true;
    CHECK_INT(bide_transport_adopt(scene->loop, fds[0], opts, protocol_of(&scene->talker),
                                   &scene->talker, talker_drop, &scene->talker.transport),
              0);
}

static RIG_UNUSED void scene_open_with(struct scene *scene, const struct bide_stream_opts *opts,
                                       int kernel_bytes)
{
    find_stack();
    scene->n_fds = count_fds();
    scene->loop = rig_loop();
    scene_connect(scene, opts, kernel_bytes);
    UNTIL(scene->loop, scene->talker.made);
}

static RIG_UNUSED void scene_open(struct scene *scene)
{
    scene_open_with(scene, NULL, 0);
}

/* What happened to the connection is over, and nothing is left. */
static RIG_UNUSED void scene_close(struct scene *scene)
{
    if (scene->peer >= 0)
        close(scene->peer);
    rig_close(scene->loop);
    CHECK(scene->talker.dropped);
    CHECK_INT(count_fds(), scene->n_fds);
}

/* Bytes of the pattern from the peer's end; the loop runs meanwhile. */
static RIG_UNUSED void scene_send(struct scene *scene, size_t from, size_t size)
{
    static char bytes[16 * KIB];
    while (size > 0) {
        size_t part = size < sizeof bytes ? size : sizeof bytes;
        pattern_fill(bytes, from, part);
        ssize_t n = send(scene->peer, bytes, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        CHECK(n > 0 || errno == EAGAIN);
        from += n > 0 ? (size_t)n : 0;
        size -= n > 0 ? (size_t)n : 0;
        if (n <= 0)
            one_turn(scene->loop);
    }
}

/* At least one byte at the peer's end, 0 at the end, or a negative errno; the loop runs. */
static RIG_UNUSED ssize_t scene_recv(struct scene *scene, void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = recv(scene->peer, buffer, size, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n >= 0 ? n : -errno;
        one_turn(scene->loop);
    }
}

static RIG_UNUSED void scene_hears(struct scene *scene, size_t from, size_t size)
{
    static char bytes[16 * KIB];
    while (size > 0) {
        ssize_t n = scene_recv(scene, bytes, size < sizeof bytes ? size : sizeof bytes);
        CHECK_RANGE(n, 1, size);
        pattern_check(bytes, from, (size_t)n);
        from += (size_t)n;
        size -= (size_t)n;
    }
}

static RIG_UNUSED void scene_hears_end(struct scene *scene)
{
    char byte;
    CHECK_INT(scene_recv(scene, &byte, 1), 0);
}

/* Writes bytes of the pattern; nothing is called back meanwhile. */
static RIG_UNUSED int talker_write(struct talker *talker, size_t from, size_t size)
{
    int rc;
    char *bytes = malloc(size);
    CHECK(bytes);
    pattern_fill(bytes, from, size);
    INSIDE(rc = bide_transport_write(talker->transport, bytes, size));
    free(bytes);
    return rc;
}

static RIG_UNUSED void talker_close(struct talker *talker)
{
    talker->deaf = true;
    INSIDE(bide_transport_close(talker->transport));
}

static RIG_UNUSED void talker_abort(struct talker *talker)
{
    talker->deaf = true;
    INSIDE(bide_transport_abort(talker->transport));
}

/* A peer that sends four bytes back, on a thread of its own. */
static RIG_UNUSED void *answers(void *data)
{
    char bytes[4];
    const int *peer = data;
    CHECK_INT(fcntl(*peer, F_SETFL, 0), 0);
    CHECK_INT(recv(*peer, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    CHECK_INT(send(*peer, bytes, sizeof bytes, 0), sizeof bytes);
    return NULL;
}

/* A write from outside of the loop's turns, which has nothing to do then but wait for the answer.
 */
static RIG_UNUSED void scene_is_answered(struct scene *scene)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, answers, &scene->peer), 0);
    CHECK_INT(talker_write(&scene->talker, 0, 4), 0);
    UNTIL(scene->loop, scene->talker.n_received == 4);
    CHECK_INT(pthread_join(thread, NULL), 0);
    talker_close(&scene->talker);
    UNTIL(scene->loop, scene->talker.lost);
}

#endif
