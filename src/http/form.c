/* Forms; see bide/http_form.h. A form does not change while it is sent. */
#include "http/form.h"
#include "http/fields.h"

#include <bide/error.h>
#include <bide/http.h>
#include <bide/task.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bide_http_form {
    struct bide__http_part **parts; /* each lies still */
    size_t n, capacity;
    bool is_multipart;
};

int bide_http_form_new(bide_http_form **ret_form)
{
    if (!ret_form)
        return -EINVAL;
    bide_http_form *form = calloc(1, sizeof *form);
    if (!form)
        return -ENOMEM;
    *ret_form = form;
    return 0;
}

/* The system gives back the room of a file that has no name when that is closed, and may take its
 * time. */

enum { CLOSED_HERE_BYTES_MAX = 1 << 20 };

static bide_async(closes_received, (bide_file *, file))
{
    if (bide_file_close(file) == -EXDEV)
        bide_file_abort(file);
    return 0;
}

static void close_received(bide_file *file, uint64_t size)
{
    struct bide_task_opts opts = {.name = "closing a received file", .always_start = true};
    bide_task *task = NULL;
    if (file && size > CLOSED_HERE_BYTES_MAX && bide_current_task())
        task = bide_spawn_with(&opts, closes_received, file);
    if (task)
        bide_detach(task);
    else
        bide_file_abort(file);
}

static void part_free(struct bide__http_part *part)
{
    free(part->name);
    free(part->filename);
    free(part->type);
    free(part->path);
    free(part->data);
    close_received(part->file, part->size);
    free(part);
}

void bide_http_form_free(bide_http_form *form)
{
    if (!form)
        return;
    for (size_t i = 0; i < form->n; i++)
        part_free(form->parts[i]);
    free(form->parts);
    free(form);
}

struct bide__http_part *bide__http_form_part_new(bide_http_form *form)
{
    if (form->n == form->capacity) {
        size_t capacity = form->capacity > 0 ? 2 * form->capacity : 8;
        struct bide__http_part **parts = realloc(form->parts, capacity * sizeof *parts);
        if (!parts)
            return NULL;
        form->parts = parts;
        form->capacity = capacity;
    }
    struct bide__http_part *part = calloc(1, sizeof *part);
    if (part)
        form->parts[form->n++] = part;
    return part;
}

const struct bide__http_part *bide__http_form_part(const bide_http_form *form, size_t i)
{
    return i < form->n ? form->parts[i] : NULL;
}

/* A copy that may be NULL as the original. */
static bool copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

static int part_add(bide_http_form *form, const struct bide__http_part *model)
{
    struct bide__http_part *part = bide__http_form_part_new(form);
    if (!part)
        return -ENOMEM;
    bool is_whole = copy(&part->name, model->name) && copy(&part->filename, model->filename) &&
                    copy(&part->type, model->type) && copy(&part->path, model->path);
    if (is_whole && !model->path) {
        size_t size = (size_t)model->size;
        part->data = malloc(size + 1);
        is_whole = part->data;
        if (is_whole && size > 0)
            memcpy(part->data, model->data, size);
        if (is_whole)
            part->data[size] = '\0';
        part->size = model->size;
    }
    if (!is_whole) {
        part_free(part);
        form->n--;
        return -ENOMEM;
    }
    return 0;
}

int bide_http_form_add(bide_http_form *form, const char *name, const char *value)
{
    if (!form || !name || !value)
        return -EINVAL;
    struct bide__http_part model = {
        .name = (char *)(uintptr_t)name, .data = (char *)(uintptr_t)value, .size = strlen(value)};
    return part_add(form, &model);
}

/* A file, or what looks like one. */
static int file_add(bide_http_form *form, struct bide__http_part *model, const char *type)
{
    if ((model->filename && !bide__http_is_value(model->filename)) ||
        (type && !bide__http_is_value(type)))
        return -EINVAL;
    if (!type)
        type = bide_http_media_type(model->filename ? model->filename : "");
    model->type = (char *)(uintptr_t)type;
    int rc = part_add(form, model);
    if (rc == 0)
        form->is_multipart = true;
    return rc;
}

int bide_http_form_add_data(bide_http_form *form, const char *name, const char *filename,
                            const char *type, const void *data, size_t size)
{
    if (!form || !name || (!data && size > 0))
        return -EINVAL;
    struct bide__http_part model = {.name = (char *)(uintptr_t)name,
                                    .filename = (char *)(uintptr_t)filename,
                                    .data = (char *)(uintptr_t)data,
                                    .size = size};
    return file_add(form, &model, type);
}

int bide_http_form_add_file(bide_http_form *form, const char *name, const char *path,
                            const char *filename, const char *type)
{
    if (!form || !name || !path)
        return -EINVAL;
    const char *slash = strrchr(path, '/');
    if (!filename)
        filename = slash ? slash + 1 : path;
    struct bide__http_part model = {.name = (char *)(uintptr_t)name,
                                    .filename = (char *)(uintptr_t)filename,
                                    .path = (char *)(uintptr_t)path};
    return file_add(form, &model, type);
}

/* What is in it */

size_t bide_http_form_count(const bide_http_form *form)
{
    return form ? form->n : 0;
}

int bide_http_form_at(const bide_http_form *form, size_t i, struct bide_http_form_field *ret_field)
{
    if (!form || !ret_field)
        return -EINVAL;
    const struct bide__http_part *part = bide__http_form_part(form, i);
    if (!part)
        return -ENOENT;
    *ret_field = (struct bide_http_form_field){.name = part->name,
                                               .filename = part->filename,
                                               .type = part->type,
                                               .data = part->data,
                                               .file = part->file,
                                               .size = part->size};
    return 0;
}

int bide_http_form_find(const bide_http_form *form, const char *name,
                        struct bide_http_form_field *ret_field)
{
    if (!form || !name)
        return -EINVAL;
    for (size_t i = 0; i < form->n; i++)
        if (strcmp(form->parts[i]->name, name) == 0)
            return bide_http_form_at(form, i, ret_field);
    return -ENOENT;
}

const char *bide_http_form_get(const bide_http_form *form, const char *name)
{
    for (size_t i = 0; form && name && i < form->n; i++) {
        const struct bide__http_part *part = form->parts[i];
        bool is_text = part->data && !part->filename && !memchr(part->data, '\0', part->size);
        if (is_text && strcmp(part->name, name) == 0)
            return part->data;
    }
    return NULL;
}

/* How it is sent */

void bide__http_form_set_multipart(bide_http_form *form)
{
    form->is_multipart = true;
}

bool bide__http_form_is_multipart(const bide_http_form *form)
{
    return form->is_multipart && form->n > 0;
}

/* As the URL standard has it: a space is "+", and what is no letter or digit is escaped. */
static void encode(struct bide__http_text *text, const char *data, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = bide__http_text_room(text, 3 * size);
    if (!to)
        return;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (is_plain || c == '*' || c == '-' || c == '.' || c == '_') {
            *to++ = (char)c;
        } else if (c == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    text->size = (size_t)(to - text->data);
}

void bide__http_form_encode(const bide_http_form *form, struct bide__http_text *text)
{
    for (size_t i = 0; i < form->n; i++) {
        const struct bide__http_part *part = form->parts[i];
        if (i > 0)
            bide__http_text_say(text, "&");
        encode(text, part->name, strlen(part->name));
        bide__http_text_say(text, "=");
        encode(text, part->data, (size_t)part->size);
    }
}

/* In quotes, as browsers do it: what would end the text or the line is escaped. A backslash goes as
 * it is, unless most servers would take it for the beginning of an escape. */
static void quote(struct bide__http_text *text, const char *value)
{
    bide__http_text_say(text, "\"");
    for (; *value; value++) {
        if (*value == '"')
            bide__http_text_say(text, "%22");
        else if (*value == '\r')
            bide__http_text_say(text, "%0D");
        else if (*value == '\n')
            bide__http_text_say(text, "%0A");
        else if (*value == '\\' && (value[1] == '\\' || value[1] == '\0'))
            bide__http_text_say(text, "\\\\");
        else
            bide__http_text_add(text, value, 1);
    }
    bide__http_text_say(text, "\"");
}

void bide__http_part_head(const struct bide__http_part *part, const char *boundary,
                          struct bide__http_text *text)
{
    bide__http_text_print(text, "--%s\r\nContent-Disposition: form-data; name=", boundary);
    quote(text, part->name);
    if (part->filename) {
        bide__http_text_say(text, "; filename=");
        quote(text, part->filename);
    }
    if (part->type)
        bide__http_text_print(text, "\r\nContent-Type: %s", part->type);
    bide__http_text_say(text, "\r\n\r\n");
}
