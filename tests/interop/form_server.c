/*
 * A server that says what forms it got, for clients of others: a line per field with name, file
 * name, type, size and sum, each escaped as in a URL; "-" for none. POST /whole reads the form
 * whole, with little in memory, /parts part by part.
 */
#include <bide.h>
#include <bide/http_form_read.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned add_up(unsigned sum, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum * 31 + (unsigned char)data[i]) % 1000003;
    return sum;
}

static int say_text(bide_http_request *request, const char *text, char end)
{
    char escaped[2048] = "-";
    if (text)
        bide_url_encode(text, strlen(text), escaped, sizeof escaped - 1);
    size_t size = strlen(escaped);
    escaped[size] = end;
    return bide_http_write(request, escaped, size + 1);
}

static int say_field(bide_http_request *request, const struct bide_http_form_part *part,
                     uint64_t size, unsigned sum)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%llu %u\n", (unsigned long long)size, sum);
    int rc = say_text(request, part->name, ' ');
    if (rc == 0)
        rc = say_text(request, part->filename, ' ');
    if (rc == 0)
        rc = say_text(request, part->type, ' ');
    return rc < 0 ? rc : bide_http_write(request, text, (size_t)n);
}

static int whole_sum(const struct bide_http_form_field *field, unsigned *ret_sum)
{
    static char piece[65536];
    *ret_sum = field->data ? add_up(0, field->data, (size_t)field->size) : 0;
    for (uint64_t at = 0; field->file && at < field->size;) {
        ssize_t n = bide_file_read_at(field->file, piece, sizeof piece, (int64_t)at);
        if (n <= 0)
            return n < 0 ? (int)n : -BIDE_EINCOMPLETE;
        *ret_sum = add_up(*ret_sum, piece, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

static int whole(bide_http_request *request, void *data)
{
    unsigned sum;
    bide_http_form *form;
    struct bide_http_form_field field;
    struct bide_http_form_opts opts = {.memory_bytes = 1000};
    (void)data;
    int rc = bide_http_form_read(request, &opts, &form);
    if (rc < 0)
        return rc;
    rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    for (size_t i = 0; rc == 0 && bide_http_form_at(form, i, &field) == 0; i++) {
        struct bide_http_form_part part = {field.name, field.filename, field.type};
        rc = whole_sum(&field, &sum);
        if (rc == 0)
            rc = say_field(request, &part, field.size, sum);
    }
    bide_http_form_free(form);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static int parts(bide_http_request *request, void *data)
{
    char piece[4096];
    bide_http_form_reader *reader;
    struct bide_http_form_part part;
    (void)data;
    int rc = bide_http_form_open(request, NULL, &reader);
    if (rc == 0)
        rc = bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN);
    while (rc >= 0 && (rc = bide_http_form_next(reader, &part)) > 0) {
        uint64_t size = 0;
        unsigned sum = 0;
        while ((rc = bide_http_form_part_read(reader, piece, sizeof piece)) > 0) {
            sum = add_up(sum, piece, (size_t)rc);
            size += (unsigned)rc;
        }
        if (rc == 0)
            rc = say_field(request, &part, size, sum);
    }
    return rc < 0 ? rc : bide_http_reply_end(request);
}

bide_async(amain, (unsigned, port))
{
    bide_http_app *app;
    int rc = bide_http_app_new(NULL, &app);
    if (rc < 0)
        return rc;
    bide_http_route(app, "POST", "/whole", whole, NULL, NULL);
    bide_http_route(app, "POST", "/parts", parts, NULL, NULL);
    rc = bide_http_serve_until_signal(app, "127.0.0.1", port, NULL);
    bide_http_app_free(app);
    return rc;
}

int main(int argc, char **argv)
{
    return bide_run(amain, argc > 1 ? (unsigned)atoi(argv[1]) : 0);
}
