/* The part of locks and their like that lies in the object itself: who waits for it. */
#ifndef BIDE_LINE_H
#define BIDE_LINE_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* A node of a doubly linked list. Not for users. */
struct bide__list {
    struct bide__list *next;
    struct bide__list *prev;
};

/* Tasks that wait, first come first served. Zeroed: nobody. Not for users. */
struct bide__line {
    struct bide__list ring;
};

BIDE_END_DECLARATIONS

#endif
