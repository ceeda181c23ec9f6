/* Texts that grow; see text.h. */
#include "http/text.h"

#include "base/grow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MIN = 512 };

char *bide__http_text_room(struct bide__http_text *text, size_t size)
{
    if (text->has_failed)
        return NULL;
    int rc = bide__grow(&text->data, &text->capacity, text->size + size, TEXT_BYTES_MIN);
    text->has_failed = rc < 0;
    return rc < 0 ? NULL : text->data + text->size;
}

void bide__http_text_add(struct bide__http_text *text, const void *data, size_t size)
{
    char *to = bide__http_text_room(text, size);
    if (!to || size == 0)
        return;
    memcpy(to, data, size);
    text->size += size;
}

void bide__http_text_say(struct bide__http_text *text, const char *words)
{
    bide__http_text_add(text, words, strlen(words));
}

void bide__http_text_number(struct bide__http_text *text, unsigned long long number)
{
    char digits[20];
    char *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    bide__http_text_add(text, at, (size_t)(digits + sizeof digits - at));
}

void bide__http_text_print(struct bide__http_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *to = bide__http_text_room(text, (size_t)n + 1);
    if (!to)
        return;
    va_start(arguments, format);
    vsnprintf(to, (size_t)n + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)n;
}

void bide__http_text_base64(struct bide__http_text *text, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = data;
    char *to = bide__http_text_room(text, (size + 2) / 3 * 4);
    if (!to)
        return;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        unsigned bits = (unsigned)from[i] << 16;
        bits |= n > 1 ? (unsigned)from[i + 1] << 8 : 0;
        bits |= n > 2 ? from[i + 2] : 0;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = n > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = n > 2 ? digits[bits & 63] : '=';
    }
    text->size += (size + 2) / 3 * 4;
}

void bide__http_text_fini(struct bide__http_text *text)
{
    free(text->data);
    *text = (struct bide__http_text){0};
}
