/* Bytes to keys; see keys.h. */
#include "codec/keys.h"

#include <assert.h>
#include <string.h>

#include "codec/utf8.h"

enum state {
    PLAIN,
    ESCAPE,      /* ESC came */
    CONTROL,     /* ESC [ */
    CONTROL_OLD, /* ESC [ [, as the Linux console begins its function keys: one more byte */
    SINGLE,      /* ESC O: one more byte */
    STRING,      /* ESC ] and its like: up to BEL or ESC \ */
    STRING_END,  /* there, after an ESC */
};

enum { ESC = 0x1b, BEL = 0x07, SEQUENCE_BYTES_MAX = 1024, PARAMETER_MAX = 9999 };
enum { PASTE_BEGIN = 200, PASTE_END = 201 };

static void put(struct bide__key *keys, int *n, struct bide__key key)
{
    keys[(*n)++] = key;
}

static void put_character(struct bide__keys *keys, uint32_t character, struct bide__key *ret_keys,
                          int *n)
{
    put(ret_keys, n,
        (struct bide__key){.kind = BIDE__KEY_CHARACTER,
                           .character = character,
                           .alt = keys->alt,
                           .pasted = keys->pasting});
    keys->alt = false;
}

/* A byte outside of sequences. An invalid beginning ends as U+FFFD before the byte counts anew, so
 * that there may be two characters. */
static void take_text(struct bide__keys *keys, unsigned char byte, struct bide__key *ret_keys,
                      int *n)
{
    uint32_t character;
    assert(keys->n_text < sizeof keys->text);
    keys->text[keys->n_text++] = (char)byte;
    while (keys->n_text > 0) {
        size_t length = bide__utf8_decode(keys->text, keys->n_text, &character);
        if (length == 0)
            return;
        put_character(keys, character, ret_keys, n);
        keys->n_text -= (uint8_t)length;
        memmove(keys->text, keys->text + length, keys->n_text);
    }
}

static void begin(struct bide__keys *keys, enum state state)
{
    keys->state = (uint8_t)state;
    keys->n_skipped = 0;
    keys->n_parameters = 0;
    memset(keys->parameters, 0, sizeof keys->parameters);
}

static void take_parameter(struct bide__keys *keys, unsigned char byte)
{
    if (byte == ';' && keys->n_parameters < BIDE__KEYS_PARAMETERS_MAX - 1)
        keys->n_parameters++;
    if (byte < '0' || byte > '9')
        return;
    uint16_t *parameter = &keys->parameters[keys->n_parameters];
    if (*parameter <= PARAMETER_MAX / 10)
        *parameter = (uint16_t)(*parameter * 10 + (byte - '0'));
}

/* By the letter that ends a sequence; BIDE__KEY_CHARACTER for none. */
static enum bide__key_kind by_letter(unsigned char letter)
{
    static const char letters[] = "ABCDHF";
    static const enum bide__key_kind kinds[] = {BIDE__KEY_UP,   BIDE__KEY_DOWN, BIDE__KEY_RIGHT,
                                                BIDE__KEY_LEFT, BIDE__KEY_HOME, BIDE__KEY_END};
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? kinds[found - letters] : BIDE__KEY_CHARACTER;
}

/* By the number before a "~". */
static enum bide__key_kind by_number(unsigned number)
{
    switch (number) {
    case 1:
    case 7:
        return BIDE__KEY_HOME;
    case 3:
        return BIDE__KEY_DELETE;
    case 4:
    case 8:
        return BIDE__KEY_END;
    case PASTE_BEGIN:
        return BIDE__KEY_PASTE_BEGIN;
    case PASTE_END:
        return BIDE__KEY_PASTE_END;
    default:
        return BIDE__KEY_CHARACTER;
    }
}

/* A sequence has ended. */
static void take_final(struct bide__keys *keys, unsigned char byte, struct bide__key *ret_keys,
                       int *n)
{
    enum bide__key_kind kind = byte == '~' ? by_number(keys->parameters[0]) : by_letter(byte);
    /* 1 and a bit each: shift 1, alt 2, control 4 */
    unsigned modifiers = keys->parameters[1] > 0 ? keys->parameters[1] - 1u : 0;
    struct bide__key key = {
        .kind = kind, .alt = keys->alt || (modifiers & 2), .control = modifiers & 4};
    keys->state = PLAIN;
    keys->alt = false;
    if (kind == BIDE__KEY_CHARACTER || (keys->pasting && kind != BIDE__KEY_PASTE_END) ||
        (!keys->pasting && kind == BIDE__KEY_PASTE_END))
        return;
    keys->pasting = kind == BIDE__KEY_PASTE_BEGIN;
    put(ret_keys, n, key);
}

static void take_escaped(struct bide__keys *keys, unsigned char byte, struct bide__key *ret_keys,
                         int *n)
{
    if (byte == '[') {
        begin(keys, CONTROL);
    } else if (byte == 'O') {
        begin(keys, SINGLE);
    } else if (strchr("]P^_X", byte) && byte) {
        begin(keys, STRING);
    } else if (byte == ESC) {
        keys->alt = !keys->pasting; /* some send Alt with a function key so */
    } else if (keys->pasting) {
        keys->state = PLAIN;
        take_text(keys, byte, ret_keys, n);
    } else {
        keys->alt = true;
        keys->state = PLAIN;
        take_text(keys, byte, ret_keys, n);
    }
}

static void take_control(struct bide__keys *keys, unsigned char byte, struct bide__key *ret_keys,
                         int *n)
{
    if (byte == '[' && keys->n_skipped == 1)
        keys->state = CONTROL_OLD;
    else if (byte >= 0x40 && byte <= 0x7e)
        take_final(keys, byte, ret_keys, n);
    else if (byte >= 0x20 && byte <= 0x3f)
        take_parameter(keys, byte);
    else /* no byte of a sequence: it was broken off */
        begin(keys, PLAIN);
}

static void take_in_sequence(struct bide__keys *keys, unsigned char byte,
                             struct bide__key *ret_keys, int *n)
{
    if (++keys->n_skipped > SEQUENCE_BYTES_MAX) {
        begin(keys, PLAIN);
        keys->alt = false;
        return;
    }
    switch ((enum state)keys->state) {
    case CONTROL:
        take_control(keys, byte, ret_keys, n);
        return;
    case SINGLE:
        take_final(keys, byte, ret_keys, n);
        return;
    case STRING:
        if (byte == ESC)
            keys->state = STRING_END;
        else if (byte == BEL)
            keys->state = PLAIN;
        return;
    case CONTROL_OLD:
    case STRING_END:
        keys->state = PLAIN;
        keys->alt = false;
        return;
    case PLAIN:
    case ESCAPE:
        break;
    }
}

int bide__keys_take(struct bide__keys *keys, unsigned char byte, struct bide__key ret_keys[2])
{
    int n = 0;
    if (keys->state == ESCAPE) {
        take_escaped(keys, byte, ret_keys, &n);
    } else if (byte == ESC && keys->state != STRING) {
        if (keys->n_text > 0) {
            keys->n_text = 0;
            put_character(keys, BIDE__UTF8_REPLACEMENT, ret_keys, &n);
        }
        keys->alt = false;
        begin(keys, ESCAPE);
    } else if (keys->state == PLAIN) {
        take_text(keys, byte, ret_keys, &n);
    } else {
        take_in_sequence(keys, byte, ret_keys, &n);
    }
    return n;
}

bool bide__keys_unfinished(const struct bide__keys *keys)
{
    return keys->state != PLAIN || keys->n_text > 0;
}

int bide__keys_expire(struct bide__keys *keys, struct bide__key *ret_key)
{
    int n = 0;
    bool lone = keys->state == ESCAPE && !keys->pasting;
    if (keys->n_text > 0)
        put_character(keys, BIDE__UTF8_REPLACEMENT, ret_key, &n);
    else if (lone)
        put(ret_key, &n, (struct bide__key){.kind = BIDE__KEY_ESCAPE});
    keys->n_text = 0;
    keys->alt = false;
    begin(keys, PLAIN);
    return n;
}
