/*
 * The handle of a task or future: what lives as long as somebody may ask for the result.
 *
 * Invariants
 *  - `refs` counts the owned handles, and one more for the loop while the task is unfinished (for a
 * future: for its promise).
 *  - `coro` is set exactly while a task is unfinished. The loop's structure outlives its handles,
 * closed.
 *  - Waiters are notified in the order in which they were added, exactly once.
 */
#ifndef BIDE_RUNTIME_TASK_H
#define BIDE_RUNTIME_TASK_H

#include "base/list.h"

#include <bide/error.h>
#include <bide/task.h>

#include <errno.h>

struct bide__coro;
struct bide__slab;

/* Somebody who wants to know that a task is done; lies in its owner. */
struct bide__waiter {
    struct bide__list node;
    /* The waiter is out of the list by then. Runs inside the end of the task: makes things ready,
     * runs no user code. */
    void (*notify)(struct bide__waiter *waiter, bide_task *task);
};

struct bide_task {
    bide_loop *loop;
    union {
        struct bide__coro *coro;
        bide_task *cached; /* the next unused handle, in the loop's cache */
    };
    struct bide__list waiters;
    const struct bide_place *place;
    struct bide__task_words *words; /* NULL: it has none */
    int result;
    unsigned refs;
    uint32_t ended; /* the loop's count of ends, for the order of completion */
    uint64_t number;
    bool done;
    bool read;    /* somebody saw the result */
    bool future;  /* has a promise instead of a body */
    bool slabbed; /* lies in the loop's slab */
};

struct bide__task_words {
    char *name;   /* NULL until asked for: Task-N */
    char *detail; /* words about detail_error */
    int detail_error;
};

/* NULL if it has none. */
static inline char *bide__task_detail(const bide_task *task)
{
    return task->words ? task->words->detail : NULL;
}

static inline char *bide__task_name(const bide_task *task)
{
    return task->words ? task->words->name : NULL;
}

/* The error that its words are about; 0 if it never had any. */
static inline int bide__task_detail_error(const bide_task *task)
{
    return task->words ? task->words->detail_error : 0;
}

/* Made if need be; NULL without memory. */
struct bide__task_words *bide__task_words(bide_task *task);

/* Takes `words`, which may be NULL; without memory there are none. */
void bide__task_set_detail(bide_task *task, int error, char *words);
/* Gives them away: NULL if it has none. */
char *bide__task_take_detail(bide_task *task);

bide_task *bide__task_new(bide_loop *loop, const struct bide_place *place);
/* The same in a slab that lives as long as the loop's handles. */
bide_task *bide__task_new_in(bide_loop *loop, const struct bide_place *place,
                             struct bide__slab *slab);
void bide__task_unref(bide_task *task);

/* Sets the result and notifies everybody. */
void bide__task_finish(bide_task *task, int result);
/* The result of a done task into the caller's hands: marks it read, moves its words to the current
 * task, takes the handle. */
int bide__task_take(bide_task *task);

static inline void bide__task_wait(bide_task *task, struct bide__waiter *waiter)
{
    bide__list_append(&task->waiters, &waiter->node);
}

/* Why the current task can't wait for this one: -EXDEV, -EDEADLK; or 0. */
int bide__task_awaitable(bide_task *task, struct bide__coro *coro);

/* Leaves words for bide_error_detail(); without memory there are none. Takes `words`, which may be
 * NULL. */
void bide__detail_take(int error, char *words);
/* The same with a format. */
BIDE_EXPORT void bide__detail_set(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The words of bide_error_detail() if they are about this error, otherwise "". */
const char *bide__detail_of(int error);

#endif
