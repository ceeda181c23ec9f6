/* A session that logs in: cookies come back by themselves, headers and limits are the same for all
 * requests, and the cookies outlive the program in a file. Then the same without waiting. */
#include <bide/http_client.h>
#include <bide/http_server.h>
#include <bide/path.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int login(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_http_reply_header(request, "Set-Cookie", "id=7; Path=/; Max-Age=3600; HttpOnly");
    return rc < 0 ? rc : bide_http_redirect(request, 303, "/me");
}

static int me(bide_http_request *request, void *data)
{
    (void)data;
    const char *cookie = bide_http_header(request, "Cookie");
    const char *language = bide_http_header(request, "Accept-Language");
    char text[128];
    snprintf(text, sizeof text, "cookie %s, language %s", cookie ? cookie : "none",
             language ? language : "none");
    return bide_http_reply_text(request, cookie ? 200 : 401, text);
}

static void show(const char *what, bide_http_response *response)
{
    const char *text = "";
    bide_http_response_read_all(response, 0, &text, NULL);
    printf("%s: %d, %s\n", what, bide_http_response_status(response), text);
}

static int fetch(bide_http_session *session, const char *method, const char *base, const char *path)
{
    bide_http_response *response;
    char url[128];
    snprintf(url, sizeof url, "%s%s", base, path);
    int rc = bide_http_fetch(session, method, url, NULL, &response);
    if (rc < 0)
        return rc;
    show(path, response);
    return bide_http_response_close(response);
}

static void fetched(int result, bide_http_response *response, void *data)
{
    if (result == 0)
        show("called back", response);
    else
        printf("called back: %s\n", bide_error_detail());
    bide_http_response_abort(response);
    bide_promise_set(data, result, NULL);
}

/* For code that is no task: a callback, and here a future to wait for it. */
static int fetch_with_callback(bide_http_session *session, const char *base)
{
    bide_promise *promise;
    bide_future *future;
    char url[128];
    snprintf(url, sizeof url, "%s/me", base);
    int rc = bide_future_new(NULL, &promise, &future);
    if (rc < 0)
        return rc;
    rc = bide_http_fetch_callback(NULL, session, "GET", url, NULL, fetched, promise, NULL);
    if (rc < 0)
        bide_cancel(future);
    int result = bide_await(future);
    bide_promise_free(promise);
    return rc < 0 ? rc : result;
}

static int use_session(bide_http_session *session, const char *base)
{
    int rc = fetch(session, "GET", base, "/me");
    if (rc == 0)
        rc = fetch(session, "POST", base, "/login");
    if (rc == 0)
        rc = fetch(session, "GET", base, "/me");
    return rc == 0 ? fetch_with_callback(session, base) : rc;
}

/* What the jar says that goes with a request, and the jar in a file. */
static int show_cookies(bide_http_session *session, const char *base)
{
    bide_http_cookies *cookies = bide_http_session_cookies(session);
    struct bide_http_cookie cookie;
    for (size_t i = 0; bide_http_cookies_at(cookies, i, &cookie) == 0; i++)
        printf("kept: %s=%s for %s%s\n", cookie.name, cookie.value, cookie.domain,
               cookie.host_only ? " alone" : "");
    char text[256], *directory;
    bide_http_cookies_print(cookies, base, 0, text, sizeof text);
    int rc = bide_directory_temporary(NULL, &directory);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "%s/cookies.txt", directory);
    rc = bide_http_cookies_save(cookies, text);
    if (rc == 0)
        rc = bide_http_cookies_load(cookies, text, 0);
    printf("saved and loaded: %d\n", rc);
    bide_path_unlink(text);
    bide_directory_remove(directory);
    free(directory);
    return rc < 0 ? rc : 0;
}

static int serve(bide_http_app *app, bide_http_server **ret_server)
{
    int rc = bide_http_route(app, "POST", "/login", login, NULL, NULL);
    if (rc == 0)
        rc = bide_http_route(app, "GET", "/me", me, NULL, NULL);
    return rc < 0 ? rc : bide_http_serve(app, "127.0.0.1", 0, NULL, ret_server);
}

bide_async(amain)
{
    static const struct bide_http_field headers[] = {{"Accept-Language", "de"}};
    struct bide_http_session_opts opts = {
        .headers = headers, .n_headers = 1, .total_seconds = 10, .connections_max = 4};
    bide_http_session *session = NULL;
    bide_http_app *app = NULL;
    bide_http_server *server = NULL;
    char base[64];
    int rc = bide_http_app_new(NULL, &app);
    if (rc == 0)
        rc = serve(app, &server);
    if (rc == 0)
        rc = bide_http_session_new(&opts, &session);
    if (rc == 0) {
        snprintf(base, sizeof base, "http://127.0.0.1:%u", bide_http_server_port(server));
        rc = use_session(session, base);
    }
    if (rc == 0)
        rc = show_cookies(session, base);
    if (session)
        bide_http_session_close(session);
    bide_http_session_free(session);
    bide_http_server_free(server);
    bide_http_app_free(app);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
