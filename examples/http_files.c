/*
 * A folder over HTTP: files, parts of files, and what a client need not get again. With a folder
 * and a port it serves that; without, it serves a folder of its own and asks a few things of it.
 */
#include <bide.h>
#include <bide/http_files.h>
#include <bide/http_server.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is not a file, but knows its version: a client that has it gets no more than a line. */
static int version(bide_http_request *request, void *data)
{
    (void)data;
    int status = bide_http_preconditions(request, "\"v7\"", -1);
    bide_http_reply_header(request, "ETag", "\"v7\"");
    return status > 0 ? bide_http_reply(request, status, NULL, NULL, 0)
                      : bide_http_reply_text(request, 200, "version 7\n");
}

/* One file, whatever the address. */
static int favicon(bide_http_request *request, void *data)
{
    const struct bide_http_file_opts opts = {.type = "image/svg+xml",
                                             .cache_control = "max-age=86400"};
    return bide_http_reply_file(request, data, &opts);
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
    printf("%s: ", path);
    for (bool is_head = true; bide_read_line(stream, &line) > 0;) {
        if (strncmp(line, "HTTP/1.1 ", 9) == 0)
            printf("%.*s", (int)strcspn(line, "\r") - 9, line + 9);
        if (!is_head)
            printf(", \"%s\"", line);
        is_head = is_head && strcmp(line, "\r") != 0;
    }
    printf("\n");
    bide_close(stream);
}

static int demo(bide_http_app *app, const char *folder)
{
    bide_http_server *server;
    int rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    ask(server, "/static/hello.txt", "");
    ask(server, "/static/hello.txt", "Range: bytes=7-11\r\n");
    ask(server, "/static/../../etc/passwd", "");
    ask(server, "/version", "If-None-Match: \"v7\"\r\n");
    ask(server, "/favicon.ico", "");
    /* The same care without a server. */
    bide_file *file;
    rc = bide_file_open_inside(folder, "../../etc/passwd", O_RDONLY, &file);
    printf("outside: %s\n", rc < 0 ? "refused" : "opened");
    return bide_http_server_free(server);
}

static int make_folder(char **ret_folder)
{
    char path[256];
    int rc = bide_directory_temporary(NULL, ret_folder);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "%s/hello.txt", *ret_folder);
    return bide_file_store(path, "Hello, World!", 13, NULL);
}

static void remove_folder(const char *folder)
{
    char path[256];
    snprintf(path, sizeof path, "%s/hello.txt", folder);
    bide_path_unlink(path);
    bide_directory_remove(folder);
}

bide_async(amain, (const char *, folder), (unsigned, port))
{
    const struct bide_http_files_opts opts = {.lists = true, .cache_control = "no-cache"};
    char *own = NULL;
    bide_http_app *app;
    int rc = folder ? 0 : make_folder(&own);
    if (rc < 0)
        return rc;
    rc = bide_http_app_new(NULL, &app);
    if (rc == 0) {
        bide_http_files(app, "/static", folder ? folder : own, &opts);
        bide_http_route(app, "GET", "/version", version, NULL, NULL);
        bide_http_route(app, "GET", "/favicon.ico", favicon, "/nowhere/icon.svg", NULL);
        rc = folder ? bide_http_serve_until_signal(app, NULL, port, NULL) : demo(app, own);
        bide_http_app_free(app);
    }
    if (own)
        remove_folder(own);
    free(own);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 2 ? argv[1] : NULL, argc > 2 ? (unsigned)atoi(argv[2]) : 0);
}
