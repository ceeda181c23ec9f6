/*
 * A terminal, as opening it, reading lines and printing share it.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is `inside`, and the device (`tty` and
 *    `watch`, which are open together). Calls that a closing loop abandoned do not count any more.
 *  - `in` and `out` are there until the owner closes the terminal; whoever waited looks at `error`
 *    before touching them again.
 *  - While `active` the last row of the screen is the edited line's, as `view` has it; all that is
 *    written then begins by taking it off and ends by drawing it.
 *  - What is written for the edited line never waits: a terminal that takes nothing must not hold
 *    up keys. It is drawn again by whatever is written next.
 */
#ifndef BIDE_IO_TERMINAL_H
#define BIDE_IO_TERMINAL_H

#include "engine/tty.h"
#include "io/stream/stream.h"
#include "io/terminal/line_edit.h"
#include "io/terminal/line_view.h"
#include "runtime/line.h"

#include <bide/terminal.h>

enum {
    BIDE__TERMINAL_BYTES = 512,
    BIDE__PROMPT_BYTES_MAX = 1024,
    BIDE__PRINT_BYTES_MAX = 16 * 1024,
};

struct bide_terminal {
    bide_loop *loop;
    unsigned refs;
    unsigned inside;
    int error; /* why every new call fails */
    struct bide__resource resource;
    struct bide_terminal_opts opts; /* without zeroes */
    bide_stream *in, *out;
    struct bide__tty *tty;
    struct bide_watch *watch;
    unsigned leave;          /* BIDE__TTY_LEAVE_… */
    struct bide__line sizes; /* tasks that wait for another size */

    unsigned n_printers; /* tasks that print: who comes new lets those before go first */
    bool reading;
    bool active;
    bool stale; /* the row on the screen is not what it should be */
    char bytes[BIDE__TERMINAL_BYTES];
    size_t begin, end; /* those of `bytes` that are not used yet */
    struct bide__keys keys;
    struct bide__line_edit edit;
    struct bide__line_view view;
    struct bide__text prompt;
    struct bide__text screen; /* what is being composed, never over a wait */
};

static inline void bide__terminal_enter(bide_terminal *terminal)
{
    terminal->inside++;
    terminal->refs++;
}
void bide__terminal_leave(bide_terminal *terminal);

/* Of terminal_line.c. Draws the row again, if one is shown; 0 or an error. */
int bide__terminal_show(bide_terminal *terminal);
/* Takes it off the screen for good. */
void bide__terminal_hide(bide_terminal *terminal);
/* What the device is left with if the process ends now. */
void bide__terminal_leave_with(bide_terminal *terminal, unsigned flag, bool on);

#endif
