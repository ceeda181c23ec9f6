/*
 * Applications: routes, middleware, hooks.
 *
 * Invariants
 *  - While `n_served` is not 0 nothing of an application changes.
 *  - A request that a handler left without an answer gets one here; the protocol below always sees
 * an answer that was ended, or an error.
 */
#include "http/exchange.h"
#include "http/route.h"

#include <bide/error.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct middleware {
    bide_http_middleware *run;
    void *data;
    bide_drop *drop;
};

struct hook {
    bide_http_hook *start, *stop;
    bide__http_refused *refused;
    void *data;
    bide_drop *drop;
};

struct bide_http_app {
    void *state;
    struct bide__http_node root;
    struct middleware *middleware;
    size_t n_middleware;
    struct hook *hooks;
    size_t n_hooks;
    size_t n_served;
};

/* Lies on the stack of the handler's task, for the time of the call. */
struct bide_http_next {
    bide_http_request *request;
    size_t i; /* the middleware that comes next */
    bool has_run;
};

int bide_http_app_new(void *state, bide_http_app **ret_app)
{
    if (!ret_app)
        return -EINVAL;
    bide_http_app *app = calloc(1, sizeof *app);
    if (!app)
        return -ENOMEM;
    app->state = state;
    *ret_app = app;
    return 0;
}

void bide_http_app_free(bide_http_app *app)
{
    if (!app)
        return;
    bide__http_routes_free(&app->root);
    for (size_t i = 0; i < app->n_middleware; i++)
        if (app->middleware[i].drop)
            app->middleware[i].drop(app->middleware[i].data);
    for (size_t i = 0; i < app->n_hooks; i++)
        if (app->hooks[i].drop)
            app->hooks[i].drop(app->hooks[i].data);
    free(app->middleware);
    free(app->hooks);
    free(app);
}

void *bide_http_state(const bide_http_request *request)
{
    return request && request->app ? request->app->state : NULL;
}

int bide_http_route(bide_http_app *app, const char *method, const char *pattern,
                    bide_http_handler *handler, void *data, bide_drop *drop)
{
    if (!app || !pattern || !handler || (method && !bide__http_is_name(method)))
        return -EINVAL;
    if (app->n_served > 0)
        return -EBUSY;
    return bide__http_route_add(&app->root, method, pattern, handler, data, drop);
}

int bide_http_use(bide_http_app *app, bide_http_middleware *middleware, void *data, bide_drop *drop)
{
    if (!app || !middleware)
        return -EINVAL;
    if (app->n_served > 0)
        return -EBUSY;
    struct middleware *all = realloc(app->middleware, (app->n_middleware + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    app->middleware = all;
    all[app->n_middleware++] = (struct middleware){middleware, data, drop};
    return 0;
}

static int hook_add(bide_http_app *app, const struct hook *hook)
{
    if (app->n_served > 0)
        return -EBUSY;
    struct hook *all = realloc(app->hooks, (app->n_hooks + 1) * sizeof *all);
    if (!all)
        return -ENOMEM;
    app->hooks = all;
    all[app->n_hooks++] = *hook;
    return 0;
}

int bide_http_on(bide_http_app *app, bide_http_hook *start, bide_http_hook *stop, void *data,
                 bide_drop *drop)
{
    struct hook hook = {.start = start, .stop = stop, .data = data, .drop = drop};
    return app && (start || stop) ? hook_add(app, &hook) : -EINVAL;
}

int bide__http_on(bide_http_app *app, bide_http_hook *start, bide_http_hook *stop,
                  bide__http_refused *refused, void *data)
{
    struct hook hook = {.start = start, .stop = stop, .refused = refused, .data = data};
    return hook_add(app, &hook);
}

void bide__http_app_refused(bide_http_app *app, bide_http_request *request)
{
    for (size_t i = 0; i < app->n_hooks; i++)
        if (app->hooks[i].refused)
            app->hooks[i].refused(request, app->hooks[i].data);
}

/* Hooks */

/* Those before the n-th, the last one first; the first error. */
static int stop_hooks(bide_http_app *app, size_t n)
{
    int first = 0;
    while (n > 0) {
        struct hook *hook = &app->hooks[--n];
        int rc = hook->stop ? hook->stop(app->state, hook->data) : 0;
        if (rc < 0 && first == 0)
            first = rc;
    }
    return first;
}

int bide__http_app_begin(bide_http_app *app)
{
    if (app->n_served++ > 0)
        return 0;
    for (size_t i = 0; i < app->n_hooks; i++) {
        struct hook *hook = &app->hooks[i];
        int rc = hook->start ? hook->start(app->state, hook->data) : 0;
        if (rc < 0) {
            (void)bide_shielded(INFINITY, stop_hooks(app, i));
            app->n_served--;
            return rc;
        }
    }
    return 0;
}

int bide__http_app_end(bide_http_app *app)
{
    if (app->n_served > 1) {
        app->n_served--;
        return 0;
    }
    int rc = bide_shielded(INFINITY, stop_hooks(app, app->n_hooks));
    app->n_served--;
    return rc;
}

/* Requests */

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

/* HEAD is GET without the body, unless there is a route for it. */
static const struct bide__http_route *route_for(const struct bide__http_node *node,
                                                const char *method)
{
    const struct bide__http_route *route = bide__http_route_for(node, method);
    if (!route && strcmp(method, "HEAD") == 0)
        route = bide__http_route_for(node, "GET");
    return route;
}

enum { ALLOW_SIZE = 256 };

/* One more method; those that find no room are left out. */
static size_t allow_add(char list[ALLOW_SIZE], size_t size, const char *method)
{
    int n = snprintf(list + size, ALLOW_SIZE - size, "%s%s", size > 0 ? ", " : "", method);
    if ((size_t)n < ALLOW_SIZE - size)
        return size + (size_t)n;
    list[size] = '\0';
    return size;
}

/* The field Allow. */
static int allow(bide_http_request *request, const struct bide__http_node *node)
{
    char list[ALLOW_SIZE] = "";
    size_t size = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        bool is_options = strcmp(methods[i], "OPTIONS") == 0;
        if (is_options || route_for(node, methods[i]))
            size = allow_add(list, size, methods[i]);
    }
    for (const struct bide__http_route *route = node->routes; route; route = route->next)
        if (route->method && !strstr(list, route->method))
            size = allow_add(list, size, route->method);
    return bide_http_reply_header(request, "Allow", list);
}

/* Not inlined, because its frame would burden every request; as others below. */
static __attribute__((noinline)) int not_allowed(bide_http_request *request,
                                                 const struct bide__http_node *node)
{
    bool is_options = strcmp(request->method, "OPTIONS") == 0;
    int rc = allow(request, node);
    if (rc < 0)
        return rc;
    return is_options ? bide_http_reply(request, 204, NULL, NULL, 0)
                      : bide_http_reply_text(request, 405, "Method Not Allowed\n");
}

static int run_handler(bide_http_request *request)
{
    int rc = 0;
    const struct bide__http_node *node = NULL;
    if (request->path)
        node = bide__http_route_find(&request->app->root, request, request->raw_path, &rc);
    if (rc < 0)
        return rc;
    if (!node) {
        bool is_server_wide = !request->path && strcmp(request->method, "OPTIONS") == 0;
        return is_server_wide ? bide_http_reply(request, 204, NULL, NULL, 0)
                              : bide_http_reply_text(request, 404, "Not Found\n");
    }
    const struct bide__http_route *route = route_for(node, request->method);
    if (!route)
        return not_allowed(request, node);
    for (size_t i = 0; i < request->n_params; i++)
        request->params[i].name = route->names[i];
    return route->handler(request, route->data);
}

int bide_http_next_run(bide_http_next *next)
{
    if (!next)
        return -EINVAL;
    if (next->has_run)
        return -EALREADY;
    next->has_run = true;
    bide_http_request *request = next->request;
    if (next->i == request->app->n_middleware)
        return run_handler(request);
    struct middleware *middleware = &request->app->middleware[next->i];
    bide_http_next inner = {.request = request, .i = next->i + 1};
    return middleware->run(request, &inner, middleware->data);
}

/* What a handler's error is to the client. */
static int error_status(const bide_http_request *request, int rc)
{
    switch (rc) {
    case -BIDE_ELIMIT:
        return 413;
    case -EBADMSG:
        return 400;
    case -EMEDIUMTYPE:
        return 415;
    case -ETIMEDOUT:
        return request->is_body_late ? 408 : 503;
    default:
        return 500;
    }
}

static __attribute__((noinline)) int answer_error(bide_http_request *request, int rc)
{
    bide__http_reply_give_up(request);
    int status = error_status(request, rc);
    char text[64];
    size_t size = 0;
    for (const char *reason = bide_http_reason(status); *reason; reason++)
        text[size++] = *reason;
    text[size++] = '\n';
    return bide_http_reply(request, status, "text/plain; charset=utf-8", text, size);
}

/* Time limits */

int bide__http_time_limit_begin(bide_http_request *request, struct bide__http_time_limit *limit,
                                double seconds)
{
    int rc = bide_timeout_begin(seconds, &limit->timeout);
    if (rc < 0)
        return rc;
    limit->outer = request->time_limits;
    request->time_limits = limit;
    return 0;
}

int bide__http_time_limit_end(bide_http_request *request, struct bide__http_time_limit *limit,
                              int rc)
{
    request->time_limits = limit->outer;
    return bide_timeout_end(limit->timeout, rc);
}

void bide__http_time_limits_lift(bide_http_request *request)
{
    for (struct bide__http_time_limit *limit = request->time_limits; limit; limit = limit->outer)
        (void)bide_timeout_move(limit->timeout, INFINITY); /* one that expired stays so */
}

int bide__http_app_answer(bide_http_app *app, bide_http_request *request)
{
    bide_http_next first = {.request = request};
    request->app = app;
    int rc = bide_http_next_run(&first);
    if (request->reply_state == BIDE__REPLY_ENDED)
        return rc;
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0 && request->reply_state < BIDE__REPLY_SENT) {
        int answered = answer_error(request, rc);
        return answered < 0 ? answered : rc;
    }
    if (rc < 0)
        return rc;
    if (request->reply_state == BIDE__REPLY_NONE)
        return bide_http_reply_text(request, 404, "Not Found\n");
    return bide_http_reply_end(request);
}
