/* Text that grows; see text.h. */
#include "io/terminal/text.h"

#include "base/grow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

void bide__text_fini(struct bide__text *text)
{
    free(text->data);
    *text = (struct bide__text){0};
}

int bide__text_reserve(struct bide__text *text, size_t size)
{
    return bide__grow(&text->data, &text->capacity, text->size + size + 1, CAPACITY_MIN);
}

int bide__text_replace(struct bide__text *text, size_t from, size_t to, const char *data,
                       size_t size)
{
    int rc = bide__text_reserve(text, size);
    if (rc < 0)
        return rc;
    memmove(text->data + from + size, text->data + to, text->size - to);
    if (size > 0)
        memcpy(text->data + from, data, size);
    text->size += size - (to - from);
    return 0;
}

int bide__text_add(struct bide__text *text, const char *data, size_t size)
{
    return bide__text_replace(text, text->size, text->size, data, size);
}
