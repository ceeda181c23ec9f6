/*
 * The engines that programs bring.
 *
 * Invariant: a kind is written before `n_kinds` counts it, and never changed or removed after that.
 * So finding one takes no lock, which a thread that does not exist in a forked child could hold.
 */
#include "engine/kind.h"

#include "engine/missing.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <bide/engine_kind.h>

struct kind {
    char name[BIDE_ENGINE_NAME_MAX + 1];
    struct bide_engine_ops ops;
    int (*open)(const struct bide_engine_opts *opts, struct bide_engine **ret_engine);
};

static struct kind kinds[BIDE_ENGINE_KINDS_MAX];
static atomic_size_t n_kinds;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned n_opening; /* that call one another */

static const struct kind *find(const char *name)
{
    size_t n = atomic_load_explicit(&n_kinds, memory_order_acquire);
    for (size_t i = 0; i < n; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

bool bide__kind_is_known(const char *name)
{
    return find(name) != NULL;
}

bool bide__kind_is_opening(void)
{
    return n_opening > 0;
}

int bide__kind_open(const char *name, const struct bide_engine_opts *opts,
                    struct bide_engine **ret_engine)
{
    static const struct bide_engine_opts defaults;
    const struct kind *kind = find(name);
    struct bide_engine *engine = NULL;
    if (!kind)
        return -EINVAL;
    if (n_opening == BIDE_ENGINE_NESTED_MAX)
        return -ELOOP;
    n_opening++;
    int rc = kind->open(opts ? opts : &defaults, &engine);
    n_opening--;
    if (rc < 0)
        return rc;
    if (!engine)
        return -EINVAL;
    engine->ops = &kind->ops;
    *ret_engine = engine;
    return 0;
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return length > 0 && length <= BIDE_ENGINE_NAME_MAX;
}

static int refuse(int error, const char *why, const char **ret_why)
{
    if (ret_why)
        *ret_why = why;
    return error;
}

static int add(const struct kind *added, const char **ret_why)
{
    size_t n = atomic_load_explicit(&n_kinds, memory_order_relaxed);
    if (bide__engine_is_built_in(added->name) || find(added->name))
        return refuse(-EEXIST, "there is an engine of that name", ret_why);
    if (n == BIDE_ENGINE_KINDS_MAX)
        return refuse(-ENOSPC, "there are too many engines", ret_why);
    kinds[n] = *added;
    kinds[n].ops.name = kinds[n].name;
    atomic_store_explicit(&n_kinds, n + 1, memory_order_release);
    return 0;
}

int bide_engine_add(const struct bide_engine_kind *kind, const char **ret_why)
{
    if (!kind || !kind->open || !kind->ops)
        return refuse(-EINVAL, "a kind of engine needs open() and ops", ret_why);
    if (kind->version != BIDE_ENGINE_VERSION)
        return refuse(-ENOTSUP, "it is made for another version of the contract", ret_why);
    if (!kind->name || !is_name(kind->name))
        return refuse(-EINVAL, "its name is empty, too long, or has other characters than allowed",
                      ret_why);
    size_t size = kind->ops_size;
    if (size == 0 || size % sizeof(void (*)(void)) != 0)
        return refuse(-EINVAL, "ops_size is not the size of a table of functions", ret_why);
    struct kind added = {.open = kind->open};
    memcpy(added.name, kind->name, strlen(kind->name) + 1);
    memcpy(&added.ops, kind->ops, size < sizeof added.ops ? size : sizeof added.ops);
    const char *lack = bide__ops_lack(&added.ops);
    if (lack)
        return refuse(-EINVAL, lack, ret_why);
    bide__ops_fill(&added.ops);
    pthread_mutex_lock(&adding);
    int rc = add(&added, ret_why);
    pthread_mutex_unlock(&adding);
    return rc;
}

int bide_engine_open(const char *name, const struct bide_engine_opts *opts,
                     struct bide_engine **ret_engine)
{
    return ret_engine ? bide__engine_open(name, opts, ret_engine) : -EINVAL;
}
