/*
 * Events out of an answer.
 *
 * Invariant: `in` holds, from `begin`, what came and is not taken: lines that are not whole. What
 * an event has so far is in `data`, `type` and `new_id`, so that a call that was cancelled goes on
 * where it stopped.
 */
#include "codec/events.h"
#include "http/text.h"

#include <bide/error.h>
#include <bide/http_events.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { READ_BYTES = 4096, EVENT_BYTES = 1024 * 1024 };

struct bide_events {
    bide_http_response *response;
    size_t bytes_max;
    struct bide__http_text in;
    size_t begin;
    bool after_cr;
    bool has_begun; /* past the place of a byte order mark */
    bool was_told;  /* what stands below is the event before */
    struct bide__http_text data, type, id;
    double retry;
};

int bide_events_new(bide_http_response *response, size_t event_bytes, bide_events **ret_events)
{
    static const char media[] = "text/event-stream";
    if (!response || !ret_events)
        return -EINVAL;
    const char *type = bide_http_response_header(response, "content-type");
    int status = bide_http_response_status(response);
    if (status != 200)
        return bide_fail(-EPROTO, "the server answered %d", status);
    if (!type || strncasecmp(type, media, strlen(media)) != 0)
        return bide_fail(-EPROTO, "the answer is %s", type ? type : "of no type");
    bide_events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->response = response;
    events->bytes_max = event_bytes > 0 ? event_bytes : EVENT_BYTES;
    events->retry = -1;
    *ret_events = events;
    return 0;
}

void bide_events_free(bide_events *events)
{
    if (!events)
        return;
    bide__http_text_fini(&events->in);
    bide__http_text_fini(&events->data);
    bide__http_text_fini(&events->type);
    bide__http_text_fini(&events->id);
    free(events);
}

double bide_events_retry(const bide_events *events)
{
    return events ? events->retry : -1;
}

static void set(struct bide__http_text *text, const char *value, size_t size)
{
    text->size = 0;
    bide__http_text_add(text, value, size);
}

static void set_retry(bide_events *events, const char *value, size_t size)
{
    double ms = 0;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        ms = 10 * ms + (value[i] - '0');
    }
    if (size > 0)
        events->retry = ms / 1000;
}

/* Whether the event is whole with this line. Without data there is none. */
static bool take_line(bide_events *events, const char *line, size_t size)
{
    const char *value;
    enum bide__event_field field = bide__event_field(line, size, &value);
    size -= (size_t)(value - line);
    switch (field) {
    case BIDE__EVENT_END:
        if (events->data.size > 0)
            return true;
        events->type.size = 0;
        return false;
    case BIDE__EVENT_TYPE:
        set(&events->type, value, size);
        return false;
    case BIDE__EVENT_DATA:
        bide__http_text_add(&events->data, value, size);
        bide__http_text_add(&events->data, "\n", 1);
        return false;
    case BIDE__EVENT_ID:
        if (!memchr(value, '\0', size))
            set(&events->id, value, size);
        return false;
    case BIDE__EVENT_RETRY:
        set_retry(events, value, size);
        return false;
    case BIDE__EVENT_OTHER:
        return false;
    }
    return false;
}

static void skip_mark(bide_events *events)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t size = events->in.size < 3 ? events->in.size : 3;
    if (events->has_begun || memcmp(events->in.data, mark, size) != 0) {
        events->has_begun = true;
    } else if (size == 3) {
        events->begin = 3;
        events->has_begun = true;
    }
}

/* Lines that are there: 1: an event is whole; 0: more must come; or an error. */
static int take_lines(bide_events *events)
{
    skip_mark(events);
    while (events->has_begun && events->begin < events->in.size) {
        size_t begin, end;
        const char *text = events->in.data + events->begin;
        size_t size = bide__event_line(text, events->in.size - events->begin, &events->after_cr,
                                       &begin, &end);
        events->begin += begin;
        if (size > events->bytes_max || events->data.size > events->bytes_max)
            return -BIDE_ELIMIT;
        if (end == 0)
            return 0;
        events->begin += size + end;
        if (take_line(events, text + begin, size))
            return 1;
    }
    return 0;
}

static int read_more(bide_events *events)
{
    struct bide__http_text *in = &events->in;
    if (events->begin > 0) {
        memmove(in->data, in->data + events->begin, in->size - events->begin);
        in->size -= events->begin;
        events->begin = 0;
    }
    char *room = bide__http_text_room(in, READ_BYTES);
    if (!room)
        return -ENOMEM;
    int rc = bide_http_response_read(events->response, room, READ_BYTES);
    if (rc > 0)
        in->size += (size_t)rc;
    return rc;
}

static int tell(bide_events *events, struct bide_event_message *ret_event)
{
    size_t type_size = events->type.size;
    events->data.data[events->data.size - 1] = '\0';
    bide__http_text_add(&events->type, "", 1);
    bide__http_text_add(&events->id, "", 1);
    if (events->data.has_failed || events->type.has_failed || events->id.has_failed)
        return -ENOMEM;
    events->id.size--;
    events->was_told = true;
    *ret_event = (struct bide_event_message){.type = type_size > 0 ? events->type.data : "message",
                                             .data = events->data.data,
                                             .size = events->data.size - 1,
                                             .id = events->id.data};
    return 1;
}

int bide_events_next(bide_events *events, struct bide_event_message *ret_event)
{
    if (!events || !ret_event)
        return -EINVAL;
    if (events->was_told) {
        events->was_told = false;
        events->data.size = 0;
        events->type.size = 0;
    }
    for (;;) {
        int rc = events->in.size > 0 ? take_lines(events) : 0;
        if (rc > 0)
            return tell(events, ret_event);
        if (rc == 0)
            rc = read_more(events);
        if (rc <= 0)
            return rc;
    }
}
