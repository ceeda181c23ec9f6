/*
 * A text that grows as it is written.
 *
 * Invariant: after the first failure nothing more is added, and whoever asks at the end learns of
 * it; so that writers need not look at each step.
 */
#ifndef BIDE_HTTP_TEXT_H
#define BIDE_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct bide__http_text {
    char *data;
    size_t size;
    size_t capacity;
    bool has_failed; /* no memory */
};

/* Room for `size` more bytes, or NULL. */
char *bide__http_text_room(struct bide__http_text *text, size_t size);
void bide__http_text_add(struct bide__http_text *text, const void *data, size_t size);
void bide__http_text_say(struct bide__http_text *text, const char *words);
void bide__http_text_number(struct bide__http_text *text, unsigned long long number);
void bide__http_text_print(struct bide__http_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "Basic" credentials: base64 of "user:password". */
void bide__http_text_base64(struct bide__http_text *text, const void *data, size_t size);
void bide__http_text_fini(struct bide__http_text *text);

#endif
