/*
 * Scenario: servers on one port, in workers and on one loop, that come, go, and are full, while
 * clients come in all numbers. Claim: what port.h says: with port 0 all have the same one;
 * connections handed over are spread evenly, to the last one; one server's end costs no connection;
 * limits hold; when the last has gone nobody listens.
 */
#include <bide/port.h>
#include <bide/transport.h>
#include <bide/unix.h>
#include <bide/workers.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "fault.h"
#include "stream_rig.h"

enum { N = 4 };

static const enum bide_port_way ways[] = {BIDE_PORT_HANDED, BIDE_PORT_REUSED};

static bide_port *open_port(enum bide_port_way way)
{
    const struct bide_port_opts opts = {.way = way};
    bide_port *port = NULL;
    CHECK_INT(bide_port_open("127.0.0.1", 0, &opts, &port), 0);
    CHECK_RANGE(bide_port_number(port), 1, 65535);
    return port;
}

/* A client's socket, connected: of a thread that may block. */
static int try_join(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int join(unsigned port)
{
    int fd = try_join(port);
    CHECK_RANGE(fd, 0, 1 << 20);
    return fd;
}

/* The same for a task of the loop that serves. */
static int join_here(unsigned port)
{
    int fd = join(port);
    peer_prepare(fd);
    return fd;
}

static void many_descriptors(void)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* In workers: the main listens, and the clients are a thread of their own. */

struct scene {
    bide_port *port;
    int n_clients;
    int leaves_after; /* worker 1 stops listening when it has served that many; 0: never */
    bool closes;      /* clients end at once */
    size_t connections_max;
    atomic_int n_listening;
    atomic_int n_served[N];
    atomic_int n_now[N];
    atomic_int n_heard;
    pthread_t clients;
};

static bide_server *worker_server[N]; /* each its worker's */

static int serves(bide_stream *stream, void *data)
{
    struct scene *scene = data;
    unsigned index = bide_worker_index();
    int now = 1 + atomic_fetch_add(&scene->n_now[index], 1);
    if (scene->connections_max > 0)
        CHECK_RANGE(now, 1, scene->connections_max);
    int served = 1 + atomic_fetch_add(&scene->n_served[index], 1);
    if (index == 1 && served == scene->leaves_after)
        CHECK_INT(bide_server_close(worker_server[1]), 1);
    char byte = (char)('0' + index);
    int rc = bide_write(stream, &byte, 1);
    if (rc == 0)
        rc = bide_read(stream, &byte, 1);
    atomic_fetch_sub(&scene->n_now[index], 1);
    return rc < 0 ? rc : 0;
}

static bide_async(worker_main, (struct scene *, scene))
{
    const struct bide_server_opts opts = {.shared = scene->port,
                                          .connections_max = scene->connections_max};
    bide_server **server = &worker_server[bide_worker_index()];
    CHECK_INT(bide_serve(NULL, 0, serves, scene, &opts, server), 0);
    CHECK_INT(bide_server_port(*server), bide_port_number(scene->port));
    atomic_fetch_add(&scene->n_listening, 1);
    int rc = bide_server_forever(*server);
    if (rc == 0) /* it has left: what it has begun it ends */
        rc = bide_server_wait_closed(*server);
    bide_server_free(*server);
    return rc;
}

static void *clients_main(void *data)
{
    struct scene *scene = data;
    int *fds = calloc((size_t)scene->n_clients, sizeof *fds);
    CHECK(fds);
    while (atomic_load(&scene->n_listening) < N)
        sched_yield();
    for (int i = 0; i < scene->n_clients; i++) {
        char byte = 0;
        fds[i] = join(bide_port_number(scene->port));
        CHECK_INT(recv(fds[i], &byte, 1, 0), 1);
        CHECK_RANGE(byte, '0', '0' + N - 1);
        atomic_fetch_add(&scene->n_heard, 1);
        if (scene->closes)
            close(fds[i]);
    }
    for (int i = 0; i < scene->n_clients && !scene->closes; i++)
        close(fds[i]);
    free(fds);
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    return NULL;
}

static void play(struct scene *scene)
{
    int n_fds = count_fds() - 1; /* the port's */
    many_descriptors();
    CHECK_INT(pthread_create(&scene->clients, NULL, clients_main, scene), 0);
    CHECK_INT(bide_run_workers_with(NULL, N, worker_main, scene), 0);
    CHECK_INT(pthread_join(scene->clients, NULL), 0);
    bide_port_unref(scene->port);
    int n = 0;
    for (int i = 0; i < N; i++)
        n += scene->n_served[i];
    CHECK_INT(n, scene->n_clients);
    CHECK_INT(scene->n_heard, scene->n_clients);
    CHECK_INT(count_fds(), n_fds);
}

BIDE_TEST_EACH(ways, a_thousand_connections_are_served_by_all, .seconds = 60)
{
    struct scene scene = {.port = open_port(*each), .n_clients = 1000};
    play(&scene);
    for (int i = 0; i < N && *each == BIDE_PORT_HANDED; i++)
        CHECK_INT(scene.n_served[i], 250);
    for (int i = 0; i < N && *each == BIDE_PORT_REUSED; i++)
        CHECK_RANGE(scene.n_served[i], 100, 400); /* each one's share has a deviation of 14 */
}

BIDE_TEST(eight_connections_are_two_for_each)
{
    struct scene scene = {.port = open_port(BIDE_PORT_HANDED), .n_clients = 8};
    play(&scene);
    for (int i = 0; i < N; i++)
        CHECK_INT(scene.n_served[i], 2);
}

BIDE_TEST(one_that_leaves_costs_no_connection, .seconds = 60)
{
    struct scene scene = {
        .port = open_port(BIDE_PORT_HANDED), .n_clients = 600, .closes = true, .leaves_after = 3};
    play(&scene);
    CHECK(scene.n_served[1] <= 600 - 3);
}

/* Many at a time: some are on their way to the one that leaves. */
static void *rush_main(void *data)
{
    struct scene *scene = data;
    for (int i = 0; i < scene->n_clients; i++) {
        char byte = 0;
        int fd = join(bide_port_number(scene->port));
        CHECK_INT(recv(fd, &byte, 1, 0), 1);
        atomic_fetch_add(&scene->n_heard, 1);
        close(fd);
    }
    return NULL;
}

static void *rushes_main(void *data)
{
    struct scene *scene = data;
    pthread_t threads[4];
    while (atomic_load(&scene->n_listening) < N)
        sched_yield();
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, rush_main, scene), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    return NULL;
}

BIDE_TEST_SECONDS(a_rush_while_one_leaves, 60)
{
    struct scene scene = {
        .port = open_port(BIDE_PORT_HANDED), .n_clients = 200, .leaves_after = 20};
    CHECK_INT(pthread_create(&scene.clients, NULL, rushes_main, &scene), 0);
    CHECK_INT(bide_run_workers_with(NULL, N, worker_main, &scene), 0);
    CHECK_INT(pthread_join(scene.clients, NULL), 0);
    bide_port_unref(scene.port);
    CHECK_INT(scene.n_heard, 800);
}

/* More clients than the workers may have at a time; those that are served end, and make room. */
static void *crowd_main(void *data)
{
    struct scene *scene = data;
    int fds[5 * N];
    while (atomic_load(&scene->n_listening) < N)
        sched_yield();
    for (int i = 0; i < 5 * N; i++)
        fds[i] = join(bide_port_number(scene->port));
    for (int n_left = 5 * N; n_left > 0;)
        for (int i = 0; i < 5 * N; i++) {
            char byte;
            if (fds[i] < 0 || recv(fds[i], &byte, 1, MSG_DONTWAIT) != 1)
                continue;
            close(fds[i]);
            fds[i] = -1;
            n_left--;
        }
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    return NULL;
}

BIDE_TEST_EACH(ways, limits_hold_for_each)
{
    struct scene scene = {.port = open_port(*each), .connections_max = 2};
    CHECK_INT(pthread_create(&scene.clients, NULL, crowd_main, &scene), 0);
    CHECK_INT(bide_run_workers_with(NULL, N, worker_main, &scene), 0);
    CHECK_INT(pthread_join(scene.clients, NULL), 0);
    bide_port_unref(scene.port);
    int n = 0;
    for (int i = 0; i < N; i++)
        n += scene.n_served[i];
    CHECK_INT(n, 5 * N);
}

/* On one loop, where the order of things is known */

static int holds(bide_stream *stream, void *data)
{
    char byte = 'x';
    *(int *)data += 1;
    int rc = bide_write(stream, &byte, 1);
    return rc < 0 ? rc : bide_read(stream, &byte, 1);
}

static bide_server *serve_on(bide_port *port, int *n, size_t connections_max)
{
    const struct bide_server_opts opts = {.shared = port, .connections_max = connections_max};
    bide_server *server = NULL;
    CHECK_INT(bide_serve(NULL, 0, holds, n, &opts, &server), 0);
    CHECK_INT(bide_server_port(server), bide_port_number(port));
    return server;
}

static void end(bide_server *server)
{
    bide_server_close(server);
    bide_server_cancel(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

/* As soon as one of them has taken connections from the kernel, the other one leaves: what was
 * handed to it has not begun. */
STREAM_TEST(what_waits_for_one_that_leaves_goes_to_another)
{
    int fds[8], n[2] = {0};
    bide_port *port = open_port(BIDE_PORT_HANDED);
    bide_server *servers[2] = {serve_on(port, &n[0], 0), serve_on(port, &n[1], 0)};
    for (int i = 0; i < 8; i++)
        fds[i] = join_here(bide_port_number(port));
    while (bide_server_connections(servers[0]) + bide_server_connections(servers[1]) == 0)
        turns(1);
    int leaver = bide_server_connections(servers[0]) > 0;
    CHECK_INT(bide_server_connections(servers[!leaver]), 4);
    CHECK_INT(bide_server_connections(servers[leaver]), 0);
    end(servers[leaver]);
    for (int i = 0; i < 8; i++)
        peer_hears(fds[i], "x");
    CHECK_INT(n[!leaver], 8);
    end(servers[!leaver]);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    bide_port_unref(port);
}

/* The same where the other one is full: they wait until it has room. */
STREAM_TEST(what_is_left_to_a_full_one_waits)
{
    int fds[4], n[2] = {0};
    bide_port *port = open_port(BIDE_PORT_HANDED);
    bide_server *servers[2] = {serve_on(port, &n[0], 2), serve_on(port, &n[1], 2)};
    for (int i = 0; i < 4; i++)
        fds[i] = join_here(bide_port_number(port));
    while (bide_server_connections(servers[0]) + bide_server_connections(servers[1]) == 0)
        turns(1);
    int leaver = bide_server_connections(servers[0]) > 0;
    CHECK_INT(bide_server_close(servers[leaver]), 1);
    turns(5);
    CHECK_INT(n[!leaver], 2);
    for (int n_heard = 0; n_heard < 4;) {
        for (int i = 0; i < 4; i++) {
            char byte;
            if (fds[i] < 0 || recv(fds[i], &byte, 1, 0) != 1)
                continue;
            close(fds[i]);
            fds[i] = -1;
            n_heard++;
        }
        CHECK(bide_server_connections(servers[!leaver]) <= 2);
        turns(1);
    }
    CHECK_INT(n[0] + n[1], 4);
    end(servers[leaver]);
    end(servers[!leaver]);
    bide_port_unref(port);
}

STREAM_TEST(the_port_listens_while_somebody_serves)
{
    int n = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bide_port *port = open_port(ways[i]);
        unsigned number = bide_port_number(port);
        for (int round = 0; round < 2; round++) {
            bide_server *server = serve_on(port, &n, 0);
            int fd = join_here(number);
            peer_hears(fd, "x");
            end(server);
            close(fd);
            CHECK_INT(try_join(number), -ECONNREFUSED);
            CHECK_INT(bide_port_number(port), number);
        }
        bide_port_unref(port);
    }
}

/* A server is an owner; and before there is one, connections wait. */
STREAM_TEST(a_server_keeps_the_port)
{
    int n = 0;
    bide_port *port = open_port(BIDE_PORT_HANDED);
    unsigned number = bide_port_number(port);
    int early = join_here(number);
    bide_server *server = serve_on(port, &n, 0);
    CHECK_PTR(bide_port_ref(port), port);
    bide_port_unref(port);
    bide_port_unref(port);
    peer_hears(early, "x");
    int late = join_here(number);
    peer_hears(late, "x");
    end(server);
    close(early);
    close(late);
    CHECK_INT(try_join(number), -ECONNREFUSED);
    port = open_port(BIDE_PORT_HANDED);
    number = bide_port_number(port);
    bide_port_unref(port);
    CHECK_INT(try_join(number), -ECONNREFUSED);
}

static void made(void *data, bide_transport *transport)
{
    (void)data;
    CHECK_INT(bide_transport_write(transport, "p", 1), 0);
}

static int factory(void *data, struct bide_party *ret_party)
{
    static const struct bide_protocol protocol = {.connection_made = made};
    *ret_party = (struct bide_party){.protocol = &protocol, .data = data};
    return 0;
}

STREAM_TEST(tasks_and_protocols_serve_the_same_port)
{
    int fds[4], n = 0, n_tasks = 0;
    bide_port *port = open_port(BIDE_PORT_HANDED);
    const struct bide_server_opts opts = {.shared = port};
    bide_server *tasks = serve_on(port, &n, 0), *protocols = NULL;
    CHECK_INT(
        bide_loop_listen(bide_loop_current(), NULL, 0, &opts, factory, NULL, NULL, &protocols), 0);
    for (int i = 0; i < 4; i++) {
        char byte;
        fds[i] = join_here(bide_port_number(port));
        peer_recv_exactly(fds[i], &byte, 1);
        n_tasks += byte == 'x';
        CHECK(byte == 'x' || byte == 'p');
    }
    CHECK_INT(n_tasks, 2);
    CHECK_INT(bide_server_connections(protocols), 2);
    end(protocols);
    end(tasks);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    bide_port_unref(port);
}

static bide_async(leaves_all_open, (bide_port *, port), (bide_server **, servers), (int *, fds),
                  (int *, n))
{
    servers[0] = serve_on(port, n, 0);
    servers[1] = serve_on(port, n, 0);
    for (int i = 0; i < 4; i++)
        fds[i] = join_here(bide_port_number(port));
    turns(*n);
    return 0;
}

/* Whatever has come of the connections when the loop closes, nothing stays open. */
BIDE_TEST(a_loop_that_closes_leaves_the_port)
{
    for (int n_turns = 0; n_turns < 8; n_turns++) {
        int fds[4], n = n_turns, n_fds = count_fds();
        bide_port *port = open_port(BIDE_PORT_HANDED);
        bide_server *servers[2];
        CHECK_INT(bide_run_with(NULL, leaves_all_open, port, servers, fds, &n), 0);
        CHECK_INT(try_join(bide_port_number(port)), -ECONNREFUSED);
        bide_server_free(servers[0]);
        bide_server_free(servers[1]);
        bide_port_unref(port);
        for (int i = 0; i < 4; i++)
            close(fds[i]);
        CHECK_INT(count_fds(), n_fds);
    }
    rig_end();
}

STREAM_TEST(senseless_arguments)
{
    bide_port *port = NULL;
    bide_server *server = NULL;
    struct bide_port_opts opts = {.backlog = -1};
    CHECK_INT(bide_port_open("127.0.0.1", 0, &opts, &port), -EINVAL);
    opts = (struct bide_port_opts){.way = (enum bide_port_way)2};
    CHECK_INT(bide_port_open("127.0.0.1", 0, &opts, &port), -EINVAL);
    CHECK_INT(bide_port_open("127.0.0.1", 65536, NULL, &port), -EINVAL);
    CHECK_INT(bide_port_open("127.0.0.1", 0, NULL, NULL), -EINVAL);
    CHECK_INT(bide_port_number(NULL), 0);
    CHECK_PTR(bide_port_ref(NULL), NULL);
    bide_port_unref(NULL);
    CHECK_INT(bide_port_open("localhost", 0, NULL, &port), 0);
    struct bide_server_opts serve = {.shared = port};
    CHECK_INT(bide_serve("127.0.0.1", 0, holds, NULL, &serve, &server), -EINVAL);
    CHECK_INT(bide_serve(NULL, 80, holds, NULL, &serve, &server), -EINVAL);
    CHECK_INT(bide_serve_unix("@bide-test-port", holds, NULL, &serve, &server), -EINVAL);
    serve.reuse_port = true;
    CHECK_INT(bide_serve(NULL, 0, holds, NULL, &serve, &server), -EINVAL);
    bide_port *same = NULL;
    CHECK_INT(bide_port_open("127.0.0.1", bide_port_number(port), NULL, &same), -EADDRINUSE);
    CHECK_CONTAINS(bide_error_detail(), "127.0.0.1");
    bide_port_unref(port);
    bide_task *task = bide_current_task();
    bide_cancel(task);
    CHECK_INT(bide_port_open("127.0.0.1", 0, NULL, &port), -ECANCELED);
    CHECK_INT(bide_uncancel(task), 0);
}

/* Outside loops: it has one of its own for as long as that takes. */
BIDE_TEST(a_port_is_opened_without_a_loop)
{
    bide_port *port = NULL, *same = NULL;
    int n_fds = count_fds();
    CHECK_INT(bide_port_open("localhost", 0, NULL, &port), 0);
    CHECK_INT(bide_port_open("127.0.0.1", bide_port_number(port), NULL, &same), -EADDRINUSE);
    CHECK_CONTAINS(bide_error_detail(), "127.0.0.1");
    bide_port_unref(port);
    CHECK_INT(bide_port_open(NULL, 0, NULL, &port), 0);
    bide_port_unref(port);
    CHECK_INT(count_fds(), n_fds);
    rig_end();
}

/* What is lacking */

/* Four clients of a thread in which nothing fails. */
struct visitors {
    pthread_t thread;
    atomic_uint number; /* of the port; 0: not yet, else none if there is no such port */
    atomic_bool are_done;
    int n_served;
};

static void *visit(void *data)
{
    struct visitors *visitors = data;
    int fds[4];
    while (atomic_load(&visitors->number) == 0)
        sched_yield();
    for (int i = 0; i < 4; i++)
        fds[i] = try_join(atomic_load(&visitors->number));
    for (int i = 0; i < 4; i++) {
        char byte;
        if (fds[i] < 0)
            continue;
        visitors->n_served += recv(fds[i], &byte, 1, 0) == 1;
        close(fds[i]);
    }
    atomic_store(&visitors->are_done, true);
    return NULL;
}

static void ignore_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

/* Two servers for the four, who are served or, where something was lacking, turned away. */
static bide_async(served_or_not, (struct visitors *, visitors))
{
    bide_port *port = NULL;
    bide_server *servers[2] = {NULL, NULL};
    int n = 0;
    bide_loop_set_exception_handler(bide_loop_current(), ignore_report, NULL);
    int rc = bide_port_open("127.0.0.1", 0, NULL, &port);
    const struct bide_server_opts opts = {.shared = port};
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = bide_serve(NULL, 0, holds, &n, &opts, &servers[i]);
    if (rc == 0)
        atomic_store(&visitors->number, bide_port_number(port));
    while (rc == 0 && !atomic_load(&visitors->are_done))
        rc = bide_sleep(0.001);
    for (int i = 0; i < 2; i++)
        bide_server_free(servers[i]);
    bide_port_unref(port);
    return rc;
}

static void lacking(enum fault_kind kind, int error)
{
    for (unsigned long n = 1;; n++) {
        struct visitors visitors = {0};
        int n_fds = count_fds();
        CHECK_INT(pthread_create(&visitors.thread, NULL, visit, &visitors), 0);
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, served_or_not, &visitors);
        bool hit = fault_disarm();
        if (atomic_load(&visitors.number) == 0)
            atomic_store(&visitors.number, 1);
        CHECK_INT(pthread_join(visitors.thread, NULL), 0);
        CHECK_INT(count_fds(), n_fds);
        if (!hit) {
            CHECK_INT(rc, 0);
            CHECK_INT(visitors.n_served, 4);
            return;
        }
        CHECK(rc == 0 || rc == -ENOMEM || (kind == FAULT_SYSTEM && rc == -error));
        if (rc == 0)
            CHECK_RANGE(visitors.n_served, 3, 4);
    }
}

BIDE_TEST_SECONDS(without_memory, 120)
{
    lacking(FAULT_ALLOCATION, 0);
}

BIDE_TEST_SECONDS(without_descriptors, 120)
{
    lacking(FAULT_SYSTEM, EMFILE);
}
