/* 500 requests at a time for a text in JSON: on at most 100 connections, with one limit for all of
 * them, and the failures counted. */
#include <bide/combine.h>
#include <bide/http_client.h>
#include <bide/http_server.h>
#include <bide/timeout.h>

#include <stdio.h>
#include <string.h>

enum { REQUESTS = 500 };

static int item(bide_http_request *request, void *data)
{
    char json[64];
    (void)data;
    int rc = bide_sleep(0.001); /* as if it asked a database */
    if (rc < 0)
        return rc;
    snprintf(json, sizeof json, "{\"item\": \"%s\"}", bide_http_param(request, "id"));
    return bide_http_reply_json(request, 200, json);
}

/* The status. */
bide_async(fetch, (bide_http_session *, session), (unsigned, port), (int, id))
{
    bide_http_response *response;
    char url[64], expected[32];
    const char *json;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/items/%d", port, id);
    int rc = bide_http_get(session, url, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_json(response, &json);
    snprintf(expected, sizeof expected, "\"%d\"", id);
    if (rc == 0 && !strstr(json, expected))
        rc = -BIDE_EINCOMPLETE;
    if (rc == 0)
        rc = bide_http_response_status(response);
    bide_http_response_close(response);
    return rc;
}

static int fetch_many(bide_http_session *session, unsigned port)
{
    static bide_task *tasks[REQUESTS];
    static int results[REQUESTS];
    int n_good = 0;
    for (int i = 0; i < REQUESTS; i++)
        tasks[i] = bide_spawn(fetch, session, port, i);
    int rc = bide_within(30, bide_gather(tasks, REQUESTS, results));
    bide_cancel_join(tasks, REQUESTS); /* those that an error or the limit left running */
    for (int i = 0; rc >= 0 && i < REQUESTS; i++)
        n_good += results[i] == 200;
    printf("%d of %d are good\n", n_good, REQUESTS);
    printf("on at most 100 connections: %s\n",
           bide_http_session_connections(session, NULL) <= 100 ? "yes" : "no");
    return rc;
}

bide_async(amain)
{
    bide_http_session *session = NULL;
    bide_http_app *app = NULL;
    bide_http_server *server = NULL;
    int rc = bide_http_app_new(NULL, &app);
    if (rc == 0)
        rc = bide_http_route(app, "GET", "/items/{id}", item, NULL, NULL);
    if (rc == 0)
        rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc == 0)
        rc = bide_http_session_new(NULL, &session);
    if (rc == 0)
        rc = fetch_many(session, bide_http_server_port(server));
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
