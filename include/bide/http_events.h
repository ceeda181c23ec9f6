/*
 * Server-sent events: a stream of texts from a server, of which browsers make events and to which
 * they come back by themselves; and long polling. Part of the library `bide-http`.
 *
 *     static int news(bide_http_request *request, void *feed)
 *     {
 *         return bide_http_events_feed(request, feed, NULL);
 *     }
 */
#ifndef BIDE_HTTP_EVENTS_H
#define BIDE_HTTP_EVENTS_H

#include <bide/feed.h>
#include <bide/http_client.h>
#include <bide/http_request.h>

BIDE_BEGIN_DECLARATIONS

/*
 * Begins an answer of events. Its head is sent.
 *
 * retry_seconds: after which a client comes back when the connection broke; 0: the client's own.
 * Returns 0; -EALREADY: there is an answer; -EINVAL, -ENOMEM; or as bide_http_write(). Suspends:
 * yes. Cancel: as bide_http_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_events_begin(bide_http_request *request, double retry_seconds);

/*
 * Sends an event.
 *
 * event: its type; NULL is "message". data: a text, of one or more lines. id: what the client says
 * when it comes back; NULL: none. All are borrowed until return. Returns 0; -EINVAL: no data, a
 * line end in a type or id; -ENOMEM; or as bide_http_write(). Suspends: yes. Cancel: as
 * bide_http_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_event_send(bide_http_request *request, const char *event,
                                     const char *data, const char *id);

/*
 * Sends what no client sees, so that nothing in between takes the connection for a dead one.
 *
 * text: borrowed until return; NULL for none. Returns as bide_http_event_send(). Suspends: yes.
 * Cancel: as bide_http_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_event_comment(bide_http_request *request, const char *text);

/*
 * The id of the last event that a client has seen who comes back: its header field Last-Event-ID.
 * NULL if there is none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_http_last_event_id(const bide_http_request *request);

/* How a feed is told; zeroed fields mean defaults. Times are in seconds. */
struct bide_http_feed_opts {
    const char *event;    /* the events' type; NULL: "message" */
    double retry_seconds; /* as in bide_http_events_begin() */
    double quiet_seconds; /* of silence before a comment; 0: 15 */
    double poll_seconds;  /* how long a poll waits; 0: 25; below 0: not at all */
};

/*
 * Answers with a feed as events, whose ids are its numbers: from behind Last-Event-ID, or the
 * parameter "after", or what is kept, to the end of the feed or of the client.
 *
 * feed, opts: borrowed until return; opts NULL for defaults. Returns 0 when the feed is closed; or
 * as bide_feed_wait_after() and bide_http_write(). Suspends: yes. Cancel: the answer breaks off.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_events_feed(bide_http_request *request, bide_feed *feed,
                                      const struct bide_http_feed_opts *opts);

/*
 * Answers a poll of a feed: what came behind the number in the parameter "after", each item on a
 * line of its own, which is for items without line ends, such as JSON. If there is nothing, it
 * waits. The field Feed-Last is the number to ask with next. Nothing came: 204.
 *
 * feed, opts: borrowed until return; opts NULL for defaults. Returns as bide_feed_wait_after() and
 * bide_http_reply(), 0 when it is answered. Suspends: yes. Cancel: nothing was answered. Thread:
 * loop thread only.
 */
BIDE_EXPORT int bide_http_poll_feed(bide_http_request *request, bide_feed *feed,
                                    const struct bide_http_feed_opts *opts);

/* A client's side: events as they come in an answer. */
typedef struct bide_events bide_events;

/* An event that came. */
struct bide_event_message {
    const char *type; /* "message" if the server said none */
    const char *data; /* its lines, with "\n" between them; a NUL behind its end */
    size_t size;
    const char *id; /* the last one that the server said, "" if none: to come back with */
};

/*
 * Reads events out of an answer.
 *
 * response: borrowed until bide_events_free(). event_bytes: of one event, and of a line; 0: 1 MiB.
 * ret_events: returns owned. Returns 0; -EPROTO: the answer is not 200 of text/event-stream;
 * -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_events_new(bide_http_response *response, size_t event_bytes,
                                bide_events **ret_events);

/*
 * Gives a reader back; the answer stays.
 *
 * events: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_events_free(bide_events *events);

/*
 * Waits for the next event.
 *
 * ret_event: borrowed until the next call. Returns 1; 0 at the end of the answer (what an event
 * lacks its end of is dropped); -BIDE_ELIMIT: an event is too large; -EINVAL, -ENOMEM; or as
 * bide_http_response_read(). Suspends: yes. Cancel: nothing is lost. Thread: loop thread only.
 */
BIDE_EXPORT int bide_events_next(bide_events *events, struct bide_event_message *ret_event);

/*
 * After how many seconds the server wants its clients back; below 0 if it has not said so.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT double bide_events_retry(const bide_events *events);

BIDE_END_DECLARATIONS

#endif
