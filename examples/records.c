/* Messages on a stream: lines with either kind of end in one direction, records with their length
 * in front in the other, and an end in the middle of one told from an end behind the last. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

enum { RECORD_SIZE_MAX = 255 };

/* The length and the text go out as one, without being copied together first. */
static int write_record(bide_stream *stream, char *text, size_t size)
{
    unsigned char length = (unsigned char)(size < RECORD_SIZE_MAX ? size : RECORD_SIZE_MAX);
    struct iovec pieces[] = {{&length, 1}, {text, length}};
    return bide_writev(stream, pieces, 2);
}

/* Returns the text's length; -BIDE_EINCOMPLETE behind the last one. */
static int read_record(bide_stream *stream, char text[RECORD_SIZE_MAX + 1])
{
    unsigned char length;
    int rc = bide_read_exactly(stream, &length, 1);
    if (rc < 0)
        return rc;
    rc = length == 0 ? 0 : bide_read_exactly(stream, text, length);
    if (rc < 0)
        return rc == -BIDE_EINCOMPLETE ? -EPROTO : rc;
    text[rc] = 0;
    return rc;
}

/* Sends each line back as a record. */
static int serve(bide_stream *stream, void *data)
{
    const struct iovec ends[] = {{"\n", 1}, {"\r", 1}};
    char *line;
    int n;
    (void)data;
    while ((n = bide_read_until_any(stream, ends, 2, &line)) > 0) {
        int rc = write_record(stream, line, (size_t)n - 1);
        if (rc < 0)
            return rc;
    }
    if (n != -BIDE_EINCOMPLETE)
        return n;
    char last[] = "that was all", half[] = "half a line at the end";
    return bide_at_eof(stream) ? write_record(stream, last, strlen(last))
                               : write_record(stream, half, strlen(half));
}

static int talk(bide_stream *stream, const char *lines)
{
    char text[RECORD_SIZE_MAX + 1];
    int rc = bide_write(stream, lines, strlen(lines));
    if (rc >= 0)
        rc = bide_write_eof(stream);
    if (rc < 0)
        return rc;
    while ((rc = read_record(stream, text)) >= 0)
        printf("  %d bytes: %s.\n", rc, text);
    return rc == -BIDE_EINCOMPLETE ? 0 : rc;
}

static int ask(unsigned port, const char *lines)
{
    bide_stream *stream;
    int rc = bide_connect("127.0.0.1", port, NULL, &stream);
    if (rc < 0)
        return rc;
    rc = talk(stream, lines);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

bide_async(amain)
{
    bide_server *server;
    int rc = bide_serve("127.0.0.1", 0, serve, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    printf("whole lines:\n");
    rc = ask(bide_server_port(server), "one\ntwo\r\rfour\n");
    printf("a half one:\n");
    if (rc >= 0)
        rc = ask(bide_server_port(server), "one\ntw");
    bide_server_close(server);
    bide_server_wait_closed(server);
    bide_server_free(server);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
