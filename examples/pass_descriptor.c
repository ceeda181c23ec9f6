/* A parent opens what its child may not: it passes a file and a listening socket over a Unix
 * socket, and the child uses them. */
#include <bide.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

bide_async(child, (int, fd))
{
    bide_stream *parent;
    char order[32];
    int opened[2];
    struct bide_fds fds = {.fds = opened, .size = 2};
    int rc = bide_stream_adopt(fd, NULL, &parent);
    if (rc < 0)
        return rc;
    int n = bide_stream_receive_fds(parent, order, sizeof order, &fds);
    if (n > 0)
        printf("child: \"%.*s\" came with %zu descriptors\n", n, order, fds.n);
    if (n > 0 && fds.n == 2) {
        char line[32];
        ssize_t size = pread(opened[0], line, sizeof line, 0);
        printf("child: the file says \"%.*s\"\n", (int)size, line);
        int listens = 0;
        getsockopt(opened[1], SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof listens});
        printf("child: the socket %s\n", listens ? "listens" : "is no listener");
    }
    for (size_t i = 0; i < fds.n; i++)
        close(opened[i]);
    rc = bide_close(parent);
    return n < 0 ? n : rc;
}

bide_async(parent, (int, fd), (FILE *, file), (int, listener))
{
    bide_stream *stream;
    int rc = bide_stream_adopt(fd, NULL, &stream);
    if (rc < 0)
        return rc;
    int fds[] = {fileno(file), listener};
    rc = bide_stream_send_fds(stream, "serve these", 11, fds, 2);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

int main(void)
{
    int ends[2];
    FILE *file = tmpfile();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!file || listener < 0 || listen(listener, 8) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return 1;
    fputs("only the parent may open me", file);
    fflush(file);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        fclose(file);
        close(listener);
        exit(bide_run(child, ends[1]));
    }
    close(ends[1]);
    int rc = pid < 0 ? 1 : bide_run(parent, ends[0], file, listener);
    int status = 1;
    waitpid(pid, &status, 0);
    printf("parent: the child has ended with %d\n", WEXITSTATUS(status));
    fclose(file);
    close(listener);
    return rc;
}
