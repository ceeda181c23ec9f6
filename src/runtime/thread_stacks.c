/*
 * The pool of a thread without a loop. Nobody tells it of idle moments, so it gives memory back
 * when many stacks are unused.
 */
#include "runtime/thread_stacks.h"

#include "runtime/coro.h"

enum { KEPT_MAX = 64, KEPT_MIN = 16 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* for its destructor */
static int key_error;
static _Thread_local struct bide__stack_pool *stacks;

static void pool_free(void *pool)
{
    stacks = NULL;
    bide__coro_disarm_thread();
    if (bide__stack_pool_held(pool) == 0)
        bide__stack_pool_free(pool);
}

static void key_make(void)
{
    key_error = -pthread_key_create(&key, pool_free);
}

int bide__thread_stacks(struct bide__stack_pool **ret_pool)
{
    if (!stacks) {
        struct bide__stack_pool *pool = NULL;
        pthread_once(&once, key_make);
        int rc = key_error;
        if (rc == 0)
            rc = bide__stack_pool_new(0, &pool);
        if (rc < 0)
            return rc;
        rc = bide__coro_arm_thread();
        if (rc == 0 && (rc = -pthread_setspecific(key, pool)) < 0)
            bide__coro_disarm_thread();
        if (rc < 0) {
            bide__stack_pool_free(pool);
            return rc;
        }
        stacks = pool;
    }
    *ret_pool = stacks;
    return 0;
}

void bide__thread_stack_put(struct bide__stack_pool *pool, struct bide__stack stack)
{
    bide__stack_put(pool, stack);
    if (bide__stack_pool_cached(pool) > KEPT_MAX)
        bide__stack_pool_trim(pool, KEPT_MIN);
}
