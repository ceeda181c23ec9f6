/*
 * Handles of tasks and futures: names, results, callbacks, printed forms. The invariants stand in
 * task.h.
 */
#include "runtime/task.h"

#include "runtime/copied.h"
#include "runtime/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHED_MAX = 1024 };

static bide_task *task_init(bide_task *task, bide_loop *loop, const struct bide_place *place)
{
    *task = (bide_task){
        .loop = loop,
        .place = place,
        .refs = 1,
        .number = ++loop->n_tasks_named,
    };
    loop->n_tasks_held++;
    bide__list_init(&task->waiters);
    return task;
}

bide_task *bide__task_new(bide_loop *loop, const struct bide_place *place)
{
    bide_task *task = loop->task_cache;
    if (task) {
        loop->task_cache = task->cached;
        loop->n_task_cache--;
    } else if (!(task = malloc(sizeof *task))) {
        return NULL;
    }
    return task_init(task, loop, place);
}

bide_task *bide__task_new_in(bide_loop *loop, const struct bide_place *place,
                             struct bide__slab *slab)
{
    bide_task *task = bide__slab_take(slab, sizeof *task);
    if (!task)
        return NULL;
    task_init(task, loop, place);
    task->slabbed = true;
    return task;
}

struct bide__task_words *bide__task_words(bide_task *task)
{
    if (!task->words)
        task->words = calloc(1, sizeof *task->words);
    return task->words;
}

void bide__task_set_detail(bide_task *task, int error, char *words)
{
    struct bide__task_words *all = words ? bide__task_words(task) : task->words;
    if (!all) {
        free(words);
        return;
    }
    free(all->detail);
    all->detail = words;
    all->detail_error = error;
}

char *bide__task_take_detail(bide_task *task)
{
    char *words = bide__task_detail(task);
    if (words)
        task->words->detail = NULL;
    return words;
}

static void words_free(struct bide__task_words *words)
{
    free(words->name);
    free(words->detail);
    free(words);
}

void bide__task_unref(bide_task *task)
{
    if (--task->refs > 0)
        return;
    if (task->result < 0 && !task->read && !bide_task_cancelled(task))
        bide__report_task(task, "task failed and nobody read its result", task->result);
    bide_loop *loop = task->loop;
    if (task->words)
        words_free(task->words);
    if (task->slabbed) {
        bide__slab_give(&loop->copied->slab, task);
    } else if (loop->closed || loop->n_task_cache >= CACHED_MAX) {
        free(task);
    } else {
        task->cached = loop->task_cache;
        loop->task_cache = task;
        loop->n_task_cache++;
    }
    loop->n_tasks_held--;
    bide__loop_free_unused(loop);
}

void bide__task_finish(bide_task *task, int result)
{
    task->result = result;
    task->done = true;
    task->ended = ++task->loop->n_tasks_ended;
    if (task->words && (result >= 0 || task->words->detail_error != result))
        free(bide__task_take_detail(task));
    struct bide__list *node;
    while ((node = bide__list_pop(&task->waiters))) {
        struct bide__waiter *waiter = bide__container(node, struct bide__waiter, node);
        waiter->notify(waiter, task);
    }
}

int bide__task_take(bide_task *task)
{
    int result = task->result;
    task->read = true;
    if (bide__task_detail(task) || !bide__coro_current()) {
        const char *detail = bide__task_detail(task);
        bool is_last = task->refs == 1 || !detail;
        bide__detail_take(result, is_last ? bide__task_take_detail(task) : strdup(detail));
    }
    bide__task_unref(task);
    return result;
}

void bide_detach(bide_task *task)
{
    if (!task)
        return;
    if (task->coro && task->coro->created && task->refs == 2)
        bide__coro_abandon(task->coro);
    bide__task_unref(task);
}

bide_task *bide_retain(bide_task *task)
{
    if (task)
        task->refs++;
    return task;
}

int bide_start(bide_task *task)
{
    if (!task)
        return -EINVAL;
    if (!task->coro || !task->coro->created)
        return 0;
    bide__coro_start(task->coro);
    return 1;
}

bool bide_task_done(const bide_task *task)
{
    return !task || task->done;
}

bool bide_task_cancelled(const bide_task *task)
{
    return task && task->done && task->result == -ECANCELED;
}

int bide_task_result(bide_task *task, int *ret_result)
{
    if (!task || !ret_result)
        return -EINVAL;
    if (!task->done)
        return -BIDE_ENOTDONE;
    task->read = true;
    *ret_result = task->result;
    return 0;
}

const char *bide_task_detail(const bide_task *task)
{
    return task && task->done && bide__task_detail(task) ? bide__task_detail(task) : "";
}

enum bide_task_state bide_task_state(const bide_task *task)
{
    if (!task || task->done)
        return BIDE_TASK_DONE;
    const struct bide__coro *coro = task->coro;
    if (!coro)
        return BIDE_TASK_WAITING;
    if (coro->created)
        return BIDE_TASK_CREATED;
    if (coro->loop->current == coro)
        return BIDE_TASK_RUNNING;
    return coro->wait && !coro->wait->queued ? BIDE_TASK_WAITING : BIDE_TASK_SCHEDULED;
}

const char *bide_task_name(bide_task *task)
{
    if (!task)
        return "";
    struct bide__task_words *words = bide__task_words(task);
    if (!words)
        return "Task";
    if (!words->name && asprintf(&words->name, "%s-%llu", task->future ? "Future" : "Task",
                                 (unsigned long long)task->number) < 0)
        words->name = NULL;
    return words->name ? words->name : "Task";
}

int bide_task_set_name(bide_task *task, const char *name)
{
    if (!task || !name)
        return -EINVAL;
    struct bide__task_words *words = bide__task_words(task);
    char *copy = words ? strdup(name) : NULL;
    if (!copy)
        return -ENOMEM;
    free(words->name);
    words->name = copy;
    return 0;
}

const struct bide_place *bide_task_place(const bide_task *task)
{
    return task ? task->place : NULL;
}

static const char *state_word(const bide_task *task)
{
    static const char *const words[] = {
        [BIDE_TASK_CREATED] = "created",
        [BIDE_TASK_SCHEDULED] = "scheduled",
        [BIDE_TASK_RUNNING] = "running",
        [BIDE_TASK_WAITING] = "pending",
    };
    if (!task->done)
        return words[bide_task_state(task)];
    return bide_task_cancelled(task) ? "cancelled" : "finished";
}

/* Allocates nothing: a test that hangs has its tasks printed from a signal handler. */
int bide_task_print(bide_task *task, char *buffer, size_t size)
{
    if (!task)
        return snprintf(buffer, size, "<Task NULL>");
    char outcome[192] = "";
    if (task->done && task->result >= 0)
        snprintf(outcome, sizeof outcome, " result=%d", task->result);
    else if (task->done && task->result != -ECANCELED)
        snprintf(outcome, sizeof outcome, " error=%d (%s)", task->result,
                 bide_strerror(task->result));
    else if (!task->done && task->coro && task->coro->wait)
        snprintf(outcome, sizeof outcome, " wait=%s", bide__wait_name(task->coro));
    if (task->future)
        return snprintf(buffer, size, "<Future %s%s>", state_word(task), outcome);
    char number[32];
    snprintf(number, sizeof number, "Task-%llu", (unsigned long long)task->number);
    return snprintf(buffer, size, "<Task %s name='%s' coro=%s%s>", state_word(task),
                    bide__task_name(task) ? bide__task_name(task) : number, task->place->coroutine,
                    outcome);
}

bide_task *bide_current_task(void)
{
    struct bide__coro *coro = bide__coro_current();
    return coro ? coro->task : NULL;
}

size_t bide_all_tasks(bide_loop *loop, bide_task **ret_tasks, size_t size)
{
    size_t n = 0;
    if (!loop)
        loop = bide__loop_running;
    if (!loop || loop->closed)
        return 0;
    bide__list_each(node, &loop->tasks)
    {
        if (n < size)
            ret_tasks[n] = bide__container(node, struct bide__coro, node)->task;
        n++;
    }
    return n;
}

/* Words of code that runs outside tasks. */
static _Thread_local char thread_words[256];
static _Thread_local int thread_words_error;

void bide__detail_take(int error, char *words)
{
    struct bide__coro *coro = bide__coro_current();
    if (coro) {
        bide__task_set_detail(coro->task, error, words);
        return;
    }
    snprintf(thread_words, sizeof thread_words, "%s", words ? words : "");
    thread_words_error = error;
    free(words);
}

void bide__detail_set(int error, const char *format, ...)
{
    char *words = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&words, format, arguments) < 0)
        words = NULL;
    va_end(arguments);
    bide__detail_take(error, words);
}

int bide_fail(int error, const char *format, ...)
{
    char *words = NULL;
    va_list arguments;
    if (error >= 0 || !format)
        return error;
    va_start(arguments, format);
    if (vasprintf(&words, format, arguments) < 0)
        words = NULL;
    va_end(arguments);
    bide__detail_take(error, words);
    return error;
}

const char *bide__detail_of(int error)
{
    const struct bide__coro *coro = bide__coro_current();
    int detail_error = coro ? bide__task_detail_error(coro->task) : thread_words_error;
    return detail_error == error ? bide_error_detail() : "";
}

const char *bide_error_detail(void)
{
    const struct bide__coro *coro = bide__coro_current();
    if (!coro)
        return thread_words;
    const char *detail = bide__task_detail(coro->task);
    return detail ? detail : "";
}
