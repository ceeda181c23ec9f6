/*
 * Answers over HTTP/1.1.
 *
 * A small answer is put together with its head in the stream's own memory; answers to pipelined
 * requests then leave together at the end of the loop's turn.
 */
#include "http/connection.h"

#include <bide/error.h>
#include <bide/stream.h>
#include <bide/timeout.h>
#include <bide/transfer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { SMALL_BYTES = 2048, PIECE_BYTES_MAX = 65536, HEAD_EXTRA = 256, CHUNK_LINE = 20 };
enum { FILE_PIECE_BYTES = 256 * 1024 };

static char *add(char *to, const char *text, size_t size)
{
    return mempcpy(to, text, size);
}

#define ADD(to, literal) add((to), (literal), sizeof(literal) - 1)

static char *add_number(char *to, uint64_t number)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static char *add_status_line(char *to, int status)
{
    const char *text = bide__http_status(status);
    to = ADD(to, "HTTP/1.1 ");
    if (text) {
        to = add(to, text, strlen(text));
    } else {
        to = add_number(to, (uint64_t)status);
        *to++ = ' ';
    }
    return ADD(to, "\r\n");
}

/* Decides how the answer's end is told. */
static void choose_framing(struct bide__http_connection *connection, size_t size, bool ends)
{
    bide_http_request *request = &connection->request;
    if (request->wire_length < 0 && ends && !request->is_head)
        request->wire_length = (int64_t)size;
    connection->is_chunked = request->wire_length < 0 && connection->head.minor_version > 0 &&
                             bide__http_has_body(request);
    bool is_until_end = request->wire_length < 0 && connection->head.minor_version == 0;
    bool is_body_in_doubt = connection->is_continue_due &&
                            !bide__http1_body_over(&connection->body);
    if (connection->server->is_closing || is_until_end || is_body_in_doubt)
        connection->keeps_alive = false;
}

static char *add_framing(char *to, const struct bide__http_connection *connection)
{
    const bide_http_request *request = &connection->request;
    bool has_length = request->wire_length >= 0 && request->status != 204;
    if (has_length && request->status != 304) {
        to = ADD(to, "Content-Length: ");
        to = add_number(to, (uint64_t)request->wire_length);
        to = ADD(to, "\r\n");
    } else if (connection->is_chunked) {
        to = ADD(to, "Transfer-Encoding: chunked\r\n");
    }
    if (!connection->keeps_alive)
        return ADD(to, "Connection: close\r\n");
    return connection->head.minor_version == 0 ? ADD(to, "Connection: keep-alive\r\n") : to;
}

/* How much room the head needs at most. */
static size_t head_size_max(const struct bide__http_connection *connection)
{
    const bide_http_request *request = &connection->request;
    return HEAD_EXTRA + BIDE__HTTP_COMMON_SIZE + request->fields.n_bytes + request->type_size;
}

static char *add_head(char *to, struct bide__http_connection *connection, size_t size, bool ends)
{
    bide_http_request *request = &connection->request;
    choose_framing(connection, size, ends);
    bide__http_server_refresh(connection->server);
    to = add_status_line(to, request->status);
    to = add(to, connection->server->common, connection->server->common_size);
    if (request->type) {
        to = ADD(to, "Content-Type: ");
        to = add(to, request->type, request->type_size);
        to = ADD(to, "\r\n");
    }
    if (request->fields.n > 0)
        to = bide__http_fields_write(&request->fields, to);
    to = add_framing(to, connection);
    return ADD(to, "\r\n");
}

/* Waits while the client takes some of it, however long all of it takes. */
static int send_large(struct bide__http_connection *connection, const char *data, size_t size)
{
    int rc = 0;
    while (size > 0 && rc == 0) {
        size_t n = size < PIECE_BYTES_MAX ? size : PIECE_BYTES_MAX;
        rc = bide_within(connection->server->opts.write_seconds,
                         bide_write(connection->stream, data, n));
        data += n;
        size -= n;
    }
    if (rc == -ETIMEDOUT) /* or closing would wait for the client once more */
        bide_abort(connection->stream);
    return rc;
}

static int deliver(struct bide__http_connection *connection, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    int rc = size <= PIECE_BYTES_MAX ? bide_offer(connection->stream, data, size) : -EAGAIN;
    return rc == -EAGAIN ? send_large(connection, data, size) : rc;
}

static int send_file_piece(bide_stream *stream, bide_file *file, int64_t offset, int64_t size,
                           int64_t *ret_n)
{
    *ret_n = bide_stream_send_file(stream, file, offset, size);
    return *ret_n < 0 ? (int)*ret_n : 0;
}

/* Head, chunk line, content and ends in one piece. Returns where that ends. */
static char *put_small(char *to, struct bide__http_connection *connection, const char *data,
                       size_t size, bool ends)
{
    if (connection->request.reply_state < BIDE__REPLY_SENT)
        to = add_head(to, connection, size, ends);
    if (connection->is_chunked && size > 0)
        to += sprintf(to, "%zx\r\n", size);
    if (size > 0)
        to = add(to, data, size);
    if (connection->is_chunked && size > 0)
        to = ADD(to, "\r\n");
    if (connection->is_chunked && ends)
        to = ADD(to, "0\r\n\r\n");
    return to;
}

static int write_small(struct bide__http_connection *connection, const char *data, size_t size,
                       bool ends, size_t room)
{
    char *memory = NULL;
    int rc = bide__stream_room(connection->stream, room, &memory);
    if (rc == 0) {
        char *end = put_small(memory, connection, data, size, ends);
        bide__stream_wrote(connection->stream, (size_t)(end - memory));
    }
    if (rc != -EAGAIN)
        return rc;
    memory = malloc(room);
    if (!memory)
        return -ENOMEM;
    char *end = put_small(memory, connection, data, size, ends);
    rc = deliver(connection, memory, (size_t)(end - memory));
    free(memory);
    return rc;
}

/* The content goes out from where it is. */
static int write_large(struct bide__http_connection *connection, const char *data, size_t size,
                       bool ends, size_t room)
{
    char *memory = malloc(room);
    char *to = memory;
    if (!memory)
        return -ENOMEM;
    if (connection->request.reply_state < BIDE__REPLY_SENT)
        to = add_head(to, connection, size, ends);
    if (connection->is_chunked)
        to += sprintf(to, "%zx\r\n", size);
    int rc = deliver(connection, memory, (size_t)(to - memory));
    if (rc == 0)
        rc = deliver(connection, data, size);
    to = memory;
    if (connection->is_chunked)
        to = ends ? ADD(to, "\r\n0\r\n\r\n") : ADD(to, "\r\n");
    if (rc == 0)
        rc = deliver(connection, memory, (size_t)(to - memory));
    free(memory);
    return rc;
}

int bide__http_connection_write(bide_http_request *request, const void *data, size_t size,
                                bool ends)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    size_t head = request->reply_state < BIDE__REPLY_SENT ? head_size_max(connection) : 0;
    size_t room = head + 2 * CHUNK_LINE;
    if (size <= SMALL_BYTES)
        return write_small(connection, data, size, ends, room + size);
    return write_large(connection, data, size, ends, room);
}

/* Each piece within its time, so that who takes some of it keeps the connection. */
int64_t bide__http_connection_send_file(bide_http_request *request, bide_file *file, int64_t offset,
                                        int64_t size)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    int64_t sent = 0, n = 0;
    int rc = 0;
    if (request->reply_state < BIDE__REPLY_SENT)
        rc = bide__http_connection_write(request, NULL, 0, false);
    while (rc == 0 && sent < size) {
        int64_t piece = size - sent < FILE_PIECE_BYTES ? size - sent : FILE_PIECE_BYTES;
        rc = bide_within(connection->server->opts.write_seconds,
                         send_file_piece(connection->stream, file, offset + sent, piece, &n));
        sent += rc == 0 ? n : 0;
        if (rc == 0 && n < piece)
            break;
    }
    if (rc == -ETIMEDOUT)
        bide_abort(connection->stream);
    return rc < 0 ? rc : sent;
}
