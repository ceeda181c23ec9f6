/*
 * What the tests of operators share: sources that follow a script, and checks of what comes out.
 *
 * Invariant: at the end of a case every source was closed exactly once.
 */
#ifndef BIDE_TEST_FLOW_RIG_H
#define BIDE_TEST_FLOW_RIG_H

#include <bide/flow.h>
#include <bide/generator.h>

#include "task_rig.h"

enum {
    SCRIPT_MAX = 32,
    WAIT = 1000, /* the next step comes a turn later; WAIT + n: n + 1 turns */
};

struct script {
    int steps[SCRIPT_MAX]; /* a value > 0 and < WAIT, a WAIT, an error; 0 is the end */
    int at;
    int n_waited; /* of the step, so that a cancelled one goes on */
    int n_asked;
    int close_result;
};

static int n_open;

static RIG_UNUSED int script_next(void *self, void *ret_item)
{
    struct script *script = self;
    script->n_asked++;
    for (;;) {
        int step = script->steps[script->at];
        if (step < WAIT) {
            script->at += step != 0;
            if (step > 0)
                *(int *)ret_item = step;
            return step > 0 ? 1 : step;
        }
        for (; script->n_waited <= step - WAIT; script->n_waited++) {
            int rc = bide_sleep(0);
            if (rc < 0)
                return rc;
        }
        script->n_waited = 0;
        script->at++;
    }
}

static RIG_UNUSED int script_close(void *self)
{
    struct script *script = self;
    n_open--;
    int rc = bide_current_task() ? bide_sleep(0) : 0;
    return script->close_result < 0 ? script->close_result : rc;
}

static const struct bide_iterator_kind script_kind = {
    .name = "script", .next = script_next, .close = script_close};

static RIG_UNUSED bide_iterator *play(struct script *script)
{
    bide_iterator *it = bide_iterator_new(&script_kind, script, sizeof(int));
    n_open += it != NULL;
    return it;
}

/* A script that outlives the block; the last 64 are kept. */
static RIG_UNUSED struct script *keep(struct script script)
{
    static struct script scripts[64];
    static size_t n;
    struct script *kept = &scripts[n++ % 64];
    *kept = script;
    return kept;
}

/* A source of its own that gives these ints. */
#define FLOW(...) play(keep((struct script){.steps = {__VA_ARGS__, 0}}))

/* Asks n times; values of ints as themselves, the rest as it is. */
static RIG_UNUSED void check_asked(bide_iterator *it, const int *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int value = -77;
        int rc = bide_next(it, &value);
        CHECK_INT(rc == 1 ? value : rc, expected[i]);
        CHECK(rc == 1 || value == -77);
    }
}

#define CHECK_ASKED(it, ...) \
    check_asked(it, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* All that comes is this, and the close succeeds. */
#define CHECK_FLOW(it, ...) \
    do { \
        bide_iterator *flow = (it); \
        CHECK_ASKED(flow, __VA_ARGS__, 0); \
        check_closed(flow, 0); \
    } while (0)

static RIG_UNUSED void check_closed(bide_iterator *it, int result)
{
    CHECK_INT(bide_iterator_close(it), result);
    CHECK_INT(n_open, 0);
}

static RIG_UNUSED bide_async(asks, (bide_iterator *, it))
{
    int value;
    int rc = bide_next(it, &value);
    return rc == 1 ? value : rc;
}

/*
 * Cancels the consumer at its n-th turn, for each n until it is done before: it gets -ECANCELED, or
 * its value stands, and what comes afterwards is what would have come.
 */
static RIG_UNUSED void check_cancels(bide_iterator *(*make)(void), const int *expected, size_t n)
{
    bool hit = true;
    for (int n_turns = 0; hit; n_turns++) {
        bide_iterator *it = make();
        size_t i = 0;
        hit = false;
        for (int round = 0; i < n; round++) {
            bide_task *task = bide_spawn(asks, it);
            for (int t = 0; t < n_turns + 1 && !bide_task_done(task); t++)
                CHECK_INT(bide_sleep(0), 0);
            bool cancelled = round % 2 == 0 && bide_cancel(task) == 1;
            hit = hit || cancelled;
            int result = bide_await(task);
            if (cancelled && result == -ECANCELED)
                continue;
            CHECK_INT(result, expected[i++]);
            CHECK(round < 1000);
        }
        check_closed(it, 0);
        CHECK(n_turns < 1000);
    }
}

#define CHECK_CANCELS(make, ...) \
    check_cancels(make, (const int[]){__VA_ARGS__, 0}, \
                  sizeof((const int[]){__VA_ARGS__, 0}) / sizeof(int))

#endif
