/* Decoding UTF-8. No byte behind the text is looked at. */
#include "utf8.h"

struct form {
    unsigned char mask, lead;
    uint32_t first; /* the first character that needs this form */
};

static const struct form forms[] = {
    {0x80, 0x00, 0},
    {0xe0, 0xc0, 0x80},
    {0xf0, 0xe0, 0x800},
    {0xf8, 0xf0, 0x10000},
};

enum { N_FORMS = sizeof forms / sizeof *forms };

static bool is_character(uint32_t character)
{
    return character <= 0x10ffff && !(character >= 0xd800 && character <= 0xdfff);
}

size_t utf8_next(const char *text, size_t size, uint32_t *ret_character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = 1;
    while (length <= N_FORMS && (bytes[0] & forms[length - 1].mask) != forms[length - 1].lead)
        length++;
    if (length > N_FORMS || length > size)
        return 0;
    uint32_t character = bytes[0] & (unsigned char)~forms[length - 1].mask;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < forms[length - 1].first || !is_character(character))
        return 0;
    *ret_character = character;
    return length;
}

bool utf8_valid(const char *text, size_t size)
{
    uint32_t character;
    for (size_t length; size > 0; text += length, size -= length) {
        length = utf8_next(text, size, &character);
        if (length == 0)
            return false;
    }
    return true;
}
