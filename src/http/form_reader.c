/*
 * Forms as they come; see bide/http_form_read.h. All memory is the request's.
 *
 * Invariants
 *  - What is in the buffer was counted against the limit of the body, and a piece against the limit
 * of its part before it is told.
 *  - A call that fails without `error` being set has lost nothing.
 */
#include "http/form_reader.h"

#include "http/exchange.h"

#include <bide/error.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { BUFFER_MIN = 4096, BUFFER_MAX = 65536, PART_FIELDS = 20, SMALLEST_LINE = 1024 };

/* Errors */

static int fail(bide_http_form_reader *reader, int error, const char *why)
{
    reader->error = error;
    reader->piece = NULL;
    reader->n_piece = 0;
    return bide_fail(error, "a form: %s", why);
}

/* A name is the client's: what would make a line of a log two lines is not shown. */
static void show(const char *name, char shown[64])
{
    size_t n = 0;
    for (; n < 63 && name[n]; n++)
        shown[n] = (unsigned char)name[n] < ' ' || name[n] == 127 ? '?' : name[n];
    shown[n] = '\0';
}

int bide__http_form_too_much(bide_http_form_reader *reader, const char *what, size_t limit)
{
    fail(reader, -BIDE_ELIMIT, "");
    return bide_fail(-BIDE_ELIMIT, "a form: %s over the limit of %zu", what, limit);
}

static int part_too_long(bide_http_form_reader *reader, uint64_t limit)
{
    char shown[64];
    show(reader->part.name, shown);
    fail(reader, -BIDE_ELIMIT, "");
    return bide_fail(-BIDE_ELIMIT, "a form: the %s \"%s\" is longer than %llu bytes",
                     reader->part.filename ? "file" : "field", shown, (unsigned long long)limit);
}

/* Beginning */

static struct bide_http_form_opts complete(const struct bide_http_form_opts *opts)
{
    enum { KIB = 1024 };
    struct bide_http_form_opts all = opts ? *opts : (struct bide_http_form_opts){0};
    all.body_bytes = all.body_bytes ? all.body_bytes : 16 * KIB * KIB;
    all.text_bytes = all.text_bytes ? all.text_bytes : KIB * KIB;
    all.field_bytes = all.field_bytes ? all.field_bytes : 64 * KIB;
    all.file_bytes = all.file_bytes ? all.file_bytes : UINT64_MAX;
    all.fields_max = all.fields_max ? all.fields_max : 1000;
    all.files_max = all.files_max ? all.files_max : 100;
    all.memory_bytes = all.memory_bytes ? all.memory_bytes : 256 * KIB;
    all.head_bytes = all.head_bytes ? all.head_bytes : 4 * KIB;
    all.folder = all.folder ? all.folder : "/tmp";
    return all;
}

static uint32_t at_most(size_t n, uint32_t max)
{
    return n < max ? (uint32_t)n : max;
}

static int open_multipart(bide_http_form_reader *reader, const char *boundary, size_t size)
{
    struct bide__multipart_limits limits = {
        .head_bytes = at_most(reader->opts.head_bytes, 1 << 20),
        .n_fields = PART_FIELDS,
        .n_parts = at_most(reader->opts.fields_max, UINT32_MAX)};
    struct bide__http1_field *fields = bide_http_alloc(reader->request,
                                                       PART_FIELDS * sizeof *fields);
    char *memory = bide_http_alloc(reader->request, bide__multipart_memory(limits.head_bytes));
    if (!fields || !memory)
        return -ENOMEM;
    bide__multipart_init(&reader->parser, boundary, size, &limits, memory, fields);
    reader->is_multipart = true;
    return 0;
}

/* As much as will come, but not because a client says so. */
static int buffer_new(bide_http_form_reader *reader)
{
    int64_t length = bide_http_content_length(reader->request);
    reader->capacity = length < 0 || length > BUFFER_MAX ? BUFFER_MAX
                       : length < BUFFER_MIN             ? BUFFER_MIN
                                                         : (size_t)length;
    if (!reader->is_multipart)
        reader->capacity = BUFFER_MIN;
    reader->buffer = bide_http_alloc(reader->request, reader->capacity + 1);
    return reader->buffer ? 0 : -ENOMEM;
}

static bool is_urlencoded(const char *type)
{
    static const char name[] = "application/x-www-form-urlencoded";
    return strcspn(type, "; \t") == sizeof name - 1 &&
           strncasecmp(type, name, sizeof name - 1) == 0;
}

/* What the request's head says of its body. */
static int look_at_head(bide_http_form_reader *reader)
{
    const char *why = "", *type = bide_http_header(reader->request, "Content-Type");
    const char *coding = bide_http_header(reader->request, "Content-Encoding");
    char boundary[BIDE__MULTIPART_BOUNDARY_MAX];
    int64_t length = bide_http_content_length(reader->request);
    bool is_line = type && is_urlencoded(type);
    int size = type && !is_line ? bide__multipart_boundary(type, boundary, &why) : 0;
    if (!type || size == -EMEDIUMTYPE)
        return bide_fail(-EMEDIUMTYPE, "the request is no form: its Content-Type is %.100s",
                         type ? type : "missing");
    if (coding && strcasecmp(coding, "identity") != 0)
        return bide_fail(-EMEDIUMTYPE, "the form is packed");
    if (size < 0)
        return fail(reader, size, why);
    if (length >= 0 && (uint64_t)length > reader->opts.body_bytes)
        return bide__http_form_too_much(reader, "the body is", (size_t)reader->opts.body_bytes);
    if (is_line && length >= 0 && (uint64_t)length > reader->opts.text_bytes)
        return bide__http_form_too_much(reader, "its text is", reader->opts.text_bytes);
    return is_line ? 0 : open_multipart(reader, boundary, (size_t)size);
}

int bide_http_form_open(bide_http_request *request, const struct bide_http_form_opts *opts,
                        bide_http_form_reader **ret_reader)
{
    if (!request || !ret_reader)
        return -EINVAL;
    bide_http_form_reader *reader = bide_http_alloc(request, sizeof *reader);
    if (!reader)
        return -ENOMEM;
    *reader = (bide_http_form_reader){.request = request, .opts = complete(opts)};
    int rc = look_at_head(reader);
    if (rc == 0)
        rc = buffer_new(reader);
    if (rc < 0)
        return rc;
    *ret_reader = reader;
    return 0;
}

/* More of the body, behind what there is: how many bytes, 0 at its end. */
static int fill(bide_http_form_reader *reader)
{
    int n = bide_http_read(reader->request, reader->buffer + reader->end,
                           reader->capacity - reader->end);
    if (n == -BIDE_ELIMIT)
        return fail(reader, n, "its body is longer than the server allows");
    if (n <= 0)
        return n;
    reader->end += (size_t)n;
    reader->n_body += (uint64_t)n;
    if (reader->n_body > reader->opts.body_bytes)
        return bide__http_form_too_much(reader, "the body is", (size_t)reader->opts.body_bytes);
    return n;
}

/* Multipart */

static int begin_part(bide_http_form_reader *reader, const char *name, const char *filename,
                      const char *type)
{
    const char *slash = filename ? strrchr(filename, '/') : NULL;
    const char *base = slash ? slash + 1 : filename;
    const char *backslash = base ? strrchr(base, '\\') : NULL;
    base = backslash ? backslash + 1 : base;
    if (base && (strcmp(base, ".") == 0 || strcmp(base, "..") == 0))
        base = "";
    reader->part = (struct bide_http_form_part){.name = name, .filename = base, .type = type};
    reader->n_part = 0;
    reader->is_within = true;
    if (filename && ++reader->n_files > reader->opts.files_max)
        return bide__http_form_too_much(reader, "the number of files is", reader->opts.files_max);
    return 0;
}

static int take_piece(bide_http_form_reader *reader, const char *data, size_t size)
{
    uint64_t limit = reader->part.filename ? reader->opts.file_bytes : reader->opts.field_bytes;
    reader->n_part += size;
    if (reader->n_part > limit)
        return part_too_long(reader, limit);
    reader->piece = data;
    reader->n_piece = size;
    return 0;
}

static int take_event(bide_http_form_reader *reader, const struct bide__multipart_event *event)
{
    const struct bide__multipart *parser = &reader->parser;
    switch (event->kind) {
    case BIDE__MULTIPART_PART:
        return begin_part(reader, parser->name, parser->filename, parser->type);
    case BIDE__MULTIPART_DATA:
        return take_piece(reader, event->data, event->size);
    case BIDE__MULTIPART_PART_END:
        reader->is_within = false;
        return 0;
    default: /* what stands behind the form is read, and means nothing */
        return 0;
    }
}

/* The body has ended. */
static int end_multipart(bide_http_form_reader *reader)
{
    int rc = bide__multipart_end(&reader->parser);
    if (rc < 0)
        return fail(reader, rc, reader->parser.why);
    reader->is_over = true;
    return 0;
}

/* One step, through what is there or to what comes. */
static int step_multipart(bide_http_form_reader *reader)
{
    struct bide__multipart_event event;
    if (reader->begin == reader->end) {
        reader->begin = reader->end = 0;
        int rc = fill(reader);
        return rc == 0 ? end_multipart(reader) : rc < 0 ? rc : 0;
    }
    int64_t used = bide__multipart_take(&reader->parser, reader->buffer + reader->begin,
                                        reader->end - reader->begin, &event);
    if (used < 0)
        return fail(reader, (int)used, reader->parser.why);
    reader->begin += (size_t)used;
    return take_event(reader, &event);
}

/* Forms in a line */

static int grow_line(bide_http_form_reader *reader)
{
    size_t capacity = 2 * reader->capacity;
    char *buffer = bide_http_alloc(reader->request, capacity + 1);
    if (!buffer)
        return -ENOMEM;
    memcpy(buffer, reader->buffer, reader->end);
    reader->buffer = buffer;
    reader->capacity = capacity;
    return 0;
}

/* All of it has to be there, because it is taken apart in place. */
static int gather_line(bide_http_form_reader *reader)
{
    int rc = 1;
    while (rc > 0) {
        rc = reader->end == reader->capacity ? grow_line(reader) : 0;
        if (rc == 0)
            rc = fill(reader);
        if (rc > 0 && reader->end > reader->opts.text_bytes)
            rc = bide__http_form_too_much(reader, "its text is", reader->opts.text_bytes);
    }
    reader->is_all_there = rc == 0;
    return rc;
}

static int step_line(bide_http_form_reader *reader)
{
    struct bide__form_pair pair;
    char *at = reader->buffer + reader->begin;
    if (!reader->is_all_there)
        return gather_line(reader);
    if (reader->is_within) {
        reader->is_within = false;
        return 0;
    }
    int rc = bide__form_pair_next(&at, reader->buffer + reader->end, &pair);
    reader->begin = (size_t)(at - reader->buffer);
    if (rc < 0)
        return fail(reader, rc, "a malformed escape");
    if (rc == 0) {
        reader->is_over = true;
        return 0;
    }
    if (++reader->n_pairs > reader->opts.fields_max)
        return bide__http_form_too_much(reader, "the number of fields is", reader->opts.fields_max);
    if (memchr(pair.name, '\0', pair.name_size))
        return fail(reader, -EBADMSG, "a NUL in a name");
    rc = begin_part(reader, pair.name, NULL, NULL);
    return rc < 0 ? rc : take_piece(reader, pair.value, pair.value_size);
}

/* Parts */

static int step(bide_http_form_reader *reader)
{
    if (reader->error < 0)
        return reader->error;
    return reader->is_multipart ? step_multipart(reader) : step_line(reader);
}

int bide_http_form_next(bide_http_form_reader *reader, struct bide_http_form_part *ret_part)
{
    if (!reader || !ret_part)
        return -EINVAL;
    int rc = reader->error;
    while (reader->is_within && rc == 0) {
        reader->n_piece = 0;
        rc = step(reader);
    }
    while (!reader->is_within && !reader->is_over && rc == 0)
        rc = step(reader);
    if (rc < 0 || reader->is_over)
        return rc;
    *ret_part = reader->part;
    return 1;
}

int bide__http_form_piece(bide_http_form_reader *reader, const char **ret_data, size_t *ret_size)
{
    int rc = reader->error;
    while (reader->is_within && reader->n_piece == 0 && rc == 0)
        rc = step(reader);
    if (rc < 0)
        return rc;
    *ret_data = reader->piece;
    *ret_size = reader->n_piece;
    rc = reader->n_piece > 0;
    reader->n_piece = 0;
    return rc;
}

int bide_http_form_part_read(bide_http_form_reader *reader, void *buffer, size_t size)
{
    const char *data;
    size_t n;
    if (!reader || !buffer || size == 0)
        return -EINVAL;
    int rc = bide__http_form_piece(reader, &data, &n);
    if (rc <= 0)
        return rc;
    size = size < INT32_MAX ? size : INT32_MAX;
    if (n > size) {
        reader->piece = data + size;
        reader->n_piece = n - size;
        n = size;
    }
    memcpy(buffer, data, n);
    return (int)n;
}

int bide_http_form_part_read_all(bide_http_form_reader *reader, size_t limit, char **ret_data)
{
    const char *piece;
    size_t n, size = 0, capacity = 0;
    char *data = NULL;
    int rc;
    if (!reader || !ret_data || limit > INT32_MAX)
        return -EINVAL;
    limit = limit ? limit : reader->opts.field_bytes;
    while ((rc = bide__http_form_piece(reader, &piece, &n)) > 0) {
        if (n > limit - size)
            return part_too_long(reader, limit);
        if (size + n > capacity || !data) {
            capacity = size + n > capacity * 2 ? size + n : capacity * 2;
            char *larger = bide_http_alloc(reader->request, capacity + 1);
            if (!larger)
                return -ENOMEM;
            memcpy(larger, data ? data : "", size);
            data = larger;
        }
        memcpy(data + size, piece, n);
        size += n;
    }
    if (rc == 0 && !data && !(data = bide_http_alloc(reader->request, 1)))
        return -ENOMEM;
    if (rc < 0)
        return rc;
    data[size] = '\0';
    *ret_data = data;
    return (int)size;
}

const char *bide_http_form_part_header(const bide_http_form_reader *reader, const char *name)
{
    if (!reader || !name || !reader->is_multipart || !reader->part.name)
        return NULL;
    const struct bide__multipart *parser = &reader->parser;
    for (uint32_t i = 0; i < parser->head.n_fields; i++) {
        const struct bide__http1_field *field = &parser->head.fields[i];
        if (field->name.size == strlen(name) &&
            strncasecmp(parser->memory + field->name.at, name, field->name.size) == 0) {
            parser->memory[field->value.at + field->value.size] = '\0';
            return parser->memory + field->value.at;
        }
    }
    return NULL;
}
