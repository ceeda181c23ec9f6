/*
 * A line that is edited while something else prints above it. Without a terminal the lines come
 * from standard input as they are.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

bide_async(ticks, (bide_terminal *, terminal))
{
    char text[32];
    for (int i = 1;; i++) {
        int rc = bide_sleep(1);
        if (rc < 0)
            return rc;
        int n = snprintf(text, sizeof text, "%d s", i);
        rc = bide_terminal_print(terminal, text, (size_t)n); /* above the line */
        if (rc < 0)
            return rc;
    }
}

static int edited(bide_terminal *terminal)
{
    char *line;
    int rc;
    while ((rc = bide_terminal_read_line(terminal, "say> ", &line)) > 0) {
        rc = bide_terminal_print(terminal, line, strlen(line));
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int plain(void)
{
    bide_stream *in;
    char *line;
    int rc = bide_stdin(NULL, &in);
    if (rc < 0)
        return rc;
    while ((rc = bide_read_line(in, &line)) > 0)
        printf("%s\n", line);
    bide_close(in);
    return rc;
}

bide_async(amain)
{
    bide_terminal *terminal;
    unsigned columns, rows;
    struct bide_terminal_opts opts = {.mode = BIDE_TERMINAL_CBREAK};
    int rc = bide_terminal_open(&opts, &terminal);
    if (rc == -ENOTTY) {
        printf("no terminal: %s\n", bide_strerror(rc));
        return plain();
    }
    if (rc < 0)
        return rc;
    bide_terminal_size(terminal, &columns, &rows);
    bide_terminal_clear(terminal, BIDE_TERMINAL_SCREEN);
    bide_terminal_move(terminal, 1, rows); /* messages scroll up from the last row */
    bide_task *ticker = bide_spawn(ticks, terminal);
    rc = edited(terminal);
    bide_cancel_join(&ticker, 1);
    int closed = bide_terminal_close(terminal);
    return rc < 0 ? rc : closed;
}

int main(void)
{
    return bide_run(amain);
}
