/* What the parser of heads asks of the meaning of fields. Each returns 0, or refuses the head. */
#ifndef BIDE_CODEC_HTTP1_FIELDS_H
#define BIDE_CODEC_HTTP1_FIELDS_H

#include "codec/http1.h"

/* Returns -EBADMSG. */
int bide__http1_refuse(struct bide__http1_head *head, int status, const char *why);

int bide__http1_note_target(struct bide__http1_head *head, const char *data);
int bide__http1_note_field(struct bide__http1_head *head, const char *data,
                           const struct bide__http1_field *field);
/* All lines are there. */
int bide__http1_conclude(struct bide__http1_head *head);

#endif
