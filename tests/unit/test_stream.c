/*
 * Scenario: streams of descriptors of all kinds; loops that close while streams, connections on
 * their way and servers are open, and while tasks that ignore their cancel are inside them.
 * Claim: a descriptor is taken or left alone; after the loop has closed no call on what is left
 * does harm, and nothing leaks but what the abandoned tasks owned.
 */
#include "stream_rig.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char big[300 * KIB];

static bool is_open(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_INT(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

STREAM_TEST(a_descriptor_is_prepared)
{
    static const struct bide_stream_opts opts = {.delay = true};
    int fds[2];
    bide_stream *stream;
    connection_open(fds, 0);
    CHECK_INT(fcntl(fds[0], F_SETFD, 0), 0);
    CHECK_INT(bide_stream_adopt(fds[0], NULL, &stream), 0);
    CHECK_INT(bide_stream_fd(stream), fds[0]);
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    CHECK_INT(option(fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_INT(bide_close(stream), 0);
    CHECK(!is_open(fds[0]));
    close(fds[1]);

    connection_open(fds, 0);
    CHECK_INT(bide_stream_adopt(fds[0], &opts, &stream), 0);
    CHECK_INT(option(fds[0], IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_INT(bide_close(stream), 0);
    close(fds[1]);
}

static void check_refused(int fd, const struct bide_stream_opts *opts, int rc)
{
    bide_stream *stream = (bide_stream *)&stream;
    CHECK_INT(bide_stream_adopt(fd, opts, &stream), rc);
    CHECK_PTR(stream, &stream);
    if (fd >= 0)
        CHECK(is_open(fd));
}

STREAM_TEST(a_descriptor_that_is_refused_stays_the_callers)
{
    static const struct bide_stream_opts senseless[] = {
        {.linger_seconds = -1},         {.linger_seconds = NAN},
        {.write_low_bytes = 100 * KIB}, {.write_high_bytes = 10, .write_low_bytes = 11},
        {.read_limit_bytes = SIZE_MAX},
    };
    int fds[2];
    int pipes[2];
    connection_open(fds, 0);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        check_refused(fds[0], &senseless[i], -EINVAL);
    CHECK_INT(bide_stream_adopt(fds[0], NULL, NULL), -EINVAL);
    check_refused(-1, NULL, -EBADF);
    CHECK_INT(pipe(pipes), 0);
    check_refused(pipes[0], NULL, -ENOTSOCK);
    int other = open("/dev/null", O_RDONLY);
    check_refused(other, NULL, -ENOTSOCK);
    close(other);
    other = socket(AF_INET, SOCK_DGRAM, 0);
    check_refused(other, NULL, -EINVAL);
    close(other);
    other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(listen(other, 1), 0);
    check_refused(other, NULL, -EINVAL);
    close(other);
    for (int i = 0; i < 2; i++) {
        close(pipes[i]);
        close(fds[i]);
    }
}

STREAM_TEST(unix_sockets_are_streams_too)
{
    int fds[2];
    char got[8];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    peer_prepare(fds[1]);
    struct pair pair = pair_of(fds, NULL);
    bide_task *reader = waiting(bide_spawn(reads, pair.stream, got, sizeof got));
    peer_say(pair.peer, "hello");
    CHECK_INT(bide_await(reader), 5);
    CHECK_INT(bide_write(pair.stream, "you too", 7), 0);
    peer_hears(pair.peer, "you too");
    bide_task *writer = waiting(bide_spawn(writes, pair.stream, big, sizeof big));
    CHECK_INT(shutdown(pair.peer, SHUT_WR), 0);
    CHECK_INT(bide_read(pair.stream, got, sizeof got), 0);
    CHECK_INT(bide_cancel(writer), 1);
    CHECK_INT(bide_await(writer), -ECANCELED);
    pair_close(&pair);
}

STREAM_TEST(both_ends_know_their_addresses)
{
    struct pair pair = pair_open();
    struct bide_address here;
    struct bide_address there;
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    char expected[64];
    CHECK_INT(bide_stream_local(pair.stream, &here), 0);
    CHECK_INT(bide_stream_peer(pair.stream, &there), 0);
    CHECK_INT(getpeername(pair.peer, (struct sockaddr *)&name, &length), 0);
    CHECK_INT(here.length, length);
    CHECK_MEM(here.bytes, (unsigned char *)&name, length);
    CHECK_INT(bide_address_port(&here), ntohs(name.sin_port));
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(name.sin_port));
    CHECK_INT(bide_address_print(&here, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
    CHECK(bide_address_port(&there) != bide_address_port(&here));
    CHECK_INT(bide_stream_local(NULL, &here), -EINVAL);
    CHECK_INT(bide_stream_peer(pair.stream, NULL), -EINVAL);
    bide_abort(pair.stream);
    CHECK_INT(bide_stream_local(pair.stream, &here), -ENOTCONN);
    CHECK_INT(bide_stream_peer(pair.stream, &there), -ENOTCONN);
    CHECK_INT(bide_stream_fd(pair.stream), -1);
    CHECK_INT(bide_stream_fd(NULL), -1);
    pair_close(&pair);
}

static int handle_stuck(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    return bide_shielded(INFINITY, bide_read(stream, &byte, 1));
}

static int answer_of_no_task;

static int calls_without_task(void *data)
{
    bide_stream *stream = data;
    struct bide_address address;
    bide_stream *other;
    bide_server *server;
    char bytes[4];
    char *line;
    int answers[] = {
        bide_read(stream, bytes, 1),
        bide_read_exactly(stream, bytes, 1),
        bide_read_line(stream, &line),
        bide_read_until(stream, "x", 1, &line),
        bide_write(stream, "x", 1),
        bide_drain(stream),
        bide_write_eof(stream),
        bide_connect("127.0.0.1", 1, NULL, &other),
        bide_connect("host", 1, NULL, &other),
        bide_resolve("host", 1, BIDE_IPV4, &address, 1),
        bide_serve(NULL, 0, handle_stuck, NULL, NULL, &server),
    };
    answer_of_no_task = answers[0];
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        CHECK_INT(answers[i], -BIDE_ENOTASK);
    return 0;
}

STREAM_TEST(calls_that_suspend_need_a_task)
{
    struct pair pair = pair_open();
    bide_loop *loop = bide_loop_current();
    CHECK_INT(bide_loop_call_soon(loop, calls_without_task, pair.stream, NULL, NULL), 0);
    turns(2);
    CHECK_INT(answer_of_no_task, -BIDE_ENOTASK);
    pair_close(&pair);
}

/* Loops that end */

static bide_async(returns_stream, (struct pair *, ret_pair), (bool, with_output))
{
    *ret_pair = narrow_open();
    if (with_output)
        stuff(ret_pair->stream);
    return 0;
}

static bide_async(calls_dead_stream, (bide_stream *, stream))
{
    char byte;
    char *line;
    CHECK_INT(bide_read(stream, &byte, 1), -ECONNABORTED);
    CHECK_INT(bide_read_line(stream, &line), -ECONNABORTED);
    CHECK_INT(bide_write(stream, "x", 1), -ECONNABORTED);
    CHECK_INT(bide_drain(stream), -ECONNABORTED);
    CHECK_INT(bide_write_eof(stream), -ECONNABORTED);
    CHECK_INT(bide_close(stream), 0);
    return 0;
}

BIDE_TEST(a_stream_outlives_its_loop_harmlessly)
{
    for (int i = 0; i < 4; i++) {
        int n_fds = count_fds();
        struct bide_address address;
        struct pair pair;
        CHECK_INT(bide_run_with(NULL, returns_stream, &pair, i % 2 == 1), 0);
        CHECK_INT(count_fds(), n_fds + 1);
        CHECK_INT(bide_stream_fd(pair.stream), -1);
        CHECK_INT(bide_offer(pair.stream, "x", 1), -ECONNABORTED);
        CHECK_INT(bide_stream_peer(pair.stream, &address), -ENOTCONN);
        CHECK(!bide_at_eof(pair.stream));
        bide_abort(pair.stream);
        if (i < 2)
            CHECK_INT(bide_close(pair.stream), 0);
        else
            CHECK_INT(bide_run_with(NULL, calls_dead_stream, pair.stream), 0);
        close(pair.peer);
    }
}

/* What a task does that nothing ends: the loop gives it up. */
enum stuck { IN_READ, IN_WRITE, IN_TURN, IN_BIG_WRITE, IN_DRAIN, IN_EOF, IN_CLOSE, STUCK };

static int stuck_call(bide_stream *stream, enum stuck stuck)
{
    char byte;
    switch (stuck) {
    case IN_READ:
        return bide_read(stream, &byte, 1);
    case IN_WRITE:
    case IN_TURN:
        return bide_write(stream, big, 1000);
    case IN_BIG_WRITE:
        return bide_write(stream, big, sizeof big);
    case IN_DRAIN:
        return bide_drain(stream);
    case IN_EOF:
        return bide_write_eof(stream);
    default:
        return bide_close(stream);
    }
}

static bide_async(gets_stuck, (bide_stream *, stream), (enum stuck, stuck))
{
    return bide_shielded(INFINITY, stuck_call(stream, stuck));
}

static bide_async(leaves_stuck_tasks, (struct pair *, ret_pair), (enum stuck, stuck))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    *ret_pair = narrow_open();
    if (stuck != IN_READ && stuck != IN_BIG_WRITE)
        stuff(ret_pair->stream);
    for (int i = 0; i < (stuck == IN_TURN ? 3 : 1); i++)
        bide_detach(waiting(bide_spawn(gets_stuck, ret_pair->stream, stuck)));
    settle();
    return 0;
}

static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};

BIDE_TEST(a_loop_gives_up_tasks_inside_streams)
{
    for (enum stuck stuck = 0; stuck < STUCK; stuck++) {
        int n_fds = count_fds();
        struct pair pair;
        CHECK_INT(bide_run_with(&impatient, leaves_stuck_tasks, &pair, stuck), 0);
        CHECK_INT(count_fds(), n_fds + 1);
        for (int i = 0; i < (stuck == IN_TURN ? 3 : 1); i++)
            CHECK(*take_report());
        if (stuck != IN_CLOSE) /* else the call had the handle */
            CHECK_INT(bide_close(pair.stream), 0);
        close(pair.peer);
    }
    rig_end();
}

/* A listener whose queue is full, so that connecting takes as long as one likes. */
static int full_listener(unsigned *ret_port, int fillers[4])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(listener, 0), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&address, length);
    }
    *ret_port = ntohs(address.sin_port);
    return listener;
}

static bide_async(gets_stuck_connecting, (unsigned, port))
{
    bide_stream *stream;
    return bide_shielded(INFINITY, bide_connect("127.0.0.1", port, NULL, &stream));
}

static bide_async(leaves_a_connection_on_its_way, (unsigned, port))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(waiting(bide_spawn(gets_stuck_connecting, port)));
    settle();
    return 0;
}

BIDE_TEST(a_loop_gives_up_a_task_that_connects)
{
    unsigned port;
    int fillers[4];
    int listener = full_listener(&port, fillers);
    int n_fds = count_fds();
    CHECK_INT(bide_run_with(&impatient, leaves_a_connection_on_its_way, port), 0);
    CHECK_INT(count_fds(), n_fds);
    CHECK(*take_report());
    rig_end();
    close(listener);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
}

/* Servers */

static bide_async(gets_stuck_at_server, (bide_server *, server))
{
    return bide_shielded(INFINITY, bide_server_wait_closed(server));
}

static int peer_connect(const bide_server *server)
{
    struct bide_address address;
    CHECK(bide_server_addresses(server, &address, 1) > 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)bide_address_port(&address))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

enum { AND_CLOSED = 1, AND_FREED = 2, AND_FULL = 4 };

static bide_async(leaves_a_server, (bide_server **, ret_server), (int *, ret_peer), (unsigned, and))
{
    struct bide_server_opts opts = {.connections_max = and&AND_FULL ? 1 : 0};
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    CHECK_INT(bide_serve(NULL, 0, handle_stuck, NULL, &opts, ret_server), 0);
    *ret_peer = peer_connect(*ret_server);
    while (bide_server_connections(*ret_server) == 0)
        turns(1);
    bide_detach(waiting(bide_spawn(gets_stuck_at_server, *ret_server)));
    settle();
    if (and&AND_CLOSED)
        CHECK_INT(bide_server_close(*ret_server), 1);
    if (and&AND_FREED)
        bide_server_free(*ret_server);
    return 0;
}

BIDE_TEST(a_server_outlives_its_loop_harmlessly)
{
    for (unsigned and = 0; and < 8; and++) {
        int n_fds = count_fds();
        bide_server *server;
        int peer;
        CHECK_INT(bide_run_with(&impatient, leaves_a_server, &server, &peer, and), 0);
        CHECK_INT(count_fds(), n_fds + 1);
        CHECK(*take_report());
        CHECK(*take_report());
        if (!(and&AND_FREED)) {
            CHECK_INT(bide_server_port(server), 0);
            CHECK_INT(bide_server_connections(server), 0);
            CHECK_INT(bide_server_close(server), 0);
            bide_server_cancel(server);
            bide_server_free(server);
        }
        close(peer);
    }
    rig_end();
}

static bide_async(leaves_a_fresh_server, (bide_server **, ret_server))
{
    return bide_serve("127.0.0.1", 0, handle_stuck, NULL, NULL, ret_server);
}

BIDE_TEST(a_server_that_never_ran_is_closed_with_its_loop)
{
    int n_fds = count_fds();
    bide_server *server;
    CHECK_INT(bide_run_with(NULL, leaves_a_fresh_server, &server), 0);
    CHECK_INT(count_fds(), n_fds);
    bide_server_free(server);
    bide_server_free(NULL);
}

/* A child process that drops the loop it inherited */

static bide_async(says_hello, (struct bide_address *, address))
{
    bide_stream *stream;
    char got[8];
    CHECK_INT(bide_connect("127.0.0.1", bide_address_port(address), NULL, &stream), 0);
    CHECK_INT(bide_write(stream, "hello", 5), 0);
    CHECK_INT(bide_read_exactly(stream, got, 5), 5);
    return bide_close(stream);
}

struct inherited {
    bide_stream *stream;
    bide_server *server;
    struct bide_address address;
};

static void drop_all(void *data)
{
    struct inherited *inherited = data;
    bide_stream *stream = inherited->stream;
    struct bide_address address;
    bide_after_fork();
    CHECK_INT(bide_stream_fd(stream), -1);
    CHECK_INT(bide_stream_peer(stream, &address), -ENOTCONN);
    CHECK_INT(bide_offer(stream, "x", 1), -ECONNABORTED);
    bide_abort(stream);
    CHECK_INT(bide_close(stream), 0);
    CHECK_INT(bide_server_connections(inherited->server), 0);
    CHECK_INT(bide_server_close(inherited->server), 0);
    bide_server_cancel(inherited->server);
    bide_server_free(inherited->server);
    CHECK_INT(bide_run_with(NULL, says_hello, &inherited->address), 0);
    _exit(7); /* the parent's memory is not this process's to give back */
}

static int echoes_once(bide_stream *stream, void *data)
{
    char got[5];
    (void)data;
    int rc = bide_read_exactly(stream, got, sizeof got);
    return rc < 0 ? rc : bide_write(stream, got, sizeof got);
}

static bide_async(forks, (int *, ret_pid))
{
    struct inherited inherited;
    struct pair pair = narrow_open();
    struct pair lingering = narrow_open();
    char byte;
    stuff(lingering.stream);
    CHECK_INT(bide_within(0, bide_close(lingering.stream)), -ETIMEDOUT);
    size_t n = stuff(pair.stream);
    bide_task *tasks[] = {waiting(bide_spawn(reads, pair.stream, &byte, 1)),
                          waiting(bide_spawn(writes, pair.stream, "abc", 3))};
    CHECK_INT(bide_serve("127.0.0.1", 0, echoes_once, NULL, NULL, &inherited.server), 0);
    inherited.stream = pair.stream;
    bide_server_addresses(inherited.server, &inherited.address, 1);
    int idle = peer_connect(inherited.server);
    while (bide_server_connections(inherited.server) == 0)
        turns(1);
    *ret_pid = fork();
    if (*ret_pid == 0)
        drop_all(&inherited);
    while (bide_server_connections(inherited.server) < 2) /* the child's */
        turns(1);
    while (bide_server_connections(inherited.server) > 1)
        turns(1);
    close(idle);
    peer_say(pair.peer, "!");
    CHECK_INT(bide_await(tasks[0]), 1);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears(pair.peer, "abc");
    CHECK_INT(bide_await(tasks[1]), 0);
    bide_server_close(inherited.server);
    CHECK_INT(bide_server_wait_closed(inherited.server), 0);
    bide_server_free(inherited.server);
    close(lingering.peer);
    pair_close(&pair);
    return 0;
}

BIDE_TEST(a_forked_child_drops_streams_and_servers_without_touching_them)
{
    int pid;
    int status;
    CHECK_INT(bide_run_with(NULL, forks, &pid), 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    while (*take_report()) /* the idle connection's end */
        ;
    rig_end();
}

/* Loops in threads */

static int echoes(bide_stream *stream, void *data)
{
    static _Thread_local char bytes[1000];
    int n;
    (void)data;
    while ((n = bide_read(stream, bytes, sizeof bytes)) > 0) {
        int rc = bide_write(stream, bytes, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static bide_async(talks_to_itself, (unsigned, seed))
{
    static const struct bide_stream_opts opts = {.write_high_bytes = 4096};
    bide_server *server;
    CHECK_INT(bide_serve("127.0.0.1", 0, echoes, NULL, NULL, &server), 0);
    for (unsigned i = 0; i < 20; i++) {
        bide_stream *stream;
        char text[600];
        char got[600];
        struct bide_connect_opts connect_opts = {.stream = opts};
        CHECK_INT(bide_connect(i % 5 == 0 ? "localhost" : "127.0.0.1", bide_server_port(server),
                               &connect_opts, &stream),
                  0);
        for (unsigned j = 0; j < 20; j++) {
            pattern_fill(text, seed + i * j, sizeof text);
            CHECK_INT(bide_write(stream, text, sizeof text), 0);
        }
        for (unsigned j = 0; j < 20; j++) {
            CHECK_INT(bide_read_exactly(stream, got, sizeof got), sizeof got);
            pattern_check(got, seed + i * j, sizeof got);
        }
        CHECK_INT(bide_write(stream, "unread", 6), 0); /* closing discards what comes back */
        CHECK_INT(bide_close(stream), 0);
    }
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
    return 0;
}

static void *thread_main(void *data)
{
    CHECK_INT(bide_run_with(NULL, talks_to_itself, *(unsigned *)data), 0);
    return NULL;
}

BIDE_TEST(loops_in_threads_have_streams_of_their_own)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = 1000 * i;
        CHECK_INT(pthread_create(&threads[i], NULL, thread_main, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
}
