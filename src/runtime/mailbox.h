/*
 * What other threads hand to a loop: a queue with a lock. The only part of a loop that other
 * threads touch.
 *
 * Invariants
 *  - A post is accepted exactly while the loop is open; an accepted post runs on the loop's thread
 * once, with loop->closing set if the loop closed first.
 *  - Nothing runs and no other lock is taken under the lock, except the engine's wake().
 */
#ifndef BIDE_RUNTIME_MAILBOX_H
#define BIDE_RUNTIME_MAILBOX_H

#include "runtime/ready.h"

#include <bide/loop.h>

#include <pthread.h>
#include <stdatomic.h>

struct bide__mailbox {
    atomic_uint refs;
    atomic_bool filled;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a remote task has its result */
    bide_loop *loop;        /* NULL once posts are refused; under the lock, as are the next two */
    bool bound;             /* the loop has run, and belongs to this thread from then on */
    pthread_t thread;
    struct bide__ready_queue posts;
};

/* NULL without memory. */
struct bide__mailbox *bide__mailbox_new(bide_loop *loop);
struct bide__mailbox *bide__mailbox_ref(struct bide__mailbox *mailbox);
void bide__mailbox_unref(struct bide__mailbox *mailbox);

/* Any thread. Queues `post` and wakes the loop: 0, or -ESHUTDOWN. */
int bide__mailbox_post(struct bide__mailbox *mailbox, struct bide__ready *post);

/* Loop thread: only this one will ever run the loop. */
void bide__mailbox_bind(struct bide__mailbox *mailbox);
/* Under the lock: whether the calling thread is the loop's. */
bool bide__mailbox_is_own(const struct bide__mailbox *mailbox);

/* Loop thread: moves what was posted, if anything, to the ready queue. */
void bide__mailbox_collect(struct bide__mailbox *mailbox);
static inline bool bide__mailbox_filled(struct bide__mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->filled, memory_order_acquire);
}
/* Loop thread: no post is accepted any more; what was accepted is moved to the ready queue. */
void bide__mailbox_refuse(struct bide__mailbox *mailbox);
/* Refuses, and gives the loop's reference back. NULL is allowed. */
void bide__mailbox_close(struct bide__mailbox *mailbox);
/* In a child after fork: refuses. Its locks may have been held by threads that are not here. */
void bide__mailbox_forget(struct bide__mailbox *mailbox);

#endif
