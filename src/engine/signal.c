/*
 * The handler and its table behind signal.h, which states the invariants.
 */
#include "engine/signal.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/list.h"

/*
 * What the handler sees of a signal. The order in which a signal is given up: the former action is
 * restored, `owner` is emptied, handlers that entered before are waited for, and only then may
 * somebody else claim it. A handler that enters later finds no owner, or the next one, to whom it
 * then belongs.
 */
static struct slot {
    atomic_bool claimed;
    _Atomic(struct bide__signals *) owner;
    atomic_uint n_inside; /* handlers under way, on whatever threads */
    atomic_uint n_arrived;
    struct bide__signal *signal; /* for the owner's thread */
} slots[NSIG];

struct bide__signal {
    struct bide_signal base;
    struct bide__signals *signals;
    struct bide__signal *next;
    struct sigaction before;
    bide_signal_arrived *arrived;
    void *data;
    int signo;
};

static void handle(int signo)
{
    struct slot *slot = &slots[signo];
    atomic_fetch_add(&slot->n_inside, 1);
    struct bide__signals *signals = atomic_load(&slot->owner);
    if (signals) {
        atomic_fetch_add(&slot->n_arrived, 1);
        atomic_store(&signals->raised, true);
        signals->engine->ops->wake(signals->engine);
    }
    atomic_fetch_sub(&slot->n_inside, 1);
}

void bide__signals_init(struct bide__signals *signals, struct bide_engine *engine)
{
    signals->engine = engine;
    signals->first = NULL;
    atomic_init(&signals->raised, false);
}

static void give_up(struct bide__signal *signal)
{
    struct slot *slot = &slots[signal->signo];
    slot->signal = NULL;
    atomic_store(&slot->owner, NULL);
    for (int i = 0; atomic_load(&slot->n_inside) > 0; i++) {
        if (i < 100) {
            sched_yield();
        } else { /* its thread may be one that yielding does not let run */
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    atomic_store(&slot->n_arrived, 0);
    atomic_store(&slot->claimed, false);
}

int bide__signals_add(struct bide__signals *signals, int signo, bide_signal_arrived *arrived,
                      void *data, struct bide_signal **ret_signal)
{
    if (signo <= 0 || signo >= NSIG || signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE ||
        signo == SIGILL)
        return -EINVAL;
    struct bide__signal *signal = malloc(sizeof(*signal));
    if (!signal)
        return -ENOMEM;
    struct slot *slot = &slots[signo];
    if (atomic_exchange(&slot->claimed, true)) {
        free(signal);
        return -EBUSY;
    }
    *signal = (struct bide__signal){.base.engine = signals->engine,
                                    .signals = signals,
                                    .arrived = arrived,
                                    .data = data,
                                    .signo = signo};
    slot->signal = signal;
    atomic_store(&slot->owner, signals);
    /* On the alternate stack, where there is one: the stack that is interrupted may be a fiber's,
     * and nearly used up. */
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaction(signo, &action, &signal->before) < 0) {
        int rc = -errno;
        give_up(signal);
        free(signal);
        return rc;
    }
    signal->next = signals->first;
    signals->first = signal;
    *ret_signal = &signal->base;
    return 0;
}

void bide__signals_remove(struct bide_signal *base)
{
    struct bide__signal *signal = bide__container(base, struct bide__signal, base);
    struct bide__signal **link = &signal->signals->first;
    while (*link != signal)
        link = &(*link)->next;
    *link = signal->next;
    sigaction(signal->signo, &signal->before, NULL);
    give_up(signal);
    free(signal);
}

/* Takes one arrival of a signal that still is ours. */
static struct bide__signal *take(struct bide__signals *signals, int signo)
{
    struct slot *slot = &slots[signo];
    if (atomic_load(&slot->owner) != signals || atomic_load(&slot->n_arrived) == 0)
        return NULL;
    atomic_fetch_sub(&slot->n_arrived, 1);
    return slot->signal;
}

int bide__signals_dispatch(struct bide__signals *signals, int max)
{
    atomic_exchange(&signals->raised, false);
    int n = 0;
    for (int signo = 1; signo < NSIG; signo++) {
        struct bide__signal *signal;
        while (n < max && (signal = take(signals, signo))) {
            signal->arrived(signal->data);
            n++;
        }
    }
    if (n == max)
        atomic_store(&signals->raised, true); /* there may be more */
    return n;
}

void bide__signals_forget(struct bide__signals *signals)
{
    while (signals->first) {
        atomic_store(&slots[signals->first->signo].n_inside,
                     0); /* those threads are the parent's */
        bide__signals_remove(&signals->first->base);
    }
}
