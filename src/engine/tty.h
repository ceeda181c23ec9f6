/*
 * Terminals: their modes, which outlive the process that changed them, and their size.
 *
 * This is the process's and no engine's, like the actions of signals: whoever ends the process must
 * put the modes back, however it ends and whichever loop runs. So it stands beside the contract
 * and not in it, and io sees it (docs/decisions/terminal.md).
 *
 * Invariants
 *  - While a terminal's mode is changed, every way out puts it back that the process can still do
 *    something on: close, exit(), a signal that ends or stops it. After a stop the mode is set
 *    again.
 *  - Signal actions are taken only while a mode is changed (SIGWINCH: while a terminal is open), of
 *    the signals that end or stop only where the program left the default; those of faults pass on
 *    to the action of before.
 *  - A terminal on which another process group is in the foreground is left alone.
 *  - A child after fork changes nothing on its way out.
 */
#ifndef BIDE_ENGINE_TTY_H
#define BIDE_ENGINE_TTY_H

#include <stdbool.h>

enum bide__tty_mode {
    BIDE__TTY_LINE,   /* as it was found */
    BIDE__TTY_CBREAK, /* bytes at once and without echo; keys that send signals do */
    BIDE__TTY_RAW,    /* every byte as it comes, and output as it is written */
};

/* What happened to it. */
enum {
    BIDE__TTY_RESIZED = 1,
    BIDE__TTY_CONTINUED = 2, /* after a stop: the mode is set, what is on the screen is unknown */
};

/* What is written to it when the mode is put back by anything but bide__tty_close(). */
enum {
    BIDE__TTY_LEAVE_PASTE = 1,  /* ends marked pastes */
    BIDE__TTY_LEAVE_ROW = 2,    /* goes to a row of its own */
    BIDE__TTY_LEAVE_REGION = 4, /* everything scrolls again */
};

struct bide__tty;

/* Of two descriptors, borrowed until return, of which it makes copies. -ENOTTY: `in` is no
 * terminal; -EMFILE, also if too many are open; -EBADF. */
int bide__tty_open(int in, int out, struct bide__tty **ret_tty);
/* The terminal that controls the process: a descriptor, -ENXIO if there is none, or an error. */
int bide__tty_controlling(void);
bool bide__tty_is(int fd);
/* One that bide__tty_controlling() made. */
void bide__tty_release(int fd);

/* 0 or an error, and then the mode is LINE or what it was. */
int bide__tty_set(struct bide__tty *tty, enum bide__tty_mode mode);
/* Both at least 1; 80 x 24 where the terminal does not know. */
void bide__tty_size(const struct bide__tty *tty, unsigned *ret_columns, unsigned *ret_rows);

/* Becomes readable when something happens. */
int bide__tty_event_fd(const struct bide__tty *tty);
/* What happened since the last call; it is not readable any more. */
unsigned bide__tty_take_events(struct bide__tty *tty);

void bide__tty_leave_with(struct bide__tty *tty, unsigned leave);

/* Puts the mode back, and writes what is to be left with. */
void bide__tty_close(struct bide__tty *tty);
/* In a child after fork: the same without touching the terminal. */
void bide__tty_forget(struct bide__tty *tty);

#endif
