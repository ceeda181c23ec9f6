/*
 * Files as answers. Scenario: clients that ask for files of a folder, parts of them, newer ones
 * than they have, what is outside, what is not there, and folders. Claim: each gets what RFC 9110
 * says, byte for byte, in clear and through a filter; nothing outside of the folder is ever sent; a
 * file that shrinks on the way breaks the connection off.
 */
#include <bide/file.h>
#include <bide/http_files.h>

#include "http_rig.h"

#include <sys/stat.h>

enum { LARGE = 300 * KIB };

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *data, size_t size)
{
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, data, size), size);
    CHECK_INT(futimens(fd, times), 0);
    close(fd);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static void begin(const struct bide_http_files_opts *opts)
{
    static char large[LARGE];
    strcpy(folder, "/tmp/bide-test-XXXXXX");
    CHECK(mkdtemp(folder));
    pattern_fill(large, 0, LARGE);
    mkdir(in_folder("www"), 0755);
    mkdir(in_folder("www/sub"), 0755);
    mkdir(in_folder("www/empty"), 0755);
    put_text("secret", "secret");
    put_text("www/a.txt", "0123456789");
    put_text("www/a.txt.gz", "packed");
    put_text("www/.hidden", "hidden");
    put_text("www/index.html", "<p>index");
    put_text("www/sub/x", "x");
    put_text("www/empty/<&\"'> \xc3\xa4", "odd");
    put("www/large", large, LARGE);
    CHECK_INT(symlink("../secret", in_folder("www/out")), 0);
    CHECK_INT(symlink("/etc/passwd", in_folder("www/etc")), 0);
    CHECK_INT(symlink("a.txt", in_folder("www/in")), 0);
    CHECK_INT(symlink("..", in_folder("www/up")), 0);
    mkfifo(in_folder("www/fifo"), 0644);
    http_app();
    CHECK_INT(bide_http_files(rig_app, "/s", in_folder("www"), opts), 0);
}

static void end(void)
{
    char command[128];
    http_end();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "(none)";
}

static void field_of(const char *answer, const char *name, char value[128])
{
    const char *line = strcasestr(answer, name);
    *value = '\0';
    if (line)
        sscanf(line + strlen(name), ": %127[^\r]", value);
}

#define EXPECT(status, body, ...) \
    do { \
        const char *got = http_ask_for(__VA_ARGS__); \
        CHECK_INT(http_status_of(got), status); \
        CHECK_STR(body_of(got), body); \
    } while (0)

/* Without openat2(2), as under valgrind, none is followed. */
static bool follows_links(void)
{
    bide_file *file;
    int rc = bide_file_open_inside(in_folder("www"), "in", O_RDONLY, &file);
    if (rc == 0)
        bide_file_close(file);
    return rc == 0;
}

STREAM_TEST(files_of_a_folder)
{
    char value[128];
    begin(NULL);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/s/a.txt", "");
    CHECK_STR(body_of(answer), "0123456789");
    CHECK(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    CHECK(strstr(answer, "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n"));
    CHECK(strstr(answer, "Accept-Ranges: bytes\r\n"));
    field_of(answer, "ETag", value);
    CHECK(value[0] == '"');
    EXPECT(200, "", "HEAD", "/s/a.txt", "");
    CHECK(strstr(http_ask_for("HEAD", "/s/a.txt", ""), "Content-Length: 10\r\n"));
    CHECK(strstr(http_ask_for("HEAD", "/s/large", ""), "Content-Length: 307200\r\n"));
    EXPECT(200, "<p>index", "GET", "/s/", "");
    EXPECT(200, "x", "GET", "/s/sub/x", "");
    EXPECT(200, "x", "GET", "/s/sub/../sub/./x", "");
    if (follows_links())
        EXPECT(200, "0123456789", "GET", "/s/in", "");
    EXPECT(200, "odd", "GET", "/s/empty/%3C&%22'%3E%20%C3%A4", "");
    CHECK_INT(http_status_of(http_ask_for("GET", "/s/sub/", "")), 403);
    CHECK_INT(http_status_of(http_ask_for("POST", "/s/a.txt", "")), 405);
    end();
}

STREAM_TEST(nothing_outside_is_sent)
{
    static const char *const paths[] = {"/s/out",
                                        "/s/etc",
                                        "/s/up/secret",
                                        "/s/../secret",
                                        "/s/..%2fsecret",
                                        "/s/%2e%2e/secret",
                                        "/s//etc/passwd",
                                        "/s/%2Fetc%2Fpasswd",
                                        "/s/sub/..%2f..%2f..%2fsecret",
                                        "/s/.hidden",
                                        "/s/sub%00",
                                        "/s/fifo",
                                        "/s/none",
                                        "/s/a.txt/",
                                        "/s/a.txt/b",
                                        "/s/sub//x"};
    for (int links = BIDE_HTTP_LINKS_INSIDE; links <= BIDE_HTTP_LINKS_ALL; links++) {
        struct bide_http_files_opts opts = {.links = (enum bide_http_links)links, .lists = true};
        begin(&opts);
        http_begin(NULL);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            bool is_link = i < 3;
            int status = http_status_of(http_ask_for("GET", paths[i], ""));
            if (is_link && links == BIDE_HTTP_LINKS_ALL)
                CHECK_INT(status, 200);
            else if (status != 404 && status != 400)
                FAIL("%s is answered with %d", paths[i], status);
        }
        if (links != BIDE_HTTP_LINKS_INSIDE || follows_links())
            CHECK_INT(http_status_of(http_ask_for("GET", "/s/in", "")),
                      links == BIDE_HTTP_LINKS_NONE ? 404 : 200);
        end();
    }
}

STREAM_TEST(what_may_not_be_read_is_forbidden)
{
    begin(NULL);
    http_begin(NULL);
    CHECK_INT(chmod(in_folder("www/a.txt"), 0), 0);
    CHECK_INT(http_status_of(http_ask_for("GET", "/s/a.txt", "")), geteuid() == 0 ? 200 : 403);
    end();
}

STREAM_TEST(folders_without_their_slash_are_elsewhere)
{
    struct bide_http_files_opts opts = {.lists = true, .hidden = true};
    begin(&opts);
    CHECK_INT(bide_http_files(rig_app, "", in_folder("www"), NULL), 0);
    http_begin(NULL);
    CHECK(strstr(http_ask_for("GET", "/s", ""), "Location: /s/\r\n"));
    CHECK(strstr(http_ask_for("GET", "/s/sub?a=b", ""),
                 "301 Moved Permanently\r\nLocation: /s/sub/?a=b\r\n"));
    CHECK_INT(http_status_of(http_ask_for("GET", "//sub", "")), 404);
    CHECK(strstr(http_ask_for("GET", "/%2Fsub", ""), "404 Not Found"));
    CHECK(
        strstr(http_ask_for("GET", "/s/empty/", ""),
               "<li><a href=\"./%3C%26%22%27%3E%20%C3%A4\">&lt;&amp;&quot;&#39;&gt; \xc3\xa4</a>"));
    const char *list = http_ask_for("GET", "/s/empty/../sub/", "");
    CHECK(strstr(list, "<title>/s/sub/</title>") && strstr(list, "href=\"../\""));
    CHECK(unlink(in_folder("www/index.html")) == 0);
    list = http_ask_for("GET", "/s/", "");
    CHECK(strstr(list, ".hidden") && strstr(list, "href=\"./empty/\"") && !strstr(list, "../"));
    end();
}

STREAM_TEST(clients_that_have_it_do_not_get_it_again)
{
    char etag[128], fields[512];
    begin(NULL);
    http_begin(NULL);
    field_of(http_ask_for("GET", "/s/a.txt", ""), "ETag", etag);
#define WITH(status, ...) \
    do { \
        snprintf(fields, sizeof fields, __VA_ARGS__); \
        CHECK_INT(http_status_of(http_ask_for("GET", "/s/a.txt", fields)), status); \
    } while (0)
    const char *then = "Sun, 09 Sep 2001 01:46:40 GMT", *before = "Sun, 09 Sep 2001 01:46:39 GMT";
    WITH(304, "If-None-Match: %s\r\n", etag);
    WITH(304, "If-None-Match: W/%s\r\n", etag);
    WITH(304, "If-None-Match: *\r\n");
    WITH(304, "If-None-Match: \"a,b\", W/\"c\" ,%s\r\n", etag);
    WITH(304, "If-None-Match: \"a\"\r\nIf-None-Match: %s\r\n", etag);
    WITH(200, "If-None-Match: \"a\"\r\nIf-Modified-Since: %s\r\n", then);
    WITH(200, "If-None-Match: nonsense\r\n");
    WITH(304, "If-Modified-Since: %s\r\n", then);
    WITH(200, "If-Modified-Since: %s\r\n", before);
    WITH(200, "If-Modified-Since: nonsense\r\n");
    WITH(200, "If-Match: %s\r\n", etag);
    WITH(200, "If-Match: *\r\n");
    WITH(412, "If-Match: W/%s\r\n", etag);
    WITH(412, "If-Match: \"a\"\r\nIf-None-Match: %s\r\n", etag);
    WITH(412, "If-Unmodified-Since: %s\r\n", before);
    WITH(200, "If-Unmodified-Since: %s\r\n", then);
    WITH(304, "If-Match: %s\r\nIf-Unmodified-Since: %s\r\nIf-None-Match: *\r\n", etag, before);
    WITH(304, "If-None-Match: %s\r\nRange: bytes=0-1\r\n", etag);
    WITH(206, "If-Range: %s\r\nRange: bytes=0-1\r\n", etag);
    WITH(200, "If-Range: W/%s\r\nRange: bytes=0-1\r\n", etag);
    WITH(200, "If-Range: \"a\"\r\nRange: bytes=0-1\r\n");
    WITH(206, "If-Range: %s\r\nRange: bytes=0-1\r\n", then);
    WITH(200, "If-Range: %s\r\nRange: bytes=0-1\r\n", before);
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
    const char *answer = http_ask_for("GET", "/s/a.txt", fields);
    CHECK(strstr(answer, etag) && !strstr(answer, "Content-Type") && !strstr(answer, "Length"));
    /* A file that was changed a moment ago may change again unseen. */
    CHECK_INT(utimensat(AT_FDCWD, in_folder("www/a.txt"), NULL, 0), 0);
    field_of(http_ask_for("GET", "/s/a.txt", ""), "ETag", etag);
    CHECK(etag[0] == 'W');
    WITH(304, "If-None-Match: %s\r\n", etag);
    end();
}

STREAM_TEST(ranges)
{
    static const struct {
        const char *field;
        int status;
        const char *range, *body;
    } cases[] = {
        {"bytes=0-0", 206, "bytes 0-0/10", "0"},
        {"bytes=2-4", 206, "bytes 2-4/10", "234"},
        {"bytes=7-", 206, "bytes 7-9/10", "789"},
        {"bytes=-3", 206, "bytes 7-9/10", "789"},
        {"bytes=-30", 206, "bytes 0-9/10", "0123456789"},
        {"bytes=5-99999999999999999999999", 206, "bytes 5-9/10", "56789"},
        {"BYTES=0-0 ,", 206, "bytes 0-0/10", "0"},
        {"bytes=20-30,1-1", 206, "bytes 1-1/10", "1"},
        {"bytes=10-", 416, "bytes */10", "Range Not Satisfiable\n"},
        {"bytes=-0", 416, "bytes */10", "Range Not Satisfiable\n"},
        {"bytes=4-2", 200, "", "0123456789"},
        {"bytes=", 200, "", "0123456789"},
        {"bytes=a-b", 200, "", "0123456789"},
        {"bytes=1", 200, "", "0123456789"},
        {"bytes=-", 200, "", "0123456789"},
        {"bytes=1-2 3", 200, "", "0123456789"},
        {"lines=1-2", 200, "", "0123456789"},
        {"bytes=0-,0-,0-", 200, "", "0123456789"},
        {"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", 200, "", "0123456789"},
    };
    char fields[512], value[128];
    begin(NULL);
    http_begin(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(fields, sizeof fields, "Range: %s\r\n", cases[i].field);
        const char *answer = http_ask_for("GET", "/s/a.txt", fields);
        if (http_status_of(answer) != cases[i].status)
            FAIL("%s is answered %s", cases[i].field, answer);
        CHECK_STR(body_of(answer), cases[i].body);
        field_of(answer, "Content-Range", value);
        CHECK_STR(value, cases[i].range);
        CHECK_INT(http_status_of(http_ask_for("HEAD", "/s/a.txt", fields)), 200);
    }
    end();
}

STREAM_TEST(several_ranges)
{
    char boundary[128], expected[1024], value[128];
    begin(NULL);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/s/a.txt", "Range: bytes=0-1, 20-, 4-4,-2\r\n");
    CHECK_INT(http_status_of(answer), 206);
    field_of(answer, "Content-Type", value);
    CHECK_INT(sscanf(value, "multipart/byteranges; boundary=%127s", boundary), 1);
    int n = 0;
    static const char *const parts[] = {"0-1", "01", "4-4", "4", "8-9", "89"};
    for (int i = 0; i < 6; i += 2)
        n += snprintf(expected + n, sizeof expected - (size_t)n,
                      "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                      "Content-Range: bytes %s/10\r\n\r\n%s",
                      boundary, parts[i], parts[i + 1]);
    snprintf(expected + n, sizeof expected - (size_t)n, "\r\n--%s--\r\n", boundary);
    CHECK_STR(body_of(answer), expected);
    field_of(answer, "Content-Length", value);
    CHECK_INT(atoi(value), strlen(expected));
    end();
}

/* Of the connection: the head, then the rest. */
static void skip_head(bide_stream *stream)
{
    char *head;
    CHECK(bide_read_until(stream, "\r\n\r\n", 4, &head) > 0);
}

STREAM_TEST(large_files_and_parts_of_them)
{
    static char got[LARGE];
    begin(NULL);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    for (int i = 0; i < 3; i++) {
        http_say(stream, "GET /s/large HTTP/1.1\r\nHost: h\r\n\r\n"
                         "GET /s/a.txt HTTP/1.1\r\nHost: h\r\n\r\n"
                         "GET /s/large HTTP/1.1\r\nHost: h\r\nRange: bytes=1000-201000\r\n\r\n");
        skip_head(stream);
        CHECK_INT(bide_read_exactly(stream, got, LARGE), LARGE);
        pattern_check(got, 0, LARGE);
        skip_head(stream);
        CHECK_INT(bide_read_exactly(stream, got, 10), 10);
        skip_head(stream);
        CHECK_INT(bide_read_exactly(stream, got, 200001), 200001);
        pattern_check(got, 1000, 200001);
    }
    bide_close(stream);
    end();
}

static int shrinking(bide_http_request *request, void *data)
{
    (void)data;
    return bide_http_reply_file(request, in_folder("www/large"), NULL);
}

STREAM_TEST(a_file_that_shrinks_breaks_the_connection_off)
{
    static char got[MIB];
    char *large = calloc(16, MIB);
    begin(NULL);
    put("www/large", large, (size_t)16 * MIB);
    free(large);
    http_route("GET", "/shrinks", shrinking);
    http_begin(NULL);
    bide_stream *stream = http_connect();
    http_say(stream, "GET /shrinks HTTP/1.1\r\nHost: h\r\n\r\n");
    skip_head(stream);
    CHECK(bide_read(stream, got, sizeof got) > 0);
    CHECK_INT(truncate(in_folder("www/large"), 100), 0);
    int rc;
    int64_t size = 0;
    while ((rc = bide_read(stream, got, sizeof got)) > 0)
        size += rc;
    CHECK_RANGE(size, 0, (int64_t)15 * MIB);
    bide_close(stream);
    end();
}

STREAM_TEST(packed_files)
{
    struct bide_http_files_opts opts = {.packed = true, .cache_control = "max-age=60"};
    begin(&opts);
    http_begin(NULL);
    const char *answer = http_ask_for("GET", "/s/a.txt", "Accept-Encoding: br, gzip;q=0.1\r\n");
    CHECK_STR(body_of(answer), "packed");
    CHECK(strstr(answer, "Content-Encoding: gzip\r\n") &&
          strstr(answer, "Vary: Accept-Encoding\r\n"));
    CHECK(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    CHECK(strstr(answer, "Cache-Control: max-age=60\r\n"));
    answer = http_ask_for("GET", "/s/a.txt", "Accept-Encoding: gzip;q=0, *\r\n");
    CHECK_STR(body_of(answer), "0123456789");
    CHECK(!strstr(answer, "Content-Encoding") && strstr(answer, "Vary: Accept-Encoding\r\n"));
    CHECK_STR(body_of(http_ask_for("GET", "/s/a.txt", "Accept-Encoding: *;q=0.001\r\n")), "packed");
    CHECK_STR(body_of(http_ask_for("GET", "/s/a.txt", "")), "0123456789");
    CHECK_STR(body_of(http_ask_for("GET", "/s/sub/x", "Accept-Encoding: gzip\r\n")), "x");
    end();
}

STREAM_TEST(arguments)
{
    struct bide_http_files_opts bad = {.links = (enum bide_http_links)7};
    struct bide_http_files_opts index = {.index = "a/b"};
    begin(NULL);
    http_begin(NULL);
    CHECK_INT(bide_http_reply_file(NULL, "x", NULL), -EINVAL);
    CHECK_INT(bide_http_preconditions(NULL, "\"x\"", -1), -EINVAL);
    CHECK_INT(bide_http_files(NULL, "", "/tmp", NULL), -EINVAL);
    CHECK_INT(bide_http_files(rig_app, "/", "/tmp", NULL), -EINVAL);
    CHECK_INT(bide_http_files(rig_app, "/a", NULL, NULL), -EINVAL);
    CHECK_INT(bide_http_files(rig_app, "/a", "/tmp", &bad), -EINVAL);
    CHECK_INT(bide_http_files(rig_app, "/a", "/tmp", &index), -EINVAL);
    CHECK_INT(bide_http_files(rig_app, "/a", "/tmp", NULL), -EBUSY);
    end();
}
