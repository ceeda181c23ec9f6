/*
 * Scenario: protocols talk to each other inside one loop, one of them with buffers, and the n-th
 * allocation or system call of all that fails, for every n. So do adopting, reading a pipe, and
 * what a protocol leaves unread. Claim: who asked is told, by a result, by connection_failed or by
 * connection_lost; whatever was not handed back is dropped once; nothing hangs or leaks, and an
 * interrupted call is no failure.
 */
#include "transport_rig.h"

#include "fault.h"

enum { MUCH = 200 * KIB, RUNS_MAX = 2000 };

static struct {
    bide_loop *loop;
    bide_server *server;
    struct talker host;
    struct talker guest;
    bool host_made;
    bool server_dropped;
    int failed; /* a call that was told of */
    int n_reports;
} talk;

static void note_failure(int rc)
{
    if (rc < 0 && talk.failed == 0)
        talk.failed = rc;
}

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)data;
    talk.n_reports++;
    note_failure(report->error);
}

static void end_if_over(void)
{
    if (talk.guest.lost && talk.server_dropped)
        bide_loop_stop(talk.loop);
}

static void server_drop(void *data)
{
    CHECK_PTR(data, &talk);
    talk.server_dropped = true;
    end_if_over();
}

/* Sends much when it has a connection, and ends its side. */
static void host_speaks(struct talker *talker)
{
    char *bytes = malloc(MUCH);
    if (!bytes) {
        note_failure(-ENOMEM);
        bide_transport_abort(talker->transport);
        return;
    }
    pattern_fill(bytes, 0, MUCH);
    int rc = bide_transport_write(talker->transport, bytes, MUCH);
    free(bytes);
    if (rc == 0)
        rc = bide_transport_write_eof(talker->transport);
    note_failure(rc);
    if (rc < 0)
        bide_transport_abort(talker->transport);
}

/* Stops for a turn, now and then, with bytes in hand. */
static int reads_on(void *data)
{
    struct talker *talker = data;
    talker->deaf = false;
    if (!talker->lost)
        bide_transport_resume_reading(talker->transport);
    return 0;
}

static void guest_hears(struct talker *talker, const char *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    if (talker->n_calls % 16 > 1)
        return;
    bide_transport_pause_reading(talker->transport);
    talker->deaf = true;
    int rc = bide_loop_call_soon(talk.loop, reads_on, talker, NULL, NULL);
    note_failure(rc);
    if (rc < 0)
        bide_transport_abort(talker->transport);
}

static void guest_is_over(struct talker *talker)
{
    (void)talker;
    bide_server_close(talk.server);
}

static void guest_failed(void *data, int error)
{
    talker_failed(data, error);
    note_failure(error);
    bide_server_close(talk.server);
    end_if_over();
}

static void guest_drop(void *data)
{
    talker_drop(data);
    end_if_over();
}

static int make_host(void *data, struct bide_party *ret_party)
{
    CHECK_PTR(data, &talk);
    if (talk.host_made) /* of a guest that has gone */
        return -EBUSY;
    talk.host_made = true;
    talk.host = (struct talker){.loop = talk.loop, .on_made = host_speaks};
    *ret_party = (struct bide_party){&talker_protocol, &talk.host, talker_drop};
    return 0;
}

static int begin(const char *host)
{
    static struct bide_protocol guest_protocol;
    guest_protocol = buffered_protocol;
    guest_protocol.connection_failed = guest_failed;
    int rc = bide_loop_listen(talk.loop, "127.0.0.1", 0, NULL, make_host, &talk, server_drop,
                              &talk.server);
    if (rc < 0)
        return rc;
    talk.guest = (struct talker){
        .loop = talk.loop, .on_data = guest_hears, .on_lost = guest_is_over, .buffer_size = 3000};
    rc = bide_loop_connect(talk.loop, host, bide_server_port(talk.server), NULL, &guest_protocol,
                           &talk.guest, guest_drop, NULL);
    if (rc < 0) {
        talk.guest.lost = true;
        talk.guest.dropped = true;
        bide_server_close(talk.server);
    }
    int run = bide_loop_run_forever(talk.loop);
    return rc < 0 ? rc : run;
}

static int run_talk(const char *host)
{
    memset(&talk, 0, sizeof talk);
    int rc = bide_loop_new(NULL, &talk.loop);
    if (rc < 0)
        return rc;
    bide_loop_set_exception_handler(talk.loop, count_report, NULL);
    rc = begin(host);
    note_failure(rc);
    CHECK_INT(bide_loop_close(talk.loop), 0);
    CHECK_INT(talk.server_dropped, talk.server != NULL);
    bide_server_free(talk.server);
    CHECK_INT(talk.host.dropped, talk.host_made);
    CHECK(talk.server == NULL || talk.guest.dropped);
    if (talk.failed == 0)
        talk.failed = talk.guest.error < 0 ? talk.guest.error : talk.host.error;
    if (talk.failed == 0)
        CHECK(talk.guest.eof && talk.guest.n_received == MUCH);
    return talk.failed;
}

static bool is_told(int rc, int error)
{
    return rc == -error || rc == -ENOMEM || rc == -ECONNRESET || rc == -EPIPE ||
           rc == -ECONNABORTED;
}

static void fail_each(int (*scenario)(const char *host), const char *host, enum fault_kind kind,
                      int error)
{
    unsigned long n = 1;
    CHECK_INT(scenario(host), 0); /* the first one leaves what the C library keeps */
    for (bool was_hit = true; was_hit; n++) {
        CHECK_RANGE(n, 1, RUNS_MAX);
        int n_fds = count_fds();
        fault_arm(kind, n, error);
        int rc = scenario(host);
        was_hit = fault_disarm();
        const char *function = was_hit ? fault_function() : "nothing";
        printf("%lu: %s fails: %d, %d reports\n", n, function, rc, talk.n_reports);
        fflush(stdout);
        if (!was_hit || (error == EINTR && fault_is_interruptible(function)))
            CHECK_INT(rc, 0);
        else if (rc != 0 && error != EINTR)
            CHECK(is_told(rc, error));
        CHECK_INT(count_fds(), n_fds);
    }
    CHECK_RANGE(n, 8, RUNS_MAX);
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
    fail_each(run_talk, "127.0.0.1", FAULT_SYSTEM, EIO);
}

BIDE_TEST_SECONDS(every_system_call_is_interrupted_in_turn, 120)
{
    fail_each(run_talk, "127.0.0.1", FAULT_SYSTEM, EINTR);
}

BIDE_TEST_SECONDS(every_system_call_runs_out_of_memory_in_turn, 120)
{
    fail_each(run_talk, "127.0.0.1", FAULT_SYSTEM, ENOBUFS);
}

/* A pipe from an output to an input. */

static struct talker in;
static struct talker out;
static int pipe_fds[2];

static void out_speaks(struct talker *talker)
{
    int rc = bide_transport_write(talker->transport, "said", 4);
    note_failure(rc);
    bide_transport_close(talker->transport);
}

static void in_is_over(struct talker *talker)
{
    bide_loop_stop(talker->loop);
}

static int run_pipe(const char *unused)
{
    (void)unused;
    memset(&talk, 0, sizeof talk);
    in = (struct talker){.is_text = true, .on_lost = in_is_over};
    out = (struct talker){.on_made = out_speaks};
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) /* the test's own call was hit */
        CHECK_INT(pipe2(pipe_fds, O_CLOEXEC), 0);
    int rc = bide_loop_new(NULL, &talk.loop);
    if (rc < 0)
        goto out;
    bide_loop_set_exception_handler(talk.loop, count_report, NULL);
    in.loop = talk.loop;
    out.loop = talk.loop;
    rc = bide_transport_input(talk.loop, pipe_fds[0], NULL, &talker_protocol, &in, talker_drop,
                              NULL);
    in.dropped = rc < 0;
    if (rc == 0) {
        rc = bide_transport_output(talk.loop, pipe_fds[1], NULL, &talker_protocol, &out,
                                   talker_drop, NULL);
        out.dropped = rc < 0;
    } else {
        out.dropped = true;
    }
    close(pipe_fds[1]);
    pipe_fds[1] = -1;
    if (!in.dropped)
        note_failure(bide_loop_run_forever(talk.loop));
    CHECK_INT(bide_loop_close(talk.loop), 0);
    CHECK(in.dropped && out.dropped);
    note_failure(rc);
    note_failure(in.error);
    note_failure(out.error);
    rc = talk.failed;
    if (rc == 0)
        CHECK_INT(in.n_received, 4);
out:
    close(pipe_fds[0]);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
    return rc;
}

BIDE_TEST_SECONDS(every_allocation_fails_in_turn_on_a_pipe, 120)
{
    fail_each(run_pipe, NULL, FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_system_call_fails_in_turn_on_a_pipe, 120)
{
    fail_each(run_pipe, NULL, FAULT_SYSTEM, EIO);
}
