/*
 * Forms as bytes. Scenario: multipart bodies as browsers, curl and others write them, malformed and
 * ambiguous ones, and such at their limits; each whole, cut in two at every byte, and in pieces of
 * every size. Forms in a line likewise.
 * Claim: each is read in one way or refused in words; how it was split makes no difference, to what
 * is told nor to which byte ends it; data passes without a copy.
 */
#include <bide/error.h>
#include <bide/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/multipart.h"

enum {
    FIELDS_MAX = 4,
    HEAD_BYTES = 200,
    PARTS_MAX = 3,
    OUT_BYTES = 8192,
    MEMORY_BYTES = 2 * HEAD_BYTES + 8
};

struct transcript {
    char text[OUT_BYTES]; /* "[name|filename|type]data." per part, "!" at the end, or the words of
                             the error after "?" */
    size_t size;
};

static void say(struct transcript *out, const char *data, size_t size)
{
    BIDE_CHECK(out->size + size < sizeof out->text);
    memcpy(out->text + out->size, data, size);
    out->size += size;
    out->text[out->size] = '\0';
}

static void say_text(struct transcript *out, const char *text)
{
    say(out, text, strlen(text));
}

static void say_event(struct transcript *out, const struct bide__multipart *parser,
                      const struct bide__multipart_event *event)
{
    const char *texts[] = {parser->name, parser->filename, parser->type};
    switch (event->kind) {
    case BIDE__MULTIPART_PART:
        for (int i = 0; i < 3; i++) {
            say_text(out, i == 0 ? "[" : "|");
            say_text(out, texts[i] ? texts[i] : "-");
        }
        say_text(out, "]");
        break;
    case BIDE__MULTIPART_DATA:
        BIDE_CHECK(event->size > 0);
        say(out, event->data, event->size);
        break;
    case BIDE__MULTIPART_PART_END:
        say_text(out, ".");
        break;
    case BIDE__MULTIPART_END:
        say_text(out, "!");
        break;
    default:
        break;
    }
}

static const struct bide__multipart_limits limits = {
    .head_bytes = HEAD_BYTES, .n_fields = FIELDS_MAX, .n_parts = PARTS_MAX};

/* One piece, from memory of its own that is gone afterwards. 0 or the error. */
static int take_piece(struct bide__multipart *parser, struct transcript *out, const char *data,
                      size_t size)
{
    char *copy = malloc(size + 1);
    size_t used = 0;
    int64_t rc = 0;
    memcpy(copy, data, size);
    while (used < size && rc >= 0) {
        struct bide__multipart_event event;
        rc = bide__multipart_take(parser, copy + used, size - used, &event);
        if (rc < 0)
            break;
        BIDE_CHECK(rc > 0 || event.kind != BIDE__MULTIPART_MORE);
        BIDE_CHECK((size_t)rc <= size - used);
        used += (size_t)rc;
        say_event(out, parser, &event);
    }
    free(copy);
    return (int)(rc < 0 ? rc : 0);
}

/* The first piece has `first` bytes, the others `piece`. */
static int read_form(struct transcript *out, const char *data, size_t size, size_t first,
                     size_t piece)
{
    struct bide__multipart parser;
    struct bide__http1_field fields[FIELDS_MAX];
    BIDE_CHECK_INT(bide__multipart_memory(HEAD_BYTES), MEMORY_BYTES);
    char *memory = malloc(MEMORY_BYTES);
    int rc = 0;
    bide__multipart_init(&parser, "b-X", 3, &limits, memory, fields);
    out->size = 0;
    out->text[0] = '\0';
    for (size_t at = 0, n; at < size && rc == 0; at += n) {
        n = at == 0 ? first : piece;
        n = n < size - at ? n : size - at;
        rc = take_piece(&parser, out, data + at, n);
    }
    if (rc == 0)
        rc = bide__multipart_end(&parser);
    if (rc == 0 && (out->size == 0 || out->text[out->size - 1] != '!'))
        say_text(out, "!"); /* the end of the body is the end of its last line */
    if (rc < 0) {
        struct bide__multipart_event event;
        BIDE_CHECK(parser.why);
        say_text(out, "?");
        say_text(out, parser.why);
        BIDE_CHECK_INT(bide__multipart_take(&parser, "x", 1, &event), rc);
        BIDE_CHECK_INT(bide__multipart_end(&parser), rc);
    }
    free(memory);
    return rc;
}

static int check_form(const char *data, size_t size, const char *expected, size_t expected_size)
{
    static struct transcript whole, pieces;
    int rc = read_form(&whole, data, size, size, size);
    if (expected)
        BIDE_CHECK_MEM(whole.text, expected,
                       expected_size < whole.size ? whole.size : expected_size);
    for (size_t piece = 1; piece <= size; piece++) {
        BIDE_CHECK_INT(read_form(&pieces, data, size, piece, piece), rc);
        BIDE_CHECK_STR(pieces.text, whole.text);
        BIDE_CHECK_INT(read_form(&pieces, data, size, piece, size), rc);
        BIDE_CHECK_INT(pieces.size, whole.size);
        BIDE_CHECK_MEM(pieces.text, whole.text, whole.size);
    }
    return rc;
}

#define NAMED(rest) "--b-X\r\nContent-Disposition: form-data; " rest "\r\n\r\n"
#define A NAMED("name=a")
#define LAST "\r\n--b-X--\r\n"

struct form {
    const char *body, *expected;
};

static const struct form good[] = {
    {A "text" LAST, "[a|-|-]text.!"},
    {"\r\n" A "text" LAST, "[a|-|-]text.!"},
    {"--b-X--", "!"},
    {"--b-X-- \t ", "!"},
    {"--b-X--\r\nepilogue --b-X\r\n" A, "!"},
    {"preamble\r\nof --b-X\r\n--b-\r\n" A "x" LAST "\r\n" A "y" LAST, "[a|-|-]x.!"},
    {A "\r\n--b-X--", "[a|-|-].!"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\r\n\r\n--b-X--", "[a|-|-].!"},
    {A "\r\n" LAST, "[a|-|-]\r\n.!"},
    {A "\r\n\r\n" LAST, "[a|-|-]\r\n\r\n.!"},
    {A "x\r" LAST, "[a|-|-]x\r.!"},
    {A "x\n" LAST, "[a|-|-]x\n.!"},
    {A "\r\n--b-" LAST, "[a|-|-]\r\n--b-.!"},
    {A "--b-Y" LAST, "[a|-|-]--b-Y.!"},
    {A "\r\r\n\r\n-\r\n--\r\n--b\r\n--b-x" LAST, "[a|-|-]\r\r\n\r\n-\r\n--\r\n--b\r\n--b-x.!"},
    {A "x--b-X--" LAST, "[a|-|-]x--b-X--.!"},
    {A "x\n--b-X--" LAST, "[a|-|-]x\n--b-X--.!"},
    {A "x\r--b-X--" LAST, "[a|-|-]x\r--b-X--.!"},
    {A "x\r\n--b-X \t \r\nContent-Disposition:form-data;name=b\r\n\r\ny" LAST,
     "[a|-|-]x.[b|-|-]y.!"},
    {A "1\r\n" A "2\r\n" A "3" LAST, "[a|-|-]1.[a|-|-]2.[a|-|-]3.!"},
    {NAMED("name=\"a b\"; filename=\"c;d\"") LAST, "[a b|c;d|-].!"},
    {NAMED("name=\"\"; filename=\"\"") "x" LAST, "[||-]x.!"},
    {NAMED("NAME=\"a\" ;\tFileName=f") "x" LAST, "[a|f|-]x.!"},
    {NAMED("filename=f; name=a; size=1; creation-date=\"x\"") LAST, "[a|f|-].!"},
    {NAMED("name=\"a%22%0d%0Ab%41%\"") LAST, "[a\"\r\nb%41%|-|-].!"},
    {NAMED("name=\"%%22%2\"") LAST, "[%\"%2|-|-].!"},
    {NAMED("name=\"a\\\"b\\\\c\\d\"; filename=\"C:\\x\\y\"") LAST, "[a\"b\\c\\d|C:\\x\\y|-].!"},
    {NAMED("name=\"\xc3\xa9\"; filename=\"\xff\"") LAST, "[\xc3\xa9|\xff|-].!"},
    {NAMED("name=a; filename*=UTF-8''%c3%a9%20x") LAST, "[a|\xc3\xa9 x|-].!"},
    {NAMED("name=a; filename*=utf-8'en'x; filename=y") LAST, "[a|y|-].!"},
    {"--b-X\r\ncontent-type: text/x; y=\"z\" \r\ncontent-disposition: FORM-DATA; name=a\r\n"
     "X: y\r\nContent-Length: 99\r\n\r\nx" LAST,
     "[a|-|text/x; y=\"z\"]x.!"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: Binary\r\n"
     "Content-Type:\r\n\r\nx" LAST,
     "[a|-|]x.!"},
};

BIDE_TEST(good_forms_at_every_split)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        BIDE_CHECK_INT(check_form(good[i].body, strlen(good[i].body), good[i].expected,
                                  strlen(good[i].expected)),
                       0);
}

static const struct form bad[] = {
    {"", "?no boundary in it"},
    {"-", "?no boundary in it"},
    {"b-X\r\nx", "?no boundary in it"},
    {" --b-X--\r\n", "?no boundary in it"},
    {"\n--b-X--\r\n", "?no boundary in it"},
    {"--b-X", "?it ends without its last boundary"},
    {"--b-X-", "?it ends without its last boundary"},
    {"--b-X\r", "?it ends without its last boundary"},
    {"--b-X--\r", "?it ends without its last boundary"},
    {"--b-X\r\n", "?it ends within a part's head"},
    {"--b-X\r\nContent-Disp", "?it ends within a part's head"},
    {A, "[a|-|-]?it ends without its last boundary"},
    {A "x\r\n--b-X", "[a|-|-]x?"},
    {A "x\r\n--b-X-", "[a|-|-]x.?"},
    {A "x\r\n--b-", "[a|-|-]x?it ends without its last boundary"},
    {A "x--b-X--\r\n", "[a|-|-]x--b-X--?it ends without its last boundary"},
    {A "x\n--b-X--\n", "[a|-|-]x\n--b-X--\n?it ends without its last boundary"},
    {A "x\r\n--b-X--x", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-X--\rx", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-X--\n", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-XY\r\n", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-X-Y\r\n", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-X\n", "[a|-|-]x.?a boundary with something behind it"},
    {A "x\r\n--b-X\rx", "[a|-|-]x.?a boundary with something behind it"},
    {"--b-X x\r\n", "?a boundary with something behind it"},
    {"--b-X\r\n\r\nx" LAST, "?a part without Content-Disposition"},
    {"--b-X\r\nContent-Type: text/plain\r\n\r\nx" LAST, "?a part without Content-Disposition"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\n\r\n" LAST,
     "?a line that ends without CR LF"},
    {"--b-X\r\nContent-Disposition: form-data; name=\"a\rb\"\r\n\r\n" LAST,
     "?a control character in a value"},
    {"--b-X\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n" LAST, "?a folded line"},
    {"--b-X\r\nX: y\r\n z\r\nContent-Disposition: form-data; name=a\r\n\r\n" LAST,
     "?a folded line"},
    {"--b-X\r\nContent-Disposition : form-data; name=a\r\n\r\n" LAST,
     "?a space in or behind a name"},
    {"--b-X\r\nno colon\r\n\r\n" LAST, "?a space in or behind a name"},
    {"--b-X\r\n: x\r\n\r\n" LAST, "?no field name"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n"
     "\r\nx" LAST,
     "?more than one Content-Disposition"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\r\nContent-Type: a/b\r\nContent-type: a/b\r\n"
     "\r\nx" LAST,
     "?more than one Content-Type"},
    {"--b-X\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "eA==" LAST,
     "?a part that is encoded"},
    {"--b-X\r\nContent-Disposition: attachment; name=a\r\n\r\n" LAST,
     "?a Content-Disposition other than form-data"},
    {"--b-X\r\nContent-Disposition: form-data, name=a\r\n\r\n" LAST,
     "?a malformed Content-Disposition"},
    {"--b-X\r\nContent-Disposition: form-data\r\n\r\n" LAST, "?a part without a name"},
    {"--b-X\r\nContent-Disposition:\r\n\r\n" LAST, "?a Content-Disposition other than form-data"},
    {NAMED("filename=x") LAST, "?a part without a name"},
    {NAMED("name*=utf-8''x") LAST, "?a part without a name"},
    {NAMED("name=a; name=a") LAST, "?a name or filename that is there twice"},
    {NAMED("name=a; filename=a; Filename=b") LAST, "?a name or filename that is there twice"},
    {NAMED("name=a; filename*=utf-8''a; filename*=utf-8''b") LAST,
     "?a name or filename that is there twice"},
    {NAMED("name=a; filename*=latin1''a") LAST, "?a malformed filename"},
    {NAMED("name=a; filename*=utf-8''%4") LAST, "?a malformed filename"},
    {NAMED("name=a; filename*=utf-8''%00") LAST, "?a malformed filename"},
    {NAMED("name=a; filename*=\"utf-8''a\"") LAST, "?a malformed filename"},
    {NAMED("name=a; filename*=utf-8'a") LAST, "?a malformed filename"},
    {NAMED("name") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=") LAST, "?a malformed Content-Disposition"},
    {NAMED("name =a") LAST, "?a malformed Content-Disposition"},
    {NAMED("name= a") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=a;") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=a;;filename=b") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=a b") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=\"a") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=\"a\\\"") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=\"a\"b") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=a\"b\"") LAST, "?a malformed Content-Disposition"},
    {NAMED("name=\xc3\xa9") LAST, "?a malformed Content-Disposition"},
};

BIDE_TEST(bad_forms_at_every_split)
{
    static struct transcript whole;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size = strlen(bad[i].body);
        BIDE_CHECK_INT(check_form(bad[i].body, size, NULL, 0), -EBADMSG);
        read_form(&whole, bad[i].body, size, size, size);
        BIDE_CHECK_CONTAINS(whole.text, bad[i].expected);
    }
}

/* Data with NULs, and a NUL where none may be. */
BIDE_TEST(bytes_that_are_no_text)
{
    static const char data[] = A "x\0\r\0\n\0\r\n--b-X\0" LAST;
    static const char nuls[] = A "x\0\r\0\n\0\r\n--b\0" LAST,
                      expected[] = "[a|-|-]x\0\r\0\n\0\r\n--b"
                                   "\0.!";
    static const char in_head[] =
        "--b-X\r\nContent-Disposition: form-data; name=\"\0\"\r\n\r\n" LAST;
    BIDE_CHECK_INT(check_form(data, sizeof data - 1, NULL, 0), -EBADMSG);
    BIDE_CHECK_INT(check_form(nuls, sizeof nuls - 1, expected, sizeof expected - 1), 0);
    BIDE_CHECK_INT(check_form(in_head, sizeof in_head - 1, NULL, 0), -EBADMSG);
}

/* Limits */

static int with_head(size_t padding, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "--b-X\r\nContent-Disposition: form-data; name=a\r\n%sX: %0*d\r\n\r\n"
             "x" LAST,
             more, (int)padding, 0);
    return check_form(text, strlen(text), NULL, 0);
}

BIDE_TEST(limits_hold)
{
    /* HEAD_BYTES, without its last LF */
    size_t others = strlen("Content-Disposition: form-data; name=a\r\nX: \r\n\r");
    BIDE_CHECK_INT(with_head(HEAD_BYTES - others, ""), 0);
    BIDE_CHECK_INT(with_head(HEAD_BYTES - others + 1, ""), -BIDE_ELIMIT);
    BIDE_CHECK_INT(with_head(HEAD_BYTES * 3, ""), -BIDE_ELIMIT);
    BIDE_CHECK_INT(with_head(1, "A: b\r\nA: b\r\n"), 0);
    BIDE_CHECK_INT(with_head(1, "A: b\r\nA: b\r\nA: b\r\n"), -BIDE_ELIMIT);
    static const char parts[] = A "1\r\n" A "2\r\n" A "3\r\n" A "4" LAST;
    BIDE_CHECK_INT(check_form(parts, sizeof parts - 1, NULL, 0), -BIDE_ELIMIT);
    char blanks[256];
    for (int n = 60; n < 70; n++) {
        snprintf(blanks, sizeof blanks,
                 "--b-X%*s\r\nContent-Disposition: form-data; name=a\r\n\r\n"
                 "x\r\n--b-X--%*s\r\n",
                 n, "", n, "");
        BIDE_CHECK_INT(check_form(blanks, strlen(blanks), NULL, 0), n <= 64 ? 0 : -EBADMSG);
    }
}

/* The longest boundary, in data that is nearly it all the time. */
BIDE_TEST(the_longest_boundary)
{
    enum { N = BIDE__MULTIPART_BOUNDARY_MAX };
    static struct transcript out;
    char boundary[N + 1] = "", body[2048], memory[MEMORY_BYTES];
    struct bide__http1_field fields[FIELDS_MAX];
    memset(boundary, '-', N);
    snprintf(
        body, sizeof body,
        "--%s\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n%.71s\r\n\r\n%.71sx\r\n%.20s"
        "\r\n--%s--\r\n",
        boundary, boundary, boundary, boundary, boundary);
    size_t size = strlen(body);
    for (size_t piece = 1; piece < size; piece++) {
        struct bide__multipart parser;
        bide__multipart_init(&parser, boundary, N, &limits, memory, fields);
        out.size = 0;
        for (size_t at = 0; at < size; at += piece)
            BIDE_CHECK_INT(
                take_piece(&parser, &out, body + at, size - at < piece ? size - at : piece), 0);
        BIDE_CHECK_INT(bide__multipart_end(&parser), 0);
        BIDE_CHECK_INT(out.size, strlen("[a|-|-]x\r\n\r\n\r\nx\r\n.!") + 2 * N + 20);
    }
}

BIDE_TEST(data_is_lent)
{
    static const char body[] = A "some data that is not copied" LAST;
    struct bide__multipart parser;
    struct bide__http1_field fields[FIELDS_MAX];
    struct bide__multipart_event event;
    char memory[MEMORY_BYTES];
    bide__multipart_init(&parser, "b-X", 3, &limits, memory, fields);
    int64_t used = bide__multipart_take(&parser, body, sizeof body - 1, &event);
    BIDE_CHECK_INT(event.kind, BIDE__MULTIPART_PART);
    BIDE_CHECK_INT(used, strlen(A));
    BIDE_CHECK_INT(
        bide__multipart_take(&parser, body + used, sizeof body - 1 - (size_t)used, &event), 28);
    BIDE_CHECK_INT(event.kind, BIDE__MULTIPART_DATA);
    BIDE_CHECK(event.data == body + used);
}

/* Content types */

static const struct {
    const char *type, *expected; /* the boundary, or "?" and words */
} types[] = {
    {"multipart/form-data; boundary=abc", "abc"},
    {"Multipart/Form-Data;boundary=\"a b:c\" ; charset=utf-8", "a b:c"},
    {"multipart/form-data; x=y; BOUNDARY='()+_,-./:=?", "?a malformed Content-Type"},
    {"multipart/form-data; x=y; BOUNDARY=\"'()+_,-./:=?\"", "'()+_,-./:=?"},
    {"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
     "----WebKitFormBoundary7MA4YWxk"},
    {"multipart/form-data", "?no boundary"},
    {"multipart/form-data;", "?a malformed Content-Type"},
    {"multipart/form-data; boundary", "?a malformed Content-Type"},
    {"multipart/form-data; boundary=", "?a malformed Content-Type"},
    {"multipart/form-data boundary=a", "?a malformed Content-Type"},
    {"multipart/form-data, boundary=a", "?another type"},
    {"multipart/form-data; boundary=\"\"", "?a boundary that none can be"},
    {"multipart/form-data; boundary=\"a \"", "?a boundary that none can be"},
    {"multipart/form-data; boundary=\"a\\\"\"", "?a boundary that none can be"},
    {"multipart/form-data; boundary=a*b", "?a boundary that none can be"},
    {"multipart/form-data; boundary=a; boundary=a", "?more than one boundary"},
    {"multipart/form-data; boundary="
     "1234567890123456789012345678901234567890123456789012345678901234567890",
     "1234567890123456789012345678901234567890123456789012345678901234567890"},
    {"multipart/form-data; boundary="
     "12345678901234567890123456789012345678901234567890123456789012345678901",
     "?a boundary longer than 70 bytes"},
    {"multipart/mixed; boundary=a", "?another type"},
    {"multipart/form-datax; boundary=a", "?another type"},
    {"text/plain", "?another type"},
    {"", "?another type"},
};

BIDE_TEST(boundaries)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char boundary[BIDE__MULTIPART_BOUNDARY_MAX + 1];
        const char *why = "another type", *expected = types[i].expected;
        int n = bide__multipart_boundary(types[i].type, boundary, &why);
        if (n > 0) {
            boundary[n] = '\0';
            BIDE_CHECK_STR(boundary, expected);
            continue;
        }
        BIDE_CHECK_INT(n, strcmp(why, "another type") == 0 ? -EMEDIUMTYPE : -EBADMSG);
        BIDE_CHECK_INT(expected[0], '?');
        BIDE_CHECK_STR(why, expected + 1);
    }
}

/* Forms in a line */

static const struct form lines[] = {
    {"a=b", "a=b;"},
    {"a=b&c=d", "a=b;c=d;"},
    {"a", "a=;"},
    {"a=", "a=;"},
    {"=a", "=a;"},
    {"=", "=;"},
    {"", ""},
    {"&&a=b&&&c&", "a=b;c=;"},
    {"a=b=c", "a=b=c;"},
    {"a+b=+c%20%2b%26%3D", "a b= c +&=;"},
    {"%c3%A9=%61", "\xc3\xa9=a;"},
    {"a%=b", "?"},
    {"a=%4", "?"},
    {"a=%4&b", "?"},
    {"a=b&c=%zz", "a=b;?"},
};

BIDE_TEST(pairs_of_a_line)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct transcript out = {.size = 0};
        char *copy = strdup(lines[i].body), *at = copy, *end = copy + strlen(copy);
        struct bide__form_pair pair;
        int rc;
        while ((rc = bide__form_pair_next(&at, end, &pair)) > 0) {
            say(&out, pair.name, pair.name_size);
            say_text(&out, "=");
            say(&out, pair.value, pair.value_size);
            say_text(&out, ";");
            BIDE_CHECK_INT(strlen(pair.name), pair.name_size);
            BIDE_CHECK_INT(strlen(pair.value), pair.value_size);
        }
        if (rc < 0)
            say_text(&out, "?");
        BIDE_CHECK_STR(out.text, lines[i].expected);
        BIDE_CHECK_INT(rc, rc < 0 ? -EBADMSG : 0);
        free(copy);
    }
    char nul[] = "a=x%00y", *at = nul;
    struct bide__form_pair pair;
    BIDE_CHECK_INT(bide__form_pair_next(&at, nul + sizeof nul - 1, &pair), 1);
    BIDE_CHECK_INT(pair.value_size, 3);
    BIDE_CHECK_MEM(pair.value, "x\0y", 4);
}
