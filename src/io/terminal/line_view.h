/*
 * A line that is being edited, as text for the screen. Without I/O.
 *
 * It takes one row, the last one that anything stands in. A line that is longer than the screen is
 * shown in part, around the cursor, with < and > where more is; the last column stays empty,
 * because what terminals do there differs. Why it is not wrapped is in docs/decisions/terminal.md.
 */
#ifndef BIDE_IO_LINE_VIEW_H
#define BIDE_IO_LINE_VIEW_H

#include "io/terminal/line_edit.h"

/* What of the line is shown, and where the cursor was left. Zeroed: nothing is. */
struct bide__line_view {
    unsigned left; /* columns of the text that lie left of the screen */
    unsigned cursor_column;
    bool drawn;
};

/* Appends what takes the row off the screen. All of these: 0 or -ENOMEM, and then what was appended
 * is of no use. */
int bide__line_view_erase(struct bide__line_view *view, unsigned columns, struct bide__text *out);

/* Appends what puts the row on the screen, in the place of what was drawn before. */
int bide__line_view_draw(struct bide__line_view *view, const struct bide__line_edit *edit,
                         const struct bide__text *prompt, unsigned columns, struct bide__text *out);

/* Appends what leaves the whole line behind, as text above what comes next. */
int bide__line_view_leave(struct bide__line_view *view, const struct bide__line_edit *edit,
                          const struct bide__text *prompt, unsigned columns,
                          struct bide__text *out);

/*
 * The next character of a text such that it cannot control the terminal, into a buffer of
 * BIDE__UTF8_BYTES_MAX bytes: control characters become visible ones, what is no UTF-8 and what
 * changes the direction of writing U+FFFD. With `lines`, newlines and tabs stay. Returns its
 * length; ret_used: how many bytes of the text it stands for.
 */
size_t bide__plain_next(const char *text, size_t size, bool lines, char *buffer, size_t *ret_used);

/* Appends a text so. If `newline` is given, newlines and tabs stay, and it stands for each newline.
 */
int bide__plain_add(struct bide__text *out, const char *text, size_t size, const char *newline);

#endif
