/* The keys of the handshake: Base64 (RFC 4648) of random bytes, and of a SHA-1 (RFC 3174). SHA-1
 * proves nothing here but that the server speaks WebSocket. */
#include "codec/websocket.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static void base64(const uint8_t *bytes, size_t size, char *to)
{
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= n > 2 ? (uint32_t)bytes[i + 2] : 0;
        for (size_t digit = 0; digit < 4; digit++)
            *to++ = digit <= n ? digits[group >> (18 - 6 * digit) & 63] : '=';
    }
    *to = '\0';
}

enum { BLOCK = 64, SHA1_WORDS = 5, SHA1_BYTES = 20 };

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void sha1_block(uint32_t hash[SHA1_WORDS], const uint8_t block[BLOCK])
{
    uint32_t w[80], v[SHA1_WORDS];
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (size_t i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, hash, sizeof v);
    for (size_t i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (v[1] & v[2]) | (~v[1] & v[3]);
            k = 0x5a827999;
        } else if (i >= 40 && i < 60) {
            f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
            k = 0x8f1bbcdc;
        } else {
            f = v[1] ^ v[2] ^ v[3];
            k = i < 40 ? 0x6ed9eba1 : 0xca62c1d6;
        }
        uint32_t next = rotate(v[0], 5) + f + v[4] + k + w[i];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (size_t i = 0; i < SHA1_WORDS; i++)
        hash[i] += v[i];
}

/* Of a text of two blocks, as a key and its suffix are: 56 to 119 bytes. */
static void sha1_of_two_blocks(const char *text, size_t size, uint8_t ret_hash[SHA1_BYTES])
{
    uint32_t hash[SHA1_WORDS] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[2 * BLOCK] = {0};
    memcpy(blocks, text, size);
    blocks[size] = 0x80;
    blocks[sizeof blocks - 2] = (uint8_t)(size * 8 >> 8);
    blocks[sizeof blocks - 1] = (uint8_t)(size * 8);
    sha1_block(hash, blocks);
    sha1_block(hash, blocks + BLOCK);
    for (size_t i = 0; i < SHA1_BYTES; i++)
        ret_hash[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

void bide__ws_key_write(const uint8_t bytes[BIDE__WS_KEY_BYTES], char ret_key[BIDE__WS_KEY_SIZE])
{
    base64(bytes, BIDE__WS_KEY_BYTES, ret_key);
}

/* Sixteen bytes are 21 digits and one of which two bits are used. */
bool bide__ws_key_is_valid(const char *key)
{
    return strlen(key) == BIDE__WS_KEY_SIZE - 1 && strspn(key, digits) == 22 &&
           strchr("AQgw", key[21]) && strcmp(key + 22, "==") == 0;
}

void bide__ws_accept_write(const char *key, char ret_accept[BIDE__WS_ACCEPT_SIZE])
{
    char text[BIDE__WS_KEY_SIZE + sizeof guid];
    uint8_t hash[SHA1_BYTES];
    memcpy(text, key, BIDE__WS_KEY_SIZE - 1);
    memcpy(text + BIDE__WS_KEY_SIZE - 1, guid, sizeof guid);
    sha1_of_two_blocks(text, strlen(text), hash);
    base64(hash, sizeof hash, ret_accept);
}
