/* What the parser of forms asks of the meaning of heads. */
#ifndef BIDE_CODEC_MULTIPART_HEAD_H
#define BIDE_CODEC_MULTIPART_HEAD_H

#include "codec/multipart.h"

/* Returns `error`. */
int bide__multipart_refuse(struct bide__multipart *parser, int error, const char *why);

/* The head is whole: takes out of it what the part is. 0, or refuses it. */
int bide__multipart_describe(struct bide__multipart *parser);

#endif
