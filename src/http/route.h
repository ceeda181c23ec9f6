/*
 * A tree of path segments that leads to handlers.
 *
 * Invariant: of the patterns that fit a path, the one is found that is more literal at the first
 * segment where they differ: a literal segment before {name} before {name...}.
 */
#ifndef BIDE_HTTP_ROUTE_H
#define BIDE_HTTP_ROUTE_H

#include "http/exchange.h"

struct bide__http_route {
    struct bide__http_route *next; /* of the same pattern, with another method */
    bide_http_handler *handler;
    void *data;
    bide_drop *drop;
    const char *const *names; /* of the pattern's places, in their order */
    char *method;             /* NULL: all */
};

struct bide__http_node {
    char *text; /* the literal segment; NULL for the root and for places */
    size_t size;
    struct bide__http_node **literals; /* sorted */
    size_t n_literals;
    struct bide__http_node *place;
    struct bide__http_node *rest;
    struct bide__http_route *routes; /* of the pattern that ends here */
};

void bide__http_routes_free(struct bide__http_node *root);

/* As bide_http_route(). */
int bide__http_route_add(struct bide__http_node *root, const char *method, const char *pattern,
                         bide_http_handler *handler, void *data, bide_drop *drop);

/*
 * The node that the request's path leads to, with the values of its places in the request; NULL:
 * none. raw: the path as the client wrote it. ret_rc: -ENOMEM.
 */
const struct bide__http_node *bide__http_route_find(const struct bide__http_node *root,
                                                    bide_http_request *request,
                                                    struct bide__http_segment raw, int *ret_rc);

/* The route of the node for the method; NULL: none. */
const struct bide__http_route *bide__http_route_for(const struct bide__http_node *node,
                                                    const char *method);

#endif
