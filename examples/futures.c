/* A future: a result that something other than a coroutine delivers, here a timer's callback. */
#include <bide.h>

#include <errno.h>
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

/* Returns the future of a result that comes in a moment; NULL without memory. */
static bide_future *make_request(void)
{
    bide_promise *promise;
    bide_future *future;
    if (bide_future_new(NULL, &promise, &future) < 0)
        return NULL;
    int rc = bide_loop_call_later(bide_loop_current(), 0.01, deliver, promise, free_promise, NULL);
    if (rc < 0)
        bide_promise_free(promise); /* and so the future is cancelled */
    return future;
}

/* The side that delivers sees whether it still has to. */
static void fail(bide_promise *promise, const char *why)
{
    if (bide_task_done(bide_promise_future(promise)))
        printf("no use in saying: %s\n", why);
    else
        bide_promise_set(promise, -EHOSTUNREACH, why);
}

bide_async(amain)
{
    char text[80];
    bide_future *future = make_request();
    if (!future)
        return 1;
    int result;
    printf("done? %s\n", bide_task_done(future) ? "yes" : "no");
    printf("too early: %s\n", bide_strerror(bide_task_result(future, &result)));
    int rc = bide_wait(&future, 1, BIDE_ALL_COMPLETED);
    bide_task_print(future, text, sizeof text);
    printf("done? %s: %s\n", rc == 1 ? "yes" : "no", text);
    printf("awaited: %d\n", bide_await(future));

    bide_promise *promise;
    rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    bide_promise_set(promise, 1, NULL);
    printf("set twice: %s\n", bide_strerror(bide_promise_set(promise, 2, NULL)));
    bide_promise_free(promise);
    printf("the first one counts: %d\n", bide_await(future));

    rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    bide_promise_free(promise); /* nobody is left who could deliver */
    printf("a broken promise: %s\n", bide_strerror(bide_await(future)));

    rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    fail(promise, "nobody is at home");
    printf("an error with words: %s", bide_task_detail(future));
    printf(": %s\n", bide_strerror(bide_await(future)));
    fail(promise, "still nobody");
    bide_promise_free(promise);
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
