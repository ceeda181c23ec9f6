/* Lines of an access log. */
#ifndef BIDE_HTTP_LOG_H
#define BIDE_HTTP_LOG_H

#include <bide/http_middleware.h>

enum { BIDE__HTTP_LOG_LINE = 3072 }; /* bytes, the newline included; what is longer is cut */

struct bide__http_log_entry {
    double begun;
    double seconds;
    int64_t wall_seconds;
};

/* Writes one line; its length. */
size_t bide__http_log_print(const struct bide__http_log_entry *entry,
                            const bide_http_request *request, enum bide_http_log_format format,
                            char line[BIDE__HTTP_LOG_LINE]);

#endif
