/* The edited line on a screen; see line_view.h. */
#include "io/terminal/line_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/utf8.h"
#include "codec/width.h"

enum {
    COLUMNS_FOR_TEXT_MIN = 8, /* or the prompt is left out */
    ROOM_FOR_MARKS = 4,
    CONTROL_PICTURES = 0x2400,
    PICTURE_OF_DELETE = 0x2421,
    PICTURE_OF_NEWLINE = 0x2424,
};

/* A character of the line, or of untrusted text, as one that only shows. */
static uint32_t visible(uint32_t c)
{
    if (c < 0x20)
        return c == '\n' ? PICTURE_OF_NEWLINE : CONTROL_PICTURES + c;
    if (c == 0x7f)
        return PICTURE_OF_DELETE;
    bool turns = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    bool breaks = c == 0x2028 || c == 0x2029;
    return turns || breaks || (c >= 0x80 && c <= 0x9f) ? BIDE__UTF8_REPLACEMENT : c;
}

size_t bide__plain_next(const char *text, size_t size, bool lines, char *buffer, size_t *ret_used)
{
    uint32_t character;
    size_t length = bide__utf8_decode(text, size, &character);
    *ret_used = length > 0 ? length : size;
    if (!lines || (character != '\n' && character != '\t'))
        character = visible(character);
    return bide__utf8_encode(character, buffer);
}

int bide__plain_add(struct bide__text *out, const char *text, size_t size, const char *newline)
{
    int rc = bide__text_reserve(out, size);
    char bytes[BIDE__UTF8_BYTES_MAX];
    for (size_t at = 0, used; rc == 0 && at < size; at += used) {
        size_t length = bide__plain_next(text + at, size - at, newline != NULL, bytes, &used);
        bool ends = newline && length == 1 && bytes[0] == '\n';
        rc = ends ? bide__text_add(out, newline, strlen(newline))
                  : bide__text_add(out, bytes, length);
    }
    return rc;
}

static int add(struct bide__text *out, const char *text)
{
    return bide__text_add(out, text, strlen(text));
}

static int add_move(struct bide__text *out, unsigned n, char direction)
{
    char sequence[16];
    snprintf(sequence, sizeof sequence, "\x1b[%u%c", n, direction);
    return add(out, sequence);
}

/* The cursor to the first column of the row. If the screen became narrower, the terminal has broken
 * the row into several, and the cursor is in a lower one. */
static int to_begin(const struct bide__line_view *view, unsigned columns, struct bide__text *out)
{
    unsigned rows = view->drawn ? view->cursor_column / columns : 0;
    int rc = add(out, "\r");
    return rc < 0 || rows == 0 ? rc : add_move(out, rows, 'A');
}

int bide__line_view_erase(struct bide__line_view *view, unsigned columns, struct bide__text *out)
{
    if (!view->drawn)
        return 0;
    int rc = to_begin(view, columns, out);
    view->drawn = false;
    return rc < 0 ? rc : add(out, "\x1b[J");
}

/* The prompt, and during a search what is searched for. */
static int compose_prompt(const struct bide__line_edit *edit, const struct bide__text *prompt,
                          struct bide__text *out)
{
    if (!edit->searching)
        return bide__text_add(out, prompt->data, prompt->size);
    int rc = add(out, "(search '");
    if (rc == 0)
        rc = bide__plain_add(out, edit->query.data, edit->query.size, NULL);
    return rc < 0 ? rc : add(out, "') ");
}

/* Text between two columns; in the place of a wide character that is cut there are blanks. */
static int add_between(const struct bide__text *text, unsigned from, unsigned to,
                       struct bide__text *out)
{
    int rc = 0;
    unsigned column = 0;
    for (size_t at = 0, end; rc == 0 && at < text->size && column < to; at = end) {
        end = bide__cluster_end(text->data, text->size, at);
        unsigned next = column + bide__text_width(text->data + at, end - at);
        unsigned cut_from = column > from ? column : from;
        unsigned cut_to = next < to ? next : to;
        if (column >= from && next <= to)
            rc = bide__plain_add(out, text->data + at, end - at, NULL);
        for (unsigned i = cut_from; rc == 0 && i < cut_to && (column < from || next > to); i++)
            rc = add(out, " ");
        column = next;
    }
    return rc;
}

/* Which part of the text is shown so that the cursor is among it: moves by half of the room at a
 * time. */
static void scroll(struct bide__line_view *view, unsigned cursor, unsigned width, unsigned room)
{
    if (cursor < view->left || cursor > view->left + room)
        view->left = cursor > room / 2 ? cursor - room / 2 : 0;
    if (view->left + room > width)
        view->left = width > room ? width - room : 0;
}

static int draw_text(struct bide__line_view *view, const struct bide__line_edit *edit,
                     unsigned room, struct bide__text *out)
{
    const struct bide__text *text = &edit->text;
    unsigned width = bide__text_width(text->data, text->size);
    unsigned cursor = bide__text_width(text->data, edit->cursor);
    if (width <= room) {
        view->left = 0;
        view->cursor_column += cursor;
        return add_between(text, 0, width, out);
    }
    unsigned mark = room >= ROOM_FOR_MARKS ? 1 : 0;
    unsigned inner = room - 2 * mark;
    scroll(view, cursor, width, inner);
    view->cursor_column += mark + cursor - view->left;
    int rc = mark ? add(out, view->left > 0 ? "<" : " ") : 0;
    if (rc == 0)
        rc = add_between(text, view->left, view->left + inner, out);
    if (rc == 0 && mark && view->left + inner < width)
        rc = add(out, ">");
    return rc;
}

int bide__line_view_draw(struct bide__line_view *view, const struct bide__line_edit *edit,
                         const struct bide__text *prompt, unsigned columns, struct bide__text *out)
{
    int rc = to_begin(view, columns, out);
    size_t begin = out->size;
    unsigned room = columns > 1 ? columns - 1 : 1;
    if (rc == 0)
        rc = compose_prompt(edit, prompt, out);
    if (rc < 0)
        return rc;
    unsigned taken = bide__text_width(out->data + begin, out->size - begin);
    if (taken + COLUMNS_FOR_TEXT_MIN > room) {
        out->size = begin;
        taken = 0;
    }
    view->cursor_column = taken;
    view->drawn = true;
    rc = draw_text(view, edit, room - taken, out);
    if (rc == 0)
        rc = add(out, "\x1b[J\r");
    if (rc == 0 && view->cursor_column > 0)
        rc = add_move(out, view->cursor_column, 'C');
    return rc;
}

int bide__line_view_leave(struct bide__line_view *view, const struct bide__line_edit *edit,
                          const struct bide__text *prompt, unsigned columns, struct bide__text *out)
{
    int rc = bide__line_view_erase(view, columns, out);
    if (rc == 0)
        rc = bide__text_add(out, prompt->data, prompt->size);
    if (rc == 0)
        rc = bide__plain_add(out, edit->text.data, edit->text.size, NULL);
    return rc < 0 ? rc : add(out, "\r\n");
}
