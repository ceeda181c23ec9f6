/*
 * Server-sent events, feeds and polls. Scenario: streams of events as the standard's parser reads
 * them, in pieces of every size; feeds that are followed by events, polls and tasks side by side,
 * with gaps, limits, clients that come back, cancels, and memory that fails.
 * Claim: what was sent is what is read; every follower gets every item that is kept, in order and
 * once; a cancelled wait loses nothing.
 */
#include "http_rig.h"

#include <bide/feed.h>
#include <bide/http_client.h>
#include <bide/http_events.h>

#include "codec/events.h"
#include "fault.h"

/* Lines */

STREAM_TEST(lines_end_in_three_ways_however_they_are_split)
{
    static const char text[] = "a\nb\r\nc\rd\r\n\r\n\n\re";
    static const char expected[] = "a|b|c|d||||";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        char told[64] = "", in[64];
        size_t size = 0, at = 0;
        bool after_cr = false;
        while (at < sizeof text - 1) {
            for (size_t i = 0; i < piece && at < sizeof text - 1; i++)
                in[size++] = text[at++];
            for (;;) {
                size_t begin, end;
                size_t n = bide__event_line(in, size, &after_cr, &begin, &end);
                size_t used = begin + (end > 0 ? n + end : 0);
                if (end > 0)
                    sprintf(told + strlen(told), "%.*s|", (int)n, in + begin);
                memmove(in, in + used, size - used);
                size -= used;
                if (end == 0)
                    break;
            }
        }
        CHECK_STR(told, expected);
        CHECK_INT(size, 1);
    }
}

/* A server whose answers are written by the test. */
static const char *script;
static size_t script_piece;

static int scripted(bide_http_request *request, void *data)
{
    (void)data;
    int rc = bide_http_reply_begin(request, 200, "text/event-stream; charset=utf-8", -1);
    for (size_t at = 0, size = strlen(script); at < size && rc == 0; at += script_piece) {
        size_t n = size - at < script_piece ? size - at : script_piece;
        rc = bide_http_write(request, script + at, n);
        if (rc == 0)
            rc = bide_sleep(0);
    }
    return rc;
}

static bide_http_session *session;

static const char *url_of(const char *rest)
{
    static char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", bide_http_server_port(rig_server), rest);
    return url;
}

static void session_begin(void)
{
    CHECK_INT(bide_http_session_new(NULL, &session), 0);
}

static void session_end(void)
{
    bide_http_session_close(session);
    bide_http_session_free(session);
    http_end();
}

/* All events in words. */
static const char *read_events(bide_http_response *response, size_t limit, int *ret_rc)
{
    static char told[4096];
    bide_events *events;
    struct bide_event_message event;
    told[0] = '\0';
    CHECK_INT(bide_events_new(response, limit, &events), 0);
    while ((*ret_rc = bide_events_next(events, &event)) > 0) {
        CHECK_INT(event.size, strlen(event.data));
        sprintf(told + strlen(told), "%s(%s)%s;", event.type, event.data, event.id);
    }
    if (bide_events_retry(events) >= 0)
        sprintf(told + strlen(told), "%g", bide_events_retry(events));
    bide_events_free(events);
    return told;
}

STREAM_TEST_SECONDS(streams_as_the_standard_reads_them, 120)
{
    static const struct {
        const char *stream;
        const char *events;
    } cases[] = {
        {"", ""},
        {"data: a\n\n", "message(a);"},
        {"data: a\n", ""},
        {"data: a\n\ndata: b", "message(a);"},
        {"data:a\ndata:  b\n\n", "message(a\n b);"},
        {"data: YHOO\ndata: +2\ndata: 10\n\n", "message(YHOO\n+2\n10);"},
        {": comment\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
         "message(first)1;message(second);message( third);"},
        {"data\n\ndata\ndata\n\ndata:", "message();message(\n);"},
        {"data:test\n\ndata: test\n\n", "message(test);message(test);"},
        {"event: add\r\ndata: 7\r\r\nevent:x\r\n\r\ndata: y\n\n", "add(7);message(y);"},
        {"\xef\xbb\xbf"
         "data: marked\n\n",
         "message(marked);"},
        {"\xef\xbb"
         "data: half a mark\n\ndata: z\n\n",
         "message(z);"},
        {"id: 5\nretry: 2500\nretry: x\nunknown: y\nDATA: no\n\ndata: z\n\n", "message(z)5;2.5"},
    };
    http_app();
    http_route("GET", "/", scripted);
    http_begin(NULL);
    session_begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (script_piece = 1; script_piece < 9; script_piece++) {
            bide_http_response *response;
            int rc;
            script = cases[i].stream;
            printf("# %s\n", script);
            CHECK_INT(bide_http_get(session, url_of("/"), &response), 0);
            CHECK_STR(read_events(response, 0, &rc), cases[i].events);
            CHECK_INT(rc, 0);
            bide_http_response_close(response);
        }
    session_end();
}

STREAM_TEST(events_that_are_too_large)
{
    static const char *const streams[] = {"data: 0123456789\n\n", "data: 01234\ndata: 56789\n\n",
                                          ": 012345678901234"};
    http_app();
    http_route("GET", "/", scripted);
    http_begin(NULL);
    session_begin();
    script_piece = 100;
    for (size_t i = 0; i < 3; i++) {
        bide_http_response *response;
        int rc;
        script = streams[i];
        CHECK_INT(bide_http_get(session, url_of("/"), &response), 0);
        (void)read_events(response, i == 1 ? 11 : 10, &rc);
        CHECK_INT(rc, -BIDE_ELIMIT);
        bide_http_response_close(response);
    }
    bide_http_response *response;
    bide_events *events;
    CHECK_INT(bide_http_get(session, url_of("/none"), &response), 0);
    CHECK_INT(bide_events_new(response, 0, &events), -EPROTO);
    CHECK_CONTAINS(bide_error_detail(), "404");
    bide_http_response_close(response);
    session_end();
}

/* Answers of events */

static int sends(bide_http_request *request, void *data)
{
    (void)data;
    CHECK_INT(bide_http_events_begin(request, -1), -EINVAL);
    CHECK_INT(bide_http_events_begin(request, 1.5), 0);
    CHECK_INT(bide_http_events_begin(request, 0), -EALREADY);
    CHECK_INT(bide_http_event_send(request, "a\nb", "x", NULL), -EINVAL);
    CHECK_INT(bide_http_event_send(request, NULL, "x", "1\r2"), -EINVAL);
    CHECK_INT(bide_http_event_send(request, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_http_event_comment(request, "x\ny"), -EINVAL);
    CHECK_INT(bide_http_event_send(request, NULL, "plain", NULL), 0);
    CHECK_INT(bide_http_event_comment(request, "alive"), 0);
    CHECK_INT(bide_http_event_send(request, "kind", "1\n2\r\n3\r\n\n", "7"), 0);
    char large[2000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    return bide_http_event_send(request, NULL, large, NULL);
}

STREAM_TEST(what_is_sent_is_read)
{
    http_app();
    http_route("GET", "/", sends);
    http_begin(NULL);
    session_begin();
    bide_http_response *response;
    int rc;
    CHECK_INT(bide_http_get(session, url_of("/"), &response), 0);
    CHECK_STR(bide_http_response_header(response, "content-type"), "text/event-stream");
    CHECK_STR(bide_http_response_header(response, "cache-control"), "no-store");
    const char *told = read_events(response, 0, &rc);
    const char *begin = "message(plain);kind(1\n2\n3\n\n)7;message(xxx";
    CHECK_INT(strncmp(told, begin, strlen(begin)), 0);
    CHECK_STR(told + strlen(told) - 9, "xxx)7;1.5");
    bide_http_response_close(response);
    session_end();
}

/* Feeds */

static void publish(bide_feed *feed, const char *text)
{
    CHECK_INT(bide_feed_publish(feed, text, strlen(text), NULL), 0);
}

static void expect(bide_feed *feed, uint64_t known, const char *text, uint64_t sequence)
{
    const struct bide_feed_item *item;
    CHECK_INT(bide_feed_wait_after(feed, known, 0, &item), 1);
    CHECK_STR(item->data, text);
    CHECK_INT(item->size, strlen(text));
    CHECK_INT(item->sequence, sequence);
    bide_feed_item_release(item);
}

STREAM_TEST(a_feed_keeps_the_last_items)
{
    bide_feed *feed;
    const struct bide_feed_item *item, *held;
    CHECK_INT(bide_feed_new(&(struct bide_feed_opts){.items_max = 3, .bytes_max = 10}, &feed), 0);
    CHECK_INT(bide_feed_last(feed), 0);
    CHECK_INT(bide_feed_wait_after(feed, 0, 0, &item), 0);
    CHECK_INT(bide_feed_wait_after(feed, 99, 0, &item), 0);
    publish(feed, "a");
    CHECK_INT(bide_feed_wait_after(feed, 0, 0, &held), 1);
    publish(feed, "b");
    publish(feed, "c");
    publish(feed, "d");
    expect(feed, 0, "b", 2);
    expect(feed, 2, "c", 3);
    expect(feed, 3, "d", 4);
    expect(feed, 99, "b", 2);
    CHECK_INT(bide_feed_wait_after(feed, 4, 0, &item), 0);
    publish(feed, "0123456789ab");
    expect(feed, 0, "0123456789ab", 5);
    publish(feed, "e");
    expect(feed, 0, "e", 6);
    for (int i = 0; i < 100; i++)
        publish(feed, "f");
    expect(feed, 0, "f", 104);
    CHECK_INT(bide_feed_last(feed), 106);
    CHECK_STR(held->data, "a");
    bide_feed_close(feed);
    expect(feed, 104, "f", 105);
    CHECK_INT(bide_feed_wait_after(feed, 106, 0, &item), -ESHUTDOWN);
    CHECK_INT(bide_feed_publish(feed, "g", 1, NULL), -ESHUTDOWN);
    bide_feed_free(feed);
    bide_feed_item_release(held);
    CHECK_INT(bide_feed_wait_after(NULL, 0, 0, &item), -EINVAL);
    CHECK_INT(bide_feed_new(NULL, NULL), -EINVAL);
}

static int n_wrong;

/* Counts up from 1; every third wait is cancelled by its limit. */
static bide_async(follows, (bide_feed *, feed), (int, n))
{
    uint64_t known = 0;
    const struct bide_feed_item *item;
    for (int step = 0;; step++) {
        int rc = step % 3 == 0
                     ? bide_within(0.0001, bide_feed_wait_after(feed, known, INFINITY, &item))
                     : bide_feed_wait_after(feed, known, step % 3 == 1 ? 0.0001 : INFINITY, &item);
        if (rc == -ETIMEDOUT || rc == 0)
            continue;
        if (rc == -ESHUTDOWN)
            return (int)known == n ? 0 : -EIO;
        if (rc < 0)
            return rc;
        n_wrong += item->sequence != known + 1;
        known = item->sequence;
        bide_feed_item_release(item);
    }
}

STREAM_TEST(many_follow_a_feed)
{
    enum { TASKS = 50, ITEMS = 300 };
    bide_feed *feed;
    bide_task *tasks[TASKS];
    CHECK_INT(bide_feed_new(NULL, &feed), 0);
    for (int i = 0; i < TASKS; i++)
        tasks[i] = bide_spawn(follows, feed, ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        publish(feed, "x");
        if (i % 7 == 0)
            bide_test_turns(1 + i % 5);
        if (i % 60 == 0)
            CHECK_INT(bide_sleep(0.002), 0);
    }
    bide_feed_close(feed);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    bide_feed_free(feed);
    CHECK_INT(n_wrong, 0);
}

static bide_feed *the_feed;

static int by_events(bide_http_request *request, void *data)
{
    static const struct bide_http_feed_opts opts = {.quiet_seconds = 0.005, .retry_seconds = 1};
    (void)data;
    return bide_http_events_feed(request, the_feed, &opts);
}

static int by_poll(bide_http_request *request, void *data)
{
    static const struct bide_http_feed_opts waits = {.poll_seconds = 5},
                                            looks = {.poll_seconds = -1};
    (void)data;
    return bide_http_poll_feed(request, the_feed,
                               bide_http_query_get(request, "wait") ? &waits : &looks);
}

static const char *poll_text(const char *rest, int *ret_status)
{
    static char text[256];
    bide_http_response *response;
    const char *data;
    CHECK_INT(bide_http_get(session, url_of(rest), &response), 0);
    CHECK_INT(bide_http_response_read_all(response, 0, &data, NULL), 0);
    const char *last = bide_http_response_header(response, "feed-last");
    *ret_status = bide_http_response_status(response);
    snprintf(text, sizeof text, "%s%s", data, last ? last : "-");
    bide_http_response_close(response);
    return text;
}

static bide_async(publishes_later)
{
    int rc = bide_sleep(0.01);
    publish(the_feed, "{3}");
    return rc;
}

STREAM_TEST(one_feed_side_by_side)
{
    bide_http_response *response;
    bide_events *events;
    struct bide_event_message event;
    int status;
    CHECK_INT(bide_feed_new(NULL, &the_feed), 0);
    http_app();
    http_route("GET", "/events", by_events);
    http_route("GET", "/poll", by_poll);
    http_begin(NULL);
    session_begin();
    CHECK_STR(poll_text("/poll", &status), "0");
    CHECK_INT(status, 204);
    publish(the_feed, "{1}");
    publish(the_feed, "{2}");
    CHECK_STR(poll_text("/poll", &status), "{1}\n{2}\n2");
    CHECK_STR(poll_text("/poll?after=1&wait=1", &status), "{2}\n2");
    CHECK_STR(poll_text("/poll?after=x", &status), "{1}\n{2}\n2");
    struct bide_http_field seen = {"Last-Event-ID", "1"};
    struct bide_http_fetch_opts opts = {.headers = &seen, .n_headers = 1};
    CHECK_INT(bide_http_fetch(session, "GET", url_of("/events"), &opts, &response), 0);
    CHECK_INT(bide_events_new(response, 0, &events), 0);
    CHECK_INT(bide_events_next(events, &event), 1);
    CHECK_STR(event.data, "{2}");
    CHECK_STR(event.id, "2");
    bide_task *later = bide_spawn(publishes_later);
    CHECK_STR(poll_text("/poll?after=2&wait=1", &status), "{3}\n3");
    CHECK_INT(bide_await(later), 0);
    CHECK_INT(bide_within(0, bide_events_next(events, &event)), -ETIMEDOUT);
    CHECK_INT(bide_events_next(events, &event), 1); /* comments in between are seen by nobody */
    CHECK_STR(event.data, "{3}");
    bide_feed_close(the_feed);
    CHECK_INT(bide_events_next(events, &event), 0);
    CHECK_INT(bide_events_retry(events), 1);
    CHECK_STR(poll_text("/poll?after=3&wait=1", &status), "3");
    CHECK_INT(status, 204);
    bide_events_free(events);
    bide_http_response_close(response);
    session_end();
    bide_feed_free(the_feed);
}

/* A client of events that goes is noticed, though nothing is published. */
STREAM_TEST(a_client_of_events_that_goes)
{
    CHECK_INT(bide_feed_new(NULL, &the_feed), 0);
    http_app();
    http_route("GET", "/events", by_events);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    char byte;
    http_say(stream, "GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_INT(bide_read(stream, &byte, 1), 1);
    bide_abort(stream);
    bide_close(stream);
    while (bide_http_server_connections(rig_server) > 0)
        CHECK_INT(bide_sleep(0.001), 0);
    http_end();
    bide_feed_free(the_feed);
}

STREAM_TEST(without_memory)
{
    for (unsigned long n = 1;; n++) {
        bide_feed *feed = NULL;
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide_feed_new(NULL, &feed);
        for (int i = 0; i < 40 && rc == 0; i++)
            rc = bide_feed_publish(feed, "abc", 3, NULL);
        bool failed = fault_disarm();
        CHECK_INT(rc, failed ? -ENOMEM : 0);
        if (failed && feed) {
            uint64_t last = bide_feed_last(feed);
            CHECK_INT(bide_feed_publish(feed, "abc", 3, NULL), 0);
            CHECK_INT(bide_feed_last(feed), last + 1);
        }
        bide_feed_free(feed);
        if (!failed)
            break;
    }
}
