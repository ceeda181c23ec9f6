/*
 * How text stands on a terminal: how many columns a character takes, and which characters belong
 * together. Why it asks the C library is in docs/decisions/terminal.md.
 */
#ifndef BIDE_CODEC_WIDTH_H
#define BIDE_CODEC_WIDTH_H

#include <stddef.h>
#include <stdint.h>

/* Columns: 0 of what stands on the character before it, 2 of wide ones, otherwise 1. Control
 * characters, which nobody should show as they are, count as 1. */
unsigned bide__width(uint32_t character);

/* Columns of a text. */
unsigned bide__text_width(const char *text, size_t size);

/*
 * The end of the cluster that begins at `at` < size: a character with what combines with it, joined
 * emoji, a flag's two letters. The text is valid UTF-8.
 */
size_t bide__cluster_end(const char *text, size_t size, size_t at);
/* The beginning of the cluster that ends at `at` > 0, or has it inside. */
size_t bide__cluster_begin(const char *text, size_t size, size_t at);

#endif
