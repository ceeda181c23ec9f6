/* A bide loop inside of somebody else's, such as that of a window toolkit: here it is a few lines
 * around poll(2), with a button at the other end of a pipe.
 */
#include <bide.h>

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

BIDE_QUEUE_DEFINE(presses, const char *);

static presses *queue;

/* After each press it presses again itself, some time later. */
bide_async(serves_the_button, (int, button), (const char *, keys))
{
    const char *what;
    int n = 0;
    while (presses_get(queue, &what) == 0) {
        printf("a task hears of: %s\n", what);
        int rc = bide_sleep(0.01); /* the toolkit goes on meanwhile */
        if (rc == 0 && write(button, &keys[n++], 1) < 0)
            rc = -errno;
        if (rc < 0)
            return rc;
    }
    return n;
}

/* How many milliseconds the other loop may wait. */
static int milliseconds(double seconds)
{
    return isinf(seconds) ? -1 : seconds > 0 ? (int)(seconds * 1e3) + 1 : 0;
}

/* Runs until the task is done. */
static int toolkit_run(bide_loop *loop, const bide_task *task, int button)
{
    while (!bide_task_done(task)) {
        double seconds;
        int fd = bide_loop_fd(loop, &seconds);
        if (fd < 0)
            return fd;
        struct pollfd entries[] = {{.fd = fd, .events = POLLIN}, {.fd = button, .events = POLLIN}};
        int n = poll(entries, 2, milliseconds(seconds));
        if (n < 0 && errno != EINTR)
            return -errno;
        char key = 0;
        if (n > 0 && entries[1].revents && read(button, &key, 1) == 1)
            printf("the toolkit sees: %c\n", key);
        if (key == 'p')
            presses_put_nowait(queue, "a press of the button");
        if (key == 'q')
            presses_shutdown(queue, BIDE_DRAIN);
        bide_loop_stop(loop); /* so that the next call runs one turn, and does not wait */
        int rc = bide_loop_run_forever(loop);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int main(void)
{
    bide_loop *loop;
    int fds[2];
    if (bide_loop_new(NULL, &loop) < 0 || pipe(fds) < 0)
        return 1;
    if (presses_new(NULL, &queue) < 0)
        return 1;
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, serves_the_button, fds[1], "pq");
    if (!task || write(fds[1], "p", 1) != 1)
        return 1;
    int rc = toolkit_run(loop, task, fds[0]);
    printf("the toolkit ends: %s\n", bide_strerror(rc));
    printf("presses: %d\n", bide_loop_run_until_complete(loop, task));
    presses_free(queue);
    close(fds[0]);
    close(fds[1]);
    return bide_loop_close(loop) < 0;
}
