/*
 * Feeds.
 *
 * Invariants
 *  - `items` is a ring that holds the numbers from `first` to `last`, without gaps.
 *  - An item goes with its last reference: the feed's, or that of whoever reads it.
 *  - Who waits looks again whenever `news` is set, so that nothing is given to anybody: a cancelled
 * wait can't lose an item.
 */
#include <bide/error.h>
#include <bide/event.h>
#include <bide/feed.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct bide_feed_item shown;
    unsigned refs;
    char data[];
};

struct bide_feed {
    struct bide_feed_opts opts; /* without zeroes */
    struct item **items;        /* item n is at n % capacity */
    size_t capacity;
    uint64_t first, last; /* first > last: empty */
    size_t n_bytes;
    bide_event news;
    unsigned refs; /* the user's, and every call that waits */
    bool is_closed;
};

enum { CAPACITY_MIN = 16 };

int bide_feed_new(const struct bide_feed_opts *opts, bide_feed **ret_feed)
{
    if (!ret_feed)
        return -EINVAL;
    bide_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return -ENOMEM;
    if (opts)
        feed->opts = *opts;
    if (feed->opts.items_max == 0)
        feed->opts.items_max = 1000;
    if (feed->opts.bytes_max == 0)
        feed->opts.bytes_max = (size_t)1 << 20;
    feed->first = 1;
    feed->refs = 1;
    *ret_feed = feed;
    return 0;
}

static struct item **place(const bide_feed *feed, uint64_t sequence)
{
    assert(feed->capacity > 0);
    return &feed->items[sequence % feed->capacity];
}

static size_t n_items(const bide_feed *feed)
{
    return (size_t)(feed->last - feed->first + 1);
}

void bide_feed_item_release(const struct bide_feed_item *shown)
{
    struct item *item = (struct item *)(uintptr_t)shown;
    if (item && --item->refs == 0)
        free(item);
}

static void forget_oldest(bide_feed *feed)
{
    struct item *item = *place(feed, feed->first);
    feed->n_bytes -= item->shown.size;
    feed->first++;
    bide_feed_item_release(&item->shown);
}

static void unref(bide_feed *feed)
{
    if (--feed->refs > 0)
        return;
    while (n_items(feed) > 0)
        forget_oldest(feed);
    free(feed->items);
    free(feed);
}

void bide_feed_free(bide_feed *feed)
{
    if (!feed)
        return;
    bide_feed_close(feed);
    unref(feed);
}

static void tell(bide_feed *feed)
{
    bide_event_set(&feed->news);
    bide_event_clear(&feed->news);
}

void bide_feed_close(bide_feed *feed)
{
    if (!feed || feed->is_closed)
        return;
    feed->is_closed = true;
    tell(feed);
}

/* A place for one item more. */
static int grow(bide_feed *feed)
{
    size_t n = n_items(feed);
    if (n < feed->capacity)
        return 0;
    size_t capacity = n > 0 ? 2 * n : CAPACITY_MIN;
    struct item **items = calloc(capacity, sizeof(struct item *));
    if (!items)
        return -ENOMEM;
    for (uint64_t i = feed->first; i <= feed->last; i++)
        items[i % capacity] = *place(feed, i);
    free(feed->items);
    feed->items = items;
    feed->capacity = capacity;
    return 0;
}

int bide_feed_publish(bide_feed *feed, const void *data, size_t size, uint64_t *ret_sequence)
{
    if (!feed || (!data && size > 0) || size > SIZE_MAX / 2)
        return -EINVAL;
    if (feed->is_closed)
        return -ESHUTDOWN;
    struct item *item = malloc(sizeof *item + size + 1);
    if (!item || grow(feed) < 0) {
        free(item);
        return -ENOMEM;
    }
    if (size > 0)
        memcpy(item->data, data, size);
    item->data[size] = '\0';
    item->refs = 1;
    item->shown = (struct bide_feed_item){++feed->last, item->data, size};
    *place(feed, feed->last) = item;
    feed->n_bytes += size;
    while (n_items(feed) > 1 &&
           (n_items(feed) > feed->opts.items_max || feed->n_bytes > feed->opts.bytes_max))
        forget_oldest(feed);
    if (ret_sequence)
        *ret_sequence = feed->last;
    tell(feed);
    return 0;
}

/* 1, 0: there is none yet; -ESHUTDOWN: there will be none. */
static int look(const bide_feed *feed, uint64_t sequence, const struct bide_feed_item **ret_item)
{
    uint64_t wanted = sequence > feed->last ? 1 : sequence + 1;
    if (wanted > feed->last)
        return feed->is_closed ? -ESHUTDOWN : 0;
    struct item *item = *place(feed, wanted > feed->first ? wanted : feed->first);
    item->refs++;
    *ret_item = &item->shown;
    return 1;
}

static int wait_for_news(bide_feed *feed, uint64_t sequence, const struct bide_feed_item **ret_item)
{
    for (;;) {
        int rc = bide_event_wait(&feed->news);
        if (rc == 0)
            rc = look(feed, sequence, ret_item);
        if (rc != 0)
            return rc;
    }
}

int bide_feed_wait_after(bide_feed *feed, uint64_t sequence, double seconds,
                         const struct bide_feed_item **ret_item)
{
    if (!feed || !ret_item || !(seconds >= 0))
        return -EINVAL;
    if (!bide_current_task())
        return -BIDE_ENOTASK;
    int rc = look(feed, sequence, ret_item);
    if (rc != 0 || seconds == 0)
        return rc;
    feed->refs++;
    if (isinf(seconds)) {
        rc = wait_for_news(feed, sequence, ret_item);
    } else {
        double deadline = bide_time() + seconds;
        rc = bide_until(deadline, wait_for_news(feed, sequence, ret_item));
        if (rc == -ETIMEDOUT)
            rc = 0;
    }
    unref(feed);
    return rc;
}

uint64_t bide_feed_last(const bide_feed *feed)
{
    return feed ? feed->last : 0;
}
