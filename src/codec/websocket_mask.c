/* Masking: sixteen bytes at a time where the processor can, by SSE2 or NEON. See websocket.h. */
#include "codec/websocket.h"

#include <string.h>

#if defined __SSE2__
#include <emmintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

void bide__ws_mask_plain(char *to, const char *from, size_t size, const uint8_t mask[4],
                         size_t offset)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (char)((uint8_t)from[i] ^ mask[(offset + i) & 3]);
}

#if defined __SSE2__ || defined __aarch64__

enum { STEP = 16 };

static void mask_step(char *to, const char *from, const uint8_t keys[STEP])
{
#if defined __SSE2__
    __m128i key = _mm_loadu_si128((const __m128i *)(const void *)keys);
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_xor_si128(bytes, key));
#else
    vst1q_u8((uint8_t *)to, veorq_u8(vld1q_u8((const uint8_t *)from), vld1q_u8(keys)));
#endif
}

void bide__ws_mask(char *to, const char *from, size_t size, const uint8_t mask[4], size_t offset)
{
    uint8_t keys[STEP];
    size_t done = 0;
    for (size_t i = 0; i < STEP; i++)
        keys[i] = mask[(offset + i) & 3];
    for (; size - done >= STEP; done += STEP)
        mask_step(to + done, from + done, keys);
    bide__ws_mask_plain(to + done, from + done, size - done, mask, offset + done);
}

#else

void bide__ws_mask(char *to, const char *from, size_t size, const uint8_t mask[4], size_t offset)
{
    bide__ws_mask_plain(to, from, size, mask, offset);
}

#endif
