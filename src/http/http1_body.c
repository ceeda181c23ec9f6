/* Bodies of requests over HTTP/1.1, as they come. */
#include "http/connection.h"

#include <bide/error.h>
#include <bide/stream.h>
#include <bide/timeout.h>

#include <errno.h>
#include <string.h>

enum { SKIPPED_BYTES_MAX = 65536 };

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

static int say_continue(struct bide__http_connection *connection)
{
    if (!connection->is_continue_due)
        return 0;
    connection->is_continue_due = false;
    if (connection->end > connection->begin + connection->body_at) /* it has not waited */
        return 0;
    return bide_within(connection->server->opts.write_seconds,
                       bide_write(connection->stream, continue_line, sizeof continue_line - 1));
}

/* Nobody guards meanwhile: the call may give up a turn before it reads, and what a guard took in
 * that would come behind what is read. */
static int receive(struct bide__http_connection *connection, void *buffer, size_t size)
{
    bide__stream_guard_end(&connection->guard);
    int rc = bide_within(connection->server->opts.body_seconds,
                         bide_read(connection->stream, buffer, size));
    bide__stream_guard_begin(&connection->guard, connection->stream);
    if (rc == -ETIMEDOUT)
        connection->request.is_body_late = true;
    return rc == 0 ? bide__http1_body_end(&connection->body) < 0 ? -BIDE_EINCOMPLETE : 0 : rc;
}

/* What is in memory already: how many bytes of it went into `buffer`; 0: there was nothing for it.
 */
static int take_held(struct bide__http_connection *connection, char *buffer, size_t size)
{
    while (!bide__http1_body_over(&connection->body)) {
        const char *data = connection->in + connection->begin + connection->body_at;
        size_t n = connection->end - connection->begin - connection->body_at;
        const char *content;
        size_t content_size;
        if (n == 0)
            return 0;
        bool is_data = connection->body.state == BIDE__HTTP1_BODY_DATA;
        int64_t used = bide__http1_body_take(&connection->body, data,
                                             is_data && n > size ? size
                                             : is_data           ? n
                                                                 : 1,
                                             &content, &content_size);
        if (used < 0)
            return -EBADMSG;
        connection->body_at += (size_t)used;
        if (content_size > 0) {
            memcpy(buffer, content, content_size);
            return (int)content_size;
        }
    }
    return 0;
}

/* More of the body into memory, behind the head. */
static int fill(struct bide__http_connection *connection)
{
    if (connection->begin + connection->body_at == connection->end) { /* all of it was taken */
        connection->body_at = connection->head.size;
        connection->end = connection->begin + connection->head.size;
    }
    int rc = receive(connection, connection->in + connection->end,
                     connection->capacity - connection->end);
    if (rc > 0)
        connection->end += (size_t)rc;
    return rc;
}

int bide__http_connection_read(bide_http_request *request, void *buffer, size_t size)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    int rc = say_continue(connection);
    if (rc < 0)
        return rc;
    size = size < INT32_MAX ? size : INT32_MAX;
    for (;;) {
        rc = take_held(connection, buffer, size);
        if (rc != 0 || bide__http1_body_over(&connection->body))
            return rc;
        /* Nothing is held: content goes where it is wanted without a detour. */
        bool is_data = connection->body.state == BIDE__HTTP1_BODY_DATA;
        if (is_data) {
            uint64_t left = connection->body.left;
            rc = receive(connection, buffer, size < left ? size : (size_t)left);
        } else {
            rc = fill(connection);
        }
        if (rc < 0)
            return rc;
        if (is_data && rc > 0) {
            const char *content;
            size_t content_size;
            bide__http1_body_take(&connection->body, buffer, (size_t)rc, &content, &content_size);
            return rc;
        }
        if (rc == 0)
            return -BIDE_EINCOMPLETE;
    }
}

int bide__http_connection_skip_body(struct bide__http_connection *connection)
{
    char nowhere[2048];
    size_t skipped = 0;
    if (connection->is_continue_due && !bide__http1_body_over(&connection->body))
        return -EBADMSG; /* nobody knows whether it comes */
    while (!bide__http1_body_over(&connection->body)) {
        int rc = bide__http_connection_read(&connection->request, nowhere, sizeof nowhere);
        if (rc < 0)
            return rc;
        skipped += (size_t)rc;
        if (skipped > SKIPPED_BYTES_MAX)
            return -BIDE_ELIMIT;
    }
    return 0;
}
