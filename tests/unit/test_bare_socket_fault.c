/*
 * Scenario: bare sockets talk to each other inside one loop, as streams and as datagrams, and the
 * n-th allocation or system call of all that fails, for every n. Likewise files that are sent,
 * relays, and waits for readiness. Claim: the call that needed it says so, nothing hangs, crashes
 * or leaks, and an interrupted call is no failure at all.
 */
#include <bide/transfer.h>
#include <bide/watch.h>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "fault.h"
#include "socket_rig.h"

enum { LENGTH = 300 * KIB, RUNS_MAX = 2000 };

static char data[LENGTH];

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    CHECK(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* Takes everything until the end, and looks at it. Closes the listener: who can't be accepted is
 * told. */
static bide_async(hears_all, (bide_socket **, listener))
{
    static char heard[LENGTH];
    bide_socket *socket;
    size_t size = 0;
    int rc = bide_socket_accept(*listener, &socket, NULL);
    bide_socket_close(*listener);
    *listener = NULL;
    if (rc < 0)
        return rc;
    while (size < LENGTH && (rc = bide_socket_receive(socket, heard + size, LENGTH - size)) > 0)
        size += (size_t)rc;
    pattern_check(heard, 0, size);
    if (rc >= 0)
        rc = bide_socket_send_all(socket, "thanks", 6, NULL);
    bide_socket_close(socket);
    return rc < 0 ? rc : size < LENGTH ? -BIDE_EINCOMPLETE : 0;
}

static int speak(bide_socket *client, const struct bide_address *address)
{
    char answer[8];
    int rc = bide_socket_connect(client, address);
    if (rc == 0)
        rc = bide_socket_send(client, data, LENGTH);
    if (rc > 0)
        rc = bide_socket_send_all(client, data + rc, LENGTH - (size_t)rc, NULL);
    size_t size = 0;
    while (rc >= 0 && size < 6) {
        rc = bide_socket_receive(client, answer, sizeof answer);
        if (rc == 0)
            return -BIDE_EINCOMPLETE;
        size += rc > 0 ? (size_t)rc : 0;
    }
    return rc < 0 ? rc : 0;
}

static int listen_at(bide_socket *listener, struct bide_address *address)
{
    const int small = 16 * KIB;
    int rc = bide_socket_setopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (rc == 0)
        rc = bide_socket_bind(listener, address);
    if (rc == 0)
        rc = bide_socket_listen(listener, 4);
    return rc < 0 ? rc : bide_socket_local(listener, address);
}

static int talk(void)
{
    struct bide_address address = loopback();
    bide_socket *listener = NULL;
    bide_socket *client = NULL;
    bide_task *hearer = NULL;
    int rc = bide_socket_open(AF_INET, SOCK_STREAM, 0, &listener);
    if (rc == 0)
        rc = listen_at(listener, &address);
    if (rc == 0)
        rc = bide_socket_open(AF_INET, SOCK_STREAM, 0, &client);
    if (rc == 0) {
        hearer = bide_spawn(hears_all, &listener);
        rc = hearer ? speak(client, &address) : -ENOMEM;
    }
    bide_socket_close(client);
    if (rc < 0 && hearer) /* it may wait for one who never comes */
        bide_cancel(hearer);
    int heard = hearer ? bide_await(hearer) : 0;
    bide_socket_close(listener);
    return heard < 0 && heard != -ECANCELED && heard != -BIDE_EINCOMPLETE ? heard : rc;
}

static int talk_in_datagrams(void)
{
    struct bide_address address = loopback();
    struct bide_address from;
    bide_socket *one = NULL;
    bide_socket *two = NULL;
    char got[8];
    int rc = bide_socket_open(AF_INET, SOCK_DGRAM, 0, &one);
    if (rc == 0)
        rc = bide_socket_bind(one, &address);
    if (rc == 0)
        rc = bide_socket_local(one, &address);
    if (rc == 0)
        rc = bide_socket_open(AF_INET, SOCK_DGRAM, 0, &two);
    if (rc == 0)
        rc = bide_socket_send_to(two, "hello", 5, &address);
    if (rc >= 0)
        rc = bide_socket_receive_from(one, got, sizeof got, &from);
    if (rc >= 0)
        rc = bide_socket_connect(one, &from);
    if (rc >= 0)
        rc = bide_socket_send(one, "back", 4);
    if (rc >= 0)
        rc = bide_socket_receive(two, got, sizeof got);
    bide_socket_close(one);
    bide_socket_close(two);
    return rc < 0 ? rc : 0;
}

static int adopt_and_convert(void)
{
    bide_socket *socket;
    bide_stream *stream;
    char *line;
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    int rc = bide_socket_adopt(fds[0], &socket);
    if (rc < 0) {
        close(fds[0]); /* it was not taken */
        close(fds[1]);
        return rc;
    }
    while (send(fds[1], "line\n", 5, 0) < 0) /* the one failure may be this one's */
        ;
    rc = bide_socket_to_stream(socket, NULL, &stream);
    if (rc < 0) {
        bide_socket_close(socket);
        close(fds[1]);
        return rc;
    }
    rc = bide_read_line(stream, &line);
    close(fds[1]);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

/* Closes its end: who sends to one that failed is told. */
static bide_async(hears_file, (bide_socket **, socket))
{
    static char heard[LENGTH];
    size_t size = 0;
    int rc = 1;
    while (size < LENGTH && (rc = bide_socket_receive(*socket, heard + size, LENGTH - size)) > 0)
        size += (size_t)rc;
    pattern_check(heard, 0, size);
    bide_socket_close(*socket);
    *socket = NULL;
    return rc < 0 ? rc : (int)size;
}

static int send_parts(bide_socket *socket, bide_file *file)
{
    bide_stream *stream;
    int64_t sent = 0;
    int rc = bide_socket_send_file(socket, file, 0, 100 * KIB, &sent);
    if (rc < 0)
        bide_socket_close(socket);
    if (rc == 0)
        CHECK_INT(sent, 100 * KIB);
    if (rc == 0 && (rc = bide_socket_to_stream(socket, NULL, &stream)) < 0)
        bide_socket_close(socket);
    if (rc < 0)
        return rc;
    sent = bide_stream_send_file(stream, file, 100 * KIB, BIDE_TO_THE_END);
    rc = bide_close(stream);
    return sent < 0 ? (int)sent : rc;
}

static int send_a_file(void)
{
    bide_socket *sockets[2];
    bide_file *file;
    int fds[2];
    int rc = bide_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &file);
    if (rc < 0)
        return rc;
    rc = bide_file_write(file, data, LENGTH, NULL);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        sockets[i] = NULL;
        int adopted = bide_socket_adopt(fds[i], &sockets[i]);
        if (adopted < 0)
            close(fds[i]);
        rc = rc < 0 ? rc : adopted;
    }
    bide_task *hearer = rc == 0 ? bide_spawn(hears_file, &sockets[1]) : NULL;
    if (hearer)
        rc = send_parts(sockets[0], file);
    else
        bide_socket_close(sockets[0]);
    int heard = hearer ? bide_await(hearer) : -ENOMEM;
    bide_socket_close(sockets[1]);
    int closed = bide_file_close(file);
    rc = rc < 0 ? rc : closed;
    return rc < 0 ? rc : heard < 0 ? heard : heard < LENGTH ? -BIDE_EINCOMPLETE : 0;
}

static int relay_both(void)
{
    bide_stream *ends[4]; /* 0 - 1 are connected, and 2 - 3; 1 and 2 are relayed */
    char *line;
    int rc = 0;
    for (int i = 0; i < 4; i += 2) {
        int fds[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        for (int j = 0; j < 2; j++) {
            ends[i + j] = NULL;
            int adopted = bide_stream_adopt(fds[j], NULL, &ends[i + j]);
            if (adopted < 0)
                close(fds[j]);
            rc = rc < 0 ? rc : adopted;
        }
    }
    if (rc == 0)
        rc = bide_offer(ends[0], "there\n", 6);
    if (rc == 0)
        rc = bide_offer(ends[3], "back\n", 5);
    if (rc == 0)
        rc = bide_write_eof(ends[0]);
    if (rc == 0)
        rc = bide_write_eof(ends[3]);
    if (rc == 0)
        rc = bide_relay_both(ends[1], ends[2], NULL);
    if (rc == 0 && (rc = bide_read_line(ends[3], &line)) == 6)
        rc = bide_read_line(ends[0], &line);
    for (int i = 0; i < 4; i++) {
        if (rc < 0)
            bide_abort(ends[i]);
        (void)bide_close(ends[i]);
    }
    return rc < 0 ? rc : rc == 5 ? 0 : -BIDE_EINCOMPLETE;
}

static int wait_ready(void)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    int rc = bide_wait_writable(fds[0]);
    if (rc == 0)
        rc = bide_within(0.001, bide_wait_readable(fds[0]));
    if (rc == -ETIMEDOUT)
        rc = 0;
    close(fds[0]);
    close(fds[1]);
    return rc;
}

typedef int scenario(void);

static bide_async(runs, (scenario *, body))
{
    bide_loop_set_exception_handler(bide_loop_current(), bide_test_catch_report, NULL);
    return bide_within(60, body());
}

/* The kernel may interrupt them, and then nothing happened: the call is made again. */
static bool is_interruptible(const char *function)
{
    static const char *const functions[] = {
        "recv", "send", "preadv64v2", "sendfile64",   "sendmsg",         "recvmsg",   "accept4",
        "poll", "read", "epoll_wait", "epoll_pwait2", "io_uring_enter2", "getrandom", "write",
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i], function) == 0)
            return true;
    return false;
}

/* What the other side's failure looks like from here. */
static bool is_usual(int rc)
{
    return rc == 0 || rc == -ENOMEM || rc == -ECONNRESET || rc == -EPIPE ||
           rc == -BIDE_EINCOMPLETE || rc == -ECONNREFUSED;
}

static void fail_each(scenario *body, enum fault_kind kind, int error)
{
    unsigned long n = 1;
    pattern_fill(data, 0, sizeof data);
    CHECK_INT(bide_run_with(NULL, runs, body), 0); /* leaves what the C library keeps */
    for (bool was_hit = true; was_hit; n++) {
        CHECK_RANGE(n, 1, RUNS_MAX);
        int n_fds = count_fds();
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, runs, body);
        was_hit = fault_disarm();
        while (*take_report())
            ;
        const char *function = was_hit ? fault_function() : "nothing";
        printf("%lu: %s fails: %d\n", n, function, rc);
        fflush(stdout);
        if (!was_hit || (error == EINTR && is_interruptible(function)))
            CHECK_INT(rc, 0);
        else if (error != EINTR && !is_usual(rc))
            CHECK_INT(rc, -error);
        CHECK_INT(count_fds(), n_fds);
    }
    CHECK_RANGE(n, 5, RUNS_MAX);
}

static void fail_each_way(scenario *body)
{
    fail_each(body, FAULT_ALLOCATION, ENOMEM);
    fail_each(body, FAULT_SYSTEM, EIO);
    fail_each(body, FAULT_SYSTEM, EINTR);
    fail_each(body, FAULT_SYSTEM, ENOBUFS);
}

BIDE_TEST_SECONDS(connections_fail_at_every_call, 120)
{
    fail_each_way(talk);
}

BIDE_TEST_SECONDS(datagrams_fail_at_every_call, 120)
{
    fail_each_way(talk_in_datagrams);
}

BIDE_TEST_SECONDS(adopting_and_converting_fail_at_every_call, 120)
{
    fail_each_way(adopt_and_convert);
}

BIDE_TEST_SECONDS(sending_files_fails_at_every_call, 120)
{
    fail_each_way(send_a_file);
}

BIDE_TEST_SECONDS(relays_fail_at_every_call, 120)
{
    fail_each_way(relay_both);
}

BIDE_TEST_SECONDS(waits_for_readiness_fail_at_every_call, 120)
{
    fail_each_way(wait_ready);
}
