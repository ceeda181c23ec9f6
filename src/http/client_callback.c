/*
 * Fetching for callbacks: a task underneath.
 *
 * Invariant: the callback runs from the loop, never from the task, and exactly once unless the loop
 * closes before.
 */
#include "http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fetched {
    bide_http_session *session;
    const struct bide_http_fetch_opts *opts;
    bide_http_fetched *callback;
    void *data;
    bide_http_response *response;
    char *url; /* behind the method's NUL */
    char method[];
};

static bide_async(fetch_whole, (struct fetched *, fetched))
{
    bide_http_response *response;
    int rc = bide_http_fetch(fetched->session, fetched->method, fetched->url, fetched->opts,
                             &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_read_all(response, 0, NULL, NULL);
    if (rc < 0)
        bide_http_response_close(response);
    else
        fetched->response = response;
    return rc;
}

/* On the loop: the words of the error go where a callback looks for them. */
static void fetched_tell(bide_task *task, void *data)
{
    struct fetched *fetched = data;
    bide_http_response *response = fetched->response;
    int result = -ECANCELED;
    bide_task_result(task, &result);
    fetched->response = NULL;
    if (result < 0)
        bide__detail_set(result, "%s", bide_task_detail(task));
    fetched->callback(result, response, fetched->data);
}

static void fetched_drop(void *data)
{
    struct fetched *fetched = data;
    bide_http_response_abort(fetched->response);
    bide__http_session_unref(fetched->session);
    free(fetched);
}

int bide_http_fetch_callback(bide_loop *loop, bide_http_session *session, const char *method,
                             const char *url, const struct bide_http_fetch_opts *opts,
                             bide_http_fetched *callback, void *data, bide_task **ret_task)
{
    if (!session || !method || !url || !callback || (!loop && !bide_loop_current()))
        return -EINVAL;
    size_t method_size = strlen(method) + 1, url_size = strlen(url) + 1;
    struct fetched *fetched = calloc(1, sizeof *fetched + method_size + url_size);
    if (!fetched)
        return -ENOMEM;
    fetched->url = fetched->method + method_size;
    memcpy(fetched->method, method, method_size);
    memcpy(fetched->url, url, url_size);
    fetched->session = bide__http_session_ref(session);
    fetched->opts = opts;
    fetched->callback = callback;
    fetched->data = data;
    struct bide_task_opts task_opts = {.name = "HTTP fetch", .loop = loop};
    bide_task *task = bide_spawn_with(&task_opts, fetch_whole, fetched);
    int rc = task ? bide_task_add_done_callback(task, fetched_tell, fetched, fetched_drop)
                  : -ENOMEM;
    if (rc < 0) {
        if (task)
            bide_cancel(task); /* it has not begun, and will not */
        bide_detach(task);
        fetched_drop(fetched);
        return rc;
    }
    if (ret_task)
        *ret_task = task;
    else
        bide_detach(task);
    return 0;
}
