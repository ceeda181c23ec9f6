/*
 * What a part's head says, and the Content-Type that says where parts end.
 *
 * Invariant: a parameter that matters is there once, or the head is refused. Texts are made from
 * values behind the head in the parser's memory, where each has its bytes and a NUL: they are never
 * longer than what they are made of.
 */
#include "codec/multipart_head.h"

#include "codec/http1_scan.h"

#include <bide/url.h>

#include <errno.h>
#include <string.h>

/* Parameters: "; name=value" */

struct parameter {
    const char *name, *value;
    size_t name_size, value_size;
    bool is_quoted; /* the value is without its quotes, and may have escapes */
};

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static const char *skip_token(const char *at, const char *end)
{
    while (at < end && bide__http1_is_token(*at))
        at++;
    return at;
}

/* A backslash escapes a quote or another one, and means itself before anything else: some senders
 * write paths with it. */
static bool is_escape(const char *at, const char *end)
{
    return *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\');
}

static const char *skip_quoted(const char *at, const char *end)
{
    while (at < end && *at != '"')
        at += is_escape(at, end) ? 2 : 1;
    return at;
}

/* The next one: 1; 0: there is none; -EBADMSG. */
static int next_parameter(const char **at, const char *end, struct parameter *ret)
{
    const char *here = skip_blanks(*at, end);
    if (here == end)
        return 0;
    if (*here != ';')
        return -EBADMSG;
    ret->name = skip_blanks(here + 1, end);
    here = skip_token(ret->name, end);
    ret->name_size = (size_t)(here - ret->name);
    if (ret->name_size == 0 || here == end || *here != '=')
        return -EBADMSG;
    here++;
    ret->is_quoted = here < end && *here == '"';
    ret->value = here + ret->is_quoted;
    here = ret->is_quoted ? skip_quoted(ret->value, end) : skip_token(ret->value, end);
    ret->value_size = (size_t)(here - ret->value);
    if (ret->is_quoted ? here >= end : ret->value_size == 0)
        return -EBADMSG;
    *at = here + ret->is_quoted;
    return 1;
}

static bool is(const struct parameter *parameter, const char *name)
{
    return bide__http1_is(parameter->name, parameter->name_size, name);
}

/* The value without its backslashes: where its end is. */
static char *unescape(const struct parameter *parameter, char *to)
{
    const char *end = parameter->value + parameter->value_size;
    for (const char *at = parameter->value; at < end; at++) {
        if (parameter->is_quoted && is_escape(at, end))
            at++;
        *to++ = *at;
    }
    return to;
}

/* The boundary */

static bool is_boundary_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c));
}

static int check_boundary(const char *boundary, size_t size, const char **ret_why)
{
    bool is_good = size > 0 && boundary[size - 1] != ' ';
    for (size_t i = 0; i < size; i++)
        is_good = is_good && is_boundary_byte(boundary[i]);
    if (!is_good)
        *ret_why = "a boundary that none can be";
    return is_good ? (int)size : -EBADMSG;
}

int bide__multipart_boundary(const char *type, char to[BIDE__MULTIPART_BOUNDARY_MAX],
                             const char **ret_why)
{
    const char *end = type + strlen(type);
    const char *at = type + strcspn(type, "; \t");
    struct parameter parameter, boundary = {.name = NULL};
    int rc;
    if (!bide__http1_is(type, (size_t)(at - type), "multipart/form-data"))
        return -EMEDIUMTYPE;
    while ((rc = next_parameter(&at, end, &parameter)) > 0) {
        if (!is(&parameter, "boundary"))
            continue;
        if (boundary.name) {
            *ret_why = "more than one boundary";
            return -EBADMSG;
        }
        boundary = parameter;
    }
    if (rc < 0) {
        *ret_why = "a malformed Content-Type";
        return -EBADMSG;
    }
    if (!boundary.name || boundary.value_size > BIDE__MULTIPART_BOUNDARY_MAX) {
        *ret_why = boundary.name ? "a boundary longer than 70 bytes" : "no boundary";
        return -EBADMSG;
    }
    return check_boundary(to, (size_t)(unescape(&boundary, to) - to), ret_why);
}

/* The part */

static int refuse(struct bide__multipart *parser, const char *why)
{
    return bide__multipart_refuse(parser, -EBADMSG, why);
}

/* What browsers escape in names: quotes and the ends of lines. Returns where the end is. */
static char *take_escapes_out(char *text, const char *end)
{
    char *to = text;
    for (const char *at = text; at < end; at++) {
        char c = *at;
        if (c == '%' && end - at >= 3) {
            bool is_line_end = at[1] == '0' && (at[2] | 0x20) >= 'a';
            if (at[1] == '2' && at[2] == '2')
                c = '"';
            else if (is_line_end && (at[2] | 0x20) == 'a')
                c = '\n';
            else if (is_line_end && (at[2] | 0x20) == 'd')
                c = '\r';
            at += c == '%' ? 0 : 2;
        }
        *to++ = c;
    }
    return to;
}

/* A text with its NUL; moves `to` behind it. */
static const char *make_text(const struct parameter *parameter, char **to)
{
    char *text = *to;
    char *end = take_escapes_out(text, unescape(parameter, text));
    *end = '\0';
    *to = end + 1;
    return text;
}

/* "UTF-8'language'escaped", which forms should not have, and some senders write. NULL: malformed,
 * or another character set. */
static const char *make_extended(const struct parameter *parameter, char **to)
{
    const char *end = parameter->value + parameter->value_size;
    const char *language = memchr(parameter->value, '\'', parameter->value_size);
    const char *text = language ? memchr(language + 1, '\'', (size_t)(end - language - 1)) : NULL;
    if (parameter->is_quoted || !text ||
        !bide__http1_is(parameter->value, (size_t)(language - parameter->value), "utf-8"))
        return NULL;
    size_t size = (size_t)(end - ++text);
    char *made = *to;
    int n = bide_url_decode(text, size, made, size + 1);
    if (n < 0 || memchr(made, '\0', (size_t)n))
        return NULL;
    *to = made + n + 1;
    return made;
}

struct wanted {
    struct parameter name, filename, extended;
};

/* Takes the parameter if it is of that name. -EBADMSG: it is there already. */
static int take_once(struct parameter *to, const struct parameter *parameter, const char *name)
{
    if (!is(parameter, name))
        return 0;
    if (to->name)
        return -EBADMSG;
    *to = *parameter;
    return 0;
}

static int describe_disposition(struct bide__multipart *parser, const char *at, const char *end,
                                char **to)
{
    struct wanted wanted = {.name.name = NULL};
    struct parameter parameter;
    const char *type = at;
    int rc;
    at = skip_token(at, end);
    if (!bide__http1_is(type, (size_t)(at - type), "form-data"))
        return refuse(parser, "a Content-Disposition other than form-data");
    while ((rc = next_parameter(&at, end, &parameter)) > 0)
        if (take_once(&wanted.name, &parameter, "name") < 0 ||
            take_once(&wanted.filename, &parameter, "filename") < 0 ||
            take_once(&wanted.extended, &parameter, "filename*") < 0)
            return refuse(parser, "a name or filename that is there twice");
    if (rc < 0)
        return refuse(parser, "a malformed Content-Disposition");
    if (!wanted.name.name)
        return refuse(parser, "a part without a name");
    parser->name = make_text(&wanted.name, to);
    if (wanted.filename.name)
        parser->filename = make_text(&wanted.filename, to);
    else if (wanted.extended.name && !(parser->filename = make_extended(&wanted.extended, to)))
        return refuse(parser, "a malformed filename");
    return 0;
}

static bool is_plain_encoding(const char *text, size_t size)
{
    return bide__http1_is(text, size, "7bit") || bide__http1_is(text, size, "8bit") ||
           bide__http1_is(text, size, "binary");
}

static int describe_field(struct bide__multipart *parser, const struct bide__http1_field *field,
                          bool *has_disposition, char **to)
{
    const char *name = parser->memory + field->name.at, *value = parser->memory + field->value.at;
    if (bide__http1_is(name, field->name.size, "content-disposition")) {
        if (*has_disposition)
            return refuse(parser, "more than one Content-Disposition");
        *has_disposition = true;
        return describe_disposition(parser, value, value + field->value.size, to);
    }
    if (bide__http1_is(name, field->name.size, "content-type")) {
        if (parser->type)
            return refuse(parser, "more than one Content-Type");
        parser->type = memcpy(*to, value, field->value.size);
        (*to)[field->value.size] = '\0';
        *to += field->value.size + 1;
    }
    if (bide__http1_is(name, field->name.size, "content-transfer-encoding") &&
        !is_plain_encoding(value, field->value.size))
        return refuse(parser, "a part that is encoded");
    return 0;
}

int bide__multipart_describe(struct bide__multipart *parser)
{
    char *to = parser->memory + bide__multipart_memory(parser->limits.head_bytes) / 2;
    bool has_disposition = false;
    parser->name = NULL;
    parser->filename = NULL;
    parser->type = NULL;
    for (uint32_t i = 0; i < parser->head.n_fields; i++) {
        int rc = describe_field(parser, &parser->head.fields[i], &has_disposition, &to);
        if (rc < 0)
            return rc;
    }
    return has_disposition ? 0 : refuse(parser, "a part without Content-Disposition");
}
