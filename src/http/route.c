/* The tree of routes; its invariant stands in route.h. */
#include "http/route.h"

#include <bide/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A pattern that is taken apart; the texts lie in a copy of it. */
struct pattern {
    size_t n_segments;
    struct bide__http_segment segments[BIDE__HTTP_SEGMENTS_MAX];
    size_t n_names;
    const char *names[BIDE__HTTP_PARAMS_MAX];
};

/* Building */

static int compare(const char *text, size_t size, const struct bide__http_node *node)
{
    size_t common = size < node->size ? size : node->size;
    int order = memcmp(text, node->text, common);
    return order != 0 ? order : (size > node->size) - (size < node->size);
}

/* Where the literal is among the node's, or would have to be. */
static size_t literal_place(const struct bide__http_node *node, const char *text, size_t size,
                            bool *ret_found)
{
    size_t begin = 0, end = node->n_literals;
    *ret_found = false;
    while (begin < end) {
        size_t middle = (begin + end) / 2;
        int order = compare(text, size, node->literals[middle]);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return begin;
}

static struct bide__http_node *literal_add(struct bide__http_node *node, const char *text,
                                           size_t size)
{
    bool found;
    size_t at = literal_place(node, text, size, &found);
    if (found && node->literals)
        return node->literals[at];
    struct bide__http_node **literals = realloc(node->literals,
                                                (node->n_literals + 1) * sizeof(*literals));
    if (!literals)
        return NULL;
    node->literals = literals;
    struct bide__http_node *added = calloc(1, sizeof *added);
    if (!added)
        return NULL;
    added->text = strndup(text, size);
    added->size = size;
    if (!added->text) {
        free(added);
        return NULL;
    }
    memmove(&literals[at + 1], &literals[at], (node->n_literals - at) * sizeof(*literals));
    literals[at] = added;
    node->n_literals++;
    return added;
}

static struct bide__http_node *child_add(struct bide__http_node **child)
{
    if (!*child)
        *child = calloc(1, sizeof **child);
    return *child;
}

enum segment_kind { LITERAL, PLACE, REST, MALFORMED };

/* For a place, `segment` becomes its name. */
static enum segment_kind segment_kind(struct bide__http_segment *segment)
{
    bool has_brace = memchr(segment->text, '{', segment->size) ||
                     memchr(segment->text, '}', segment->size);
    if (!has_brace)
        return LITERAL;
    if (segment->size < 3 || segment->text[0] != '{' || segment->text[segment->size - 1] != '}')
        return MALFORMED;
    segment->text++;
    segment->size -= 2;
    bool is_rest = segment->size > 3 && memcmp(segment->text + segment->size - 3, "...", 3) == 0;
    if (is_rest)
        segment->size -= 3;
    for (size_t i = 0; i < segment->size; i++)
        if (strchr("{}.", segment->text[i]))
            return MALFORMED;
    return is_rest ? REST : PLACE;
}

static int name_add(struct pattern *pattern, struct bide__http_segment name)
{
    if (pattern->n_names == BIDE__HTTP_PARAMS_MAX)
        return -EINVAL;
    char *text = (char *)(uintptr_t)name.text;
    text[name.size] = '\0'; /* the brace or dot behind it */
    for (size_t i = 0; i < pattern->n_names; i++)
        if (strcmp(pattern->names[i], text) == 0)
            return -EINVAL;
    pattern->names[pattern->n_names++] = text;
    return 0;
}

static int pattern_parse(char *copy, struct pattern *pattern)
{
    if (*copy != '/')
        return -EINVAL;
    for (char *at = copy + 1;;) {
        size_t size = strcspn(at, "/");
        if (pattern->n_segments == BIDE__HTTP_SEGMENTS_MAX)
            return -EINVAL;
        pattern->segments[pattern->n_segments++] = (struct bide__http_segment){at, size};
        if (at[size] == '\0')
            return 0;
        at += size + 1;
    }
}

/* The node that the pattern ends at, made if need be. */
static int walk(struct bide__http_node *root, struct pattern *pattern,
                struct bide__http_node **ret_node)
{
    struct bide__http_node *node = root;
    for (size_t i = 0; i < pattern->n_segments; i++) {
        struct bide__http_segment segment = pattern->segments[i];
        enum segment_kind kind = segment_kind(&segment);
        if (kind == MALFORMED || (kind == REST && i + 1 < pattern->n_segments))
            return -EINVAL;
        int rc = kind == LITERAL ? 0 : name_add(pattern, segment);
        if (rc < 0)
            return rc;
        node = kind == LITERAL ? literal_add(node, segment.text, segment.size)
                               : child_add(kind == PLACE ? &node->place : &node->rest);
        if (!node)
            return -ENOMEM;
    }
    *ret_node = node;
    return 0;
}

const struct bide__http_route *bide__http_route_for(const struct bide__http_node *node,
                                                    const char *method)
{
    const struct bide__http_route *any = NULL;
    for (const struct bide__http_route *route = node->routes; route; route = route->next) {
        if (!route->method)
            any = route;
        else if (method && strcmp(route->method, method) == 0)
            return route;
    }
    return any;
}

static bool has_route(const struct bide__http_node *node, const char *method)
{
    for (const struct bide__http_route *route = node->routes; route; route = route->next)
        if (method ? route->method && strcmp(route->method, method) == 0 : !route->method)
            return true;
    return false;
}

/* One block: the names' table, and the pattern's copy that they stand in. */
struct names {
    const char *table[BIDE__HTTP_PARAMS_MAX + 1];
    char text[];
};

static int route_new(struct bide__http_node *node, const char *method, struct names *names,
                     struct bide__http_route **ret_route)
{
    if (has_route(node, method))
        return -EEXIST;
    struct bide__http_route *route = calloc(1, sizeof *route);
    if (!route)
        return -ENOMEM;
    if (method && !(route->method = strdup(method))) {
        free(route);
        return -ENOMEM;
    }
    route->names = names->table;
    struct bide__http_route **end = &node->routes;
    while (*end)
        end = &(*end)->next;
    *end = route;
    *ret_route = route;
    return 0;
}

int bide__http_route_add(struct bide__http_node *root, const char *method, const char *pattern,
                         bide_http_handler *handler, void *data, bide_drop *drop)
{
    struct pattern parsed = {0};
    struct bide__http_node *node = NULL;
    struct bide__http_route *route = NULL;
    size_t size = strlen(pattern) + 1;
    struct names *names = calloc(1, sizeof *names + size);
    if (!names)
        return -ENOMEM;
    memcpy(names->text, pattern, size);
    int rc = pattern_parse(names->text, &parsed);
    if (rc == 0)
        rc = walk(root, &parsed, &node);
    if (rc == 0)
        rc = route_new(node, method, names, &route);
    if (rc < 0 || !route) {
        free(names);
        return rc;
    }
    memcpy(names->table, parsed.names, sizeof parsed.names);
    route->handler = handler;
    route->data = data;
    route->drop = drop;
    return 0;
}

static void node_fini(struct bide__http_node *node)
{
    while (node->routes) {
        struct bide__http_route *route = node->routes;
        node->routes = route->next;
        if (route->drop)
            route->drop(route->data);
        free((void *)(uintptr_t)route->names);
        free(route->method);
        free(route);
    }
    free(node->literals);
    free(node->text);
}

/* As deep as a pattern has segments. */
static void node_free(struct bide__http_node *node)
{
    for (size_t i = 0; i < node->n_literals; i++) {
        node_free(node->literals[i]);
        free(node->literals[i]);
    }
    struct bide__http_node *children[] = {node->place, node->rest};
    for (size_t i = 0; i < 2; i++) {
        if (children[i])
            node_free(children[i]);
        free(children[i]);
    }
    node_fini(node);
}

void bide__http_routes_free(struct bide__http_node *root)
{
    node_free(root);
    *root = (struct bide__http_node){0};
}

/* Finding */

struct search {
    size_t n;
    struct bide__http_segment segments[BIDE__HTTP_SEGMENTS_MAX];
    size_t n_values;
    struct bide__http_segment values[BIDE__HTTP_PARAMS_MAX];
};

static const struct bide__http_node *find(const struct bide__http_node *node, struct search *search,
                                          size_t i)
{
    if (i == search->n)
        return node->routes ? node : NULL;
    const struct bide__http_segment *segment = &search->segments[i];
    const struct bide__http_node *found = NULL;
    bool is_literal;
    size_t at = literal_place(node, segment->text, segment->size, &is_literal);
    if (is_literal)
        found = find(node->literals[at], search, i + 1);
    if (!found && node->place && segment->size > 0) {
        search->values[search->n_values++] = *segment;
        found = find(node->place, search, i + 1);
        search->n_values -= !found;
    }
    if (!found && node->rest) {
        const char *end = search->segments[search->n - 1].text +
                          search->segments[search->n - 1].size;
        search->values[search->n_values++] = (struct bide__http_segment){
            segment->text, (size_t)(end - segment->text)};
        found = node->rest;
    }
    return found;
}

/* Of a path without escapes, in which there are no dots any more. */
static void split_plain(struct search *search, const char *path)
{
    while (*path && search->n < BIDE__HTTP_SEGMENTS_MAX) {
        const char *text = path + 1;
        path = strchrnul(text, '/');
        search->segments[search->n++] = (struct bide__http_segment){text, (size_t)(path - text)};
    }
}

/* Segments with their escapes taken out, one after the other in one text, so that the rest of them
 * is a text as well. Those of dots are gone. */
static int split(struct search *search, bide_http_request *request, struct bide__http_segment raw)
{
    char *text = bide_http_alloc(request, raw.size + 1);
    if (!text)
        return -ENOMEM;
    const char *at = raw.text, *end = raw.text + raw.size;
    while (at < end) {
        const char *next = memchr(at + 1, '/', (size_t)(end - at - 1));
        const char *stop = next ? next : end;
        *text = '/';
        int n = bide_url_decode(at + 1, (size_t)(stop - at - 1), text + 1, (size_t)(stop - at));
        if (n < 0)
            return -EINVAL;
        bool is_dot = n == 1 && text[1] == '.';
        bool is_up = n == 2 && text[1] == '.' && text[2] == '.';
        if (search->n == BIDE__HTTP_SEGMENTS_MAX)
            return 0;
        if (is_up && search->n > 0)
            text = (char *)(uintptr_t)search->segments[--search->n].text - 1;
        if ((is_dot || is_up) && !next)
            search->segments[search->n++] = (struct bide__http_segment){text + 1, 0};
        if (!is_dot && !is_up) {
            search->segments[search->n++] = (struct bide__http_segment){text + 1, (size_t)n};
            text += n + 1;
        }
        at = stop;
    }
    return 0;
}

static int keep_values(struct search *search, bide_http_request *request)
{
    for (size_t i = 0; i < search->n_values; i++) {
        struct bide__http_segment value = search->values[i];
        char *copy = bide_http_alloc(request, value.size + 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, value.text, value.size);
        copy[value.size] = '\0';
        request->params[i].value = copy;
    }
    request->n_params = search->n_values;
    return 0;
}

const struct bide__http_node *bide__http_route_find(const struct bide__http_node *root,
                                                    bide_http_request *request,
                                                    struct bide__http_segment raw, int *ret_rc)
{
    /* Not on the stack: each connection has its own, and the caches only so many lines. */
    static _Thread_local struct search shared;
    struct search *search = &shared;
    search->n = 0;
    search->n_values = 0;
    *ret_rc = 0;
    if (memchr(raw.text, '%', raw.size))
        *ret_rc = split(search, request, raw);
    else
        split_plain(search, request->path);
    if (*ret_rc < 0 || search->n == BIDE__HTTP_SEGMENTS_MAX)
        return NULL;
    const struct bide__http_node *node = find(root, search, 0);
    if (node)
        *ret_rc = keep_values(search, request);
    return *ret_rc < 0 ? NULL : node;
}
