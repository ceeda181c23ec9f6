/*
 * WebSocket's frames. Scenario: every case of websocket_cases.h whole and in pieces of every size;
 * frames of a server's; texts of every kind; random bytes.
 * Claim: each is told, or refused with its code, however it was split, and at the first byte that
 * breaks a rule; what was written is read; the forms for this processor and the plain ones answer
 * alike; keys are answered as the RFC's example.
 */
#include "websocket_rig.h"

#include "websocket_cases.h"

static const struct bide__ws_limits limits = {
    .frame_bytes = 80000, .message_bytes = 100000, .n_fragments = 8};

/* A peer's bytes read, in words. */
struct reading {
    struct bide__ws_reader reader;
    char told[1024];
    char *message;
    size_t message_size;
    size_t used;
};

static void tell(struct reading *reading, const struct bide__ws_event *event)
{
    char what[16] = "";
    if (event->kind == BIDE__WS_CONTROL) {
        sprintf(what,
                event->opcode == BIDE__WS_PING   ? "P"
                : event->opcode == BIDE__WS_PONG ? "O"
                                                 : "C%u",
                event->code);
        ws_tell(reading->told, what, event->data, event->size);
        return;
    }
    BIDE_CHECK_INT(event->is_first, reading->message_size == 0);
    memcpy(reading->message + reading->message_size, event->data, event->size);
    reading->message_size += event->size;
    if (!event->is_last)
        return;
    ws_tell(reading->told, event->opcode == BIDE__WS_TEXT ? "T" : "B", reading->message,
            reading->message_size);
    reading->message_size = 0;
}

static void take(struct reading *reading, const char *data, size_t size)
{
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    for (size_t at = 0;;) {
        struct bide__ws_event event;
        int64_t n = bide__ws_reader_take(&reading->reader, copy + at, size - at, &event);
        if (n < 0) {
            BIDE_CHECK_INT(n, -EBADMSG);
            BIDE_CHECK(reading->reader.why);
            if (!strchr(reading->told, '!'))
                sprintf(reading->told + strlen(reading->told), "!%u", reading->reader.code);
            break;
        }
        at += (size_t)n;
        reading->used += (size_t)n;
        if (event.kind == BIDE__WS_NOTHING) {
            BIDE_CHECK_INT(at, size);
            break;
        }
        tell(reading, &event);
    }
    free(copy);
}

static const char *read_pieces(struct reading *reading, bool is_server, const char *data,
                               size_t size, size_t piece)
{
    static char message[WS_BYTES];
    *reading = (struct reading){.message = message};
    bide__ws_reader_init(&reading->reader, is_server, &limits);
    for (size_t at = 0; at < size; at += piece)
        take(reading, data + at, size - at < piece ? size - at : piece);
    return reading->told;
}

BIDE_TEST(every_case_in_pieces_of_every_size)
{
    static char data[WS_BYTES];
    for (size_t i = 0; i < N_WEBSOCKET_CASES; i++) {
        const struct websocket_case *one = &websocket_cases[i];
        struct reading reading;
        size_t size = ws_frames(one->frames, true, data);
        ws_case(one->name);
        BIDE_CHECK_STR(read_pieces(&reading, true, data, size, size), one->events);
        for (size_t piece = 1; piece < (size < 300 ? size : 20); piece++)
            BIDE_CHECK_STR(read_pieces(&reading, true, data, size, piece), one->events);
    }
}

/* Unmasked, the same cases are a server's, which differ in nothing else. */
BIDE_TEST(every_case_from_a_server)
{
    static char data[WS_BYTES];
    for (size_t i = 0; i < N_WEBSOCKET_CASES; i++) {
        const struct websocket_case *one = &websocket_cases[i];
        struct reading reading;
        size_t size = ws_frames(one->frames, false, data);
        bool is_about_masks = strstr(one->frames, "u:");
        ws_case(one->name);
        if (is_about_masks)
            continue;
        BIDE_CHECK_STR(read_pieces(&reading, false, data, size, size), one->events);
        BIDE_CHECK_STR(read_pieces(&reading, false, data, size, 7), one->events);
    }
}

BIDE_TEST(a_server_does_not_mask)
{
    char data[64];
    struct reading reading;
    size_t size = ws_frames("81:a", true, data);
    BIDE_CHECK_STR(read_pieces(&reading, false, data, size, size), "!1002");
    BIDE_CHECK_INT(reading.reader.n_head, 2);
}

/* The byte that breaks the rule is the last one that is looked at. */
BIDE_TEST(refused_at_the_first_wrong_byte)
{
    static const struct {
        const char *bytes;
        const char *events;
        size_t n;
    } cases[] = {
        {"91", "!1002", 1},
        {"83", "!1002", 1},
        {"09", "!1002", 1},
        {"80", "!1002", 1},
        {"8105", "!1002", 2},
        {"89fe", "!1002", 2},
        {"81fe0005", "!1002", 4},
        {"81ff80", "!1002", 3},
        {"81ff00000000000000ff", "!1002", 10},
        {"82ff0000000000020000", "!1009", 10},
        {"8185000000004142ff", "!1007", 9}, /* the mask is zero: "AB", and no "C" */
        {"818500000000c0", "!1007", 7},
        {"888200000000"
         "03ec",
         "!1002", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char data[32];
        struct reading reading;
        size_t n = from_hex(cases[i].bytes, data);
        ws_case(cases[i].bytes);
        BIDE_CHECK_INT(n, cases[i].n);
        BIDE_CHECK_STR(read_pieces(&reading, true, data, n - 1, 1), "");
        BIDE_CHECK_STR(read_pieces(&reading, true, data, n, 1), cases[i].events);
        take(&reading, "\x89\x80\0\0\0\0", 6);
        BIDE_CHECK_STR(reading.told, cases[i].events);
    }
}

BIDE_TEST(a_refusal_of_the_callers)
{
    struct bide__ws_reader reader;
    struct bide__ws_event event;
    char data[] = "x";
    bide__ws_reader_init(&reader, true, &limits);
    BIDE_CHECK_INT(bide__ws_reader_refuse(&reader, 1009, "too much"), -EBADMSG);
    BIDE_CHECK_INT(bide__ws_reader_refuse(&reader, 1002, "later"), -EBADMSG);
    BIDE_CHECK_INT(bide__ws_reader_take(&reader, data, 1, &event), -EBADMSG);
    BIDE_CHECK_INT(reader.code, 1009);
    BIDE_CHECK_STR(reader.why, "too much");
}

BIDE_TEST(compressed_messages_need_an_extension)
{
    static const struct {
        const char *frames;
        const char *events;
    } cases[] = {{"c1:a", "T(a)"},       {"41:a 80:b", "T(ab)"}, {"c2:=ff", "B[1]"},
                 {"c9:", "!1002"},       {"c8:", "!1002"},       {"01:a c0:b", "!1002"},
                 {"41:a c0:b", "!1002"}, {"a1:a", "!1002"},      {"d1:a", "!1002"},
                 {"c1:=ff", "T[1]"}, /* what is compressed is no text yet */
                 {"81:=ff", "!1007"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char data[64], message[64];
        struct reading reading = {.message = message};
        size_t n = ws_frames(cases[i].frames, true, data);
        ws_case(cases[i].frames);
        bide__ws_reader_init(&reading.reader, true, &limits);
        reading.reader.has_compressed = true;
        take(&reading, data, n);
        BIDE_CHECK_STR(reading.told, cases[i].events);
    }
}

BIDE_TEST(close_frames)
{
    char payload[BIDE__WS_CONTROL_MAX];
    char reason[200];
    BIDE_CHECK_INT(bide__ws_close_write(payload, BIDE__WS_NO_CODE, "lost"), 0);
    BIDE_CHECK_INT(bide__ws_close_write(payload, 1000, NULL), 2);
    BIDE_CHECK_MEM(payload, "\x03\xe8", 2);
    BIDE_CHECK_INT(bide__ws_close_write(payload, 1001, "bye"), 5);
    BIDE_CHECK_MEM(payload,
                   "\x03\xe9"
                   "bye",
                   5);
    memset(reason, 'x', sizeof reason);
    reason[199] = '\0';
    BIDE_CHECK_INT(bide__ws_close_write(payload, 1000, reason), 125);
    memcpy(reason + 122, "\xe2\x82\xac", 3); /* cut within it: it goes whole */
    BIDE_CHECK_INT(bide__ws_close_write(payload, 1000, reason), 124);
    for (unsigned code = 0; code < 70000; code++) {
        bool is_sendable = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                           (code >= 3000 && code <= 4999);
        BIDE_CHECK_INT(bide__ws_code_is_sendable(code), is_sendable);
    }
}

BIDE_TEST(masking_is_the_same_in_both_forms)
{
    enum { SIZE = 100 };
    char from[SIZE + 16], plain[SIZE + 16], fast[SIZE + 16];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (char)(i * 37);
    for (size_t at = 0; at < 16; at++)
        for (size_t size = 0; size <= SIZE; size++)
            for (size_t offset = 0; offset < 5; offset++) {
                memset(plain, 0x55, sizeof plain);
                memset(fast, 0x55, sizeof fast);
                bide__ws_mask_plain(plain + at, from + at, size, ws_key, offset);
                bide__ws_mask(fast + at, from + at, size, ws_key, offset);
                BIDE_CHECK_MEM(fast, plain, sizeof fast);
            }
    memcpy(fast, from, sizeof fast);
    bide__ws_mask(fast, fast, SIZE, ws_key, 3);
    bide__ws_mask(fast, fast, SIZE, ws_key, 3);
    BIDE_CHECK_MEM(fast, from, sizeof fast);
}

/* The good bytes of a text whose end counts, too. */
static size_t check_pieces(const char *text, size_t size, size_t piece, bool is_plain, bool *whole)
{
    struct bide__utf8_check check = {0};
    size_t done = 0;
    while (done < size) {
        size_t n = size - done < piece ? size - done : piece;
        size_t good = is_plain ? bide__utf8_check_plain(&check, text + done, n)
                               : bide__utf8_check(&check, text + done, n);
        done += good;
        if (good < n)
            break;
    }
    *whole = done == size && bide__utf8_check_is_whole(&check);
    return done;
}

BIDE_TEST(texts_of_every_kind)
{
    enum { AROUND = 40 };
    for (size_t i = 0; i < N_UTF8_CASES; i++) {
        char text[2 * AROUND + 64];
        bool whole;
        memset(text, 'a', AROUND);
        size_t n = from_hex(utf8_cases[i].text, text + AROUND);
        ws_case(utf8_cases[i].text);
        for (size_t before = 0; before < AROUND; before++) {
            size_t good = check_pieces(text + AROUND - before, before + n, SIZE_MAX, true, &whole);
            BIDE_CHECK_INT(whole, utf8_cases[i].is_good);
            for (size_t piece = 1; piece <= before + n; piece++)
                BIDE_CHECK_INT(
                    check_pieces(text + AROUND - before, before + n, piece, false, &whole), good);
            BIDE_CHECK_INT(whole, utf8_cases[i].is_good);
        }
        memset(text + AROUND + n, 'b', AROUND);
        (void)check_pieces(text, 2 * AROUND + n, SIZE_MAX, false, &whole);
        BIDE_CHECK_INT(whole, utf8_cases[i].is_good);
    }
}

/* Against the decoder of one character at a time. */
BIDE_TEST(random_texts_are_judged_as_they_are_decoded)
{
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        static const unsigned char bytes[] = {'a',  0x80, 0xbf, 0xc2, 0xe0, 0xa0, 0xed, 0x9f,
                                              0xf0, 0x90, 0xf4, 0x8f, 0xef, 0xf5, 0xc1, 0xff};
        char text[24];
        size_t size = (seed = seed * 1103515245 + 12345) >> 16 & 15;
        bool whole, is_good = true;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)bytes[(seed = seed * 1103515245 + 12345) >> 16 & 15];
        for (size_t at = 0; at < size && is_good;) {
            uint32_t character;
            size_t n = bide__utf8_decode(text + at, size - at, &character);
            bool is_replaced = character == BIDE__UTF8_REPLACEMENT &&
                               !(n == 3 && memcmp(text + at, "\xef\xbf\xbd", 3) == 0);
            is_good = n > 0 && !is_replaced;
            at += n;
        }
        (void)check_pieces(text, size, 1 + (size_t)round % 5, false, &whole);
        BIDE_CHECK_INT(whole, is_good);
    }
}

/* Whatever comes, the reader tells no more than came, and the same in any pieces. */
BIDE_TEST(random_bytes_in_any_pieces)
{
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        char data[64];
        struct reading whole, pieces;
        size_t size = 1 + ((seed = seed * 1103515245 + 12345) >> 16) % sizeof data;
        for (size_t i = 0; i < size; i++)
            data[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        data[0] = (char)(data[0] & 0x8f); /* else nearly all end at once */
        if (size > 1)
            data[1] = (char)((data[1] & 0x1f) | 0x80);
        char first[sizeof whole.told];
        strcpy(first, read_pieces(&whole, true, data, size, size));
        BIDE_CHECK_STR(read_pieces(&pieces, true, data, size, 1 + (size_t)round % 7), first);
    }
}

BIDE_TEST(keys)
{
    static const uint8_t bytes[BIDE__WS_KEY_BYTES] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                                      0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,
                                                      0x0d, 0x0e, 0x0f, 0x10};
    static const char *const bad[] = {"",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZQ===",
                                      "dGhlIHNhbXBsZSBub25jZR==",
                                      "dGhlIHNhbXBsZSBub25jZ===",
                                      "dGhlIHNhbXBsZSBub25jZQQQ",
                                      "dGhlIHNhb-BsZSBub25jZQ=="};
    char key[BIDE__WS_KEY_SIZE], answer[BIDE__WS_ACCEPT_SIZE];
    bide__ws_key_write(bytes, key);
    BIDE_CHECK_STR(key, "AQIDBAUGBwgJCgsMDQ4PEA==");
    BIDE_CHECK(bide__ws_key_is_valid(key));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ws_case(bad[i]);
        BIDE_CHECK(!bide__ws_key_is_valid(bad[i]));
    }
    bide__ws_accept_write("dGhlIHNhbXBsZSBub25jZQ==", answer);
    BIDE_CHECK_STR(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
