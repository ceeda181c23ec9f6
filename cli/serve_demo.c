/*
 * The demonstration's pages, and its feed by all that HTTP alone can do.
 *
 * A page of another origin may neither write nor read here: browsers keep the answers from it, and
 * what it posts is refused.
 */
#include "serve_demo.h"
#include "embedded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Shorter than what is between clients and servers waits for, which is often half a minute. */
#define WAIT_SECONDS 25
#define SILENCE_SECONDS 15

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "connect-src 'self'; img-src data:; form-action 'none'; "
                             "base-uri 'none'; frame-ancestors 'none'";

static int page(bide_http_request *request, void *data)
{
    const struct embedded *file = data;
    bide_http_reply_header(request, "Content-Security-Policy", policy);
    bide_http_reply_header(request, "Cache-Control", "no-cache");
    return bide_http_reply(request, 200, bide_http_media_type(file->name), file->data, file->size);
}

int serve_demo_after(bide_http_request *request, uint64_t *ret_after)
{
    const char *text = bide_http_header(request, "Last-Event-ID");
    char *end;
    if (!text)
        text = bide_http_query_get(request, "after");
    if (!text)
        text = "0";
    errno = 0;
    uint64_t after = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return -EINVAL;
    *ret_after = after;
    return 0;
}

static int bad_number(bide_http_request *request)
{
    return bide_http_reply_text(request, 400, "The entry's number is none.\n");
}

/* What is behind that entry, as {"last": 3, "entries": [...]}. */
static int reply_entries(bide_http_request *request, const struct feed *feed, uint64_t after)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return -ENOMEM;
    fprintf(out, "{\"last\": %" PRIu64 ", \"entries\": [", feed->last);
    const char *separator = "";
    for (const struct feed_entry *entry; (entry = feed_next(feed, after)); after = entry->id) {
        fprintf(out, "%s%s", separator, entry->json);
        separator = ", ";
    }
    fputs("]}\n", out);
    bool has_failed = ferror(out);
    int rc = fclose(out) != 0 || has_failed ? -ENOMEM : 0;
    bide_http_reply_header(request, "Cache-Control", "no-store");
    if (rc == 0)
        rc = bide_http_reply(request, 200, "application/json", text, size);
    free(text);
    return rc;
}

static int poll_entries(bide_http_request *request, void *data)
{
    uint64_t after;
    return serve_demo_after(request, &after) < 0 ? bad_number(request)
                                                 : reply_entries(request, data, after);
}

/* A list without entries tells the client to ask again. */
static int wait_entries(bide_http_request *request, void *data)
{
    uint64_t after;
    if (serve_demo_after(request, &after) < 0)
        return bad_number(request);
    int rc = bide_within(WAIT_SECONDS, feed_wait(data, after));
    if (rc < 0 && rc != -ETIMEDOUT && rc != -ESHUTDOWN)
        return rc;
    return reply_entries(request, data, after);
}

static int write_entry(bide_http_request *request, const struct feed_entry *entry)
{
    char event[FEED_ENTRY_SIZE + 64];
    int n = snprintf(event, sizeof event, "id: %" PRIu64 "\ndata: %s\n\n", entry->id, entry->json);
    return bide_http_write(request, event, (size_t)n);
}

/* A comment now and then shows whether the client is still there. */
static int stream_entries(bide_http_request *request, void *data)
{
    static const char hello[] = "retry: 1000\n\n", still_here[] = ": still here\n\n";
    uint64_t after;
    if (serve_demo_after(request, &after) < 0)
        return bad_number(request);
    bide_http_reply_header(request, "Cache-Control", "no-store");
    int rc = bide_http_reply_begin(request, 200, "text/event-stream", BIDE_HTTP_LENGTH_UNKNOWN);
    if (rc == 0)
        rc = bide_http_write(request, hello, sizeof hello - 1);
    while (rc == 0) {
        const struct feed_entry *entry = feed_next(data, after);
        if (entry) {
            after = entry->id;
            rc = write_entry(request, entry);
            continue;
        }
        rc = bide_within(SILENCE_SECONDS, feed_wait(data, after));
        if (rc == -ETIMEDOUT)
            rc = bide_http_write(request, still_here, sizeof still_here - 1);
    }
    return rc == -ESHUTDOWN ? bide_http_reply_end(request) : rc;
}

/* Whether it comes from a page of ours, or from no page at all. */
static bool is_ours(const bide_http_request *request)
{
    const char *origin = bide_http_header(request, "Origin");
    const char *host = origin ? strstr(origin, "://") : NULL;
    return !origin || (host && strcasecmp(host + 3, bide_http_host(request)) == 0);
}

static int post(bide_http_request *request, void *data)
{
    char *text;
    if (!is_ours(request))
        return bide_http_reply_text(request, 403, "Not from another page.\n");
    const char *name = bide_http_query_get(request, "name");
    int n = bide_http_read_all(request, FEED_TEXT_BYTES, &text);
    if (n < 0)
        return n;
    if (feed_post(data, name ? name : "", text, (size_t)n) == 0)
        return bide_http_reply(request, 204, NULL, NULL, 0);
    char words[128];
    snprintf(words, sizeof words, "%s\n", bide_error_detail());
    return bide_http_reply_text(request, 400, words);
}

static int sniff_nothing(bide_http_request *request, bide_http_next *next, void *data)
{
    (void)data;
    bide_http_reply_header(request, "X-Content-Type-Options", "nosniff");
    return bide_http_next_run(next);
}

static int add_pages(bide_http_app *app)
{
    int rc = 0;
    for (const struct embedded *file = embedded_files; file->name && rc == 0; file++) {
        char path[64];
        snprintf(path, sizeof path, "/%s", file == embedded_files ? "" : file->name);
        rc = bide_http_route(app, "GET", path, page, (void *)file, NULL);
    }
    return rc;
}

int serve_demo(bide_http_app *app, struct feed *feed)
{
    static const struct {
        const char *method, *path;
        bide_http_handler *handler;
    } routes[] = {
        {"GET", "/messages", poll_entries},    {"GET", "/messages/wait", wait_entries},
        {"GET", "/events", stream_entries},    {"POST", "/messages", post},
        {"GET", "/socket", serve_demo_socket},
    };
    int rc = bide_http_use(app, sniff_nothing, NULL, NULL);
    if (rc == 0)
        rc = add_pages(app);
    for (size_t i = 0; i < sizeof routes / sizeof *routes && rc == 0; i++)
        rc = bide_http_route(app, routes[i].method, routes[i].path, routes[i].handler, feed, NULL);
    return rc;
}
