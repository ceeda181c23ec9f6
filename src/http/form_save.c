/*
 * A field of a form as a file. Invariant: whatever happens, the path stands for what it did before,
 * or for all of the field; nothing is left beside it.
 */
#include "http/exchange.h"
#include "http/form.h"

#include <bide/error.h>
#include <bide/path.h>
#include <bide/timeout.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 65536, NAME_BYTES = 20 };

static int copy_pieces(const struct bide__http_part *part, bide_file *to, char *piece)
{
    uint64_t done = 0;
    while (done < part->size) {
        uint64_t left = part->size - done;
        ssize_t n = bide_file_read_at(
            part->file, piece, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, (int64_t)done);
        if (n == 0)
            return bide_fail(-BIDE_EINCOMPLETE, "a received file has become shorter");
        int rc = n < 0 ? (int)n : bide_file_write_at(to, piece, (size_t)n, (int64_t)done, NULL);
        if (rc < 0)
            return rc;
        done += (uint64_t)n;
    }
    return 0;
}

static int copy_to(const struct bide__http_part *part, bide_file *to)
{
    char *piece = malloc(PIECE_BYTES);
    int rc = piece ? copy_pieces(part, to, piece) : -ENOMEM;
    free(piece);
    int closed = bide_file_close(to);
    return rc < 0 ? rc : closed;
}

/* Under another name in the same folder first. */
static int save_beside(const struct bide__http_part *part, const char *path)
{
    uint64_t random;
    bide_file *to;
    size_t size = strlen(path) + NAME_BYTES;
    int rc = bide__http_entropy(&random, sizeof random);
    if (rc < 0)
        return rc;
    char *name = malloc(size);
    if (!name)
        return -ENOMEM;
    snprintf(name, size, "%s.%016" PRIx64, path, random);
    rc = bide_file_open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666, &to);
    if (rc == 0) {
        rc = copy_to(part, to);
        if (rc == 0)
            rc = bide_path_rename(name, path);
        if (rc < 0)
            (void)bide_shielded(INFINITY, bide_path_unlink(name));
    }
    free(name);
    return rc;
}

int bide_http_form_save(const bide_http_form *form, size_t i, const char *path)
{
    if (!form || !path || !*path || path[strlen(path) - 1] == '/')
        return -EINVAL;
    const struct bide__http_part *part = bide__http_form_part(form, i);
    if (!part)
        return -ENOENT;
    if (part->data)
        return bide_file_store(path, part->data, (size_t)part->size, NULL);
    return part->file ? save_beside(part, path) : -EINVAL;
}
