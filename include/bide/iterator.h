/*
 * Asynchronous iteration: values that come one after the other, each perhaps after a wait.
 *
 *     int rc;
 *     bide_for (int, n, rc, bide_iterate(count_to, 10)) {
 *         if (n == 5)
 *             break;
 *     }
 *     return rc;
 *
 * An iterator is made by a generator (bide/generator.h), by an operator over other iterators
 * (bide/flow.h), or from a table of one's own functions. It is asked by one task at a time and has
 * to be closed; then what stands behind it cleans up.
 */
#ifndef BIDE_ITERATOR_H
#define BIDE_ITERATOR_H

#include <bide/async.h>

BIDE_BEGIN_DECLARATIONS

/* Something that gives values of one size, until it ends. */
typedef struct bide_iterator bide_iterator;

/* How one's own iterator works. */
struct bide_iterator_kind {
    const char *name; /* for people; borrowed while there are iterators of this kind */
    /*
     * Writes the next value to ret_item, which has room for item_size bytes. Returns 1; 0 at the
     * end; or an error, with ret_item untouched. It may suspend. After -ECANCELED it may be called
     * again, and is to have lost nothing; also after -EBUSY, -EXDEV, -ENOMEM and -BIDE_ENOTASK.
     * After the end and after any other error it is not.
     */
    int (*next)(void *self, void *ret_item);
    /* Releases self, once; may suspend. Returns 0 or an error. NULL: there is nothing to release.
     */
    int (*close)(void *self);
};

/*
 * Makes an iterator from a table of functions.
 *
 * kind: borrows until the iterator is closed. self: what the functions get; the iterator's from now
 * on, still the caller's on failure. item_size: bytes of a value. Returns owned, to be closed with
 * bide_iterator_close(); NULL without memory or with a NULL kind or next. Suspends: no. Cancel: not
 * affected. Thread: any.
 */
BIDE_EXPORT bide_iterator *bide_iterator_new(const struct bide_iterator_kind *kind, void *self,
                                             size_t item_size);

/*
 * bide_next(iterator, ret_item): the next value.
 *
 * ret_item: points to room for one value, whose size is checked; untouched unless 1 is returned.
 * Returns 1; 0 at the end and from then on; or an error: what the iterator ended with (once, then
 * it is at its end), -EINVAL if the size is not that of its values, -EBUSY if somebody is inside,
 * -EXDEV if it is a generator that began in another loop or thread, -ENOMEM (also for a NULL
 * iterator), -BIDE_ENOTASK if it has to suspend. Suspends: if what makes the value does. Cancel:
 * reaches what makes the value; -ECANCELED ends a generator whose body returns it, and leaves other
 * iterators as they were. Thread: where it was first asked.
 */
#define bide_next(iterator, ret_item) bide__next((iterator), (ret_item), sizeof *(ret_item))

/*
 * How many bytes a value has; 0 for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: where it was first asked.
 */
BIDE_EXPORT size_t bide_iterator_item_size(const bide_iterator *iterator);

/*
 * Ends an iterator and releases it, whether or not it came to its end: a generator that waits in a
 * yield is continued there with an error and runs its cleanup; an operator closes its sources.
 *
 * iterator: takes, except with -EBUSY (somebody is inside), -EXDEV (see bide_next()) and, if it is
 * a generator with a time limit or group open that began in a task, with -BIDE_ENOTASK. NULL is
 * allowed. Returns 0; or the error that it ended with and that no bide_next() told. Suspends: if
 * the cleanup does; a join. Cancel: handed on to the cleanup, whose end it waits for. Thread: where
 * it was first asked.
 */
BIDE_EXPORT int bide_iterator_close(bide_iterator *iterator);

/*
 * bide_for (type, item, rc, iterator) { … }: runs the block for each value, in the new variable
 * `item`, and closes the iterator on every way out: at the end, by break, return or goto. The close
 * is shielded as by bide_shielded(INFINITY, ...).
 *
 * iterator: an expression, takes; evaluated once; NULL is -ENOMEM. rc: an int variable of the
 * caller's, during the block 1, afterwards 0 or the error of the iteration or of the close; a
 * negative value that the block leaves in it stands. Suspends: as bide_next() and
 * bide_iterator_close(). Cancel: as bide_next(). Thread: as bide_next().
 */
#define bide_for(type, item, rc, iterator) \
    BIDE__FOR(type, item, rc, iterator, BIDE__CAT(bide__for_, __COUNTER__))

/* From here on: what the macros above expand to. Not to be used directly. */

struct bide__for {
    bide_iterator *iterator;
    int *rc;
    bool done;
};

#define BIDE__FOR(type, item, rc_, source, guard) \
    for (__attribute__((cleanup(bide__for_end))) struct bide__for guard = {(source), &(rc_), \
                                                                           false}; \
         !guard.done; guard.done = true) \
        for (type item; ((rc_) = bide_next(guard.iterator, &item)) == 1;)

/* Suspends: if what makes the value does. Cancel: as bide_next(). Thread: as bide_next(). */
BIDE_EXPORT int bide__next(bide_iterator *iterator, void *ret_item, size_t size);
/* Suspends: if the cleanup does. Cancel: shielded. Thread: as bide_next(). */
BIDE_EXPORT void bide__for_end(struct bide__for *loop);

BIDE_END_DECLARATIONS

#endif
