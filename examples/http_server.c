/*
 * A small web service: text, parameters, JSON, a body that comes and one that goes in pieces. With
 * a port it serves until it is interrupted; without, it only shows that it can begin and end.
 */
#include <bide.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "Hello, World!");
}

static int greet(bide_http_request *request, void *data)
{
    char text[256];
    const char *greeting = bide_http_query_get(request, "greeting");
    (void)data;
    snprintf(text, sizeof text, "{\"greeting\": \"%s\", \"name\": \"%s\"}",
             greeting ? greeting : "hello", bide_http_param(request, "name"));
    return bide_http_reply_json(request, 200, text);
}

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    if (n < 0)
        return n; /* too long: 413 */
    return bide_http_reply(request, 200, bide_http_header(request, "content-type"), body,
                           (size_t)n);
}

/* What the server knows of the client, and the time. */
static int about(bide_http_request *request, void *data)
{
    char text[512], date[BIDE_HTTP_DATE_SIZE], peer[BIDE_ADDRESS_TEXT_SIZE];
    struct bide_address address = bide_http_peer(request);
    size_t n_headers;
    (void)data;
    bide_http_headers(request, &n_headers);
    bide_address_print(&address, peer, sizeof peer);
    bide_http_date_print(time(NULL), date);
    snprintf(text, sizeof text, "%s %s of %s, from %s, %zu fields, at %s\n",
             bide_http_method(request), bide_http_path(request), bide_http_host(request), peer,
             n_headers, date);
    bide_http_reply_header(request, "Cache-Control", "no-store");
    return bide_http_reply_text(request, 200, text);
}

static int count(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    for (int i = 1; i <= 5 && rc == 0; i++) {
        char line[16];
        int n = snprintf(line, sizeof line, "%d\n", i);
        rc = bide_http_write(request, line, (size_t)n);
        if (rc == 0)
            rc = bide_sleep(0.01);
    }
    return rc < 0 ? rc : bide_http_reply_end(request);
}

bide_async(amain, (unsigned, port))
{
    bide_http_app *app;
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, "GET", "/", hello, NULL, NULL);
    bide_http_route(app, "GET", "/greet/{name}", greet, NULL, NULL);
    bide_http_route(app, "POST", "/echo", echo, NULL, NULL);
    bide_http_route(app, "GET", "/count", count, NULL, NULL);
    bide_http_route(app, NULL, "/about", about, NULL, NULL);
    if (port > 0) {
        rc = bide_http_serve_until_signal(app, "127.0.0.1", port, NULL);
    } else {
        bide_http_server *server;
        rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
        if (rc == 0) {
            printf("a free port: %s\n", bide_http_server_port(server) > 0 ? "yes" : "no");
            rc = bide_http_server_free(server);
        }
    }
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? (unsigned)atoi(argv[1]) : 0);
}
