/*
 * Scenario: what servers say in Set-Cookie, and the requests that follow.
 * Claim: cookies are taken, kept and given as RFC 6265bis has it, in tables from its text.
 */
#include <bide/http_cookies.h>

#include "http/cookies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task_rig.h"

enum { NOW = 1700000000 };

static const char *cookies_for(bide_http_cookies *cookies, const char *url, int64_t now)
{
    static char text[8192];
    CHECK(bide_http_cookies_print(cookies, url, now, text, sizeof text) >= 0);
    return text;
}

static const struct {
    const char *url, *field, *asked, *expected;
} said[] = {
    {"http://example.org/", "a=b", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Path=/x", "http://example.org/", ""},
    {"http://example.org/", "a=b; Path=/x", "http://example.org/x", "a=b"},
    {"http://example.org/", "a=b; Path=/x", "http://example.org/x/y?z", "a=b"},
    {"http://example.org/", "a=b; Path=/x", "http://example.org/xy", ""},
    {"http://example.org/", "a=b; Path=/x/", "http://example.org/x", ""},
    {"http://example.org/", "a=b; Path=x", "http://example.org/", "a=b"},
    {"http://example.org/d/e", "a=b", "http://example.org/d/f", "a=b"},
    {"http://example.org/d/e", "a=b", "http://example.org/d", "a=b"},
    {"http://example.org/d/e", "a=b", "http://example.org/", ""},
    {"http://example.org/d", "a=b", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b", "http://www.example.org/", ""},
    {"http://www.example.org/", "a=b", "http://example.org/", ""},
    {"http://EXAMPLE.org/", "a=b", "http://example.ORG/", "a=b"},
    {"http://example.org/", "a=b; Secure", "http://example.org/", ""},
    {"http://example.org/", "a=b; Secure", "https://example.org/", ""},
    {"https://example.org/", "a=b; Secure", "https://example.org/", "a=b"},
    {"https://example.org/", "a=b; Secure", "http://example.org/", ""},
    {"https://example.org/", "a=b; secure=no", "http://example.org/", ""},
    {"http://example.org/", "  a  =  b  ;", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b=c", "http://example.org/", "a=b=c"},
    {"http://example.org/", "a=\"b\"", "http://example.org/", "a=\"b\""},
    {"http://example.org/", "a=", "http://example.org/", "a="},
    {"http://example.org/", "just", "http://example.org/", "just"},
    {"http://example.org/", "=b", "http://example.org/", "b"},
    {"http://example.org/", "=", "http://example.org/", ""},
    {"http://example.org/", "", "http://example.org/", ""},
    {"http://example.org/", "; Path=/", "http://example.org/", ""},
    {"http://example.org/", "a=b\001", "http://example.org/", ""},
    {"http://example.org/", "a=b\tc", "http://example.org/", "a=b\tc"},
    {"http://example.org/", "a=b; Max-Age=10", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Max-Age=0", "http://example.org/", ""},
    {"http://example.org/", "a=b; Max-Age=-1", "http://example.org/", ""},
    {"http://example.org/", "a=b; Max-Age=x", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Max-Age=0; Max-Age=5", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://example.org/",
     ""},
    {"http://example.org/", "a=b; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "http://example.org/",
     "a=b"},
    {"http://example.org/", "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9",
     "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Expires=nonsense", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Domain=other.org", "http://example.org/", ""},
    {"http://example.org/", "a=b; Domain=www.example.org", "http://www.example.org/", ""},
    {"http://example.org/", "a=b; Domain=xample.org", "http://example.org/", ""},
    {"http://example.org/", "a=b; Domain=", "http://example.org/", "a=b"},
    {"http://example.org/", "a=b; Domain=other.org; Domain=", "http://www.example.org/", ""},
    {"http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/", "a=b"},
    {"http://127.0.0.1/", "a=b; Domain=0.0.1", "http://127.0.0.1/", ""},
    {"http://127.0.0.1/", "a=b; Domain=.1", "http://127.0.0.1/", ""},
    {"http://[::1]/", "a=b", "http://[::1]/", "a=b"},
    {"http://localhost/", "a=b", "http://localhost/", "a=b"},
    {"http://example.org:81/", "a=b", "http://example.org:82/", "a=b"},
    {"https://example.org/", "__Secure-a=b; Secure", "https://example.org/", "__Secure-a=b"},
    {"https://example.org/", "__Secure-a=b", "https://example.org/", ""},
    {"https://example.org/", "__secure-a=b", "https://example.org/", ""},
    {"https://example.org/", "__Host-a=b; Secure; Path=/", "https://example.org/", "__Host-a=b"},
    {"https://example.org/", "__Host-a=b; Secure", "https://example.org/", ""},
    {"https://example.org/", "__Host-a=b; Path=/", "https://example.org/", ""},
    {"https://example.org/", "__Host-a=b; Secure; Path=/; Domain=example.org",
     "https://example.org/", ""},
    {"https://example.org/", "__Host-a=b; Secure; Path=/x", "https://example.org/x", ""},
    {"https://example.org/", "=__Host-a=b; Secure; Path=/", "https://example.org/", ""},
};

BIDE_TEST_EACH(said, one_cookie)
{
    bide_http_cookies *cookies;
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    int rc = bide_http_cookies_take(cookies, each->url, each->field, NOW);
    CHECK_INT(rc, (int)bide_http_cookies_count(cookies));
    CHECK_STR(cookies_for(cookies, each->asked, NOW), each->expected);
    bide_http_cookies_free(cookies);
}

/* With the list of public suffixes; without it they are for the very host. */
static const struct {
    const char *url, *domain, *asked;
    bool taken, wide;
} domains[] = {
    {"http://www.example.org/", "example.org", "http://example.org/", true, true},
    {"http://www.example.org/", ".example.org", "http://mail.example.org/", true, true},
    {"http://www.example.org/", "EXAMPLE.org", "http://example.org/", true, true},
    {"http://www.example.org/", "org", "http://example.org/", false, false},
    {"http://www.example.co.uk/", "co.uk", "http://other.co.uk/", false, false},
    {"http://www.example.co.uk/", "example.co.uk", "http://example.co.uk/", true, true},
    {"http://co.uk/", "co.uk", "http://other.co.uk/", true, false},
    {"http://a.b.example.org/", "b.example.org", "http://c.b.example.org/", true, true},
};

BIDE_TEST_EACH(domains, public_suffixes)
{
    bide_http_cookies *cookies;
    char field[128];
    bool knows = bide__cookie_knows_suffixes();
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    snprintf(field, sizeof field, "a=b; Domain=%s", each->domain);
    CHECK_INT(bide_http_cookies_take(cookies, each->url, field, NOW), knows ? each->taken : 1);
    CHECK_STR(cookies_for(cookies, each->asked, NOW), knows && each->wide ? "a=b" : "");
    CHECK_STR(cookies_for(cookies, each->url, NOW), !knows || each->taken ? "a=b" : "");
    bide_http_cookies_free(cookies);
}

BIDE_TEST(order_and_replacement)
{
    bide_http_cookies *cookies;
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    bide_http_cookies_take(cookies, "http://h/", "one=1", NOW);
    bide_http_cookies_take(cookies, "http://h/", "two=2; Path=/deep", NOW);
    bide_http_cookies_take(cookies, "http://h/", "three=3", NOW);
    bide_http_cookies_take(cookies, "http://h/", "four=4; Path=/deep", NOW);
    CHECK_STR(cookies_for(cookies, "http://h/deep", NOW), "two=2; four=4; one=1; three=3");
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "one=new", NOW), 1);
    CHECK_STR(cookies_for(cookies, "http://h/", NOW), "one=new; three=3");
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "one=; Max-Age=0", NOW), 1);
    CHECK_STR(cookies_for(cookies, "http://h/", NOW), "three=3");
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "one=; Max-Age=0", NOW), 0);
    CHECK_INT(bide_http_cookies_clear(cookies, "h"), 3);
    CHECK_STR(cookies_for(cookies, "http://h/", NOW), "");
    bide_http_cookies_free(cookies);
}

BIDE_TEST(time_passes)
{
    struct bide_http_cookie cookie;
    bide_http_cookies *cookies;
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    bide_http_cookies_take(cookies, "http://h/", "a=1; Max-Age=10", NOW);
    bide_http_cookies_take(cookies, "http://h/", "b=2", NOW);
    bide_http_cookies_take(cookies, "http://h/", "c=3; Max-Age=999999999999999999999", NOW);
    CHECK_INT(bide_http_cookies_at(cookies, 0, &cookie), 0);
    CHECK(cookie.expires == NOW + 10 && cookie.host_only);
    CHECK_INT(bide_http_cookies_at(cookies, 1, &cookie), 0);
    CHECK(cookie.expires == INT64_MAX);
    CHECK_INT(bide_http_cookies_at(cookies, 2, &cookie), 0);
    CHECK(cookie.expires == NOW + 400 * 86400);
    CHECK_STR(cookies_for(cookies, "http://h/", NOW + 9), "a=1; b=2; c=3");
    CHECK_STR(cookies_for(cookies, "http://h/", NOW + 10), "b=2; c=3");
    CHECK_INT((long long)bide_http_cookies_count(cookies), 2);
    CHECK_INT(bide_http_cookies_at(cookies, 2, &cookie), -EINVAL);
    bide_http_cookies_free(cookies);
}

/* What comes in clear leaves what is for https only alone. */
BIDE_TEST(secure_cookies_are_left_alone)
{
    bide_http_cookies *cookies;
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    CHECK_INT(bide_http_cookies_take(cookies, "https://h/", "a=safe; Secure", NOW), 1);
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "a=evil", NOW), 0);
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "a=evil; Path=/x", NOW), 0);
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", "b=good", NOW), 1);
    CHECK_STR(cookies_for(cookies, "https://h/", NOW), "a=safe; b=good");
    bide_http_cookies_free(cookies);
}

BIDE_TEST(limits)
{
    bide_http_cookies *cookies;
    static char field[5000];
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    memset(field, 'x', 4097);
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", field, NOW), 0);
    field[4096] = '\0';
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", field, NOW), 1);
    int n = sprintf(field, "a=b; Path=/");
    memset(field + n, 'x', 1024);
    field[n + 1024] = '\0';
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/d/e", field, NOW), 1);
    CHECK_MEM(cookies_for(cookies, "http://h/d", NOW), "a=b; x", 6); /* its path was ignored */
    bide_http_cookies_clear(cookies, NULL);
    for (int i = 0; i < 60; i++) {
        snprintf(field, sizeof field, "c%d=1", i);
        CHECK_INT(bide_http_cookies_take(cookies, "http://h/", field, NOW), 1);
    }
    CHECK_INT((long long)bide_http_cookies_count(cookies), 50);
    for (int i = 0; i < 3100; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://h%d/", i);
        CHECK_INT(bide_http_cookies_take(cookies, url, "a=b", NOW), 1);
    }
    CHECK_INT((long long)bide_http_cookies_count(cookies), 3000);
    bide_http_cookies_free(cookies);
}

static const struct {
    const char *text;
    int64_t seconds; /* -1: no date */
} dates[] = {
    {"Wed, 09 Jun 2021 10:18:14 GMT", 1623233894},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"6 nov 94 8:49:37", 784111777},
    {"08:49:37 1994 Nov 06", 784111777},
    {"1 Jan 70 0:0:0", 0},
    {"1 Jan 69 0:0:0", 3124224000},
    {"29 Feb 2024 00:00:00", 1709164800},
    {"29 Feb 2023 00:00:00", -1},
    {"31 Apr 2023 00:00:00", -1},
    {"1 Jan 1600 00:00:00", -1},
    {"1 Jan 2023 24:00:00", -1},
    {"1 Jan 2023 00:60:00", -1},
    {"1 Jan 2023 00:00:60", -1},
    {"1 Jan 2023", -1},
    {"00:00:00", -1},
    {"", -1},
    {"Tue, 99 Foo 2023 00:00:00", -1},
};

BIDE_TEST_EACH(dates, cookie_dates)
{
    int64_t seconds = -1;
    int rc = bide__cookie_date(each->text, strlen(each->text), &seconds);
    if ((each->seconds < 0) != (rc < 0) || (rc == 0 && seconds != each->seconds))
        FAIL("%s: %d, %lld", each->text, rc, (long long)seconds);
}

TASK_TEST(in_a_file)
{
    bide_http_cookies *cookies, *others;
    char path[] = "/tmp/bide-cookies-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    CHECK_INT(bide_http_cookies_new(&others), 0);
    bide_http_cookies_take(cookies, "https://h/", "a=1; Secure; HttpOnly; Max-Age=100", NOW);
    bide_http_cookies_take(cookies, "http://h/x/y", "b=2", NOW);
    bide_http_cookies_take(cookies, "http://h/", "c=3; Max-Age=5", NOW);
    CHECK_INT(bide_http_cookies_save(cookies, path), 0);
    CHECK_INT(bide_http_cookies_load(others, path, NOW + 50), 2);
    CHECK_STR(cookies_for(others, "https://h/x", NOW + 50), "b=2; a=1");
    struct bide_http_cookie cookie;
    CHECK_INT(bide_http_cookies_at(others, 0, &cookie), 0);
    CHECK(cookie.http_only && cookie.secure && cookie.host_only && cookie.expires == NOW + 100);
    CHECK_INT(bide_http_cookies_load(others, "/nowhere/at/all", NOW), -ENOENT);
    unlink(path);
    bide_http_cookies_free(cookies);
    bide_http_cookies_free(others);
}

BIDE_TEST(arguments)
{
    bide_http_cookies *cookies;
    CHECK_INT(bide_http_cookies_new(NULL), -EINVAL);
    CHECK_INT(bide_http_cookies_new(&cookies), 0);
    CHECK_INT(bide_http_cookies_take(cookies, "ftp://h/", "a=b", NOW), -EINVAL);
    CHECK_INT(bide_http_cookies_take(cookies, "http://", "a=b", NOW), -EINVAL);
    CHECK_INT(bide_http_cookies_take(cookies, "http://h/", NULL, NOW), -EINVAL);
    CHECK_INT(bide_http_cookies_print(cookies, "h", NOW, NULL, 0), -EINVAL);
    bide_http_cookies_free(cookies);
    bide_http_cookies_free(NULL);
}
