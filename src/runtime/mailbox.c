/* Posts from other threads; the invariants stand in mailbox.h. */
#include "runtime/mailbox.h"

#include "runtime/blocking.h"
#include "runtime/loop.h"

#include <errno.h>
#include <stdlib.h>

static void init_locks(struct bide__mailbox *mailbox)
{
    bide__blocking_init(&mailbox->changed);
    pthread_mutex_init(&mailbox->lock, NULL);
}

struct bide__mailbox *bide__mailbox_new(bide_loop *loop)
{
    struct bide__mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox)
        return NULL;
    init_locks(mailbox);
    atomic_init(&mailbox->refs, 1);
    mailbox->loop = loop;
    bide__ready_init(&mailbox->posts);
    return mailbox;
}

struct bide__mailbox *bide__mailbox_ref(struct bide__mailbox *mailbox)
{
    atomic_fetch_add_explicit(&mailbox->refs, 1, memory_order_relaxed);
    return mailbox;
}

void bide__mailbox_unref(struct bide__mailbox *mailbox)
{
    if (atomic_fetch_sub_explicit(&mailbox->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_cond_destroy(&mailbox->changed);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

int bide__mailbox_post(struct bide__mailbox *mailbox, struct bide__ready *post)
{
    pthread_mutex_lock(&mailbox->lock);
    bide_loop *loop = mailbox->loop;
    if (loop) {
        bide__ready_push(&mailbox->posts, post);
        atomic_store_explicit(&mailbox->filled, true, memory_order_release);
        loop->engine->ops->wake(loop->engine);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return loop ? 0 : -ESHUTDOWN;
}

void bide__mailbox_bind(struct bide__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->bound = true;
    mailbox->thread = pthread_self();
    pthread_mutex_unlock(&mailbox->lock);
}

bool bide__mailbox_is_own(const struct bide__mailbox *mailbox)
{
    return mailbox->bound && pthread_equal(mailbox->thread, pthread_self());
}

static void collect(struct bide__mailbox *mailbox)
{
    struct bide__ready *post;
    while ((post = bide__ready_pop(&mailbox->posts)))
        bide__loop_ready(mailbox->loop, post);
    atomic_store_explicit(&mailbox->filled, false, memory_order_relaxed);
}

void bide__mailbox_collect(struct bide__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    collect(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
}

void bide__mailbox_refuse(struct bide__mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    collect(mailbox);
    mailbox->loop = NULL;
    pthread_mutex_unlock(&mailbox->lock);
}

void bide__mailbox_close(struct bide__mailbox *mailbox)
{
    if (!mailbox)
        return;
    pthread_mutex_lock(&mailbox->lock);
    mailbox->loop = NULL;
    pthread_mutex_unlock(&mailbox->lock);
    bide__mailbox_unref(mailbox);
}

void bide__mailbox_forget(struct bide__mailbox *mailbox)
{
    init_locks(mailbox);
    mailbox->loop = NULL;
    bide__ready_init(&mailbox->posts);
}
