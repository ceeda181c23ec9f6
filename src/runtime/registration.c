/* Repeated callbacks; the invariants stand in registration.h. */
#include "runtime/registration.h"

#include "runtime/context.h"
#include "runtime/loop.h"
#include "runtime/report.h"

#include <stdlib.h>

static void registration_queue(struct bide__registration *registration)
{
    registration->queued = true;
    bide__loop_ready(registration->loop, &registration->ready);
}

static void registration_drop(struct bide__registration *registration)
{
    bide_drop *drop = registration->drop;
    registration->drop = NULL;
    if (drop)
        drop(registration->data);
}

static void registration_free(struct bide__registration *registration)
{
    bide__values_unref(registration->values);
    free(registration);
}

static void registration_run(struct bide__ready *ready)
{
    struct bide__registration *registration = bide__container(ready, struct bide__registration,
                                                              ready);
    bide_loop *loop = registration->loop;
    registration->queued = false;
    if (!registration->removed) {
        registration->n_due--;
        registration->calling = true;
        struct bide__values *outside = bide__context_enter(registration->values);
        int rc = registration->callback(registration->data);
        if (rc < 0)
            bide__report_callback(loop, rc); /* whose handler may remove it as well */
        bide__context_leave(outside);
        registration->calling = false;
    }
    if (registration->removed) {
        registration_drop(registration);
        registration_free(registration);
    } else if (registration->n_due > 0) {
        registration_queue(registration);
    }
}

struct bide__registration *bide__registration_new(bide_loop *loop, bide_callback *callback,
                                                  void *data, bide_drop *drop)
{
    struct bide__registration *registration = malloc(sizeof *registration);
    if (registration)
        *registration = (struct bide__registration){
            .ready.run = registration_run,
            .loop = loop,
            .callback = callback,
            .data = data,
            .drop = drop,
            .values = bide__context_inherit(),
        };
    return registration;
}

void bide__registration_due(struct bide__registration *registration, unsigned n_max)
{
    if (registration->n_due < n_max)
        registration->n_due++;
    if (!registration->queued && !registration->calling)
        registration_queue(registration);
}

void bide__registration_remove(struct bide__registration *registration)
{
    if (!registration)
        return;
    registration->removed = true;
    if (registration->calling)
        return;
    registration_drop(registration);
    if (!registration->queued)
        registration_free(registration);
}
