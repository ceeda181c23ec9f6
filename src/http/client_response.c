/* Answers in the hands of users: what they say, their bodies, their end. */
#include "http/client.h"

#include <bide/file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ALL_BYTES_MIN = 4096 };

#define DRAIN_SECONDS 1.0

void bide__http_response_free(bide_http_response *response)
{
    bide_http_session *session = response->session;
    bide__http_pool_discard(response);
    bide__http_pool_leave(response);
    bide__list_remove(&response->node);
    bide__http_out_close(&response->out);
    bide__http_text_fini(&response->head);
    bide__http_text_fini(&response->all);
    bide__http_unpack_free(response->unpack);
    free(response->spare);
    free(response->lines);
    free(response->in);
    free(response->url);
    free(response->url_shown);
    free(response);
    bide__http_session_unref(session);
}

/* What it says */

int bide_http_response_status(const bide_http_response *response)
{
    return response ? response->parsed.status : 0;
}

const char *bide_http_response_reason(const bide_http_response *response)
{
    return response ? response->in + response->parsed.reason.at : "";
}

const char *bide_http_response_header(const bide_http_response *response, const char *name)
{
    return response && name ? bide__http_answer_field(response, name) : NULL;
}

const struct bide_http_field *bide_http_response_headers(const bide_http_response *response,
                                                         size_t *ret_n)
{
    size_t n = response ? response->parsed.n_fields : 0;
    if (ret_n)
        *ret_n = n;
    return n > 0 ? &response->lines->field : NULL;
}

const char *bide_http_response_url(const bide_http_response *response)
{
    return response ? response->url_shown : "";
}

unsigned bide_http_response_redirects(const bide_http_response *response)
{
    return response ? response->n_redirects : 0;
}

int64_t bide_http_response_content_length(const bide_http_response *response)
{
    if (!response || !response->parsed.has_length || response->parsed.length > INT64_MAX)
        return -1;
    return (int64_t)response->parsed.length;
}

/* Its body */

/* What begins a suspending call that may have nothing to wait for. */
static int nothing_start(void *object, bide_waker *waker)
{
    (void)object;
    (void)waker;
    return 0;
}

static const struct bide_awaitable nothing = {.name = "HTTP body", .start = nothing_start};

static int response_enter(bide_http_response *response)
{
    if (!response)
        return -EINVAL;
    int rc = bide_await_object(&nothing, response);
    return rc < 0 ? rc : bide__http_enter(response, response->read_seconds);
}

/* A limit that passed, or the session's end, is the answer's end. */
static int response_leave(bide_http_response *response, int rc)
{
    int left = bide__http_leave(response, rc);
    if (left < 0 && left != rc) {
        response->error = left;
        bide__http_pool_discard(response);
    }
    return left;
}

int bide_http_response_read(bide_http_response *response, void *buffer, size_t size)
{
    if (!buffer || size == 0)
        return -EINVAL;
    int rc = response_enter(response);
    if (rc < 0)
        return rc;
    return response_leave(response, bide__http_body_read(response, buffer, size));
}

/* Whether more would be over the limit is known only when more comes: so one byte beyond it. */
static int read_all(bide_http_response *response, size_t limit)
{
    struct bide__http_text *all = &response->all;
    int64_t announced = response->unpack ? -1 : bide_http_response_content_length(response);
    size_t first = announced >= 0 && (uint64_t)announced < limit ? (size_t)announced + 2
                                                                 : ALL_BYTES_MIN;
    char *to = all->data ? all->data : bide__http_text_room(all, first);
    while (to && all->size <= limit) {
        to = bide__http_text_room(all, 2);
        if (!to)
            break;
        size_t room = all->capacity - all->size - 1;
        size_t most = limit - all->size + 1;
        int n = bide__http_body_read(response, to, room < most || most == 0 ? room : most);
        if (n < 0)
            return n;
        if (n == 0) {
            all->data[all->size] = '\0';
            response->is_whole = true;
            return 0;
        }
        all->size += (size_t)n;
    }
    if (all->has_failed) {
        all->has_failed = false;
        return -ENOMEM;
    }
    return bide__http_explain(response, -BIDE_ELIMIT, "the body is longer than %zu bytes", limit);
}

int bide_http_response_read_all(bide_http_response *response, size_t limit, const char **ret_data,
                                size_t *ret_size)
{
    if (!response)
        return -EINVAL;
    limit = limit > 0 ? limit : response->session->opts.body_bytes_max;
    if (!response->is_whole) {
        int rc = response_enter(response);
        if (rc == 0)
            rc = response_leave(response, read_all(response, limit));
        if (rc < 0)
            return rc;
    }
    if (response->all.size > limit)
        return bide__http_explain(response, -BIDE_ELIMIT, "the body is longer than %zu bytes",
                                  limit);
    if (ret_data)
        *ret_data = response->all.data;
    if (ret_size)
        *ret_size = response->all.size;
    return 0;
}

/* "application/json", "application/problem+json"; behind them may be parameters. */
static bool is_json(const char *type)
{
    size_t size = type ? strcspn(type, "; \t") : 0;
    return (size == 16 && strncasecmp(type, "application/json", size) == 0) ||
           (size == 9 && strncasecmp(type, "text/json", size) == 0) ||
           (size > 5 && strncasecmp(type + size - 5, "+json", 5) == 0);
}

int bide_http_response_json(bide_http_response *response, const char **ret_json)
{
    const char *data = NULL;
    size_t size = 0;
    if (!response || !ret_json)
        return -EINVAL;
    const char *type = bide_http_response_header(response, "content-type");
    if (!is_json(type))
        return bide__http_explain(response, -EBADMSG, "\"%.80s\" is not JSON", type ? type : "");
    int rc = bide_http_response_read_all(response, 0, &data, &size);
    if (rc < 0)
        return rc;
    assert(data);
    if (memchr(data, '\0', size))
        return bide__http_explain(response, -EBADMSG, "a NUL in what should be JSON");
    *ret_json = data;
    return 0;
}

int bide_http_response_save(bide_http_response *response, const char *path)
{
    const char *data = NULL;
    size_t size = 0;
    if (!path)
        return -EINVAL;
    int rc = bide_http_response_read_all(response, 0, &data, &size);
    return rc < 0 ? rc : bide_file_store(path, data, size, NULL);
}

/* Its end */

static int drain(bide_http_response *response)
{
    if (bide__http_enter(response, DRAIN_SECONDS) < 0)
        return 0;
    response->read_seconds = DRAIN_SECONDS;
    response->deadline = bide__http_sooner(response->deadline, bide_time() + DRAIN_SECONDS);
    bide__http_body_drain(response);
    bide__http_leave(response, 0);
    return 0;
}

int bide_http_response_close(bide_http_response *response)
{
    if (!response)
        return 0;
    if (response->is_inside)
        return -EBUSY;
    if (response->connection && bide_current_task())
        drain(response);
    bide__http_response_free(response);
    return 0;
}

void bide_http_response_abort(bide_http_response *response)
{
    if (response)
        bide__http_response_free(response);
}
