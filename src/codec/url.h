/* What others share of the parser of URLs; see bide/url.h. */
#ifndef BIDE_CODEC_URL_H
#define BIDE_CODEC_URL_H

#include <bide/attributes.h>

#include <stddef.h>

/* Takes segments of one and two dots out of a path that begins with a slash, in place: its new
 * size. */
BIDE_EXPORT size_t bide__url_remove_dots(char *path, size_t size);

#endif
