/*
 * So many GETs of one URL at a time, from one session: the seconds that they take, printed.
 *
 *     http_client URL REQUESTS CONNECTIONS
 */
#include <bide/combine.h>
#include <bide/http_client.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *url;
static size_t n_requests;
static unsigned n_connections;

bide_async(fetch, (bide_http_session *, session))
{
    bide_http_response *response;
    const char *json;
    int rc = bide_http_get(session, url, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_json(response, &json);
    if (rc == 0 && bide_http_response_status(response) != 200)
        rc = -BIDE_EINCOMPLETE;
    bide_http_response_close(response);
    return rc;
}

bide_async(amain)
{
    bide_http_session *session;
    struct bide_http_session_opts opts = {.connections_max = n_connections};
    bide_task **tasks = calloc(n_requests, sizeof(bide_task *));
    int *results = calloc(n_requests, sizeof *results);
    int rc = tasks && results ? bide_http_session_new(&opts, &session) : -ENOMEM;
    if (rc < 0)
        return rc;
    double begin = bide_time();
    for (size_t i = 0; i < n_requests; i++)
        tasks[i] = bide_spawn(fetch, session);
    rc = bide_gather(tasks, n_requests, results);
    double seconds = bide_time() - begin;
    for (size_t i = 0; rc >= 0 && i < n_requests; i++)
        rc = results[i] < 0 ? results[i] : rc;
    if (rc >= 0)
        printf("%.6f\n", seconds);
    bide_http_session_close(session);
    bide_http_session_free(session);
    free(tasks);
    free(results);
    return rc < 0 ? rc : 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    url = argv[1];
    n_requests = strtoul(argv[2], NULL, 10);
    n_connections = (unsigned)strtoul(argv[3], NULL, 10);
    return bide_run(amain);
}
