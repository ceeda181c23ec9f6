/*
 * The parser of HTTP/1.1, fed with anything. The first byte says what it is (request, response,
 * trailers) and where it is cut; the rest is the message.
 *
 * Claims: heads and bodies mean the same whole, cut in two, and byte by byte; what is said of a
 * head lies within it; the plain and the fast scan agree.
 */
#include "codec/http1.h"
#include "codec/http1_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 20, BODY_BYTES_MAX = 1 << 16 };

#define CLAIM(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

struct parsed {
    int rc;
    struct bide__http1_head head;
    struct bide__http1_field fields[FIELDS];
};

static const struct bide__http1_limits limits = {
    .line_bytes = 512, .head_bytes = 2048, .n_fields = FIELDS};

/* Given in pieces of `step` bytes, the first of `first`. */
static void parse(struct parsed *parsed, enum bide__http1_kind kind, const char *data, size_t size,
                  size_t first, size_t step)
{
    bide__http1_head_init(&parsed->head, kind, &limits, parsed->fields);
    parsed->rc = 0;
    for (size_t n = first < size ? first : size; parsed->rc == 0;) {
        parsed->rc = bide__http1_head_parse(&parsed->head, data, n);
        if (n == size)
            return;
        n = size - n > step ? n + step : size;
    }
}

static void within(struct bide__http1_span span, const struct bide__http1_head *head)
{
    CLAIM(span.at <= head->size && span.size <= head->size - span.at);
}

static void same(const struct parsed *a, const struct parsed *b)
{
    CLAIM(a->rc == b->rc);
    /* Where two limits are passed, how much has come decides which is noticed first. */
    if (a->rc < 0)
        CLAIM(a->head.status == b->head.status &&
              (a->head.status == 431 || a->head.why == b->head.why));
    if (a->rc <= 0)
        return;
    CLAIM(a->head.n_fields == b->head.n_fields && a->head.framing == b->head.framing);
    CLAIM(a->head.length == b->head.length && a->head.flags == b->head.flags);
    CLAIM(a->head.status == b->head.status && a->head.minor_version == b->head.minor_version);
    CLAIM(memcmp(a->fields, b->fields, a->head.n_fields * sizeof *a->fields) == 0);
    CLAIM(a->head.authority.at == b->head.authority.at &&
          a->head.authority.size == b->head.authority.size);
}

struct content {
    int64_t rc;
    size_t used, size;
    char data[BODY_BYTES_MAX];
};

static void take(struct content *content, const struct bide__http1_head *head, const char *data,
                 size_t size, size_t step)
{
    struct bide__http1_body body;
    bide__http1_body_init(&body, head->framing, head->length);
    content->rc = content->used = content->size = 0;
    while (content->used < size && !bide__http1_body_over(&body)) {
        const char *piece;
        size_t piece_size;
        size_t n = size - content->used < step ? size - content->used : step;
        content->rc = bide__http1_body_take(&body, data + content->used, n, &piece, &piece_size);
        if (content->rc < 0)
            return;
        CLAIM(content->rc > 0 && (size_t)content->rc <= n);
        CLAIM(piece_size == 0 || (piece >= data && piece + piece_size <= data + size));
        if (piece_size > 0)
            memcpy(content->data + content->size, piece, piece_size);
        content->size += piece_size;
        content->used += (size_t)content->rc;
    }
    content->rc = bide__http1_body_over(&body);
}

static void try_body(const struct bide__http1_head *head, const char *data, size_t size)
{
    static struct content whole, pieces;
    take(&whole, head, data, size, size);
    for (size_t step = 1; step < 8; step += 2) {
        take(&pieces, head, data, size, step);
        CLAIM((whole.rc < 0) == (pieces.rc < 0));
        CLAIM(whole.rc < 0 || (whole.rc == pieces.rc && whole.used == pieces.used));
        CLAIM(whole.rc < 0 || whole.size == pieces.size);
        CLAIM(whole.rc < 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 2 || size > BODY_BYTES_MAX)
        return 0;
    enum bide__http1_kind kind = (enum bide__http1_kind)(input[0] % 3);
    const char *data = (const char *)input + 1, *end = (const char *)input + size;
    static struct parsed whole, cut, drip;
    size--;
    CLAIM(bide__http1_scan_value(data, end) == bide__http1_scan_value_plain(data, end));
    CLAIM(bide__http1_scan_visible(data, end) == bide__http1_scan_visible_plain(data, end));
    parse(&whole, kind, data, size, size, size);
    parse(&cut, kind, data, size, input[0] / 3, size);
    parse(&drip, kind, data, size, 1, 1);
    same(&whole, &cut);
    same(&whole, &drip);
    if (whole.rc <= 0)
        return 0;
    CLAIM((size_t)whole.rc == whole.head.size && whole.head.size <= size);
    within(whole.head.method, &whole.head);
    within(whole.head.target, &whole.head);
    within(whole.head.authority, &whole.head);
    for (size_t i = 0; i < whole.head.n_fields; i++) {
        within(whole.fields[i].name, &whole.head);
        within(whole.fields[i].value, &whole.head);
    }
    try_body(&whole.head, data + whole.head.size, size - whole.head.size);
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
