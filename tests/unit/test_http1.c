/*
 * HTTP/1.1 messages. Scenario: hundreds of requests that are malformed, ambiguous or unusual, whole
 * and in pieces of every size; responses; limits; random bytes.
 * Claim: each is read in the one way that RFC 9112 leaves, or refused with the status that fits;
 * how it was split makes no difference; the form for this processor and the plain one scan alike.
 */
#include <bide/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/http1.h"
#include "codec/http1_scan.h"
#include "http1_cases.h"

enum { FIELDS_MAX = 64, OUT_BYTES = 4096 };

#define LIMITS \
    { \
        .line_bytes = 8192, .head_bytes = 16384, .n_fields = FIELDS_MAX \
    }
static const struct bide__http1_limits limits = LIMITS;

/* A message that came to its end, or to an error. */
struct message {
    struct bide__http1_head head;
    struct bide__http1_field fields[FIELDS_MAX];
    struct bide__http1_body body;
    int status; /* of the refusal; 0 */
    size_t used;
    char content[OUT_BYTES];
    size_t content_size;
};

static void take_body(struct message *message, const char *data, size_t size, size_t piece)
{
    while (!bide__http1_body_over(&message->body) && message->used < size) {
        size_t n = size - message->used < piece ? size - message->used : piece;
        const char *content;
        size_t content_size;
        int64_t rc = bide__http1_body_take(&message->body, data + message->used, n, &content,
                                           &content_size);
        if (rc < 0) {
            BIDE_CHECK(message->body.why);
            message->status = 400;
            return;
        }
        BIDE_CHECK(rc > 0);
        BIDE_CHECK(message->content_size + content_size <= OUT_BYTES);
        memcpy(message->content + message->content_size, content, content_size);
        message->content_size += content_size;
        message->used += (size_t)rc;
    }
}

/* Feeds pieces of that size. The data moves with each, so that nobody can have kept an address. */
static void read_message(struct message *message, const struct bide__http1_head *like,
                         const char *data, size_t size, size_t piece)
{
    int rc = 0;
    *message = (struct message){0};
    bide__http1_head_init(&message->head, like->kind, &like->limits, message->fields);
    message->head.is_for_head = like->is_for_head;
    message->head.is_for_connect = like->is_for_connect;
    for (size_t n = piece; rc == 0; n += piece) {
        size_t come = n < size ? n : size;
        char *copy = malloc(come + 1);
        memcpy(copy, data, come);
        rc = bide__http1_head_parse(&message->head, copy, come);
        free(copy);
        if (come == size && rc == 0)
            break;
    }
    if (rc < 0) {
        BIDE_CHECK_INT(rc, -EBADMSG);
        BIDE_CHECK(message->head.why);
        message->status = message->head.status;
        BIDE_CHECK_INT(bide__http1_head_parse(&message->head, data, size), -EBADMSG);
    }
    if (rc <= 0)
        return;
    message->used = (size_t)rc;
    bide__http1_body_init(&message->body, message->head.framing, message->head.length);
    take_body(message, data, size, piece);
}

static const struct bide__http1_head request_head = {.kind = BIDE__HTTP1_REQUEST, .limits = LIMITS};

BIDE_TEST(each_request_is_read_in_one_way_or_refused)
{
    struct message *message = malloc(sizeof *message);
    size_t n_wrong = 0;
    for (size_t i = 0; i < sizeof http1_cases / sizeof *http1_cases; i++) {
        const struct http1_case *it = &http1_cases[i];
        for (size_t piece = 1; piece <= it->size; piece++) {
            read_message(message, &request_head, it->text, it->size, piece);
            bool is_whole = message->used == it->size && bide__http1_body_over(&message->body);
            if (message->status == it->status && (it->status != 0 || is_whole))
                continue;
            printf("# case %zu in pieces of %zu: %d, expected %d (%s) used %zu\n%s\n", i, piece,
                   message->status, it->status, message->head.why ? message->head.why : "",
                   message->used, it->text);
            n_wrong++;
            break;
        }
    }
    BIDE_CHECK(sizeof http1_cases / sizeof *http1_cases >= 200);
    BIDE_CHECK_INT(n_wrong, 0);
    free(message);
}

static void check_span(const char *data, struct bide__http1_span span, const char *expected)
{
    BIDE_CHECK_INT(span.size, strlen(expected));
    BIDE_CHECK(memcmp(data + span.at, expected, span.size) == 0);
}

BIDE_TEST(a_request_tells_what_it_wants)
{
    static const char text[] = "\r\nPOST http://H:80/a?b HTTP/1.1\r\nhost:  h:80 \r\n"
                               "Connection: Upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n"
                               "Content-Length: 5\r\nX-Empty:\r\n\r\nhelloGET";
    struct message *message = malloc(sizeof *message);
    read_message(message, &request_head, text, sizeof text - 1, 7);
    BIDE_CHECK_INT(message->status, 0);
    check_span(text, message->head.method, "POST");
    check_span(text, message->head.target, "http://H:80/a?b");
    check_span(text, message->head.authority, "H:80");
    BIDE_CHECK_INT(message->head.target_kind, BIDE__HTTP1_ABSOLUTE);
    BIDE_CHECK_INT(message->head.minor_version, 1);
    BIDE_CHECK_INT(message->head.flags,
                   BIDE__HTTP1_KEEP_ALIVE | BIDE__HTTP1_UPGRADE | BIDE__HTTP1_EXPECT);
    BIDE_CHECK_INT(message->head.n_fields, 6);
    check_span(text, bide__http1_find(&message->head, text, "x-empty"), "");
    check_span(text, bide__http1_find(&message->head, text, "upgrade"), "x");
    BIDE_CHECK_INT(bide__http1_find(&message->head, text, "upgrad").at, 0);
    BIDE_CHECK_INT(message->head.framing, BIDE__HTTP1_LENGTH);
    BIDE_CHECK_INT(message->content_size, 5);
    BIDE_CHECK(memcmp(message->content, "hello", 5) == 0);
    BIDE_CHECK_INT(message->used, sizeof text - 4);
    free(message);
}

static const struct {
    const char *text;
    unsigned flags;
} keeps[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", BIDE__HTTP1_KEEP_ALIVE},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", 0},
    {"GET / HTTP/1.0\r\n\r\n", 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", BIDE__HTTP1_KEEP_ALIVE},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n\r\n", BIDE__HTTP1_KEEP_ALIVE},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n", BIDE__HTTP1_KEEP_ALIVE},
};

BIDE_TEST(whether_the_connection_goes_on)
{
    struct message *message = malloc(sizeof *message);
    for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++) {
        read_message(message, &request_head, keeps[i].text, strlen(keeps[i].text), 1000);
        BIDE_CHECK_INT(message->status, 0);
        BIDE_CHECK_INT(message->head.flags, keeps[i].flags);
    }
    free(message);
}

static const struct {
    const char *text;
    bool is_for_head, is_for_connect, is_refused;
    enum bide__http1_framing framing;
} responses[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0, 0, 0, BIDE__HTTP1_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, 0, BIDE__HTTP1_CHUNKED},
    {"HTTP/1.1 200 OK\r\n\r\n", 0, 0, 0, BIDE__HTTP1_UNTIL_END},
    {"HTTP/1.1 200\r\n\r\n", 0, 0, 0, BIDE__HTTP1_UNTIL_END},
    {"HTTP/1.1 200 \r\n\r\n", 0, 0, 0, BIDE__HTTP1_UNTIL_END},
    {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", 0, 0, 0, BIDE__HTTP1_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 1, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 1, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0, 1, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\n", 0, 1, 0, BIDE__HTTP1_LENGTH},
    {"HTTP/1.1 100 Continue\r\n\r\n", 0, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 0, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 0, 0, 0, BIDE__HTTP1_NO_BODY},
    {"HTTP/1.1 999 \xc3\xa4\r\n\r\n", 0, 0, 0, BIDE__HTTP1_UNTIL_END},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 099 OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 20 OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 2000 OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 200OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1  200 OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/2 200\r\n\r\n", 0, 0, 1, 0},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 200 O\x01K\r\n\r\n", 0, 0, 1, 0},
    {"HTTP/1.1 200 OK\n\n", 0, 0, 1, 0},
};

BIDE_TEST(a_response_tells_where_it_ends)
{
    struct message *message = malloc(sizeof *message);
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        const char *text = responses[i].text;
        struct bide__http1_head like = {.kind = BIDE__HTTP1_RESPONSE,
                                        .limits = limits,
                                        .is_for_head = responses[i].is_for_head,
                                        .is_for_connect = responses[i].is_for_connect};
        for (size_t piece = 1; piece <= strlen(text); piece++) {
            read_message(message, &like, text, strlen(text), piece);
            if (!message->head.why == responses[i].is_refused)
                printf("# %s\n", text);
            BIDE_CHECK_INT(!message->head.why, !responses[i].is_refused);
            if (!responses[i].is_refused)
                BIDE_CHECK_INT(message->head.framing, responses[i].framing);
        }
    }
    free(message);
}

BIDE_TEST(what_ends_with_the_connection)
{
    struct bide__http1_body body;
    const char *content;
    size_t size;
    bide__http1_body_init(&body, BIDE__HTTP1_UNTIL_END, 0);
    BIDE_CHECK_INT(bide__http1_body_take(&body, "abc", 3, &content, &size), 3);
    BIDE_CHECK_INT(size, 3);
    BIDE_CHECK(!bide__http1_body_over(&body));
    BIDE_CHECK_INT(bide__http1_body_end(&body), 0);
    BIDE_CHECK(bide__http1_body_over(&body));
    bide__http1_body_init(&body, BIDE__HTTP1_LENGTH, 4);
    BIDE_CHECK_INT(bide__http1_body_take(&body, "abc", 3, &content, &size), 3);
    BIDE_CHECK_INT(bide__http1_body_end(&body), -EBADMSG);
    BIDE_CHECK_INT(bide__http1_body_take(&body, "d", 1, &content, &size), -EBADMSG);
    bide__http1_body_init(&body, BIDE__HTTP1_NO_BODY, 0);
    BIDE_CHECK_INT(bide__http1_body_take(&body, "GET", 3, &content, &size), 0);
    BIDE_CHECK_INT(bide__http1_body_end(&body), 0);
}

/* A request whose part of `size` bytes is made of one character. */
static int status_with(const char *before, size_t size, const char *after)
{
    struct message *message = malloc(sizeof *message);
    char *text = malloc(strlen(before) + size + strlen(after) + 1);
    strcpy(text, before);
    memset(text + strlen(before), 'a', size);
    strcpy(text + strlen(before) + size, after);
    read_message(message, &request_head, text, strlen(text), 1000);
    int status = message->status;
    free(text);
    free(message);
    return status;
}

BIDE_TEST(limits_hold_to_the_byte)
{
    static const char end[] = " HTTP/1.1\r\nHost: h\r\n\r\n";
    size_t room = limits.line_bytes - strlen("GET / HTTP/1.1");
    BIDE_CHECK_INT(status_with("GET /", room, end), 0);
    BIDE_CHECK_INT(status_with("GET /", room + 1, end), 414);
    BIDE_CHECK_INT(status_with("GET /", 100000, ""), 414);
    static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
    BIDE_CHECK_INT(status_with(head, limits.line_bytes - 3, "\r\n\r\n"), 0);
    BIDE_CHECK_INT(status_with(head, limits.line_bytes - 2, "\r\n\r\n"), 431);
    BIDE_CHECK_INT(status_with(head, 8192, ""), 431);
}

BIDE_TEST(so_many_fields_and_no_more)
{
    struct message *message = malloc(sizeof *message);
    for (int n = FIELDS_MAX - 1; n <= FIELDS_MAX; n++) {
        char text[8 * FIELDS_MAX + 64] = "GET / HTTP/1.1\r\nHost: h\r\n";
        for (int i = 0; i < n; i++)
            strcat(text, "A: b\r\n");
        strcat(text, "\r\n");
        read_message(message, &request_head, text, strlen(text), 100);
        BIDE_CHECK_INT(message->status, n < FIELDS_MAX ? 0 : 431);
    }
    free(message);
}

/* So many chunks of one byte, each with an extension. */
static int chunks_status(size_t n, const char *extension)
{
    struct bide__http1_body body;
    char chunk[128];
    bide__http1_body_init(&body, BIDE__HTTP1_CHUNKED, 0);
    size_t size = (size_t)snprintf(chunk, sizeof chunk, "1;%s\r\na\r\n", extension);
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < size;) {
            const char *content;
            size_t content_size;
            int64_t rc = bide__http1_body_take(&body, chunk + at, size - at, &content,
                                               &content_size);
            if (rc < 0)
                return (int)rc;
            at += (size_t)rc;
        }
    return 0;
}

BIDE_TEST(small_chunks_pass_and_long_extensions_do_not)
{
    BIDE_CHECK_INT(chunks_status(100000, "abcdef"), 0);
    BIDE_CHECK_INT(chunks_status(100, "a-long-extension-that-is-many-times-its-content"), 0);
    BIDE_CHECK_INT(chunks_status(1000, "a-long-extension-that-is-many-times-its-content"),
                   -EBADMSG);
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

BIDE_TEST(both_forms_scan_alike)
{
    uint64_t state = 1;
    for (int round = 0; round < 200000; round++) {
        size_t size = next(&state) % 80;
        char *text = malloc(size + 1); /* exactly, so that reading beyond is seen */
        for (size_t i = 0; i < size; i++)
            text[i] = (char)(next(&state) % 20 ? ' ' + 1 + next(&state) % 94 : next(&state));
        const char *end = text + size;
        BIDE_CHECK(bide__http1_scan_value(text, end) == bide__http1_scan_value_plain(text, end));
        BIDE_CHECK(bide__http1_scan_visible(text, end) ==
                   bide__http1_scan_visible_plain(text, end));
        free(text);
    }
    for (int byte = 0; byte < 256; byte++) {
        char text[32];
        memset(text, 'a', sizeof text);
        text[17] = (char)byte;
        const char *end = text + sizeof text;
        BIDE_CHECK(bide__http1_scan_value(text, end) == bide__http1_scan_value_plain(text, end));
        BIDE_CHECK(bide__http1_scan_visible(text, end) ==
                   bide__http1_scan_visible_plain(text, end));
    }
}

BIDE_TEST(changed_requests_are_read_alike_however_they_come)
{
    uint64_t state = 2;
    struct message *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    for (int round = 0; round < 20000; round++) {
        const struct http1_case *it =
            &http1_cases[next(&state) % (sizeof http1_cases / sizeof *http1_cases)];
        char text[512];
        if (it->size > sizeof text)
            continue;
        memcpy(text, it->text, it->size);
        for (uint64_t n = next(&state) % 4; n > 0; n--)
            text[next(&state) % it->size] = (char)(next(&state) % 3 ? "\r\n :;0a"[next(&state) % 7]
                                                                    : (char)next(&state));
        read_message(one, &request_head, text, it->size, it->size);
        read_message(other, &request_head, text, it->size, 1 + next(&state) % 5);
        BIDE_CHECK_INT(one->status, other->status);
        if (one->status == 0) {
            BIDE_CHECK_INT(one->used, other->used);
            BIDE_CHECK_INT(one->content_size, other->content_size);
            BIDE_CHECK(memcmp(one->content, other->content, one->content_size) == 0);
        }
    }
    free(one);
    free(other);
}
