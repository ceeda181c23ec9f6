/*
 * Scenario: keys, as bytes, for a line that is being edited, with a history and without; and what
 * is drawn of it.
 * Claim: the line and the cursor are where a user of readline expects them; clusters stay whole;
 * whatever is typed, the text is valid and within its limit, the row within the screen; a key that
 * lacks memory changes nothing.
 */
#include "io/terminal/line_edit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/utf8.h"
#include "codec/width.h"
#include "fault.h"
#include "io/terminal/line_view.h"
#include "test.h"

#define UP "\x1b[A"
#define DOWN "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT "\x1b[D"
#define HOME "\x1b[H"
#define END "\x1b[F"
#define DELETE "\x1b[3~"
#define PASTE(text) "\x1b[200~" text "\x1b[201~"
#define E_ACUTE "e\xcc\x81"                                   /* e and a combining accent */
#define SUN "\xe6\x97\xa5"                                    /* two columns */
#define FAMILY "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7" /* two people, joined */
#define FLAG "\xf0\x9f\x87\xab\xf0\x9f\x87\xb7"
#define THUMB "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd" /* and its colour */

/* Keys and where they lead; the bar is the cursor. */
static const struct {
    const char *keys;
    const char *line;
} cases[] = {
    {"abc", "abc|"},
    {"abc" LEFT LEFT "x", "ax|bc"},
    {"abc" HOME "x" END "y", "xabcy|"},
    {"abc\x01x\x05y", "xabcy|"},
    {"abc\x02\x02x\x06y", "axby|c"},
    {"abc" LEFT LEFT LEFT LEFT LEFT "x", "x|abc"},
    {"abc" RIGHT "x", "abcx|"},
    {"abc\x7f", "ab|"},
    {"abc" LEFT "\x08", "a|c"},
    {"abc" HOME DELETE, "|bc"},
    {"abc" HOME "\x04", "|bc"},
    {"abc" DELETE, "abc|"},
    {"abc\x01\x7f", "|abc"},
    {"abc def\x01\x06\x0b", "a|"},
    {"abc def" LEFT LEFT "\x15", "|ef"},
    {"abc def  \x17", "abc |"},
    {"a-b.c d-e.f\x17", "a-b.c |"},
    {"abc def\x17\x17\x19", "abc def|"},
    {"abc def\x17\x01\x19", "def|abc "},
    {"abc def\x17\x02x\x17\x19", "abcx| "},
    {"abcd\x01\x06\x0b\x15\x19", "abcd|"},
    {"one two three\x1b"
     "b\x1b"
     "bx",
     "one x|two three"},
    {"one two three\x01\x1b"
     "f\x1b"
     "fx",
     "one twox| three"},
    {"one two\x01\x1b"
     "d\x1b"
     "d\x19",
     "one two|"},
    {"one two\x1b\x7f", "one |"},
    {"one two\x1b[1;5Dx", "one x|two"},
    {"one two\x01\x1b[1;3Cx", "onex| two"},
    {"abc\x14", "acb|"},
    {"abc" LEFT "\x14", "acb|"},
    {"abc" LEFT LEFT "\x14", "ba|c"},
    {"a\x14", "a|"},
    {"a" E_ACUTE "\x14", E_ACUTE "a|"},
    {"\x19", "|"},
    {"a\t\x07\x1b"
     "z\x1b[5~"
     "b",
     "ab|"},
    {"\xff", "\xef\xbf\xbd|"},
    /* clusters */
    {"a" E_ACUTE LEFT "x", "ax|" E_ACUTE},
    {"a" E_ACUTE "\x7f", "a|"},
    {SUN SUN LEFT "\x7f", "|" SUN},
    {"x" FAMILY "\x7f", "x|"},
    {FAMILY LEFT "x", "x|" FAMILY},
    {FLAG FLAG LEFT "x", FLAG "x|" FLAG},
    {THUMB "\x7f", "|"},
    {"ab\xcc\x81" LEFT LEFT DELETE, "|b\xcc\x81"},
    {"\xcc\x81"
     "a",
     "\xcc\x81"
     "a|"},
    {"ab" LEFT "\xcc\x81", "a\xcc\x81|b"},
    /* what comes together belongs together */
    {"a"
     "b"
     "\xcc\x81" LEFT "\x7f",
     "|b\xcc\x81"},
    /* pastes */
    {PASTE("one two"), "one two|"},
    {"a" PASTE("1\r\n2\r3\n4") "b", "a1\n2\n3\n4b|"},
    {PASTE("1\r\n\r\n2"), "1\n\n2|"},
    {PASTE("a\tb\x01\x7f\x1b[A\x1b]0;x\x07"
           "c\xc2\x85"
           "d"),
     "a\tbcd|"},
    {PASTE("1\r") PASTE("\n2"), "1\n\n2|"},
    {PASTE("1\r") "x" PASTE("\n2"), "1\nx\n2|"},
    /* the history: one, two, three */
    {UP, "three|"},
    {UP UP, "two|"},
    {UP UP UP UP UP, "one|"},
    {UP UP DOWN, "three|"},
    {"new" UP DOWN, "new|"},
    {"new" UP UP DOWN DOWN DOWN, "new|"},
    {UP "x" UP DOWN, "three|"},
    {"\x10\x10\x0e", "three|"},
    {"\x12t", "three|"},
    {"\x12tw", "two|"},
    {"\x12t\x12", "two|"},
    {"\x12o\x12", "one|"},
    {"\x12o\x12\x12\x12", "one|"},
    {"new\x12t\x07x", "newx|"},
    {"new\x12zx", "new|"},
    {"\x12two" LEFT "x", "twx|o"},
    {"\x12on\x7f\x7f\x7fthr\x05!", "three!|"},
    {"\x12one" DOWN, "two|"},
};

static struct bide__line_edit edit;
static struct bide__keys keys;

static void begin(void)
{
    memset(&keys, 0, sizeof keys);
    bide__line_edit_init(&edit, 64, 3);
    bide__line_edit_begin(&edit);
}

static void begin_with_history(void)
{
    begin();
    CHECK_INT(bide__history_add(&edit, "one", 3), 0);
    CHECK_INT(bide__history_add(&edit, "two", 3), 0);
    CHECK_INT(bide__history_add(&edit, "three", 5), 0);
}

/* The last thing that something came of. */
static int type(const char *bytes, size_t size)
{
    struct bide__key got[2];
    int rc = BIDE__EDITED_NOTHING;
    for (size_t i = 0; i < size; i++) {
        int n = bide__keys_take(&keys, (unsigned char)bytes[i], got);
        for (int k = 0; k < n; k++) {
            rc = bide__line_edit_key(&edit, &got[k]);
            if (rc < 0 || rc >= BIDE__EDITED_ENTERED)
                return rc;
        }
    }
    return rc;
}

static const char *line(void)
{
    static char text[256];
    snprintf(text, sizeof text, "%.*s|%.*s", (int)edit.cursor, edit.text.data ? edit.text.data : "",
             (int)(edit.text.size - edit.cursor),
             edit.text.data ? edit.text.data + edit.cursor : "");
    return text;
}

BIDE_TEST(keys_lead_where_they_should)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_with_history();
        type(cases[i].keys, strlen(cases[i].keys));
        if (strcmp(line(), cases[i].line) != 0)
            FAIL("case %zu: %s, not %s", i, line(), cases[i].line);
        bide__line_edit_fini(&edit);
    }
}

BIDE_TEST(the_keys_that_end_a_line)
{
    begin();
    CHECK_INT(type("\x04", 1), BIDE__EDITED_END);
    CHECK_INT(type("\x03", 1), BIDE__EDITED_INTERRUPT);
    CHECK_INT(type("\x0c", 1), BIDE__EDITED_CLEAR);
    CHECK_INT(type("a\x01\x04\x04", 4), BIDE__EDITED_END);
    CHECK_INT(type("a\r", 2), BIDE__EDITED_ENTERED);
    CHECK_INT(type("\n", 1), BIDE__EDITED_ENTERED);
    CHECK_INT(type("\x12"
                   "a\r",
                   3),
              BIDE__EDITED_ENTERED);
    bide__line_edit_fini(&edit);
}

static void enter(const char *text)
{
    bide__line_edit_begin(&edit);
    type(text, strlen(text));
    bide__line_edit_enter(&edit);
}

BIDE_TEST(the_history_keeps_the_newest_without_repetitions)
{
    begin();
    const char *lines[] = {"a", "b", "b", "", "b", "c", "b", "d", "d"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        enter(lines[i]);
    CHECK_INT(edit.history.n, 3);
    CHECK_STR(edit.history.lines[0], "c");
    CHECK_STR(edit.history.lines[1], "b");
    CHECK_STR(edit.history.lines[2], "d");
    bide__line_edit_begin(&edit);
    type(UP UP "x", 7);
    CHECK_STR(line(), "bx|");
    bide__line_edit_enter(&edit);
    CHECK_STR(edit.history.lines[2], "bx");
    CHECK_STR(edit.history.lines[0], "b"); /* the one that was looked at is as it was */
    bide__line_edit_begin(&edit);
    CHECK_STR(line(), "|");
    bide__line_edit_fini(&edit);
    bide__line_edit_init(&edit, 64, 0);
    enter("a");
    bide__line_edit_begin(&edit);
    CHECK_INT(type(UP, 3), BIDE__EDITED_BELL);
    bide__line_edit_fini(&edit);
}

/* While an older line is shown, others may add to the history. */
BIDE_TEST(the_history_grows_under_who_looks_at_it)
{
    begin_with_history();
    type("new" UP UP, 9);
    CHECK_STR(line(), "two|");
    CHECK_INT(bide__history_add(&edit, "four", 4), 0);
    type(DOWN, 3);
    CHECK_STR(line(), "three|");
    type(DOWN DOWN DOWN, 9);
    CHECK_STR(line(), "new|");
    bide__line_edit_fini(&edit);
}

BIDE_TEST(a_line_that_goes_on_keeps_text_and_cursor)
{
    begin();
    type("abc" LEFT, 6);
    bide__line_edit_begin(&edit);
    type("x", 1);
    CHECK_STR(line(), "abx|c");
    bide__line_edit_fini(&edit);
}

BIDE_TEST(no_more_than_the_limit_is_taken)
{
    begin();
    for (int i = 0; i < 64; i++)
        CHECK_INT(type("a", 1), BIDE__EDITED_CHANGE);
    CHECK_INT(type("b", 1), BIDE__EDITED_BELL);
    CHECK_INT(type("\x7f\xc3\xa9", 3), BIDE__EDITED_BELL);
    CHECK_INT(edit.text.size, 63);
    CHECK_INT(bide__line_edit_insert(&edit, "bc", 2), BIDE__EDITED_BELL);
    CHECK_INT(edit.text.size, 64);
    type("\x15\x19\x19", 3);
    CHECK_INT(edit.text.size, 64);
    bide__line_edit_fini(&edit);
}

static bool is_valid(const struct bide__text *text)
{
    uint32_t character;
    for (size_t at = 0, length; at < text->size; at += length) {
        length = bide__utf8_decode(text->data + at, text->size - at, &character);
        if (length == 0 || (character < 0x20 && character != '\n' && character != '\t'))
            return false;
        if (character == BIDE__UTF8_REPLACEMENT && length != 3)
            return false;
    }
    return true;
}

static bool is_boundary(size_t cursor)
{
    for (size_t at = 0; at < edit.text.size;
         at = bide__cluster_end(edit.text.data, edit.text.size, at))
        if (at == cursor)
            return true;
    return cursor == edit.text.size;
}

/* Widths on a screen that knows what we know. Fails if anything stands where it should not. */
static void check_row(const struct bide__text *drawn, unsigned columns)
{
    unsigned column = 0, max = 0;
    for (size_t at = 0; at < drawn->size;) {
        uint32_t character;
        size_t length = bide__utf8_decode(drawn->data + at, drawn->size - at, &character);
        CHECK(length > 0);
        at += length;
        if (character == '\r') {
            column = 0;
        } else if (character == 0x1b) {
            CHECK(drawn->data[at] == '[');
            unsigned n = (unsigned)strtoul(drawn->data + at + 1, NULL, 10);
            at += strcspn(drawn->data + at, "AJC");
            if (drawn->data[at] == 'C')
                column += n;
            CHECK(drawn->data[at] != 'A');
            at++;
        } else {
            CHECK(character >= 0x20 && character != 0x7f);
            column += bide__width(character);
        }
        max = column > max ? column : max;
    }
    CHECK_RANGE(max, 0, columns > 2 ? columns - 1 : columns + 1);
}

static void check_drawing(unsigned columns)
{
    struct bide__line_view view = {0};
    struct bide__text out = {0};
    struct bide__text prompt = {0};
    CHECK_INT(bide__text_add(&prompt, "> ", 2), 0);
    CHECK_INT(bide__line_view_draw(&view, &edit, &prompt, columns, &out), 0);
    bide__text_string(&out);
    check_row(&out, columns);
    bide__text_fini(&out);
    bide__text_fini(&prompt);
}

static const char *const pieces[] = {
    "a",
    "b",
    " ",
    "\xc3\xa9",
    E_ACUTE,
    SUN,
    FAMILY,
    FLAG,
    THUMB,
    "\xcc\x81",
    LEFT,
    RIGHT,
    HOME,
    END,
    UP,
    DOWN,
    DELETE,
    "\x7f",
    "\x14",
    "\x17",
    "\x15",
    "\x0b",
    "\x19",
    "\x12",
    "\x07",
    "\x1b\x62",
    "\x1b\x66",
    "\x1b\x64",
    "\xff",
    "\xe2\x80\x8d",
    PASTE("1\r\n\t2\x01"),
    "\x1b[200~",
    "\x1b[201~",
};

BIDE_TEST(whatever_is_typed_the_line_stays_sound)
{
    uint64_t seed = bide_test_seed();
    int rounds = test_long() ? 200000 : 3000;
    for (int i = 0; i < rounds; i++) {
        begin_with_history();
        for (int n = (int)(bide_test_random(&seed) % 60); n > 0; n--) {
            uint64_t pick = bide_test_random(&seed);
            const char *piece = pieces[pick % (sizeof pieces / sizeof *pieces)];
            char byte = (char)(pick >> 32);
            if (pick >> 60 == 0)
                type(&byte, 1);
            else
                type(piece, strlen(piece));
            CHECK(edit.text.size <= edit.bytes_max);
            CHECK(is_valid(&edit.text));
            CHECK(is_boundary(edit.cursor));
        }
        check_drawing(3 + (unsigned)(bide_test_random(&seed) % 40));
        bide__line_edit_fini(&edit);
    }
}

BIDE_TEST(without_memory_a_key_changes_nothing)
{
    const char *const keys_that_need_it[] = {"a", UP, "\x17", "\x12", PASTE("x")};
    for (size_t i = 0; i < sizeof keys_that_need_it / sizeof *keys_that_need_it; i++) {
        begin_with_history();
        for (int k = 0; k < 63 && i > 0; k++)
            type("a", 1);
        for (int k = 0; k < 63 && i == 0; k++) /* just before it has to grow */
            type("b", 1);
        char before[256];
        snprintf(before, sizeof before, "%s", line());
        fault_arm(FAULT_ALLOCATION, 1, 0);
        int rc = type(keys_that_need_it[i], strlen(keys_that_need_it[i]));
        bool hit = fault_disarm();
        if (hit) {
            CHECK_INT(rc, -ENOMEM);
            CHECK_STR(line(), before);
        }
        CHECK(hit || i == 0 || i == 4);
        type("\x7f"
             "c",
             2);
        CHECK(edit.text.size > 0 && edit.text.data[edit.text.size - 1] == 'c');
        bide__line_edit_fini(&edit);
    }
}

/* Drawing */

static const char *draw(struct bide__line_view *view, const char *prompt_text, unsigned columns)
{
    static char shown[512];
    struct bide__text out = {0}, prompt = {0};
    CHECK_INT(bide__text_add(&prompt, prompt_text, strlen(prompt_text)), 0);
    CHECK_INT(bide__line_view_draw(view, &edit, &prompt, columns, &out), 0);
    snprintf(shown, sizeof shown, "%.*s", (int)out.size, out.data);
    bide__text_fini(&out);
    bide__text_fini(&prompt);
    return shown;
}

BIDE_TEST(a_line_that_fits_is_drawn_whole)
{
    struct bide__line_view view = {0};
    begin();
    CHECK_STR(draw(&view, "", 20), "\r\x1b[J\r");
    CHECK_STR(draw(&view, "> ", 20), "\r> \x1b[J\r\x1b[2C");
    type("abc" LEFT, 6);
    CHECK_STR(draw(&view, "> ", 20), "\r> abc\x1b[J\r\x1b[4C");
    type("\x05\x15" SUN E_ACUTE, 8);
    CHECK_STR(draw(&view, "> ", 20), "\r> " SUN E_ACUTE "\x1b[J\r\x1b[5C");
    type("\x15" PASTE("1\n\t2"), 1 + 12 + 4);
    CHECK_STR(draw(&view, "> ", 20), "\r> 1\xe2\x90\xa4\xe2\x90\x89"
                                     "2\x1b[J\r\x1b[6C");
    bide__line_edit_fini(&edit);
}

BIDE_TEST(a_longer_line_is_drawn_around_the_cursor)
{
    struct bide__line_view view = {0};
    begin();
    type("abcdefghijklmnopqrstuvwxyz", 26);
    CHECK_STR(draw(&view, "> ", 14), "\r> <rstuvwxyz\x1b[J\r\x1b[12C");
    type("\x02\x02", 2); /* no need to move the text */
    CHECK_STR(draw(&view, "> ", 14), "\r> <rstuvwxyz\x1b[J\r\x1b[10C");
    type("\x01", 1);
    CHECK_STR(draw(&view, "> ", 14), "\r>  abcdefghi>\x1b[J\r\x1b[3C");
    type("\x1b"
         "f\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02",
         14);
    CHECK_STR(draw(&view, "> ", 14), "\r> <klmnopqrs>\x1b[J\r\x1b[7C");
    /* a prompt for which there is no room */
    type("\x05", 1);
    CHECK_STR(draw(&view, "a long prompt> ", 14), "\r<pqrstuvwxyz\x1b[J\r\x1b[12C");
    bide__line_edit_fini(&edit);
}

BIDE_TEST(a_wide_character_at_the_edge_is_not_cut)
{
    struct bide__line_view view = {0};
    begin();
    for (int i = 0; i < 12; i++)
        type(SUN, 3);
    CHECK_STR(draw(&view, "", 12), "\r< " SUN SUN SUN SUN "\x1b[J\r\x1b[10C");
    bide__line_edit_fini(&edit);
}

BIDE_TEST(a_search_has_a_prompt_of_its_own)
{
    struct bide__line_view view = {0};
    begin_with_history();
    type("\x12tw", 3);
    CHECK_STR(draw(&view, "> ", 40), "\r(search 'tw') two\x1b[J\r\x1b[17C");
    type("\x05", 1);
    CHECK_STR(draw(&view, "> ", 40), "\r> two\x1b[J\r\x1b[5C");
    bide__line_edit_fini(&edit);
}

/* The terminal has broken the row into three. */
BIDE_TEST(a_row_that_became_too_long_is_taken_off_whole)
{
    struct bide__line_view view = {0};
    struct bide__text out = {0};
    begin();
    type("abcdefghijklmnopqrstuvwxyz", 26);
    draw(&view, "> ", 80);
    CHECK_INT(bide__line_view_erase(&view, 10, &out), 0);
    CHECK_STR(bide__text_string(&out), "\r\x1b[2A\x1b[J");
    out.size = 0;
    CHECK_INT(bide__line_view_erase(&view, 10, &out), 0); /* nothing is there any more */
    CHECK_INT(out.size, 0);
    bide__text_fini(&out);
    bide__line_edit_fini(&edit);
}

BIDE_TEST(columns_of_characters)
{
    static const struct {
        uint32_t character;
        unsigned width;
    } widths[] = {{'a', 1},    {0xe9, 1},   {0x301, 0},  {0x200d, 0}, {0x200b, 0},
                  {0x65e5, 2}, {0xac00, 2}, {0xff21, 2}, {0xff71, 1}, {0x1f600, 2},
                  {0xfffd, 1}, {0x2424, 1}, {0xe000, 1}, {0xfe0f, 0}, {0x20ac, 1}};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        CHECK_INT(bide__width(widths[i].character), widths[i].width);
    CHECK_INT(bide__text_width("a" SUN E_ACUTE, 7), 4);
    CHECK_INT(bide__text_width("a\xe6", 2), 2);
}

BIDE_TEST(decoding_and_encoding_are_inverse)
{
    char bytes[BIDE__UTF8_BYTES_MAX];
    uint32_t again;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        size_t length = bide__utf8_encode(c, bytes);
        CHECK_INT(bide__utf8_decode(bytes, length, &again), length);
        bool is_none = c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);
        CHECK_INT(again, is_none ? BIDE__UTF8_REPLACEMENT : c);
        if (!is_none && length > 1)
            CHECK_INT(bide__utf8_decode(bytes, length - 1, &again), 0);
    }
}
