/* The server that bench/run.py measures: a short text and a small JSON. Prints its port. */
#include <bide.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <stdlib.h>

static int text(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "Hello, World!");
}

static int json(bide_http_request *request, void *data)
{
    char body[64];
    (void)data;
    snprintf(body, sizeof body, "{\"message\":\"%s\"}", "Hello, World!");
    return bide_http_reply_json(request, 200, body);
}

/* argv[1]: how many connections, then it ends; for instruction counts. */
bide_async(amain, (int, n_connections))
{
    bide_http_app *app;
    bide_http_server *server;
    const struct bide_http_server_opts opts = {.server = {.connections_max = 10000}};
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, "GET", "/text", text, NULL, NULL);
    bide_http_route(app, "GET", "/json", json, NULL, NULL);
    rc = bide_http_serve(app, "127.0.0.1", 0, &opts, &server);
    if (rc == 0) {
        printf("%u\n", bide_http_server_port(server));
        fflush(stdout);
        bool came = false;
        while (n_connections > 0 && (!came || bide_http_server_connections(server) > 0)) {
            bide_sleep(0.01);
            came = came || bide_http_server_connections(server) > 0;
        }
        rc = n_connections > 0 ? 0 : bide_http_server_forever(server);
        bide_http_server_free(server);
    }
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? atoi(argv[1]) : 0);
}
