/* Whether a text is UTF-8, as its pieces come; see utf8.h. Stretches of ASCII are skipped sixteen
 * bytes at a time where the processor can, by SSE2 or NEON. */
#include "codec/utf8.h"

#include <string.h>

#if defined __SSE2__
#include <emmintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

/* The first byte of a character of more than one; whether it may be that. */
static bool begin(struct bide__utf8_check *check, uint8_t byte)
{
    check->min = 0x80;
    check->max = 0xbf;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    check->n_missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte == 0xe0)
        check->min = 0xa0; /* shorter forms exist below */
    else if (byte == 0xed)
        check->max = 0x9f; /* surrogates above */
    else if (byte == 0xf0)
        check->min = 0x90;
    else if (byte == 0xf4)
        check->max = 0x8f; /* U+10FFFF is the last */
    return true;
}

static bool step(struct bide__utf8_check *check, uint8_t byte)
{
    if (check->n_missing == 0)
        return byte < 0x80 || begin(check, byte);
    if (byte < check->min || byte > check->max)
        return false;
    check->n_missing--;
    check->min = 0x80;
    check->max = 0xbf;
    return true;
}

size_t bide__utf8_check_plain(struct bide__utf8_check *check, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!step(check, (uint8_t)text[i]))
            return i;
    return size;
}

#if defined __SSE2__ || defined __aarch64__

enum { STEP = 16 };

static bool is_ascii(const char *text)
{
#if defined __SSE2__
    return _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)text)) == 0;
#else
    return vmaxvq_u8(vld1q_u8((const uint8_t *)text)) < 0x80;
#endif
}

size_t bide__utf8_check(struct bide__utf8_check *check, const char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        if (check->n_missing == 0)
            while (size - i >= STEP && is_ascii(text + i))
                i += STEP;
        size_t n = size - i < STEP ? size - i : STEP;
        size_t good = bide__utf8_check_plain(check, text + i, n);
        i += good;
        if (good < n)
            break;
    }
    return i;
}

#else

size_t bide__utf8_check(struct bide__utf8_check *check, const char *text, size_t size)
{
    return bide__utf8_check_plain(check, text, size);
}

#endif
