/* URLs: taken apart, resolved as a browser does with a link, and the escapes in them. */
#include <bide.h>

#include <stdio.h>
#include <string.h>

static void show(const char *name, struct bide_url_part part)
{
    if (part.data)
        printf("  %-9s%.*s\n", name, (int)part.size, part.data);
}

static int take_apart(const char *text)
{
    struct bide_url url;
    size_t at;
    int rc = bide_url_parse(text, strlen(text), &url, &at);
    if (rc < 0) {
        printf("%s\n%*s^ not a URL from here on\n", text, (int)at, "");
        return rc;
    }
    printf("%s\n", text);
    show("scheme", url.scheme);
    show("user", url.user);
    show("host", url.host);
    show("path", url.path);
    show("query", url.query);
    show("fragment", url.fragment);
    printf("  %-9s%u\n", "port", bide_url_port(&url));
    return 0;
}

int main(void)
{
    char text[128];
    struct bide_url base, link;
    static const char page[] = "HTTP://Example.test:80/a/./b?q=1";
    take_apart("https://ada@example.test/search?q=c%2B%2B#top");
    take_apart("http://example.test/a b");

    bide_url_parse(page, strlen(page), &base, NULL);
    bide_url_print(&base, text, sizeof text);
    printf("%s is %s\n", page, text);

    bide_url_repair("../c d", 6, text, sizeof text);
    bide_url_parse(text, strlen(text), &link, NULL);
    char target[128];
    bide_url_resolve(&base, &link, target, sizeof target);
    printf("and its link '../c d' leads to %s\n", target);

    bide_url_encode("c++ & more", 10, text, sizeof text);
    printf("in a query, 'c++ & more' is %s", text);
    char plain[128];
    bide_url_decode(text, strlen(text), plain, sizeof plain);
    printf(", and back: %s\n", plain);
    return 0;
}
