/*
 * What a head says about its message: where it is to go, how long its body is, what becomes of the
 * connection.
 *
 * Invariant: every field that has a say in where the message ends is understood whole, or the head
 * is refused; none of them counts twice.
 */
#include "codec/http1_fields.h"

#include <errno.h>
#include <string.h>

#include <bide/url.h>

#include "codec/http1_scan.h"

enum { BAD_REQUEST = 400, EXPECTATION_FAILED = 417, NOT_IMPLEMENTED = 501 };

static int refuse(struct bide__http1_head *head, const char *why)
{
    return bide__http1_refuse(head, BAD_REQUEST, why);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool bide__http1_is(const char *text, size_t size, const char *name)
{
    for (size_t i = 0; i < size; i++)
        if (lower(text[i]) != name[i]) /* a NUL is no letter of a name */
            return false;
    return name[size] == '\0';
}

static bool is(const char *data, struct bide__http1_span span, const char *name)
{
    return bide__http1_is(data + span.at, span.size, name);
}

struct bide__http1_span bide__http1_find(const struct bide__http1_head *head, const char *data,
                                         const char *name)
{
    for (uint32_t i = 0; i < head->n_fields; i++)
        if (is(data, head->fields[i].name, name))
            return head->fields[i].value;
    return (struct bide__http1_span){0};
}

/* Targets and hosts */

/* Letters, digits, dots and hyphens, as bits of ASCII. */
static bool is_plain(char c)
{
    static const uint64_t plain[2] = {0x03ff600000000000, 0x07fffffe07fffffe};
    return (unsigned char)c < 128 && plain[(unsigned char)c / 64] >> (unsigned char)c % 64 & 1;
}

/* What nearly every host is: letters, digits, dots and hyphens, and at most a port that fits. */
static bool is_plain_authority(const char *text, size_t size)
{
    enum { PORT_DIGITS = 5, PORT_MAX = 65535 };
    size_t n = 0;
    while (n < size && is_plain(text[n]))
        n++;
    if (n == size)
        return n > 0;
    if (n == 0 || text[n] != ':' || size - n - 1 > PORT_DIGITS || n + 1 == size)
        return false;
    unsigned port = 0;
    for (n++; n < size; n++) {
        if ((unsigned char)(text[n] - '0') >= 10)
            return false;
        port = port * 10 + (unsigned)(text[n] - '0');
    }
    return port <= PORT_MAX;
}

/* Not inlined, because its frame would burden every head. */
static __attribute__((noinline)) bool is_any_authority(const char *text, size_t size,
                                                       bool needs_port)
{
    char url[512];
    struct bide_url parts;
    if (size > sizeof url - 2)
        return false;
    memcpy(url, "//", 2);
    memcpy(url + 2, text, size);
    if (bide_url_parse(url, size + 2, &parts, NULL) < 0)
        return false;
    size_t shown = parts.host.size + (parts.is_ipv6 ? 2 : 0) +
                   (parts.port.data ? 1 + parts.port.size : 0);
    return shown == size && (!needs_port || (parts.port.size > 0 && parts.host.size > 0));
}

/* A host with or without a port, as RFC 3986 has it, and nothing beside. */
static bool is_authority(const char *text, size_t size, bool needs_port)
{
    return (!needs_port && is_plain_authority(text, size)) ||
           is_any_authority(text, size, needs_port);
}

/* The authority of "http://host/path"; a size of 0 if it is none. */
static struct bide__http1_span absolute_authority(const char *data, struct bide__http1_span target)
{
    struct bide_url url;
    struct bide__http1_span none = {0};
    if (bide_url_parse(data + target.at, target.size, &url, NULL) < 0 || url.host.size == 0 ||
        url.user.data || url.fragment.data)
        return none;
    if (!bide__http1_is(url.scheme.data, url.scheme.size, "http") &&
        !bide__http1_is(url.scheme.data, url.scheme.size, "https"))
        return none;
    const char *begin = url.host.data - (url.is_ipv6 ? 1 : 0);
    const char *end = url.port.data ? url.port.data + url.port.size
                                    : url.host.data + url.host.size + (url.is_ipv6 ? 1 : 0);
    return (struct bide__http1_span){.at = (uint32_t)(begin - data),
                                     .size = (uint32_t)(end - begin)};
}

int bide__http1_note_target(struct bide__http1_head *head, const char *data)
{
    const char *target = data + head->target.at;
    bool is_connect = head->method.size == 7 && memcmp(data + head->method.at, "CONNECT", 7) == 0;
    bool is_options = head->method.size == 7 && memcmp(data + head->method.at, "OPTIONS", 7) == 0;
    if (memchr(target, '#', head->target.size))
        return refuse(head, "a fragment in the target");
    if (is_connect) {
        head->target_kind = BIDE__HTTP1_AUTHORITY;
        head->authority = head->target;
        return is_authority(target, head->target.size, true) ? 0 : refuse(head, "no host and port");
    }
    if (*target == '/') {
        head->target_kind = BIDE__HTTP1_ORIGIN;
        return 0;
    }
    if (head->target.size == 1 && *target == '*' && is_options) {
        head->target_kind = BIDE__HTTP1_ASTERISK;
        return 0;
    }
    head->target_kind = BIDE__HTTP1_ABSOLUTE;
    head->authority = absolute_authority(data, head->target);
    return head->authority.size > 0 ? 0 : refuse(head, "a target that is neither path nor URL");
}

static bool are_same(const char *data, struct bide__http1_span one, struct bide__http1_span other)
{
    if (one.size != other.size)
        return false;
    for (uint32_t i = 0; i < one.size; i++)
        if (lower(data[one.at + i]) != lower(data[other.at + i]))
            return false;
    return true;
}

/* A target with a host of its own and another Host could be read either way. */
static int note_host(struct bide__http1_head *head, const char *data, struct bide__http1_span value)
{
    if (head->kind != BIDE__HTTP1_REQUEST)
        return 0;
    if (head->has_host)
        return refuse(head, "more than one Host");
    head->has_host = true;
    if (value.size > 0 && !is_authority(data + value.at, value.size, false))
        return refuse(head, "a malformed Host");
    if (head->target_kind == BIDE__HTTP1_ABSOLUTE && !are_same(data, head->authority, value))
        return refuse(head, "a Host other than the target's");
    if (head->target_kind != BIDE__HTTP1_AUTHORITY && head->target_kind != BIDE__HTTP1_ABSOLUTE)
        head->authority = value;
    return 0;
}

/* The body's length */

static int note_length(struct bide__http1_head *head, const char *data,
                       struct bide__http1_span value)
{
    uint64_t length = 0;
    if (head->has_length)
        return refuse(head, "more than one Content-Length");
    head->has_length = true;
    if (value.size == 0)
        return refuse(head, "a malformed Content-Length");
    for (uint32_t i = 0; i < value.size; i++) {
        char c = data[value.at + i];
        if (c < '0' || c > '9')
            return refuse(head, "a malformed Content-Length");
        if (length > (INT64_MAX - 9) / 10)
            return refuse(head, "a Content-Length beyond all measure");
        length = length * 10 + (uint64_t)(c - '0');
    }
    head->length = length;
    return 0;
}

/* The next token of a list: false at its end; size 0 if what stands there is none. */
static bool list_next(const char **at, const char *end, const char **ret_token, size_t *ret_size)
{
    while (*at < end && (**at == ' ' || **at == '\t' || **at == ','))
        ++*at;
    if (*at == end)
        return false;
    *ret_token = *at;
    while (*at < end && bide__http1_is_token(**at))
        ++*at;
    *ret_size = (size_t)(*at - *ret_token);
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    if (*at < end && **at != ',')
        *ret_size = 0;
    return true;
}

/* Chunked is the only coding there is, once and alone. */
static int refuse_coding(struct bide__http1_head *head, const char *data,
                         struct bide__http1_span value)
{
    const char *at = data + value.at, *end = at + value.size, *token;
    size_t size;
    bool is_other = false, is_last_chunked = false;
    while (list_next(&at, end, &token, &size)) {
        if (size == 0 || is_last_chunked)
            return refuse(head, "a malformed Transfer-Encoding");
        is_last_chunked = bide__http1_is(token, size, "chunked");
        is_other = is_other || !is_last_chunked;
    }
    if (!is_other || !is_last_chunked)
        return refuse(head, "a Transfer-Encoding that does not end in chunked");
    return bide__http1_refuse(head, NOT_IMPLEMENTED, "a Transfer-Encoding other than chunked");
}

static int note_coding(struct bide__http1_head *head, const char *data,
                       struct bide__http1_span value)
{
    if (head->minor_version == 0)
        return refuse(head, "Transfer-Encoding with HTTP/1.0");
    if (head->has_chunked)
        return refuse(head, "more than one Transfer-Encoding");
    if (!is(data, value, "chunked"))
        return refuse_coding(head, data, value);
    head->has_chunked = true;
    return 0;
}

/* The connection */

static int note_connection(struct bide__http1_head *head, const char *data,
                           struct bide__http1_span value)
{
    const char *at = data + value.at, *end = at + value.size, *token;
    size_t size;
    while (list_next(&at, end, &token, &size)) {
        if (size == 0)
            return refuse(head, "a malformed Connection");
        if (bide__http1_is(token, size, "close"))
            head->connection |= BIDE__HTTP1_OPTION_CLOSE;
        else if (bide__http1_is(token, size, "keep-alive"))
            head->connection |= BIDE__HTTP1_OPTION_KEEP_ALIVE;
        else if (bide__http1_is(token, size, "upgrade"))
            head->connection |= BIDE__HTTP1_OPTION_UPGRADE;
    }
    return 0;
}

static int note_expect(struct bide__http1_head *head, const char *data,
                       struct bide__http1_span value)
{
    if (head->kind != BIDE__HTTP1_REQUEST || head->minor_version == 0)
        return 0;
    if (!is(data, value, "100-continue"))
        return bide__http1_refuse(head, EXPECTATION_FAILED, "an expectation that nobody meets");
    head->flags |= BIDE__HTTP1_EXPECT;
    return 0;
}

/* By the lengths of their names, so that most fields cost one look. */
int bide__http1_note_field(struct bide__http1_head *head, const char *data,
                           const struct bide__http1_field *field)
{
    bool is_trailer = head->kind == BIDE__HTTP1_TRAILERS;
    switch (field->name.size) {
    case sizeof "host" - 1:
        if (is(data, field->name, "host"))
            return is_trailer ? refuse(head, "Host in a trailer")
                              : note_host(head, data, field->value);
        return 0;
    case sizeof "expect" - 1:
        return is(data, field->name, "expect") ? note_expect(head, data, field->value) : 0;
    case sizeof "upgrade" - 1:
        if (is(data, field->name, "upgrade"))
            head->has_upgrade = field->value.size > 0;
        return 0;
    case sizeof "connection" - 1:
        return is(data, field->name, "connection") ? note_connection(head, data, field->value) : 0;
    case sizeof "content-length" - 1:
        if (is(data, field->name, "content-length"))
            return is_trailer ? refuse(head, "Content-Length in a trailer")
                              : note_length(head, data, field->value);
        return 0;
    case sizeof "transfer-encoding" - 1:
        if (is(data, field->name, "transfer-encoding"))
            return is_trailer ? refuse(head, "Transfer-Encoding in a trailer")
                              : note_coding(head, data, field->value);
        return 0;
    default:
        return 0;
    }
}

static bool keeps_alive(const struct bide__http1_head *head)
{
    if (head->connection & BIDE__HTTP1_OPTION_CLOSE)
        return false;
    return head->minor_version > 0 || (head->connection & BIDE__HTTP1_OPTION_KEEP_ALIVE);
}

/* Responses that end with their head, whatever its fields say. */
static bool is_bodiless(const struct bide__http1_head *head)
{
    return head->is_for_head || head->status < 200 || head->status == 204 || head->status == 304 ||
           (head->is_for_connect && head->status < 300);
}

int bide__http1_conclude(struct bide__http1_head *head)
{
    if (head->kind == BIDE__HTTP1_TRAILERS || head->kind == BIDE__HTTP1_PART)
        return 0;
    if (!head->has_first_line)
        return refuse(head, "an empty line");
    if (head->has_length && head->has_chunked)
        return refuse(head, "both Content-Length and Transfer-Encoding");
    bool is_request = head->kind == BIDE__HTTP1_REQUEST;
    if (is_request && !head->has_host && head->minor_version > 0)
        return refuse(head, "no Host");
    head->framing = head->has_chunked  ? BIDE__HTTP1_CHUNKED
                    : head->has_length ? BIDE__HTTP1_LENGTH
                    : is_request       ? BIDE__HTTP1_NO_BODY
                                       : BIDE__HTTP1_UNTIL_END;
    if ((!is_request && is_bodiless(head)) ||
        (head->framing == BIDE__HTTP1_LENGTH && head->length == 0))
        head->framing = BIDE__HTTP1_NO_BODY;
    if (keeps_alive(head) && head->framing != BIDE__HTTP1_UNTIL_END)
        head->flags |= BIDE__HTTP1_KEEP_ALIVE;
    if (head->has_upgrade && (head->connection & BIDE__HTTP1_OPTION_UPGRADE))
        head->flags |= BIDE__HTTP1_UPGRADE;
    return 0;
}
