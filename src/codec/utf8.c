/* UTF-8; see utf8.h. */
#include "codec/utf8.h"

#include <stdbool.h>

/* How many bytes a character that begins like this has, and what its second byte may be. */
struct lead {
    unsigned char first, last;
    unsigned char length;
    unsigned char second_min, second_max;
};

static const struct lead leads[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

enum { N_LEADS = sizeof leads / sizeof *leads };

static const struct lead *find_lead(unsigned char byte)
{
    for (size_t i = 0; i < N_LEADS; i++)
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    return NULL;
}

static bool goes_on(const struct lead *lead, size_t i, unsigned char byte)
{
    if (i == 1)
        return byte >= lead->second_min && byte <= lead->second_max;
    return (byte & 0xc0) == 0x80;
}

size_t bide__utf8_decode(const char *text, size_t size, uint32_t *ret_character)
{
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *bytes = (const unsigned char *)text;
    const struct lead *lead = find_lead(bytes[0]);
    *ret_character = BIDE__UTF8_REPLACEMENT;
    if (!lead)
        return 1;
    uint32_t character = bytes[0] & lead_bits[lead->length];
    for (size_t i = 1; i < lead->length; i++) {
        if (i == size)
            return 0;
        if (!goes_on(lead, i, bytes[i]))
            return i;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    *ret_character = character;
    return lead->length;
}

size_t bide__utf8_encode(uint32_t character, char *buffer)
{
    if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        character = BIDE__UTF8_REPLACEMENT;
    if (character < 0x80) {
        buffer[0] = (char)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        buffer[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    buffer[0] = (char)(0xf00 >> length | character);
    return length;
}
