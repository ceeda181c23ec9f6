/* A page fetched, and what can go wrong with that. The server is in the same program; with a URL as
 * its argument the program fetches that instead. */
#include <bide/http_client.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <string.h>

static const char *given_url;

static int hello(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_text(request, 200, "Hello from the server\n");
}

static int old(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_redirect(request, 301, "/hello");
}

static int fetch(bide_http_session *session, const char *url)
{
    bide_http_response *response;
    int rc = bide_http_get(session, url, &response);
    if (rc < 0) {
        printf("error: %s\n", *bide_error_detail() ? bide_error_detail() : bide_strerror(rc));
        return rc;
    }
    printf("%d %s, after %u redirect(s), %s\n", bide_http_response_status(response),
           bide_http_response_reason(response), bide_http_response_redirects(response),
           bide_http_response_header(response, "Content-Type"));
    char piece[4096];
    while ((rc = bide_http_response_read(response, piece, sizeof piece)) > 0)
        fwrite(piece, 1, (size_t)rc, stdout);
    bide_http_response_close(response);
    return rc;
}

static int serve(bide_http_app *app, bide_http_server **ret_server)
{
    int rc = bide_http_route(app, "GET", "/hello", hello, NULL, NULL);
    if (rc == 0)
        rc = bide_http_route(app, "GET", "/old", old, NULL, NULL);
    return rc < 0 ? rc : bide_http_serve(app, "127.0.0.1", 0, NULL, ret_server);
}

static void fetch_all(bide_http_session *session, unsigned port)
{
    static const char *const paths[] = {"/hello", "/old", "/nothing"};
    char url[64];
    for (int i = 0; i < 3; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, paths[i]);
        printf("-- %s\n", paths[i]);
        fetch(session, url);
    }
    printf("-- a URL of another kind\n");
    fetch(session, "gopher://127.0.0.1/");
}

bide_async(amain)
{
    bide_http_session *session;
    bide_http_app *app = NULL;
    bide_http_server *server = NULL;
    int rc = bide_http_session_new(NULL, &session);
    if (rc < 0)
        return rc;
    if (given_url) {
        rc = fetch(session, given_url);
    } else {
        rc = bide_http_app_new(NULL, &app);
        if (rc == 0)
            rc = serve(app, &server);
        if (rc == 0)
            fetch_all(session, bide_http_server_port(server));
    }
    bide_http_session_close(session);
    printf("-- a session that is closed\n");
    fetch(session, "http://127.0.0.1/");
    bide_http_session_free(session);
    bide_http_server_free(server);
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    given_url = argc > 1 ? argv[1] : NULL;
    return bide_run(amain);
}
