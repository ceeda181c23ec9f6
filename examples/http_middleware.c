/*
 * What stands around handlers: a log, ids, pages of other origins, compression, limits, and a
 * question for who it is. With a port it serves; without, it asks a few things of itself.
 */
#include <bide.h>
#include <bide/http_middleware.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int secret(bide_http_request *request, void *data)
{
    const char *user, *password;
    char text[128];
    (void)data;
    if (bide_http_basic_credentials(request, &user, &password) < 0 ||
        !bide_http_same_secret(password, "open sesame"))
        return bide_http_ask_credentials(request, "cave");
    snprintf(text, sizeof text, "Welcome, %s! This was request %s.\n", user,
             bide_http_request_id(request));
    return bide_http_reply_text(request, 200, text);
}

static int slow(bide_http_request *request, void *data)
{
    (void)request;
    (void)data;
    return bide_sleep(3600);
}

/* A middleware of one's own: may look at what the others did. */
static int counts(bide_http_request *request, bide_http_next *next, void *data)
{
    unsigned *n = data;
    int rc = bide_http_next_run(next);
    *n += bide_http_reply_status(request) == 200;
    return rc;
}

static void ask(bide_http_server *server, const char *path, const char *field)
{
    bide_stream *stream;
    char *line;
    if (bide_connect("127.0.0.1", bide_http_server_port(server), NULL, &stream) < 0)
        return;
    char text[256];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n%s\r\n", path, field);
    bide_write(stream, text, (size_t)n);
    printf("%s\n", path);
    while (bide_read_line(stream, &line) > 0)
        if (strncmp(line, "HTTP", 4) == 0 || strncmp(line, "X-R", 3) == 0 ||
            strncmp(line, "Acc", 3) == 0 || strncmp(line, "Wel", 3) == 0)
            printf("    %.*s\n", (int)strcspn(line, "\r"), line);
    bide_close(stream);
}

static int demo(bide_http_app *app)
{
    bide_http_server *server;
    int rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    ask(server, "/secret", "X-Request-Id: one\r\n");
    ask(server, "/secret",
        "X-Request-Id: two\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    ask(server, "/secret", "X-Request-Id: three\r\nOrigin: https://page.example\r\n");
    return bide_http_server_free(server);
}

bide_async(amain, (unsigned, port))
{
    const struct bide_http_cors_opts cors = {.origins = "https://page.example"};
    static uint64_t n_lost;
    static unsigned n_good;
    const struct bide_http_log_opts log = {
        .path = "/dev/null", .format = BIDE_HTTP_LOG_JSON, .dropped = &n_lost};
    bide_http_app *app;
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_use_log(app, &log);
    bide_http_use_request_id(app);
    bide_http_use_cors(app, &cors);
    bide_http_use_compression(app, NULL);
    bide_http_use_body_limit(app, 1000000);
    bide_http_use_time_limit(app, 30);
    bide_http_use(app, counts, &n_good, NULL);
    bide_http_route(app, "GET", "/secret", secret, NULL, NULL);
    bide_http_route(app, "GET", "/slow", slow, NULL, NULL);
    rc = port > 0 ? bide_http_serve_until_signal(app, NULL, port, NULL) : demo(app);
    bide_http_app_free(app);
    printf("%u good, %u lines lost\n", n_good, (unsigned)n_lost);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? (unsigned)atoi(argv[1]) : 0);
}
