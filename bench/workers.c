/*
 * How evenly connections are spread over workers, and what that costs: for each way of sharing a
 * port, a few and many connections that stay, and then short ones, one after the other from two
 * clients at once.
 *
 * workers [WORKERS [STAYING [SHORT]]]
 */
#include <bide.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, CLIENTS = 2 };

static const char *const ways[] = {"handed", "reused"};

struct run {
    bide_port *port;
    unsigned n_workers;
    int n_staying;
    int n_short;
    atomic_uint n_listening;
    atomic_int n_begun[WORKERS_MAX];
    int staying[WORKERS_MAX];
};

static int echo(bide_stream *stream, void *data)
{
    struct run *run = data;
    char byte;
    int rc;
    atomic_fetch_add(&run->n_begun[bide_worker_index()], 1);
    while ((rc = bide_read(stream, &byte, 1)) > 0)
        if ((rc = bide_write(stream, &byte, 1)) < 0)
            break;
    return rc;
}

static bide_async(serves, (struct run *, run))
{
    const struct bide_server_opts opts = {.shared = run->port};
    bide_server *server;
    int rc = bide_serve(NULL, 0, echo, run, &opts, &server);
    if (rc < 0)
        return rc;
    atomic_fetch_add(&run->n_listening, 1);
    rc = bide_server_forever(server);
    bide_server_free(server);
    return rc;
}

static int client(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    char byte = 'x';
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || write(fd, &byte, 1) != 1 ||
        read(fd, &byte, 1) != 1) {
        perror("client");
        exit(1);
    }
    return fd;
}

static void *short_ones(void *data)
{
    struct run *run = data;
    for (int i = 0; i < run->n_short / CLIENTS; i++)
        close(client(bide_port_number(run->port)));
    return NULL;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The clients are a process, so that the server's CPU time is its own. */
static void be_clients(struct run *run, int told, int tells)
{
    pthread_t threads[CLIENTS];
    int *fds = malloc((size_t)run->n_staying * sizeof *fds);
    char byte;
    if (!fds || read(told, &byte, 1) != 1)
        exit(1);
    for (int i = 0; i < run->n_staying; i++)
        fds[i] = client(bide_port_number(run->port));
    if (write(tells, "s", 1) != 1 || read(told, &byte, 1) != 1)
        exit(1);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&threads[i], NULL, short_ones, run);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    if (write(tells, "e", 1) != 1)
        exit(1);
    exit(0);
}

struct watch {
    struct run *run;
    int told, tells;
    double cpu;
};

/* Between the phases; then ends the workers. */
static void *watch(void *data)
{
    struct watch *watch = data;
    struct run *run = watch->run;
    char byte;
    while (atomic_load(&run->n_listening) < run->n_workers)
        usleep(1000);
    if (write(watch->tells, "g", 1) != 1 || read(watch->told, &byte, 1) != 1)
        exit(1);
    for (unsigned i = 0; i < run->n_workers; i++)
        run->staying[i] = run->n_begun[i];
    double before = cpu_seconds();
    if (write(watch->tells, "g", 1) != 1 || read(watch->told, &byte, 1) != 1)
        exit(1);
    watch->cpu = cpu_seconds() - before;
    kill(getpid(), SIGTERM);
    return NULL;
}

static int measure(enum bide_port_way way, struct run *run)
{
    const struct bide_port_opts opts = {.way = way};
    int to[2], from[2];
    pthread_t thread;
    int rc = bide_port_open("127.0.0.1", 0, &opts, &run->port);
    if (rc < 0 || pipe(to) < 0 || pipe(from) < 0)
        return rc;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        be_clients(run, to[0], from[1]);
    struct watch watching = {.run = run, .told = from[0], .tells = to[1]};
    pthread_create(&thread, NULL, watch, &watching);
    rc = bide_run_workers_with(NULL, run->n_workers, serves, run);
    pthread_join(thread, NULL);
    waitpid(pid, NULL, 0);
    printf("%-7s staying", ways[way]);
    for (unsigned i = 0; i < run->n_workers; i++)
        printf(" %4d", run->staying[i]);
    printf("   short");
    for (unsigned i = 0; i < run->n_workers; i++)
        printf(" %5d", run->n_begun[i] - run->staying[i]);
    printf("   %.1f us of CPU each\n", watching.cpu * 1e6 / run->n_short);
    bide_port_unref(run->port);
    close(to[0]), close(to[1]), close(from[0]), close(from[1]);
    return rc;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int way = 0; way < 2; way++) {
        struct run run = {.n_workers = argc > 1 ? (unsigned)atoi(argv[1]) : 2,
                          .n_staying = argc > 2 ? atoi(argv[2]) : 8,
                          .n_short = argc > 3 ? atoi(argv[3]) : 4000};
        int rc = measure((enum bide_port_way)way, &run);
        if (rc < 0) {
            fprintf(stderr, "%s: %s\n", ways[way], bide_strerror(rc));
            return 1;
        }
    }
    return 0;
}
