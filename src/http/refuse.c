/*
 * Refusing what is no request: the answer, and what logs are told.
 *
 * Invariant: of the head nothing is used but its first line as it came, and what the parser had
 * understood before it stopped.
 */
#include "http/connection.h"

#include <bide/stream.h>
#include <bide/timeout.h>

#include <stdio.h>
#include <string.h>

enum { LINE_BYTES_MAX = 600 };

/* The parts of a first line end with a NUL once they were asked for; there was a space. */
static void mend_line(struct bide__http_connection *connection)
{
    const struct bide__http1_head *head = &connection->head;
    char *data = connection->in + connection->begin;
    if (head->target.size == 0)
        return;
    data[head->method.at + head->method.size] = ' ';
    data[head->target.at + head->target.size] = ' ';
}

/* Of its own memory; of size 0 if there is none for it. */
static struct bide__http_segment take_line(struct bide__http_connection *connection)
{
    const char *data = connection->in + connection->begin;
    const char *end = connection->in + connection->end;
    mend_line(connection);
    while (data < end && (*data == '\r' || *data == '\n'))
        data++;
    size_t size = 0;
    while (data + size < end && data[size] != '\r' && data[size] != '\n' && size < LINE_BYTES_MAX)
        size++;
    char *copy = bide_http_alloc(&connection->request, size + 1);
    if (!copy)
        return (struct bide__http_segment){"", 0};
    memcpy(copy, data, size);
    return (struct bide__http_segment){copy, size};
}

static void tell(struct bide__http_connection *connection, int status, uint64_t n_sent)
{
    bide_http_request *request = &connection->request;
    const struct bide__http1_head *head = &connection->head;
    bide__http_request_begin(request);
    request->ops = &bide__http_connection_ops;
    struct bide__http_segment line = take_line(connection);
    request->line = line.text;
    request->line_size = line.size;
    request->method = NULL;
    request->target = NULL;
    if (head->target.size > 0) {
        request->method = bide__http_connection_text(connection, head->method);
        request->target = bide__http_connection_text(connection, head->target);
    }
    request->waited_seconds = connection->waits_since > 0 ? bide_time() - connection->waits_since
                                                          : 0;
    request->status = status;
    request->n_sent = n_sent;
    bide__http_app_refused(connection->server->app, request);
    bide__http_request_end(request);
}

int bide__http_connection_refuse(struct bide__http_connection *connection, int status,
                                 const char *why)
{
    char text[512];
    size_t size = strlen(why) + 1;
    bide__http_server_refresh(connection->server);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain; charset=utf-8\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                     status, bide_http_reason(status), connection->server->common, size, why);
    int rc = bide_within(connection->server->opts.write_seconds,
                         bide_write(connection->stream, text, (size_t)n));
    tell(connection, status, rc == 0 ? size : 0);
    return rc;
}
