/* Answering; see exchange.h for the states that an answer goes through. */
#include "http/exchange.h"

#include <bide/error.h>
#include <bide/url.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

int bide_http_reply_header(bide_http_request *request, const char *name, const char *value)
{
    int rc = header_refused(request, name);
    if (rc == 0 && strcasecmp(name, "content-type") == 0)
        request->type = NULL;
    return rc < 0 ? rc : bide_http_fields_set(&request->fields, name, value);
}

int bide_http_reply_header_add(bide_http_request *request, const char *name, const char *value)
{
    int rc = header_refused(request, name);
    return rc < 0 ? rc : bide_http_fields_add(&request->fields, name, value);
}

/* A type that was set as a field beats the one that came with the answer. */
static int set_type(bide_http_request *request, const char *type)
{
    request->type = NULL;
    if (!type || bide_http_fields_get(&request->fields, "content-type"))
        return 0;
    if (!bide__http_is_value(type))
        return -EINVAL;
    size_t size = strlen(type) + 1;
    char *copy = bide_http_alloc(request, size);
    if (!copy)
        return -ENOMEM;
    request->type = memcpy(copy, type, size);
    return 0;
}

int bide_http_reply_begin(bide_http_request *request, int status, const char *type, int64_t length)
{
    if (!request || status < STATUS_MIN || status > STATUS_MAX || length < BIDE_HTTP_LENGTH_UNKNOWN)
        return -EINVAL;
    if (request->reply_state != BIDE__REPLY_NONE)
        return -EALREADY;
    int rc = set_type(request, type);
    if (rc < 0)
        return rc;
    request->status = status;
    request->reply_length = length;
    request->reply_state = BIDE__REPLY_BEGUN;
    return 0;
}

static int write_piece(bide_http_request *request, const void *data, size_t size, bool ends)
{
    request->n_written += size;
    if (!bide__http_has_body(request))
        size = 0;
    if (size == 0 && !ends && request->reply_state >= BIDE__REPLY_SENT)
        return 0;
    int rc = request->ops->write(request, data, size, ends);
    request->reply_state = ends && rc == 0 ? BIDE__REPLY_ENDED : BIDE__REPLY_SENT;
    return rc;
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
    int rc = bide_http_reply_begin(request, status, type, (int64_t)size);
    return rc < 0 ? rc : write_piece(request, data, size, true);
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
