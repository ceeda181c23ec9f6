/* A queue between a thread that blocks and a task that suspends. */
#include <bide.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>

static void *produce(void *data)
{
    bide_thread_queue *queue = data;
    int rc = 0;
    for (int i = 1; i <= 5 && rc == 0; i++)
        rc = bide_thread_queue_put_threadsafe(queue, &i, INFINITY); /* waits while it is full */
    bide_thread_queue_shutdown(queue, BIDE_DRAIN);
    bide_thread_queue_unref(queue);
    return NULL;
}

bide_async(consume, (bide_thread_queue *, queue))
{
    int number, rc;
    while ((rc = bide_thread_queue_get(queue, &number)) == 0)
        printf("the task got %d\n", number);
    printf("%zu left: %s\n", bide_thread_queue_size(queue), bide_strerror(rc));
    printf("nothing to get: %s\n", bide_strerror(bide_thread_queue_get_nowait(queue, &number)));
    return 0;
}

int main(void)
{
    bide_thread_queue *queue;
    pthread_t thread;
    struct bide_thread_queue_opts opts = {.capacity = 2};
    if (bide_thread_queue_new(sizeof(int), &opts, &queue) < 0)
        return 1;
    int rc = pthread_create(&thread, NULL, produce, bide_thread_queue_ref(queue));
    if (rc != 0)
        return 1;
    rc = bide_run(consume, queue);
    pthread_join(thread, NULL);
    bide_thread_queue_unref(queue);
    return rc;
}
