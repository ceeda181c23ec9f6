/* What a request asks; see exchange.h. */
#include "http/exchange.h"

#include "codec/url.h"

#include <bide/error.h>
#include <bide/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bide__http_block {
    struct bide__http_block *next;
    char data[] __attribute__((aligned(16)));
};

void bide__http_request_begin(bide_http_request *request)
{
    request->n_params = 0;
    request->path = NULL;
    request->query = NULL;
    request->reply_state = BIDE__REPLY_NONE;
    request->status = 0;
    request->reply_length = -1;
    request->n_written = 0;
    request->n_sent = 0;
    request->has_head_passed = false;
    request->filters = NULL;
    request->time_limits = NULL;
    request->type = NULL;
    request->type_size = 0;
    request->is_body_late = false;
    request->line = NULL;
    request->id = NULL;
    request->body_left = UINT64_MAX;
    request->scratch_used = 0;
}

void bide__http_request_end(bide_http_request *request)
{
    while (request->filters) {
        struct bide__http_filter *filter = request->filters;
        request->filters = filter->next;
        if (filter->done)
            filter->done(filter, request);
    }
    bide__http_fields_clear(&request->fields);
    while (request->blocks) {
        struct bide__http_block *block = request->blocks;
        request->blocks = block->next;
        free(block);
    }
}

void *bide_http_alloc(bide_http_request *request, size_t size)
{
    if (!request || size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (size + 15) & ~(size_t)15;
    if (rounded <= sizeof request->scratch - request->scratch_used) {
        void *memory = request->scratch + request->scratch_used;
        request->scratch_used += rounded;
        return memory;
    }
    struct bide__http_block *block = malloc(sizeof *block + rounded);
    if (!block)
        return NULL;
    block->next = request->blocks;
    request->blocks = block;
    return block->data;
}

/* The path */

static bool has_dot_segments(const char *path, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        size_t dots = i + 2 < size && path[i + 1] == '.' && path[i + 2] == '.' ? 2 : 1;
        if (path[i] == '/' && path[i + 1] == '.' &&
            (i + 1 + dots == size || path[i + 1 + dots] == '/'))
            return true;
    }
    return false;
}

static bool has_escaped_slash(const char *text, size_t size)
{
    return memmem(text, size, "%2F", 3) || memmem(text, size, "%2f", 3);
}

static int make_path(bide_http_request *request, struct bide__http_segment origin)
{
    struct bide__http_segment raw = request->raw_path;
    size_t size = raw.size;
    char *path = bide_http_alloc(request, size + 2);
    if (!path)
        return -ENOMEM;
    bool is_escaped = memchr(raw.text, '%', size);
    if (is_escaped) {
        int n = bide_url_decode(raw.text, size, path, size + 1);
        if (n < 0)
            return -EINVAL;
        size = (size_t)n;
    } else {
        memcpy(path, raw.text, size);
    }
    if (memchr(path, '\0', size))
        return -EINVAL;
    /* Routes see segments as they were before their escapes were taken out: with a slash in one,
     * dots would mean something else to them than to whoever looks at the path. */
    bool has_dots = has_dot_segments(path, size);
    if (has_dots && is_escaped && has_escaped_slash(origin.text, origin.size))
        return -EINVAL;
    if (has_dots)
        size = bide__url_remove_dots(path, size);
    if (size == 0)
        path[size++] = '/';
    path[size] = '\0';
    request->path = path;
    return 0;
}

/* As it is written, with no escape and nothing to take out: it is the path. */
static bool is_path(struct bide__http_segment raw)
{
    return raw.size > 0 && raw.text[raw.size] == '\0' && !memchr(raw.text, '%', raw.size) &&
           !has_dot_segments(raw.text, raw.size);
}

int bide__http_request_take_target(bide_http_request *request, struct bide__http_segment origin)
{
    const char *question = memchr(origin.text, '?', origin.size);
    size_t size = question ? (size_t)(question - origin.text) : origin.size;
    request->raw_path = (struct bide__http_segment){origin.text, size};
    if (question)
        request->query = question + 1;
    if (!is_path(request->raw_path))
        return make_path(request, origin);
    request->path = origin.text;
    return 0;
}

/* What handlers ask */

const char *bide_http_method(const bide_http_request *request)
{
    return request ? request->method : NULL;
}

const char *bide_http_target(const bide_http_request *request)
{
    return request ? request->target : NULL;
}

const char *bide_http_path(const bide_http_request *request)
{
    return request ? request->path : NULL;
}

const char *bide_http_query(const bide_http_request *request)
{
    return request ? request->query : NULL;
}

/* A piece of a query as forms write it: "+" is a space. */
static const char *decode_piece(bide_http_request *request, const char *text, size_t size)
{
    char *piece = bide_http_alloc(request, 2 * size + 2);
    if (!piece)
        return NULL;
    char *spaced = piece + size + 1;
    for (size_t i = 0; i < size; i++)
        spaced[i] = text[i] == '+' ? ' ' : text[i];
    int n = bide_url_decode(spaced, size, piece, size + 1);
    if (n < 0 || memchr(piece, '\0', (size_t)n))
        return NULL;
    return piece;
}

const char *bide_http_query_get(bide_http_request *request, const char *name)
{
    if (!request || !request->query || !name)
        return NULL;
    for (const char *at = request->query;;) {
        size_t size = strcspn(at, "&");
        const char *equals = memchr(at, '=', size);
        size_t name_size = equals ? (size_t)(equals - at) : size;
        const char *decoded = decode_piece(request, at, name_size);
        if (decoded && size > 0 && strcmp(decoded, name) == 0)
            return equals ? decode_piece(request, equals + 1, size - name_size - 1) : "";
        if (at[size] == '\0')
            return NULL;
        at += size + 1;
    }
}

const char *bide_http_host(const bide_http_request *request)
{
    return request ? request->host : NULL;
}

const char *bide_http_header(const bide_http_request *request, const char *name)
{
    return request && name ? request->ops->header(request, name) : NULL;
}

const struct bide_http_field *bide_http_headers(bide_http_request *request, size_t *ret_n)
{
    if (!request)
        return NULL;
    size_t n = request->ops->n_headers(request);
    struct bide_http_field *all = bide_http_alloc(request, n * sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < n; i++)
        all[i] = request->ops->header_at(request, i);
    if (ret_n)
        *ret_n = n;
    return all;
}

const char *bide_http_param(const bide_http_request *request, const char *name)
{
    if (!request || !name)
        return NULL;
    for (size_t i = 0; i < request->n_params; i++)
        if (strcmp(request->params[i].name, name) == 0)
            return request->params[i].value;
    return NULL;
}

struct bide_address bide_http_peer(const bide_http_request *request)
{
    return request ? request->ops->peer(request) : (struct bide_address){.length = 0};
}

bool bide_http_is_secure(const bide_http_request *request)
{
    return request && request->is_secure;
}

int64_t bide_http_content_length(const bide_http_request *request)
{
    return request ? request->content_length : -1;
}

int bide_http_read(bide_http_request *request, void *buffer, size_t size)
{
    if (!request || !buffer || size == 0)
        return -EINVAL;
    if (request->body_left == UINT64_MAX)
        return request->ops->read(request, buffer, size);
    /* One byte more than it may be tells whether it is longer. */
    if (size > request->body_left)
        size = (size_t)request->body_left + 1;
    int rc = request->ops->read(request, buffer, size);
    if (rc > 0 && (uint64_t)rc > request->body_left)
        return -BIDE_ELIMIT;
    request->body_left -= rc > 0 ? (uint64_t)rc : 0;
    return rc;
}

/* Grows by doubling: the memory of an announced length is not taken before the bytes have come. */
int bide_http_read_all(bide_http_request *request, size_t limit, char **ret_data)
{
    enum { FIRST_BYTES = 4096 };
    if (!request || !ret_data)
        return -EINVAL;
    if (limit == 0)
        limit = request->body_bytes_max;
    if (request->content_length > 0 && (uint64_t)request->content_length > limit)
        return -BIDE_ELIMIT;
    size_t size = 0, capacity = limit < FIRST_BYTES ? limit : FIRST_BYTES;
    char *data = malloc(capacity + 1);
    int rc = data ? 1 : -ENOMEM;
    while (rc > 0) {
        char beyond;
        bool is_full = size == limit;
        if (size == capacity && !is_full) {
            capacity = capacity < limit / 2 ? 2 * capacity : limit;
            char *larger = realloc(data, capacity + 1);
            rc = larger ? rc : -ENOMEM;
            if (!larger)
                break;
            data = larger;
        }
        rc = bide_http_read(request, is_full ? &beyond : data + size,
                            is_full ? 1 : capacity - size);
        if (rc > 0 && is_full)
            rc = -BIDE_ELIMIT;
        if (rc > 0)
            size += (size_t)rc;
    }
    char *kept = rc == 0 ? bide_http_alloc(request, size + 1) : NULL;
    if (rc == 0 && !kept)
        rc = -ENOMEM;
    if (rc == 0) {
        memcpy(kept, data, size);
        kept[size] = '\0';
        *ret_data = kept;
        rc = (int)size;
    }
    free(data);
    return rc;
}
