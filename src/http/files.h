/* A file that is open, as an answer. */
#ifndef BIDE_HTTP_FILES_INTERNAL_H
#define BIDE_HTTP_FILES_INTERNAL_H

#include <bide/file.h>
#include <bide/http_files.h>

struct bide__http_file {
    const char *type;
    const char *cache_control; /* NULL: none */
    bool is_packed;            /* with gzip */
    bool varies;               /* another client might get it packed, or not */
};

/* Answers with it; it is a regular file. Stays open. */
int bide__http_reply_opened(bide_http_request *request, bide_file *file,
                            const struct bide_file_status *status,
                            const struct bide__http_file *how);
/* Answers what it means that a file could not be opened; or the error. */
int bide__http_reply_missing(bide_http_request *request, int error);
bool bide__http_takes_gzip(const bide_http_request *request);

/* Answers with what is in a directory; takes the file. */
int bide__http_reply_list(bide_http_request *request, bide_file *directory, bool is_top,
                          bool shows_hidden);

#endif
