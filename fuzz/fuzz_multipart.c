/*
 * The parser of forms, fed with anything. The first byte says where it is cut; the rest is a body
 * whose boundary is "b", a form in a line, and a Content-Type.
 *
 * Claims: a body tells the same whole, cut in two, byte by byte and in odd pieces; what is told
 * lies in what was given or in the parser; the parts of a form that is accepted are where a plain
 * search of the whole body finds them.
 */
#include "codec/multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 5, HEAD_BYTES = 300, PARTS = 20, BODY_BYTES_MAX = 1 << 15, OUT_BYTES = 1 << 17 };

#define CLAIM(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* What was told: texts with their NULs, and data between marks. */
struct told {
    int rc;
    const char *why;
    size_t n_parts, n_ended;
    size_t part_bytes[PARTS];
    size_t size;
    char text[OUT_BYTES];
};

static const struct bide__multipart_limits limits = {
    .head_bytes = HEAD_BYTES, .n_fields = FIELDS, .n_parts = PARTS};

static void put(struct told *told, const char *data, size_t size)
{
    CLAIM(told->size + size <= OUT_BYTES);
    memcpy(told->text + told->size, data, size);
    told->size += size;
}

static void put_text(struct told *told, const struct bide__multipart *parser, const char *memory,
                     const char *text)
{
    if (!text) {
        put(told, "-", 1);
        return;
    }
    const char *end = memory + bide__multipart_memory(parser->limits.head_bytes);
    CLAIM(text >= memory && text < end && memchr(text, '\0', (size_t)(end - text)));
    put(told, text, strlen(text) + 1);
}

static void tell(struct told *told, const struct bide__multipart *parser, const char *memory,
                 const struct bide__multipart_event *event)
{
    if (event->kind == BIDE__MULTIPART_PART) {
        CLAIM(told->n_parts == told->n_ended && told->n_parts < PARTS);
        CLAIM(parser->name);
        told->part_bytes[told->n_parts++] = 0;
        put(told, "[", 1);
        put_text(told, parser, memory, parser->name);
        put_text(told, parser, memory, parser->filename);
        put_text(told, parser, memory, parser->type);
    } else if (event->kind == BIDE__MULTIPART_DATA) {
        CLAIM(told->n_parts == told->n_ended + 1 && event->size > 0);
        told->part_bytes[told->n_parts - 1] += event->size;
        put(told, event->data, event->size);
    } else if (event->kind == BIDE__MULTIPART_PART_END) {
        CLAIM(told->n_parts == ++told->n_ended);
        put(told, "]", 1);
    }
}

/* Given in pieces of `step` bytes, the first of `first`, each in memory of its own. */
static void parse(struct told *told, const char *data, size_t size, size_t first, size_t step)
{
    struct bide__multipart parser;
    struct bide__http1_field fields[FIELDS];
    char *memory = malloc(bide__multipart_memory(HEAD_BYTES));
    bide__multipart_init(&parser, "b", 1, &limits, memory, fields);
    told->rc = 0;
    told->n_parts = told->n_ended = told->size = 0; /* the text is large, and stays */
    for (size_t at = 0, n = first; at < size && told->rc == 0; at += n, n = step) {
        n = n > 0 && n < size - at ? n : n > 0 ? size - at : 1;
        char *piece = malloc(n);
        memcpy(piece, data + at, n);
        for (size_t used = 0; used < n && told->rc == 0;) {
            struct bide__multipart_event event;
            int64_t rc = bide__multipart_take(&parser, piece + used, n - used, &event);
            CLAIM(rc <= (int64_t)(n - used));
            CLAIM(rc != 0 || event.kind != BIDE__MULTIPART_MORE);
            told->rc = rc < 0 ? (int)rc : 0;
            used += rc > 0 ? (size_t)rc : 0;
            if (rc >= 0)
                tell(told, &parser, memory, &event);
        }
        free(piece);
    }
    if (told->rc == 0)
        told->rc = bide__multipart_end(&parser);
    told->why = parser.why;
    CLAIM((told->rc < 0) == (told->why != NULL));
    free(memory);
}

static void same(const struct told *a, const struct told *b)
{
    CLAIM(a->rc == b->rc && a->why == b->why);
    CLAIM(a->n_parts == b->n_parts && a->n_ended == b->n_ended);
    CLAIM(a->size == b->size && memcmp(a->text, b->text, a->size) == 0);
}

/* A plain search of all that came, as if a line ended before it. */
static void search(const struct told *told, const char *data, size_t size)
{
    char *all = malloc(size + 2), *end = all + size + 2;
    memcpy(all, "\r\n", 2);
    memcpy(all + 2, data, size);
    char *at = memmem(all, size + 2, "\r\n--b", 5);
    for (size_t i = 0; i < told->n_parts; i++) {
        CLAIM(at);
        char *head_end = memmem(at + 5, (size_t)(end - at - 5), "\r\n\r\n", 4);
        CLAIM(head_end);
        at = memmem(head_end + 2, (size_t)(end - head_end - 2), "\r\n--b", 5);
        CLAIM(at);
        size_t part_bytes = at > head_end + 4 ? (size_t)(at - head_end - 4) : 0;
        CLAIM(part_bytes == told->part_bytes[i]);
    }
    CLAIM(at && end - at >= 7 && memcmp(at + 5, "--", 2) == 0);
    free(all);
}

static void try_line(const char *data, size_t size)
{
    char *copy = malloc(size + 1), *at = copy, *end = copy + size;
    struct bide__form_pair pair;
    int rc;
    memcpy(copy, data, size);
    while ((rc = bide__form_pair_next(&at, end, &pair)) > 0) {
        CLAIM(pair.name >= copy && pair.name + pair.name_size <= end);
        CLAIM(pair.value >= copy && pair.value + pair.value_size <= end);
        CLAIM(pair.name[pair.name_size] == '\0' && pair.value[pair.value_size] == '\0');
        CLAIM(at >= copy && at <= end);
    }
    CLAIM(rc == 0 || rc == -EBADMSG);
    free(copy);
}

static void try_type(const char *data, size_t size)
{
    char boundary[BIDE__MULTIPART_BOUNDARY_MAX];
    const char *why = NULL;
    char *type = malloc(size + 32);
    static const char start[] = "multipart/form-data;boundary=";
    memcpy(type, start, sizeof start - 1);
    memcpy(type + sizeof start - 1, data, size);
    type[sizeof start - 1 + size] = '\0';
    int n = bide__multipart_boundary(type, boundary, &why);
    CLAIM(n > 0 ? n <= BIDE__MULTIPART_BOUNDARY_MAX : n == -EBADMSG && why);
    n = bide__multipart_boundary(type + sizeof start - 1, boundary, &why);
    CLAIM(n > 0 || n == -EBADMSG || n == -EMEDIUMTYPE);
    free(type);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct told whole, pieces;
    if (size < 2 || size > BODY_BYTES_MAX)
        return 0;
    const char *data = (const char *)input + 1;
    size--;
    parse(&whole, data, size, size, size);
    parse(&pieces, data, size, input[0], size);
    same(&whole, &pieces);
    parse(&pieces, data, size, 1, 1);
    same(&whole, &pieces);
    parse(&pieces, data, size, input[0] % 7, 2 + input[0] % 5);
    same(&whole, &pieces);
    if (whole.rc == 0)
        search(&whole, data, size);
    try_line(data, size);
    try_type(data, size);
    return 0;
}

#if !FUZZ_LIBFUZZER
/* Tries files, one after the other. */
int main(int argc, char **argv)
{
    static uint8_t data[BODY_BYTES_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file)
            return 1;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
