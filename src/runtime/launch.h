/* What the spawning macros hand over, and who receives it. */
#ifndef BIDE_RUNTIME_LAUNCH_H
#define BIDE_RUNTIME_LAUNCH_H

#include <bide/async.h>

struct bide__launch {
    const struct bide_place *place;
    const struct bide_task_opts *opts;
    int (*entry)(void *arguments);
    const void *arguments;
    size_t arguments_size;
};

/* A task in state created; NULL without memory or if the loop takes none. */
struct bide__coro *bide__launch_coro(bide_loop *loop, const struct bide__launch *launch);

/* The same for a loop's main task: on a stack of its own unless it says otherwise. */
struct bide__coro *bide__launch_main(bide_loop *loop, const struct bide__launch *launch);

/* The handle is the group's; NULL with the group's spawn_error set. */
void *bide__group_launch(bide_group *group, const struct bide__launch *launch);
/* Returns a bide_remote. */
void *bide__remote_launch(bide_remote *target, const struct bide__launch *launch);
/* Makes a loop as well. Returns the main task; NULL with the error kept for bide__run_result(). */
void *bide__run_launch(const struct bide_loop_opts *opts, const struct bide__launch *launch);
struct bide__workers_plan;
/* Runs the main task and closes its loop; `ended`, if any, is called between the two. Takes the
 * task. Returns its result. */
int bide__run_main(bide_task *task, void (*ended)(void *data, int result), void *data);
/* Runs workers to their end. Returns NULL; the result is in the plan. */
void *bide__workers_launch(struct bide__workers_plan *plan, const struct bide__launch *launch);
/* Returns a bide_callable. */
void *bide__bind(const struct bide__launch *launch);

#endif
