/*
 * What is in a directory, as a page.
 *
 * Invariant: names go into the page escaped: as text, and as parts of addresses.
 */
#include "http/files.h"

#include "http/exchange.h"
#include "io/file/file.h"

#include <bide/path.h>
#include <bide/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 100000, PAGE_BYTES = 8192, ITEM_BYTES_MAX = 10 * 256 };

struct names {
    char **all; /* a directory's end with a slash */
    size_t n, capacity;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->all[i]);
    free(names->all);
}

static int names_add(struct names *names, const struct bide_directory_entry *entry)
{
    if (names->n == names->capacity) {
        size_t capacity = names->capacity > 0 ? 2 * names->capacity : 64;
        char **all = realloc(names->all, capacity * sizeof *all);
        if (!all)
            return -ENOMEM;
        names->all = all;
        names->capacity = capacity;
    }
    char *name = malloc(strlen(entry->name) + 2);
    if (!name)
        return -ENOMEM;
    stpcpy(stpcpy(name, entry->name), entry->type == BIDE_FILE_DIRECTORY ? "/" : "");
    names->all[names->n++] = name;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(struct names *names, bide_iterator *entries, bool shows_hidden)
{
    struct bide_directory_entry entry;
    int rc;
    while ((rc = bide_next(entries, &entry)) > 0 && names->n < NAMES_MAX) {
        bool is_shown = entry.name[0] != '.' || shows_hidden;
        rc = is_shown ? names_add(names, &entry) : 0;
        if (rc < 0)
            break;
    }
    if (names->n > 0)
        qsort(names->all, names->n, sizeof *names->all, by_name);
    return rc < 0 ? rc : 0;
}

static char *add_escaped(char *to, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            to = stpcpy(to, "&lt;");
            break;
        case '>':
            to = stpcpy(to, "&gt;");
            break;
        case '&':
            to = stpcpy(to, "&amp;");
            break;
        case '"':
            to = stpcpy(to, "&quot;");
            break;
        case '\'':
            to = stpcpy(to, "&#39;");
            break;
        default:
            *to++ = *text;
        }
    }
    *to = '\0';
    return to;
}

static char *add_item(char *to, const char *name)
{
    size_t size = strlen(name);
    bool is_directory = name[size - 1] == '/';
    to = stpcpy(to, "<li><a href=\"./");
    to += bide_url_encode(name, size - is_directory, to, 3 * size + 1);
    to = stpcpy(to, is_directory ? "/\">" : "\">");
    to = add_escaped(to, name);
    return stpcpy(to, "</a></li>\n");
}

static char *add_head(char *to, const char *path, bool is_top)
{
    to = stpcpy(to, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>");
    to = add_escaped(to, path);
    to = stpcpy(to, "</title>\n<h1>");
    to = add_escaped(to, path);
    to = stpcpy(to, "</h1>\n<ul>\n");
    return is_top ? to : stpcpy(to, "<li><a href=\"../\">../</a></li>\n");
}

static int send_page(bide_http_request *request, const struct names *names, bool is_top)
{
    const char *path = bide_http_path(request);
    char *page = bide_http_alloc(request, PAGE_BYTES + 12 * strlen(path));
    if (!page)
        return -ENOMEM;
    int rc = bide_http_reply_begin(request, 200, "text/html; charset=utf-8",
                                   BIDE_HTTP_LENGTH_UNKNOWN);
    char *to = add_head(page, path, is_top);
    for (size_t i = 0; i < names->n && rc == 0; i++) {
        to = add_item(to, names->all[i]);
        if (to - page < PAGE_BYTES - 2 * ITEM_BYTES_MAX)
            continue;
        rc = bide_http_write(request, page, (size_t)(to - page));
        to = page;
    }
    to = stpcpy(to, "</ul>\n");
    if (rc == 0)
        rc = bide_http_write(request, page, (size_t)(to - page));
    return rc < 0 ? rc : bide_http_reply_end(request);
}

int bide__http_reply_list(bide_http_request *request, bide_file *directory, bool is_top,
                          bool shows_hidden)
{
    struct names names = {0};
    bide_iterator *entries = bide__directory_list_opened(directory);
    if (!entries)
        return -ENOMEM;
    int rc = names_read(&names, entries, shows_hidden);
    bide_iterator_close(entries);
    if (rc == 0)
        rc = send_page(request, &names, is_top);
    names_free(&names);
    return rc;
}
