/*
 * Scenario: bytes as terminals send them, whole, cut in two at every place, one by one, and at
 * random.
 * Claim: they are the same keys however they are cut; nothing that is unknown, broken off or
 * invalid disturbs what comes behind it; inside of a paste there are no keys but characters.
 */
#include "codec/keys.h"

#include <stdio.h>
#include <string.h>

#include "codec/utf8.h"
#include "test.h"

static const struct {
    const char *bytes;
    const char *keys;
} cases[] = {
    {"a", "a"},
    {"aZ ~", "aZ ~"},
    {"\x01\r\n\x7f", "{1}{d}{a}{7f}"},
    {"\xc3\xa9", "\xc3\xa9"},
    {"\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x98\x80", "\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x98\x80"},
    {"a\xcc\x81", "a\xcc\x81"},
    /* invalid: a byte that begins nothing, one too few, overlong, surrogate, too high */
    {"\xff"
     "a",
     "\xef\xbf\xbd"
     "a"},
    {"\x80", "\xef\xbf\xbd"},
    {"\xe6\x97"
     "a",
     "\xef\xbf\xbd"
     "a"},
    {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf0\x9f\x98\xf0\x9f\x98\x80", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
    {"\xc3\x1b[A", "\xef\xbf\xbd<up>"},
    /* function keys, in the dialects of xterm, its application mode, rxvt, the console */
    {"\x1b[A\x1b[B\x1b[C\x1b[D", "<up><down><right><left>"},
    {"\x1bOA\x1bOB\x1bOC\x1bOD", "<up><down><right><left>"},
    {"\x1b[H\x1b[F\x1bOH\x1bOF", "<home><end><home><end>"},
    {"\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1b[3~", "<home><end><home><end><delete>"},
    {"\x1b[1;5D\x1b[1;5C\x1b[1;3D\x1b[1;2C", "<C-left><C-right><M-left><right>"},
    {"\x1b\x1b[D", "<M-left>"},
    {"\x1b[3;5~", "<C-delete>"},
    {"\x1b"
     "b\x1b"
     "F\x1b\x7f",
     "M-bM-FM-{7f}"},
    {"\x1b\xc3\xa9x", "M-\xc3\xa9x"},
    /* unknown ones, and such as were broken off */
    {"\x1b[2~\x1b[5~\x1b[15~\x1b[Z\x1bOP\x1b[I\x1b[200;1Xx", "x"},
    {"\x1b[[Ax", "x"},
    {"\x1b[<35;10;20Mx", "x"},
    {"\x1b[?62;22cx", "x"},
    {"\x1b[1;2;3;4;5;6;7;8Ax", "<up>x"},
    {"\x1b[99999999999999999999~x", "x"},
    {"\x1b]11;rgb:0000/0000/0000\x07x", "x"},
    {"\x1b]11;rgb:0000\x1b\\x", "x"},
    {"\x1bP1+r436f\x1b\\x", "x"},
    {"\x1b[1\x1b[Ax", "<up>x"},
    {"\x1b[1\rx", "x"},
    {"\x1b\x1b\x1b[Ax", "<M-up>x"},
    /* pastes */
    {"\x1b[200~a\rb\x1b[201~\r", "<paste>p:ap:{d}p:b<pasted>{d}"},
    {"\x1b[200~\x1b[A\x1b"
     "b\x01\xc3\xa9\x1b[201~",
     "<paste>p:bp:{1}p:\xc3\xa9<pasted>"},
    {"\x1b[200~\x1b[200~x\x1b[201~y", "<paste>p:x<pasted>y"},
    {"\x1b[201~x", "x"},
    {"\x1b[200~\x1b\x1b[201~x", "<paste><pasted>x"},
};

struct told {
    char text[512];
    size_t size;
};

static void tell(struct told *told, const char *text, size_t size)
{
    CHECK(told->size + size < sizeof told->text);
    memcpy(told->text + told->size, text, size);
    told->size += size;
    told->text[told->size] = '\0';
}

static void tell_key(struct told *told, const struct bide__key *key)
{
    static const char *const names[] = {"",    "up",     "down",   "right", "left",  "home",
                                        "end", "delete", "escape", "paste", "pasted"};
    char text[32];
    if (key->kind != BIDE__KEY_CHARACTER) {
        snprintf(text, sizeof text, "<%s%s%s>", key->alt ? "M-" : "", key->control ? "C-" : "",
                 names[key->kind]);
        tell(told, text, strlen(text));
        return;
    }
    CHECK(!(key->alt && key->pasted));
    if (key->alt || key->pasted)
        tell(told, key->alt ? "M-" : "p:", 2);
    if (key->character < 0x20 || key->character == 0x7f)
        tell(told, text, (size_t)snprintf(text, sizeof text, "{%x}", key->character));
    else
        tell(told, text, bide__utf8_encode(key->character, text));
}

static void take(struct bide__keys *keys, const char *bytes, size_t size, struct told *told)
{
    struct bide__key got[2];
    for (size_t i = 0; i < size; i++) {
        int n = bide__keys_take(keys, (unsigned char)bytes[i], got);
        CHECK_RANGE(n, 0, 2);
        for (int k = 0; k < n; k++)
            tell_key(told, &got[k]);
    }
}

BIDE_TEST(keys_of_many_terminals)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bide__keys keys = {0};
        struct told told = {.size = 0};
        take(&keys, cases[i].bytes, strlen(cases[i].bytes), &told);
        CHECK_STR(told.text, cases[i].keys);
        CHECK(!bide__keys_unfinished(&keys));
    }
}

/* One behind the other, so that each meets whatever state the one before has left. */
BIDE_TEST(no_case_disturbs_the_next)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            struct bide__keys keys = {0};
            struct told told = {.size = 0};
            char both[512];
            take(&keys, cases[i].bytes, strlen(cases[i].bytes), &told);
            take(&keys, cases[k].bytes, strlen(cases[k].bytes), &told);
            snprintf(both, sizeof both, "%s%s", cases[i].keys, cases[k].keys);
            CHECK_STR(told.text, both);
        }
    }
}

BIDE_TEST(an_escape_that_stays_alone_is_a_key)
{
    struct bide__keys keys = {0};
    struct bide__key key;
    struct told told = {.size = 0};
    take(&keys, "\x1b", 1, &told);
    CHECK(bide__keys_unfinished(&keys));
    CHECK_INT(bide__keys_expire(&keys, &key), 1);
    tell_key(&told, &key);
    take(&keys, "[A", 2, &told);
    CHECK_STR(told.text, "<escape>[A");
}

BIDE_TEST(what_is_not_finished_in_time_is_dropped_or_replaced)
{
    static const struct {
        const char *bytes, *keys;
    } unfinished[] = {
        {"\x1b[", ""},
        {"\x1b[1;5", ""},
        {"\x1bO", ""},
        {"\x1b]0;title", ""},
        {"\x1b]0;t\x1b", ""},
        {"\xe6\x97", "\xef\xbf\xbd"},
        {"\x1b\xc3", "M-\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++) {
        struct bide__keys keys = {0};
        struct bide__key key;
        struct told told = {.size = 0};
        take(&keys, unfinished[i].bytes, strlen(unfinished[i].bytes), &told);
        CHECK(bide__keys_unfinished(&keys));
        if (bide__keys_expire(&keys, &key) > 0)
            tell_key(&told, &key);
        CHECK_STR(told.text, unfinished[i].keys);
        CHECK(!bide__keys_unfinished(&keys));
        take(&keys, "x", 1, &told);
        CHECK(told.text[told.size - 1] == 'x');
    }
}

BIDE_TEST(a_sequence_that_never_ends_is_given_up)
{
    struct bide__keys keys = {0};
    struct told told = {.size = 0};
    char endless[2000];
    memset(endless, '1', sizeof endless);
    take(&keys, "\x1b[", 2, &told);
    take(&keys, endless, 1020, &told);
    CHECK_INT(told.size, 0);
    for (int i = 0; i < 20 && told.size == 0; i++)
        take(&keys, endless, 1, &told);
    CHECK_STR(told.text, "1");
}

/* Bytes that sequences are made of come more often than chance would have it. */
static char random_byte(uint64_t *seed)
{
    static const char likely[] = "\x1b\x1b\x1b[[O;~0123456789ABCDHF]\x07\\\xc3\xa9\xe6\x97\xa5\xf0";
    uint64_t n = bide_test_random(seed);
    return n % 3 ? likely[(n >> 8) % (sizeof likely - 1)] : (char)(n >> 8);
}

BIDE_TEST(bytes_at_random_leave_nothing_behind_that_a_pause_does_not_end)
{
    uint64_t seed = bide_test_seed();
    int rounds = test_long() ? 1000000 : 20000;
    for (int i = 0; i < rounds; i++) {
        struct bide__keys keys = {0};
        struct bide__key got[2];
        for (int n = (int)(bide_test_random(&seed) % 40); n > 0; n--) {
            int count = bide__keys_take(&keys, (unsigned char)random_byte(&seed), got);
            CHECK_RANGE(count, 0, 2);
            for (int k = 0; k < count; k++) {
                CHECK(got[k].kind <= BIDE__KEY_PASTE_END);
                CHECK(got[k].character <= 0x10ffff);
            }
        }
        struct told told = {.size = 0};
        CHECK_RANGE(bide__keys_expire(&keys, got), 0, 1);
        take(&keys, "\x1b[201~\x1b[Ax", 10, &told);
        CHECK_STR(told.text + (told.size - 5), "<up>x");
    }
}
