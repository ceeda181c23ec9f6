/*
 * How far the bytes of an HTTP head are what they may be. Each function returns the first byte that
 * is not, or `end`. The plain form and the one for this processor answer alike.
 */
#ifndef BIDE_CODEC_HTTP1_SCAN_H
#define BIDE_CODEC_HTTP1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a field's value: all but controls, the horizontal tab excepted. */
const char *bide__http1_scan_value_plain(const char *at, const char *end);
const char *bide__http1_scan_value(const char *at, const char *end);

/* Bytes of a request's target: visible ASCII. */
const char *bide__http1_scan_visible_plain(const char *at, const char *end);
const char *bide__http1_scan_visible(const char *at, const char *end);

/* By byte: whether it may stand in a method or a field's name. */
extern const uint8_t bide__http1_token[256];

static inline bool bide__http1_is_token(char c)
{
    return bide__http1_token[(uint8_t)c];
}

#endif
