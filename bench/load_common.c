/* The load generator's options, its sockets, and what it measures with: see load.h. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 32 };

static const char *const modes[LOAD_MODES] = {"echo", "line", "http", "connect", "idle"};

void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void fail_unless(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static bool parse_option(struct load_options *options, int option)
{
    double value = optarg ? atof(optarg) : 0;
    switch (option) {
    case 'p':
        options->port = (int)value;
        return value > 0;
    case 'P':
        options->server = (int)value;
        return value > 0;
    case 'c':
        options->n_connections = (int)value;
        return value > 0;
    case 's':
        options->size = (size_t)value;
        return value > 0;
    case 'n':
        options->n_at_once = (unsigned)value;
        return value > 0;
    case 'r':
        options->per_second = value;
        return value > 0;
    case 'd':
        options->seconds = value;
        return value > 0;
    default:
        return false;
    }
}

static bool parse_mode(struct load_options *options, const char *word)
{
    options->mode = LOAD_ECHO;
    while (options->mode < LOAD_MODES && strcmp(modes[options->mode], word) != 0)
        options->mode++;
    return options->mode < LOAD_MODES;
}

void load_parse(struct load_options *options, int argc, char **argv)
{
    *options = (struct load_options){.n_connections = 1, .size = 64, .n_at_once = 1, .seconds = 1};
    bool good = argc > 1 && parse_mode(options, argv[1]);
    optind = 2;
    for (int option; good && (option = getopt(argc, argv, "p:P:c:s:n:r:d:")) != -1;)
        good = parse_option(options, option);
    if (good && optind == argc && options->port > 0 && options->server > 0)
        return;
    fprintf(stderr, "usage: load echo|line|http|connect|idle -p port -P pid [-c connections] "
                    "[-s bytes] [-n at-once] [-r per-second] [-d seconds]\n");
    exit(2);
}

int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    require(clock_gettime(clock, &now) == 0, "clock_gettime");
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int load_connect(const struct load_options *options, int number, int flags)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number % ADDRESSES));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)options->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    require(fd >= 0, "socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    require(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
    int rc = connect(fd, (struct sockaddr *)&to, sizeof to);
    /* A server that says its port just before it listens. */
    for (int i = 0; number == 0 && rc < 0 && errno == ECONNREFUSED && i < 500; i++) {
        usleep(10000);
        rc = connect(fd, (struct sockaddr *)&to, sizeof to);
    }
    require(rc == 0 || errno == EINPROGRESS, "connect");
    return fd;
}

static int64_t server_ns(const struct load_options *options)
{
    clockid_t clock;
    errno = clock_getcpuclockid(options->server, &clock);
    require(errno == 0, "the server's clock");
    return clock_ns(clock);
}

void window_open(struct load_window *window, const struct load_options *options)
{
    window->elapsed_ns = clock_ns(CLOCK_MONOTONIC);
    window->server_ns = server_ns(options);
    window->client_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void window_close(struct load_window *window, const struct load_options *options)
{
    struct load_window now;
    window_open(&now, options);
    window->elapsed_ns = now.elapsed_ns - window->elapsed_ns;
    window->server_ns = now.server_ns - window->server_ns;
    window->client_ns = now.client_ns - window->client_ns;
}

void window_print(const struct load_window *window, uint64_t n_requests,
                  const struct latency *latency)
{
    fail_unless(n_requests > 0 && window->server_ns > 0, "nothing was answered");
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"server_cpu_s\": %.6f, \"client_cpu_s\": %.6f,"
           " \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f}\n",
           (unsigned long long)n_requests, (double)window->elapsed_ns / 1e9,
           (double)window->server_ns / 1e9, (double)window->client_ns / 1e9,
           latency_percentile(latency, 0.5) / 1e3, latency_percentile(latency, 0.99) / 1e3,
           latency_percentile(latency, 0.999) / 1e3);
}

double resident_bytes(int process)
{
    char path[64];
    char line[256];
    double kib = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", process);
    FILE *file = fopen(path, "re");
    require(file != NULL, path);
    while (kib < 0 && fgets(line, sizeof line, file))
        sscanf(line, "Rss: %lf", &kib);
    fclose(file);
    fail_unless(kib >= 0, "no Rss in smaps_rollup");
    return kib * 1024;
}
