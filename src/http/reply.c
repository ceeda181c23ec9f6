/* Answering; see exchange.h for the states that an answer goes through. */
#include "http/exchange.h"
#include "runtime/loop.h"

#include <bide/error.h>
#include <bide/url.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_S INT64_C(1000000000)

enum { STATUS_MIN = 200, STATUS_MAX = 599 };

/* Fields that say where the message ends, or that the server knows better. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection",
                                        "keep-alive",     "upgrade",           "date"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static int header_refused(const bide_http_request *request, const char *name)
{
    if (!request || !name || is_ours(name))
        return -EINVAL;
    return request->reply_state >= BIDE__REPLY_SENT ? -EALREADY : 0;
}

static void clear_type(bide_http_request *request)
{
    request->type = NULL;
    request->type_size = 0;
}

int bide_http_reply_header(bide_http_request *request, const char *name, const char *value)
{
    int rc = header_refused(request, name);
    if (rc == 0 && strcasecmp(name, "content-type") == 0)
        clear_type(request);
    return rc < 0 ? rc : bide_http_fields_set(&request->fields, name, value);
}

int bide_http_reply_header_add(bide_http_request *request, const char *name, const char *value)
{
    int rc = header_refused(request, name);
    return rc < 0 ? rc : bide_http_fields_add(&request->fields, name, value);
}

/* A type that was set as a field beats the one that came with the answer. 0 or -EINVAL; it stays
 * the caller's. */
static int lend_type(bide_http_request *request, const char *type)
{
    clear_type(request);
    if (!type || (request->fields.n > 0 && bide_http_fields_get(&request->fields, "content-type")))
        return 0;
    if (!bide__http_is_value(type))
        return -EINVAL;
    request->type = type;
    request->type_size = strlen(type);
    return 0;
}

static int keep_type(bide_http_request *request)
{
    if (!request->type)
        return 0;
    char *copy = bide_http_alloc(request, request->type_size + 1);
    if (copy)
        request->type = memcpy(copy, request->type, request->type_size + 1);
    else
        clear_type(request);
    return copy ? 0 : -ENOMEM;
}

/* `type` is lent until the answer's head is sent, or bide__http_reply_give_up(). */
static int begin(bide_http_request *request, int status, const char *type, int64_t length)
{
    if (!request || status < STATUS_MIN || status > STATUS_MAX || length < BIDE_HTTP_LENGTH_UNKNOWN)
        return -EINVAL;
    if (request->reply_state != BIDE__REPLY_NONE)
        return -EALREADY;
    int rc = lend_type(request, type);
    if (rc < 0)
        return rc;
    request->status = status;
    request->reply_length = length;
    request->wire_length = length;
    request->reply_state = BIDE__REPLY_BEGUN;
    return 0;
}

int bide_http_reply_begin(bide_http_request *request, int status, const char *type, int64_t length)
{
    int rc = begin(request, status, type, length);
    if (rc == 0)
        rc = keep_type(request);
    if (rc == -ENOMEM)
        request->reply_state = BIDE__REPLY_NONE;
    return rc;
}

void bide__http_reply_give_up(bide_http_request *request)
{
    bide__http_fields_clear(&request->fields);
    clear_type(request);
    request->status = 0;
    request->n_written = 0;
    request->has_head_passed = false;
    request->reply_state = BIDE__REPLY_NONE;
}

static int pass_head(bide_http_request *request, size_t size, bool ends)
{
    int rc = 0;
    if (request->has_head_passed)
        return 0;
    for (struct bide__http_filter *filter = request->filters; filter && rc == 0;
         filter = filter->next)
        if (filter->head)
            rc = filter->head(filter, request, size, ends);
    request->has_head_passed = rc == 0;
    return rc;
}

int bide__http_pass(bide_http_request *request, struct bide__http_filter *filter, const void *data,
                    size_t size, bool ends)
{
    while (filter && !filter->write)
        filter = filter->next;
    if (filter)
        return filter->write(filter, request, data, size, ends);
    request->n_sent += size;
    int rc = request->ops->write(request, data, size, ends);
    request->reply_state = ends && rc == 0 ? BIDE__REPLY_ENDED : BIDE__REPLY_SENT;
    return rc;
}

static int write_piece(bide_http_request *request, const void *data, size_t size, bool ends)
{
    request->n_written += size;
    if (!bide__http_has_body(request))
        size = 0;
    if (size == 0 && !ends && request->reply_state >= BIDE__REPLY_SENT)
        return 0;
    int rc = request->filters ? pass_head(request, size, ends) : 0;
    return rc < 0 ? rc : bide__http_pass(request, request->filters, data, size, ends);
}

/* Through filters that look at what they pass. */
static int64_t read_and_write(bide_http_request *request, bide_file *file, int64_t offset,
                              int64_t size)
{
    enum { PIECE = 65536 };
    int64_t sent = 0;
    ssize_t n = 1;
    int rc = 0;
    char *piece = malloc(PIECE);
    if (!piece)
        return -ENOMEM;
    while (sent < size && n > 0 && rc == 0) {
        n = bide_file_read_at(file, piece, size - sent < PIECE ? (size_t)(size - sent) : PIECE,
                              offset + sent);
        rc = n > 0 ? write_piece(request, piece, (size_t)n, false) : (int)n;
        sent += rc == 0 ? n : 0;
    }
    free(piece);
    return rc < 0 ? rc : sent;
}

int64_t bide__http_send_file(bide_http_request *request, bide_file *file, int64_t offset,
                             int64_t size)
{
    int rc = size > 0 && bide__http_has_body(request) ? 0 : -ENODATA;
    if (rc == 0 && request->filters)
        rc = pass_head(request, 0, false);
    if (rc < 0)
        return rc == -ENODATA ? size : rc;
    for (struct bide__http_filter *filter = request->filters; filter; filter = filter->next)
        if (filter->write)
            return read_and_write(request, file, offset, size);
    int64_t sent = request->ops->send_file(request, file, offset, size);
    request->reply_state = BIDE__REPLY_SENT;
    if (sent > 0) {
        request->n_written += (uint64_t)sent;
        request->n_sent += (uint64_t)sent;
    }
    return sent;
}

int bide__http_vary(bide_http_request *request, const char *name)
{
    size_t n;
    const struct bide_http_field *all = bide_http_fields_all(&request->fields, &n);
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(all[i].name, "Vary") == 0 &&
            (bide_http_list_has(all[i].value, name) || bide_http_list_has(all[i].value, "*")))
            return 0;
    return bide_http_fields_add(&request->fields, "Vary", name);
}

int64_t bide__http_wall_seconds(void)
{
    struct bide_engine *engine = bide_loop_current()->engine;
    return engine->ops->wall_ns(engine) / NS_PER_S;
}

int bide__http_entropy(void *buffer, size_t size)
{
    struct bide_engine *engine = bide_loop_current()->engine;
    return engine->ops->entropy(engine, buffer, size);
}

int bide_http_write(bide_http_request *request, const void *data, size_t size)
{
    if (!request || (!data && size > 0) || request->reply_state == BIDE__REPLY_NONE ||
        request->reply_state == BIDE__REPLY_ENDED)
        return -EINVAL;
    if (request->reply_length >= 0 && size > (uint64_t)request->reply_length - request->n_written)
        return -EFBIG;
    return size > 0 ? write_piece(request, data, size, false) : 0;
}

int bide_http_reply_end(bide_http_request *request)
{
    if (!request || request->reply_state == BIDE__REPLY_NONE ||
        request->reply_state == BIDE__REPLY_ENDED)
        return -EINVAL;
    if (request->reply_length >= 0 && (uint64_t)request->reply_length > request->n_written &&
        bide__http_has_body(request))
        return -BIDE_EINCOMPLETE;
    return write_piece(request, NULL, 0, true);
}

int bide_http_reply(bide_http_request *request, int status, const char *type, const void *data,
                    size_t size)
{
    if ((!data && size > 0) || size > INT64_MAX)
        return -EINVAL;
    int rc = begin(request, status, type, (int64_t)size);
    if (rc < 0)
        return rc;
    rc = write_piece(request, data, size, true);
    clear_type(request);
    return rc;
}

int bide_http_reply_text(bide_http_request *request, int status, const char *text)
{
    return text ? bide_http_reply(request, status, "text/plain; charset=utf-8", text, strlen(text))
                : -EINVAL;
}

int bide_http_reply_json(bide_http_request *request, int status, const char *json)
{
    return json ? bide_http_reply(request, status, "application/json", json, strlen(json))
                : -EINVAL;
}

int bide_http_redirect(bide_http_request *request, int status, const char *location)
{
    bool is_redirect = status == 301 || status == 302 || status == 303 || status == 307 ||
                       status == 308;
    if (!request || !location || !is_redirect)
        return -EINVAL;
    size_t size = strlen(location);
    char *escaped = bide_http_alloc(request, 3 * size + 1);
    if (!escaped)
        return -ENOMEM;
    int rc = bide_url_repair(location, size, escaped, 3 * size + 1);
    if (rc >= 0)
        rc = bide_http_reply_header(request, "Location", escaped);
    return rc < 0 ? rc : bide_http_reply(request, status, NULL, NULL, 0);
}

int bide_http_reply_status(const bide_http_request *request)
{
    return request ? request->status : 0;
}

uint64_t bide_http_reply_bytes(const bide_http_request *request)
{
    return request ? request->n_written : 0;
}
