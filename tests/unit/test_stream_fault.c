/*
 * Scenario: a client and a server talk inside one loop, and the n-th allocation or system call of
 * all that fails, for every n.
 * Claim: whoever asked is told, or the failure is made up for; nothing hangs, crashes or leaks, and
 * an interrupted call is no failure at all.
 */
#include "stream_rig.h"

#include "fault.h"

enum { REPLY = 200 * KIB, RUNS_MAX = 2000 };

static char reply[REPLY];

/* What the test owns, so that it can be given back if the loop breaks down. */
static struct {
    bide_stream *client;
    bide_server *server;
    int n_reports;
} talk;

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
    talk.n_reports++;
}

/* Reads a line, answers at length and in pieces, and waits for the end. */
static int answers(bide_stream *stream, void *data)
{
    char *line;
    char rest[4096];
    struct iovec pieces[] = {{reply, 10}, {reply + 10, REPLY - 10}};
    (void)data;
    int rc = bide_read_line(stream, &line);
    if (rc > 0)
        rc = bide_writev(stream, pieces, 2);
    if (rc == 0)
        rc = bide_write(stream, "\n", 1);
    if (rc == 0)
        rc = bide_drain(stream);
    while (rc >= 0 && (rc = bide_read(stream, rest, sizeof rest)) > 0)
        ;
    return rc == 0 ? bide_write(stream, "bye\n", 4) : rc;
}

static int talk_to(bide_stream *stream)
{
    char *data;
    char chunk[1000];
    int rc = bide_write(stream, "hello\n", 6);
    for (size_t n = 0; rc >= 0 && n < REPLY; n += sizeof chunk) {
        rc = bide_read_exactly(stream, chunk, REPLY - n < sizeof chunk ? REPLY - n : sizeof chunk);
        if (rc > 0)
            pattern_check(chunk, n, (size_t)rc);
    }
    if (rc >= 0)
        rc = bide_read_until(stream, "\n", 1, &data);
    if (rc >= 0)
        rc = bide_offer(stream, reply, 20000);
    if (rc >= 0)
        rc = bide_write_eof(stream);
    if (rc >= 0)
        rc = bide_read_line(stream, &data);
    return rc < 0 ? rc : rc == 4 ? 0 : -BIDE_EINCOMPLETE;
}

/* Reads nothing, so that its end is followed by what it did not want to know. */
static int answers_rudely(bide_stream *stream, void *data)
{
    (void)data;
    return bide_write(stream, reply, REPLY);
}

/* Leaves while its own output is on the way. */
static int talk_rudely(bide_stream *stream)
{
    static char heard[REPLY];
    int rc = bide_write(stream, "hello\n", 6);
    if (rc == 0)
        rc = bide_read_exactly(stream, heard, REPLY);
    if (rc > 0)
        pattern_check(heard, 0, REPLY);
    if (rc > 0)
        rc = bide_offer(stream, reply, 20000);
    return rc;
}

static int serve_and_talk(const char *host, bool rudely)
{
    int rc = bide_serve(host, 0, rudely ? answers_rudely : answers, NULL, NULL, &talk.server);
    if (rc < 0)
        return rc;
    rc = bide_connect(host, bide_server_port(talk.server), NULL, &talk.client);
    if (rc == 0) {
        rc = rudely ? talk_rudely(talk.client) : talk_to(talk.client);
        int closed = rudely ? bide_within(0, bide_close(talk.client)) : bide_close(talk.client);
        talk.client = NULL;
        rc = rc < 0 || closed == -ETIMEDOUT ? rc : closed;
    }
    bide_server_close(talk.server);
    bide_server_cancel(talk.server); /* one that the client never heard of, if there is any */
    int waited = bide_server_wait_closed(talk.server);
    bide_server_free(talk.server);
    talk.server = NULL;
    return rc < 0 ? rc : waited;
}

static bide_async(talks, (const char *, host), (bool, rudely))
{
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    return bide_within(60, serve_and_talk(host, rudely));
}

static bool is_among(int rc, const int *set, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rc == set[i])
            return true;
    return false;
}

/* What the other side's failure looks like from here. */
static const int usual[] = {0, -ENOMEM, -ECONNRESET, -EPIPE, -BIDE_EINCOMPLETE};

typedef int scenario_run(const char *host);

static int run_to_the_end(const char *host, bool rudely)
{
    int rc = bide_run_with(NULL, talks, host, rudely);
    bide_close(talk.client); /* only if the loop broke down */
    talk.client = NULL;
    bide_server_free(talk.server);
    talk.server = NULL;
    return rc;
}

static int run_talk(const char *host)
{
    return run_to_the_end(host, false);
}

static int run_rude_talk(const char *host)
{
    return run_to_the_end(host, true);
}

static void fail_each(scenario_run *scenario, const char *host, enum fault_kind kind, int error)
{
    unsigned long n = 1;
    pattern_fill(reply, 0, sizeof reply);
    CHECK_INT(scenario(host), 0); /* the first one leaves what the C library keeps */
    for (bool was_hit = true; was_hit; n++) {
        CHECK_RANGE(n, 1, RUNS_MAX);
        int n_fds = count_fds();
        talk.n_reports = 0;
        fault_arm(kind, n, error);
        int rc = scenario(host);
        was_hit = fault_disarm();
        const char *function = was_hit ? fault_function() : "nothing";
        printf("%lu: %s fails: %d, %d reports\n", n, function, rc, talk.n_reports);
        fflush(stdout);
        if (!was_hit || (error == EINTR && fault_is_interruptible(function)))
            CHECK_INT(rc, 0);
        else if (error != EINTR && !is_among(rc, usual, sizeof usual / sizeof *usual))
            CHECK_INT(rc, -error);
        CHECK_INT(count_fds(), n_fds);
    }
    CHECK_RANGE(n, 20, RUNS_MAX);
}

BIDE_TEST_SECONDS(every_allocation_fails_in_turn, 120)
{
    fail_each(run_talk, "127.0.0.1", FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_allocation_fails_in_turn_with_a_name, 120)
{
    fail_each(run_talk, "localhost", FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_system_call_fails_in_turn, 120)
{
    fail_each(run_talk, "localhost", FAULT_SYSTEM, EIO);
}

BIDE_TEST_SECONDS(every_system_call_is_interrupted_in_turn, 120)
{
    fail_each(run_talk, "127.0.0.1", FAULT_SYSTEM, EINTR);
}

BIDE_TEST_SECONDS(every_system_call_runs_out_of_memory_in_turn, 120)
{
    fail_each(run_talk, "::1", FAULT_SYSTEM, ENOBUFS);
}

BIDE_TEST_SECONDS(every_allocation_fails_in_turn_while_ending, 120)
{
    fail_each(run_rude_talk, "127.0.0.1", FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_system_call_fails_in_turn_while_ending, 120)
{
    fail_each(run_rude_talk, "127.0.0.1", FAULT_SYSTEM, EIO);
}

static bide_async(adopts, (int *, fds))
{
    bide_stream *stream;
    int rc = bide_stream_adopt(fds[0], NULL, &stream);
    if (rc == 0)
        bide_close(stream);
    return rc;
}

static void fail_each_adopt(enum fault_kind kind)
{
    bool was_hit = true;
    for (unsigned long n = 1; was_hit; n++) {
        int fds[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        fault_arm(kind, n, EIO);
        int rc = bide_run_with(NULL, adopts, fds);
        was_hit = fault_disarm();
        CHECK_INT(fcntl(fds[0], F_GETFD) >= 0, rc < 0);
        if (rc < 0)
            close(fds[0]);
        close(fds[1]);
    }
}

BIDE_TEST(a_descriptor_that_could_not_be_taken_stays_open)
{
    fail_each_adopt(FAULT_ALLOCATION);
    fail_each_adopt(FAULT_SYSTEM);
}
