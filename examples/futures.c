/* A future: a result that something other than a coroutine delivers, here a timer's callback. */
#include <bide.h>

#include <stdio.h>

static int deliver(void *promise)
{
    printf("the callback delivers\n");
    return bide_promise_set(promise, 42, NULL);
}

static void free_promise(void *promise)
{
    bide_promise_free(promise);
}

static void told(bide_future *future, void *data)
{
    int result;
    (void)data;
    if (bide_task_result(future, &result) == 0)
        printf("the done callback sees %d\n", result);
}

bide_async(amain)
{
    bide_promise *promise;
    bide_future *future;
    int rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    int result;
    printf("too early: %s\n", bide_strerror(bide_task_result(future, &result)));
    bide_task_add_done_callback(future, told, NULL, NULL);
    bide_loop_call_later(bide_loop_current(), 0.01, deliver, promise, free_promise, NULL);
    printf("awaited: %d\n", bide_await(future));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
