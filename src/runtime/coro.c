/*
 * Control blocks: made at the top of a stack, run from the ready queue, parked, woken, ended. The
 * invariants stand in coro.h.
 */
#include "runtime/coro.h"

#include "fiber/overflow.h"
#include "runtime/copied.h"
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
        bide__task_name(coro->task) ? bide__task_name(coro->task) : "(unnamed)",
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

/* The task whose parked stack was touched, and who did. */
static size_t describe_access(const struct bide__coro *owner, const struct bide__coro *by,
                              char *buffer, size_t size)
{
    static const char *const to[] = {"bide: access to the stack of parked task "};
    static const char *const by_task[] = {"; by task "};
    static const char *const by_loop[] = {"; by the loop or a callback"};
    size_t length = describe_task(owner, buffer, size, put_words(buffer, size, 0, to, 1));
    return by ? describe_task(by, buffer, size, put_words(buffer, size, length, by_task, 1))
              : put_words(buffer, size, length, by_loop, 1);
}

static size_t describe_fault(const void *address, char *buffer, size_t size)
{
    static const char *const in_task[] = {"bide: stack overflow in task "};
    static const char *const of_task[] = {", in task "};
    const struct bide__coro *coro = bide__coro_current();
    const struct bide__generator *generator = coro ? coro->generator : bide__generator_here;
    size_t length = 0;
    const struct bide__coro *owner = bide__copied_owner(bide__loop_running, address);
    if (owner)
        return describe_access(owner, coro, buffer, size);
    if (generator) {
        if (!bide__stack_guards(generator->stack, address))
            return 0;
        length = describe_generator(generator->place, buffer, size);
        return coro ? describe_task(coro, buffer, size, put_words(buffer, size, length, of_task, 1))
                    : length;
    }
    if (!coro || !bide__stack_guards(bide__coro_stack(coro), address))
        return 0;
    return describe_task(coro, buffer, size, put_words(buffer, size, length, in_task, 1));
}

struct bide__stack bide__coro_stack(const struct bide__coro *coro)
{
    return coro->copied ? bide__copied_stack(coro) : bide__coro_private(coro)->stack;
}

void *bide__coro_arguments(const struct bide__coro *coro)
{
    return coro->copied ? bide__copied_arguments(coro) : bide__coro_private(coro)->arguments;
}

void bide__coro_explain(const void *address)
{
    char words[512];
    const struct bide__coro *owner = bide__copied_owner(bide__loop_running, address);
    if (!owner)
        return;
    size_t size = describe_access(owner, bide__coro_current(), words, sizeof words - 1);
    words[size] = '\0';
    fprintf(stderr, "%s (by the kernel on its behalf)\n", words);
}

void bide__coro_free(struct bide__coro *coro)
{
    if (coro->copied) {
        bide__copied_free(coro);
        return;
    }
    bide_loop *loop = coro->loop;
    bide_task *task = coro->task;
    struct bide__coro_private *block = bide__coro_private(coro);
    bide__fiber_fini(&coro->fiber, block->watched);
    free(block->more.cancel_message);
    bide__values_unref(block->more.values);
    bide__stack_put(loop->stacks, block->stack);
    bide__task_unref(task);
}

/* The loop gives up a task that waits. */
static void leave_wait(struct bide__coro *coro)
{
    if (coro->wait->timed)
        bide__timer_cancel(coro->loop->timers, &coro->timer);
    if (coro->more)
        bide__timer_cancel(coro->loop->timers, &coro->more->timer);
    coro->wait = NULL;
}

int bide__coro_set_values(struct bide__coro *coro, struct bide__values *values)
{
    struct bide__coro_more *more = values ? bide__coro_more(coro) : coro->more;
    if (more) {
        bide__values_unref(more->values);
        more->values = values;
    }
    return more || !values ? 0 : -ENOMEM;
}

void bide__coro_end(struct bide__coro *coro, int result)
{
    bide_task *task = coro->task;
    if (coro->scope != &coro->root)
        bide__scope_pop_all(coro);
    coro->finished = true;
    if (coro->wait)
        leave_wait(coro);
    bide__list_remove(&coro->linked);
    bide__list_remove(&coro->node);
    struct bide__coro_more *more = coro->more;
    if (result == -ECANCELED && more && more->cancel_message &&
        bide__task_detail_error(task) != -ECANCELED) {
        bide__task_set_detail(task, -ECANCELED, more->cancel_message);
        more->cancel_message = NULL;
    }
    task->coro = NULL;
    bide__task_finish(task, result);
    if (more && more->group)
        bide__group_child_ended(coro);
}

static void coro_main(void *data)
{
    struct bide__coro *coro = data;
    int (*entry)(void *) = coro->entry;
    coro->abandon = NULL;
    coro->begun = true;
    bide__coro_end(coro, entry(bide__coro_private(coro)->arguments));
    bide__fiber_leave(&coro->fiber, &coro->loop->fiber);
}

void bide__coro_run(struct bide__ready *ready)
{
    struct bide__coro *coro = bide__container(ready, struct bide__coro, ready);
    if (!coro->loop->closing)
        bide__coro_continue(coro);
}

void bide__coro_run_alone(struct bide__ready *ready)
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
    if (coro->n_cancels > 0) {
        bide__coro_abandon(coro);
        return;
    }
    ready->run = coro->loop->debug ? bide__coro_run_alone : bide__coro_run;
    bide__coro_continue(coro);
}

/* Room for the block, then for the arguments, below the stack's top; the frames begin under both.
 */
static struct bide__coro_private *coro_place(struct bide__stack stack, size_t arguments_size,
                                             void **ret_arguments)
{
    uintptr_t colour = ((uintptr_t)stack.top >> 16) % COLOURS * COLOUR_BYTES;
    uintptr_t at = (uintptr_t)stack.top - colour - sizeof(struct bide__coro_private);
    at &= ~(uintptr_t)63;
    uintptr_t arguments = (at - arguments_size) & ~(uintptr_t)(alignof(max_align_t) - 1);
    *ret_arguments = (void *)arguments;
    return (struct bide__coro_private *)at;
}

static void more_init(struct bide__coro_more *more, struct bide__coro *coro)
{
    more->coro = coro;
    more->group = NULL;
    more->cancel_message = NULL;
    more->values = NULL;
    bide__list_init(&more->sibling);
    bide__timer_init(&more->timer, NULL);
    coro->more = more;
}

struct bide__coro_more *bide__coro_more_new(struct bide__coro *coro)
{
    struct bide__coro_more *more = malloc(sizeof *more);
    if (more)
        more_init(more, coro);
    return more;
}

void bide__coro_init(struct bide__coro *coro, bide_loop *loop, bide_task *task,
                     int (*entry)(void *), const struct bide_task_opts *opts)
{
    memset(&coro->wait, 0, offsetof(struct bide__coro, fiber) - offsetof(struct bide__coro, wait));
    memset(&coro->abandon, 0,
           offsetof(struct bide__coro, node) - offsetof(struct bide__coro, abandon));
    coro->entry = entry;
    coro->created = true;
    coro->always_start = opts && opts->always_start;
    coro->ready.run = loop->debug ? bide__coro_run_alone : bide__coro_run;
    coro->loop = loop;
    coro->task = task;
    coro->scope = NULL;
    bide__list_init(&coro->linked);
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
    int rc = bide__overflow_arm(describe_fault);
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
    if (__builtin_expect(opts || loop->copies, 0) && bide__copied_wanted(loop, opts))
        return bide__copied_new(loop, place, opts, entry, arguments, arguments_size);
    size_t stack_size = __builtin_expect(opts || loop->copies, 0) ? bide__copied_instead(loop, opts)
                                                                  : 0;
    bide_task *task = bide__task_new(loop, place);
    if (!task)
        return NULL;
    struct bide__stack stack;
    if ((opts && opts->name && bide_task_set_name(task, opts->name) < 0) ||
        bide__stack_get(loop->stacks, stack_size, &stack) < 0) {
        task->read = true;
        bide__task_unref(task);
        return NULL;
    }
    void *copy;
    struct bide__coro_private *block = coro_place(stack, arguments_size, &copy);
    if (arguments_size > 0)
        memcpy(copy, arguments, arguments_size);
    block->arguments = copy;
    block->stack = stack;
    block->limits[0].scope.taken = false;
    block->limits[1].scope.taken = false;
    bide__coro_init(&block->coro, loop, task, entry, opts);
    more_init(&block->more, &block->coro);
    block->more.values = bide__context_inherit();
    block->watched = bide__fiber_init(&block->coro.fiber, stack.low, copy, coro_main, &block->coro);
    return &block->coro;
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

void bide__coro_unmake(struct bide__coro *coro)
{
    bide_task *task = coro->task;
    bide__coro_abandon(coro);
    bide__task_unref(task);
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
    struct bide__coro_more *more = coro->more;
    if (coro->root.delivered && more && more->cancel_message) {
        bide__detail_take(-ECANCELED, more->cancel_message);
        more->cancel_message = NULL;
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

static const struct bide__wait_kind pause_wait = {.name = "pause: ignores its cancel",
                                                  .timed = true};

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

int bide__attend(struct bide__coro *coro)
{
    if (coro->copied && !bide__copied_has_room(coro))
        return -ENOMEM;
    if (!coro->deliver)
        return 0;
    bide__refuse(coro);
    return coro->deliver ? -ECANCELED : 0;
}

void bide__refuse(struct bide__coro *coro)
{
    bide__slow_down(coro, "task goes on in spite of being cancelled");
    if (coro->deliver) /* else it was taken back meanwhile */
        deliver(coro);
}
