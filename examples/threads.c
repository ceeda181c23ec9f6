/* A loop in a thread of its own, and work handed to it from outside. */
#include <bide.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>

static int greet(void *text)
{
    printf("called on the loop's thread: %s\n", (const char *)text);
    return 0;
}

bide_async(square, (int, n))
{
    int rc = bide_sleep(0.01);
    return rc < 0 ? rc : n * n;
}

bide_async(forever)
{
    return bide_sleep(INFINITY);
}

bide_async(waits_for, (bide_remote *, task))
{
    return bide_await_threadsafe(task); /* other tasks of this loop go on meanwhile */
}

static int stop(void *loop)
{
    bide_loop_stop(loop);
    return 0;
}

static void *run(void *loop)
{
    bide_loop_run_forever(loop);
    bide_loop_close(loop);
    return NULL;
}

int main(void)
{
    bide_loop *loop;
    pthread_t thread;
    int result = 0;
    if (bide_loop_new(NULL, &loop) < 0)
        return 1;
    bide_remote *remote = bide_loop_remote(loop);
    if (!remote || pthread_create(&thread, NULL, run, loop) != 0)
        return 1;

    bide_call_soon_threadsafe(remote, greet, "hello", NULL);
    bide_remote *task = bide_spawn_threadsafe(remote, square, 7);
    bide_wait_threadsafe(task, INFINITY, &result);
    printf("the coroutine over there returned %d\n", result);
    bide_remote_unref(task);

    task = bide_spawn_threadsafe(remote, forever);
    printf("not done within 10 ms: %s\n", bide_strerror(bide_wait_threadsafe(task, 0.01, &result)));
    bide_cancel_threadsafe(task);
    bide_wait_threadsafe(task, INFINITY, &result);
    printf("cancelled from here: %s\n", bide_strerror(result));
    bide_remote_unref(task);

    task = bide_spawn_threadsafe(remote, square, 8);
    printf("awaited by a task of another loop: %d\n", bide_run_with(NULL, waits_for, task));
    bide_remote_unref(task);

    bide_call_soon_threadsafe(remote, stop, loop, NULL);
    pthread_join(thread, NULL);
    printf("after the loop is closed: %s\n",
           bide_strerror(bide_call_soon_threadsafe(remote, greet, NULL, NULL)));
    bide_remote_unref(remote);
    return 0;
}
