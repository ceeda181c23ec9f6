/* Functions with their arguments, to be called later. Invariant: one is never changed; every call
 * and every task works on values or copies of the arguments. */
#include <bide/callable.h>

#include "runtime/launch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bide_callable {
    struct bide__launch launch;
    max_align_t arguments[];
};

void *bide__bind(const struct bide__launch *launch)
{
    bide_callable *callable = malloc(sizeof *callable + launch->arguments_size);
    if (!callable)
        return NULL;
    callable->launch = *launch;
    callable->launch.arguments = callable->arguments;
    if (launch->arguments_size > 0)
        memcpy(callable->arguments, launch->arguments, launch->arguments_size);
    return callable;
}

int bide_call(const bide_callable *callable)
{
    if (!callable)
        return -ENOMEM;
    return callable->launch.entry((void *)callable->launch.arguments);
}

bide_task *bide_spawn_callable(const bide_callable *callable, const struct bide_task_opts *opts)
{
    if (!callable)
        return NULL;
    const struct bide__launch *launch = &callable->launch;
    return bide__launch(BIDE__HOW_SPAWN, NULL, opts, launch->place, launch->entry,
                        launch->arguments, launch->arguments_size);
}

void bide_callable_free(bide_callable *callable)
{
    free(callable);
}
