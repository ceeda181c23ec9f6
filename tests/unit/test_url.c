/*
 * URLs. Scenario: the examples of RFC 3986, URLs as programs meet them, texts that are none, and
 * random bytes. Claim: each is taken apart as the RFC says or refused at its first wrong byte; what
 * is printed is taken apart again into the same, whatever it was made of.
 */
#include <bide/test.h>
#include <bide/url.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 512 };

static struct bide_url parsed(const char *text)
{
    struct bide_url url;
    BIDE_CHECK_INT(bide_url_parse(text, strlen(text), &url, NULL), 0);
    return url;
}

static void check_part(struct bide_url_part part, const char *expected)
{
    BIDE_CHECK(!part.data == !expected);
    if (!expected)
        return;
    BIDE_CHECK_INT(part.size, strlen(expected));
    BIDE_CHECK(memcmp(part.data, expected, part.size) == 0);
}

static const struct split {
    const char *text, *scheme, *user, *host, *port, *path, *query, *fragment;
} splits[] = {
    {"foo://example.com:8042/over/there?name=ferret#nose", "foo", NULL, "example.com", "8042",
     "/over/there", "name=ferret", "nose"},
    {"urn:example:animal:ferret:nose", "urn", NULL, NULL, NULL, "example:animal:ferret:nose", NULL,
     NULL},
    {"ftp://ftp.is.co.za/rfc/rfc1808.txt", "ftp", NULL, "ftp.is.co.za", NULL, "/rfc/rfc1808.txt",
     NULL, NULL},
    {"ldap://[2001:db8::7]/c=GB?objectClass?one", "ldap", NULL, "2001:db8::7", NULL, "/c=GB",
     "objectClass?one", NULL},
    {"mailto:John.Doe@example.com", "mailto", NULL, NULL, NULL, "John.Doe@example.com", NULL, NULL},
    {"tel:+1-816-555-1212", "tel", NULL, NULL, NULL, "+1-816-555-1212", NULL, NULL},
    {"telnet://192.0.2.16:80/", "telnet", NULL, "192.0.2.16", "80", "/", NULL, NULL},
    {"http://user:pass%40word@host", "http", "user:pass%40word", "host", NULL, "", NULL, NULL},
    {"http://@host:/", "http", "", "host", "", "/", NULL, NULL},
    {"http://host?", "http", NULL, "host", NULL, "", "", NULL},
    {"http://host#", "http", NULL, "host", NULL, "", NULL, ""},
    {"http://host/?#", "http", NULL, "host", NULL, "/", "", ""},
    {"http://[fe80::1%25eth0]:8080", "http", NULL, "fe80::1%25eth0", "8080", "", NULL, NULL},
    {"file:///etc/passwd", "file", NULL, "", NULL, "/etc/passwd", NULL, NULL},
    {"//host/path", NULL, NULL, "host", NULL, "/path", NULL, NULL},
    {"a/b:c", NULL, NULL, NULL, NULL, "a/b:c", NULL, NULL},
    {"", NULL, NULL, NULL, NULL, "", NULL, NULL},
    {"?q", NULL, NULL, NULL, NULL, "", "q", NULL},
    {"#f", NULL, NULL, NULL, NULL, "", NULL, "f"},
    {"a+b-c.d:", "a+b-c.d", NULL, NULL, NULL, "", NULL, NULL},
};

BIDE_TEST(a_url_is_taken_apart)
{
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        const struct split *split = &splits[i];
        struct bide_url url = parsed(split->text);
        check_part(url.scheme, split->scheme);
        check_part(url.user, split->user);
        check_part(url.host, split->host);
        check_part(url.port, split->port);
        check_part(url.path, split->path);
        check_part(url.query, split->query);
        check_part(url.fragment, split->fragment);
        BIDE_CHECK_INT(url.port_number, split->port ? (unsigned)atoi(split->port) : 0);
    }
}

static const struct {
    const char *text;
    size_t at;
} refused[] = {
    {"http://a b/", 8},
    {"http://host/a b", 13},
    {"http://host/\x80", 12},
    {"http://h\xc3\xb6st/", 8},
    {"http://host/%", 12},
    {"http://host/%4", 12},
    {"http://host/%4g", 12},
    {"http://host/%g4", 12},
    {"http://host:65536/", 16},
    {"http://host:80a/", 14},
    {"http://host:-1/", 12},
    {"http://[::1/", 7},
    {"http://[::1]x/", 12},
    {"http://[1.2.3.4]/", 7},
    {"http://[::1%eth0]/", 7},
    {"http://[::1%25]/", 7},
    {"http://[v1.a]/", 7},
    {"http://a:b@c@d/", 12},
    {"http://host/[", 12},
    {"http://host/?[", 13},
    {"http://host/##", 13},
    {"http://host/\n", 12},
    {"1http://host/", 5},
    {":80", 0},
    {"a b:c", 1},
    {"http://ho|st/", 9},
    {"http://host\\path", 11},
};

BIDE_TEST(what_is_no_url_is_refused_at_its_first_wrong_byte)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct bide_url url;
        size_t at = SIZE_MAX;
        BIDE_CHECK_INT(bide_url_parse(refused[i].text, strlen(refused[i].text), &url, &at),
                       -EINVAL);
        if (at != refused[i].at)
            printf("# %s\n", refused[i].text);
        BIDE_CHECK_INT(at, refused[i].at);
    }
    struct bide_url url;
    BIDE_CHECK_INT(bide_url_parse("http://host/\0x", 14, &url, NULL), -EINVAL);
    BIDE_CHECK_INT(bide_url_parse(NULL, 1, &url, NULL), -EINVAL);
    BIDE_CHECK_INT(bide_url_parse("a", 1, NULL, NULL), -EINVAL);
    BIDE_CHECK_INT(bide_url_parse(NULL, 0, &url, NULL), 0);
}

BIDE_TEST(a_text_over_the_limit_is_refused)
{
    char *text = malloc(BIDE_URL_BYTES_MAX + 1);
    struct bide_url url;
    memset(text, 'a', BIDE_URL_BYTES_MAX + 1);
    BIDE_CHECK_INT(bide_url_parse(text, BIDE_URL_BYTES_MAX, &url, NULL), 0);
    BIDE_CHECK_INT(bide_url_parse(text, BIDE_URL_BYTES_MAX + 1, &url, NULL), -E2BIG);
    free(text);
}

/* RFC 3986, 5.4.1 and 5.4.2, with the base http://a/b/c/d;p?q. */
static const char *const rfc_references[][2] = {
    {"g:h", "g:h"},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g/"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q#s"},
    {"g#s", "http://a/b/c/g#s"},
    {"g?y#s", "http://a/b/c/g?y#s"},
    {";x", "http://a/b/c/;x"},
    {"g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../", "http://a/"},
    {"../../g", "http://a/g"},
    {"../../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {".g", "http://a/b/c/.g"},
    {"g..", "http://a/b/c/g.."},
    {"..g", "http://a/b/c/..g"},
    {"./../g", "http://a/b/g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/./h", "http://a/b/c/g/h"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/./x", "http://a/b/c/g#s/./x"},
    {"g#s/../x", "http://a/b/c/g#s/../x"},
    {"http:g", "http:g"},
};

static void check_resolved(const char *base, const char *reference, const char *expected)
{
    char text[TEXT_BYTES];
    struct bide_url from = parsed(base), to = parsed(reference);
    BIDE_CHECK_INT(bide_url_resolve(&from, &to, text, sizeof text), (int)strlen(expected));
    BIDE_CHECK_STR(text, expected);
}

BIDE_TEST(a_reference_is_resolved_as_in_the_rfc)
{
    for (size_t i = 0; i < sizeof rfc_references / sizeof *rfc_references; i++)
        check_resolved("http://a/b/c/d;p?q", rfc_references[i][0], rfc_references[i][1]);
    check_resolved("http://a", "b", "http://a/b");
    check_resolved("http://a?q", "b", "http://a/b");
    check_resolved("a:/b", "/.//c", "a:/.//c");
    check_resolved("https://u@h:444/x", "//v:443/y", "https://v/y");
    check_resolved("https://h/x", "http://h:443/", "http://h:443/");
    struct bide_url no_scheme = parsed("//a/b"), other = parsed("c");
    BIDE_CHECK_INT(bide_url_resolve(&no_scheme, &other, NULL, 0), -EINVAL);
}

static const char *const normal_forms[][2] = {
    {"HTTP://EXAMPLE.com", "http://example.com/"},
    {"http://example.com:80/", "http://example.com/"},
    {"http://example.com:0080/", "http://example.com/"},
    {"http://example.com:0081/", "http://example.com:81/"},
    {"https://example.com:80/", "https://example.com:80/"},
    {"wss://h:443/", "wss://h/"},
    {"http://h:/", "http://h/"},
    {"http://h/%7efoo/%2f%3a", "http://h/~foo/%2F%3A"},
    {"http://h/a/%2e%2E/b", "http://h/b"},
    {"http://h/a/../../../b", "http://h/b"},
    {"http://h/..", "http://h/"},
    {"http://h/a//../b", "http://h/a/b"},
    {"http://h/?A%5a%2b", "http://h/?AZ%2B"},
    {"http://%41B/", "http://ab/"},
    {"http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"},
    {"http://U%73er:P@h/", "http://User:P@h/"},
    {"../a/./b", "../a/./b"},
    {"mailto:A@B", "mailto:A@B"},
};

BIDE_TEST(the_normal_form_has_one_spelling)
{
    char text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof normal_forms / sizeof *normal_forms; i++) {
        struct bide_url url = parsed(normal_forms[i][0]);
        BIDE_CHECK_INT(bide_url_print(&url, text, sizeof text), (int)strlen(normal_forms[i][1]));
        BIDE_CHECK_STR(text, normal_forms[i][1]);
    }
    struct bide_url url = parsed("http://host/path");
    BIDE_CHECK_INT(bide_url_print(&url, text, 8), 16);
    BIDE_CHECK_STR(text, "http://");
    BIDE_CHECK_INT(bide_url_print(&url, NULL, 0), 16);
    BIDE_CHECK_INT(bide_url_print(NULL, text, 8), -EINVAL);
    BIDE_CHECK_INT(bide_url_print(&url, NULL, 8), -EINVAL);
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

BIDE_TEST(what_is_printed_is_read_and_printed_the_same)
{
    static const char *const pieces[] = {"http:", "a:", "//",    "/",   ".", "..", "%2e", "%2F",
                                         "h",     "@",  "[::1]", ":80", "?", "#",  "b",   "%41"};
    uint64_t state = 20260101;
    size_t n_valid = 0;
    for (int round = 0; round < 100000; round++) {
        char text[TEXT_BYTES] = "", once[TEXT_BYTES], twice[TEXT_BYTES];
        struct bide_url url;
        for (uint64_t n = next(&state) % 10; n > 0; n--)
            strcat(text, pieces[next(&state) % (sizeof pieces / sizeof *pieces)]);
        if (bide_url_parse(text, strlen(text), &url, NULL) < 0)
            continue;
        n_valid++;
        BIDE_CHECK(bide_url_print(&url, once, sizeof once) >= 0);
        struct bide_url again = parsed(once);
        BIDE_CHECK(bide_url_print(&again, twice, sizeof twice) >= 0);
        BIDE_CHECK_STR(twice, once);
    }
    BIDE_CHECK(n_valid > 10000);
}

BIDE_TEST(random_bytes_do_no_harm)
{
    uint64_t state = 7;
    for (int round = 0; round < 100000; round++) {
        char *text = malloc(24); /* exactly, so that reading beyond is seen */
        size_t size = next(&state) % 24;
        struct bide_url url;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)next(&state);
        char *exact = malloc(size + !size);
        memcpy(exact, text, size);
        char *out = malloc(3 * size + 1);
        (void)bide_url_parse(exact, size, &url, NULL);
        int n = bide_url_repair(exact, size, out, 3 * size + 1);
        BIDE_CHECK_INT(n, (int)strlen(out));
        n = bide_url_encode(exact, size, out, 3 * size + 1);
        BIDE_CHECK_INT(n, (int)strlen(out));
        char *back = malloc(size + 1);
        BIDE_CHECK_INT(bide_url_decode(out, (size_t)n, back, size + 1), (int)size);
        BIDE_CHECK(memcmp(back, exact, size) == 0);
        free(back);
        free(out);
        free(exact);
        free(text);
    }
}

BIDE_TEST(escapes_are_put_in_and_taken_out)
{
    char text[TEXT_BYTES];
    BIDE_CHECK_INT(bide_url_encode("a b/\xc3\xb6~", 7, text, sizeof text), 15);
    BIDE_CHECK_STR(text, "a%20b%2F%C3%B6~");
    BIDE_CHECK_INT(bide_url_decode("a%20b%2f", 8, text, sizeof text), 4);
    BIDE_CHECK_STR(text, "a b/");
    BIDE_CHECK_INT(bide_url_decode("a%2", 3, text, sizeof text), -EINVAL);
    BIDE_CHECK_INT(bide_url_decode("abc", 3, text, 2), 3);
    BIDE_CHECK_STR(text, "a");
    const char *link = "http://h/a b?\xc3\xb6%20|";
    BIDE_CHECK_INT(bide_url_repair(link, strlen(link), text, sizeof text), 27);
    BIDE_CHECK_STR(text, "http://h/a%20b?%C3%B6%20%7C");
    struct bide_url url = parsed(text);
    BIDE_CHECK_INT(bide_url_port(&url), 80);
    url = parsed("https://h:8443/");
    BIDE_CHECK_INT(bide_url_port(&url), 8443);
    url = parsed("foo://h/");
    BIDE_CHECK_INT(bide_url_port(&url), 0);
    BIDE_CHECK_INT(bide_url_port(NULL), 0);
}
