/*
 * Lines of an access log.
 *
 * Invariant: nothing that a client sends ends a line or a quotation, or says something to a
 * terminal.
 */
#include "http/log.h"

#include "http/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of one text, so that a line has room for all of them. */
enum { TEXT_BYTES_MAX = 600, ESCAPE_BYTES_MAX = 6 };

struct line {
    char *at;
    bool is_json;
};

static void say(struct line *line, const char *text)
{
    line->at = stpcpy(line->at, text);
}

/* What comes from outside. */
static void quote_bytes(struct line *line, const char *text, size_t size)
{
    const char *end = line->at + TEXT_BYTES_MAX - ESCAPE_BYTES_MAX;
    for (size_t i = 0; i < size && line->at < end; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            line->at += sprintf(line->at, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            *line->at++ = (char)c;
        else
            line->at += sprintf(line->at, line->is_json ? "\\u%04x" : "\\x%02x", c);
    }
    *line->at = '\0';
}

static void quote(struct line *line, const char *text)
{
    quote_bytes(line, text, strlen(text));
}

static void member(struct line *line, const char *name, const char *value)
{
    if (!value)
        return;
    line->at += sprintf(line->at, ",\"%s\":\"", name);
    quote(line, value);
    say(line, "\"");
}

/* As it came, if it was no request. */
static void request_line(struct line *line, const bide_http_request *request)
{
    if (!request->line) {
        quote(line, request->method);
        say(line, " ");
        quote(line, request->target);
        line->at += sprintf(line->at, " HTTP/%s", request->version);
    } else if (request->line_size > 0) {
        quote_bytes(line, request->line, request->line_size);
    } else {
        say(line, "-");
    }
}

static void print_peer(const bide_http_request *request, char text[BIDE_ADDRESS_TEXT_SIZE])
{
    struct bide_address address = bide_http_peer(request);
    if (address.length == 0 || bide_address_print(&address, text, BIDE_ADDRESS_TEXT_SIZE) < 0)
        memcpy(text, "-", 2);
}

static size_t print_json(const struct bide__http_log_entry *entry, const bide_http_request *request,
                         char *to)
{
    struct line line = {.at = to, .is_json = true};
    char peer[BIDE_ADDRESS_TEXT_SIZE];
    struct tm tm;
    time_t time = entry->wall_seconds;
    gmtime_r(&time, &tm);
    print_peer(request, peer);
    say(&line, "{\"time\":\"");
    line.at += strftime(line.at, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    say(&line, "\"");
    member(&line, "peer", peer);
    member(&line, "method", request->method);
    member(&line, "target", request->target);
    if (!request->method && request->line_size > 0) {
        say(&line, ",\"line\":\"");
        quote_bytes(&line, request->line, request->line_size);
        say(&line, "\"");
    }
    line.at += sprintf(line.at, ",\"status\":%d,\"bytes\":%" PRIu64 ",\"seconds\":%.6f",
                       request->status, request->n_sent, entry->seconds);
    member(&line, "id", request->id);
    member(&line, "referer", bide_http_header(request, "Referer"));
    size_t left = (size_t)(to + BIDE__HTTP_LOG_LINE - line.at);
    if (left > TEXT_BYTES_MAX + 32)
        member(&line, "agent", bide_http_header(request, "User-Agent"));
    say(&line, "}\n");
    return (size_t)(line.at - to);
}

/* The name that a client gives itself is not known to be true, and is left out. */
static size_t print_text(const struct bide__http_log_entry *entry, const bide_http_request *request,
                         bool is_combined, char *to)
{
    struct line line = {.at = to};
    char peer[BIDE_ADDRESS_TEXT_SIZE];
    struct tm tm;
    time_t time = entry->wall_seconds;
    gmtime_r(&time, &tm);
    print_peer(request, peer);
    char *port = strrchr(peer, ':');
    if (port && bide_http_peer(request).length > 0)
        *port = '\0';
    say(&line, peer);
    line.at += strftime(line.at, 48, " - - [%d/%b/%Y:%H:%M:%S +0000] \"", &tm);
    request_line(&line, request);
    line.at += sprintf(line.at, "\" %d ", request->status);
    line.at += request->n_sent > 0 ? sprintf(line.at, "%" PRIu64, request->n_sent)
                                   : sprintf(line.at, "-");
    if (is_combined) {
        const char *referer = bide_http_header(request, "Referer");
        const char *agent = bide_http_header(request, "User-Agent");
        say(&line, " \"");
        quote(&line, referer ? referer : "-");
        say(&line, "\" \"");
        size_t left = (size_t)(to + BIDE__HTTP_LOG_LINE - line.at);
        quote(&line, agent && left > TEXT_BYTES_MAX + 32 ? agent : "-");
        say(&line, "\"");
    }
    say(&line, "\n");
    return (size_t)(line.at - to);
}

size_t bide__http_log_print(const struct bide__http_log_entry *entry,
                            const bide_http_request *request, enum bide_http_log_format format,
                            char line[BIDE__HTTP_LOG_LINE])
{
    if (format == BIDE_HTTP_LOG_JSON)
        return print_json(entry, request, line);
    return print_text(entry, request, format == BIDE_HTTP_LOG_COMBINED, line);
}
