/*
 * The feed of the demonstration.
 *
 * Nothing here suspends but feed_wait(): an entry is whole whenever another task looks at it, and
 * valid JSON in valid UTF-8 whatever clients send.
 */
#include "serve_feed.h"
#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int feed_init(struct feed *feed)
{
    *feed = (struct feed){.messages = calloc(FEED_ENTRIES, sizeof *feed->messages),
                          .last = (uint64_t)time(NULL) * 1000};
    return feed->messages ? 0 : -ENOMEM;
}

void feed_fini(struct feed *feed)
{
    free(feed->messages);
    feed->messages = NULL;
}

/* What waits now goes on, what waits later waits for the next time. */
static void wake(struct feed *feed)
{
    bide_event_set(&feed->changed);
    bide_event_clear(&feed->changed);
}

/* U+0080 to U+009F are control characters, too. */
static bool is_plain(const char *text, size_t size)
{
    uint32_t character;
    for (size_t i = 0, n; i < size; i += n) {
        n = utf8_next(text + i, size - i, &character);
        if (n == 0 || character < ' ' || (character >= 0x7f && character < 0xa0))
            return false;
    }
    return true;
}

static int check(const char *what, const char *text, size_t size, size_t size_max)
{
    if (size == 0)
        return bide_fail(-EINVAL, "no %s", what);
    if (size > size_max)
        return bide_fail(-EINVAL, "the %s is longer than %zu bytes", what, size_max);
    if (!is_plain(text, size))
        return bide_fail(-EINVAL, "the %s is not UTF-8 without control characters", what);
    return 0;
}

/* `text` is plain, so that these two characters are all that a JSON text cannot have. The buffer
 * is twice as large as the text, and one. */
static void escape(const char *text, size_t size, char *buffer)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *buffer++ = '\\';
        *buffer++ = text[i];
    }
    *buffer = '\0';
}

int feed_post(struct feed *feed, const char *name, const char *text, size_t size)
{
    int rc = check("name", name, strlen(name), FEED_NAME_BYTES);
    if (rc == 0)
        rc = check("text", text, size, FEED_TEXT_BYTES);
    if (rc < 0)
        return rc;
    char safe_name[2 * FEED_NAME_BYTES + 1], safe_text[2 * FEED_TEXT_BYTES + 1];
    escape(name, strlen(name), safe_name);
    escape(text, size, safe_text);
    struct feed_entry *entry = &feed->messages[feed->n_messages++ % FEED_ENTRIES];
    entry->id = ++feed->last;
    snprintf(entry->json, sizeof entry->json,
             "{\"id\": %" PRIu64 ", \"type\": \"message\", \"name\": \"%s\", \"text\": \"%s\"}",
             entry->id, safe_name, safe_text);
    wake(feed);
    return 0;
}

static void count_users(struct feed *feed)
{
    struct feed_entry *entry = &feed->users;
    entry->id = ++feed->last;
    snprintf(entry->json, sizeof entry->json,
             "{\"id\": %" PRIu64 ", \"type\": \"users\", \"count\": %u}", entry->id, feed->n_users);
    wake(feed);
}

void feed_enter(struct feed *feed)
{
    feed->n_users++;
    count_users(feed);
}

void feed_leave(struct feed *feed)
{
    feed->n_users--;
    count_users(feed);
}

void feed_close(struct feed *feed)
{
    feed->is_closed = true;
    wake(feed);
}

int feed_wait(struct feed *feed, uint64_t after)
{
    while (!feed->is_closed && !feed_next(feed, after)) {
        int rc = bide_event_wait(&feed->changed);
        if (rc < 0)
            return rc;
    }
    return feed->is_closed ? -ESHUTDOWN : 0;
}

const struct feed_entry *feed_next(const struct feed *feed, uint64_t after)
{
    const struct feed_entry *next = NULL;
    if (after > feed->last)
        after = 0;
    uint64_t i = feed->n_messages > FEED_ENTRIES ? feed->n_messages - FEED_ENTRIES : 0;
    for (; i < feed->n_messages && !next; i++)
        if (feed->messages[i % FEED_ENTRIES].id > after)
            next = &feed->messages[i % FEED_ENTRIES];
    if (feed->users.id > after && (!next || feed->users.id < next->id))
        next = &feed->users;
    return next;
}
