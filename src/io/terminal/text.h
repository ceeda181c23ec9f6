/* Text that grows. Invariant: whatever fails for want of memory has changed nothing. */
#ifndef BIDE_IO_TEXT_H
#define BIDE_IO_TEXT_H

#include <stddef.h>

/* Zeroed: empty. */
struct bide__text {
    char *data; /* NULL while nothing was ever in it; otherwise there is room for a NUL behind */
    size_t size;
    size_t capacity;
};

void bide__text_fini(struct bide__text *text);

/* Room for `size` bytes more, and a NUL. 0 or -ENOMEM. */
int bide__text_reserve(struct bide__text *text, size_t size);

/* Puts bytes in the place of those from `from` to `to`. 0 or -ENOMEM. */
int bide__text_replace(struct bide__text *text, size_t from, size_t to, const char *data,
                       size_t size);

/* At the end. 0 or -ENOMEM. */
int bide__text_add(struct bide__text *text, const char *data, size_t size);

/* Terminates it with a NUL that does not count; needs that something was reserved before. */
static inline char *bide__text_string(struct bide__text *text)
{
    text->data[text->size] = '\0';
    return text->data;
}

#endif
