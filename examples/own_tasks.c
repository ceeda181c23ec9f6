/* Tasks and a scheduler of one's own, on the callback level: stacks of swapcontext(), priorities,
 * and waits made of timers, watched descriptors and done callbacks. Both kinds of tasks live in one
 * loop, and wait for each other.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024, PRIORITIES = 3 };

struct own_task {
    const char *name;
    int (*body)(void *argument);
    void *argument;
    int priority; /* 0 comes first */
    ucontext_t context;
    void *stack;
    struct own_task *next; /* in a queue */
    bide_promise *promise; /* what bide's tasks wait for */
    int result;            /* of the wait, then of the body */
    bool is_done;
};

static struct {
    bide_loop *loop;
    ucontext_t context; /* of the loop's callback */
    struct own_task *current;
    struct own_task *first[PRIORITIES];
    struct own_task **end[PRIORITIES];
    bool is_due; /* its callback is scheduled */
} scheduler;

/* The scheduler: one callback of the loop, which runs one task, the most urgent one. */

static void own_free(struct own_task *task)
{
    bide_promise_set(task->promise, task->result, NULL);
    bide_promise_free(task->promise);
    free(task->stack);
    free(task);
}

static void own_due(void);

static int own_turn(void *data)
{
    int priority = 0;
    (void)data;
    scheduler.is_due = false;
    while (priority < PRIORITIES && !scheduler.first[priority])
        priority++;
    if (priority == PRIORITIES)
        return 0;
    struct own_task *task = scheduler.first[priority];
    scheduler.first[priority] = task->next;
    if (!task->next)
        scheduler.end[priority] = &scheduler.first[priority];
    own_due();
    scheduler.current = task;
    swapcontext(&scheduler.context, &task->context);
    scheduler.current = NULL;
    if (task->is_done)
        own_free(task);
    return 0;
}

static void own_due(void)
{
    for (int i = 0; i < PRIORITIES; i++)
        if (scheduler.first[i] && !scheduler.is_due)
            scheduler.is_due = bide_loop_call_soon(scheduler.loop, own_turn, NULL, NULL, NULL) == 0;
}

static void own_ready(struct own_task *task, int result)
{
    task->result = result;
    task->next = NULL;
    *scheduler.end[task->priority] = task;
    scheduler.end[task->priority] = &task->next;
    own_due();
}

static void own_main(void)
{
    struct own_task *task = scheduler.current;
    task->result = task->body(task->argument);
    task->is_done = true;
    swapcontext(&task->context, &scheduler.context); /* for the last time */
}

/* Returns a future for its result. */
static bide_future *own_spawn(const char *name, int priority, int (*body)(void *), void *argument)
{
    struct own_task *task = calloc(1, sizeof *task);
    bide_future *future;
    if (!task)
        return NULL;
    task->name = name;
    task->body = body;
    task->argument = argument;
    task->priority = priority;
    task->stack = malloc(STACK_BYTES);
    if (!task->stack || bide_future_new(scheduler.loop, &task->promise, &future) < 0) {
        free(task->stack);
        free(task);
        return NULL;
    }
    getcontext(&task->context);
    task->context.uc_stack.ss_sp = task->stack;
    task->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&task->context, own_main, 0);
    own_ready(task, 0);
    return future;
}

/* Waits: each arranges for own_ready() and leaves the stack. */

static int own_wait(void)
{
    struct own_task *task = scheduler.current;
    swapcontext(&task->context, &scheduler.context);
    return task->result;
}

static int wake_up(void *task)
{
    own_ready(task, 0);
    return 0;
}

static int own_yield(void)
{
    own_ready(scheduler.current, 0);
    return own_wait();
}

static int own_sleep(double seconds)
{
    int rc = bide_loop_call_later(scheduler.loop, seconds, wake_up, scheduler.current, NULL, NULL);
    return rc < 0 ? rc : own_wait();
}

struct reading {
    struct own_task *task;
    int fd;
};

static int readable(void *data)
{
    struct reading *reading = data;
    bide_loop_remove_reader(scheduler.loop, reading->fd); /* or it would call in each turn */
    own_ready(reading->task, 0);
    return 0;
}

static ssize_t own_read(int fd, void *buffer, size_t size)
{
    struct reading reading = {scheduler.current, fd};
    int rc = bide_loop_add_reader(scheduler.loop, fd, readable, &reading, NULL);
    if (rc == 0)
        rc = own_wait();
    return rc < 0 ? rc : read(fd, buffer, size);
}

static void told(bide_task *task, void *own)
{
    int result = 0;
    bide_task_result(task, &result);
    own_ready(own, result);
}

/* For a task or future of either kind; takes it. */
static int own_await(bide_task *task)
{
    int rc = task ? bide_task_add_done_callback(task, told, scheduler.current, NULL) : -ENOMEM;
    if (rc == 0)
        rc = own_wait();
    bide_detach(task);
    return rc;
}

/* A program with both kinds of tasks. */

bide_async(twice, (int, number))
{
    int rc = bide_sleep(0.01);
    printf("a task of bide's doubles %d\n", number);
    return rc < 0 ? rc : 2 * number;
}

static int counts(void *name)
{
    for (int i = 1; i <= 3; i++) {
        printf("%s %d\n", (const char *)name, i);
        own_yield();
    }
    return 3;
}

static int reads(void *pipe_end)
{
    char text[16] = "";
    ssize_t n = own_read(*(int *)pipe_end, text, sizeof text - 1);
    printf("the reader got %s\n", text);
    if (n < 0)
        return (int)n;
    int number = own_await(bide_spawn(twice, (int)strtol(text, NULL, 10)));
    printf("the reader was told %d\n", number);
    int rc = own_sleep(0.01);
    return rc < 0 ? rc : number;
}

bide_async(amain)
{
    int fds[2];
    scheduler.loop = bide_loop_current();
    for (int i = 0; i < PRIORITIES; i++)
        scheduler.end[i] = &scheduler.first[i];
    if (pipe(fds) < 0)
        return -errno;
    bide_future *reader = own_spawn("reader", 0, reads, &fds[0]);
    bide_future *later = own_spawn("low", 2, counts, "the one that can wait:");
    bide_future *sooner = own_spawn("high", 1, counts, "the urgent one:");
    int rc = bide_sleep(0.05);
    if (rc == 0 && write(fds[1], "21", 2) < 0)
        rc = -errno;
    int sum = bide_await(sooner) + bide_await(later) + bide_await(reader);
    printf("all of them: %d\n", sum);
    close(fds[0]);
    close(fds[1]);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
