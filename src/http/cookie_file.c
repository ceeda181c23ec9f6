/* Cookies in a file, one a line, as Netscape's browser began it and curl and wget have it. */
#include "http/cookies.h"

#include "http/text.h"

#include <bide/file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 32 * 1024 * 1024, COLUMNS = 7 };

static const char http_only_mark[] = "#HttpOnly_";

/* A tab would shift what stands behind it. */
static bool has_tab(const struct bide_http_cookie *cookie)
{
    return strchr(cookie->name, '\t') || strchr(cookie->value, '\t') || strchr(cookie->path, '\t');
}

static void write_line(const struct bide_http_cookie *cookie, struct bide__http_text *text)
{
    if (has_tab(cookie))
        return;
    bide__http_text_print(text, "%s%s%s\t%s\t%s\t%s\t%lld\t%s\t%s\n",
                          cookie->http_only ? http_only_mark : "", cookie->host_only ? "" : ".",
                          cookie->domain, cookie->host_only ? "FALSE" : "TRUE", cookie->path,
                          cookie->secure ? "TRUE" : "FALSE",
                          cookie->expires == INT64_MAX ? 0LL : (long long)cookie->expires,
                          cookie->name, cookie->value);
}

int bide_http_cookies_save(const bide_http_cookies *cookies, const char *path)
{
    struct bide__http_text text = {0};
    struct bide_http_cookie cookie;
    if (!cookies || !path)
        return -EINVAL;
    bide__http_text_say(&text, "# Netscape HTTP Cookie File\n");
    for (size_t i = 0; bide_http_cookies_at(cookies, i, &cookie) == 0; i++)
        write_line(&cookie, &text);
    struct bide_store_opts opts = {.mode = 0600};
    int rc = text.has_failed ? -ENOMEM : bide_file_store(path, text.data, text.size, &opts);
    bide__http_text_fini(&text);
    return rc;
}

/* Whether the line is a cookie's; its tabs become terminators. */
static bool read_line(char *line, struct bide_http_cookie *ret_cookie)
{
    char *columns[COLUMNS];
    bool is_http_only = strncmp(line, http_only_mark, sizeof http_only_mark - 1) == 0;
    if (is_http_only)
        line += sizeof http_only_mark - 1;
    if (*line == '#')
        return false;
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i] = line;
        line = i < COLUMNS - 1 ? strchr(line, '\t') : NULL;
        if (!line && i < COLUMNS - 1)
            return false;
        if (line)
            *line++ = '\0';
    }
    char *end;
    long long expires = strtoll(columns[4], &end, 10);
    const char *domain = columns[0] + (*columns[0] == '.');
    if (*end != '\0' || end == columns[4] || *domain == '\0' || *columns[2] != '/')
        return false;
    *ret_cookie = (struct bide_http_cookie){.name = columns[5],
                                            .value = columns[6],
                                            .domain = domain,
                                            .path = columns[2],
                                            .expires = expires == 0 ? INT64_MAX : expires,
                                            .host_only = strcmp(columns[1], "TRUE") != 0,
                                            .secure = strcmp(columns[3], "TRUE") == 0,
                                            .http_only = is_http_only};
    return true;
}

int bide_http_cookies_load(bide_http_cookies *cookies, const char *path, int64_t now)
{
    char *data;
    int n = 0;
    if (!cookies || !path)
        return -EINVAL;
    int rc = bide_file_load(path, FILE_BYTES_MAX, &data, NULL);
    if (rc < 0)
        return rc;
    char *rest = data;
    for (char *line; rc >= 0 && (line = strsep(&rest, "\n"));) {
        struct bide_http_cookie cookie;
        line[strcspn(line, "\r")] = '\0';
        if (!read_line(line, &cookie) || cookie.expires <= now)
            continue;
        rc = bide__cookies_put(cookies, &cookie, now);
        n += rc > 0;
    }
    free(data);
    return rc < 0 ? rc : n;
}
