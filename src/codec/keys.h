/*
 * What a terminal sends as keys: characters, function keys, pastes. A state machine without I/O and
 * without memory of its own.
 *
 * Invariants
 *  - Bytes may come in pieces of any size; the keys are the same, if bide__keys_expire() is not
 *    called in between.
 *  - Every byte is used, whatever it is: unknown sequences are skipped to their end, and one that
 * is longer than any terminal's is given up.
 *  - Inside of a paste everything is characters; sequences in it are skipped.
 */
#ifndef BIDE_CODEC_KEYS_H
#define BIDE_CODEC_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bide__key_kind {
    BIDE__KEY_CHARACTER, /* also a control character: Ctrl-A is 1, Enter 13 or 10 */
    BIDE__KEY_UP,
    BIDE__KEY_DOWN,
    BIDE__KEY_RIGHT,
    BIDE__KEY_LEFT,
    BIDE__KEY_HOME,
    BIDE__KEY_END,
    BIDE__KEY_DELETE,
    BIDE__KEY_ESCAPE,
    BIDE__KEY_PASTE_BEGIN,
    BIDE__KEY_PASTE_END,
};

struct bide__key {
    enum bide__key_kind kind;
    uint32_t character;
    bool alt;
    bool control; /* with a function key; Ctrl with a letter is a character */
    bool pasted;
};

enum { BIDE__KEYS_PARAMETERS_MAX = 4 };

/* Zeroed: at the beginning. */
struct bide__keys {
    uint8_t state;
    bool alt; /* an escape came before */
    bool pasting;
    char text[4]; /* of a character that has begun */
    uint8_t n_text;
    uint16_t n_skipped; /* bytes of a sequence so far */
    uint8_t n_parameters;
    uint16_t parameters[BIDE__KEYS_PARAMETERS_MAX];
};

/* Takes one byte. Returns how many keys it completed, at most 2. */
int bide__keys_take(struct bide__keys *keys, unsigned char byte, struct bide__key ret_keys[2]);

/* Whether more bytes would tell what those so far mean: to be waited for with a limit. */
bool bide__keys_unfinished(const struct bide__keys *keys);

/* No more came within the limit: an escape alone is the key. Returns how many keys, at most 1. */
int bide__keys_expire(struct bide__keys *keys, struct bide__key *ret_key);

#endif
