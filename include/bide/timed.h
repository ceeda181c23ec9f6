/* How long an expression takes, told as it begins and as it ends. */
#ifndef BIDE_TIMED_H
#define BIDE_TIMED_H

#include <bide/attributes.h>

#include <stdio.h>

BIDE_BEGIN_DECLARATIONS

/*
 * bide_timed(label, expression): evaluates an int expression, such as a call of a coroutine, and
 * tells about it on standard output:
 *
 *     starting delay(2)
 *     finished delay(2) in 2.0012 second(s)
 *
 * The clock is the loop's, or the monotonic one where no loop runs. label: a string; NULL for the
 * expression's own text. Returns the expression's value. Suspends: if the expression does. Cancel:
 * as the expression. Thread: any.
 */
#define bide_timed(label, expression) \
    BIDE__TIMED(__COUNTER__, stdout, label, #expression, expression)

/* bide_timed_to(stream, label, expression): bide_timed() on another FILE *. */
#define bide_timed_to(stream, label, expression) \
    BIDE__TIMED(__COUNTER__, stream, label, #expression, expression)

/* From here on: what the macros above expand to. Not to be used directly. */

struct bide__timed {
    FILE *stream;
    const char *label;
    double start;
};

/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT struct bide__timed bide__timed_begin(FILE *stream, const char *label, const char *text);
/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT int bide__timed_end(const struct bide__timed *timed, int rc);

/* The name is new each time, so that one may stand in the other. */
#define BIDE__TIMED(count, stream, label, text, expression) \
    BIDE__TIMED_AS(count, stream, label, text, expression)
#define BIDE__TIMED_AS(count, stream, label, text, expression) \
    (__extension__({ \
        struct bide__timed bide__timed_##count = bide__timed_begin((stream), (label), (text)); \
        bide__timed_end(&bide__timed_##count, (expression)); \
    }))

BIDE_END_DECLARATIONS

#endif
