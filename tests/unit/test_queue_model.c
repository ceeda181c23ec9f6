/*
 * Scenario: up to four tasks do three operations each on one queue, of capacity 1 or 2 or a
 * rendezvous, in every order, and one of them is cancelled at every point in turn; the operations
 * include both kinds of shutdown and join. Claim: at each point exactly those wait that wait in a
 * model of arrays, in the same lines and order, the queue holds what the model holds, and each
 * operation returns what the model says. So no item is lost or doubled, no wake-up is lost, and
 * both items and tasks come first in, first out.
 *
 * With BIDE_TEST_LONG all orders of four tasks are played, otherwise those of three and a part of
 * those of four.
 */
#include "interleave.h"

#include "runtime/queue.h"

enum operation { END, PUT, GET, TRY_PUT, TRY_GET, DONE, JOIN, DRAIN, AT_ONCE };
enum { OPERATIONS = 3, ITEMS_MAX = INTERLEAVE_TASKS_MAX * OPERATIONS };

typedef unsigned char program[OPERATIONS];

/* Where an item is, by the model. */
enum whereabouts { NOWHERE, QUEUED, GOT, DROPPED };

struct model_line {
    int tasks[INTERLEAVE_TASKS_MAX];
    int n;
};

static bide_queue *queue;
static struct {
    const program *programs;
    struct bide_queue_opts opts;
    int capacity;
    int step[INTERLEAVE_TASKS_MAX];
    int items[ITEMS_MAX];
    int n;
    enum whereabouts where[ITEMS_MAX];
    int n_dropped; /* that drop() has seen */
    int n_unfinished;
    bool shut;
    struct model_line getters;
    struct model_line putters;
    struct model_line joiners;
} model;

static void drop(void *item, void *data)
{
    (void)data;
    INTERLEAVE_CHECK(model.where[*(int *)item] == DROPPED);
    model.n_dropped++;
}

static void reset(void)
{
    bide_queue_free(queue);
    memset(model.step, 0, sizeof model.step);
    memset(model.where, 0, sizeof model.where);
    model.n = 0;
    model.n_dropped = 0;
    model.n_unfinished = 0;
    model.shut = false;
    model.getters.n = 0;
    model.putters.n = 0;
    model.joiners.n = 0;
    CHECK_INT(bide_queue_new(sizeof(int), &model.opts, &queue), 0);
}

static void line_add(struct model_line *line, int task)
{
    line->tasks[line->n++] = task;
}

/* False if it is not there. */
static bool line_remove(struct model_line *line, int task)
{
    int at = 0;
    while (at < line->n && line->tasks[at] != task)
        at++;
    if (at == line->n)
        return false;
    line->n--;
    for (; at < line->n; at++)
        line->tasks[at] = line->tasks[at + 1];
    return true;
}

static int line_first(struct model_line *line)
{
    int task = line->tasks[0];
    line_remove(line, task);
    return task;
}

static int next(int task, int step, int result)
{
    (void)result;
    model.step[task] = step;
    if (step >= OPERATIONS || model.programs[task][step] == END)
        return INTERLEAVE_END;
    return model.programs[task][step];
}

/* Each put has an item of its own. */
static int item_of(int task)
{
    return task * OPERATIONS + model.step[task];
}

/* The item, of a get. */
static int perform(int task, int operation)
{
    int item = item_of(task);
    int rc;
    switch (operation) {
    case PUT:
        return bide_queue_put(queue, &item);
    case TRY_PUT:
        return bide_queue_put_nowait(queue, &item);
    case DONE:
        return bide_queue_task_done(queue);
    case JOIN:
        return bide_queue_join(queue);
    case DRAIN:
    case AT_ONCE:
        return bide_queue_shutdown(queue, operation == DRAIN ? BIDE_DRAIN : BIDE_AT_ONCE);
    default:
        rc = operation == GET ? bide_queue_get(queue, &item) : bide_queue_get_nowait(queue, &item);
        return rc < 0 ? rc : item;
    }
}

static void grant_all(struct model_line *line, int result)
{
    while (line->n > 0)
        interleave_grant(line_first(line), result);
}

static void move(int item, enum whereabouts from, enum whereabouts to)
{
    INTERLEAVE_CHECK(model.where[item] == from);
    model.where[item] = to;
}

static int expect_put(int task)
{
    int item = item_of(task);
    if (model.shut)
        return -ESHUTDOWN;
    if (model.getters.n > 0) {
        move(item, NOWHERE, GOT);
        interleave_grant(line_first(&model.getters), item);
    } else if (model.n < model.capacity) {
        move(item, NOWHERE, QUEUED);
        model.items[model.n++] = item;
    } else {
        return -EAGAIN;
    }
    model.n_unfinished++;
    return 0;
}

static int expect_get(void)
{
    int item = -1;
    if (model.n > 0) {
        item = model.items[0];
        move(item, QUEUED, GOT);
        model.n--;
        memmove(model.items, model.items + 1, (size_t)model.n * sizeof *model.items);
    }
    if (model.putters.n > 0) {
        int putter = line_first(&model.putters);
        int other = item_of(putter);
        interleave_grant(putter, 0);
        model.n_unfinished++;
        if (item < 0) {
            move(other, NOWHERE, GOT);
            return other;
        }
        move(other, NOWHERE, QUEUED);
        model.items[model.n++] = other;
    }
    if (item < 0)
        return model.shut ? -ESHUTDOWN : -EAGAIN;
    return item;
}

static int expect_done(int n)
{
    if (n > model.n_unfinished)
        return -EINVAL;
    model.n_unfinished -= n;
    if (model.n_unfinished == 0)
        grant_all(&model.joiners, 0);
    return 0;
}

static int expect_shutdown(int operation)
{
    model.shut = true;
    grant_all(&model.putters, -ESHUTDOWN);
    grant_all(&model.getters, -ESHUTDOWN);
    if (operation == DRAIN || model.n == 0)
        return 0;
    for (int i = 0; i < model.n; i++)
        move(model.items[i], QUEUED, DROPPED);
    expect_done(model.n < model.n_unfinished ? model.n : model.n_unfinished);
    model.n = 0;
    return 0;
}

static int waits_unless(int rc, struct model_line *line, int task)
{
    if (rc != -EAGAIN)
        return rc;
    line_add(line, task);
    return INTERLEAVE_WAITS;
}

static int expect(int task, int operation, bool cancelled)
{
    if (cancelled && (operation == PUT || operation == GET || operation == JOIN))
        return -ECANCELED;
    switch (operation) {
    case PUT:
        return waits_unless(expect_put(task), &model.putters, task);
    case TRY_PUT:
        return expect_put(task);
    case GET:
        return waits_unless(expect_get(), &model.getters, task);
    case TRY_GET:
        return expect_get();
    case DONE:
        return expect_done(1);
    case JOIN:
        return waits_unless(model.n_unfinished > 0 ? -EAGAIN : 0, &model.joiners, task);
    default:
        return expect_shutdown(operation);
    }
}

static void interrupt(int task)
{
    INTERLEAVE_CHECK(line_remove(&model.getters, task) || line_remove(&model.putters, task) ||
                     line_remove(&model.joiners, task));
    interleave_grant(task, -ECANCELED);
}

static void compare(bool ended)
{
    const struct bide__store *store = &queue->store;
    INTERLEAVE_CHECK((int)bide_queue_size(queue) == model.n);
    for (int i = 0; i < model.n; i++) {
        size_t at = (store->first + (size_t)i) & (store->room - 1);
        INTERLEAVE_CHECK(((const int *)(const void *)store->items)[at] == model.items[i]);
    }
    interleave_check_line(&queue->getters, model.getters.tasks, model.getters.n);
    interleave_check_line(&queue->putters, model.putters.tasks, model.putters.n);
    interleave_check_line(&queue->joiners, model.joiners.tasks, model.joiners.n);
    INTERLEAVE_CHECK((int)queue->n_unfinished == model.n_unfinished);
    INTERLEAVE_CHECK(bide_queue_full(queue) == (model.n >= model.capacity && model.getters.n == 0));
    INTERLEAVE_CHECK(bide_queue_empty(queue) == (model.n == 0 && model.putters.n == 0));
    int n_dropped = 0;
    for (int i = 0; i < ITEMS_MAX; i++)
        n_dropped += model.where[i] == DROPPED;
    INTERLEAVE_CHECK(n_dropped == model.n_dropped);
    if (!ended)
        return;
    INTERLEAVE_CHECK(queue->n_inside == 0);
    for (int i = 0; i < model.n; i++) /* freed by the next reset */
        move(model.items[i], QUEUED, DROPPED);
}

static const struct interleave_case queue_case = {
    .cancels = true,
    .reset = reset,
    .next = next,
    .perform = perform,
    .expect = expect,
    .interrupt = interrupt,
    .compare = compare,
};

/* 0: a rendezvous. */
static void set_capacity(int capacity)
{
    model.opts = (struct bide_queue_opts){
        .capacity = (size_t)capacity, .rendezvous = capacity == 0, .drop = drop};
    model.capacity = capacity;
}

static void finish(void)
{
    bide_queue_free(queue);
    queue = NULL;
}

/* Plays all orders of these programs; of four tasks, only a part if there is little time. */
static void play(const program *programs, int n_tasks)
{
    struct interleave_case test = queue_case;
    test.n_tasks = n_tasks;
    model.programs = programs;
    for (int capacity = 0; capacity <= 2; capacity++) {
        set_capacity(capacity);
        if (n_tasks < 4 || test_long())
            printf("%lu schedules\n", interleave_all(&test));
        else
            interleave_some(&test, test_seed(), 50000 / (unsigned)test_slowness());
        finish();
    }
}

BIDE_TEST_SECONDS(puts_and_gets_by_three, 120)
{
    static const program programs[][3] = {
        {{PUT, PUT, PUT}, {GET, GET, END}, {GET, PUT, END}},
        {{PUT, GET, END}, {PUT, GET, PUT}, {GET, PUT, END}},
        {{PUT, TRY_PUT, END}, {TRY_GET, GET, GET}, {PUT, TRY_GET, END}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(programs[i], 3);
}

BIDE_TEST_SECONDS(shutdowns_by_three, 120)
{
    static const program programs[][3] = {
        {{PUT, PUT, END}, {GET, GET, END}, {DRAIN, GET, END}},
        {{PUT, PUT, END}, {GET, PUT, END}, {AT_ONCE, TRY_GET, END}},
        {{PUT, DRAIN, END}, {PUT, GET, END}, {GET, AT_ONCE, END}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(programs[i], 3);
}

BIDE_TEST_SECONDS(joins_by_three, 120)
{
    static const program programs[][3] = {
        {{PUT, PUT, JOIN}, {GET, DONE, END}, {GET, DONE, END}},
        {{PUT, JOIN, END}, {PUT, JOIN, END}, {GET, DONE, DONE}},
        {{PUT, PUT, JOIN}, {DONE, AT_ONCE, END}, {GET, DONE, END}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(programs[i], 3);
}

BIDE_TEST_SECONDS(puts_and_gets_by_four, 280)
{
    static const program programs[][4] = {
        {{PUT, PUT, END}, {PUT, END, END}, {GET, GET, END}, {GET, END, END}},
        {{PUT, GET, END}, {PUT, TRY_GET, END}, {GET, END, END}, {GET, PUT, END}},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        play(programs[i], 4);
}

/*
 * Of three operations each, all orders without a cancel are played if there is much time; with one
 * at every point there are too many, so they are drawn.
 */
BIDE_TEST_SECONDS(three_operations_by_four, 280)
{
    static const program programs[][4] = {
        {{PUT, PUT, PUT}, {PUT, PUT, GET}, {GET, GET, GET}, {GET, PUT, GET}},
        {{PUT, PUT, JOIN}, {GET, DONE, GET}, {PUT, GET, DONE}, {GET, DONE, DRAIN}},
        {{PUT, TRY_PUT, PUT}, {GET, TRY_GET, PUT}, {PUT, GET, GET}, {GET, PUT, AT_ONCE}},
    };
    unsigned long n = (test_long() ? 500000 : 20000) / (unsigned)test_slowness();
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct interleave_case test = queue_case;
        test.n_tasks = 4;
        model.programs = programs[i];
        for (int capacity = 0; capacity <= 2; capacity++) {
            set_capacity(capacity);
            test.cancels = true;
            interleave_some(&test, test_seed(), n);
            test.cancels = false;
            if (test_long() && capacity > 0)
                printf("%lu schedules\n", interleave_all(&test));
            finish();
        }
    }
}

/* All orders of every pair of such programs; of the pairs, every 11th if there is little time. */
BIDE_TEST_SECONDS(every_pair, 280)
{
    static const unsigned char alphabet[] = {PUT, GET, TRY_PUT, TRY_GET, DRAIN, AT_ONCE};
    struct interleave_case test = queue_case;
    enum { BASE = sizeof alphabet, PROGRAMS = BASE * BASE * BASE };
    program pair[2];
    unsigned long n_runs = 0;
    test.n_tasks = 2;
    model.programs = (const program *)pair;
    for (int n = 0; n < PROGRAMS * PROGRAMS; n += test_long() ? 1 : 101) {
        for (int task = 0; task < 2; task++) {
            int letters = task == 0 ? n % PROGRAMS : n / PROGRAMS;
            for (int i = 0; i < OPERATIONS; i++, letters /= BASE)
                pair[task][i] = alphabet[letters % BASE];
        }
        set_capacity(1 + n % 2);
        n_runs += interleave_all(&test);
        finish();
    }
    printf("%lu schedules\n", n_runs);
}
