/* Answers of events, and polls of feeds. */
#include "codec/events.h"
#include "http/exchange.h"
#include "http/text.h"

#include <bide/error.h>
#include <bide/http_events.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bide_http_events_begin(bide_http_request *request, double retry_seconds)
{
    char text[64] = ":\n\n";
    if (!request || !(retry_seconds >= 0) || retry_seconds > 1e6)
        return -EINVAL;
    int rc = bide_http_reply_header(request, "Cache-Control", "no-store");
    if (rc == 0) /* nginx would collect the answer */
        rc = bide_http_reply_header(request, "X-Accel-Buffering", "no");
    if (rc == 0)
        rc = bide_http_reply_begin(request, 200, "text/event-stream", BIDE_HTTP_LENGTH_UNKNOWN);
    if (retry_seconds > 0)
        snprintf(text, sizeof text, "retry: %.0f\n\n", retry_seconds * 1000);
    return rc < 0 ? rc : bide_http_write(request, text, strlen(text));
}

static bool is_line(const char *text)
{
    return !text || !strpbrk(text, "\r\n");
}

/* All that is not there is left out. */
static size_t compose(char *to, const char *event, const char *data, const char *id)
{
    size_t n = 0;
    if (event)
        n += bide__event_write(to, "event", event);
    if (id)
        n += bide__event_write(to ? to + n : NULL, "id", id);
    n += bide__event_write(to ? to + n : NULL, "data", data);
    if (to)
        to[n] = '\n';
    return n + 1;
}

int bide_http_event_send(bide_http_request *request, const char *event, const char *data,
                         const char *id)
{
    char small[512];
    if (!request || !data || !is_line(event) || !is_line(id))
        return -EINVAL;
    size_t size = compose(NULL, event, data, id);
    char *text = size <= sizeof small ? small : malloc(size);
    if (!text)
        return -ENOMEM;
    compose(text, event, data, id);
    int rc = bide_http_write(request, text, size);
    if (text != small)
        free(text);
    return rc;
}

int bide_http_event_comment(bide_http_request *request, const char *text)
{
    char line[256];
    if (!request || !is_line(text) || (text && strlen(text) > sizeof line - 8))
        return -EINVAL;
    int n = snprintf(line, sizeof line, ":%s%s\n\n", text ? " " : "", text ? text : "");
    return bide_http_write(request, line, (size_t)n);
}

const char *bide_http_last_event_id(const bide_http_request *request)
{
    return bide_http_header(request, "last-event-id");
}

/* Feeds */

static int feed_opts(const struct bide_http_feed_opts *opts, struct bide_http_feed_opts *ret_opts)
{
    struct bide_http_feed_opts all = opts ? *opts : (struct bide_http_feed_opts){0};
    if (all.quiet_seconds == 0)
        all.quiet_seconds = 15;
    if (all.poll_seconds == 0)
        all.poll_seconds = 25;
    if (!(all.quiet_seconds > 0) || isnan(all.poll_seconds))
        return -EINVAL;
    *ret_opts = all;
    return 0;
}

static uint64_t number_of(const char *text)
{
    if (!text || !*text || strspn(text, "0123456789") != strlen(text))
        return 0;
    return strtoull(text, NULL, 10);
}

static uint64_t known_by(bide_http_request *request)
{
    const char *id = bide_http_last_event_id(request);
    return number_of(id ? id : bide_http_query_get(request, "after"));
}

int bide_http_events_feed(bide_http_request *request, bide_feed *feed,
                          const struct bide_http_feed_opts *opts)
{
    struct bide_http_feed_opts all;
    const struct bide_feed_item *item;
    char id[24];
    if (!request || !feed)
        return -EINVAL;
    int rc = feed_opts(opts, &all);
    if (rc < 0)
        return rc;
    uint64_t known = known_by(request);
    rc = bide_http_events_begin(request, all.retry_seconds);
    while (rc == 0) {
        rc = bide_feed_wait_after(feed, known, all.quiet_seconds, &item);
        if (rc < 0)
            break;
        if (rc == 0) {
            rc = bide_http_event_comment(request, NULL);
            continue;
        }
        known = item->sequence;
        snprintf(id, sizeof id, "%" PRIu64, known);
        rc = bide_http_event_send(request, all.event, item->data, id);
        bide_feed_item_release(item);
    }
    return rc == -ESHUTDOWN ? bide_http_reply_end(request) : rc;
}

/* The items behind `known`, as far as they are there. The last one's number. */
static uint64_t collect(bide_feed *feed, uint64_t known, struct bide__http_text *text)
{
    const struct bide_feed_item *item;
    while (bide_feed_wait_after(feed, known, 0, &item) > 0) {
        bide__http_text_add(text, item->data, item->size);
        bide__http_text_add(text, "\n", 1);
        known = item->sequence;
        bide_feed_item_release(item);
    }
    return known;
}

static int answer_poll(bide_http_request *request, bide_feed *feed, uint64_t known)
{
    struct bide__http_text text = {0};
    char number[24];
    uint64_t last = collect(feed, known, &text);
    snprintf(number, sizeof number, "%" PRIu64, text.size > 0 ? last : bide_feed_last(feed));
    int rc = text.has_failed ? -ENOMEM : bide_http_reply_header(request, "Feed-Last", number);
    if (rc == 0)
        rc = bide_http_reply_header(request, "Cache-Control", "no-store");
    if (rc == 0)
        rc = text.size > 0
                 ? bide_http_reply(request, 200, "application/x-ndjson", text.data, text.size)
                 : bide_http_reply(request, 204, NULL, NULL, 0);
    bide__http_text_fini(&text);
    return rc;
}

int bide_http_poll_feed(bide_http_request *request, bide_feed *feed,
                        const struct bide_http_feed_opts *opts)
{
    struct bide_http_feed_opts all;
    const struct bide_feed_item *item;
    if (!request || !feed)
        return -EINVAL;
    int rc = feed_opts(opts, &all);
    if (rc < 0)
        return rc;
    uint64_t known = known_by(request);
    rc = bide_feed_wait_after(feed, known, all.poll_seconds > 0 ? all.poll_seconds : 0, &item);
    if (rc > 0)
        bide_feed_item_release(item);
    if (rc < 0 && rc != -ESHUTDOWN)
        return rc;
    return answer_poll(request, feed, known);
}
