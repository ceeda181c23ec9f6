/*
 * A line that is being edited: what keys make of it. Without I/O; line_view.h puts it on a screen.
 *
 * Invariants
 *  - The text is valid UTF-8 and at most `bytes_max` long; control characters in it are newlines
 * and tabs of a paste and nothing else.
 *  - The cursor is between two clusters.
 *  - A key that fails for want of memory has changed nothing.
 */
#ifndef BIDE_IO_LINE_EDIT_H
#define BIDE_IO_LINE_EDIT_H

#include "codec/keys.h"
#include "io/terminal/text.h"

/* What a key led to. */
enum bide__edited {
    BIDE__EDITED_NOTHING,
    BIDE__EDITED_CHANGE,
    BIDE__EDITED_BELL,    /* nothing, and the user should know */
    BIDE__EDITED_CLEAR,   /* the screen is to be cleared */
    BIDE__EDITED_ENTERED, /* the line is done */
    BIDE__EDITED_END,     /* there will be no line */
    BIDE__EDITED_INTERRUPT,
};

/* Lines of before, the oldest first. */
struct bide__history {
    char **lines;
    size_t n;
    size_t max;
};

struct bide__line_edit {
    struct bide__text text;
    size_t cursor;
    size_t bytes_max;
    bool entered;       /* the text is done: the next line begins empty */
    bool kills;         /* this key took text away */
    bool killed_before; /* the one before did: what this one takes is added to that */
    bool pasted_return; /* a newline behind it is the same one */
    struct bide__text killed;
    struct bide__history history;
    size_t at;               /* which line of the history is shown; history.n: none */
    struct bide__text typed; /* what was there before the history was looked at */
    bool searching;          /* in the history, for … */
    struct bide__text query;
};

void bide__line_edit_init(struct bide__line_edit *edit, size_t bytes_max, size_t history_max);
void bide__line_edit_fini(struct bide__line_edit *edit);

/* Before the first key of a line, and of one that goes on. */
void bide__line_edit_begin(struct bide__line_edit *edit);
/* The line is done: what stands in it is added to the history, if there is memory, and goes when
 * the next one begins. */
void bide__line_edit_enter(struct bide__line_edit *edit);

/* What the key did (enum bide__edited), or -ENOMEM. */
int bide__line_edit_key(struct bide__line_edit *edit, const struct bide__key *key);

/* Adds text at the cursor as if it were pasted: BIDE__EDITED_CHANGE, or BIDE__EDITED_BELL if it
 * does not fit whole; -ENOMEM. */
int bide__line_edit_insert(struct bide__line_edit *edit, const char *text, size_t size);

/* Adds a line, unless it is empty or the last one again; the oldest goes if it has to. 0, -ENOMEM.
 */
int bide__history_add(struct bide__line_edit *edit, const char *line, size_t size);

/* Of line_edit.c, for the history's keys: puts another text in the place of the line's. */
int bide__line_edit_set(struct bide__line_edit *edit, const char *text, size_t size);

/* Of line_history.c. Older and newer lines; the search, begun and gone on with. */
int bide__history_older(struct bide__line_edit *edit);
int bide__history_newer(struct bide__line_edit *edit);
int bide__history_search(struct bide__line_edit *edit);
/* A key during the search. Sets `used` if it is of no further meaning. */
int bide__history_search_key(struct bide__line_edit *edit, const struct bide__key *key,
                             bool *ret_used);

#endif
