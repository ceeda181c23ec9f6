/*
 * Event streams (HTML, "server-sent events"), from bytes to lines and fields, and back. Pure.
 *
 * Invariant: a line ends with CR LF, LF or CR, however they were split: the LF of a CR LF is no
 * line of its own.
 */
#ifndef BIDE_CODEC_EVENTS_H
#define BIDE_CODEC_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

enum bide__event_field {
    BIDE__EVENT_END, /* an empty line: the event is whole */
    BIDE__EVENT_TYPE,
    BIDE__EVENT_DATA,
    BIDE__EVENT_ID,
    BIDE__EVENT_RETRY,
    BIDE__EVENT_OTHER, /* comments, and what nobody knows */
};

/* What a line says; its value is behind `ret_value`, within the line. */
enum bide__event_field bide__event_field(const char *line, size_t size, const char **ret_value);

/* How many bytes of the text are its first line; `*ret_end` is what ends it, 0 if that is still to
 * come. A CR at the very end counts as an end; `*after_cr` then has the next call skip an LF. */
size_t bide__event_line(const char *text, size_t size, bool *after_cr, size_t *ret_begin,
                        size_t *ret_end);

/* Writes a text as lines "name: …", as long as there is `to`; NULL only counts. Returns the size.
 */
size_t bide__event_write(char *to, const char *name, const char *text);

#endif
