/* Bodies that are sent; see body.h. */
#include "http/body.h"

#include "runtime/loop.h"
#include "runtime/task.h"

#include <bide/http_client.h>
#include <bide/path.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where in a multipart body we are. */
enum step { PART_HEAD, PART_CONTENT, PART_END, LAST_LINE, OVER };

static int file_size(const char *path, uint64_t *ret_size)
{
    struct bide_file_status status;
    int rc = bide_path_stat(path, &status);
    if (rc < 0)
        return rc;
    if (status.type != BIDE_FILE_REGULAR)
        return status.type == BIDE_FILE_DIRECTORY ? -EISDIR : -ESPIPE;
    *ret_size = status.size_bytes;
    return 0;
}

/* A line that stands in no part, by chance. */
static int choose_boundary(struct bide__http_out *out)
{
    unsigned char random[12];
    struct bide_engine *engine = bide_loop_current()->engine;
    int rc = engine->ops->entropy(engine, random, sizeof random);
    if (rc < 0)
        return rc;
    char *to = stpcpy(out->boundary, "bide-");
    for (size_t i = 0; i < sizeof random; i++)
        to += sprintf(to, "%02x", random[i]);
    snprintf(out->type, sizeof out->type, "multipart/form-data; boundary=%s", out->boundary);
    return 0;
}

static int part_size(const struct bide__http_part *part, uint64_t *ret_size)
{
    if (part->path)
        return file_size(part->path, ret_size);
    *ret_size = part->size;
    return 0;
}

static int open_multipart(struct bide__http_out *out, const bide_http_form *form)
{
    const struct bide__http_part *part;
    int rc = choose_boundary(out);
    if (rc < 0)
        return rc;
    out->is_multipart = true;
    out->part_sizes = malloc((bide_http_form_count(form) + 1) * sizeof *out->part_sizes);
    if (!out->part_sizes)
        return -ENOMEM;
    for (size_t i = 0; (part = bide__http_form_part(form, i)); i++) {
        out->encoded.size = 0;
        bide__http_part_head(part, out->boundary, &out->encoded);
        rc = out->encoded.has_failed ? -ENOMEM : part_size(part, &out->part_sizes[i]);
        if (rc < 0)
            return rc;
        out->size += out->encoded.size + out->part_sizes[i] + 2;
    }
    out->size += strlen(out->boundary) + 6;
    return 0;
}

static int open_form(struct bide__http_out *out, const bide_http_form *form)
{
    if (bide__http_form_is_multipart(form))
        return open_multipart(out, form);
    strcpy(out->type, "application/x-www-form-urlencoded");
    bide__http_form_encode(form, &out->encoded);
    bide__http_text_add(&out->encoded, "", 1);
    if (out->encoded.has_failed)
        return -ENOMEM;
    out->memory = out->encoded.data;
    out->size = out->encoded.size - 1;
    return 0;
}

int bide__http_out_open(struct bide__http_out *out, const struct bide_http_fetch_opts *opts)
{
    out->opts = opts;
    out->is_sized = true;
    if (opts->body) {
        out->memory = opts->body;
        out->size = opts->body_size;
    } else if (opts->json) {
        strcpy(out->type, "application/json");
        out->memory = opts->json;
        out->size = strlen(opts->json);
    } else if (opts->form) {
        return open_form(out, opts->form);
    } else if (opts->body_file) {
        return file_size(opts->body_file, &out->size);
    } else if (opts->source) {
        out->is_sized = opts->source_size;
        out->size = opts->source_size ? *opts->source_size : 0;
    } else {
        out->is_empty = true;
    }
    return 0;
}

/* Files */

/* What a file has is what it had when it was asked. */
static int read_file(struct bide__http_out *out, const char *path, char *buffer, size_t size)
{
    if (out->content_left == 0)
        return 0;
    int rc = out->file ? 0 : bide_file_open(path, O_RDONLY, 0, &out->file);
    if (rc < 0)
        return rc;
    size = out->content_left < size ? (size_t)out->content_left : size;
    ssize_t n = bide_file_read(out->file, buffer, size);
    if (n == 0) {
        bide__detail_set(-BIDE_EINCOMPLETE, "%s: has become shorter while it was sent", path);
        return -BIDE_EINCOMPLETE;
    }
    if (n > 0)
        out->content_left -= (uint64_t)n;
    return (int)n;
}

static void close_file(struct bide__http_out *out)
{
    bide_file_abort(out->file);
    out->file = NULL;
}

/* Memory */

static int read_memory(const char *data, uint64_t size, uint64_t *left, char *buffer, size_t room)
{
    size_t n = *left < room ? (size_t)*left : room;
    memcpy(buffer, data + (size - *left), n);
    *left -= n;
    return (int)n;
}

/* Multipart */

static int begin_part(struct bide__http_out *out)
{
    out->encoded.size = 0;
    out->encoded_given = 0;
    out->content_left = out->part_sizes[out->part_index];
    bide__http_part_head(out->part, out->boundary, &out->encoded);
    return out->encoded.has_failed ? -ENOMEM : 0;
}

static void say_end(struct bide__http_out *out)
{
    out->encoded.size = 0;
    out->encoded_given = 0;
    if (out->step == PART_END)
        bide__http_text_say(&out->encoded, "\r\n");
    else
        bide__http_text_print(&out->encoded, "--%s--\r\n", out->boundary);
}

/* What `encoded` has: how many bytes, 0 if all was given. */
static int read_encoded(struct bide__http_out *out, char *buffer, size_t size)
{
    size_t left = out->encoded.size - out->encoded_given;
    size = left < size ? left : size;
    memcpy(buffer, out->encoded.data + out->encoded_given, size);
    out->encoded_given += size;
    return (int)size;
}

/* What was received is whole, unless somebody has changed it since. */
static int read_received(struct bide__http_out *out, char *buffer, size_t size)
{
    uint64_t left = out->content_left;
    if (left == 0)
        return 0;
    size = left < size ? (size_t)left : size;
    ssize_t n = bide_file_read_at(out->part->file, buffer, size, (int64_t)(out->part->size - left));
    if (n == 0)
        return bide_fail(-BIDE_EINCOMPLETE, "a received file has become shorter");
    out->content_left -= n > 0 ? (uint64_t)n : 0;
    return (int)n;
}

static int read_content(struct bide__http_out *out, char *buffer, size_t size)
{
    const struct bide__http_part *part = out->part;
    if (part->path)
        return read_file(out, part->path, buffer, size);
    if (part->file)
        return read_received(out, buffer, size);
    return read_memory(part->data, part->size, &out->content_left, buffer, size);
}

static int next_step(struct bide__http_out *out)
{
    if (out->step == PART_CONTENT)
        close_file(out);
    if (out->step == PART_END) {
        out->part = bide__http_form_part(out->opts->form, ++out->part_index);
        out->step = out->part ? PART_HEAD : LAST_LINE;
    } else {
        out->step++;
    }
    if (out->step == PART_HEAD)
        return begin_part(out);
    if (out->step == PART_END || out->step == LAST_LINE)
        say_end(out);
    return 0;
}

static int read_multipart(struct bide__http_out *out, char *buffer, size_t size)
{
    while (out->step != OVER) {
        int n = out->step == PART_CONTENT ? read_content(out, buffer, size)
                                          : read_encoded(out, buffer, size);
        if (n == 0)
            n = next_step(out);
        if (n != 0)
            return n;
    }
    return 0;
}

/* All kinds */

static int out_begin(struct bide__http_out *out)
{
    out->is_begun = true;
    out->given = 0;
    out->content_left = out->size;
    if (!out->is_multipart)
        return 0;
    out->step = PART_HEAD;
    out->part_index = 0;
    out->part = bide__http_form_part(out->opts->form, 0);
    return begin_part(out);
}

/* A source gives what it said it would. */
static int read_source(struct bide__http_out *out, char *buffer, size_t size)
{
    const struct bide_http_fetch_opts *opts = out->opts;
    int n = opts->source(opts->source_data, buffer, size);
    if (n > 0 && (size_t)n > size)
        n = -EINVAL;
    if (n < 0 || !out->is_sized)
        return n;
    uint64_t left = out->size - out->given;
    if ((n == 0 && left > 0) || (uint64_t)n > left) {
        bide__detail_set(-BIDE_EINCOMPLETE, "the body's source gave another size than it said");
        return -BIDE_EINCOMPLETE;
    }
    return n;
}

int bide__http_out_read(struct bide__http_out *out, char *buffer, size_t size)
{
    int n = out->is_begun ? 0 : out_begin(out);
    if (n < 0)
        return n;
    if (out->memory)
        n = read_memory(out->memory, out->size, &out->content_left, buffer, size);
    else if (out->is_multipart)
        n = read_multipart(out, buffer, size);
    else if (out->opts->body_file)
        n = read_file(out, out->opts->body_file, buffer, size);
    else
        n = read_source(out, buffer, size);
    if (n > 0)
        out->given += (uint64_t)n;
    return n;
}

int bide__http_out_rewind(struct bide__http_out *out)
{
    if (out->is_begun && out->opts->source)
        return -EOPNOTSUPP;
    close_file(out);
    out->is_begun = false;
    return 0;
}

void bide__http_out_close(struct bide__http_out *out)
{
    close_file(out);
    free(out->part_sizes);
    bide__http_text_fini(&out->encoded);
    *out = (struct bide__http_out){.is_empty = true};
}
