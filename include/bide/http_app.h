/*
 * Applications: which handler answers which request, and what happens around all of them.
 *
 * An application is made before it is served, and may be served at several addresses and by several
 * loops one after the other. It is not changed while it is served.
 */
#ifndef BIDE_HTTP_APP_H
#define BIDE_HTTP_APP_H

#include <bide/http_request.h>
#include <bide/loop.h>

BIDE_BEGIN_DECLARATIONS

/* An application. */
typedef struct bide_http_app bide_http_app;

/*
 * Makes an application that answers everything with 404.
 *
 * state: what bide_http_state() gives handlers; borrowed. ret_app: returns owned, to be given back
 * with bide_http_app_free() after its servers. Returns 0, -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_app_new(void *state, bide_http_app **ret_app);

/*
 * Gives an application back, and drops the data of its routes, middleware and hooks.
 *
 * app: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT void bide_http_app_free(bide_http_app *app);

/*
 * The state that the application was made with.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void *bide_http_state(const bide_http_request *request);

/*
 * Adds a route: requests of this method whose path fits the pattern are the handler's.
 *
 * method: copied; NULL for all. A route for GET answers HEAD, too, unless there is one for HEAD;
 * OPTIONS is answered by the application unless there is a route; a path that fits with another
 * method is 405. pattern: copied; segments are themselves, or {name} for any one segment, or at the
 * end {name...} for the whole rest, the empty one included. Of several that fit the most literal
 * one counts, compared segment by segment from the left. data: the handler's; drop: releases it,
 * may be NULL. Returns 0; -EINVAL: a malformed pattern, or no handler; -EEXIST: there is such a
 * route; -EBUSY: the application is served; -ENOMEM. On failure `data` stays the caller's.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_route(bide_http_app *app, const char *method, const char *pattern,
                                bide_http_handler *handler, void *data, bide_drop *drop);

/* What a middleware stands in front of: the next one, or the handler. */
typedef struct bide_http_next bide_http_next;

/*
 * Stands around all handlers: may answer itself, or run `next` and look at what came of it.
 *
 * Returns as a handler does; usually what bide_http_next_run() returned.
 */
typedef int bide_http_middleware(bide_http_request *request, bide_http_next *next, void *data);

/*
 * Adds a middleware inside of those that were added before.
 *
 * Otherwise as bide_http_route().
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_use(bide_http_app *app, bide_http_middleware *middleware, void *data,
                              bide_drop *drop);

/*
 * Runs what a middleware stands in front of; once.
 *
 * Returns what it returned; -EALREADY: it ran before.
 * Suspends: yes. Cancel: as what it runs. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_next_run(bide_http_next *next);

/*
 * Something to do around serving. state: the application's.
 *
 * Returns 0 or more, or an error.
 */
typedef int bide_http_hook(void *state, void *data);

/*
 * Adds a hook that runs before the application is served: those of one application in the order in
 * which they were added. One that fails makes serving fail, and those that ran before are undone by
 * their shut-down hooks.
 *
 * start, stop: either may be NULL; they may suspend. stop runs when the last server of the
 * application has closed, in the opposite order, shielded.
 * Otherwise as bide_http_route().
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_on(bide_http_app *app, bide_http_hook *start, bide_http_hook *stop,
                             void *data, bide_drop *drop);

BIDE_END_DECLARATIONS

#endif
