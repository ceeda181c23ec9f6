/*
 * The terminal: its modes, its size, lines edited by the user, and text printed above them.
 *
 * While a terminal's mode is changed, the former one comes back on every way out: closing, the end
 * of the loop, exit(), a signal that ends the process (SIGSEGV and its like among them, whose
 * handlers of before are called), a stop by Ctrl-Z, after which the mode is set again. For that,
 * the signals for which the program has no handler are caught while the mode is changed.
 *
 * One task reads; any may print. All text is UTF-8.
 */
#ifndef BIDE_TERMINAL_H
#define BIDE_TERMINAL_H

#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* An open terminal. */
typedef struct bide_terminal bide_terminal;

/* Who makes lines of what is typed. */
enum bide_terminal_mode {
    BIDE_TERMINAL_LINE,   /* the kernel, as ever: the terminal stays as it is */
    BIDE_TERMINAL_CBREAK, /* we do: bytes come at once and are not echoed; Ctrl-C, Ctrl-Z and
                             Ctrl-\ are signals still */
    BIDE_TERMINAL_RAW     /* the same, and nothing is a signal; output needs "\r\n" */
};

/* How a terminal is opened; zeroed fields mean defaults. */
struct bide_terminal_opts {
    enum bide_terminal_mode mode;
    int input_fd;          /* 0: standard input */
    int output_fd;         /* 0: standard output */
    bool controlling;      /* the process's terminal in the place of what is none of the two */
    bool erase_entered;    /* what was entered goes from the screen, instead of scrolling up */
    bool no_history;       /* keep no lines */
    unsigned history_max;  /* keep so many; 0: 500 */
    size_t line_bytes_max; /* more is not taken of a line; 0: 4,096; at most 1 MiB */
    double escape_seconds; /* how long an escape waits for the rest of its key; 0: 0.05 */
};

/*
 * Opens the terminal that standard input and output are, and sets its mode.
 *
 * opts: borrowed until return; NULL for defaults. ret_terminal: returns owned, to be given back
 * with bide_terminal_close(); descriptors stay the caller's.
 * Returns 0; -ENOTTY if input or output is no terminal; -ENXIO if there is none that controls the
 * process; -EMFILE (or eight are open), -EIO (in the background of one that has gone), -ENOMEM,
 * -EBADF, -EINVAL, -ESHUTDOWN; -ENOSYS in simulation.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_open(const struct bide_terminal_opts *opts,
                                   bide_terminal **ret_terminal);

/*
 * Takes the edited line off the screen, flushes, and puts the mode back. Other tasks' calls fail
 * with -ECONNABORTED.
 *
 * terminal: takes, whatever is returned; NULL is allowed.
 * Returns 0, or why not all of the output went out. Suspends: yes, a join. Cancel: does not wait;
 * the mode is back all the same. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_close(bide_terminal *terminal);

/*
 * Changes the mode, as for running another program on the terminal in between.
 *
 * Returns 0, -EBUSY while a task reads a line, -ECONNABORTED, the terminal's error, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_set_mode(bide_terminal *terminal, enum bide_terminal_mode mode);

/*
 * How large the screen is; 80 x 24 if the terminal does not know.
 *
 * ret_columns, ret_rows: each may be NULL. Returns 0, -ECONNABORTED after the loop's end, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_size(const bide_terminal *terminal, unsigned *ret_columns,
                                   unsigned *ret_rows);

/*
 * Waits until the screen has another size than the caller knows of. Needs that SIGWINCH is not
 * caught by a handler that was set later.
 *
 * columns, rows: what is known, then what is. Any number of tasks may wait.
 * Returns 0, -ECANCELED, -ECONNABORTED, -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel: nothing was
 * changed. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_wait_size(bide_terminal *terminal, unsigned *columns, unsigned *rows);

/*
 * Lets the user edit a line and waits until it is entered. In mode BIDE_TERMINAL_LINE the kernel's
 * editing is all there is; otherwise the keys are those of Emacs and readline (docs/guide). What is
 * pasted is inserted with its newlines, and none of them enters the line.
 *
 * prompt: at most 1,024 bytes, shown as plain text; copied. ret_line: valid UTF-8, terminated by a
 * NUL, without a newline at its end; control characters in it are "\n" and "\t" and nothing else;
 * borrowed from the terminal until the next call that reads or closes it.
 * Returns how many bytes the line has and one more, so that 1 is an empty line; 0 at the end
 * (Ctrl-D on an empty line, or the terminal has gone); -EINTR for Ctrl-C in raw mode; -ECANCELED,
 * -EBUSY (another task reads), -ECONNABORTED, -EMSGSIZE (the prompt), -ENOMEM, the terminal's
 * error, -EINVAL, -BIDE_ENOTASK. Suspends: yes. Cancel: the line is taken off the screen, and the
 * next call goes on with what was typed. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_read_line(bide_terminal *terminal, const char *prompt,
                                        char **ret_line);

/*
 * Puts text into the line that is edited or will be, at the cursor, as a paste does.
 *
 * text: copied. Returns 0, -BIDE_ELIMIT if not all of it fits, -ENOMEM, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_type(bide_terminal *terminal, const char *text, size_t size);

/*
 * Adds a line to the history, as entering it does: not if it is empty or the last one again.
 *
 * Returns 0, -ENOMEM, -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_add_history(bide_terminal *terminal, const char *line);

/*
 * Prints text as lines of their own, above the line that is being edited. Nothing in the text can
 * control the terminal: see bide_terminal_plain().
 *
 * text: at most 16 KiB (-EMSGSIZE), borrowed until return; a newline at its end makes no empty
 * line. Returns 0, -ECANCELED, -ECONNABORTED, -EMSGSIZE, -ENOMEM, the terminal's error, -EINVAL,
 * -BIDE_ENOTASK. Suspends: yes, while the terminal takes no output. Cancel: nothing was printed.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_print(bide_terminal *terminal, const char *text, size_t size);

/*
 * The same for text whose escape sequences are meant: colours and their like. What moves the cursor
 * to another row disturbs the edited line.
 *
 * Suspends: yes, while the terminal takes no output. Cancel: nothing was printed. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_terminal_print_styled(bide_terminal *terminal, const char *text, size_t size);

/*
 * Text made harmless: control characters as visible ones (an escape as U+241B), what is not UTF-8
 * and what changes the direction of writing as U+FFFD; newlines and tabs stay.
 *
 * buffer: gets at most capacity - 1 bytes, whole characters, and a NUL; may be NULL if capacity is
 * 0. Returns how many bytes the whole has. Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT size_t bide_terminal_plain(const char *text, size_t size, char *buffer,
                                       size_t capacity);

/*
 * The streams of input and output, borrowed: for bytes as they come, while no line is read. What
 * was typed ahead of the end of a line stays with the terminal. NULL after the loop's end.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_stream *bide_terminal_input(const bide_terminal *terminal);
/*
 * The one for output, see above.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT bide_stream *bide_terminal_output(const bide_terminal *terminal);

/* Parts of the screen. */
enum bide_terminal_part {
    BIDE_TERMINAL_SCREEN,      /* all of it; the cursor goes to the first row and column */
    BIDE_TERMINAL_BELOW,       /* from the cursor to the end of the screen */
    BIDE_TERMINAL_ROW,         /* the row that the cursor is in */
    BIDE_TERMINAL_REST_OF_ROW, /* from the cursor to its end */
};

/*
 * Makes a part of the screen blank. This and the calls below write to the output stream, in order
 * with bide_write() to it.
 *
 * Returns as bide_write(); -EINVAL.
 * Suspends: yes. Cancel: nothing was written. Thread: loop thread only.
 */
BIDE_EXPORT int bide_terminal_clear(bide_terminal *terminal, enum bide_terminal_part part);

/*
 * Moves the cursor to a place; rows and columns count from 1.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_move(bide_terminal *terminal, unsigned column, unsigned row);

/*
 * Moves the cursor by so many columns to the right and rows down, or back with negative numbers, as
 * far as the screen goes.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_move_by(bide_terminal *terminal, int columns, int rows);

/*
 * Has the terminal remember where the cursor is.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_save_cursor(bide_terminal *terminal);

/*
 * Moves the cursor to where it was saved.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_restore_cursor(bide_terminal *terminal);

/*
 * Takes n rows out of the screen, from the cursor's on; those below move up.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_delete_rows(bide_terminal *terminal, unsigned n);

/*
 * Makes room for n rows at the cursor's; it and those below move down.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_insert_rows(bide_terminal *terminal, unsigned n);

/*
 * Limits scrolling to some rows, counted from 1; 0 and 0: the whole screen again. The cursor stays.
 *
 * Returns as bide_terminal_clear(). Suspends: yes. Cancel: nothing was written. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_terminal_scroll_rows(bide_terminal *terminal, unsigned first, unsigned last);

BIDE_END_DECLARATIONS

#endif
