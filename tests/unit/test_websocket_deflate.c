/*
 * Compressed messages. Scenario: offers and answers of every kind; messages that compress well and
 * badly, in pieces of every size in and out, with and without a memory of earlier ones; what is not
 * compressed at all; much in little; memory that is refused.
 * Claim: terms are agreed on as RFC 7692 says, or not at all; what was compressed comes back; what
 * is not what it says is refused; no more is written than there is room for.
 */
#include "websocket_rig.h"

#include "codec/websocket_deflate.h"
#include "codec/websocket_extension.h"
#include "fault.h"

#define OURS "permessage-deflate"
#define FORGETS_S "; server_no_context_takeover"
#define FORGETS_C "; client_no_context_takeover"
#define BITS_S "; server_max_window_bits"
#define BITS_C "; client_max_window_bits"

static const struct bide__ws_terms all = {.server_bits = 15, .client_bits = 15};

struct offer_case {
    const char *offers;
    const char *answer; /* NULL: none is accepted */
};

static const struct offer_case offer_cases[] = {
    {"", NULL},
    {" ,, ", NULL},
    {OURS, OURS},
    {"PerMessage-Deflate", OURS},
    {"x-other, " OURS, OURS},
    {"x-other; a=\"b\"; c, " OURS FORGETS_S, OURS FORGETS_S},
    {"x-other; a=\"b c\", " OURS, NULL}, /* no token in it: RFC 6455 has no other values */
    {OURS FORGETS_C, OURS FORGETS_C},
    {OURS FORGETS_C FORGETS_S, OURS FORGETS_S FORGETS_C},
    {OURS BITS_C, OURS},
    {OURS BITS_C "=10", OURS BITS_C "=10"},
    {OURS BITS_C "=\"10\"", OURS BITS_C "=10"},
    {OURS BITS_S "=9", OURS BITS_S "=9"},
    {OURS BITS_S " = 8", OURS BITS_S "=8"},
    {OURS BITS_S "=15" BITS_C "=8", OURS BITS_C "=8"},
    {OURS BITS_S, NULL},
    {OURS BITS_S "=7", NULL},
    {OURS BITS_S "=16", NULL},
    {OURS BITS_S "=08", NULL},
    {OURS BITS_S "=10" BITS_S "=10", NULL},
    {OURS BITS_C "=1", NULL},
    {OURS BITS_C "=", NULL},
    {OURS BITS_C "=\"10", NULL},
    {OURS BITS_C BITS_C, NULL},
    {OURS FORGETS_S "=1", NULL},
    {OURS FORGETS_S FORGETS_S, NULL},
    {OURS "; unknown", NULL},
    {OURS ";", NULL},
    {OURS " x", NULL},
    {"permessage-deflat", NULL},
    {OURS "; unknown, " OURS BITS_S "=20, " OURS FORGETS_S, OURS FORGETS_S},
    {OURS BITS_S ", " OURS, OURS},
    {OURS ", " OURS FORGETS_S, OURS},
    {"(", NULL},
};

BIDE_TEST(offers_are_accepted_or_not)
{
    char answer[BIDE__WS_TERMS_MAX];
    struct bide__ws_terms terms;
    for (size_t i = 0; i < sizeof offer_cases / sizeof *offer_cases; i++) {
        const struct offer_case *one = &offer_cases[i];
        ws_case(one->offers);
        bool is_accepted = bide__ws_offer_accept(one->offers, &all, answer, &terms);
        BIDE_CHECK_INT(is_accepted, one->answer != NULL);
        if (is_accepted)
            BIDE_CHECK_STR(answer, one->answer);
    }
}

BIDE_TEST(a_server_has_limits_of_its_own)
{
    static const struct bide__ws_terms wanted = {
        .server_forgets = true, .client_forgets = true, .server_bits = 12, .client_bits = 11};
    char answer[BIDE__WS_TERMS_MAX];
    struct bide__ws_terms terms;
    BIDE_CHECK(bide__ws_offer_accept(OURS BITS_C, &wanted, answer, &terms));
    BIDE_CHECK_STR(answer, OURS FORGETS_S FORGETS_C BITS_S "=12" BITS_C "=11");
    BIDE_CHECK_INT(terms.server_bits, 12);
    BIDE_CHECK_INT(terms.client_bits, 11);
    BIDE_CHECK(bide__ws_offer_accept(OURS BITS_C "=10" BITS_S "=9", &wanted, answer, &terms));
    BIDE_CHECK_STR(answer, OURS FORGETS_S FORGETS_C BITS_S "=9" BITS_C "=10");
    /* A client that did not say that it can is not told to. */
    BIDE_CHECK(bide__ws_offer_accept(OURS, &wanted, answer, &terms));
    BIDE_CHECK_STR(answer, OURS FORGETS_S FORGETS_C BITS_S "=12");
    BIDE_CHECK_INT(terms.client_bits, 15);
}

BIDE_TEST(answers_are_to_the_offer)
{
    static const struct bide__ws_terms wanted = {
        .server_forgets = true, .server_bits = 12, .client_bits = 11};
    static const struct {
        const char *answer;
        int to_all, to_wanted;
    } cases[] = {
        {OURS, 0, -EBADMSG},
        {OURS FORGETS_S BITS_S "=12", 0, 0},
        {OURS FORGETS_S BITS_S "=11", 0, 0},
        {OURS FORGETS_S BITS_S "=13", 0, -EBADMSG},
        {OURS FORGETS_S BITS_S "=8" BITS_C "=8" FORGETS_C, 0, 0},
        {OURS BITS_S "=12", 0, -EBADMSG},
        {OURS FORGETS_S BITS_S, -EBADMSG, -EBADMSG},
        {OURS FORGETS_S BITS_S "=12" BITS_C, -EBADMSG, -EBADMSG},
        {OURS ", " OURS, -EBADMSG, -EBADMSG},
        {"x-other", -EBADMSG, -EBADMSG},
        {OURS "; x", -EBADMSG, -EBADMSG},
        {"", -EBADMSG, -EBADMSG},
    };
    char offer[BIDE__WS_TERMS_MAX];
    struct bide__ws_terms terms;
    bide__ws_offer_write(&all, offer);
    BIDE_CHECK_STR(offer, OURS BITS_C);
    bide__ws_offer_write(&wanted, offer);
    BIDE_CHECK_STR(offer, OURS FORGETS_S BITS_S "=12" BITS_C "=11");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_case(cases[i].answer);
        BIDE_CHECK_INT(bide__ws_answer_check(cases[i].answer, &all, &terms), cases[i].to_all);
        BIDE_CHECK_INT(bide__ws_answer_check(cases[i].answer, &wanted, &terms), cases[i].to_wanted);
        if (cases[i].to_wanted == 0)
            BIDE_CHECK_INT(terms.client_bits <= 11, true);
    }
}

/* Inflates a message whose bytes come and go in pieces: its size, or the error. */
static int64_t inflate_pieces(struct bide__ws_inflate *inflate, const char *data, size_t size,
                              size_t piece, size_t room, char *to, size_t to_size)
{
    size_t n = 0, at = 0;
    do {
        size_t come = size - at < piece ? size - at : piece;
        struct bide__ws_flow flow = {
            .in = data + at, .in_size = come, .is_last = at + come == size};
        int rc;
        do {
            size_t left = to_size - n < room ? to_size - n : room;
            flow.out = to + n;
            flow.room = left;
            rc = bide__ws_inflate_take(inflate, &flow);
            if (rc < 0)
                return rc;
            n += left - flow.room;
        } while (rc > 0 && n < to_size);
        if (rc > 0)
            return -BIDE__WS_TOO_BIG;
        at += come;
    } while (at < size);
    return (int64_t)n;
}

static const struct {
    const char *hex;
    const char *text;
} rfc_examples[] = {
    {"f248cdc9c90700", "Hello"},             /* 7.2.3.1 */
    {"f200110000", "Hello"},                 /* 7.2.3.2, behind that */
    {"000500faff48656c6c6f00", "Hello"},     /* 7.2.3.3: stored */
    {"f348cdc9c9070000", "Hello"},           /* 7.2.3.4: a last block */
    {"f24805000000ffffcac9c90700", "Hello"}, /* 7.2.3.5: two blocks */
    {"f200110000", "Hello"},                 /* refers beyond a last block */
    {"00", ""},
};

BIDE_TEST(the_examples_of_the_rfc)
{
    char data[64], text[64];
    for (size_t piece = 1; piece < 16; piece++)
        for (size_t room = 1; room < 8; room++) {
            struct bide__ws_inflate inflate = {.bits = 15};
            for (size_t i = 0; i < sizeof rfc_examples / sizeof *rfc_examples; i++) {
                ws_case(rfc_examples[i].hex);
                size_t n = from_hex(rfc_examples[i].hex, data);
                int64_t got = inflate_pieces(&inflate, data, n, piece, room, text, sizeof text);
                BIDE_CHECK_INT(got, strlen(rfc_examples[i].text));
                BIDE_CHECK_MEM(text, rfc_examples[i].text, (size_t)got);
            }
            bide__ws_inflate_fini(&inflate);
        }
}

BIDE_TEST(what_is_not_compressed_is_refused)
{
    static const char *const cases[] = {
        "ff",             /* a block of no kind */
        "07",             /* likewise */
        "f248cdc9c9",     /* ends within a block */
        "f200110000",     /* refers to what never was */
        "000500fbff4865", /* a length that contradicts itself */
        "f348cdc9c907",   /* a last block, and nothing behind it */
        "",               /* an empty message has a block */
    };
    char data[64], text[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 8; piece++) {
            struct bide__ws_inflate inflate = {.bits = 15};
            size_t n = from_hex(cases[i], data);
            ws_case(cases[i]);
            BIDE_CHECK_INT(inflate_pieces(&inflate, data, n, piece, 64, text, sizeof text),
                           -EBADMSG);
            bide__ws_inflate_fini(&inflate);
        }
}

enum { TEXT_BYTES = 131072 };
static char text[TEXT_BYTES], back[TEXT_BYTES + 1], packed[2 * TEXT_BYTES];

/* Words that come again, or noise. */
static void fill(bool is_noise, unsigned seed)
{
    static const char *const words[] = {"to ", "wait ", "for ", "many ", "messages ", "at once "};
    for (size_t n = 0; n < TEXT_BYTES;) {
        seed = seed * 1103515245 + 12345;
        if (is_noise) {
            text[n++] = (char)(seed >> 16);
            continue;
        }
        for (const char *c = words[(seed >> 16) % 6]; *c && n < TEXT_BYTES; c++)
            text[n++] = *c;
    }
}

static size_t pack(struct bide__ws_deflate *deflate, const char *data, size_t size, size_t piece)
{
    size_t n = 0, at = 0;
    BIDE_CHECK_INT(bide__ws_deflate_prepare(deflate), 0);
    do {
        size_t come = size - at < piece ? size - at : piece;
        BIDE_CHECK(n + bide__ws_deflate_bound(deflate, come) <= sizeof packed);
        n += bide__ws_deflate_piece(deflate, data + at, come, at + come == size, packed + n,
                                    bide__ws_deflate_bound(deflate, come));
        at += come;
    } while (at < size);
    return n;
}

/* The cases 12.1 to 13.7: sizes from 1 to 131,072, 1,000 of them there; terms of every kind. */
BIDE_TEST(what_was_compressed_comes_back, .seconds = 120)
{
    static const size_t sizes[] = {0,    1,    16,    64,    256,   1000,      1024,
                                   4096, 8192, 16384, 32768, 65536, TEXT_BYTES};
    for (unsigned bits = 9; bits <= 15; bits += 2)
        for (int forgets = 0; forgets < 2; forgets++)
            for (int is_noise = 0; is_noise < 2; is_noise++) {
                struct bide__ws_deflate deflate = {
                    .bits = (uint8_t)bits, .level = 6, .memory = 5, .forgets = forgets};
                struct bide__ws_inflate inflate = {.bits = (uint8_t)bits, .forgets = forgets};
                fill(is_noise, bits);
                for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                    for (size_t piece = 1000; piece <= TEXT_BYTES; piece *= 11) {
                        size_t n = pack(&deflate, text, sizes[i], piece);
                        BIDE_CHECK_INT(inflate_pieces(&inflate, packed, n, 777 + piece, 1000, back,
                                                      sizeof back),
                                       sizes[i]);
                        BIDE_CHECK(memcmp(back, text, sizes[i]) == 0);
                    }
                bide__ws_deflate_fini(&deflate);
                bide__ws_inflate_fini(&inflate);
            }
}

BIDE_TEST(a_memory_of_earlier_messages)
{
    struct bide__ws_deflate deflate = {.bits = 15, .level = 6, .memory = 8};
    fill(true, 3);
    size_t first = pack(&deflate, text, 1000, 1000);
    size_t second = pack(&deflate, text, 1000, 1000);
    BIDE_CHECK(first > 1000 && second < 50);
    bide__ws_deflate_forget(&deflate);
    BIDE_CHECK_INT(pack(&deflate, text, 1000, 1000), first);
    struct bide__ws_inflate inflate = {.bits = 15};
    BIDE_CHECK_INT(inflate_pieces(&inflate, packed, first, 9, 9, back, sizeof back), 1000);
    bide__ws_deflate_fini(&deflate);
    bide__ws_inflate_fini(&inflate);
}

/* A message whose last piece is empty, behind one that was flushed. */
BIDE_TEST(an_empty_end)
{
    struct bide__ws_deflate deflate = {.bits = 15, .level = 6, .memory = 8};
    struct bide__ws_inflate inflate = {.bits = 15};
    char data[128];
    for (int round = 0; round < 3; round++) {
        BIDE_CHECK_INT(bide__ws_deflate_prepare(&deflate), 0);
        size_t n = bide__ws_deflate_piece(&deflate, "abc", 3, false, data, sizeof data);
        n += bide__ws_deflate_piece(&deflate, "", 0, true, data + n, sizeof data - n);
        BIDE_CHECK_INT(inflate_pieces(&inflate, data, n, 1, 1, back, sizeof back), 3);
        BIDE_CHECK_MEM(back, "abc", 3);
    }
    bide__ws_deflate_fini(&deflate);
    bide__ws_inflate_fini(&inflate);
}

/* A megabyte of nothing is a kilobyte. */
BIDE_TEST(much_in_little_stops_at_the_room)
{
    struct bide__ws_deflate deflate = {.bits = 15, .level = 9, .memory = 8};
    struct bide__ws_inflate inflate = {.bits = 15};
    memset(text, 0, sizeof text);
    size_t n = pack(&deflate, text, sizeof text, sizeof text);
    BIDE_CHECK(n < 200);
    BIDE_CHECK_INT(inflate_pieces(&inflate, packed, n, n, 4096, back, 65536), -BIDE__WS_TOO_BIG);
    bide__ws_deflate_fini(&deflate);
    bide__ws_inflate_fini(&inflate);
}

BIDE_TEST(without_memory)
{
    for (unsigned long n = 1;; n++) {
        struct bide__ws_deflate deflate = {.bits = 12, .level = 6, .memory = 5};
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide__ws_deflate_prepare(&deflate);
        bool failed = fault_disarm();
        BIDE_CHECK_INT(rc, failed ? -ENOMEM : 0);
        bide__ws_deflate_fini(&deflate);
        if (!failed) {
            BIDE_CHECK(n > 3);
            break;
        }
    }
    for (unsigned long n = 1;; n++) {
        struct bide__ws_inflate inflate = {.bits = 12};
        fault_arm(FAULT_ALLOCATION, n, 0);
        int64_t rc = inflate_pieces(&inflate, "\xf2\x48\xcd\xc9\xc9\x07", 7, 7, 2, back,
                                    sizeof back);
        bool failed = fault_disarm();
        BIDE_CHECK_INT(rc, failed ? -ENOMEM : 5);
        bide__ws_inflate_fini(&inflate);
        if (!failed)
            break;
    }
}
