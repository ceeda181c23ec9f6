/*
 * Reading a line that the user edits, and printing above it; the invariants stand in terminal.h.
 *
 * What was typed is in `edit` and `bytes`, never on the stack, so that a call that ends early loses
 * nothing.
 */
#include "io/terminal/terminal.h"

#include <stdlib.h>
#include <string.h>

#include <bide/timeout.h>

static const char paste_on[] = "\x1b[?2004h";
static const char paste_off[] = "\x1b[?2004l";

static unsigned columns_of(const bide_terminal *terminal)
{
    unsigned columns, rows;
    bide__tty_size(terminal->tty, &columns, &rows);
    return columns;
}

static int add(bide_terminal *terminal, const char *text)
{
    return bide__text_add(&terminal->screen, text, strlen(text));
}

/* Writes what was composed; it is less than the stream's high-water mark. 0, -EAGAIN if there is no
 * room now, or an error. */
static int put(bide_terminal *terminal)
{
    if (terminal->screen.size == 0)
        return 0;
    return bide_offer(terminal->out, terminal->screen.data, terminal->screen.size);
}

/* The row */

static int compose_row(bide_terminal *terminal)
{
    int rc = add(terminal, paste_on);
    if (rc < 0)
        return rc;
    return bide__line_view_draw(&terminal->view, &terminal->edit, &terminal->prompt,
                                columns_of(terminal), &terminal->screen);
}

int bide__terminal_show(bide_terminal *terminal)
{
    struct bide__line_view before = terminal->view;
    if (terminal->error < 0)
        return terminal->error;
    if (!terminal->active)
        return 0;
    terminal->screen.size = 0;
    int rc = compose_row(terminal);
    if (rc == 0)
        rc = put(terminal);
    terminal->stale = rc < 0;
    if (rc < 0)
        terminal->view = before;
    return rc == -EAGAIN ? 0 : rc;
}

/* The row goes, or stays as text if the line was entered. */
static void end_row(bide_terminal *terminal, bool entered)
{
    if (!terminal->active)
        return;
    unsigned columns = columns_of(terminal);
    terminal->active = false;
    terminal->screen.size = 0;
    int rc;
    if (entered && !terminal->opts.erase_entered)
        rc = bide__line_view_leave(&terminal->view, &terminal->edit, &terminal->prompt, columns,
                                   &terminal->screen);
    else
        rc = bide__line_view_erase(&terminal->view, columns, &terminal->screen);
    if (rc == 0)
        rc = add(terminal, paste_off);
    if (rc == 0)
        rc = put(terminal);
    terminal->view = (struct bide__line_view){0};
    bide__terminal_leave_with(terminal, BIDE__TTY_LEAVE_ROW, false);
    if (rc == 0)
        bide__terminal_leave_with(terminal, BIDE__TTY_LEAVE_PASTE, false);
}

void bide__terminal_hide(bide_terminal *terminal)
{
    if (terminal->tty)
        end_row(terminal, false);
}

static int begin_row(bide_terminal *terminal)
{
    if (terminal->opts.mode == BIDE_TERMINAL_LINE) {
        terminal->screen.size = 0;
        int rc = bide__text_add(&terminal->screen, terminal->prompt.data, terminal->prompt.size);
        if (rc == 0)
            rc = put(terminal);
        return rc == -EAGAIN ? 0 : rc;
    }
    terminal->active = true;
    terminal->view = (struct bide__line_view){0};
    bide__terminal_leave_with(terminal, BIDE__TTY_LEAVE_ROW | BIDE__TTY_LEAVE_PASTE, true);
    return bide__terminal_show(terminal);
}

/* Keys */

static int ring(bide_terminal *terminal)
{
    int rc = bide_offer(terminal->out, "\a", 1);
    return rc == -EAGAIN ? 0 : rc;
}

static int clear_screen(bide_terminal *terminal)
{
    terminal->screen.size = 0;
    int rc = add(terminal, "\x1b[H\x1b[2J");
    if (rc == 0)
        rc = put(terminal);
    if (rc == 0)
        terminal->view.drawn = false;
    return rc == -EAGAIN ? 0 : rc;
}

/* One key: what is over by it (BIDE__EDITED_ENTERED and what follows), 0, or an error. */
static int take_key(bide_terminal *terminal, struct bide__key *key, bool *changed)
{
    bool cooked = terminal->opts.mode == BIDE_TERMINAL_LINE;
    bool newline = key->kind == BIDE__KEY_CHARACTER && key->character == '\n';
    if (cooked && newline)
        return BIDE__EDITED_ENTERED;
    if (cooked && key->kind != BIDE__KEY_CHARACTER)
        return 0;
    key->pasted = key->pasted || cooked; /* the kernel has done the editing */
    int rc = bide__line_edit_key(&terminal->edit, key);
    if (rc == BIDE__EDITED_CHANGE || rc == BIDE__EDITED_CLEAR)
        *changed = true;
    if (rc == BIDE__EDITED_BELL)
        return cooked ? 0 : ring(terminal);
    if (rc == BIDE__EDITED_CLEAR)
        return clear_screen(terminal);
    return rc >= BIDE__EDITED_ENTERED || rc < 0 ? rc : 0;
}

/* All bytes that are there, up to one that ends the line. As take_key(). */
static int take_bytes(bide_terminal *terminal, bool *changed)
{
    int rc = 0;
    struct bide__key keys[2];
    while (rc == 0 && terminal->begin < terminal->end) {
        unsigned char byte = (unsigned char)terminal->bytes[terminal->begin++];
        int n = bide__keys_take(&terminal->keys, byte, keys);
        for (int i = 0; i < n && rc == 0; i++)
            rc = take_key(terminal, &keys[i], changed);
    }
    return rc;
}

/* Waits for bytes: how many, 0 at the terminal's end, or an error. */
static int fill(bide_terminal *terminal)
{
    terminal->begin = terminal->end = 0;
    char *bytes = terminal->bytes;
    int rc = bide__keys_unfinished(&terminal->keys)
                 ? bide_within(terminal->opts.escape_seconds,
                               bide_read(terminal->in, bytes, sizeof terminal->bytes))
                 : bide_read(terminal->in, bytes, sizeof terminal->bytes);
    if (terminal->error < 0)
        return terminal->error;
    terminal->end = rc > 0 ? (size_t)rc : 0;
    return rc;
}

/* Until something is over: what it is, or an error. */
static int edit_line(bide_terminal *terminal)
{
    for (;;) {
        bool changed = false;
        struct bide__key key;
        int rc = take_bytes(terminal, &changed);
        if (rc == 0 && (changed || terminal->stale))
            rc = bide__terminal_show(terminal);
        if (rc != 0)
            return rc;
        rc = fill(terminal);
        if (rc == 0)
            return BIDE__EDITED_END;
        if (rc == -ETIMEDOUT && bide__keys_expire(&terminal->keys, &key) > 0)
            rc = take_key(terminal, &key, &changed);
        else if (rc == -ETIMEDOUT || rc > 0)
            rc = 0;
        if (rc != 0)
            return rc;
        terminal->stale = terminal->stale || changed;
    }
}

/* What the caller gets for it. */
static int finish_line(bide_terminal *terminal, int edited, char **ret_line)
{
    struct bide__line_edit *edit = &terminal->edit;
    bool entered = edited == BIDE__EDITED_ENTERED ||
                   (edited == BIDE__EDITED_END && edit->text.size > 0 &&
                    terminal->opts.mode == BIDE_TERMINAL_LINE);
    if (terminal->error < 0)
        return terminal->error;
    if (entered) {
        bide__line_edit_enter(edit);
        end_row(terminal, true);
        *ret_line = bide__text_string(&edit->text);
        return (int)edit->text.size + 1;
    }
    end_row(terminal, false);
    if (edited == BIDE__EDITED_INTERRUPT) {
        edit->text.size = edit->cursor = 0;
        return -EINTR;
    }
    return edited == BIDE__EDITED_END ? 0 : edited;
}

static int read_line(bide_terminal *terminal, const char *prompt, char **ret_line)
{
    terminal->prompt.size = 0;
    int rc = bide__plain_add(&terminal->prompt, prompt, strlen(prompt), NULL);
    if (rc == 0)
        rc = bide__text_reserve(&terminal->edit.text, 0);
    if (rc < 0)
        return rc;
    bide__line_edit_begin(&terminal->edit);
    rc = begin_row(terminal);
    if (rc == 0)
        rc = edit_line(terminal);
    return finish_line(terminal, rc, ret_line);
}

int bide_terminal_read_line(bide_terminal *terminal, const char *prompt, char **ret_line)
{
    struct bide__coro *coro;
    int rc = terminal && prompt && ret_line ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0)
        rc = terminal->error;
    if (rc == 0 && terminal->reading)
        rc = -EBUSY;
    if (rc == 0 && strlen(prompt) > BIDE__PROMPT_BYTES_MAX)
        rc = -EMSGSIZE;
    if (rc < 0)
        return rc;
    terminal->reading = true;
    bide__terminal_enter(terminal);
    rc = read_line(terminal, prompt, ret_line);
    terminal->reading = false;
    bide__terminal_leave(terminal);
    return rc;
}

int bide_terminal_type(bide_terminal *terminal, const char *text, size_t size)
{
    if (!terminal || (!text && size > 0))
        return -EINVAL;
    if (terminal->edit.entered && !terminal->reading)
        bide__line_edit_begin(&terminal->edit);
    int rc = bide__line_edit_insert(&terminal->edit, text, size);
    if (rc < 0)
        return rc;
    bide__terminal_show(terminal);
    return rc == BIDE__EDITED_BELL ? -BIDE_ELIMIT : 0;
}

int bide_terminal_add_history(bide_terminal *terminal, const char *line)
{
    if (!terminal || !line)
        return -EINVAL;
    return bide__history_add(&terminal->edit, line, strlen(line));
}

/* Printing */

static int add_styled(struct bide__text *out, const char *text, size_t size)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < size; i++)
        rc = text[i] == '\n' ? bide__text_add(out, "\r\n", 2) : bide__text_add(out, text + i, 1);
    return rc;
}

static int compose_print(bide_terminal *terminal, const char *text, size_t size, bool styled)
{
    int rc = 0;
    struct bide__text *screen = &terminal->screen;
    screen->size = 0;
    if (terminal->active)
        rc = bide__line_view_erase(&terminal->view, columns_of(terminal), screen);
    if (rc == 0)
        rc = styled ? add_styled(screen, text, size) : bide__plain_add(screen, text, size, "\r\n");
    if (rc == 0 && (size == 0 || text[size - 1] != '\n'))
        rc = bide__text_add(screen, "\r\n", 2);
    if (rc == 0 && terminal->active)
        rc = compose_row(terminal);
    return rc;
}

/* Composed anew whenever there may be room: the row is as it is then. */
static int print_when_room(bide_terminal *terminal, const char *text, size_t size, bool styled)
{
    bool behind_others = terminal->n_printers > 1;
    for (;;) {
        struct bide__line_view before = terminal->view;
        int rc = behind_others ? -EAGAIN : compose_print(terminal, text, size, styled);
        behind_others = false;
        if (rc == 0)
            rc = put(terminal);
        if (rc == 0)
            terminal->stale = false;
        else
            terminal->view = before;
        if (rc != -EAGAIN)
            return rc;
        rc = bide_drain(terminal->out);
        if (terminal->error < 0)
            return terminal->error;
        if (rc < 0)
            return rc;
    }
}

static int print(bide_terminal *terminal, const char *text, size_t size, bool styled)
{
    terminal->n_printers++;
    int rc = print_when_room(terminal, text, size, styled);
    terminal->n_printers--;
    return rc;
}

static int print_checked(bide_terminal *terminal, const char *text, size_t size, bool styled)
{
    struct bide__coro *coro;
    int rc = terminal && (text || size == 0) ? bide__suspend(&coro) : -EINVAL;
    if (rc == 0)
        rc = terminal->error;
    if (rc == 0 && size > BIDE__PRINT_BYTES_MAX)
        rc = -EMSGSIZE;
    if (rc < 0)
        return rc;
    bide__terminal_enter(terminal);
    rc = print(terminal, text, size, styled);
    bide__terminal_leave(terminal);
    return rc;
}

int bide_terminal_print(bide_terminal *terminal, const char *text, size_t size)
{
    return print_checked(terminal, text, size, false);
}

int bide_terminal_print_styled(bide_terminal *terminal, const char *text, size_t size)
{
    return print_checked(terminal, text, size, true);
}
