/*
 * For the tests with real peers over TLS.
 *
 *     https_peer serve CERT KEY CA none|optional|required FOLDER
 *         serves until SIGTERM: /, /echo, /pieces, the folder below /files, a WebSocket at /ws;
 *         where it listens goes to standard error
 *     https_peer ws CA URL
 *         says again what a WebSocket server says, until that closes
 */
#include <bide.h>
#include <bide/http_files.h>
#include <bide/http_server.h>
#include <bide/tls.h>
#include <bide/websocket.h>

#include <stdio.h>
#include <string.h>

enum { BODY_BYTES = 4 << 20 };

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "hello\n");
}

static int echo(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    int n = bide_http_read_all(request, 0, &body);
    if (n < 0)
        return n;
    return bide_http_reply(request, 200, bide_http_header(request, "content-type"), body,
                           (size_t)n);
}

static int pieces(bide_http_request *request, void *data)
{
    char line[16];
    (void)data;
    int rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = bide_http_write(request, line, (size_t)snprintf(line, sizeof line, "%d\n", i));
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static int say_again(bide_websocket *ws)
{
    struct bide_websocket_message message;
    int rc;
    while ((rc = bide_websocket_receive(ws, &message)) > 0) {
        rc = bide_websocket_send(ws, message.type, message.data, message.size);
        if (rc < 0)
            break;
    }
    return rc;
}

static const char *const subprotocols[] = {"echo", NULL};
static struct bide_websocket_opts ws_opts = {.subprotocols = subprotocols,
                                             .message_bytes = BODY_BYTES};

static int websocket(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    (void)data;
    int rc = bide_websocket_accept(request, &ws_opts, &ws);
    if (rc < 0)
        return rc;
    rc = say_again(ws);
    bide_websocket_free(ws);
    return rc;
}

static int context(char **words, bide_tls_context **ret_context)
{
    static const char *const alpn[] = {"http/1.1", "http/1.0", NULL};
    struct bide_tls_identity identity = {.cert_file = words[0], .key_file = words[1]};
    struct bide_tls_server_opts opts = {.identities = &identity, .n_identities = 1, .alpn = alpn};
    if (strcmp(words[3], "none") != 0)
        opts.trust.ca_file = words[2];
    if (strcmp(words[3], "optional") == 0)
        opts.client_auth = BIDE_TLS_CLIENT_AUTH_OPTIONAL;
    if (strcmp(words[3], "required") == 0)
        opts.client_auth = BIDE_TLS_CLIENT_AUTH_REQUIRED;
    return bide_tls_server_new(&opts, ret_context);
}

bide_async(serve, (char **, words))
{
    bide_http_app *app;
    struct bide_http_server_opts opts = {.body_bytes = BODY_BYTES};
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    rc = context(words, &opts.tls);
    if (rc == 0)
        rc = bide_http_files(app, "/files", words[4], NULL);
    if (rc == 0) {
        bide_http_route(app, "GET", "/", hello, NULL, NULL);
        bide_http_route(app, "POST", "/echo", echo, NULL, NULL);
        bide_http_route(app, "GET", "/pieces", pieces, NULL, NULL);
        bide_http_route(app, "GET", "/ws", websocket, NULL, NULL);
        rc = bide_http_serve_until_signal(app, "127.0.0.1", 0, &opts);
    }
    bide_tls_unref(opts.tls);
    bide_http_app_free(app);
    return rc;
}

bide_async(join, (char **, words))
{
    bide_websocket *ws;
    struct bide_tls_client_opts opts = {.trust.ca_file = words[0]};
    int rc = bide_tls_client_new(&opts, &ws_opts.tls);
    if (rc == 0)
        rc = bide_websocket_connect(words[1], &ws_opts, &ws);
    if (rc == 0) {
        rc = say_again(ws);
        bide_websocket_free(ws);
    }
    bide_tls_unref(ws_opts.tls);
    if (rc < 0)
        fprintf(stderr, "%s\n", bide_error_detail());
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "serve") == 0)
        return bide_run(serve, argv + 2);
    if (argc == 4 && strcmp(argv[1], "ws") == 0)
        return bide_run(join, argv + 2);
    return 2;
}
