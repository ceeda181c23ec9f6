/*
 * Header fields, dates, names. Scenario: lists that grow, shrink and meet their limits, with memory
 * that runs out; dates in every form, right and wrong.
 * Claim: a list is in the order in which it was made and holds nothing that could end a line; a
 * date that is printed is read as the same moment.
 */
#include <bide/http.h>
#include <bide/test.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "http/fields.h"

static void check_written(const bide_http_fields *fields, const char *expected)
{
    char *text = malloc(fields->n_bytes + 1);
    char *end = bide__http_fields_write(fields, text);
    BIDE_CHECK_INT(end - text, fields->n_bytes);
    *end = '\0';
    BIDE_CHECK_STR(text, expected);
    free(text);
}

BIDE_TEST(fields_keep_their_order)
{
    bide_http_fields *fields;
    size_t n;
    BIDE_CHECK_INT(bide_http_fields_new(&fields), 0);
    BIDE_CHECK(!bide_http_fields_all(fields, &n));
    BIDE_CHECK_INT(n, 0);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "A", "1"), 0);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "b", " \t2 2\t"), 0);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "a", ""), 0);
    check_written(fields, "A: 1\r\nb: 2 2\r\na: \r\n");
    BIDE_CHECK_STR(bide_http_fields_get(fields, "B"), "2 2");
    BIDE_CHECK_STR(bide_http_fields_get(fields, "a"), "1");
    BIDE_CHECK(!bide_http_fields_get(fields, "c"));
    BIDE_CHECK_INT(bide_http_fields_set(fields, "a", "3"), 0);
    check_written(fields, "b: 2 2\r\na: 3\r\n");
    BIDE_CHECK(bide_http_fields_all(fields, &n));
    BIDE_CHECK_INT(n, 2);
    BIDE_CHECK_INT(bide_http_fields_remove(fields, "B"), 1);
    BIDE_CHECK_INT(bide_http_fields_remove(fields, "B"), 0);
    check_written(fields, "a: 3\r\n");
    bide_http_fields_free(fields);
    bide_http_fields_free(NULL);
}

BIDE_TEST(nothing_ends_a_line_before_its_time)
{
    static const char *const names[] = {"", "a b", "a:", "a\r\nb", "\xc3\xa4", "(a)"};
    static const char *const values[] = {"a\r\nb: c", "a\nb", "a\rb", "\x01", "\x7f"};
    bide_http_fields *fields;
    BIDE_CHECK_INT(bide_http_fields_new(&fields), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        BIDE_CHECK_INT(bide_http_fields_add(fields, names[i], "x"), -EINVAL);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        BIDE_CHECK_INT(bide_http_fields_set(fields, "a", values[i]), -EINVAL);
    BIDE_CHECK_INT(bide_http_fields_add(NULL, "a", "b"), -EINVAL);
    BIDE_CHECK_INT(bide_http_fields_add(fields, NULL, "b"), -EINVAL);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "a", NULL), -EINVAL);
    BIDE_CHECK_INT(bide_http_fields_remove(fields, NULL), -EINVAL);
    BIDE_CHECK_INT(bide_http_fields_new(NULL), -EINVAL);
    BIDE_CHECK(!bide_http_fields_get(NULL, "a"));
    char large[40000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    BIDE_CHECK_INT(bide_http_fields_add(fields, "a", large), 0);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "b", large), -E2BIG);
    BIDE_CHECK_INT(bide_http_fields_remove(fields, "a"), 1);
    BIDE_CHECK_INT(bide_http_fields_add(fields, "b", large), 0);
    bide_http_fields_free(fields);
}

BIDE_TEST(without_memory_a_list_stays_as_it_was)
{
    for (unsigned long nth = 1;; nth++) {
        bide_http_fields *fields = NULL;
        fault_arm(FAULT_ALLOCATION, nth, 0);
        int rc = bide_http_fields_new(&fields);
        for (int i = 0; i < 20 && rc == 0; i++)
            rc = bide_http_fields_set(fields, i % 2 ? "a" : "b", "c");
        for (int i = 0; i < 20 && rc == 0; i++)
            rc = bide_http_fields_add(fields, "d", "e");
        bool has_failed = fault_disarm();
        BIDE_CHECK_INT(rc, has_failed ? -ENOMEM : 0);
        if (fields)
            BIDE_CHECK_INT(fields->n_bytes, 6 * fields->n);
        bide_http_fields_free(fields);
        if (!has_failed)
            break;
        BIDE_CHECK(nth < 1000);
    }
}

BIDE_TEST(lists_in_values)
{
    BIDE_CHECK(bide_http_list_has("a, Keep-Alive ,b", "keep-alive"));
    BIDE_CHECK(bide_http_list_has("a", "a"));
    BIDE_CHECK(bide_http_list_has(",, a", "a"));
    BIDE_CHECK(!bide_http_list_has("keep-alive-x", "keep-alive"));
    BIDE_CHECK(!bide_http_list_has("a b", "a"));
    BIDE_CHECK(!bide_http_list_has("", "a"));
    BIDE_CHECK(!bide_http_list_has(NULL, "a"));
    BIDE_CHECK(!bide_http_list_has(",", ""));
}

static const struct {
    const char *text;
    int64_t seconds; /* -1: no date */
} dates[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Sat, 29 Feb 2020 12:00:00 GMT", 1582977600},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
    {"Sunday, 06-Nov-70 08:49:37 GMT", 3182489377},
    {"Sunday, 06-Nov-77 08:49:37 GMT", 247654177},
    {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
    {"Sun, 06 Nov 1994 08:49:37", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
    {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 nov 1994 08:49:37 GMT", -1},
    {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 29 Feb 2021 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
    {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
    {"Sun, 06 Nov 1994 8:49:37 GMT", -1},
    {"Xxx, 06 Nov 1994 08:49:37 GMT", -1},
    {"Sun Nov 6 08:49:37 1994", -1},
    {"Sunday, 06-Nov-1994 08:49:37 GMT", -1},
    {"", -1},
    {"0", -1},
};

BIDE_TEST(dates_are_read_in_three_forms)
{
    int64_t now = 1790000000, seconds; /* in 2026 */
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        seconds = -1;
        int rc = bide_http_date_parse(dates[i].text, now, &seconds);
        BIDE_CHECK_INT(rc, dates[i].seconds < 0 ? -EINVAL : 0);
        BIDE_CHECK_INT(seconds, dates[i].seconds);
    }
    BIDE_CHECK_INT(bide_http_date_parse(NULL, now, &seconds), -EINVAL);
    BIDE_CHECK_INT(bide_http_date_parse("", now, NULL), -EINVAL);
}

BIDE_TEST(dates_are_printed_in_one)
{
    char text[BIDE_HTTP_DATE_SIZE];
    bide_http_date_print(784111777, text);
    BIDE_CHECK_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    bide_http_date_print(-1, text);
    BIDE_CHECK_STR(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    bide_http_date_print(INT64_MAX, text);
    BIDE_CHECK_STR(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    for (int64_t at = 0; at < INT64_C(253402300799); at += 86400 * 97 + 12345) {
        int64_t again;
        bide_http_date_print(at, text);
        BIDE_CHECK_INT(bide_http_date_parse(text, 0, &again), 0);
        BIDE_CHECK_INT(again, at);
    }
}

BIDE_TEST(names)
{
    BIDE_CHECK_STR(bide_http_reason(200), "OK");
    BIDE_CHECK_STR(bide_http_reason(100), "Continue");
    BIDE_CHECK_STR(bide_http_reason(511), "Network Authentication Required");
    BIDE_CHECK_STR(bide_http_reason(418), "");
    BIDE_CHECK_STR(bide_http_reason(0), "");
    BIDE_CHECK_STR(bide_http_media_type("a/b.HTML"), "text/html; charset=utf-8");
    BIDE_CHECK_STR(bide_http_media_type("a.tar.gz"), "application/gzip");
    BIDE_CHECK_STR(bide_http_media_type("a.png/b"), "application/octet-stream");
    BIDE_CHECK_STR(bide_http_media_type("README"), "application/octet-stream");
    BIDE_CHECK_STR(bide_http_media_type(NULL), "application/octet-stream");
}
