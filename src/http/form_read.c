/*
 * Forms read whole; see bide/http_form_read.h.
 *
 * Invariant: all texts together have at most `text_bytes`, all files that are in memory at most
 * `memory_bytes`. The file that would be beyond that goes to disk, whatever it is.
 */
#include "http/form.h"
#include "http/form_reader.h"

#include <bide/error.h>
#include <bide/path.h>
#include <bide/timeout.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct whole {
    bide_http_form_reader *reader;
    bide_http_form *form;
    size_t n_text;   /* bytes of names and texts */
    size_t n_memory; /* bytes of files in memory */
};

/* Files on disk */

/* Where the file system has no files without a name: one that loses it at once. */
static int open_named(const char *folder, bide_file **ret_file)
{
    char *path;
    bide_file *file;
    int rc = bide_file_temporary(folder, &path, &file);
    if (rc < 0)
        return rc;
    rc = bide_shielded(INFINITY, bide_path_unlink(path));
    free(path);
    if (rc < 0)
        bide_file_abort(file);
    else
        *ret_file = file;
    return rc;
}

static int open_spool(const char *folder, bide_file **ret_file)
{
    int rc = bide_file_open(folder, O_TMPFILE | O_RDWR | O_EXCL, 0600, ret_file);
    return rc == -EOPNOTSUPP || rc == -EISDIR ? open_named(folder, ret_file) : rc;
}

/* What there is of the file moves to disk. */
static int spool(struct whole *whole, struct bide__http_part *part)
{
    int rc = open_spool(whole->reader->opts.folder, &part->file);
    if (rc == 0 && part->size > 0)
        rc = bide_file_write_at(part->file, part->data, (size_t)part->size, 0, NULL);
    if (rc < 0)
        return rc;
    free(part->data);
    part->data = NULL;
    whole->n_memory -= (size_t)part->size;
    return 0;
}

/* Parts */

/* Grows by doubling. */
static int append(struct bide__http_part *part, size_t *capacity, const char *data, size_t size)
{
    size_t needed = (size_t)part->size + size;
    if (!part->data || needed > *capacity) {
        size_t larger = needed < 2 * *capacity ? 2 * *capacity : needed;
        char *memory = realloc(part->data, larger + 1);
        if (!memory)
            return -ENOMEM;
        part->data = memory;
        *capacity = larger;
    }
    if (size > 0)
        memcpy(part->data + part->size, data, size);
    part->data[needed] = '\0';
    part->size = needed;
    return 0;
}

static int count_text(struct whole *whole, size_t size)
{
    size_t limit = whole->reader->opts.text_bytes;
    if (size > limit - whole->n_text)
        return bide__http_form_too_much(whole->reader, "its text is", limit);
    whole->n_text += size;
    return 0;
}

static int take_piece(struct whole *whole, struct bide__http_part *part, size_t *capacity,
                      const char *data, size_t size)
{
    int rc = 0;
    if (!part->filename) {
        rc = count_text(whole, size);
        return rc < 0 ? rc : append(part, capacity, data, size);
    }
    if (!part->file && size > whole->reader->opts.memory_bytes - whole->n_memory)
        rc = spool(whole, part);
    if (rc == 0 && !part->file) {
        whole->n_memory += size;
        return append(part, capacity, data, size);
    }
    if (rc == 0)
        rc = bide_file_write_at(part->file, data, size, (int64_t)part->size, NULL);
    part->size += rc == 0 ? size : 0;
    return rc;
}

/* A copy that may be NULL as the original. */
static int copy_text(struct whole *whole, char **to, const char *from)
{
    if (!from)
        return 0;
    *to = strdup(from);
    return *to ? count_text(whole, strlen(from)) : -ENOMEM;
}

static int take_part(struct whole *whole, const struct bide_http_form_part *coming)
{
    const char *data;
    size_t size, capacity = 0;
    struct bide__http_part *part = bide__http_form_part_new(whole->form);
    if (!part)
        return -ENOMEM;
    int rc = copy_text(whole, &part->name, coming->name);
    if (rc == 0)
        rc = copy_text(whole, &part->filename, coming->filename);
    if (rc == 0)
        rc = copy_text(whole, &part->type, coming->type);
    if (rc < 0)
        return rc;
    while ((rc = bide__http_form_piece(whole->reader, &data, &size)) > 0) {
        rc = take_piece(whole, part, &capacity, data, size);
        if (rc < 0)
            return rc;
    }
    if (rc == 0 && !part->file)
        rc = append(part, &capacity, NULL, 0);
    return rc;
}

int bide_http_form_read(bide_http_request *request, const struct bide_http_form_opts *opts,
                        bide_http_form **ret_form)
{
    struct whole whole = {.n_text = 0};
    struct bide_http_form_part part;
    if (!request || !ret_form)
        return -EINVAL;
    int rc = bide_http_form_open(request, opts, &whole.reader);
    if (rc == 0)
        rc = bide_http_form_new(&whole.form);
    if (rc < 0)
        return rc;
    if (whole.reader->is_multipart)
        bide__http_form_set_multipart(whole.form);
    while ((rc = bide_http_form_next(whole.reader, &part)) > 0) {
        rc = take_part(&whole, &part);
        if (rc < 0)
            break;
    }
    if (rc < 0)
        bide_http_form_free(whole.form);
    else
        *ret_form = whole.form;
    return rc;
}
