/* Columns and clusters; see width.h. */
#include "codec/width.h"

#include <locale.h>
#include <pthread.h>
#include <stdbool.h>
#include <wchar.h>

#include "codec/utf8.h"

enum {
    ZERO_WIDTH_JOINER = 0x200d,
    MODIFIER_FIRST = 0x1f3fb, /* colours of skin */
    MODIFIER_LAST = 0x1f3ff,
    REGION_FIRST = 0x1f1e6, /* letters of which two are a flag */
    REGION_LAST = 0x1f1ff,
};

/* Made once for the process and never changed; (locale_t)0 where the system has no such locale. */
static locale_t utf8_locale;
static pthread_once_t utf8_locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

unsigned bide__width(uint32_t character)
{
    if (character < 0x300) /* Latin, and what the C library is not asked about */
        return character == 0xad ? 0 : 1;
    pthread_once(&utf8_locale_once, make_locale);
    if (!utf8_locale)
        return 1;
    locale_t before = uselocale(utf8_locale);
    int width = wcwidth((wchar_t)character);
    uselocale(before);
    return width < 0 ? 1 : (unsigned)width;
}

unsigned bide__text_width(const char *text, size_t size)
{
    unsigned width = 0;
    uint32_t character;
    for (size_t at = 0, length; at < size; at += length) {
        length = bide__utf8_decode(text + at, size - at, &character);
        if (length == 0)
            length = size - at;
        width += bide__width(character);
    }
    return width;
}

static bool is_region(uint32_t character)
{
    return character >= REGION_FIRST && character <= REGION_LAST;
}

static bool combines(uint32_t character)
{
    return character == ZERO_WIDTH_JOINER ||
           (character >= MODIFIER_FIRST && character <= MODIFIER_LAST) ||
           (character >= 0x300 && bide__width(character) == 0);
}

static size_t decode(const char *text, size_t size, size_t at, uint32_t *ret_character)
{
    size_t length = bide__utf8_decode(text + at, size - at, ret_character);
    return length > 0 ? length : size - at;
}

size_t bide__cluster_end(const char *text, size_t size, size_t at)
{
    uint32_t character, next;
    size_t end = at + decode(text, size, at, &character);
    bool flag = is_region(character);
    if (character < 0x20)
        return end;
    while (end < size) {
        size_t length = decode(text, size, end, &next);
        bool half_flag = flag && is_region(next);
        if (!combines(next) && character != ZERO_WIDTH_JOINER && !half_flag)
            break;
        if (next < 0x20)
            break;
        flag = false;
        character = next;
        end += length;
    }
    return end;
}

size_t bide__cluster_begin(const char *text, size_t size, size_t at)
{
    size_t begin = 0;
    for (;;) {
        size_t end = bide__cluster_end(text, size, begin);
        if (end >= at)
            return begin;
        begin = end;
    }
}
