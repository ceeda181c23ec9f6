/* What moves the cursor and changes the screen: the sequences of ECMA-48 that every terminal of
 * today knows. Also: text that has none. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "codec/utf8.h"
#include "io/terminal/terminal.h"

enum { SEQUENCE_BYTES_MAX = 64 };

static int write_text(bide_terminal *terminal, const char *text)
{
    if (!terminal)
        return -EINVAL;
    if (terminal->error < 0)
        return terminal->error;
    return bide_write(terminal->out, text, strlen(text));
}

int bide_terminal_clear(bide_terminal *terminal, enum bide_terminal_part part)
{
    static const char *const sequences[] = {"\x1b[H\x1b[2J", "\x1b[J", "\x1b[2K", "\x1b[K"};
    if ((int)part < BIDE_TERMINAL_SCREEN || part > BIDE_TERMINAL_REST_OF_ROW)
        return -EINVAL;
    return write_text(terminal, sequences[part]);
}

int bide_terminal_move(bide_terminal *terminal, unsigned column, unsigned row)
{
    char text[SEQUENCE_BYTES_MAX];
    if (column == 0 || row == 0)
        return -EINVAL;
    snprintf(text, sizeof text, "\x1b[%u;%uH", row, column);
    return write_text(terminal, text);
}

int bide_terminal_move_by(bide_terminal *terminal, int columns, int rows)
{
    char text[SEQUENCE_BYTES_MAX] = "";
    int n = 0;
    if (columns == INT_MIN || rows == INT_MIN)
        return -EINVAL;
    if (columns != 0)
        n = snprintf(text, sizeof text, "\x1b[%d%c", columns > 0 ? columns : -columns,
                     columns > 0 ? 'C' : 'D');
    if (rows != 0)
        snprintf(text + n, sizeof text - (size_t)n, "\x1b[%d%c", rows > 0 ? rows : -rows,
                 rows > 0 ? 'B' : 'A');
    return write_text(terminal, text);
}

int bide_terminal_save_cursor(bide_terminal *terminal)
{
    return write_text(terminal, "\0337");
}

int bide_terminal_restore_cursor(bide_terminal *terminal)
{
    return write_text(terminal, "\0338");
}

static int count_sequence(bide_terminal *terminal, unsigned n, char letter)
{
    char text[SEQUENCE_BYTES_MAX];
    if (n == 0)
        return -EINVAL;
    snprintf(text, sizeof text, "\x1b[%u%c", n, letter);
    return write_text(terminal, text);
}

int bide_terminal_delete_rows(bide_terminal *terminal, unsigned n)
{
    return count_sequence(terminal, n, 'M');
}

int bide_terminal_insert_rows(bide_terminal *terminal, unsigned n)
{
    return count_sequence(terminal, n, 'L');
}

int bide_terminal_scroll_rows(bide_terminal *terminal, unsigned first, unsigned last)
{
    char text[SEQUENCE_BYTES_MAX];
    bool all = first == 0 && last == 0;
    if (!terminal || (!all && (first == 0 || last <= first)))
        return -EINVAL;
    /* Setting it moves the cursor. */
    if (all)
        snprintf(text, sizeof text, "\0337\x1b[r\0338");
    else
        snprintf(text, sizeof text, "\0337\x1b[%u;%ur\0338", first, last);
    int rc = write_text(terminal, text);
    if (rc == 0)
        bide__terminal_leave_with(terminal, BIDE__TTY_LEAVE_REGION, !all);
    return rc;
}

size_t bide_terminal_plain(const char *text, size_t size, char *buffer, size_t capacity)
{
    size_t whole = 0, kept = 0;
    char bytes[BIDE__UTF8_BYTES_MAX];
    for (size_t at = 0, used; text && at < size; at += used) {
        size_t length = bide__plain_next(text + at, size - at, true, bytes, &used);
        if (whole == kept && kept + length < capacity) {
            memcpy(buffer + kept, bytes, length);
            kept += length;
        }
        whole += length;
    }
    if (capacity > 0)
        buffer[kept] = '\0';
    return whole;
}
