/* What the tests of WebSocket share: frames from the words of websocket_cases.h, and words for what
 * came. */
#ifndef BIDE_TEST_WEBSOCKET_RIG_H
#define BIDE_TEST_WEBSOCKET_RIG_H

#include <bide/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/websocket.h"

#define WS_UNUSED __attribute__((unused))

enum { WS_BYTES = 256 * 1024, WS_SHORT = 40 };

/* Which case it was is shown if it fails. */
static WS_UNUSED void ws_case(const char *name)
{
    printf("# %s\n", name);
}

static const uint8_t ws_key[4] = {0x37, 0xfa, 0x21, 0x3d};

static WS_UNUSED size_t from_hex(const char *hex, char *to)
{
    size_t n = 0;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1 && *hex; hex += 2)
        to[n++] = (char)byte;
    return n;
}

/* A payload from its words: its size; the bytes as far as there is room for them. */
static uint64_t ws_payload(const char *words, char *to)
{
    if (*words == '*') {
        uint64_t size = strtoull(words + 1, NULL, 10);
        memset(to, '*', size < WS_BYTES ? size : WS_BYTES);
        return size;
    }
    if (*words == '=')
        return from_hex(words + 1, to);
    memcpy(to, words, strlen(words));
    return strlen(words);
}

/* One frame: how many bytes. */
static size_t ws_frame(const char *words, bool masks, char *to)
{
    static char payload[WS_BYTES];
    const char *colon = strchr(words, ':');
    unsigned first = (unsigned)strtoul((char[]){words[0], words[1], 0}, NULL, 16);
    size_t flags = (size_t)(colon - words);
    bool is_masked = masks && !memchr(words + 2, 'u', flags - 2);
    uint64_t size = ws_payload(colon + 1, payload);
    const uint8_t *mask = is_masked ? ws_key : NULL;
    size_t n = bide__ws_head_write(to, first & 0x0f, first & 0xf0, size, mask);
    size_t forced = memchr(words + 2, '8', flags - 2)   ? 8
                    : memchr(words + 2, '2', flags - 2) ? 2
                                                        : 0;
    if (forced > 0) {
        to[1] = (char)((forced == 8 ? 127 : 126) | (is_masked ? 0x80 : 0));
        for (size_t i = 0; i < forced; i++)
            to[2 + i] = (char)(size >> 8 * (forced - 1 - i));
        n = 2 + forced;
        if (is_masked)
            memcpy(to + n, ws_key, 4);
        n += is_masked ? 4 : 0;
    }
    if (memchr(words + 2, 'h', flags - 2))
        return n;
    if (is_masked)
        bide__ws_mask_plain(to + n, payload, size, ws_key, 0);
    else
        memcpy(to + n, payload, size);
    return n + size;
}

static WS_UNUSED size_t ws_frames(const char *words, bool masks, char *to)
{
    char *copy = strdup(words), *state = NULL;
    size_t n = 0;
    for (char *word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state))
        n += ws_frame(word, masks, to + n);
    free(copy);
    return n;
}

static WS_UNUSED void ws_tell(char *told, const char *what, const char *data, size_t size)
{
    bool is_plain = size <= WS_SHORT;
    for (size_t i = 0; i < size && is_plain; i++)
        is_plain = data[i] >= ' ' && data[i] < 127;
    told += strlen(told);
    if (is_plain)
        sprintf(told, "%s(%.*s)", what, (int)size, data);
    else
        sprintf(told, "%s[%zu]", what, size);
}

#endif
