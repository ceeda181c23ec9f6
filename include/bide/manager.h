/*
 * Context managers made from one function: a generator that yields once. What stands before the
 * yield acquires, the value that it yields is what the block works with, and what stands behind it
 * releases.
 *
 *     bide_generator(connection *, session, (const char *, host))
 *     {
 *         connection *one;
 *         int rc = session_open(host, &one);
 *         if (rc < 0)
 *             return rc;
 *         rc = bide_yield(one);
 *         int closed = session_close(one);
 *         return rc < 0 ? rc : closed;
 *     }
 *
 *     bide_with_manager (connection *, one, rc, bide_iterate(session, "example.org")) {
 *         rc = talk(one);
 *     }
 *
 * The yield returns what the block came to, and what the body returns is what became of it: one
 * that returns 0 in place of an error has dealt with it.
 */
#ifndef BIDE_MANAGER_H
#define BIDE_MANAGER_H

#include <bide/generator.h>

BIDE_BEGIN_DECLARATIONS

/* A context manager: to be entered and exited once. The fields are private. */
typedef struct bide_manager {
    bide_iterator *body;            /* NULL: exited */
    const struct bide_place *place; /* where it was made */
    void *value;                    /* set while it is entered */
} bide_manager;

/*
 * bide_with_manager (type, item, rc, iterator) { … }: enters the manager, runs the block with the
 * value in the new variable `item`, and exits it on every way out: at the block's end, by break,
 * continue, return or goto, shielded as by bide_shielded(INFINITY, ...).
 *
 * iterator: bide_iterate(...), takes; evaluated once; NULL is -ENOMEM. rc: an int variable of the
 * caller's; negative if the manager could not be entered, and then the block does not run; 0 when
 * the block begins. What it holds when the block is left is what the block came to; afterwards it
 * is what bide_manager_exit() returned. Suspends: as the body. Cancel: as bide_manager_enter().
 * Thread: as bide_next().
 */
#define bide_with_manager(type, item, rc, iterator) \
    BIDE__WITH_MANAGER(type, item, rc, iterator, BIDE__CAT(bide__manager_, __COUNTER__))

/*
 * Makes a manager of a generator, for use by hand:
 *
 *     bide_manager manager = bide_manage(bide_iterate(session, host));
 *     int rc = bide_manager_enter(&manager, &one);
 *     if (rc >= 0)
 *         rc = bide_manager_exit(&manager, talk(one));
 *
 * body: takes; NULL makes bide_manager_enter() fail with -ENOMEM. Returns owned, to be entered or
 * exited. Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_manager bide_manage(bide_iterator *body);

/*
 * bide_manager_enter(manager, ret_item): runs the body up to its yield.
 *
 * ret_item: points to room for the value, whose size is checked; untouched unless 0 is returned.
 * Returns 0, and the manager has to be exited; the body's error, with nothing to exit;
 * -BIDE_EMANAGER with words in bide_error_detail() if the body ended without a yield, or the
 * manager was entered before; -ENOMEM; -EINVAL if the size differs or it is no generator that was
 * made of. Suspends: if the body does. Cancel: reaches the body. Thread: as bide_next().
 */
#define bide_manager_enter(manager, ret_item) \
    bide__manager_enter((manager), (ret_item), sizeof *(ret_item))

/*
 * bide_manager_value(manager, ret_item): the value again, as long as the manager is entered.
 *
 * ret_item: as in bide_manager_enter(). Returns 0; -BIDE_EMANAGER with words in bide_error_detail()
 * before it is entered and after it is exited; -EINVAL. Suspends: no. Cancel: not affected. Thread:
 * as bide_next().
 */
#define bide_manager_value(manager, ret_item) \
    bide__manager_value((manager), (ret_item), sizeof *(ret_item))

/*
 * Runs the body from its yield to its end. A manager that was not entered is released without
 * running.
 *
 * rc: what the block came to; what the yield returns. Returns what the body returned (rc if it was
 * not entered); -BIDE_EMANAGER with words in bide_error_detail() if it yielded again, or the
 * manager was exited before; -EBUSY (also while another task is entering or exiting it), -EXDEV,
 * -BIDE_ENOTASK as bide_iterator_close(), with nothing done. Suspends: if the body does; a join.
 * Cancel: reaches the body, whose end it waits for. Thread: as bide_next().
 */
BIDE_EXPORT int bide_manager_exit(bide_manager *manager, int rc);

/*
 * bide_manager_exit(manager, 0) in the form that bide_with() and bide_defer() take.
 *
 * manager: a bide_manager *. Returns 0 or the error. Suspends: if the body does; a join. Cancel: as
 * bide_manager_exit(). Thread: as bide_next().
 */
BIDE_EXPORT int bide_manager_release(void *manager);

/* From here on: what the macros above expand to. Not to be used directly. */

struct bide__with_manager {
    bide_manager manager;
    int *rc;
    bool entered;
    bool done;
};

#define BIDE__WITH_MANAGER(type, item, rc_, source, guard) \
    for (__attribute__((cleanup( \
             bide__with_manager_end))) struct bide__with_manager guard = {bide_manage(source), \
                                                                          &(rc_), false, false}; \
         !guard.done; guard.done = true) \
        for (type item; bide__with_manager_begin(&guard, &item, sizeof item);)

/* Suspends: if the body does. Cancel: reaches the body. Thread: as bide_next(). */
BIDE_EXPORT int bide__manager_enter(bide_manager *manager, void *ret_item, size_t size);
/* Suspends: no. Cancel: not affected. Thread: as bide_next(). */
BIDE_EXPORT int bide__manager_value(bide_manager *manager, void *ret_item, size_t size);
/* Suspends: if the body does. Cancel: reaches the body. Thread: as bide_next(). */
BIDE_EXPORT bool bide__with_manager_begin(struct bide__with_manager *with, void *ret_item,
                                          size_t size);
/* Suspends: if the body does. Cancel: shielded. Thread: as bide_next(). */
BIDE_EXPORT void bide__with_manager_end(struct bide__with_manager *with);

BIDE_END_DECLARATIONS

#endif
