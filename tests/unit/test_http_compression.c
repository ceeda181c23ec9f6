/*
 * Compression of answers. Scenario: whole answers, answers in pieces, of every kind and size, to
 * clients that accept this or that. Claim: what was packed is unpacked to what the handler wrote;
 * what does not pay is left alone; a piece of a stream goes out at once.
 */
#include <bide/http_middleware.h>

#include "http_rig.h"

#include <zlib.h>

enum { PACKED_BYTES = 300 * KIB };

static char content[PACKED_BYTES];

static void content_begin(void)
{
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)('a' + (i * i >> 7) % 17);
}

/* As many bytes as the path says: whole, or in pieces of 10,000, with their length told or not. */
static int sized(bide_http_request *request, void *data)
{
    size_t size = (size_t)atoi(bide_http_param(request, "size"));
    const char *how = bide_http_query(request);
    (void)data;
    bide_http_reply_header(request, "ETag", "\"e\"");
    if (!how)
        return bide_http_reply(request, 200, "text/plain", content, size);
    if (strcmp(how, "image") == 0)
        return bide_http_reply(request, 200, "image/png", content, size);
    if (strcmp(how, "range") == 0)
        return bide_http_reply(request, 206, "text/plain", content, size);
    if (strcmp(how, "coded") == 0) {
        bide_http_reply_header(request, "Content-Encoding", "br");
        return bide_http_reply(request, 200, "text/plain", content, size);
    }
    if (strcmp(how, "as-is") == 0) {
        bide_http_reply_header(request, "Cache-Control", "private, no-transform");
        return bide_http_reply(request, 200, "text/plain", content, size);
    }
    int rc = bide_http_reply_begin(request, 200, "application/json",
                                   strcmp(how, "known") == 0 ? (int64_t)size : -1);
    for (size_t i = 0; i < size && rc == 0; i += 10000)
        rc = bide_http_write(request, content + i, size - i < 10000 ? size - i : 10000);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static bool has_field(const char *head, const char *line)
{
    return strstr(head, line) != NULL;
}

/* The body of an answer, chunks put together. */
static size_t hear_body(bide_stream *stream, char *head, size_t head_size, char *body)
{
    char *text;
    size_t size = 0;
    int rc = bide_read_until(stream, "\r\n\r\n", 4, &text);
    CHECK_RANGE(rc, 1, head_size - 1);
    memcpy(head, text, (size_t)rc);
    head[rc] = '\0';
    if (!has_field(head, "Transfer-Encoding: chunked")) {
        while ((rc = bide_read(stream, body + size, 2 * PACKED_BYTES - size)) > 0)
            size += (size_t)rc;
        return size;
    }
    for (;;) {
        char *line;
        CHECK(bide_read_line(stream, &line) > 0);
        size_t n = strtoul(line, NULL, 16);
        if (n == 0)
            return size;
        CHECK_INT(bide_read_exactly(stream, body + size, n), n);
        size += n;
        CHECK(bide_read_line(stream, &line) > 0);
    }
}

static size_t unpack(bool is_gzip, char *packed, size_t packed_size, char *to)
{
    z_stream stream = {0};
    CHECK_INT(inflateInit2(&stream, is_gzip ? 31 : 15), Z_OK);
    stream.next_in = (Bytef *)packed;
    stream.avail_in = (uInt)packed_size;
    stream.next_out = (Bytef *)to;
    stream.avail_out = 2 * PACKED_BYTES;
    CHECK_INT(inflate(&stream, Z_FINISH), Z_STREAM_END);
    CHECK_INT(stream.avail_in, 0);
    size_t size = stream.total_out;
    inflateEnd(&stream);
    return size;
}

static size_t ask_body(const char *version, const char *path, const char *accept, char *head,
                       char *body)
{
    char text[256];
    bide_stream *stream = http_connect();
    snprintf(text, sizeof text,
             "GET %s HTTP/%s\r\nHost: h\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n", path,
             version, accept);
    http_say(stream, text);
    size_t size = hear_body(stream, head, 1024, body);
    bide_close(stream);
    return size;
}

STREAM_TEST(answers_are_packed_and_unpacked)
{
    static const size_t sizes[] = {512, 1000, 9999, 20000, 65536, 262144, 262145, PACKED_BYTES};
    static const char *const hows[] = {"", "?known", "?unknown"};
    char head[1024], path[64], *body = malloc(2 * PACKED_BYTES), *plain = malloc(2 * PACKED_BYTES);
    content_begin();
    http_app();
    http_route("GET", "/{size}", sized);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    for (size_t i = 0; i < 8; i++)
        for (int how = 0; how < 3; how++)
            for (int is_gzip = 0; is_gzip < 2; is_gzip++) {
                snprintf(path, sizeof path, "/%zu%s", sizes[i], hows[how]);
                size_t n = ask_body(how == 1 ? "1.0" : "1.1", path,
                                    is_gzip ? "deflate;q=0.5, gzip" : "gzip;q=0.1, deflate", head,
                                    body);
                CHECK(n < sizes[i]);
                CHECK_INT(unpack(is_gzip, body, n, plain), sizes[i]);
                CHECK_MEM(plain, content, sizes[i]);
                CHECK(has_field(head, is_gzip ? "Content-Encoding: gzip\r\n"
                                              : "Content-Encoding: deflate\r\n"));
                CHECK(has_field(head, "Vary: Accept-Encoding\r\n"));
                CHECK(has_field(head, "ETag: W/\"e\"\r\n"));
                bool has_length = has_field(head, "Content-Length");
                if (how == 0 && sizes[i] <= 262144)
                    CHECK(has_length);
            }
    free(body);
    free(plain);
    http_end();
}

STREAM_TEST(what_does_not_pay_is_left_alone)
{
    static const struct {
        const char *path, *accept;
        bool varies;
    } cases[] = {
        {"/1000", "", true},
        {"/1000", "br", true},
        {"/1000", "gzip;q=0", true},
        {"/511", "gzip", false},
        {"/1000?image", "gzip", false},
        {"/1000?range", "gzip", false},
        {"/1000?coded", "gzip", false},
        {"/1000?as-is", "gzip", false},
    };
    char head[1024], *body = malloc(2 * PACKED_BYTES);
    content_begin();
    http_app();
    http_route("GET", "/{size}", sized);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = ask_body("1.1", cases[i].path, cases[i].accept, head, body);
        CHECK_INT(n, atoi(cases[i].path + 1));
        CHECK_MEM(body, content, n);
        CHECK_INT(has_field(head, "Vary: Accept-Encoding\r\n"), cases[i].varies);
        CHECK(!has_field(head, "gzip") && has_field(head, "ETag: \"e\"\r\n"));
    }
    const char *answer = http_ask_for("HEAD", "/1000", "Accept-Encoding: gzip\r\n");
    CHECK(strstr(answer, "Content-Encoding: gzip\r\n") && !strstr(answer, "Content-Length"));
    free(body);
    http_end();
}

static int in_two(bide_http_request *request, void *data)
{
    (void)data;
    CHECK_INT(bide_http_reply_begin(request, 200, "text/event-stream", -1), 0);
    CHECK_INT(bide_http_write(request, "first", 5), 0);
    note("wrote ");
    bide_sleep(TICKS(20));
    CHECK_INT(bide_http_write(request, "second", 6), 0);
    return bide_http_reply_end(request);
}

STREAM_TEST(a_piece_of_a_stream_goes_out_at_once)
{
    char buffer[256], plain[64] = "", *head, *line;
    http_app();
    http_route("GET", "/", in_two);
    CHECK_INT(bide_http_use_compression(rig_app, NULL), 0);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    http_say(stream, "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n");
    CHECK(bide_read_until(stream, "\r\n\r\n", 4, &head) > 0);
    CHECK(bide_read_line(stream, &line) > 0);
    size_t n = strtoul(line, NULL, 16);
    CHECK_INT(bide_read_exactly(stream, buffer, n), n);
    CHECK_NOTES("wrote ");
    z_stream unpacker = {.next_in = (Bytef *)buffer,
                         .avail_in = (uInt)n,
                         .next_out = (Bytef *)plain,
                         .avail_out = sizeof plain};
    CHECK_INT(inflateInit2(&unpacker, 31), Z_OK);
    inflate(&unpacker, Z_SYNC_FLUSH);
    inflateEnd(&unpacker);
    CHECK_STR(plain, "first");
    bide_close(stream);
    http_end();
}
