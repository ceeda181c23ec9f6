/*
 * The hot paths whose instructions bench/check.py counts: each does one thing N times, in the same
 * way in every run. Nothing depends on time: a microsecond goes by whenever somebody looks at the
 * clock. Nor on which process the kernel runs first: a server's client is a bare socket in a task
 * of the same thread, and its part is counted as well.
 *
 *     hot PATH N
 *     hot             what it was compiled with; then the names of the paths, with how many times
 *                     are enough
 */
#include <bide.h>
#include <bide/http_server.h>
#include <bide/websocket.h>

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 16, TASKS = 100, MESSAGE = 64, LINES = 64 };

/* Instead of the C library's, for all libraries in this program. */
int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    static int64_t now_ns = INT64_C(1700000000000000000);
    (void)clock;
    now_ns += 1000;
    ret_now->tv_sec = now_ns / 1000000000;
    ret_now->tv_nsec = now_ns % 1000000000;
    return 0;
}

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

/* Tasks */

bide_async(turns, (long, n))
{
    for (long i = 0; i < n; i++)
        bide_sleep(0);
    return 0;
}

static void take_turns(int n_tasks, long n)
{
    bide_task *tasks[TASKS];
    for (int i = 0; i < n_tasks; i++)
        tasks[i] = bide_spawn(turns, n / n_tasks);
    require(bide_gather(tasks, (size_t)n_tasks, NULL) == 0, "gather");
}

static void switch_2(long n)
{
    take_turns(2, n);
}

static void switch_100(long n)
{
    take_turns(TASKS, n);
}

bide_async(nothing)
{
    return 1;
}

static void spawn_1(long n)
{
    for (long i = 0; i < n; i++)
        require(bide_await(bide_spawn(nothing)) == 1, "await");
}

static void spawn_100(long n)
{
    bide_task *tasks[TASKS];
    for (long done = 0; done < n; done += TASKS) {
        for (int i = 0; i < TASKS; i++)
            tasks[i] = bide_spawn(nothing);
        for (int i = 0; i < TASKS; i++)
            require(bide_await(tasks[i]) == 1, "await");
    }
}

static void sleeping(long n)
{
    for (long i = 0; i < n; i++)
        require(bide_sleep(1e-6) == 0, "sleep");
}

static void within(long n)
{
    for (long i = 0; i < n; i++)
        require(bide_within(5, nothing()) == 1, "within");
}

static int nobody(void *data)
{
    (void)data;
    return 0;
}

static void timer(long n)
{
    bide_loop *loop = bide_loop_current();
    for (long i = 0; i < n; i++) {
        bide_handle *handle;
        require(bide_loop_call_later(loop, 5 + (double)(i & 1023), nobody, NULL, NULL, &handle) ==
                    0,
                "call_later");
        bide_handle_cancel(handle);
        bide_handle_free(handle);
    }
}

/* What tasks have between them */

static bide_lock lock;

static void lock_free(long n)
{
    for (long i = 0; i < n; i++) {
        require(bide_lock_acquire(&lock) == 0, "acquire");
        bide_lock_release(&lock);
    }
}

bide_async(locks, (long, n))
{
    for (long i = 0; i < n; i++) {
        bide_lock_acquire(&lock);
        bide_sleep(0);
        bide_lock_release(&lock);
    }
    return 0;
}

static void lock_handed(long n)
{
    bide_task *tasks[] = {bide_spawn(locks, n / 2), bide_spawn(locks, n / 2)};
    require(bide_gather(tasks, 2, NULL) == 0, "gather");
}

BIDE_QUEUE_DEFINE(longs, long);

static longs *queue_of(size_t capacity)
{
    const struct bide_queue_opts opts = {.capacity = capacity};
    longs *queue = NULL;
    require(longs_new(&opts, &queue) == 0, "queue");
    return queue;
}

bide_async(answers, (longs *, questions), (longs *, answers_to), (long, n))
{
    long item;
    for (long i = 0; i < n; i++)
        if (longs_get(questions, &item) < 0 || longs_put(answers_to, item + 1) < 0)
            return -EIO;
    return 0;
}

static void queue_round_trip(long n)
{
    longs *to = queue_of(1), *fro = queue_of(1);
    bide_task *task = bide_spawn(answers, to, fro, n);
    for (long i = 0, item; i < n; i++)
        require(longs_put(to, i) == 0 && longs_get(fro, &item) == 0 && item == i + 1, "queue");
    require(bide_await(task) == 0, "await");
    longs_free(to);
    longs_free(fro);
}

bide_async(takes, (longs *, queue), (long, n))
{
    long item;
    for (long i = 0; i < n; i++)
        if (longs_get(queue, &item) < 0 || item != i)
            return -EIO;
    return 0;
}

static void queue_one_way(long n)
{
    longs *queue = queue_of(100);
    bide_task *task = bide_spawn(takes, queue, n);
    for (long i = 0; i < n; i++)
        require(longs_put(queue, i) == 0, "put");
    require(bide_await(task) == 0, "await");
    longs_free(queue);
}

bide_generator(int, counting)
{
    for (int i = 0;; i++) {
        int rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
}

static void generator(long n)
{
    bide_iterator *it = bide_iterate(counting);
    for (long i = 0; i < n; i++) {
        int value;
        require(bide_next(it, &value) == 1 && value == i, "next");
    }
    bide_iterator_close(it);
}

/* Streams and servers */

static int client_connect(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

static void client_send(int fd, const void *data, size_t size)
{
    require(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size, "send");
}

/* Returns at the end of an answer of `size` bytes; if that is not known, when there is something.
 */
static size_t client_receive(int fd, char *buffer, size_t room, size_t size)
{
    size_t received = 0;
    for (;;) {
        ssize_t n = recv(fd, buffer, room, MSG_DONTWAIT);
        require(n > 0 || (n < 0 && errno == EAGAIN), "recv");
        received += n > 0 ? (size_t)n : 0;
        if (received > 0 && received >= size)
            return received;
        require(bide_wait_readable(fd) >= 0, "wait_readable");
    }
}

static void ask(int fd, const void *question, size_t size, size_t answer_size, long n)
{
    char buffer[16384];
    for (long i = 0; i < n; i++) {
        client_send(fd, question, size);
        client_receive(fd, buffer, sizeof buffer, answer_size);
    }
}

static void lines(long n)
{
    char block[LINES * MESSAGE];
    int ends[2];
    bide_stream *stream;
    memset(block, 'l', sizeof block);
    for (size_t i = 1; i <= LINES; i++)
        block[i * MESSAGE - 1] = '\n';
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    require(bide_stream_adopt(ends[0], NULL, &stream) == 0, "adopt");
    for (long i = 0; i < n; i++) {
        char *line;
        if (i % LINES == 0)
            client_send(ends[1], block, sizeof block);
        require(bide_read_line(stream, &line) > 0, "read_line");
    }
    close(ends[1]);
    bide_close(stream);
}

static int echo_stream(bide_stream *stream, void *data)
{
    char buffer[4096];
    int n;
    (void)data;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0)
        if (bide_write(stream, buffer, (size_t)n) < 0)
            return -EIO;
    return n;
}

static void talk(unsigned port, long n_messages)
{
    static const char message[MESSAGE] = "message";
    int fd = client_connect(port);
    ask(fd, message, sizeof message, sizeof message, n_messages);
    close(fd);
}

static void echo_over(long n_connections, long n_messages)
{
    bide_server *server;
    require(bide_serve("127.0.0.1", 0, echo_stream, NULL, NULL, &server) == 0, "serve");
    for (long i = 0; i < n_connections; i++)
        talk(bide_server_port(server), n_messages);
    bide_server_close(server);
    bide_server_wait_closed(server);
    bide_server_free(server);
}

static void echo(long n)
{
    echo_over(1, n);
}

static void connections(long n)
{
    echo_over(n, 1);
}

static int text(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "Hello, World!");
}

static int echo_messages(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    (void)data;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0)
        if (bide_websocket_send(ws, message.type, message.data, message.size) < 0)
            break;
    bide_websocket_free(ws);
    return rc;
}

/* Serves while `use` talks to it through one connection. */
static void with_http(void (*use)(int fd, long n), long n)
{
    bide_http_app *app;
    bide_http_server *server;
    require(bide_http_app_new(NULL, &app) == 0, "app");
    bide_http_route(app, "GET", "/text", text, NULL, NULL);
    bide_http_route(app, "GET", "/echo", echo_messages, NULL, NULL);
    require(bide_http_serve(app, "127.0.0.1", 0, NULL, &server) == 0, "serve");
    int fd = client_connect(bide_http_server_port(server));
    use(fd, n);
    close(fd);
    bide_http_server_close(server);
    bide_http_server_wait_closed(server);
    bide_http_server_free(server);
    bide_http_app_free(app);
}

#define REQUEST "GET /text HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"

static size_t first_answer(int fd, const char *question)
{
    char buffer[4096];
    client_send(fd, question, strlen(question));
    return client_receive(fd, buffer, sizeof buffer, 0);
}

static void requests(int fd, long n)
{
    size_t size = first_answer(fd, REQUEST);
    ask(fd, REQUEST, sizeof REQUEST - 1, size, n);
}

static void requests_at_once(int fd, long n)
{
    static char all[AT_ONCE * (sizeof REQUEST - 1)];
    size_t size = first_answer(fd, REQUEST);
    for (size_t i = 0; i < AT_ONCE; i++)
        memcpy(all + i * (sizeof REQUEST - 1), REQUEST, sizeof REQUEST - 1);
    ask(fd, all, sizeof all, AT_ONCE * size, n / AT_ONCE);
}

static void messages(int fd, long n)
{
    static char frame[6 + MESSAGE] = {(char)0x82, (char)(0x80 | MESSAGE), 1, 2, 3, 4};
    first_answer(fd,
                 "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n");
    ask(fd, frame, sizeof frame, 2 + MESSAGE, n);
}

static void http(long n)
{
    with_http(requests, n);
}

static void http_at_once(long n)
{
    with_http(requests_at_once, n);
}

static void websocket(long n)
{
    with_http(messages, n);
}

static const struct path {
    const char *name;
    void (*run)(long n);
    long enough;
} paths[] = {
    {"switch/2", switch_2, 20000},
    {"switch/100", switch_100, 20000},
    {"spawn/1", spawn_1, 10000},
    {"spawn/100", spawn_100, 10000},
    {"sleep", sleeping, 5000},
    {"timer", timer, 10000},
    {"within", within, 10000},
    {"lock/free", lock_free, 20000},
    {"lock/handed", lock_handed, 10000},
    {"queue/round-trip", queue_round_trip, 10000},
    {"queue/one-way", queue_one_way, 10000},
    {"generator", generator, 20000},
    {"lines", lines, 6400},
    {"echo", echo, 2000},
    {"connections", connections, 800},
    {"http", http, 1600},
    {"http/at-once", http_at_once, 3200},
    {"websocket", websocket, 1600},
};

bide_async(amain, (const struct path *, path), (long, n))
{
    path->run(n);
    return 0;
}

int main(int argc, char **argv)
{
    enum { N_PATHS = sizeof paths / sizeof *paths };
#ifdef __clang__
    const char *compiler = __VERSION__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    if (argc == 1)
        printf("%s\n", compiler);
    for (int i = 0; i < N_PATHS; i++) {
        if (argc == 1)
            printf("%s %ld\n", paths[i].name, paths[i].enough);
        else if (argc == 3 && strcmp(paths[i].name, argv[1]) == 0)
            return bide_run(amain, &paths[i], atol(argv[2]));
    }
    return argc == 1 ? 0 : 2;
}
