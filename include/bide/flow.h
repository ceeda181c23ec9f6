/*
 * Operators over iterators: each makes an iterator of others.
 *
 *     bide_iterator *it = bide_take(bide_filter(bide_iterate(count_to, 100), is_odd, NULL), 3);
 *
 * An operator takes its sources: they are closed with it. If it cannot be made, for want of memory
 * or because an argument makes no sense, it returns its source (of several the first), which keeps
 * the others and whose every bide_next() fails with the reason (-ENOMEM, -EINVAL); so chains need
 * no check in between, and nothing is lost. NULL sources are -ENOMEM; without any source NULL is
 * returned.
 *
 * Values are copied from stage to stage; nobody owns what they point at. A stage asks its source
 * for a value when it is asked itself; only bide_merge() and bide_flat_map() work ahead, by one
 * value for each of their tasks. A bide_next() that fails with -ECANCELED has lost nothing: the
 * next one goes on where it was. Errors of a source come out after the values before them, and are
 * the end. A callback that fails with an error ends the iteration with it; it may suspend, and is
 * called once more with the same value if it returned -ECANCELED (or another error that
 * bide_iterator_kind.next may go on after) and the iterator is asked again.
 *
 * Of every operator: Suspends: no. Cancel: not affected. Thread: any; its bide_next() as its
 * sources'.
 */
#ifndef BIDE_FLOW_H
#define BIDE_FLOW_H

#include <bide/iterator.h>

BIDE_BEGIN_DECLARATIONS

/* Writes what becomes of `item` to ret_item. Returns >= 0 or an error. */
typedef int bide_map_function(const void *item, void *ret_item, void *data);

/*
 * What a function makes of each value.
 *
 * source: takes. item_size: bytes of what it makes. function, data: borrows until closed. Returns
 * owned. Suspends: no; its bide_next() if source or function do. Cancel: see above. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_map(bide_iterator *source, size_t item_size,
                                    bide_map_function *function, void *data);

/* Returns 1 to keep the item, 0 to drop it, or an error. */
typedef int bide_filter_function(const void *item, void *data);

/*
 * The values that a function keeps.
 *
 * source: takes. function, data: borrows until closed. Returns owned.
 * Suspends: no; its bide_next() if source or function do. Cancel: see above. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_filter(bide_iterator *source, bide_filter_function *function,
                                       void *data);

/*
 * The first n values; the source is not asked for more.
 *
 * source: takes. Returns owned.
 * Suspends: no; its bide_next() if the source does. Cancel: see above. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_take(bide_iterator *source, size_t n);

/*
 * All but the first n values.
 *
 * source: takes. Returns owned.
 * Suspends: no; its bide_next() if the source does. Cancel: see above. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_skip(bide_iterator *source, size_t n);

/*
 * bide_enumerate(source, type): each value with its number, from 0, as a `type`, a struct with the
 * members `size_t index` and `item`, of the values' size.
 *
 * source: takes. Returns owned. Suspends: no; its bide_next() if the source does. Cancel: see
 * above. Thread: any.
 */
#define bide_enumerate(source, type) \
    bide__enumerate((source), sizeof(type), offsetof(type, index), offsetof(type, item), \
                    sizeof(((type *)NULL)->item))

/*
 * bide_chunks(source, type): several values at a time as a `type`, a struct with the members
 * `size_t n` and `items`, an array of values. All chunks are full but the last, which may hold
 * fewer.
 *
 * source: takes. Returns owned. Suspends: no; its bide_next() if the source does. Cancel: see
 * above. Thread: any.
 */
#define bide_chunks(source, type) \
    bide__chunks((source), sizeof(type), offsetof(type, n), offsetof(type, items), \
                 sizeof(((type *)NULL)->items[0]), sizeof(((type *)NULL)->items))

/*
 * The values of one iterator after those of the other.
 *
 * sources: n iterators, takes them; the array is borrowed until return. All have values of one
 * size. Returns owned; NULL for n = 0. Suspends: no; its bide_next() if the source does. Cancel:
 * see above. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_chain(bide_iterator *const *sources, size_t n);

/*
 * bide_zip(type, (member, source)...): one value of each of up to twelve sources, together as a
 * struct `type`, until the first source ends. The sources are asked one after the other; what those
 * before an ended one gave last is dropped.
 *
 * source: an iterator with values of the member's size; takes. Returns owned. Suspends: no; its
 * bide_next() if a source does. Cancel: see above. Thread: any.
 */
#define bide_zip(type, ...) BIDE__ZIP(BIDE__CAT(bide__zip_, __COUNTER__), type, __VA_ARGS__)

/*
 * The values of several iterators as they come, each source asked by a task of its own, one value
 * ahead. The first source that fails ends the others: its error comes after the values that were
 * there before it. The tasks begin with the first bide_next() and are cancelled and joined by the
 * close.
 *
 * sources: n iterators, takes them; the array is borrowed until return. All have values of one
 * size. Returns owned; NULL for n = 0. Suspends: no; its bide_next() does. Cancel: see above; the
 * tasks go on until the close. Thread: any; the loop's once it has begun.
 */
BIDE_EXPORT bide_iterator *bide_merge(bide_iterator *const *sources, size_t n);

/* Makes an iterator of an item. NULL is -ENOMEM. */
typedef bide_iterator *bide_flat_map_function(const void *item, void *data);

/*
 * The values, as they come, of the iterators that a function makes of the source's values, of which
 * at most n_max are under way: so many tasks take turns in asking the source, and each iterates
 * what was made of its value, one value ahead. Errors, beginning and end are as in bide_merge().
 *
 * source: takes. item_size: bytes of the values that come out. n_max: at least 1. function, data:
 * borrows until closed. Returns owned. Suspends: no; its bide_next() does. Cancel: see above; the
 * tasks go on until the close. Thread: any; the loop's once it has begun.
 */
BIDE_EXPORT bide_iterator *bide_flat_map(bide_iterator *source, size_t item_size, size_t n_max,
                                         bide_flat_map_function *function, void *data);

/*
 * The values at most one in `seconds`: after each, the source is not asked earlier than that.
 *
 * source: takes. Returns owned. Suspends: no; its bide_next() does. Cancel: see above. Thread: any;
 * the loop's once it has begun.
 */
BIDE_EXPORT bide_iterator *bide_throttle(bide_iterator *source, double seconds);

/*
 * The values as long as each comes within `seconds` of being asked for; otherwise bide_next() fails
 * with -ETIMEDOUT, which is the end.
 *
 * source: takes. Returns owned. Suspends: no; its bide_next() if the source does. Cancel: see
 * above. Thread: any; the loop's once it has begun.
 */
BIDE_EXPORT bide_iterator *bide_each_within(bide_iterator *source, double seconds);

/* Adds an item to what `accumulator` points at. Returns >= 0 or an error. */
typedef int bide_reduce_function(void *accumulator, const void *item, void *data);

/*
 * Calls a function with each value, until the end or an error, and closes the iterator as
 * bide_for() does.
 *
 * iterator: takes; NULL is -ENOMEM. accumulator, function, data: borrows until return. Returns 0;
 * the error of the iteration, the function or the close; -ENOMEM, -EINVAL. Suspends: if iterator or
 * function do. Cancel: as bide_next(); what was accumulated so far is. Thread: as bide_next().
 */
BIDE_EXPORT int bide_reduce(bide_iterator *iterator, bide_reduce_function *function,
                            void *accumulator, void *data);

/*
 * bide_collect(iterator, ret_array, ret_n, n_max): all values in an array, and closes the iterator
 * as bide_for() does.
 *
 * iterator: takes; NULL is -ENOMEM. ret_array: a pointer to a pointer to values; the array is the
 * caller's, to be released with free(); NULL if there are none. ret_n: how many (size_t *). n_max:
 * 0 for 1,048,576. Returns 0; -BIDE_ELIMIT if there are more; the error of the iteration or the
 * close; -ENOMEM, -EINVAL if the size is not that of the values. Suspends: if the iterator does.
 * Cancel: as bide_next(); what came so far is dropped. Thread: as bide_next().
 */
#define bide_collect(iterator, ret_array, ret_n, n_max) \
    BIDE__COLLECT(BIDE__CAT(bide__items_, __COUNTER__), BIDE__CAT(bide__rc_, __COUNTER__), \
                  iterator, ret_array, ret_n, n_max)

/* From here on: what the macros above expand to. Not to be used directly. */

/* A source, and where its value goes. */
struct bide__zipped {
    bide_iterator *source;
    size_t offset;
    size_t size;
};

/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT bide_iterator *bide__enumerate(bide_iterator *source, size_t size, size_t index_offset,
                                           size_t item_offset, size_t item_size);
/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT bide_iterator *bide__chunks(bide_iterator *source, size_t size, size_t n_offset,
                                        size_t items_offset, size_t item_size, size_t items_size);
/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT bide_iterator *bide__zip(const struct bide__zipped *zipped, size_t n, size_t size);
/* Suspends: as bide_collect(). Cancel: as bide_collect(). Thread: as bide_collect(). */
BIDE_EXPORT int bide__collect(bide_iterator *iterator, size_t item_size, size_t n_max,
                              void **ret_items, size_t *ret_n);

#define BIDE__COLLECT(items, rc, iterator, ret_array, ret_n, n_max) \
    (__extension__({ \
        void *items; \
        int rc = bide__collect((iterator), sizeof **(ret_array), (n_max), &items, (ret_n)); \
        if (rc >= 0) \
            *(ret_array) = (__typeof__(*(ret_array)))items; \
        rc; \
    }))

#define BIDE__ZIP(zipped, type, ...) \
    (__extension__({ \
        struct bide__zipped zipped[] = { \
            BIDE__CAT(BIDE__ZIP_, BIDE__COUNT(__VA_ARGS__))(type, __VA_ARGS__)}; \
        bide__zip(zipped, sizeof zipped / sizeof *zipped, sizeof(type)); \
    }))
#define BIDE__ZIPPED(type, pair) \
    { \
        BIDE__SECOND pair, BIDE__ZIPPED_(type, BIDE__FIRST pair) \
    }
#define BIDE__ZIPPED_(type, member) offsetof(type, member), sizeof(((type *)NULL)->member)
#define BIDE__FIRST(a, ...) a
#define BIDE__SECOND(a, ...) __VA_ARGS__
#define BIDE__ZIP_1(type, a) BIDE__ZIPPED(type, a)
#define BIDE__ZIP_2(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_1(type, __VA_ARGS__)
#define BIDE__ZIP_3(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_2(type, __VA_ARGS__)
#define BIDE__ZIP_4(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_3(type, __VA_ARGS__)
#define BIDE__ZIP_5(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_4(type, __VA_ARGS__)
#define BIDE__ZIP_6(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_5(type, __VA_ARGS__)
#define BIDE__ZIP_7(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_6(type, __VA_ARGS__)
#define BIDE__ZIP_8(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_7(type, __VA_ARGS__)
#define BIDE__ZIP_9(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_8(type, __VA_ARGS__)
#define BIDE__ZIP_10(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_9(type, __VA_ARGS__)
#define BIDE__ZIP_11(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_10(type, __VA_ARGS__)
#define BIDE__ZIP_12(type, a, ...) BIDE__ZIPPED(type, a), BIDE__ZIP_11(type, __VA_ARGS__)

BIDE_END_DECLARATIONS

#endif
