/* Starting coroutines: one place where all spawning macros arrive. */
#include "runtime/launch.h"

#include "runtime/coro.h"

struct bide__coro *bide__launch_coro(bide_loop *loop, const struct bide__launch *launch)
{
    if (bide__loop_open(loop) < 0)
        return NULL;
    return bide__coro_new(loop, launch->place, launch->opts, launch->entry, launch->arguments,
                          launch->arguments_size);
}

struct bide__coro *bide__launch_main(bide_loop *loop, const struct bide__launch *launch)
{
    /* Main tasks like to lend their locals to those that they spawn. */
    static const struct bide_task_opts main_opts = {.stack = BIDE_STACK_PRIVATE};
    struct bide__launch whole = *launch;
    if (!whole.opts)
        whole.opts = &main_opts;
    return bide__launch_coro(loop, &whole);
}

static bide_task *spawn(const struct bide__launch *launch, bool start)
{
    bide_loop *loop = launch->opts && launch->opts->loop ? launch->opts->loop : bide__loop_running;
    struct bide__coro *coro = bide__launch_coro(loop, launch);
    if (!coro)
        return NULL;
    if (start)
        bide__coro_start(coro);
    return coro->task;
}

void *bide__launch(enum bide__how how, void *target, const struct bide_task_opts *opts,
                   const struct bide_place *place, int (*entry)(void *), const void *arguments,
                   size_t arguments_size)
{
    struct bide__launch launch = {place, opts, entry, arguments, arguments_size};
    switch (how) {
    case BIDE__HOW_SPAWN:
        return spawn(&launch, true);
    case BIDE__HOW_CREATE:
        return spawn(&launch, false);
    case BIDE__HOW_GROUP:
        return bide__group_launch(target, &launch);
    case BIDE__HOW_REMOTE:
        return bide__remote_launch(target, &launch);
    case BIDE__HOW_RUN:
        return bide__run_launch(target, &launch);
    case BIDE__HOW_BIND:
        return bide__bind(&launch);
    case BIDE__HOW_WORKERS:
        return bide__workers_launch(target, &launch);
    }
    return NULL;
}

struct plain {
    int (*function)(void *);
    void *argument;
};

static int plain_entry(void *arguments)
{
    struct plain *plain = arguments;
    return plain->function(plain->argument);
}

void *bide__launch_fn(enum bide__how how, const struct bide_place *place,
                      const struct bide_task_opts *opts, int (*function)(void *), void *argument)
{
    struct plain plain = {function, argument};
    return bide__launch(how, NULL, opts, place, plain_entry, &plain, sizeof plain);
}
