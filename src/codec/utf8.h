/*
 * UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Invariant: every byte belongs to exactly one character. What is invalid counts as U+FFFD, one for
 * each longest beginning of a character that it holds, as Unicode recommends.
 */
#ifndef BIDE_CODEC_UTF8_H
#define BIDE_CODEC_UTF8_H

#include <bide/attributes.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BIDE__UTF8_REPLACEMENT = 0xfffd, BIDE__UTF8_BYTES_MAX = 4 };

/* The character that the text of `size` > 0 bytes begins with: how many bytes it has; 0 if they are
 * the beginning of one that goes on behind the text. */
size_t bide__utf8_decode(const char *text, size_t size, uint32_t *ret_character);

/* Writes the character into a buffer of BIDE__UTF8_BYTES_MAX bytes; what is none becomes U+FFFD.
 * Returns its length. */
size_t bide__utf8_encode(uint32_t character, char *buffer);

/* A text that comes in pieces, as far as it was checked. Zeroed: nothing of it. */
struct bide__utf8_check {
    uint8_t n_missing; /* bytes that the character lacks */
    uint8_t min, max;  /* what the next one may be */
};

/*
 * Goes on checking. Returns the place of the first byte that cannot be there, or `size`. The plain
 * form and the one for this processor answer alike.
 */
size_t bide__utf8_check_plain(struct bide__utf8_check *check, const char *text, size_t size);
BIDE_EXPORT size_t bide__utf8_check(struct bide__utf8_check *check, const char *text, size_t size);

/* Whether the text may end here. */
static inline bool bide__utf8_check_is_whole(const struct bide__utf8_check *check)
{
    return check->n_missing == 0;
}

#endif
