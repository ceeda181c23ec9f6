/*
 * URLs by RFC 3986.
 *
 * Invariants
 *  - What was taken apart has only characters that RFC 3986 allows in that part, and percent signs
 * only before two hexadecimal digits.
 *  - What is printed is taken apart again into the same URL, and printed the same.
 */
#include "codec/url.h"

#include <bide/url.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

/* Kinds of characters; a byte may be of several. */
enum {
    ALPHA = 1,
    DIGIT = 2,
    MARK = 4,        /* - . _ ~ */
    SCHEME_SIGN = 8, /* + - . */
    SUB_DELIMITER = 16,
    COLON = 32,
    AT = 64,
    SLASH_OR_QUESTION = 128, /* / ? */
    UNRESERVED = ALPHA | DIGIT | MARK,
    SCHEME = ALPHA | DIGIT | SCHEME_SIGN,
    NAME = UNRESERVED | SUB_DELIMITER,
    USER = NAME | COLON,
    SEGMENT = USER | AT,
    QUERY = SEGMENT | SLASH_OR_QUESTION,
};

static unsigned kind_of(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return ALPHA;
    if (c >= '0' && c <= '9')
        return DIGIT;
    switch (c) {
    case '-':
    case '.':
        return MARK | SCHEME_SIGN;
    case '_':
    case '~':
        return MARK;
    case '+':
        return SUB_DELIMITER | SCHEME_SIGN;
    case '!':
    case '$':
    case '&':
    case '\'':
    case '(':
    case ')':
    case '*':
    case ',':
    case ';':
    case '=':
        return SUB_DELIMITER;
    case ':':
        return COLON;
    case '@':
        return AT;
    case '/':
    case '?':
        return SLASH_OR_QUESTION;
    default:
        return 0;
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The value of a hexadecimal digit, or -1. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at the front of the text stands for, or -1 if there is none. */
static int escaped_byte(const char *text, size_t size)
{
    if (size < 3 || text[0] != '%' || digit_value(text[1]) < 0 || digit_value(text[2]) < 0)
        return -1;
    return digit_value(text[1]) * 16 + digit_value(text[2]);
}

/* How many bytes of the front are characters of the kinds, or escapes. */
static size_t span(const char *text, size_t size, unsigned kinds)
{
    size_t i = 0;
    while (i < size) {
        if (kind_of(text[i]) & kinds)
            i++;
        else if (escaped_byte(text + i, size - i) >= 0)
            i += 3;
        else
            break;
    }
    return i;
}

/* Taking apart */

struct reader {
    const char *at;
    const char *end;
};

static size_t left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static bool looks_at(const struct reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == c;
}

static struct bide_url_part part(const char *from, const char *to)
{
    return (struct bide_url_part){.data = from, .size = (size_t)(to - from)};
}

static struct bide_url_part take(struct reader *reader, unsigned kinds)
{
    const char *from = reader->at;
    reader->at += span(from, left(reader), kinds);
    return part(from, reader->at);
}

/* A scheme is there only if a colon ends it. */
static void take_scheme(struct reader *reader, struct bide_url *url)
{
    const char *at = reader->at;
    if (at == reader->end || !(kind_of(*at) & ALPHA))
        return;
    while (at < reader->end && (kind_of(*at) & SCHEME))
        at++;
    if (at == reader->end || *at != ':')
        return;
    url->scheme = part(reader->at, at);
    reader->at = at + 1;
}

/* What stands in brackets: an IPv6 address, perhaps with a zone behind "%25" (RFC 6874). */
static int take_brackets(struct reader *reader, struct bide_url *url)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    const char *from = reader->at + 1;
    const char *to = memchr(from, ']', (size_t)(reader->end - from));
    if (!to)
        return -EINVAL;
    const char *zone = memchr(from, '%', (size_t)(to - from));
    size_t size = (size_t)((zone ? zone : to) - from);
    if (size >= sizeof address)
        return -EINVAL;
    memcpy(address, from, size);
    address[size] = '\0';
    if (strlen(address) != size || inet_pton(AF_INET6, address, &binary) != 1)
        return -EINVAL;
    if (zone) {
        size_t zone_size = (size_t)(to - zone);
        if (zone_size <= 3 || memcmp(zone, "%25", 3) != 0 ||
            span(zone + 3, zone_size - 3, UNRESERVED) != zone_size - 3)
            return -EINVAL;
    }
    url->host = part(from, to);
    url->is_ipv6 = true;
    reader->at = to + 1;
    return 0;
}

static int take_port(struct reader *reader, struct bide_url *url)
{
    const char *from = reader->at + 1;
    unsigned port = 0;
    for (reader->at = from; reader->at < reader->end; reader->at++) {
        if (!(kind_of(*reader->at) & DIGIT))
            break;
        port = port * 10 + (unsigned)(*reader->at - '0');
        if (port > PORT_MAX)
            return -EINVAL;
    }
    url->port = part(from, reader->at);
    url->port_number = port;
    return 0;
}

static int take_authority(struct reader *reader, struct bide_url *url)
{
    const char *from = reader->at;
    struct bide_url_part user = take(reader, USER);
    if (looks_at(reader, '@')) {
        url->user = user;
        reader->at++;
    } else {
        reader->at = from;
    }
    if (looks_at(reader, '[')) {
        int rc = take_brackets(reader, url);
        if (rc < 0)
            return rc;
    } else {
        url->host = take(reader, NAME);
    }
    return looks_at(reader, ':') ? take_port(reader, url) : 0;
}

/* Without scheme and authority, a colon in the first segment would make it a scheme. */
static int take_path(struct reader *reader, struct bide_url *url)
{
    const char *from = reader->at;
    bool is_bare = !url->scheme.data && !url->host.data;
    unsigned first = is_bare ? SEGMENT & ~(unsigned)COLON : SEGMENT;
    if (url->host.data && left(reader) > 0 && !strchr("/?#", *from))
        return -EINVAL;
    take(reader, first);
    if (looks_at(reader, ':'))
        return -EINVAL;
    while (looks_at(reader, '/')) {
        reader->at++;
        take(reader, SEGMENT);
    }
    url->path = part(from, reader->at);
    return 0;
}

static int take_all(struct reader *reader, struct bide_url *url)
{
    take_scheme(reader, url);
    if (left(reader) >= 2 && reader->at[0] == '/' && reader->at[1] == '/') {
        reader->at += 2;
        int rc = take_authority(reader, url);
        if (rc < 0)
            return rc;
    }
    int rc = take_path(reader, url);
    if (rc < 0)
        return rc;
    if (looks_at(reader, '?')) {
        reader->at++;
        url->query = take(reader, QUERY);
    }
    if (looks_at(reader, '#')) {
        reader->at++;
        url->fragment = take(reader, QUERY);
    }
    return left(reader) > 0 ? -EINVAL : 0;
}

int bide_url_parse(const char *text, size_t size, struct bide_url *ret_url, size_t *ret_at)
{
    struct bide_url url = {0};
    if (size > BIDE_URL_BYTES_MAX)
        return -E2BIG;
    if ((!text && size > 0) || !ret_url)
        return -EINVAL;
    if (!text)
        text = "";
    struct reader reader = {.at = text, .end = text + size};
    int rc = take_all(&reader, &url);
    if (rc == 0)
        *ret_url = url;
    else if (ret_at)
        *ret_at = (size_t)(reader.at - text);
    return rc;
}

/* Putting together: into memory that has room for all. */

struct text {
    char *data;
    size_t size;
};

static void add(struct text *text, const char *data, size_t size)
{
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
}

static void add_escape(struct text *text, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
    add(text, escape, sizeof escape);
}

/* Escapes of unreserved characters become the characters, others get capital digits. */
static void add_normal(struct text *text, struct bide_url_part from, bool is_lower)
{
    for (size_t i = 0; i < from.size; i++) {
        int byte = escaped_byte(from.data + i, from.size - i);
        char c = byte < 0 ? from.data[i] : (char)byte;
        if (is_lower)
            c = lower(c);
        if (byte >= 0)
            i += 2;
        if (byte >= 0 && !(kind_of(c) & UNRESERVED))
            add_escape(text, (unsigned char)byte);
        else
            add(text, &c, 1);
    }
}

/* How many bytes of the path's front its segment takes, the slash before it included. */
static size_t segment_size(const char *path, size_t size)
{
    const char *next = memchr(path + 1, '/', size - 1);
    return next ? (size_t)(next - path) : size;
}

size_t bide__url_remove_dots(char *path, size_t size)
{
    size_t out = 0;
    for (size_t in = 0; in < size;) {
        size_t length = segment_size(path + in, size - in);
        bool is_last = in + length == size;
        bool is_dot = length == 2 && path[in + 1] == '.';
        bool is_up = length == 3 && path[in + 1] == '.' && path[in + 2] == '.';
        if (is_up)
            while (out > 0 && path[--out] != '/')
                ;
        if (!is_dot && !is_up) {
            memmove(path + out, path + in, length);
            out += length;
        } else if (is_last) {
            path[out++] = '/';
        }
        in += length;
    }
    return out;
}

/* Which URL is to be printed: the parts of a resolved reference come from two. */
struct target {
    const struct bide_url *scheme_of;
    const struct bide_url *authority_of;
    struct bide_url_part merged; /* the path's beginning, from the base */
    struct bide_url_part path;
    struct bide_url_part query;
    struct bide_url_part fragment;
};

static size_t target_size_max(const struct target *target)
{
    const struct bide_url *authority = target->authority_of;
    return target->scheme_of->scheme.size + authority->user.size + authority->host.size +
           authority->port.size + target->merged.size + target->path.size + target->query.size +
           target->fragment.size + sizeof "://@[]:/./?#";
}

static const struct {
    const char *name;
    unsigned port;
} schemes[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}};

static unsigned scheme_port(struct bide_url_part scheme)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = 0;
        while (n < scheme.size && schemes[i].name[n] == lower(scheme.data[n]))
            n++;
        if (n == scheme.size && schemes[i].name[n] == '\0')
            return schemes[i].port;
    }
    return 0;
}

static void add_lower(struct text *text, char c)
{
    c = lower(c);
    add(text, &c, 1);
}

static void add_authority(struct text *text, const struct bide_url *url,
                          struct bide_url_part scheme)
{
    add(text, "//", 2);
    if (url->user.data) {
        add_normal(text, url->user, false);
        add(text, "@", 1);
    }
    if (url->is_ipv6) {
        add(text, "[", 1);
        for (size_t i = 0; i < url->host.size; i++)
            add_lower(text, url->host.data[i]);
        add(text, "]", 1);
    } else {
        add_normal(text, url->host, true);
    }
    if (url->port.size > 0 && url->port_number != scheme_port(scheme)) {
        text->size += (size_t)snprintf(text->data + text->size, sizeof ":65535", ":%u",
                                       url->port_number);
    }
}

static void add_path(struct text *text, const struct target *target)
{
    bool has_host = target->authority_of->host.data;
    char *path = text->data + text->size;
    struct text out = {.data = path};
    add_normal(&out, target->merged, false);
    add_normal(&out, target->path, false);
    if (out.size > 0 && *path == '/')
        out.size = bide__url_remove_dots(path, out.size);
    if (out.size == 0 && has_host)
        add(&out, "/", 1);
    /* Without a host, two slashes would make the path's beginning one. */
    if (!has_host && out.size >= 2 && path[0] == '/' && path[1] == '/') {
        memmove(path + 2, path, out.size);
        path[0] = '/';
        path[1] = '.';
        out.size += 2;
    }
    text->size += out.size;
}

static void add_target(struct text *text, const struct target *target)
{
    struct bide_url_part scheme = target->scheme_of->scheme;
    if (scheme.data) {
        for (size_t i = 0; i < scheme.size; i++)
            add_lower(text, scheme.data[i]);
        add(text, ":", 1);
    }
    if (target->authority_of->host.data)
        add_authority(text, target->authority_of, scheme);
    add_path(text, target);
    if (target->query.data) {
        add(text, "?", 1);
        add_normal(text, target->query, false);
    }
    if (target->fragment.data) {
        add(text, "#", 1);
        add_normal(text, target->fragment, false);
    }
}

/* What snprintf() would do with it. */
static int copy_out(const char *data, size_t length, char *buffer, size_t size)
{
    if (size > 0) {
        size_t n = length < size ? length : size - 1;
        memcpy(buffer, data, n);
        buffer[n] = '\0';
    }
    return (int)length;
}

static int print_target(const struct target *target, char *buffer, size_t size)
{
    struct text text = {.data = malloc(target_size_max(target))};
    if (!text.data)
        return -ENOMEM;
    add_target(&text, target);
    int rc = copy_out(text.data, text.size, buffer, size);
    free(text.data);
    return rc;
}

int bide_url_print(const struct bide_url *url, char *buffer, size_t size)
{
    if (!url || (!buffer && size > 0))
        return -EINVAL;
    struct target target = {.scheme_of = url,
                            .authority_of = url,
                            .path = url->path,
                            .query = url->query,
                            .fragment = url->fragment};
    return print_target(&target, buffer, size);
}

/* What of the base's path a relative one is put behind. */
static struct bide_url_part merge_front(const struct bide_url *base)
{
    const char *slash = base->path.size > 0 ? memrchr(base->path.data, '/', base->path.size) : NULL;
    if (slash)
        return part(base->path.data, slash + 1);
    return base->host.data ? (struct bide_url_part){"/", 1} : (struct bide_url_part){NULL, 0};
}

int bide_url_resolve(const struct bide_url *base, const struct bide_url *reference, char *buffer,
                     size_t size)
{
    if (!base || !reference || !base->scheme.data || (!buffer && size > 0))
        return -EINVAL;
    struct target target = {.scheme_of = base,
                            .authority_of = base,
                            .path = reference->path,
                            .query = reference->query,
                            .fragment = reference->fragment};
    if (reference->scheme.data) {
        target.scheme_of = reference;
        target.authority_of = reference;
    } else if (reference->host.data) {
        target.authority_of = reference;
    } else if (reference->path.size == 0) {
        target.path = base->path;
        if (!reference->query.data)
            target.query = base->query;
    } else if (*reference->path.data != '/') {
        target.merged = merge_front(base);
    }
    return print_target(&target, buffer, size);
}

/* Escapes */

int bide_url_decode(const char *text, size_t text_size, char *buffer, size_t size)
{
    if ((!text && text_size > 0) || (!buffer && size > 0))
        return -EINVAL;
    if (text_size > INT_MAX)
        return -E2BIG;
    size_t length = 0;
    for (size_t i = 0; i < text_size; i++, length++) {
        int byte = escaped_byte(text + i, text_size - i);
        if (text[i] == '%' && byte < 0)
            return -EINVAL;
        if (length + 1 < size)
            buffer[length] = byte < 0 ? text[i] : (char)byte;
        i += byte < 0 ? 0 : 2;
    }
    if (size > 0)
        buffer[length < size ? length : size - 1] = '\0';
    return (int)length;
}

/* May it stand in a URL anywhere? */
static bool is_of_a_url(char c)
{
    return kind_of(c) != 0 || (c != '\0' && strchr("%#[]", c));
}

static bool is_unreserved(char c)
{
    return kind_of(c) & UNRESERVED;
}

static int escape(const char *text, size_t text_size, bool (*stays)(char), char *buffer,
                  size_t size)
{
    if ((!text && text_size > 0) || (!buffer && size > 0))
        return -EINVAL;
    if (text_size > INT_MAX / 3)
        return -E2BIG;
    size_t length = 0;
    for (size_t i = 0; i < text_size; i++) {
        char piece[3] = "";
        struct text out = {.data = piece};
        if (stays(text[i]))
            add(&out, &text[i], 1);
        else
            add_escape(&out, (unsigned char)text[i]);
        for (size_t j = 0; j < out.size; j++, length++)
            if (length + 1 < size)
                buffer[length] = piece[j];
    }
    if (size > 0)
        buffer[length < size ? length : size - 1] = '\0';
    return (int)length;
}

int bide_url_encode(const char *text, size_t text_size, char *buffer, size_t size)
{
    return escape(text, text_size, is_unreserved, buffer, size);
}

int bide_url_repair(const char *text, size_t text_size, char *buffer, size_t size)
{
    return escape(text, text_size, is_of_a_url, buffer, size);
}

unsigned bide_url_port(const struct bide_url *url)
{
    if (!url)
        return 0;
    return url->port.size > 0 ? url->port_number : scheme_port(url->scheme);
}
