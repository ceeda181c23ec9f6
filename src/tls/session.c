/*
 * The sessions that a context of clients remembers: a few for each host and port. Those of TLS 1.3
 * are used once.
 *
 * Invariant: at most SESSIONS_MAX in all and SESSIONS_MAX_PER_KEY of a key; the oldest goes first.
 */
#include "tls/context.h"

#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX = 256, SESSIONS_MAX_PER_KEY = 4 };

struct session {
    struct bide__list node;
    SSL_SESSION *session;
    char key[];
};

static struct session *of(struct bide__list *node)
{
    return bide__container(node, struct session, node);
}

static void drop(bide_tls_context *context, struct session *session)
{
    bide__list_remove(&session->node);
    context->n_sessions--;
    SSL_SESSION_free(session->session);
    free(session);
}

/* How many the key has, and the oldest of them. */
static size_t count(const bide_tls_context *context, const char *key, struct session **ret_oldest)
{
    size_t n = 0;
    bide__list_each(node, &context->sessions)
    {
        if (strcmp(of(node)->key, key) != 0)
            continue;
        *ret_oldest = of(node);
        n++;
    }
    return n;
}

void bide__tls_session_put(bide_tls_context *context, const char *key, SSL_SESSION *session)
{
    size_t length = strlen(key) + 1;
    struct session *kept = malloc(sizeof *kept + length);
    struct session *oldest = NULL;
    if (!kept) { /* the next connection does without */
        SSL_SESSION_free(session);
        return;
    }
    memcpy(kept->key, key, length);
    kept->session = session;
    pthread_mutex_lock(&context->lock);
    if (count(context, key, &oldest) >= SESSIONS_MAX_PER_KEY)
        drop(context, oldest);
    else if (context->n_sessions >= SESSIONS_MAX)
        drop(context, of(context->sessions.prev));
    bide__list_append(context->sessions.next, &kept->node);
    context->n_sessions++;
    pthread_mutex_unlock(&context->lock);
}

SSL_SESSION *bide__tls_session_take(bide_tls_context *context, const char *key)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&context->lock);
    bide__list_each(node, &context->sessions)
    {
        if (strcmp(of(node)->key, key) != 0)
            continue;
        session = of(node)->session;
        SSL_SESSION_up_ref(session);
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            drop(context, of(node));
        break;
    }
    pthread_mutex_unlock(&context->lock);
    return session;
}

void bide__tls_sessions_drop(bide_tls_context *context)
{
    struct bide__list *node;
    while ((node = bide__list_first(&context->sessions)))
        drop(context, of(node));
}
