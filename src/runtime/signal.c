/* Signal handlers on the loop. Invariant: an entry is in the loop's list exactly while the engine
 * has the signal. */
#include "runtime/loop.h"
#include "runtime/registration.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct bide__signal_handler {
    struct bide__signal_handler *next;
    int signo;
    struct bide_signal *signal;
    struct bide__registration *registration;
};

static void signal_arrived(void *data)
{
    struct bide__signal_handler *handler = data;
    bide__registration_due(handler->registration, UINT_MAX);
}

static struct bide__signal_handler **handler_of(bide_loop *loop, int signo)
{
    struct bide__signal_handler **link = &loop->signals;
    while (*link && (*link)->signo != signo)
        link = &(*link)->next;
    return link;
}

static int handler_new(bide_loop *loop, int signo, struct bide__registration *registration)
{
    struct bide__signal_handler *handler = malloc(sizeof *handler);
    if (!handler)
        return -ENOMEM;
    *handler = (struct bide__signal_handler){
        .signo = signo, .registration = registration, .next = loop->signals};
    int rc = loop->engine->ops->signal_open(loop->engine, signo, signal_arrived, handler,
                                            &handler->signal);
    if (rc < 0)
        free(handler);
    else
        loop->signals = handler;
    return rc;
}

int bide_loop_add_signal_handler(bide_loop *loop, int signo, bide_callback *callback, void *data,
                                 bide_drop *drop)
{
    int rc = callback ? bide__loop_open(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct bide__registration *registration = bide__registration_new(loop, callback, data, drop);
    if (!registration)
        return -ENOMEM;
    struct bide__signal_handler *handler = *handler_of(loop, signo);
    if (handler) {
        struct bide__registration *former = handler->registration;
        handler->registration = registration;
        bide__registration_remove(former); /* last: its drop may change the list */
        return 0;
    }
    rc = handler_new(loop, signo, registration);
    if (rc < 0)
        free(registration);
    return rc;
}

int bide_loop_remove_signal_handler(bide_loop *loop, int signo)
{
    if (!loop)
        return 0;
    struct bide__signal_handler **link = handler_of(loop, signo);
    struct bide__signal_handler *handler = *link;
    if (!handler)
        return 0;
    *link = handler->next;
    handler->signal->engine->ops->signal_close(handler->signal);
    bide__registration_remove(handler->registration);
    free(handler);
    return 1;
}

void bide__signals_drop(bide_loop *loop)
{
    while (loop->signals)
        bide_loop_remove_signal_handler(loop, loop->signals->signo);
}

size_t bide__signals_count(const bide_loop *loop)
{
    size_t n = 0;
    for (const struct bide__signal_handler *handler = loop->signals; handler;
         handler = handler->next)
        n++;
    return n;
}
