/* Editing a line; see line_edit.h. Whoever knows readline or an Emacs finds the usual keys. */
#include "io/terminal/line_edit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "codec/utf8.h"
#include "codec/width.h"

enum { DEL = 0x7f, CONTROL_MAX = 0x1f, C1_MAX = 0x9f };
#define CTRL(letter) ((letter)&0x1f)

void bide__line_edit_init(struct bide__line_edit *edit, size_t bytes_max, size_t history_max)
{
    *edit = (struct bide__line_edit){.bytes_max = bytes_max, .history.max = history_max};
}

void bide__line_edit_begin(struct bide__line_edit *edit)
{
    edit->pasted_return = false;
    edit->kills = false;
    edit->searching = false;
    if (!edit->entered)
        return;
    edit->entered = false;
    edit->text.size = 0;
    edit->cursor = 0;
    edit->at = edit->history.n;
}

void bide__line_edit_enter(struct bide__line_edit *edit)
{
    edit->searching = false;
    edit->entered = true;
    edit->cursor = edit->text.size;
    (void)bide__history_add(edit, edit->text.data, edit->text.size);
    edit->at = edit->history.n;
}

/* After a change characters may belong together that did not before. */
static void settle_cursor(struct bide__line_edit *edit)
{
    const struct bide__text *text = &edit->text;
    if (edit->cursor == 0)
        return;
    size_t begin = bide__cluster_begin(text->data, text->size, edit->cursor);
    edit->cursor = bide__cluster_end(text->data, text->size, begin);
}

/* The one way in which the text changes. The cursor goes behind what is new. */
static int replace(struct bide__line_edit *edit, size_t from, size_t to, const char *data,
                   size_t size)
{
    if (edit->text.size - (to - from) + size > edit->bytes_max)
        return BIDE__EDITED_BELL;
    int rc = bide__text_replace(&edit->text, from, to, data, size);
    if (rc < 0)
        return rc;
    edit->cursor = from + size;
    settle_cursor(edit);
    return BIDE__EDITED_CHANGE;
}

int bide__line_edit_set(struct bide__line_edit *edit, const char *text, size_t size)
{
    return replace(edit, 0, edit->text.size, text, size);
}

static int insert_character(struct bide__line_edit *edit, uint32_t character)
{
    char bytes[BIDE__UTF8_BYTES_MAX];
    return replace(edit, edit->cursor, edit->cursor, bytes, bide__utf8_encode(character, bytes));
}

static bool is_control(uint32_t character)
{
    return character <= CONTROL_MAX || (character >= DEL && character <= C1_MAX);
}

/* A paste keeps its lines and tabs; other control characters in it are nobody's wish. */
static int insert_pasted(struct bide__line_edit *edit, uint32_t character)
{
    bool again = character == '\n' && edit->pasted_return;
    edit->pasted_return = character == '\r';
    if (again)
        return BIDE__EDITED_NOTHING;
    if (character == '\r')
        character = '\n';
    if (is_control(character) && character != '\n' && character != '\t')
        return BIDE__EDITED_NOTHING;
    return insert_character(edit, character);
}

int bide__line_edit_insert(struct bide__line_edit *edit, const char *text, size_t size)
{
    uint32_t character;
    int result = BIDE__EDITED_CHANGE;
    int rc = bide__text_reserve(&edit->text, size);
    for (size_t at = 0, length; rc >= 0 && at < size; at += length) {
        length = bide__utf8_decode(text + at, size - at, &character);
        if (length == 0)
            length = size - at;
        rc = insert_pasted(edit, character);
        if (rc == BIDE__EDITED_BELL)
            result = rc;
    }
    return rc < 0 ? rc : result;
}

/* Moving. Each returns where the cursor would go. */

static size_t one_back(const struct bide__line_edit *edit, size_t at)
{
    return at == 0 ? 0 : bide__cluster_begin(edit->text.data, edit->text.size, at);
}

static size_t one_on(const struct bide__line_edit *edit, size_t at)
{
    return at == edit->text.size ? at : bide__cluster_end(edit->text.data, edit->text.size, at);
}

/* Letters, digits, and all that is not ASCII. */
static bool in_word(const struct bide__line_edit *edit, size_t at)
{
    unsigned char c = (unsigned char)edit->text.data[at];
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool in_blanks(const struct bide__line_edit *edit, size_t at)
{
    return strchr(" \t\n", edit->text.data[at]) && edit->text.data[at];
}

static size_t word_back(const struct bide__line_edit *edit)
{
    size_t at = edit->cursor;
    while (at > 0 && !in_word(edit, at - 1))
        at--;
    while (at > 0 && in_word(edit, at - 1))
        at--;
    return at;
}

static size_t word_on(const struct bide__line_edit *edit)
{
    size_t at = edit->cursor;
    while (at < edit->text.size && !in_word(edit, at))
        at++;
    while (at < edit->text.size && in_word(edit, at))
        at++;
    return at;
}

/* Over everything up to a blank, as Ctrl-W takes it. */
static size_t piece_back(const struct bide__line_edit *edit)
{
    size_t at = edit->cursor;
    while (at > 0 && in_blanks(edit, at - 1))
        at--;
    while (at > 0 && !in_blanks(edit, at - 1))
        at--;
    return at;
}

static int move(struct bide__line_edit *edit, size_t to)
{
    if (edit->cursor == to)
        return BIDE__EDITED_NOTHING;
    edit->cursor = to;
    settle_cursor(edit);
    return BIDE__EDITED_CHANGE;
}

/* Taking away */

static int erase(struct bide__line_edit *edit, size_t from, size_t to)
{
    return from == to ? BIDE__EDITED_BELL : replace(edit, from, to, NULL, 0);
}

/* Erases what Ctrl-Y can bring back; what was killed right before stays with it. */
static int kill_between(struct bide__line_edit *edit, size_t from, size_t to)
{
    struct bide__text *killed = &edit->killed;
    bool forward = from == edit->cursor;
    if (from == to)
        return BIDE__EDITED_NOTHING;
    size_t kept = edit->killed_before ? killed->size : 0;
    int rc = bide__text_reserve(killed, to - from);
    if (rc < 0)
        return rc;
    killed->size = kept;
    size_t at = forward ? kept : 0;
    rc = bide__text_replace(killed, at, at, edit->text.data + from, to - from);
    assert(rc == 0);
    rc = replace(edit, from, to, NULL, 0);
    assert(rc == BIDE__EDITED_CHANGE);
    edit->kills = true;
    return rc;
}

static int yank(struct bide__line_edit *edit)
{
    if (edit->killed.size == 0)
        return BIDE__EDITED_BELL;
    return replace(edit, edit->cursor, edit->cursor, edit->killed.data, edit->killed.size);
}

/* Swaps the clusters around the cursor, or the last two. */
static int transpose(struct bide__line_edit *edit)
{
    size_t middle = edit->cursor == edit->text.size ? one_back(edit, edit->cursor) : edit->cursor;
    size_t begin = one_back(edit, middle);
    size_t end = one_on(edit, middle);
    if (begin == middle || middle == end)
        return BIDE__EDITED_BELL;
    char swapped[128];
    if (end - begin > sizeof swapped)
        return BIDE__EDITED_BELL;
    memcpy(swapped, edit->text.data + middle, end - middle);
    memcpy(swapped + (end - middle), edit->text.data + begin, middle - begin);
    return replace(edit, begin, end, swapped, end - begin);
}

/* Keys */

static int take_alt(struct bide__line_edit *edit, uint32_t character)
{
    switch (character) {
    case 'b':
    case 'B':
        return move(edit, word_back(edit));
    case 'f':
    case 'F':
        return move(edit, word_on(edit));
    case 'd':
    case 'D':
        return kill_between(edit, edit->cursor, word_on(edit));
    case DEL:
    case CTRL('h'):
        return kill_between(edit, word_back(edit), edit->cursor);
    default:
        return BIDE__EDITED_NOTHING;
    }
}

static int end_or_delete(struct bide__line_edit *edit)
{
    if (edit->text.size == 0)
        return BIDE__EDITED_END;
    return erase(edit, edit->cursor, one_on(edit, edit->cursor));
}

static int take_control(struct bide__line_edit *edit, uint32_t character)
{
    switch (character) {
    case '\r':
    case '\n':
        return BIDE__EDITED_ENTERED;
    case DEL:
    case CTRL('h'):
        return erase(edit, one_back(edit, edit->cursor), edit->cursor);
    case CTRL('a'):
        return move(edit, 0);
    case CTRL('b'):
        return move(edit, one_back(edit, edit->cursor));
    case CTRL('c'):
        return BIDE__EDITED_INTERRUPT;
    case CTRL('d'):
        return end_or_delete(edit);
    case CTRL('e'):
        return move(edit, edit->text.size);
    case CTRL('f'):
        return move(edit, one_on(edit, edit->cursor));
    case CTRL('k'):
        return kill_between(edit, edit->cursor, edit->text.size);
    case CTRL('l'):
        return BIDE__EDITED_CLEAR;
    case CTRL('n'):
        return bide__history_newer(edit);
    case CTRL('p'):
        return bide__history_older(edit);
    case CTRL('r'):
        return bide__history_search(edit);
    case CTRL('t'):
        return transpose(edit);
    case CTRL('u'):
        return kill_between(edit, 0, edit->cursor);
    case CTRL('w'):
        return kill_between(edit, piece_back(edit), edit->cursor);
    case CTRL('y'):
        return yank(edit);
    default:
        return BIDE__EDITED_NOTHING;
    }
}

static int take_function(struct bide__line_edit *edit, const struct bide__key *key)
{
    bool word = key->control || key->alt;
    switch (key->kind) {
    case BIDE__KEY_UP:
        return bide__history_older(edit);
    case BIDE__KEY_DOWN:
        return bide__history_newer(edit);
    case BIDE__KEY_RIGHT:
        return move(edit, word ? word_on(edit) : one_on(edit, edit->cursor));
    case BIDE__KEY_LEFT:
        return move(edit, word ? word_back(edit) : one_back(edit, edit->cursor));
    case BIDE__KEY_HOME:
        return move(edit, 0);
    case BIDE__KEY_END:
        return move(edit, edit->text.size);
    case BIDE__KEY_DELETE:
        return erase(edit, edit->cursor, one_on(edit, edit->cursor));
    default:
        return BIDE__EDITED_NOTHING;
    }
}

static int take_plain(struct bide__line_edit *edit, const struct bide__key *key)
{
    if (key->kind != BIDE__KEY_CHARACTER)
        return take_function(edit, key);
    if (key->pasted)
        return insert_pasted(edit, key->character);
    if (key->alt)
        return take_alt(edit, key->character);
    if (is_control(key->character))
        return take_control(edit, key->character);
    return insert_character(edit, key->character);
}

int bide__line_edit_key(struct bide__line_edit *edit, const struct bide__key *key)
{
    bool used = false;
    edit->killed_before = edit->kills;
    edit->kills = false;
    bool searched = edit->searching;
    if (searched) {
        int rc = bide__history_search_key(edit, key, &used);
        if (used || rc < 0)
            return rc;
    }
    if (!key->pasted)
        edit->pasted_return = false;
    int rc = take_plain(edit, key);
    /* The prompt is another one now. */
    return searched && rc == BIDE__EDITED_NOTHING ? BIDE__EDITED_CHANGE : rc;
}
