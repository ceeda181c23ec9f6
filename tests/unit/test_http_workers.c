/*
 * Scenario: HTTP servers in workers on one port, each with an application of its own, that are
 * asked, and ended by a signal while one of them answers. Claim: every worker answers; the signal
 * ends all of them gently: what is being answered goes out, and the result is 0.
 */
#include <bide/http_server.h>
#include <bide/port.h>
#include <bide/workers.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task_rig.h"

enum { N = 2, CLIENTS = 8 };

struct scene {
    bide_port *port;
    atomic_int n_answered[N];
    atomic_bool is_slow;  /* the slow answer is under way */
    atomic_bool is_ended; /* the signal was sent */
};

static int quick(bide_http_request *request, void *data)
{
    struct scene *scene = data;
    atomic_fetch_add(&scene->n_answered[bide_worker_index()], 1);
    return bide_http_reply(request, 200, "text/plain", "quick", 5);
}

static int slow(bide_http_request *request, void *data)
{
    struct scene *scene = data;
    atomic_store(&scene->is_slow, true);
    while (!atomic_load(&scene->is_ended)) {
        int rc = bide_sleep(0.001);
        if (rc < 0)
            return rc;
    }
    int rc = bide_sleep(TICKS(2)); /* the cancel has come */
    return rc < 0 ? rc : bide_http_reply(request, 200, "text/plain", "slow", 4);
}

static bide_async(serves, (struct scene *, scene))
{
    const struct bide_http_server_opts opts = {.server.shared = scene->port};
    bide_http_app *app = NULL;
    CHECK_INT(bide_http_app_new(NULL, &app), 0);
    CHECK_INT(bide_http_route(app, "GET", "/quick", quick, scene, NULL), 0);
    CHECK_INT(bide_http_route(app, "GET", "/slow", slow, scene, NULL), 0);
    int rc = bide_http_serve_until_signal(app, NULL, 0, &opts);
    bide_http_app_free(app);
    return rc;
}

static int ask(unsigned port, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    char text[100];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", path);
    CHECK_INT(write(fd, text, (size_t)n), n);
    return fd;
}

static void check_answer(int fd, const char *expected)
{
    char answer[1024];
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, answer + size, sizeof answer - 1 - size)) > 0)
        size += (size_t)n;
    answer[size] = '\0';
    CHECK_INT(n, 0);
    CHECK_CONTAINS(answer, " 200 ");
    CHECK_CONTAINS(answer, expected);
    close(fd);
}

static void *clients(void *data)
{
    struct scene *scene = data;
    unsigned port = bide_port_number(scene->port);
    int fds[CLIENTS];
    /* In turn, so that both get some also if one begins to listen late. */
    while (atomic_load(&scene->n_answered[0]) == 0 || atomic_load(&scene->n_answered[1]) == 0)
        check_answer(ask(port, "/quick"), "quick");
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = ask(port, "/quick");
    for (int i = 0; i < CLIENTS; i++)
        check_answer(fds[i], "quick");
    int fd = ask(port, "/slow");
    while (!atomic_load(&scene->is_slow))
        sched_yield();
    CHECK_INT(kill(getpid(), SIGTERM), 0);
    atomic_store(&scene->is_ended, true);
    check_answer(fd, "slow");
    return NULL;
}

static void plays(void *data)
{
    struct scene scene = {0};
    pthread_t thread;
    (void)data;
    CHECK_INT(bide_port_open("127.0.0.1", 0, NULL, &scene.port), 0);
    CHECK_INT(pthread_create(&thread, NULL, clients, &scene), 0);
    const struct bide_workers_opts opts = {.loop.cleanup_seconds = 20};
    CHECK_INT(bide_run_workers_with(&opts, N, serves, &scene), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    bide_port_unref(scene.port);
}

BIDE_TEST(workers_serve_until_a_signal)
{
    char output[300], expected[100];
    CHECK_INT(test_child(plays, NULL, output, sizeof output), 0);
    snprintf(expected, sizeof expected, "Serving on http://127.0.0.1:");
    CHECK_INT(strncmp(output, expected, strlen(expected)), 0);
    CHECK_PTR(strchr(strchr(output, '\n') + 1, '\n'), NULL); /* told once */
}
