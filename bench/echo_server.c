/*
 * bide's echo server for bench/echo.py: the same report as the raw loops. A task per connection,
 * which reads and writes.
 *
 *     echo_server [-k cpu] [-s message-bytes]      BIDE_ENGINE chooses the engine
 */
#include <bide.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static double n_bytes;

static int echo(bide_stream *stream, void *data)
{
    /* A full buffer says nothing, and costs a read more (docs/decisions/full-reads.md): as in the
     * raw loops there is room behind the largest message, of 16 KiB. */
    char buffer[20 * 1024];
    int n;
    (void)data;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0) {
        n_bytes += n;
        int rc = bide_write(stream, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static int stop(void *server)
{
    bide_server_close(server);
    return 0;
}

bide_async(serve)
{
    bide_server *server;
    int rc = bide_serve("127.0.0.1", 0, echo, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, stop, server, NULL);
    printf("listening on %u\n", bide_server_port(server));
    fflush(stdout);
    rc = bide_server_forever(server);
    bide_server_free(server);
    return rc;
}

static void report(double message_bytes)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double user_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    double cpu_s = user_s + (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    double n = n_bytes / message_bytes;
    printf("requests %.0f cpu_s %.3f user_s %.3f requests_per_cpu_s %.0f\n", n, cpu_s, user_s,
           cpu_s > 0 ? n / cpu_s : 0);
}

int main(int argc, char **argv)
{
    double message_bytes = 64;
    for (int option; (option = getopt(argc, argv, "k:s:")) != -1;) {
        cpu_set_t set;
        CPU_ZERO(&set);
        if (option == 'k') {
            CPU_SET((size_t)atoi(optarg), &set);
            sched_setaffinity(0, sizeof set, &set);
        } else if (option == 's') {
            message_bytes = atof(optarg);
        } else {
            return 2;
        }
    }
    int status = bide_run(serve);
    report(message_bytes);
    return status;
}
