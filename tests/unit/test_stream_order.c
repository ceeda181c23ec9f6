/*
 * Scenario: a task waits inside a call on a stream, and two things happen to it: together, the
 * second when the first has woken the task but it has not run yet, or the second after the first
 * had all its effect. Every call that waits, every two things in either order.
 * Claim: the call ends with the result of one of the two, and of the first where that had settled
 * it; a limit stays a limit and a cancel a cancel; what was not read is still there, and what was
 * not written never arrives.
 */
#include "stream_rig.h"

enum event { DATA, END, RESET, CANCEL, LIMIT, ABORT, CLOSE, EVENTS };
enum mode { TOGETHER, WOKEN, SETTLED, MODES };

static const char *const event_names[] = {"data",  "end",   "reset", "cancel",
                                          "limit", "abort", "close"};
static const char *const mode_names[] = {"together", "woken", "settled"};

/* Not a result: the call goes on waiting. */
enum { WAITS = -100000 };

struct scene {
    struct pair pair;
    bool is_closed;
    bide_task *task;
    bide_timeout *limit;
    int (*call)(struct scene *scene);
    char got[16];        /* reading: what the call got */
    size_t n_stuffed;    /* writing: what was written before the call */
    bide_task *holder;   /* of the turn to write */
    bide_task *listener; /* reads at the peer's end */
};

static bide_async(calls, (struct scene *, scene))
{
    int rc = bide_timeout_begin(INFINITY, &scene->limit);
    return rc < 0 ? rc : bide_timeout_end(scene->limit, scene->call(scene));
}

/* The rest goes out in the background. */
static void close_without_waiting(struct scene *scene)
{
    int rc = bide_within(0, bide_close(scene->pair.stream));
    if (rc != 0 && rc != -ECONNRESET && rc != -EPIPE && rc != -BIDE_ETORN)
        CHECK_INT(rc, -ETIMEDOUT);
    scene->is_closed = true;
}

static void happen_here(struct scene *scene, enum event event)
{
    switch (event) {
    case RESET:
        peer_reset(scene->pair.peer);
        scene->pair.peer = -1;
        break;
    case CANCEL:
        bide_cancel(scene->task);
        break;
    case LIMIT:
        if (!bide_task_done(scene->task))
            CHECK_INT(bide_timeout_move(scene->limit, 0), 0);
        break;
    case ABORT:
        bide_abort(scene->pair.stream);
        break;
    default:
        close_without_waiting(scene);
    }
}

/* Both events in the mode's way; what the call came to. */
static int play(struct scene *scene, void (*happen)(struct scene *, enum event),
                const enum event events[2], enum mode mode)
{
    scene->task = waiting(bide_spawn(calls, scene));
    settle(); /* what it began is under way */
    happen(scene, events[0]);
    if (mode == WOKEN)
        until_scheduled(scene->task);
    if (mode == SETTLED && scene->listener)
        while (!bide_task_done(scene->task))
            turns(1);
    else if (mode == SETTLED)
        settle();
    happen(scene, events[1]);
    return bide_await(scene->task);
}

static bool has(const enum event events[2], enum event event)
{
    return events[0] == event || events[1] == event;
}

/* alone: what each event comes to by itself. */
static void check_outcome(int rc, const enum event events[2], const int alone[2], enum mode mode)
{
    bool both_ask = has(events, CANCEL) && has(events, LIMIT);
    if (alone[0] == WAITS)
        CHECK_INT(rc, alone[1]);
    else if (mode == SETTLED || alone[1] == WAITS)
        CHECK_INT(rc, alone[0]);
    else if (both_ask)
        CHECK_INT(rc, -ECANCELED);
    else if (rc != alone[1])
        CHECK_INT(rc, alone[0]);
}

/* Reading */

static const char said[] = "hi\n";
enum { SAID = sizeof said - 1 };

static int call_read(struct scene *scene)
{
    return bide_read(scene->pair.stream, scene->got, sizeof scene->got);
}

static int call_read_exactly(struct scene *scene)
{
    return bide_read_exactly(scene->pair.stream, scene->got, 8);
}

static int call_read_line(struct scene *scene)
{
    char *line;
    int n = bide_read_line(scene->pair.stream, &line);
    if (n > 0)
        snprintf(scene->got, sizeof scene->got, "%s\n", line);
    return n;
}

static int call_read_until(struct scene *scene)
{
    char *data;
    int n = bide_read_until(scene->pair.stream, "\n", 1, &data);
    if (n > 0)
        memcpy(scene->got, data, (size_t)n);
    return n;
}

static void happen_to_reader(struct scene *scene, enum event event)
{
    if (event == DATA) /* to an end that may be gone */
        CHECK(send(scene->pair.peer, said, SAID, MSG_NOSIGNAL) == SAID || scene->is_closed ||
              errno == ECONNRESET);
    else if (event == END)
        CHECK(shutdown(scene->pair.peer, SHUT_WR) == 0 || errno == ENOTCONN);
    else
        happen_here(scene, event);
}

static int reader_alone(const struct scene *scene, enum event event)
{
    switch (event) {
    case DATA:
        return scene->call == call_read_exactly ? WAITS : SAID;
    case END:
        return scene->call == call_read || scene->call == call_read_line ? 0 : -BIDE_EINCOMPLETE;
    case RESET:
        return -ECONNRESET;
    case CANCEL:
        return -ECANCELED;
    case LIMIT:
        return -ETIMEDOUT;
    default:
        return -ECONNABORTED;
    }
}

/* What the call did not take is there for the next one. */
static void check_what_is_left(struct scene *scene, const enum event events[2], int rc)
{
    bide_stream *stream = scene->pair.stream;
    char got[16];
    if (scene->is_closed)
        return;
    if (has(events, ABORT)) {
        CHECK_INT(bide_read(stream, got, sizeof got), -ECONNABORTED);
        return;
    }
    if (has(events, DATA) && rc < 0) {
        CHECK_INT(bide_read_exactly(stream, got, SAID), SAID);
        CHECK_MEM(got, said, SAID);
    }
    if (has(events, END) && (events[0] == END || !has(events, RESET)))
        CHECK_INT(bide_read(stream, got, sizeof got), 0);
    else if (has(events, RESET))
        CHECK_INT(bide_read(stream, got, sizeof got), -ECONNRESET);
    else
        CHECK_INT(bide_within(0, bide_read(stream, got, sizeof got)), -ETIMEDOUT);
}

static void play_reader(int (*call)(struct scene *), const enum event events[2], enum mode mode)
{
    struct scene scene = {.call = call, .pair = pair_open()};
    int alone[2] = {reader_alone(&scene, events[0]), reader_alone(&scene, events[1])};
    printf("%s, %s, %s\n", event_names[events[0]], event_names[events[1]], mode_names[mode]);
    int rc = play(&scene, happen_to_reader, events, mode);
    printf("  %d\n", rc);
    check_outcome(rc, events, alone, mode);
    if (alone[0] == SAID && (events[1] == END || events[1] == RESET))
        CHECK_INT(rc, SAID); /* they come behind the data */
    if (rc > 0)
        CHECK_MEM(scene.got, said, SAID);
    settle();
    check_what_is_left(&scene, events, rc);
    if (!scene.is_closed)
        pair_close(&scene.pair);
    else if (scene.pair.peer >= 0)
        close(scene.pair.peer);
}

/* Whether the peer, or the owner of the stream, can still do the second after the first. */
static bool is_possible(enum event first, enum event second)
{
    if (first == second)
        return false;
    if (first == RESET)
        return second != DATA && second != END;
    if (first == END)
        return second != DATA;
    return first != CLOSE || second != ABORT;
}

static void play_readers(int (*call)(struct scene *))
{
    for (enum event first = 0; first < EVENTS; first++)
        for (enum event second = 0; second < EVENTS; second++)
            for (enum mode mode = 0; mode < MODES; mode++)
                if (is_possible(first, second))
                    play_reader(call, (enum event[2]){first, second}, mode);
}

STREAM_TEST(two_things_happen_to_a_read)
{
    play_readers(call_read);
}

STREAM_TEST(two_things_happen_to_a_read_exactly)
{
    play_readers(call_read_exactly);
}

STREAM_TEST(two_things_happen_to_a_read_line)
{
    play_readers(call_read_line);
}

STREAM_TEST(two_things_happen_to_a_read_until)
{
    play_readers(call_read_until);
}

/* Writing. DATA stands for a peer that begins to read; END does not occur. */

enum { HIGH = 8 * KIB, SMALL = 1000, BIG = 64 * KIB, HEARD_MAX = 512 * KIB };

static char small[SMALL];
static char held[SMALL];
static char big[BIG];
static char heard[HEARD_MAX]; /* by the peer */
static size_t n_heard;
static bool heard_end;

static int call_write(struct scene *scene)
{
    return bide_write(scene->pair.stream, small, sizeof small);
}

static int call_write_big(struct scene *scene)
{
    return bide_write(scene->pair.stream, big, sizeof big);
}

static int call_drain(struct scene *scene)
{
    return bide_drain(scene->pair.stream);
}

static int call_write_eof(struct scene *scene)
{
    return bide_write_eof(scene->pair.stream);
}

/* Until the end, a reset, or a cancel. */
static bide_async(listens, (int, peer))
{
    for (;;) {
        ssize_t n = recv(peer, heard + n_heard, HEARD_MAX - n_heard, 0);
        heard_end = heard_end || n == 0;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return 0;
        if (n > 0)
            n_heard += (size_t)n;
        int rc = bide_sleep(0);
        if (rc < 0)
            return rc;
    }
}

static void listen_on(struct scene *scene)
{
    if (scene->listener)
        return;
    scene->listener = bide_spawn(listens, scene->pair.peer);
    CHECK(scene->listener);
}

static void happen_to_writer(struct scene *scene, enum event event)
{
    if (event == DATA) {
        listen_on(scene);
        return;
    }
    if (event == RESET)
        CHECK_INT(bide_cancel_join(&scene->listener, 1), 0);
    happen_here(scene, event);
}

static int writer_alone(enum event event)
{
    static const int results[EVENTS] = {
        [DATA] = 0,           [RESET] = -ECONNRESET,   [CANCEL] = -ECANCELED,
        [LIMIT] = -ETIMEDOUT, [ABORT] = -ECONNABORTED, [CLOSE] = -ECONNABORTED};
    return results[event];
}

/* What is there before the call. */
struct before {
    bool is_stuffed; /* the kernel takes no more, and no more may be buffered */
    bool is_held;    /* somebody has the turn, and waits for room */
};

static struct scene scene_of_writer(int (*call)(struct scene *), struct before before)
{
    static const struct bide_stream_opts opts = {.write_high_bytes = HIGH};
    struct scene scene = {.call = call, .pair = narrow_open_with(&opts)};
    memset(small, 'S', sizeof small);
    memset(held, 'H', sizeof held);
    memset(big, 'B', sizeof big);
    n_heard = 0;
    heard_end = false;
    if (before.is_stuffed)
        scene.n_stuffed = stuff(scene.pair.stream);
    if (before.is_held)
        scene.holder = waiting(bide_spawn(writes, scene.pair.stream, held, sizeof held));
    return scene;
}

/* From `at` on the peer heard so many of this letter. */
static size_t check_run(size_t at, char letter, size_t n)
{
    for (size_t i = at; i < at + n; i++)
        if (i >= n_heard || heard[i] != letter)
            FAIL("byte %zu of %zu is not %c", i, n_heard, letter);
    return at + n;
}

/* Lets go out what can and ends our side: whether the stream turned out to be torn. */
static bool finish_writing(struct scene *scene, int rc)
{
    bide_stream *stream = scene->pair.stream;
    int mark = bide_write(stream, "M", 1);
    if (scene->call == call_write_eof) {
        CHECK_INT(mark, -EPIPE);
        return false;
    }
    if (mark == 0) {
        CHECK_INT(bide_write_eof(stream), 0);
        return false;
    }
    CHECK(scene->call == call_write_big && rc < 0);
    char byte;
    CHECK_INT(mark, -BIDE_ETORN);
    CHECK_INT(bide_offer(stream, "M", 1), -BIDE_ETORN);
    CHECK_INT(bide_drain(stream), -BIDE_ETORN);
    CHECK_INT(bide_write_eof(stream), -BIDE_ETORN);
    CHECK_INT(bide_read(stream, &byte, 1), -BIDE_ETORN);
    bide_abort(stream);
    return true;
}

/* The peer hears what was said to be written, whole and in order, and nothing else. */
static void check_what_arrived(struct scene *scene, struct before before, int rc)
{
    int held_rc = 0;
    bool may_be_torn = scene->call == call_write_big && rc < 0;
    bool is_torn = may_be_torn && scene->is_closed;
    listen_on(scene);
    if (scene->holder)
        held_rc = bide_await(scene->holder);
    if (!scene->is_closed)
        is_torn = finish_writing(scene, rc);
    CHECK_INT(bide_await(scene->listener), 0);
    if (may_be_torn && !before.is_stuffed)
        CHECK(is_torn);
    if (is_torn)
        return;
    pattern_check(heard, 0, scene->n_stuffed);
    size_t at = scene->n_stuffed;
    if (scene->holder && held_rc == 0)
        at = check_run(at, 'H', sizeof held);
    if (rc == 0 && scene->call == call_write)
        at = check_run(at, 'S', sizeof small);
    if (rc == 0 && scene->call == call_write_big)
        at = check_run(at, 'B', sizeof big);
    if (!scene->is_closed && scene->call != call_write_eof)
        at = check_run(at, 'M', 1);
    CHECK_INT(n_heard, at);
    CHECK(heard_end);
}

static void play_writer(int (*call)(struct scene *), struct before before,
                        const enum event events[2], enum mode mode)
{
    struct scene scene = scene_of_writer(call, before);
    int alone[2] = {writer_alone(events[0]), writer_alone(events[1])};
    printf("%s, %s, %s\n", event_names[events[0]], event_names[events[1]], mode_names[mode]);
    int rc = play(&scene, happen_to_writer, events, mode);
    printf("  %d\n", rc);
    if (rc == -EPIPE) /* a reset shows as either, whichever the kernel tells first */
        rc = -ECONNRESET;
    check_outcome(rc, events, alone, mode);
    if (!has(events, RESET) && !has(events, ABORT)) {
        check_what_arrived(&scene, before, rc);
    } else {
        bide_task *tasks[] = {scene.holder, scene.listener};
        CHECK_INT(bide_cancel_join(tasks, 2), 0);
    }
    if (!scene.is_closed)
        pair_close(&scene.pair);
    else if (scene.pair.peer >= 0)
        close(scene.pair.peer);
}

static void play_writers(int (*call)(struct scene *), struct before before)
{
    for (enum event first = 0; first < EVENTS; first++)
        for (enum event second = 0; second < EVENTS; second++)
            for (enum mode mode = 0; mode < MODES; mode++)
                if (first != END && second != END && is_possible(first, second))
                    play_writer(call, before, (enum event[2]){first, second}, mode);
}

STREAM_TEST(two_things_happen_to_a_write_that_waits_for_room)
{
    play_writers(call_write, (struct before){.is_stuffed = true});
}

STREAM_TEST(two_things_happen_to_a_write_that_waits_for_its_turn)
{
    play_writers(call_write, (struct before){.is_stuffed = true, .is_held = true});
}

STREAM_TEST(two_things_happen_to_a_large_write_on_its_way)
{
    play_writers(call_write_big, (struct before){.is_stuffed = false});
}

STREAM_TEST(two_things_happen_to_a_large_write_that_waits_for_room)
{
    play_writers(call_write_big, (struct before){.is_stuffed = true});
}

STREAM_TEST(two_things_happen_to_a_drain)
{
    play_writers(call_drain, (struct before){.is_stuffed = true});
}

STREAM_TEST(two_things_happen_to_a_write_eof)
{
    play_writers(call_write_eof, (struct before){.is_stuffed = true});
}
