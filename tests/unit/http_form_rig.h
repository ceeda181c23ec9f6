/*
 * What the tests of received forms share: a server that reads forms, whole and part by part, says
 * what it has read, and remembers the error and its words where it has not.
 */
#ifndef BIDE_TEST_HTTP_FORM_RIG_H
#define BIDE_TEST_HTTP_FORM_RIG_H

#include <bide/http_form_read.h>
#include <bide/path.h>

#include "http_rig.h"
#include "sim_rig.h"

static struct bide_http_form_opts rig_opts;
static int rig_error; /* of the last form */
static char rig_words[256];
static int rig_on_disk; /* files of forms that were there */

static RIG_UNUSED int remember(int rc)
{
    rig_error = rc < 0 ? rc : 0;
    snprintf(rig_words, sizeof rig_words, "%s", rc < 0 ? bide_error_detail() : "");
    return rc;
}

static RIG_UNUSED unsigned sum_of(unsigned sum, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + (unsigned char)data[i];
    return sum;
}

/* "name=value;", or "name@filename|type|size|sum;". */
static RIG_UNUSED int describe(const struct bide_http_form_field *field, char *to, size_t room)
{
    if (!field->filename)
        return snprintf(to, room, "%s%s%s=%s;", field->name, field->type ? "|" : "",
                        field->type ? field->type : "", field->data);
    unsigned sum = 0;
    CHECK_INT(!field->file, field->data != NULL);
    if (field->data)
        sum = sum_of(0, field->data, (size_t)field->size);
    rig_on_disk += field->file != NULL;
    for (uint64_t at = 0; field->file && at < field->size;) {
        char piece[5000];
        ssize_t n = bide_file_read_at(field->file, piece, sizeof piece, (int64_t)at);
        if (n <= 0)
            return n < 0 ? (int)n : -BIDE_EINCOMPLETE;
        sum = sum_of(sum, piece, (size_t)n);
        at += (uint64_t)n;
    }
    return snprintf(to, room, "%s@%s|%s|%llu|%08x;", field->name, field->filename,
                    field->type ? field->type : "-", (unsigned long long)field->size, sum);
}

static RIG_UNUSED int tell_form(bide_http_request *request, const bide_http_form *form)
{
    char text[8192] = "";
    size_t size = 0;
    struct bide_http_form_field field;
    for (size_t i = 0; bide_http_form_at(form, i, &field) == 0; i++) {
        int n = describe(&field, text + size, sizeof text - size);
        if (n < 0)
            return n;
        size += (size_t)n;
        CHECK(size < sizeof text);
    }
    return bide_http_reply_text(request, 200, text);
}

static RIG_UNUSED int read_whole(bide_http_request *request, void *data)
{
    bide_http_form *form = NULL;
    (void)data;
    int rc = remember(bide_http_form_read(request, &rig_opts, &form));
    if (rc < 0) {
        CHECK_PTR(form, NULL);
        return rc;
    }
    rc = tell_form(request, form);
    bide_http_form_free(form);
    return rc;
}

/* Part by part, in small pieces. */
static RIG_UNUSED int read_parts(bide_http_request *request, void *data)
{
    char text[8192] = "";
    size_t size = 0;
    bide_http_form_reader *reader;
    struct bide_http_form_part part;
    (void)data;
    int rc = remember(bide_http_form_open(request, &rig_opts, &reader));
    if (rc < 0)
        return rc;
    while ((rc = bide_http_form_next(reader, &part)) > 0) {
        char piece[7], *value;
        unsigned sum = 0;
        int n = 0, n_all = 0;
        if (!part.filename && (n_all = bide_http_form_part_read_all(reader, 0, &value)) >= 0) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s%s%s=%s;", part.name,
                                     part.type ? "|" : "", part.type ? part.type : "", value);
            continue;
        }
        while (part.filename && (n = bide_http_form_part_read(reader, piece, sizeof piece)) > 0) {
            sum = sum_of(sum, piece, (size_t)n);
            n_all += n;
        }
        rc = part.filename ? n : n_all;
        if (rc < 0)
            break;
        size += (size_t)snprintf(text + size, sizeof text - size, "%s@%s|%s|%d|%08x;", part.name,
                                 part.filename, part.type ? part.type : "-", n_all, sum);
    }
    if (rc < 0) {
        remember(rc);
        if (rc == -EBADMSG || rc == -BIDE_ELIMIT)
            CHECK_INT(bide_http_form_next(reader, &part), rc);
        return rc;
    }
    CHECK_INT(bide_http_form_next(reader, &part), 0);
    CHECK_INT(bide_http_form_part_read(reader, text, 1), 0);
    remember(0);
    return bide_http_reply_text(request, 200, text);
}

static RIG_UNUSED void form_app(void)
{
    http_app();
    http_route("POST", "/whole", read_whole);
    http_route("POST", "/parts", read_parts);
    rig_opts = (struct bide_http_form_opts){0};
    rig_on_disk = 0;
}

/* What a server answers to a body on a connection of its own, which must be closed behind it. */
static RIG_UNUSED const char *post(const char *path, const char *type, const void *body,
                                   size_t size)
{
    static char text[256 * KIB];
    int n = snprintf(text, sizeof text,
                     "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     path, type, size);
    CHECK((size_t)n + size <= sizeof text);
    memcpy(text + n, body, size);
    const char *answer = http_ask_bytes(text, (size_t)n + size);
    const char *end = strstr(answer, "\r\n\r\n");
    snprintf(text, sizeof text, "%d %s", http_status_of(answer), end ? end + 4 : "-");
    return text;
}

#define LINE "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=b"
#define NAMED(rest) "--b\r\nContent-Disposition: form-data; " rest "\r\n\r\n"
#define LAST "\r\n--b--\r\n"

static RIG_UNUSED const char *post_text(const char *path, const char *type, const char *body)
{
    return post(path, type, body, strlen(body));
}

#endif
