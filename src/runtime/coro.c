/*
 * Control blocks: made at the top of a stack, run from the ready queue, parked, woken, ended. The
 * invariants stand in coro.h.
 */
#include "runtime/coro.h"

#include "fiber/overflow.h"
#include "runtime/generator.h"
#include "runtime/group.h"
#include "runtime/inspect.h"
#include "runtime/report.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of different stacks start at different offsets, or they would compete for the same few
 * lines of the cache. */
enum { COLOURS = 8, COLOUR_BYTES = 128 };

enum { REFUSED_GIVES_TURN = 2, REFUSED_IS_SPINNING = 100, SPINNING_PAUSE_NS = 10 * 1000 * 1000 };

/* snprintf() may not be called from a signal handler. */
static const char *decimal(int number, char *buffer, size_t size)
{
    char *digit = buffer + size - 1;
    *digit = '\0';
    for (; number > 0 && digit > buffer; number /= 10)
        *--digit = (char)('0' + number % 10);
    return digit;
}

static size_t put_words(char *buffer, size_t size, size_t length, const char *const *parts,
                        size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++)
        for (const char *c = parts[i]; *c && length < size; c++)
            buffer[length++] = *c;
    return length;
}

static size_t describe_task(const struct bide__coro *coro, char *buffer, size_t size, size_t length)
{
    const struct bide_place *place = coro->task->place;
    char digits[16];
    const char *line = decimal(place->line, digits, sizeof digits);
    const char *parts[] = {
        coro->task->name ? coro->task->name : "(unnamed)",
        ", coroutine ",
        place->coroutine,
        ", spawned at ",
        place->file,
        ":",
        line,
        " in ",
        place->function,
    };
    return put_words(buffer, size, length, parts, sizeof parts / sizeof *parts);
}

static size_t describe_generator(const struct bide_place *place, char *buffer, size_t size)
{
    char digits[16];
    const char *line = decimal(place->line, digits, sizeof digits);
    const char *parts[] = {
        "bide: stack overflow in generator ",
        place->coroutine,
        ", made at ",
        place->file,
        ":",
        line,
        " in ",
        place->function,
    };
    return put_words(buffer, size, 0, parts, sizeof parts / sizeof *parts);
}

static size_t describe_overflow(const void *address, char *buffer, size_t size)
{
    static const char *const in_task[] = {"bide: stack overflow in task "};
    static const char *const of_task[] = {", in task "};
    const struct bide__coro *coro = bide__coro_current();
    const struct bide__generator *generator = coro ? coro->generator : bide__generator_here;
    size_t length = 0;
    if (generator) {
        if (!bide__stack_guards(generator->stack, address))
            return 0;
        length = describe_generator(generator->place, buffer, size);
        return coro ? describe_task(coro, buffer, size, put_words(buffer, size, length, of_task, 1))
                    : length;
    }
    if (!coro || !bide__stack_guards(coro->stack, address))
        return 0;
    return describe_task(coro, buffer, size, put_words(buffer, size, length, in_task, 1));
}

void bide__coro_free(struct bide__coro *coro)
{
    bide_loop *loop = coro->loop;
    bide_task *task = coro->task;
    bide__fiber_fini(&coro->fiber);
    free(coro->cancel_message);
    bide__values_unref(coro->values);
    bide__stack_put(loop->stacks, coro->stack);
    bide__task_unref(task);
}

void bide__coro_end(struct bide__coro *coro, int result)
{
    bide_task *task = coro->task;
    if (coro->scope != &coro->root)
        bide__scope_pop_all(coro);
    coro->finished = true;
    coro->wait = NULL;
    bide__list_remove(&coro->waiter.node);
    bide__timer_cancel(coro->loop->timers, &coro->timer);
    bide__list_remove(&coro->node);
    if (result == -ECANCELED && coro->cancel_message && task->detail_error != -ECANCELED) {
        free(task->detail);
        task->detail = coro->cancel_message;
        task->detail_error = -ECANCELED;
        coro->cancel_message = NULL;
    }
    task->coro = NULL;
    bide__task_finish(task, result);
    if (coro->group)
        bide__group_child_ended(coro);
}

static void coro_main(void *data)
{
    struct bide__coro *coro = data;
    coro->begun = true;
    bide__coro_end(coro, coro->entry(coro->arguments));
    bide__fiber_leave(&coro->fiber, &coro->loop->fiber);
}

void bide__coro_run(struct bide__ready *ready)
{
    struct bide__coro *coro = bide__container(ready, struct bide__coro, ready);
    if (!coro->loop->closing)
        bide__coro_continue(coro);
}

void bide__coro_run_cancelled(struct bide__ready *ready)
{
    struct bide__coro *coro = bide__container(ready, struct bide__coro, ready);
    if (coro->loop->closing)
        return;
    if (coro->n_cancels > 0)
        bide__coro_abandon(coro);
    else
        bide__coro_continue(coro);
}

/* Room for the block, then for the arguments, below the stack's top; the frames begin under both.
 */
static struct bide__coro *coro_place(struct bide__stack stack, size_t arguments_size,
                                     void **ret_arguments)
{
    uintptr_t colour = ((uintptr_t)stack.top >> 16) % COLOURS * COLOUR_BYTES;
    uintptr_t at = (uintptr_t)stack.top - colour - sizeof(struct bide__coro);
    at &= ~(uintptr_t)63;
    uintptr_t arguments = (at - arguments_size) & ~(uintptr_t)(alignof(max_align_t) - 1);
    *ret_arguments = (void *)arguments;
    return (struct bide__coro *)at;
}

static void coro_init(struct bide__coro *coro, bide_loop *loop, bide_task *task,
                      struct bide__stack stack, const struct bide_task_opts *opts)
{
    memset(&coro->wait, 0, offsetof(struct bide__coro, fiber) - offsetof(struct bide__coro, wait));
    memset(&coro->abandon, 0,
           offsetof(struct bide__coro, node) - offsetof(struct bide__coro, abandon));
    coro->created = true;
    coro->values = bide__context_inherit();
    coro->always_start = opts && opts->always_start;
    coro->ready.run = bide__coro_run;
    coro->loop = loop;
    coro->task = task;
    coro->scope = NULL;
    coro->stack = stack;
    coro->scopes[0].taken = false;
    coro->scopes[1].taken = false;
    bide__timer_init(&coro->timer, NULL);
    bide__timer_init(&coro->root.timer, NULL);
    bide__list_init(&coro->sibling);
    bide__list_init(&coro->waiter.node);
    bide__list_append(&loop->tasks, &coro->node);
    bide__scope_push(coro, &coro->root, BIDE__SCOPE_TASK);
    task->coro = coro;
    task->refs++;
}

/* Loops of this thread that have or had tasks, and one for its generators without a loop: one
 * alternate stack serves them all. */
static _Thread_local unsigned n_armed;

int bide__coro_arm_thread(void)
{
    int rc = bide__overflow_arm(describe_overflow);
    if (rc == 0)
        n_armed++;
    return rc;
}

void bide__coro_disarm_thread(void)
{
    if (--n_armed == 0)
        bide__overflow_disarm();
}

int bide__coro_arm(bide_loop *loop)
{
    if (loop->stacks_armed)
        return 0;
    int rc = bide__coro_arm_thread();
    loop->stacks_armed = rc == 0;
    return rc;
}

void bide__coro_disarm(bide_loop *loop)
{
    if (!loop->stacks_armed)
        return;
    loop->stacks_armed = false;
    bide__coro_disarm_thread();
}

struct bide__coro *bide__coro_new(bide_loop *loop, const struct bide_place *place,
                                  const struct bide_task_opts *opts, int (*entry)(void *),
                                  const void *arguments, size_t arguments_size)
{
    if (arguments_size > BIDE__ARGUMENTS_SIZE_MAX)
        return NULL;
    if (!loop->stacks_armed && loop == bide__loop_running && bide__coro_arm(loop) < 0)
        return NULL;
    bide_task *task = bide__task_new(loop, place);
    if (!task)
        return NULL;
    struct bide__stack stack;
    if ((opts && opts->name && !(task->name = strdup(opts->name))) ||
        bide__stack_get(loop->stacks, opts ? opts->stack_size : 0, &stack) < 0) {
        task->read = true;
        bide__task_unref(task);
        return NULL;
    }
    void *copy;
    struct bide__coro *coro = coro_place(stack, arguments_size, &copy);
    if (arguments_size > 0)
        memcpy(copy, arguments, arguments_size);
    coro->entry = entry;
    coro->arguments = copy;
    coro_init(coro, loop, task, stack, opts);
    bide__fiber_init(&coro->fiber, stack.low, copy, coro_main, coro);
    return coro;
}

void bide__coro_start(struct bide__coro *coro)
{
    coro->created = false;
    bide__loop_ready(coro->loop, &coro->ready);
}

void bide__coro_abandon(struct bide__coro *coro)
{
    bide__coro_end(coro, -ECANCELED);
    bide__coro_free(coro);
}

void bide__probe(struct bide__coro *coro)
{
    while (coro->probed) {
        bide__inspect_here(coro);
        bide__fiber_switch(&coro->fiber, &coro->loop->fiber);
    }
}

/* The running task is told of what is pending; a cancel's words come with it. */
static void deliver(struct bide__coro *coro)
{
    bide__scope_mark_delivered(coro);
    if (coro->root.delivered && coro->cancel_message) {
        bide__detail_take(-ECANCELED, coro->cancel_message);
        coro->cancel_message = NULL;
    }
}

void bide__refused(struct bide__coro *coro)
{
    coro->n_refused = 1;
    deliver(coro);
}

void bide__give_turn(struct bide__coro *coro)
{
    bide__loop_ready(coro->loop, &coro->ready);
    bide__switch_out(coro);
}

static void pause_over(struct bide__timer *timer)
{
    bide__wake(bide__container(timer, struct bide__coro, timer), 0);
}

static const struct bide__wait_kind pause_wait = {.name = "pause: ignores its cancel"};

void bide__slow_down(struct bide__coro *coro, const char *words)
{
    if (coro->n_refused < UINT16_MAX)
        coro->n_refused++;
    if (coro->n_refused >= REFUSED_IS_SPINNING) {
        if (!coro->spinning)
            bide__report_task(coro->task, words, 0);
        coro->spinning = true;
        uint16_t n_refused = coro->n_refused;
        coro->timer.expired = pause_over;
        bide__timer_set(coro->loop->timers, &coro->timer,
                        bide__loop_now_ns(coro->loop) + SPINNING_PAUSE_NS);
        bide__park(coro, &pause_wait, NULL);
        coro->n_refused = n_refused;
    } else if (coro->n_refused >= REFUSED_GIVES_TURN) {
        bide__give_turn(coro);
    }
}

void bide__refuse(struct bide__coro *coro)
{
    bide__slow_down(coro, "task goes on in spite of being cancelled");
    if (coro->deliver) /* else it was taken back meanwhile */
        deliver(coro);
}
