/* Coroutines that use a queue of ints, for the tests of queues: each notes how its call ended. */
#ifndef BIDE_TEST_QUEUE_RIG_H
#define BIDE_TEST_QUEUE_RIG_H

#include <bide/queue.h>

#include "task_rig.h"

BIDE_QUEUE_DEFINE(ints, int);

static RIG_UNUSED ints *ints_of(size_t capacity)
{
    struct bide_queue_opts opts = {.capacity = capacity};
    ints *queue = NULL;
    CHECK_INT(ints_new(&opts, &queue), 0);
    return queue;
}

static RIG_UNUSED ints *rendezvous_of_ints(void)
{
    struct bide_queue_opts opts = {.rendezvous = true};
    ints *queue = NULL;
    CHECK_INT(ints_new(&opts, &queue), 0);
    return queue;
}

/* name, then + and the item, or - and the error's letter. */
static RIG_UNUSED void note_call(const char *name, char sign, int item, int rc)
{
    char word[64];
    if (rc == 0)
        snprintf(word, sizeof word, "%s%c%d ", name, sign, item);
    else
        snprintf(word, sizeof word, "%s%s ", name,
                 rc == -ECANCELED   ? "!c"
                 : rc == -ESHUTDOWN ? "!s"
                                    : "!?");
    note(word);
}

static RIG_UNUSED bide_async(puts_int, (const char *, name), (ints *, queue), (int, item))
{
    int rc = ints_put(queue, item);
    note_call(name, '+', item, rc);
    return rc;
}

static RIG_UNUSED bide_async(gets_int, (const char *, name), (ints *, queue))
{
    int item = -1;
    int rc = ints_get(queue, &item);
    note_call(name, '-', item, rc);
    if (rc < 0)
        CHECK_INT(item, -1);
    return rc;
}

static RIG_UNUSED bide_async(joins_ints, (const char *, name), (ints *, queue))
{
    int rc = ints_join(queue);
    note(name);
    note(rc == 0 ? "= " : rc == -ECANCELED ? "!c " : rc == -ESHUTDOWN ? "!s " : "!? ");
    return rc;
}

/* Those that are there, in order. */
static RIG_UNUSED void check_ints(ints *queue, int n, const int *items)
{
    int item;
    CHECK_INT(ints_size(queue), n);
    for (int i = 0; i < n; i++) {
        CHECK_INT(ints_get_nowait(queue, &item), 0);
        CHECK_INT(item, items[i]);
    }
    CHECK(ints_empty(queue));
}

#define CHECK_INTS(queue, ...) \
    check_ints((queue), sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})

#endif
