/*
 * Generators: iterators that are written as a function which yields one value after the other.
 *
 *     bide_generator(int, count_to, (int, n))
 *     {
 *         for (int i = 0; i < n; i++) {
 *             int rc = bide_yield(i);
 *             if (rc < 0)
 *                 return rc;
 *         }
 *         return 0;
 *     }
 *
 * The body runs on a stack of its own, inside the task that asks for the next value: what it waits
 * for that task waits for, and that task's cancels and limits reach it. Between two values it is in
 * no task: tasks may take turns, and time limits and groups that the body has open stay its own. A
 * body that does not suspend needs neither task nor loop.
 */
#ifndef BIDE_GENERATOR_H
#define BIDE_GENERATOR_H

#include <bide/iterator.h>

BIDE_BEGIN_DECLARATIONS

/* How a generator is made; zeroed fields mean defaults. */
struct bide_generator_opts {
    size_t stack_size; /* bytes, guard page included; 0: the loop's, or 65,536 without a loop */
};

/*
 * bide_generator(type, name, (type, parameter)...) { body }
 *
 * Defines a generator of values of `type` with up to twelve typed parameters, for bide_iterate().
 * The body returns 0 at its end, or an error, which the consumer's bide_next() returns. `static`
 * may stand before it. Array and function types need a typedef. The arguments are at most 4,096
 * bytes together.
 */
#define bide_generator(type, ...) BIDE__PICK(BIDE__GENERATOR_, __VA_ARGS__)(type, __VA_ARGS__)

/*
 * bide_generator_declare(type, name, (type, parameter)...);
 *
 * Declares a generator, for headers. It is then defined by bide_generator_body() with the same
 * arguments.
 */
#define bide_generator_declare(type, ...) \
    BIDE__PICK(BIDE__GENERATOR_DECLARE_, __VA_ARGS__)(type, __VA_ARGS__)

/* bide_generator_body(type, name, (type, parameter)...) { body }: defines what was declared. */
#define bide_generator_body(type, ...) \
    BIDE__PICK(BIDE__GENERATOR_BODY_, __VA_ARGS__)(type, __VA_ARGS__)

/*
 * bide_yield(value): hands a value to whoever asked for it, and goes on when the next one is asked
 * for. To be used in a generator's body only; the compiler checks the value's type.
 *
 * Returns 0; -ECANCELED once the generator is closed before its end: then the body is to clean up,
 * for which it may suspend, and to return, and each further yield fails too. In a manager's body
 * (see bide/manager.h): what the block came to. Suspends: no (it is the consumer that goes on).
 * Cancel: not affected. Thread: loop thread only.
 */
#define bide_yield(...) \
    (__extension__({ \
        __typeof__(*bide__item) bide__value = (__VA_ARGS__); \
        if (bide__self->slot) \
            *(__typeof__(bide__item))bide__self->slot = bide__value; \
        bide__yield(bide__self); \
    }))

/*
 * Like bide_yield(), for functions that the innermost running body has called.
 *
 * item: item_size bytes of the generator's type, copied. Returns as bide_yield(); -EINVAL outside a
 * generator's body or if the size is not that of its values. Suspends: no. Cancel: not affected.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_yield_item(const void *item, size_t item_size);

/*
 * bide_iterate(name, arguments...): an iterator over what the generator yields. The arguments are
 * checked by the compiler and copied; the body begins when the first value is asked for.
 *
 * Returns owned, to be closed with bide_iterator_close(); NULL without memory. Suspends: no.
 * Cancel: not affected. Thread: any.
 */
#define bide_iterate(...) BIDE__PICK_FEW(BIDE__ITERATE_, __VA_ARGS__)(NULL, __VA_ARGS__)

/*
 * bide_iterate_with(opts, name, arguments...): bide_iterate() with options (const struct
 * bide_generator_opts *, borrowed until return). A senseless stack size makes the first bide_next()
 * fail with -EINVAL.
 */
#define bide_iterate_with(opts, ...) BIDE__PICK_FEW(BIDE__ITERATE_, __VA_ARGS__)(opts, __VA_ARGS__)

/* From here on: what the macros above expand to. Not to be used directly. */

/* What a body knows of its generator: where the value goes that was asked for. */
struct bide__yielder {
    void *slot;
};

/* Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT int bide__yield(struct bide__yielder *self);
/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT bide_iterator *bide__iterate(const struct bide_generator_opts *opts,
                                         const struct bide_place *place, size_t item_size,
                                         int (*entry)(struct bide__yielder *self, void *arguments),
                                         const void *arguments, size_t arguments_size);

#define BIDE__ITERATE_ONE(opts, name) name##__bide_iterate(opts, BIDE__PLACE(#name))
#define BIDE__ITERATE_MANY(opts, name, ...) \
    name##__bide_iterate(opts, BIDE__PLACE(#name), __VA_ARGS__)

#define BIDE__UNUSED __attribute__((unused))

#define BIDE__GENERATOR_BODY_ONE(type, name) \
    int name##__bide_body(BIDE__UNUSED struct bide__yielder *bide__self, \
                          BIDE__UNUSED type *bide__item)

#define BIDE__GENERATOR_BODY_MANY(type, name, ...) \
    int name##__bide_body(BIDE__UNUSED struct bide__yielder *bide__self, \
                          BIDE__UNUSED type *bide__item, BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__))

#define BIDE__GENERATOR_DECLARE_ONE(type, name) \
    int name##__bide_body(struct bide__yielder *bide__self, type *bide__item); \
    static BIDE__UNUSED int name##__bide_entry(struct bide__yielder *bide__self, \
                                               void *bide__arguments) \
    { \
        (void)bide__arguments; \
        return name##__bide_body(bide__self, NULL); \
    } \
    static inline BIDE__UNUSED bide_iterator *name##__bide_iterate( \
        const struct bide_generator_opts *bide__opts, const struct bide_place *bide__place) \
    { \
        return bide__iterate(bide__opts, bide__place, sizeof(type), name##__bide_entry, NULL, 0); \
    } \
    struct name##__bide_arguments

#define BIDE__GENERATOR_DECLARE_MANY(type, name, ...) \
    int name##__bide_body(struct bide__yielder *bide__self, type *bide__item, \
                          BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__)); \
    struct name##__bide_arguments { \
        BIDE__EACH(BIDE__FIELD, __VA_ARGS__) \
    }; \
    BIDE__ASSERT(sizeof(struct name##__bide_arguments) <= BIDE__ARGUMENTS_SIZE_MAX, \
                 "the arguments of " #name " are larger than 4096 bytes: pass a pointer"); \
    static BIDE__UNUSED int name##__bide_entry(struct bide__yielder *bide__self, \
                                               void *bide__arguments) \
    { \
        struct name##__bide_arguments *bide__a = (struct name##__bide_arguments *)bide__arguments; \
        return name##__bide_body(bide__self, NULL, BIDE__JOIN(BIDE__MEMBER, __VA_ARGS__)); \
    } \
    static inline BIDE__UNUSED bide_iterator *name##__bide_iterate( \
        const struct bide_generator_opts *bide__opts, const struct bide_place *bide__place, \
        BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__)) \
    { \
        struct name##__bide_arguments bide__a = {BIDE__JOIN(BIDE__NAME, __VA_ARGS__)}; \
        return bide__iterate(bide__opts, bide__place, sizeof(type), name##__bide_entry, &bide__a, \
                             sizeof bide__a); \
    } \
    struct name##__bide_arguments

#define BIDE__GENERATOR_ONE(type, name) \
    BIDE__GENERATOR_DECLARE_ONE(type, name); \
    BIDE__GENERATOR_BODY_ONE(type, name)
#define BIDE__GENERATOR_MANY(type, name, ...) \
    BIDE__GENERATOR_DECLARE_MANY(type, name, __VA_ARGS__); \
    BIDE__GENERATOR_BODY_MANY(type, name, __VA_ARGS__)

BIDE_END_DECLARATIONS

#endif
