/* UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BIDE_CLI_UTF8_H
#define BIDE_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character that the text of `size` > 0 bytes begins with: its length, 0 if it is
 * invalid or incomplete. */
size_t utf8_next(const char *text, size_t size, uint32_t *ret_character);

/* Whether all of the text is valid; it may contain U+0000. */
bool utf8_valid(const char *text, size_t size);

#endif
