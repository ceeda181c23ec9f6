/*
 * Scenario: datagram endpoints and transports are opened, send with and without room, receive,
 * pass descriptors and close, and the n-th allocation or system call of all that fails, for every
 * n. Claim: whoever asked is told; nothing hangs, no descriptor is left, drop is called once.
 */
#include "task_rig.h"

#include <bide/datagram.h>
#include <bide/descriptors.h>

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/watched.h"
#include "fault.h"

enum { RUNS_MAX = 2000 };

static bide_datagram *ends[3];
static int n_dropped;

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

static void ignore_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

static bide_async(sends, (bide_datagram *, endpoint), (const struct bide_address *, to))
{
    return bide_datagram_send(endpoint, "last", 4, to);
}

/* The receiver is full, and a sender waits. */
static int crowd(bide_datagram *receiver, bide_datagram *sender, const struct bide_address *to)
{
    char bytes[8];
    int n = 0;
    int rc;
    while ((rc = bide_datagram_offer(sender, "f", 1, to)) == 0)
        n++;
    if (rc != -EAGAIN)
        return rc;
    bide_task *task = bide_spawn(sends, sender, to);
    rc = bide_sleep(0);
    for (int i = 0; i < n && rc >= 0; i++)
        rc = bide_datagram_receive(receiver, bytes, sizeof bytes, NULL);
    if (rc < 0 && task)
        bide_cancel(task);
    int sent = bide_await(task);
    if (rc >= 0)
        rc = sent;
    return rc < 0 ? rc : bide_datagram_receive(receiver, bytes, sizeof bytes, NULL);
}

static int pass(bide_datagram *receiver, bide_datagram *sender, const struct bide_address *to)
{
    char bytes[8];
    int got[2];
    struct bide_fds fds = {.fds = got, .size = 2};
    int rc = bide_datagram_send_fds(sender, "x", 1, to, (int[]){1}, 1);
    if (rc == 0)
        rc = bide_datagram_receive_fds(receiver, bytes, sizeof bytes, NULL, &fds);
    for (size_t i = 0; rc >= 0 && i < fds.n; i++)
        close(got[i]);
    return rc;
}

static bide_async(life)
{
    struct bide_address address, udp;
    char bytes[8];
    bide_loop_set_exception_handler(bide_loop_current(), ignore_report, NULL);
    int rc = bide_datagram_unix("", NULL, &ends[0]);
    if (rc == 0)
        rc = bide_datagram_unix(NULL, NULL, &ends[1]);
    if (rc == 0)
        rc = bide_datagram_local(ends[0], &address);
    if (rc == 0)
        rc = crowd(ends[0], ends[1], &address);
    if (rc >= 0)
        rc = pass(ends[0], ends[1], &address);
    struct bide_datagram_opts opts = {.reuse_port = true,
                                      .broadcast = true,
                                      .receive_buffer_bytes = 10000,
                                      .send_buffer_bytes = 10000};
    if (rc >= 0)
        rc = bide_datagram_open("127.0.0.1", 0, &opts, &ends[2]);
    if (rc >= 0)
        rc = bide_datagram_local(ends[2], &udp);
    if (rc >= 0)
        rc = bide_datagram_send(ends[2], "x", 1, &udp);
    return rc < 0 ? rc : bide_datagram_receive(ends[2], bytes, sizeof bytes, NULL);
}

static void clean_up(void)
{
    for (int i = 0; i < 3; i++) {
        bide_datagram_close(ends[i]);
        ends[i] = NULL;
    }
}

static void each_fault(enum fault_kind kind, int error, const struct bide_loop_opts *opts)
{
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        CHECK(n < RUNS_MAX);
        fault_arm(kind, n, error);
        int rc = bide_run_with(opts, life);
        bool hit = fault_disarm();
        clean_up();
        CHECK_INT(count_fds(), n_fds);
        if (!hit) {
            CHECK_INT(rc, 1);
            break;
        }
    }
}

BIDE_TEST_SECONDS(every_call_of_an_endpoints_life, 60)
{
    static const struct bide_loop_opts sim = {.engine = "sim"};
    each_fault(FAULT_ALLOCATION, 0, NULL);
    each_fault(FAULT_ALLOCATION, 0, &sim);
    each_fault(FAULT_SYSTEM, EMFILE, NULL);
    each_fault(FAULT_SYSTEM, EPERM, NULL);
}

/* Transports */

struct user {
    bide_loop *loop;
    bide_datagram_transport *transport;
    int n_received;
};

static void made(void *data, bide_datagram_transport *transport)
{
    ((struct user *)data)->transport = transport;
}

static void received(void *data, const void *bytes, size_t size, const struct bide_address *from)
{
    struct user *user = data;
    (void)bytes;
    (void)size;
    (void)from;
    user->n_received++;
}

static void lost(void *data, int error)
{
    struct user *user = data;
    (void)error;
    bide_loop_stop(user->loop);
}

static void dropped(void *data)
{
    (void)data;
    n_dropped++;
}

static const struct bide_datagram_protocol protocol = {
    .connection_made = made, .datagram_received = received, .connection_lost = lost};

static int stops(void *data)
{
    bide_loop_stop(data);
    return 0;
}

/* Two of them, of which the second sends more than there is room for; how many were made. */
static int talk(bide_loop *loop, struct user users[2])
{
    struct bide_address name = {.length = sizeof(sa_family_t)}, address; /* any abstract name */
    bide_datagram_transport *transport;
    memcpy(name.bytes, &(sa_family_t){AF_UNIX}, sizeof(sa_family_t));
    users[0].loop = users[1].loop = loop;
    if (bide_loop_datagram(loop, &name, NULL, &protocol, &users[0], dropped, &transport) < 0)
        return 0;
    int rc = bide_datagram_transport_local(transport, &address);
    if (rc < 0 ||
        bide_loop_datagram(loop, &name, NULL, &protocol, &users[1], dropped, &transport) < 0)
        return 1;
    for (int i = 0; i < 40; i++)
        bide_datagram_transport_send(transport, "x", 1, &address);
    for (int i = 0; i < 3; i++) {
        if (bide_loop_call_later(loop, 0.001, stops, loop, NULL, NULL) < 0)
            break;
        bide_loop_run_forever(loop);
        if (users[1].n_received + users[0].n_received >= 40)
            break;
    }
    return 2;
}

static void transport_faults(enum fault_kind kind, int error)
{
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        CHECK(n < RUNS_MAX);
        struct user users[2] = {0};
        bide_loop *loop = NULL;
        fault_arm(kind, n, error);
        int n_users = 0;
        n_dropped = 0;
        if (bide_loop_new(NULL, &loop) == 0) {
            bide_loop_set_exception_handler(loop, ignore_report, NULL);
            n_users = talk(loop, users);
        }
        bool hit = fault_disarm();
        if (loop)
            CHECK_INT(bide_loop_close(loop), 0);
        CHECK_INT(n_dropped, n_users);
        CHECK_INT(count_fds(), n_fds);
        if (!hit) {
            CHECK_INT(n_users, 2);
            break;
        }
    }
}

BIDE_TEST_SECONDS(every_call_of_a_transports_life, 60)
{
    transport_faults(FAULT_ALLOCATION, 0);
    transport_faults(FAULT_SYSTEM, EMFILE);
}
