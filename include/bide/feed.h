/*
 * A feed: news with numbers, of which the last ones are kept, and any number of tasks that wait for
 * what comes behind the number that they know. Polling, long polling, server-sent events and
 * WebSocket are ways to tell the same feed. Part of the library `bide-http`.
 *
 *     uint64_t known = 0;
 *     const struct bide_feed_item *item;
 *     while ((rc = bide_feed_wait_after(feed, known, INFINITY, &item)) > 0) {
 *         known = item->sequence;
 *         rc = bide_websocket_send(ws, BIDE_WEBSOCKET_TEXT, item->data, item->size);
 *         bide_feed_item_release(item);
 *         …
 *     }
 */
#ifndef BIDE_FEED_H
#define BIDE_FEED_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A feed; of one loop. */
typedef struct bide_feed bide_feed;

/* How much a feed keeps; zeroed fields mean defaults. */
struct bide_feed_opts {
    size_t items_max; /* 0: 1,000 */
    size_t bytes_max; /* of all of them together; the last one stays anyway. 0: 1 MiB */
};

/* One piece of news. */
struct bide_feed_item {
    uint64_t sequence; /* 1 and up, without gaps */
    const char *data;  /* with a NUL behind its end, that is not part of it */
    size_t size;
};

/*
 * Makes an empty feed.
 *
 * opts: borrowed until return; NULL for defaults. ret_feed: returns owned, to be given back with
 * bide_feed_free(). Returns 0, -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_feed_new(const struct bide_feed_opts *opts, bide_feed **ret_feed);

/*
 * Closes a feed and gives it back; items that somebody holds stay.
 *
 * feed: takes; NULL is allowed.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_feed_free(bide_feed *feed);

/*
 * Publishes news: all who wait are told.
 *
 * data: size bytes, copied. ret_sequence: its number; may be NULL. Returns 0; -ESHUTDOWN: it is
 * closed; -EINVAL, -ENOMEM.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_feed_publish(bide_feed *feed, const void *data, size_t size,
                                  uint64_t *ret_sequence);

/*
 * Waits for the first item behind a number; not at all if it is there. If items in between are not
 * kept any more, that is the oldest one there is. A number that was never given, because it is from
 * before the program began anew, counts as 0.
 *
 * sequence: the last that is known; 0: none. seconds: how long; 0: only looks. ret_item: returns
 * owned, to be given back with bide_feed_item_release(). Returns 1; 0: nothing came in that time;
 * -ESHUTDOWN: it is closed, and there is nothing more; -ECANCELED, -EINVAL, -ENOMEM, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: nothing is lost. Thread: loop thread only.
 */
BIDE_EXPORT int bide_feed_wait_after(bide_feed *feed, uint64_t sequence, double seconds,
                                     const struct bide_feed_item **ret_item);

/*
 * Gives an item back. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_feed_item_release(const struct bide_feed_item *item);

/*
 * The number of the last item; 0 if there was none.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT uint64_t bide_feed_last(const bide_feed *feed);

/*
 * Ends a feed: nothing more is published, and who waits behind the last item is told.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_feed_close(bide_feed *feed);

BIDE_END_DECLARATIONS

#endif
