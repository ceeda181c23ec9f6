/*
 * Context variables. The invariants stand in context.h.
 *
 * A set is an array sorted by the variable's address: programs have a few variables, read them
 * often and set them seldom.
 */
#include "runtime/context.h"

#include "runtime/coro.h"

#include <bide/context.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A value that somebody set. */
struct value {
    atomic_uint refs;
    void *value;
    bide_drop *drop;
};

struct entry {
    const bide_context_var *var;
    struct value *value;
};

struct bide__values {
    atomic_uint refs;
    size_t n;
    struct entry entries[];
};

struct bide_context {
    struct bide__values *values;
    bool entered;
};

struct bide_context_token {
    const bide_context_var *var;
    struct value *before;       /* NULL: it was not set */
    struct bide__values **slot; /* compared, not followed */
    uint64_t task_number;       /* slots of tasks are used again */
};

atomic_bool bide__context_used;

/* The slot of a thread outside loops; the key only sees to its end. */
static _Thread_local struct bide__values *thread_slot;
static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static struct value *value_ref(struct value *value)
{
    if (value)
        atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
    return value;
}

static void value_unref(struct value *value)
{
    if (!value || atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (value->drop)
        value->drop(value->value);
    free(value);
}

struct bide__values *bide__values_ref(struct bide__values *values)
{
    if (values)
        atomic_fetch_add_explicit(&values->refs, 1, memory_order_relaxed);
    return values;
}

void bide__values_unref(struct bide__values *values)
{
    if (!values || atomic_fetch_sub_explicit(&values->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < values->n; i++)
        value_unref(values->entries[i].value);
    free(values);
}

/* NULL without memory, and only in a task. */
static struct bide__values **current_slot(void)
{
    struct bide__coro *coro = bide__coro_current();
    if (coro)
        return bide__coro_more(coro) ? &coro->more->values : NULL;
    return bide__loop_running ? &bide__loop_running->values : &thread_slot;
}

static uint64_t current_task_number(void)
{
    const struct bide__coro *coro = bide__coro_current();
    return coro ? coro->task->number : 0;
}

static struct bide__values *current_values(void)
{
    const struct bide__coro *coro = bide__coro_current();
    if (coro)
        return coro->more ? coro->more->values : NULL;
    return *current_slot();
}

struct bide__values *bide__context_share(void)
{
    return bide__values_ref(current_values());
}

static void thread_ends(void *slot)
{
    bide__values_unref(*(struct bide__values **)slot);
}

static void make_thread_key(void)
{
    pthread_key_create(&thread_key, thread_ends);
}

static void slot_set(struct bide__values **slot, struct bide__values *values)
{
    struct bide__values *before = *slot;
    *slot = values;
    bide__values_unref(before);
    if (slot == &thread_slot) {
        pthread_once(&thread_key_once, make_thread_key);
        pthread_setspecific(thread_key, slot);
    }
}

/* Where the variable is, or would have to be. */
static size_t position(const struct bide__values *values, const bide_context_var *var,
                       bool *ret_found)
{
    size_t i = 0;
    while (values && i < values->n && (uintptr_t)values->entries[i].var < (uintptr_t)var)
        i++;
    *ret_found = values && i < values->n && values->entries[i].var == var;
    return i;
}

static struct value *find(const struct bide__values *values, const bide_context_var *var)
{
    bool found;
    size_t i = position(values, var, &found);
    return found ? values->entries[i].value : NULL;
}

/* A copy of `values` in which `var` has the value; NULL without memory. Takes `value` on success.
 */
static struct bide__values *copy_with(const struct bide__values *values,
                                      const bide_context_var *var, struct value *value)
{
    bool found;
    size_t at = position(values, var, &found);
    size_t n = values ? values->n : 0;
    size_t n_new = n + !found;
    struct bide__values *copy = malloc(sizeof *copy + n_new * sizeof *copy->entries);
    if (!copy)
        return NULL;
    atomic_init(&copy->refs, 1);
    copy->n = n_new;
    for (size_t i = 0; i < n; i++) {
        size_t to = i + (!found && i >= at);
        copy->entries[to] = values->entries[i];
        if (to != at)
            value_ref(copy->entries[to].value);
    }
    copy->entries[at] = (struct entry){var, value};
    return copy;
}

/* Takes `value` on success. */
static int slot_assign(struct bide__values **slot, const bide_context_var *var, struct value *value)
{
    bool found;
    size_t at = position(*slot, var, &found);
    if (found && atomic_load_explicit(&(*slot)->refs, memory_order_acquire) == 1) {
        struct value *before = (*slot)->entries[at].value;
        (*slot)->entries[at].value = value;
        value_unref(before);
        return 0;
    }
    struct bide__values *copy = copy_with(*slot, var, value);
    if (!copy)
        return -ENOMEM;
    slot_set(slot, copy);
    return 0;
}

/* A variable that is set to no value has its default. */
static void *value_of(const struct value *value, const bide_context_var *var)
{
    return value ? value->value : (void *)var->value;
}

void *bide_context_get(const bide_context_var *var)
{
    return value_of(find(current_values(), var), var);
}

static bide_context_token *token_new(const bide_context_var *var, struct bide__values **slot)
{
    bide_context_token *token = malloc(sizeof *token);
    if (token)
        *token = (bide_context_token){var, value_ref(find(*slot, var)), slot,
                                      current_task_number()};
    return token;
}

int bide_context_set(const bide_context_var *var, const void *value, bide_drop *drop,
                     bide_context_token **ret_token)
{
    if (!var)
        return -EINVAL;
    struct bide__values **slot = current_slot();
    bide_context_token *token = NULL;
    struct value *new = malloc(sizeof *new);
    if (!slot || !new || (ret_token && !(token = token_new(var, slot)))) {
        free(new);
        return -ENOMEM;
    }
    atomic_init(&new->refs, 1);
    new->value = (void *)value;
    new->drop = drop;
    atomic_store_explicit(&bide__context_used, true, memory_order_relaxed);
    int rc = slot_assign(slot, var, new);
    if (rc < 0) {
        free(new);
        bide_context_token_free(token);
        return rc;
    }
    if (ret_token)
        *ret_token = token;
    return 0;
}

int bide_context_reset(bide_context_token *token)
{
    struct bide__values **slot = current_slot();
    if (!token)
        return -EINVAL;
    if (token->slot != slot || token->task_number != current_task_number())
        return -EPERM;
    int rc = slot_assign(slot, token->var, token->before);
    if (rc == 0)
        free(token);
    return rc;
}

void bide_context_token_free(bide_context_token *token)
{
    if (!token)
        return;
    value_unref(token->before);
    free(token);
}

bide_context *bide_context_copy(void)
{
    bide_context *context = calloc(1, sizeof *context);
    if (context)
        context->values = bide__context_share();
    return context;
}

int bide_context_run(bide_context *context, bide_callback *function, void *data)
{
    if (!context || !function)
        return -EINVAL;
    if (context->entered)
        return -EBUSY;
    struct bide__values **slot = current_slot();
    if (!slot)
        return -ENOMEM;
    uint64_t task_number = current_task_number();
    struct bide__values *outside = *slot;
    context->entered = true;
    *slot = bide__values_ref(context->values); /* its own: the loop may give the task up inside */
    int rc = function(data);
    if (slot == current_slot() && task_number == current_task_number()) {
        struct bide__values *before = context->values;
        context->values = *slot;
        *slot = outside;
        bide__values_unref(before);
    } else { /* it is in a generator's body and went on in another task */
        bide__values_unref(outside);
    }
    context->entered = false;
    return rc;
}

void *bide_context_lookup(const bide_context *context, const bide_context_var *var)
{
    return value_of(find(context->values, var), var);
}

void bide_context_free(bide_context *context)
{
    if (!context)
        return;
    bide__values_unref(context->values);
    free(context);
}

struct bide__values *bide__context_enter(struct bide__values *values)
{
    struct bide__values **slot = current_slot();
    struct bide__values *outside = *slot;
    *slot = bide__values_ref(values);
    return outside;
}

void bide__context_leave(struct bide__values *outside)
{
    struct bide__values **slot = current_slot();
    struct bide__values *inside = *slot;
    *slot = outside;
    bide__values_unref(inside);
}
