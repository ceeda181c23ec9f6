/*
 * Forms that a server reads. Scenario: forms of both kinds, whole and part by part, from bytes and
 * from the library's own client; malformed, too large, of other types; files that stay in memory
 * and files that go to disk; reading that is cancelled and goes on, clients that vanish midway, a
 * disk that is full.
 * Claim: both ways of reading tell the same, to the byte; what is refused is answered with 400, 413
 * or 415, and has words; a cancelled read has lost nothing; nothing is left, on disk or open.
 */
#include "http_form_rig.h"

#include <bide/http_client.h>
#include <bide/inspect.h>

static const char *const ways[] = {"/whole", "/parts"};

static const struct {
    const char *type, *body, *expected;
} forms[] = {
    {LINE, "a=b&c=d+e%21&a=", "200 a=b;c=d e!;a=;"},
    {LINE "; charset=utf-8", "", "200 "},
    {"Application/X-WWW-Form-Urlencoded", "%c3%a9", "200 \xc3\xa9=;"},
    {MULTIPART, "--b--\r\n", "200 "},
    {MULTIPART, "--b--", "200 "},
    {MULTIPART, NAMED("name=a") "b" LAST, "200 a=b;"},
    {MULTIPART, NAMED("name=a") LAST "epilogue", "200 a=;"},
    {MULTIPART, NAMED("name=a") "\r\n--b--", "200 a=;"},
    {MULTIPART, "preamble\r\n" NAMED("name=a") "b\r\n" NAMED("name=c; filename=d") "xy" LAST,
     "200 a=b;c@d|-|2|00000f01;"},
    {MULTIPART, NAMED("name=a; filename=\"/etc/x.txt\"\r\nContent-Type: text/plain") LAST,
     "200 a@x.txt|text/plain|0|00000000;"},
    {MULTIPART, NAMED("name=a; filename=\"C:\\x\\y z\"") LAST, "200 a@y z|-|0|00000000;"},
    {MULTIPART, NAMED("name=a; filename=\"x/..\"") LAST, "200 a@|-|0|00000000;"},
    {MULTIPART, NAMED("name=a; filename=\"\"\r\nContent-Type: application/octet-stream") LAST,
     "200 a@|application/octet-stream|0|00000000;"},
    {MULTIPART, NAMED("name=a\r\nContent-Type: application/json") "{}" LAST,
     "200 a|application/json={};"},
};

STREAM_TEST(forms_of_both_kinds)
{
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (int way = 0; way < 2; way++)
            CHECK_STR(post_text(ways[way], forms[i].type, forms[i].body), forms[i].expected);
    http_end();
}

static const struct {
    const char *type, *body;
    int status, error;
    const char *words;
} refused[] = {
    {"text/plain", "a=b", 415, -EMEDIUMTYPE,
     "the request is no form: its Content-Type is text/plain"},
    {"", "a=b", 415, -EMEDIUMTYPE, "the request is no form: its Content-Type is "},
    {"multipart/mixed; boundary=b", "--b--", 415, -EMEDIUMTYPE, "Content-Type is multipart/mixed"},
    {LINE "\r\nContent-Encoding: gzip", "a=b", 415, -EMEDIUMTYPE, "the form is packed"},
    {"multipart/form-data", "--b--", 400, -EBADMSG, "a form: no boundary"},
    {"multipart/form-data; boundary=\"\\\"\"", "", 400, -EBADMSG, "a boundary that none can be"},
    {MULTIPART, "", 400, -EBADMSG, "a form: no boundary in it"},
    {MULTIPART, NAMED("name=a") "b", 400, -EBADMSG, "it ends without its last boundary"},
    {MULTIPART, NAMED("x=a") "b" LAST, 400, -EBADMSG, "a part without a name"},
    {MULTIPART, NAMED("name=a") "b\r\n--bc" LAST, 400, -EBADMSG, "something behind it"},
    {LINE, "a=%4", 400, -EBADMSG, "a form: a malformed escape"},
    {LINE, "a%00=b", 400, -EBADMSG, "a form: a NUL in a name"},
};

STREAM_TEST(what_is_no_form_is_refused_in_words)
{
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        for (int way = 0; way < 2; way++) {
            const char *answer = post_text(ways[way], refused[i].type, refused[i].body);
            CHECK_INT(atoi(answer), refused[i].status);
            CHECK_INT(rig_error, refused[i].error);
            CHECK_CONTAINS(rig_words, refused[i].words);
        }
    CHECK_CONTAINS(http_ask("POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                            "Connection: close\r\n\r\na=b"),
                   "415");
    CHECK_STR(rig_words, "the request is no form: its Content-Type is missing");
    http_end();
}

#define FILE_OF(content) NAMED("name=a; filename=b") content

static const struct {
    struct bide_http_form_opts opts;
    const char *type, *good, *bad, *words;
} limited[] = {
    {{.body_bytes = 3}, LINE, "a=b", "a=bc", "the body is over the limit of 3"},
    {{.text_bytes = 3}, LINE, "a=b", "a=bc", "its text is over the limit of 3"},
    {{.field_bytes = 2}, LINE, "a=bc", "a=bcd", "the field \"a\" is longer than 2 bytes"},
    {{.fields_max = 2}, LINE, "a&b", "a&b&c", "the number of fields is over the limit of 2"},
    {{.field_bytes = 2},
     MULTIPART,
     NAMED("name=a%0D") "bc" LAST,
     NAMED("name=a%0D") "bcd" LAST,
     "the field \"a?\" is longer than 2 bytes"},
    {{.file_bytes = 2},
     MULTIPART,
     FILE_OF("bc") LAST,
     FILE_OF("bcd") LAST,
     "the file \"a\" is longer than 2 bytes"},
    {{.fields_max = 1},
     MULTIPART,
     FILE_OF("bc") LAST,
     FILE_OF("bcd\r\n") FILE_OF("") LAST,
     "more parts than are allowed"},
    {{.files_max = 1},
     MULTIPART,
     FILE_OF("bc\r\n") NAMED("name=a") "b" LAST,
     FILE_OF("bcd\r\n") FILE_OF("") LAST,
     "the number of files is over the limit of 1"},
    {{.head_bytes = 60},
     MULTIPART,
     FILE_OF("") LAST,
     NAMED("name=a; filename=bcdefghijklmn") LAST,
     "the head is too large"},
};

STREAM_TEST(what_is_over_a_limit_is_refused_in_words)
{
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++)
        for (int way = 0; way < 2; way++) {
            rig_opts = limited[i].opts;
            CHECK_INT(atoi(post_text(ways[way], limited[i].type, limited[i].good)), 200);
            CHECK_INT(atoi(post_text(ways[way], limited[i].type, limited[i].bad)), 413);
            CHECK_INT(rig_error, -BIDE_ELIMIT);
            CHECK_CONTAINS(rig_words, limited[i].words);
        }
    /* Names and texts together; only for who keeps them. */
    rig_opts = (struct bide_http_form_opts){.text_bytes = 4};
    static const char text[] = NAMED("name=ab") "cd" LAST, more[] = NAMED("name=ab") "cde" LAST;
    CHECK_STR(post_text("/whole", MULTIPART, text), "200 ab=cd;");
    CHECK_INT(atoi(post_text("/whole", MULTIPART, more)), 413);
    CHECK_STR(rig_words, "a form: its text is over the limit of 4");
    CHECK_STR(post_text("/parts", MULTIPART, more), "200 ab=cde;");
    http_end();
}

/* Nobody is told to go on with what will be refused. */
STREAM_TEST(what_the_head_says_is_refused_before_the_body)
{
    static const char *const heads[] = {
        "Content-Type: text/plain\r\nContent-Length: 3\r\n",
        "Content-Type: " LINE "\r\nContent-Length: 20000000\r\n",
        "Content-Type: " LINE "\r\nContent-Length: 2000000\r\n",
        "Content-Type: multipart/form-data\r\nContent-Length: 3\r\n",
    };
    static const int statuses[] = {415, 413, 413, 400};
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < 8; i++) {
        char text[512];
        snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: h\r\n%sExpect: 100-continue\r\n\r\n",
                 ways[i % 2], heads[i / 2]);
        CHECK_INT(http_status_of(http_ask(text)), statuses[i / 2]);
    }
    http_end();
}

/* In chunks, byte by byte, and over the server's own limit. */
STREAM_TEST(in_chunks_and_drips)
{
    static const char head[] = "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n"
                               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[512];
        bide_stream *stream = http_connect();
        snprintf(text, sizeof text, head, ways[i % 2], forms[i].type);
        http_say(stream, text);
        for (const char *at = forms[i].body; *at; at++) {
            snprintf(text, sizeof text, "1\r\n%c\r\n", *at);
            http_say(stream, text);
            bide_sleep(0);
        }
        http_say(stream, "0\r\n\r\n");
        CHECK_CONTAINS(http_hear(stream), forms[i].expected + 4);
        bide_close(stream);
    }
    rig_opts.body_bytes = 10;
    for (int way = 0; way < 2; way++) {
        char text[512];
        snprintf(text, sizeof text, head, ways[way], LINE);
        strcat(text, "b\r\na=bcdefghij\r\n0\r\n\r\n");
        CHECK_INT(http_status_of(http_ask(text)), 413);
        CHECK_STR(rig_words, "a form: the body is over the limit of 10");
    }
    http_end();
}

/* One connection: what stands behind a form, or was not read of it, is no part of the next
 * request. */
static int look_at_two(bide_http_request *request, void *data)
{
    bide_http_form_reader *reader;
    struct bide_http_form_part part;
    char byte, text[64], *value;
    (void)data;
    CHECK_INT(bide_http_form_open(request, NULL, &reader), 0);
    CHECK_PTR(bide_http_form_part_header(reader, "x"), NULL);
    CHECK_INT(bide_http_form_part_read(reader, &byte, 1), 0); /* not yet */
    CHECK_INT(bide_http_form_next(reader, &part), 1);
    CHECK_STR(part.name, "a");
    CHECK_STR(bide_http_form_part_header(reader, "x-note"), "one  two");
    CHECK_STR(bide_http_form_part_header(reader, "Content-Disposition"), "form-data; name=a");
    CHECK_PTR(bide_http_form_part_header(reader, "none"), NULL);
    CHECK_INT(bide_http_form_part_read(reader, &byte, 1), 1);
    CHECK_INT(bide_http_form_next(reader, &part), 1);
    CHECK_INT(bide_http_form_part_read_all(reader, 2, &value), 2);
    CHECK_INT(bide_http_form_part_read_all(reader, 2, &value), 0);
    CHECK_STR(value, "");
    snprintf(text, sizeof text, "%c%s", byte, part.name);
    return bide_http_reply_text(request, 200, text);
}

STREAM_TEST(what_is_not_read_is_passed_over)
{
    static const char body[] =
        "--b\r\nContent-Disposition: form-data; name=a\r\nX-Note: one  two \r\n"
        "\r\nxyz\r\n" NAMED("name=b") "12\r\n" NAMED("name=c") LAST "rest";
    char text[1024];
    form_app();
    http_route("POST", "/two", look_at_two);
    http_begin(NULL);
    for (int i = 0; i < 2; i++) {
        bide_stream *stream = http_connect();
        snprintf(text, sizeof text,
                 "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: " MULTIPART
                 "\r\nContent-Length: %zu\r\n\r\n%s",
                 i == 0 ? "/two" : "/parts", sizeof body - 1, body);
        http_say(stream, text);
        http_say(stream, "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        const char *answers = http_hear(stream);
        CHECK_CONTAINS(answers, i == 0 ? "\r\n\r\nxbHTTP/1.1 404" : "a=xyz;b=12;c=;HTTP/1.1 404");
        bide_close(stream);
    }
    http_end();
}

/* Files */

enum { LARGE = 200 * KIB };
static char large[LARGE];

/* A multipart body of files of these sizes, from one pattern. */
static size_t files_body(char *to, const size_t *sizes, size_t n)
{
    char *at = to;
    for (size_t i = 0; i < n; i++) {
        at += sprintf(at, "--b\r\nContent-Disposition: form-data; name=f%zu; filename=x\r\n\r\n",
                      i);
        memcpy(at, large, sizes[i]);
        at += sizes[i];
        at += sprintf(at, "\r\n");
    }
    at += sprintf(at, "--b--\r\n");
    return (size_t)(at - to);
}

static void files_expected(char *to, const size_t *sizes, size_t n)
{
    to += sprintf(to, "200 ");
    for (size_t i = 0; i < n; i++)
        to += sprintf(to, "f%zu@x|-|%zu|%08x;", i, sizes[i], sum_of(0, large, sizes[i]));
}

STREAM_TEST(what_does_not_stay_in_memory_goes_to_disk)
{
    static const struct {
        size_t memory, sizes[4];
        size_t n;
        int on_disk;
    } cases[] = {
        {1000, {1000}, 1, 0},
        {1000, {1001}, 1, 1},
        {1000, {600, 400, 1}, 3, 1},
        {1000, {600, 500, 300}, 3, 1}, /* the one in the middle */
        {1, {2, 2, 2, 0}, 4, 3},
        {SIZE_MAX, {100000}, 1, 0},
        {100000, {60000, 60000, 30000}, 3, 1},
        {0, {LARGE}, 1, 0},
    };
    static char body[256 * KIB], expected[512];
    pattern_fill(large, 0, sizeof large);
    form_app();
    http_begin(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int way = 0; way < 2; way++) {
            size_t size = files_body(body, cases[i].sizes, cases[i].n);
            files_expected(expected, cases[i].sizes, cases[i].n);
            rig_opts = (struct bide_http_form_opts){.memory_bytes = cases[i].memory};
            rig_on_disk = 0;
            CHECK_STR(post(ways[way], MULTIPART, body, size), expected);
            CHECK_INT(rig_on_disk, way == 0 ? cases[i].on_disk : 0);
        }
    rig_opts = (struct bide_http_form_opts){.memory_bytes = 1, .folder = "/nowhere/at/all"};
    CHECK_INT(atoi(post_text("/whole", MULTIPART, FILE_OF("xyz") LAST)), 500);
    CHECK_INT(rig_error, -ENOENT);
    CHECK_CONTAINS(rig_words, "/nowhere/at/all");
    CHECK_CONTAINS(take_report(), "a request's handler failed");
    http_end();
}

/* The folder is empty whenever it can be looked at. */
static int count_entries(const char *folder)
{
    int n = 0, rc;
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(folder))
        n++;
    return rc < 0 ? rc : n;
}

static char *rig_folder;
static char rig_saved[512];

static int save(bide_http_request *request, void *data)
{
    bide_http_form *form;
    (void)data;
    int rc = bide_http_form_read(request, &rig_opts, &form);
    if (rc < 0)
        return rc;
    CHECK_INT(count_entries(rig_folder), 0);
    CHECK_INT(bide_http_form_save(form, 1, rig_saved), -ENOENT);
    CHECK_INT(bide_http_form_save(form, 0, ""), -EINVAL);
    CHECK_INT(bide_http_form_save(form, 0, "/nowhere/at/all"), -ENOENT);
    for (int i = 0; i < 2; i++) { /* a new file, and over the old one */
        CHECK_INT(bide_http_form_save(form, 0, rig_saved), 0);
        CHECK_INT(count_entries(rig_folder), 1);
    }
    bide_http_form_free(form);
    return bide_http_reply_text(request, 200, "saved");
}

STREAM_TEST(files_are_saved)
{
    static char body[64 * KIB];
    char *data;
    size_t size;
    CHECK_INT(bide_directory_temporary(NULL, &rig_folder), 0);
    snprintf(rig_saved, sizeof rig_saved, "%s/it", rig_folder);
    pattern_fill(large, 0, sizeof large);
    form_app();
    http_route("POST", "/save", save);
    http_begin(NULL);
    for (int i = 0; i < 2; i++) {
        const size_t sizes[] = {40000};
        rig_opts = (struct bide_http_form_opts){.memory_bytes = i == 0 ? 1 : 50000,
                                                .folder = rig_folder};
        CHECK_STR(post("/save", MULTIPART, body, files_body(body, sizes, 1)), "200 saved");
        CHECK_INT(bide_file_load(rig_saved, 0, &data, &size), 0);
        CHECK_INT(size, sizes[0]);
        CHECK_MEM(data, large, size);
        free(data);
        CHECK_INT(bide_path_unlink(rig_saved), 0);
    }
    http_end();
    CHECK_INT(bide_directory_remove(rig_folder), 0);
    free(rig_folder);
}

/* In simulation: the disk has so much room, and no more. */
STREAM_TEST(a_full_disk)
{
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    static char body[128 * KIB];
    const size_t sizes[] = {60000};
    if (!sim)
        SKIP("needs a disk that can be filled");
    pattern_fill(large, 0, sizeof large);
    form_app();
    http_begin(NULL);
    rig_opts.memory_bytes = 1;
    for (int room = 0; room < 70000; room += 7000) {
        CHECK_INT(bide__sim_disk(sim, room), 0);
        int status = atoi(post("/whole", MULTIPART, body, files_body(body, sizes, 1)));
        CHECK_INT(status, room < 60000 ? 500 : 200);
        CHECK_INT(rig_error, room < 60000 ? -ENOSPC : 0);
        if (room < 60000)
            CHECK_CONTAINS(take_report(), "No space left on device");
        CHECK_INT(count_entries("/tmp"), 0);
    }
    http_end();
}

/* With the library's own client */

static bide_http_session *session;

static const char *send_form(const char *path, const bide_http_form *form)
{
    static char text[4096];
    char url[128];
    const char *body;
    size_t size;
    bide_http_response *response;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", bide_http_server_port(rig_server), path);
    CHECK_INT(bide_http_fetch(session, "POST", url, &(struct bide_http_fetch_opts){.form = form},
                              &response),
              0);
    CHECK_INT(bide_http_response_read_all(response, 0, &body, &size), 0);
    snprintf(text, sizeof text, "%d %.*s", bide_http_response_status(response), (int)size, body);
    CHECK_INT(bide_http_response_close(response), 0);
    return text;
}

/* Sends on what it has received, to itself. */
static int forward(bide_http_request *request, void *data)
{
    bide_http_form *form;
    (void)data;
    int rc = bide_http_form_read(request, &rig_opts, &form);
    if (rc < 0)
        return rc;
    const char *answer = send_form("/parts", form);
    bide_http_form_free(form);
    return bide_http_reply_text(request, 200, answer);
}

static void check_round(bide_http_form *form, const char *expected)
{
    char twice[2200], memory[4096];
    for (int way = 0; way < 2; way++)
        CHECK_STR(send_form(ways[way], form) + 4, expected);
    snprintf(twice, sizeof twice, "200 200 %s", expected);
    for (int i = 0; i < 2; i++) {
        rig_opts.memory_bytes = i == 0 ? 1 : 0;
        snprintf(memory, sizeof memory, "%s", send_form("/forward", form));
        CHECK_STR(memory, twice);
    }
}

STREAM_TEST(round_trips_with_our_own_client)
{
    static const char *const names[] = {
        "plain",  "",    "a b",  "\"",        "a\"b\r\n",
        "\\",     "a\\", "\\\\", "\\\\\\",    "\\a\\\\b\\\"",
        "\\\"\\", "%",   "%41",  "a=b&c+d;e", "\xc3\xa9\xe2\x82\xac",
        "\t"};
    char expected[2048];
    bide_http_form *form;
    form_app();
    http_route("POST", "/forward", forward);
    http_begin(NULL);
    CHECK_INT(bide_http_session_new(NULL, &session), 0);
    for (int multipart = 0; multipart < 2; multipart++) {
        char *at = expected;
        CHECK_INT(bide_http_form_new(&form), 0);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            CHECK_INT(bide_http_form_add(form, names[i], names[i]), 0);
            at += sprintf(at, "%s=%s;", names[i], names[i]);
        }
        if (multipart) {
            CHECK_INT(bide_http_form_add_data(form, "x", "ab\\", NULL, "\r\n--b\0\r\n", 8), 0);
            CHECK_INT(bide_http_form_add_data(form, "y", NULL, "a/b", "data", 4), 0);
            at += sprintf(at, "x@|application/octet-stream|8|%08x;", sum_of(0, "\r\n--b\0\r\n", 8));
            sprintf(at, "y|a/b=data;");
        }
        check_round(form, expected);
        bide_http_form_free(form);
    }
    CHECK_INT(bide_http_session_close(session), 0);
    bide_http_session_free(session);
    http_end();
}

/* What was received goes in another task if that may take long, and with a loop that ends. */
STREAM_TEST(a_large_file)
{
    static char data[2 * MIB];
    char expected[128];
    bide_http_form *form;
    struct bide_loop_counts before, after;
    pattern_fill(data, 0, sizeof data);
    form_app();
    http_begin(NULL);
    CHECK_INT(bide_http_session_new(NULL, &session), 0);
    CHECK_INT(bide_http_form_new(&form), 0);
    CHECK_INT(bide_http_form_add_data(form, "f", "x", NULL, data, sizeof data), 0);
    snprintf(expected, sizeof expected, "200 f@x|application/octet-stream|%zu|%08x;", sizeof data,
             sum_of(0, data, sizeof data));
    CHECK_STR(send_form("/parts", form), expected); /* the connection is there */
    bide_loop_count(NULL, &before);
    CHECK_STR(send_form("/whole", form), expected);
    CHECK_INT(rig_on_disk, 1);
    do {
        bide_sleep(TICKS(1) / 5);
        bide_loop_count(NULL, &after);
    } while (after.tasks > before.tasks);
    bide_http_form_free(form);
    CHECK_INT(bide_http_session_close(session), 0);
    bide_http_session_free(session);
    http_end();
}

STREAM_TEST(what_is_in_a_form)
{
    struct bide_http_form_field field;
    bide_http_form *form;
    CHECK_INT(bide_http_form_new(&form), 0);
    CHECK_INT(bide_http_form_count(form), 0);
    CHECK_INT(bide_http_form_at(form, 0, &field), -ENOENT);
    CHECK_INT(bide_http_form_find(form, "a", &field), -ENOENT);
    CHECK_PTR(bide_http_form_get(form, "a"), NULL);
    CHECK_INT(bide_http_form_add_data(form, "a", "f", NULL, "no", 2), 0);
    CHECK_INT(bide_http_form_add_data(form, "a", NULL, "x/y", "n\0l", 3), 0);
    CHECK_INT(bide_http_form_add(form, "a", "first"), 0);
    CHECK_INT(bide_http_form_add(form, "a", "second"), 0);
    CHECK_INT(bide_http_form_add_file(form, "b", "/nowhere", NULL, NULL), 0);
    CHECK_INT(bide_http_form_count(form), 5);
    CHECK_STR(bide_http_form_get(form, "a"), "first");
    CHECK_PTR(bide_http_form_get(form, "b"), NULL);
    CHECK_INT(bide_http_form_find(form, "a", &field), 0);
    CHECK_STR(field.filename, "f");
    CHECK_INT(bide_http_form_at(form, 1, &field), 0);
    CHECK_INT(field.size, 3);
    CHECK_PTR(field.filename, NULL);
    CHECK_INT(bide_http_form_find(form, "b", &field), 0);
    CHECK_PTR(field.data, NULL);
    CHECK_PTR(field.file, NULL);
    CHECK_INT(bide_http_form_save(form, 4, "/tmp/x"), -EINVAL);
    CHECK_INT(bide_http_form_at(NULL, 0, &field), -EINVAL);
    CHECK_INT(bide_http_form_at(form, 0, NULL), -EINVAL);
    CHECK_INT(bide_http_form_find(form, NULL, &field), -EINVAL);
    CHECK_PTR(bide_http_form_get(NULL, "a"), NULL);
    CHECK_INT(bide_http_form_count(NULL), 0);
    CHECK_INT(bide_http_form_save(NULL, 0, "/tmp/x"), -EINVAL);
    CHECK_INT(bide_http_form_read(NULL, NULL, &form), -EINVAL);
    CHECK_INT(bide_http_form_open(NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_http_form_next(NULL, NULL), -EINVAL);
    CHECK_INT(bide_http_form_part_read(NULL, &field, 1), -EINVAL);
    CHECK_INT(bide_http_form_part_read_all(NULL, 0, NULL), -EINVAL);
    CHECK_PTR(bide_http_form_part_header(NULL, "a"), NULL);
    bide_http_form_free(form);
    bide_http_form_free(NULL);
}

/* Cancels */

static int n_cancels;

/* Each wait is given up as soon as it has begun, and begun again. */
static int patient(bide_http_request *request, void *data)
{
    char text[2048] = "", piece[3];
    size_t size = 0;
    bide_http_form_reader *reader;
    struct bide_http_form_part part;
    int rc = bide_http_form_open(request, NULL, &reader);
    (void)data;
    for (bool is_within = false; rc >= 0;) {
        rc = is_within ? bide_within(1e-9, bide_http_form_part_read(reader, piece, sizeof piece))
                       : bide_within(1e-9, bide_http_form_next(reader, &part));
        if (rc == -ETIMEDOUT) {
            n_cancels++;
            rc = bide_sleep(0);
            continue;
        }
        if (rc == 0 && !is_within)
            return bide_http_reply_text(request, 200, text);
        if (rc >= 0)
            size += (size_t)snprintf(text + size, sizeof text - size, "%.*s",
                                     is_within ? rc : (int)strlen(part.name),
                                     is_within ? piece : part.name);
        if (rc == 0 || !is_within)
            size += (size_t)snprintf(text + size, sizeof text - size, is_within ? ";" : "=");
        is_within = rc > 0;
    }
    return rc;
}

STREAM_TEST(a_cancelled_read_has_lost_nothing)
{
    form_app();
    http_route("POST", "/patient", patient);
    http_begin(NULL);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[512];
        if (strchr(forms[i].expected, '@') || strchr(forms[i].expected, '|'))
            continue;
        bide_stream *stream = http_connect();
        snprintf(text, sizeof text,
                 "POST /patient HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n",
                 forms[i].type, strlen(forms[i].body));
        http_say(stream, text);
        n_cancels = 0;
        for (const char *at = forms[i].body; *at; at++) {
            bide_write(stream, at, 1);
            for (int before = n_cancels; n_cancels < before + 2;)
                if (bide_sleep(0) < 0 || !at[1])
                    break;
        }
        const char *answer = strstr(http_hear(stream), "\r\n\r\n") + 4;
        CHECK_STR(answer, forms[i].expected + 4);
        CHECK(n_cancels >= (int)strlen(forms[i].body) - 1);
        bide_close(stream);
    }
    http_end();
}

/* Clients that vanish */

STREAM_TEST_SECONDS(clients_that_vanish_midway, 60)
{
    static char body[16 * KIB], text[20 * KIB];
    const size_t sizes[] = {600, 5000, 10};
    CHECK_INT(bide_directory_temporary(NULL, &rig_folder), 0);
    pattern_fill(large, 0, sizeof large);
    form_app();
    http_begin(NULL);
    size_t size = files_body(body, sizes, 3);
    for (int i = 0; i < 4; i++)
        for (size_t n = 0; n < size; n += 1 + n / 16) {
            bide_stream *stream = http_connect();
            int head = sprintf(text,
                               "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: " MULTIPART
                               "\r\nContent-Length: %zu\r\n\r\n",
                               ways[i / 2], size);
            memcpy(text + head, body, n);
            rig_opts = (struct bide_http_form_opts){.memory_bytes = 1000, .folder = rig_folder};
            CHECK_INT(bide_write(stream, text, (size_t)head + n), 0);
            bide_sleep(0);
            if (i % 2)
                bide_abort(stream);
            bide_close(stream);
        }
    while (bide_http_server_connections(rig_server) > 0)
        bide_sleep(TICKS(1) / 5);
    CHECK_STR(take_report(), "");
    http_end();
    CHECK_INT(bide_directory_remove(rig_folder), 0); /* it is empty */
    free(rig_folder);
}
