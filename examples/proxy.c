/*
 * A proxy between a client and a server that sends files: what either side says goes to the other
 * one, and so do their ends. The server is asked for a part of a file, and its bytes go from the
 * kernel into the connection without a copy.
 */
#include <bide.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers each line "OFFSET COUNT" with that part of the file. */
static int serve_file(bide_stream *stream, void *data)
{
    bide_file *file = data;
    char *line;
    int rc;
    while ((rc = bide_read_line(stream, &line)) > 0) {
        char *rest;
        int64_t offset = strtoll(line, &rest, 10);
        int64_t sent = bide_stream_send_file(stream, file, offset, strtoll(rest, NULL, 10));
        if (sent < 0)
            return (int)sent;
        printf("server: %d bytes from %d on\n", (int)sent, (int)offset);
    }
    return rc;
}

static int serve_proxy(bide_stream *client, void *data)
{
    int64_t bytes[2];
    bide_stream *server;
    int rc = bide_connect("127.0.0.1", *(unsigned *)data, NULL, &server);
    if (rc < 0)
        return rc;
    rc = bide_relay_both(client, server, bytes);
    int closed = bide_close(server);
    printf("proxy: %d bytes there, %d back\n", (int)bytes[0], (int)bytes[1]);
    return rc < 0 ? rc : closed;
}

static int ask(unsigned port)
{
    static const char request[] = "0 5\n7 100\n";
    char answer[64];
    int size = 0;
    bide_stream *stream;
    int rc = bide_connect("127.0.0.1", port, NULL, &stream);
    if (rc < 0)
        return rc;
    rc = bide_write(stream, request, strlen(request));
    if (rc == 0)
        rc = bide_write_eof(stream); /* reaches the server through the proxy */
    while (rc >= 0 && (rc = bide_read(stream, answer + size, sizeof answer - (size_t)size)) > 0)
        size += rc;
    printf("client: %.*s\n", size, answer);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

static int converse(bide_file *file)
{
    bide_server *files;
    bide_server *proxy;
    int rc = bide_serve("127.0.0.1", 0, serve_file, file, NULL, &files);
    if (rc < 0)
        return rc;
    unsigned port = bide_server_port(files);
    rc = bide_serve("127.0.0.1", 0, serve_proxy, &port, NULL, &proxy);
    if (rc == 0) {
        rc = ask(bide_server_port(proxy));
        bide_server_close(proxy);
        bide_server_wait_closed(proxy);
        bide_server_free(proxy);
    }
    bide_server_close(files);
    bide_server_wait_closed(files);
    bide_server_free(files);
    return rc;
}

bide_async(amain)
{
    static const char text[] = "Hello, many worlds!";
    bide_file *file;
    int rc = bide_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &file);
    if (rc < 0)
        return rc;
    rc = bide_file_write(file, text, strlen(text), NULL);
    if (rc == 0)
        rc = converse(file);
    int closed = bide_file_close(file);
    return rc < 0 ? rc : closed;
}

int main(void)
{
    return bide_run(amain);
}
