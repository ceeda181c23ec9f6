/*
 * What the tests of HTTP servers share: an application that is served, and clients that send bytes
 * and look at bytes. The fields Server and Date are taken out of what is compared.
 */
#ifndef BIDE_TEST_HTTP_RIG_H
#define BIDE_TEST_HTTP_RIG_H

#include <bide/http_server.h>

#include "stream_rig.h"

enum { ANSWER_BYTES = 64 * KIB };

static bide_http_app *rig_app;
static bide_http_server *rig_server;

static RIG_UNUSED void http_begin(const struct bide_http_server_opts *opts)
{
    CHECK_INT(bide_http_serve(rig_app, "127.0.0.1", 0, opts, &rig_server), 0);
}

static RIG_UNUSED void http_end(void)
{
    CHECK_INT(bide_http_server_free(rig_server), 0);
    bide_http_app_free(rig_app);
    rig_server = NULL;
    rig_app = NULL;
}

static RIG_UNUSED void http_app(void)
{
    static char state[] = "state";
    CHECK_INT(bide_http_app_new(state, &rig_app), 0);
}

static RIG_UNUSED void http_route(const char *method, const char *pattern,
                                  bide_http_handler *handler)
{
    CHECK_INT(bide_http_route(rig_app, method, pattern, handler, NULL, NULL), 0);
}

static RIG_UNUSED bide_stream *http_connect(void)
{
    bide_stream *stream;
    CHECK_INT(bide_connect("127.0.0.1", bide_http_server_port(rig_server), NULL, &stream), 0);
    return stream;
}

static RIG_UNUSED void http_say(bide_stream *stream, const char *text)
{
    CHECK_INT(bide_write(stream, text, strlen(text)), 0);
}

static void cut_line(char *text, const char *name)
{
    char *line;
    while ((line = strstr(text, name))) {
        char *end = strstr(line, "\r\n") + 2;
        memmove(line, end, strlen(end) + 1);
    }
}

/* Everything through the end of the connection; "…!" if it was reset. */
static RIG_UNUSED const char *http_hear(bide_stream *stream)
{
    static char answer[ANSWER_BYTES];
    size_t size = 0;
    int rc;
    while ((rc = bide_read(stream, answer + size, sizeof answer - 2 - size)) > 0)
        size += (size_t)rc;
    if (rc < 0)
        answer[size++] = '!';
    answer[size] = '\0';
    cut_line(answer, "Server: ");
    cut_line(answer, "Date: ");
    return answer;
}

/* What a connection of its own is answered to these bytes; our side stays open. */
static RIG_UNUSED const char *http_ask_bytes(const char *text, size_t size)
{
    bide_stream *stream = http_connect();
    CHECK_INT(bide_write(stream, text, size), 0);
    const char *answer = http_hear(stream);
    bide_abort(stream);
    bide_close(stream);
    return answer;
}

static RIG_UNUSED const char *http_ask(const char *text)
{
    return http_ask_bytes(text, strlen(text));
}

/* A request without a body on a connection that ends behind it; fields end with CR LF each. */
static RIG_UNUSED const char *http_ask_for(const char *method, const char *path, const char *fields)
{
    char text[2048];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", method,
             path, fields);
    return http_ask(text);
}

static RIG_UNUSED const char *http_get(const char *path)
{
    return http_ask_for("GET", path, "");
}

static RIG_UNUSED int http_status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

#define CLOSING "Connection: close\r\n"
#define TEXT(status, length, extra, body) \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " length \
    "\r\n" extra "\r\n" body

#endif
