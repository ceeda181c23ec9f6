/*
 * What clients make an answer depend on: versions that they have, parts that they want, codings
 * that they take. Pure.
 */
#ifndef BIDE_HTTP_CONDITIONAL_H
#define BIDE_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the list of entity tags in a field has this one, or is "*". is_strong: weak tags are like
 * none, and only like themselves otherwise. */
bool bide__http_etag_listed(const char *list, const char *etag, bool is_strong);

/* How much a client likes one of a list such as "gzip;q=0.5, *": 0 to 1000, or -1 if the list says
 * nothing of it. */
int bide__http_quality(const char *list, const char *token);

struct bide__http_range {
    int64_t first;
    int64_t size;
};

enum { BIDE__HTTP_RANGES_MAX = 16 };

/*
 * What a field Range asks of so many bytes: how many ranges, in their order; 0: the field is to be
 * ignored, because it is malformed or asks for more than the whole; -ERANGE: nothing of it is
 * there.
 */
int bide__http_ranges(const char *field, int64_t size,
                      struct bide__http_range ret_ranges[BIDE__HTTP_RANGES_MAX]);

#endif
