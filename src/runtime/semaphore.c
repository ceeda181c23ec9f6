/* Semaphores. Invariant: nobody waits in the line while a permit is free. */
#include "runtime/line.h"

#include <bide/semaphore.h>

static const struct bide__wait_kind semaphore_wait = {.name = "semaphore",
                                                      .interrupt = bide__line_interrupt};

int bide_semaphore_init(bide_semaphore *semaphore, size_t n)
{
    if (!semaphore)
        return -EINVAL;
    *semaphore = (bide_semaphore)BIDE_SEMAPHORE(n);
    return 0;
}

int bide_semaphore_init_bounded(bide_semaphore *semaphore, size_t n)
{
    if (!semaphore)
        return -EINVAL;
    *semaphore = (bide_semaphore)BIDE_BOUNDED_SEMAPHORE(n);
    return 0;
}

static bool semaphore_take(bide_semaphore *semaphore)
{
    if (semaphore->value == 0)
        return false;
    semaphore->value--;
    return true;
}

int bide_semaphore_acquire(bide_semaphore *semaphore)
{
    struct bide__coro *coro;
    if (!semaphore)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0 || semaphore_take(semaphore))
        return rc;
    rc = bide__lend(coro, semaphore);
    if (rc < 0)
        return rc;
    return bide__line_wait(&semaphore->line, coro, &semaphore_wait, semaphore);
}

int bide_semaphore_try(bide_semaphore *semaphore)
{
    if (!semaphore)
        return -EINVAL;
    return semaphore_take(semaphore) ? 0 : -EAGAIN;
}

int bide_semaphore_release(bide_semaphore *semaphore)
{
    if (!semaphore)
        return -EINVAL;
    if (semaphore->value >= (semaphore->bounded ? semaphore->limit : SIZE_MAX))
        return -EOVERFLOW;
    if (!bide__line_give(&semaphore->line, 0))
        semaphore->value++;
    return 0;
}

size_t bide_semaphore_value(const bide_semaphore *semaphore)
{
    return semaphore ? semaphore->value : 0;
}
