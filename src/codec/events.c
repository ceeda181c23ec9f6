/* Event streams; see events.h. */
#include "codec/events.h"

#include <string.h>

enum bide__event_field bide__event_field(const char *line, size_t size, const char **ret_value)
{
    static const struct {
        const char *name;
        enum bide__event_field field;
    } fields[] = {{"event", BIDE__EVENT_TYPE},
                  {"data", BIDE__EVENT_DATA},
                  {"id", BIDE__EVENT_ID},
                  {"retry", BIDE__EVENT_RETRY}};
    *ret_value = line + size;
    if (size == 0)
        return BIDE__EVENT_END;
    const char *colon = memchr(line, ':', size);
    size_t name_size = colon ? (size_t)(colon - line) : size;
    if (colon)
        *ret_value = colon + 1;
    if (colon && name_size + 1 < size && colon[1] == ' ')
        ++*ret_value;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strlen(fields[i].name) == name_size && memcmp(line, fields[i].name, name_size) == 0)
            return fields[i].field;
    return BIDE__EVENT_OTHER;
}

size_t bide__event_line(const char *text, size_t size, bool *after_cr, size_t *ret_begin,
                        size_t *ret_end)
{
    size_t at = 0;
    if (size > 0 && *after_cr) {
        at = *text == '\n';
        *after_cr = false;
    }
    *ret_begin = at;
    *ret_end = 0;
    while (at < size && text[at] != '\n' && text[at] != '\r')
        at++;
    if (at < size) {
        *ret_end = 1;
        if (text[at] == '\r' && at + 1 < size && text[at + 1] == '\n')
            *ret_end = 2;
        else
            *after_cr = text[at] == '\r' && at + 1 == size;
    }
    return at - *ret_begin;
}

static size_t put(char *to, size_t at, const char *text, size_t size)
{
    if (to)
        memcpy(to + at, text, size);
    return at + size;
}

size_t bide__event_write(char *to, const char *name, const char *text)
{
    size_t n = 0;
    for (;;) {
        size_t size = strcspn(text, "\r\n");
        n = put(to, n, name, strlen(name));
        n = put(to, n, ": ", 2);
        n = put(to, n, text, size);
        n = put(to, n, "\n", 1);
        text += size;
        if (*text == '\0')
            return n;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : 1;
    }
}
