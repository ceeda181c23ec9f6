/*
 * Cross-origin requests (the CORS protocol of the Fetch standard).
 *
 * Invariant: an answer that depends on the origin says so in Vary, whatever the origin.
 */
#include "http/exchange.h"

#include <bide/http_middleware.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cors {
    char *origins; /* NULL: all */
    char *methods;
    char *headers;
    char *exposed;
    bool credentials;
    unsigned max_age_seconds;
};

struct cors_filter {
    struct bide__http_filter filter;
    const struct cors *cors;
    const char *origin; /* allowed; NULL: it is not, or there is none */
};

static void cors_free(void *data)
{
    struct cors *cors = data;
    free(cors->origins);
    free(cors->methods);
    free(cors->headers);
    free(cors->exposed);
    free(cors);
}

static bool is_allowed(const struct cors *cors, const char *origin)
{
    size_t size = strlen(origin);
    if (!cors->origins)
        return true;
    for (const char *at = cors->origins + strspn(cors->origins, " "); *at;) {
        size_t n = strcspn(at, " ");
        if (n == size && memcmp(at, origin, n) == 0)
            return true;
        at += n + strspn(at + n, " ");
    }
    return false;
}

static int set(bide_http_request *request, const char *name, const char *value)
{
    return value ? bide_http_reply_header(request, name, value) : 0;
}

static int cors_head(struct bide__http_filter *filter, bide_http_request *request, size_t size,
                     bool ends)
{
    const struct cors *cors = ((struct cors_filter *)filter)->cors;
    const char *origin = ((struct cors_filter *)filter)->origin;
    (void)size;
    (void)ends;
    int rc = cors->origins ? bide__http_vary(request, "Origin") : 0;
    if (rc < 0 || !origin)
        return rc;
    rc = set(request, "Access-Control-Allow-Origin", cors->origins ? origin : "*");
    if (rc == 0 && cors->credentials)
        rc = set(request, "Access-Control-Allow-Credentials", "true");
    return rc < 0 ? rc : set(request, "Access-Control-Expose-Headers", cors->exposed);
}

/* A browser asks before it sends what it would not send by itself. */
static int preflight(bide_http_request *request, const struct cors *cors)
{
    const char *headers = bide_http_header(request, "Access-Control-Request-Headers");
    char age[16];
    snprintf(age, sizeof age, "%u", cors->max_age_seconds);
    int rc = set(request, "Access-Control-Allow-Methods", cors->methods);
    if (rc == 0)
        rc = set(request, "Access-Control-Allow-Headers", cors->headers ? cors->headers : headers);
    if (rc == 0 && cors->max_age_seconds > 0)
        rc = set(request, "Access-Control-Max-Age", age);
    if (rc == 0)
        rc = bide__http_vary(request, "Access-Control-Request-Headers");
    return rc < 0 ? rc : bide_http_reply(request, 204, NULL, NULL, 0);
}

static int cors_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    const struct cors *cors = data;
    const char *origin = bide_http_header(request, "Origin");
    struct cors_filter *filter = bide_http_alloc(request, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    *filter = (struct cors_filter){.filter = {.head = cors_head},
                                   .cors = cors,
                                   .origin = origin && is_allowed(cors, origin) ? origin : NULL};
    bide__http_filter_add(request, &filter->filter);
    bool asks = origin && strcmp(request->method, "OPTIONS") == 0 &&
                bide_http_header(request, "Access-Control-Request-Method");
    if (asks)
        return filter->origin ? preflight(request, cors)
                              : bide_http_reply_text(request, 403, "Forbidden\n");
    return bide_http_next_run(next);
}

static char *copy_of(const char *text, const char *otherwise, bool *failed)
{
    const char *chosen = text ? text : otherwise;
    char *copy = chosen ? strdup(chosen) : NULL;
    *failed |= chosen && !copy;
    return copy;
}

int bide_http_use_cors(bide_http_app *app, const struct bide_http_cors_opts *opts)
{
    static const struct bide_http_cors_opts none;
    const struct bide_http_cors_opts *all = opts ? opts : &none;
    const char *const values[] = {all->origins, all->methods, all->headers, all->exposed};
    bool is_any = !all->origins || strcmp(all->origins, "*") == 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] && !bide__http_is_value(values[i]))
            return -EINVAL;
    if (!app || (is_any && all->credentials))
        return -EINVAL;
    struct cors *cors = calloc(1, sizeof *cors);
    bool failed = false;
    if (!cors)
        return -ENOMEM;
    cors->origins = copy_of(is_any ? NULL : all->origins, NULL, &failed);
    cors->methods = copy_of(all->methods, "GET, HEAD, POST, PUT, PATCH, DELETE", &failed);
    cors->headers = copy_of(all->headers, NULL, &failed);
    cors->exposed = copy_of(all->exposed, NULL, &failed);
    cors->credentials = all->credentials;
    cors->max_age_seconds = all->max_age_seconds;
    int rc = failed ? -ENOMEM : bide_http_use(app, cors_middleware, cors, cors_free);
    if (rc < 0)
        cors_free(cors);
    return rc;
}
