/* A descriptor that is none of bide's: a task waits until it can be read, and reads itself. */
#include <bide.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bide_async(listener, (int, fd))
{
    char text[32];
    for (;;) {
        ssize_t n = read(fd, text, sizeof text - 1);
        if (n < 0 && errno == EAGAIN) {
            int rc = bide_wait_readable(fd);
            if (rc < 0)
                return rc;
        } else if (n <= 0) {
            printf("the end\n");
            return n < 0 ? -errno : 0;
        } else {
            text[n] = '\0';
            printf("heard: %s\n", text);
        }
    }
}

bide_async(amain)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return -errno;
    bide_task *task = bide_spawn(listener, ends[0]);
    int rc = 0;
    for (int i = 1; i <= 3 && rc == 0; i++) {
        rc = bide_wait_writable(ends[1]);
        if (rc == 0 && dprintf(ends[1], "line %d", i) < 0)
            rc = -errno;
        if (rc == 0)
            rc = bide_sleep(0.01);
    }
    close(ends[1]);
    int heard = bide_await(task);
    close(ends[0]);
    return rc < 0 ? rc : heard;
}

int main(void)
{
    return bide_run(amain);
}
