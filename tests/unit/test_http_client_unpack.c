/*
 * Scenario: bodies packed with gzip, zlib and bare deflate, whole, split, cut off, wrong, and
 * packed beyond all measure.
 * Claim: what was packed comes out, whatever the pieces; what is cut off or wrong is an error; a
 * bomb is refused before it has filled memory.
 */
#include "http_client_rig.h"

#include <zlib.h>

static char content[20000];
static char packed[1 << 20];
static size_t packed_size;
static const char *coding;
static size_t piece_size; /* 0: all at once */

static void pack(const char *data, size_t size, int window)
{
    z_stream stream = {0};
    CHECK_INT(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (unsigned)size;
    stream.next_out = (unsigned char *)packed + packed_size;
    stream.avail_out = (unsigned)(sizeof packed - packed_size);
    CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed_size = sizeof packed - stream.avail_out;
    deflateEnd(&stream);
}

static void fill_content(void)
{
    for (size_t i = 0; i < sizeof content - 1; i++)
        content[i] = (char)('a' + (i * i / 7) % 26);
}

static int says_packed(bide_stream *stream, int number)
{
    (void)number;
    int rc;
    while ((rc = rig_hear(stream)) > 0) {
        char head[256];
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", coding,
                 packed_size);
        rc = rig_say(stream, head);
        for (size_t at = 0; rc == 0 && at < packed_size;) {
            size_t n = piece_size > 0 && piece_size < packed_size - at ? piece_size
                                                                       : packed_size - at;
            rc = bide_write(stream, packed + at, n);
            if (rc == 0 && piece_size > 0)
                rc = bide_sleep(0);
            at += n;
        }
        if (rc < 0)
            break;
    }
    return rc;
}

static const struct {
    const char *coding;
    int window;
} codings[] = {{"gzip", 31}, {"x-gzip", 31}, {"GZIP", 31}, {"deflate", 15}, {"deflate", -15}};

HTTP_TEST(whole_and_in_pieces, says_packed)
{
    bide_http_session *session = rig_session();
    fill_content();
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        coding = codings[i].coding;
        packed_size = 0;
        pack(content, sizeof content - 1, codings[i].window);
        for (piece_size = 0; piece_size < 4; piece_size++)
            rig_body(rig_get(session, "/"), content);
        piece_size = 0;
    }
    CHECK_INT((long long)bide_http_session_connections(session, NULL), 1);
    coding = "gzip"; /* two members */
    packed_size = 0;
    pack(content, 10000, 31);
    pack(content + 10000, sizeof content - 1 - 10000, 31);
    rig_body(rig_get(session, "/"), content);
    packed_size = 0; /* nothing at all */
    rig_body(rig_get(session, "/"), "");
    coding = "identity";
    packed_size = 3;
    memcpy(packed, "abc", 3);
    rig_body(rig_get(session, "/"), "abc");
    rig_session_end(session);
}

HTTP_TEST(tiny_reads, says_packed)
{
    bide_http_session *session = rig_session();
    static char got[sizeof content];
    size_t size = 0;
    int n;
    fill_content();
    coding = "gzip";
    pack(content, sizeof content - 1, 31);
    bide_http_response *response = rig_get(session, "/");
    while ((n = bide_http_response_read(response, got + size, 7)) > 0)
        size += (size_t)n;
    CHECK_INT(n, 0);
    CHECK_STR(got, content);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

static int fails(bide_http_session *session)
{
    bide_http_response *response = rig_get(session, "/");
    int rc = bide_http_response_read_all(response, 0, NULL, NULL);
    CHECK(rc < 0);
    CHECK_INT(bide_http_response_close(response), 0);
    return rc;
}

HTTP_TEST(cut_off_or_wrong, says_packed)
{
    bide_http_session *session = rig_session();
    fill_content();
    coding = "gzip";
    pack(content, 300, 31);
    size_t whole = packed_size;
    for (packed_size = 1; packed_size < whole; packed_size++)
        CHECK_INT(fails(session), -BIDE_EINCOMPLETE);
    packed_size = whole;
    packed[whole / 2] ^= 0x10;
    CHECK_INT(fails(session), -EBADMSG);
    packed[whole / 2] ^= 0x10;
    strcpy(packed + whole, "garbage");
    packed_size += 7;
    CHECK_INT(fails(session), -EBADMSG);
    coding = "deflate";
    CHECK_INT(fails(session), -EBADMSG);
    coding = "br";
    CHECK_INT(fails(session), -EPROTONOSUPPORT);
    CHECK_CONTAINS(bide_error_detail(), "\"br\"");
    coding = "gzip, gzip";
    CHECK_INT(fails(session), -EPROTONOSUPPORT);
    rig_session_end(session);
}

HTTP_TEST(bombs, says_packed)
{
    static char zeros[64 << 20];
    struct bide_http_session_opts opts = {.unpacked_max = 100000};
    bide_http_session *session = rig_session();
    coding = "gzip";
    pack(zeros, sizeof zeros, 31);
    CHECK_INT(fails(session), -BIDE_ELIMIT);
    CHECK_CONTAINS(bide_error_detail(), "beyond all measure");
    rig_session_end(session);
    session = rig_session_with(&opts);
    CHECK_INT(fails(session), -BIDE_ELIMIT);
    rig_session_end(session);
    opts = (struct bide_http_session_opts){.unpacked_factor = 5000};
    session = rig_session_with(&opts);
    bide_http_response *response = rig_get(session, "/");
    size_t size;
    CHECK_INT(bide_http_response_read_all(response, sizeof zeros, NULL, &size), 0);
    CHECK_INT((long long)size, sizeof zeros);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}

HTTP_TEST(left_packed, says_packed)
{
    struct bide_http_fetch_opts opts = {.as_packed = true};
    bide_http_session *session = rig_session();
    const char *data;
    size_t size;
    fill_content();
    coding = "gzip";
    pack(content, 300, 31);
    bide_http_response *response = rig_fetch(session, "GET", "/", &opts);
    CHECK_PTR(strstr(rig_heard, "Accept-Encoding"), NULL);
    CHECK_INT(bide_http_response_read_all(response, 0, &data, &size), 0);
    CHECK_INT((long long)size, (long long)packed_size);
    CHECK_MEM(data, packed, size);
    CHECK_INT(bide_http_response_close(response), 0);
    rig_session_end(session);
}
