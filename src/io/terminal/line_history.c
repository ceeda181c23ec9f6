/*
 * The lines of before: looked through one by one, and searched.
 *
 * Invariant: looking changes no line of the history, and what was being typed comes back behind the
 * newest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/utf8.h"
#include "io/terminal/line_edit.h"

#define CTRL(letter) ((letter)&0x1f)
enum { DEL = 0x7f };

void bide__line_edit_fini(struct bide__line_edit *edit)
{
    for (size_t i = 0; i < edit->history.n; i++)
        free(edit->history.lines[i]);
    free(edit->history.lines);
    bide__text_fini(&edit->text);
    bide__text_fini(&edit->killed);
    bide__text_fini(&edit->typed);
    bide__text_fini(&edit->query);
}

static bool is_last(const struct bide__history *history, const char *line, size_t size)
{
    const char *last = history->n > 0 ? history->lines[history->n - 1] : NULL;
    return last && strlen(last) == size && memcmp(last, line, size) == 0;
}

int bide__history_add(struct bide__line_edit *edit, const char *line, size_t size)
{
    struct bide__history *history = &edit->history;
    bool typing = edit->at == history->n;
    if (size == 0 || history->max == 0 || is_last(history, line, size))
        return 0;
    if (!history->lines)
        history->lines = calloc(history->max, sizeof *history->lines);
    char *copy = history->lines ? malloc(size + 1) : NULL;
    if (!copy)
        return -ENOMEM;
    memcpy(copy, line, size);
    copy[size] = '\0';
    if (history->n == history->max) {
        free(history->lines[0]);
        memmove(history->lines, history->lines + 1, --history->n * sizeof *history->lines);
        edit->at = edit->at > 0 ? edit->at - 1 : 0;
    }
    history->lines[history->n++] = copy;
    if (typing)
        edit->at = history->n;
    return 0;
}

/* Before the history is looked at. */
static int keep_typed(struct bide__line_edit *edit)
{
    return bide__text_replace(&edit->typed, 0, edit->typed.size, edit->text.data, edit->text.size);
}

static int show(struct bide__line_edit *edit, size_t at)
{
    const struct bide__history *history = &edit->history;
    const char *line = at < history->n ? history->lines[at] : edit->typed.data;
    size_t size = at < history->n ? strlen(line) : edit->typed.size;
    int rc = bide__line_edit_set(edit, line, size);
    if (rc == BIDE__EDITED_CHANGE)
        edit->at = at;
    return rc;
}

int bide__history_older(struct bide__line_edit *edit)
{
    if (edit->at == 0)
        return BIDE__EDITED_BELL;
    int rc = edit->at == edit->history.n ? keep_typed(edit) : 0;
    return rc < 0 ? rc : show(edit, edit->at - 1);
}

int bide__history_newer(struct bide__line_edit *edit)
{
    return edit->at == edit->history.n ? BIDE__EDITED_BELL : show(edit, edit->at + 1);
}

/* The search */

int bide__history_search(struct bide__line_edit *edit)
{
    int rc = edit->at == edit->history.n ? keep_typed(edit) : 0;
    if (rc < 0)
        return rc;
    edit->query.size = 0;
    edit->searching = true;
    return BIDE__EDITED_CHANGE;
}

/* The newest line before `end` that has the query in it. */
static int find(struct bide__line_edit *edit, size_t end)
{
    if (edit->query.size == 0)
        return BIDE__EDITED_CHANGE;
    const char *query = bide__text_string(&edit->query);
    for (size_t i = end; i-- > 0;) {
        if (!strstr(edit->history.lines[i], query))
            continue;
        return show(edit, i);
    }
    return BIDE__EDITED_BELL;
}

static int query_longer(struct bide__line_edit *edit, uint32_t character)
{
    char bytes[BIDE__UTF8_BYTES_MAX];
    size_t size = bide__utf8_encode(character, bytes);
    int rc = bide__text_add(&edit->query, bytes, size);
    if (rc < 0)
        return rc;
    size_t end = edit->at < edit->history.n ? edit->at + 1 : edit->at;
    rc = find(edit, end);
    if (rc != BIDE__EDITED_CHANGE)
        edit->query.size -= size;
    return rc;
}

/* Begins anew with the newest line. */
static int query_shorter(struct bide__line_edit *edit)
{
    const struct bide__text *query = &edit->query;
    size_t size = query->size;
    if (size == 0)
        return BIDE__EDITED_BELL;
    do
        size--;
    while (size > 0 && ((unsigned char)query->data[size] & 0xc0) == 0x80);
    edit->query.size = size;
    return size > 0 ? find(edit, edit->history.n) : show(edit, edit->history.n);
}

/* As it was before the search. */
static int give_up(struct bide__line_edit *edit)
{
    int rc = show(edit, edit->history.n);
    edit->searching = rc < 0;
    return rc;
}

int bide__history_search_key(struct bide__line_edit *edit, const struct bide__key *key,
                             bool *ret_used)
{
    *ret_used = true;
    if (key->kind == BIDE__KEY_CHARACTER && !key->alt) {
        if (key->character >= ' ' && key->character != DEL && !key->pasted)
            return query_longer(edit, key->character);
        if (key->character == CTRL('r'))
            return find(edit, edit->at);
        if (key->character == DEL || key->character == CTRL('h'))
            return query_shorter(edit);
        if (key->character == CTRL('g'))
            return give_up(edit);
    }
    if (key->kind == BIDE__KEY_ESCAPE)
        return give_up(edit);
    edit->searching = false;
    *ret_used = false;
    return BIDE__EDITED_CHANGE;
}
