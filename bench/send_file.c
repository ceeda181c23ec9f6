/*
 * Files and relays beside raw loops: processor time of the sending or relaying thread alone; a
 * process of its own reads, and one more sends what is relayed.
 *
 *     send_file        files of 64 KiB and 1 MiB by sendfile(2) and bide_stream_send_file(),
 *                      a relay by read and write, by splice(2) and bide_relay()
 */
#include <bide.h>

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KIB = 1024, MIB = 1024 * KIB, ROUNDS = 9, BYTES = 256 * MIB, RELAYED = 256 * MIB };

static char memory[MIB];

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void connection(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(listener, (struct sockaddr *)&address, length) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(connect(fds[0], (struct sockaddr *)&address, length) == 0, "connect");
    fds[1] = accept(listener, NULL, NULL);
    check(fds[1] >= 0, "accept");
    close(listener);
}

/* A process that reads all that comes to `fd`, and has nothing else of ours. */
static pid_t reader(int fd, int other)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(other);
        while (read(fd, memory, sizeof memory) > 0)
            ;
        _exit(0);
    }
    close(fd);
    return pid;
}

static pid_t writer(int fd, int other, int64_t size)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(other);
        for (int64_t n = 0; n < size;) {
            ssize_t w = write(fd, memory, 64 * KIB);
            if (w <= 0)
                _exit(1);
            n += w;
        }
        _exit(0);
    }
    close(fd);
    return pid;
}

static void wait_for(int fd, short events)
{
    struct pollfd state = {.fd = fd, .events = events};
    poll(&state, 1, -1);
}

static void set_flags(int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void raw_files(int fd, int file, int64_t size, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        off_t at = 0;
        while (at < size) {
            ssize_t sent = sendfile(fd, file, &at, (size_t)(size - at));
            if (sent < 0 && errno == EAGAIN)
                wait_for(fd, POLLOUT);
            else
                check(sent > 0, "sendfile");
        }
    }
}

static bide_async(send_files, (int, fd), (const char *, path), (int64_t, size), (int64_t, n),
                  (struct bench *, bench))
{
    bide_stream *stream;
    bide_file *file;
    int rc = bide_stream_adopt(fd, NULL, &stream);
    if (rc == 0)
        rc = bide_file_open(path, O_RDONLY, 0, &file);
    if (rc < 0)
        return rc;
    bench_begin(bench);
    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = bide_stream_send_file(stream, file, 0, size) == size ? 0 : -EIO;
    bench_end(bench, (double)n);
    bide_file_close(file);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

static void bench_files(const char *path, int file, int64_t size, const char *name)
{
    struct bench raw = {.name = "raw sendfile"};
    struct bench ours = {.name = "bide_stream_send_file"};
    int64_t n = BYTES / size;
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        connection(fds);
        pid_t pid = reader(fds[1], fds[0]);
        set_flags(fds[0]);
        bench_begin(&raw);
        raw_files(fds[0], file, size, n);
        bench_end(&raw, (double)n);
        close(fds[0]);
        waitpid(pid, NULL, 0);
        connection(fds);
        pid = reader(fds[1], fds[0]);
        check(bide_run_with(NULL, send_files, fds[0], path, size, n, &ours) == 0, "send_files");
        waitpid(pid, NULL, 0);
    }
    printf("%s, one file\n", name);
    bench_print(&raw);
    bench_print(&ours);
    printf("  ratio %.2f\n", bench_median(&raw) / bench_median(&ours));
}

static void raw_copy(int from, int to)
{
    ssize_t n;
    while ((n = read(from, memory, 64 * KIB)) != 0) {
        if (n < 0) {
            wait_for(from, POLLIN);
            continue;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, memory + done, (size_t)(n - done));
            if (w < 0)
                wait_for(to, POLLOUT);
            else
                done += w;
        }
    }
}

static void raw_splice(int from, int to)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    int ends[2];
    ssize_t n;
    check(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2");
    while ((n = splice(from, NULL, ends[1], NULL, 64 * KIB, flags)) != 0) {
        if (n < 0) {
            wait_for(from, POLLIN);
            continue;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t w = splice(ends[0], NULL, to, NULL, (size_t)(n - done), flags);
            if (w < 0)
                wait_for(to, POLLOUT);
            else
                done += w;
        }
    }
    close(ends[0]);
    close(ends[1]);
}

static bide_async(relay, (int, from), (int, to), (struct bench *, bench))
{
    bide_stream *streams[2];
    int rc = bide_stream_adopt(from, NULL, &streams[0]);
    if (rc == 0)
        rc = bide_stream_adopt(to, NULL, &streams[1]);
    if (rc < 0)
        return rc;
    bench_begin(bench);
    int64_t n = bide_relay(streams[0], streams[1], BIDE_TO_THE_END);
    bench_end(bench, (double)RELAYED / MIB);
    bide_close(streams[0]);
    bide_close(streams[1]);
    return n == RELAYED ? 0 : -EIO;
}

static void bench_relays(void)
{
    enum { COPY, SPLICE, OURS, KINDS };
    struct bench benches[KINDS] = {
        {.name = "raw read and write"}, {.name = "raw splice"}, {.name = "bide_relay"}};
    for (int round = 0; round < ROUNDS * KINDS; round++) {
        int in[2];
        int out[2];
        struct bench *bench = &benches[round % KINDS];
        connection(in);
        connection(out);
        pid_t pids[2] = {writer(in[0], in[1], RELAYED), reader(out[1], out[0])};
        set_flags(in[1]);
        set_flags(out[0]);
        if (round % KINDS == OURS) {
            check(bide_run_with(NULL, relay, in[1], out[0], bench) == 0, "relay");
        } else {
            bench_begin(bench);
            if (round % KINDS == COPY)
                raw_copy(in[1], out[0]);
            else
                raw_splice(in[1], out[0]);
            bench_end(bench, (double)RELAYED / MIB);
            close(in[1]);
            close(out[0]);
        }
        waitpid(pids[0], NULL, 0);
        waitpid(pids[1], NULL, 0);
    }
    printf("a relay, 1 MiB\n");
    for (int i = 0; i < KINDS; i++)
        bench_print(&benches[i]);
    printf("  beside copying %.2f, beside splice %.2f\n",
           bench_median(&benches[COPY]) / bench_median(&benches[OURS]),
           bench_median(&benches[SPLICE]) / bench_median(&benches[OURS]));
}

int main(void)
{
    char path[] = "/tmp/bide-bench-XXXXXX";
    int file = mkstemp(path);
    signal(SIGPIPE, SIG_IGN);
    check(file >= 0 && write(file, memory, sizeof memory) == sizeof memory, "file");
    bench_files(path, file, 64 * KIB, "64 KiB");
    bench_files(path, file, MIB, "1 MiB");
    bench_relays();
    unlink(path);
    close(file);
    return 0;
}
