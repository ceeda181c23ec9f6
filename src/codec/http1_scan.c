/* See http1_scan.h. Sixteen bytes at a time where the processor can, by SSE2 or NEON. */
#include "codec/http1_scan.h"

#if defined __SSE2__
#include <emmintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

/* clang-format off */
const uint8_t bide__http1_token[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
};
/* clang-format on */

static bool is_value(char c)
{
    uint8_t byte = (uint8_t)c;
    return (byte >= ' ' && byte != 127) || byte == '\t';
}

static bool is_visible(char c)
{
    return c > ' ' && c < 127;
}

const char *bide__http1_scan_value_plain(const char *at, const char *end)
{
    while (at < end && is_value(*at))
        at++;
    return at;
}

const char *bide__http1_scan_visible_plain(const char *at, const char *end)
{
    while (at < end && is_visible(*at))
        at++;
    return at;
}

#if defined __SSE2__

enum { STEP = 16 };

static const char *first_of(const char *at, int mask)
{
    return at + __builtin_ctz((unsigned)mask);
}

/* Unsigned comparison: what is above the limit, the subtraction that stops at 0 leaves. */
static __m128i is_at_most(__m128i bytes, char limit)
{
    return _mm_cmpeq_epi8(_mm_subs_epu8(bytes, _mm_set1_epi8(limit)), _mm_setzero_si128());
}

const char *bide__http1_scan_value(const char *at, const char *end)
{
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i delete = _mm_set1_epi8(127);
    const char *begin = at;
    for (; at < end; at += STEP) {
        if (end - at < STEP && end - begin < STEP)
            break;
        at = end - at < STEP ? end - STEP : at; /* some of it once more */
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i controls = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), is_at_most(bytes, 31));
        int mask = _mm_movemask_epi8(_mm_or_si128(controls, _mm_cmpeq_epi8(bytes, delete)));
        if (mask != 0)
            return first_of(at, mask);
    }
    return bide__http1_scan_value_plain(at, end);
}

/* Bytes above 127 are negative, and so below. */
const char *bide__http1_scan_visible(const char *at, const char *end)
{
    const __m128i delete = _mm_set1_epi8(127);
    const __m128i first = _mm_set1_epi8('!');
    const char *begin = at;
    for (; at < end; at += STEP) {
        if (end - at < STEP && end - begin < STEP)
            break;
        at = end - at < STEP ? end - STEP : at; /* some of it once more */
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i below = _mm_cmplt_epi8(bytes, first);
        int mask = _mm_movemask_epi8(_mm_or_si128(below, _mm_cmpeq_epi8(bytes, delete)));
        if (mask != 0)
            return first_of(at, mask);
    }
    return bide__http1_scan_visible_plain(at, end);
}

#elif defined __aarch64__

enum { STEP = 16 };

const char *bide__http1_scan_value(const char *at, const char *end)
{
    const char *begin = at;
    for (; at < end; at += STEP) {
        if (end - at < STEP && end - begin < STEP)
            break;
        at = end - at < STEP ? end - STEP : at; /* some of it once more */
        uint8x16_t bytes = vld1q_u8((const uint8_t *)at);
        uint8x16_t controls = vbicq_u8(vcltq_u8(bytes, vdupq_n_u8(' ')),
                                       vceqq_u8(bytes, vdupq_n_u8('\t')));
        uint8x16_t wrong = vorrq_u8(controls, vceqq_u8(bytes, vdupq_n_u8(127)));
        if (vmaxvq_u8(wrong) != 0)
            break;
    }
    return bide__http1_scan_value_plain(at, end);
}

const char *bide__http1_scan_visible(const char *at, const char *end)
{
    const char *begin = at;
    for (; at < end; at += STEP) {
        if (end - at < STEP && end - begin < STEP)
            break;
        at = end - at < STEP ? end - STEP : at; /* some of it once more */
        uint8x16_t bytes = vld1q_u8((const uint8_t *)at);
        uint8x16_t wrong = vcgeq_u8(vsubq_u8(bytes, vdupq_n_u8('!')), vdupq_n_u8(127 - '!'));
        if (vmaxvq_u8(wrong) != 0)
            break;
    }
    return bide__http1_scan_visible_plain(at, end);
}

#else

const char *bide__http1_scan_value(const char *at, const char *end)
{
    return bide__http1_scan_value_plain(at, end);
}

const char *bide__http1_scan_visible(const char *at, const char *end)
{
    return bide__http1_scan_visible_plain(at, end);
}

#endif
