/* One check of `bide status`; see status_probe.h. HTTP/1.1 by hand, over bare streams. */
#include "status_probe.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

enum { HEAD_LINES_MAX = 256, LINE_BYTES_MAX = 16384, REQUEST_SIZE = PROBE_URL_SIZE + 512 };

static const struct bide_connect_opts connect_opts = {.stream.read_limit_bytes = LINE_BYTES_MAX};

__attribute__((format(printf, 3, 4))) static int fail(struct probe *probe, int error,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(probe->detail, sizeof probe->detail, format, arguments);
    va_end(arguments);
    return error;
}

static bool is_scheme(const struct bide_url *url, const char *name)
{
    return url->scheme.size == strlen(name) &&
           memcmp(url->scheme.data, name, url->scheme.size) == 0;
}

static int connect_to(struct probe *probe, const struct bide_url *url, bide_stream **ret_stream)
{
    char host[PROBE_URL_SIZE] = "";
    unsigned port = bide_url_port(url);
    int rc = bide_url_decode(url->host.data, url->host.size, host, sizeof host);
    if (rc < 0)
        return rc;
    if (is_scheme(url, "https")) {
#if BIDE_HAVE_TLS
        const struct bide_tls_opts opts = {.connect = connect_opts};
        return bide_tls_connect(host, port, probe->opts->tls, &opts, ret_stream);
#else
        return fail(probe, -EPROTONOSUPPORT, "this build has no TLS");
#endif
    }
    return bide_connect(host, port, &connect_opts, ret_stream);
}

static int ask(const struct probe *probe, const struct bide_url *url, bide_stream *stream)
{
    char request[REQUEST_SIZE], port[8] = "";
    assert(url->host.data);
    const char *zone = memchr(url->host.data, '%', url->host.size);
    size_t host_size = url->is_ipv6 && zone ? (size_t)(zone - url->host.data) : url->host.size;
    if (url->port.size > 0)
        snprintf(port, sizeof port, ":%u", url->port_number);
    int n = snprintf(request, sizeof request,
                     "%s %.*s%s%.*s HTTP/1.1\r\nHost: %s%.*s%s%s\r\nUser-Agent: bide/%s\r\n"
                     "Accept: */*\r\nConnection: close\r\n\r\n",
                     probe->opts->is_head ? "HEAD" : "GET", (int)url->path.size, url->path.data,
                     url->query.data ? "?" : "", (int)url->query.size,
                     url->query.data ? url->query.data : "", url->is_ipv6 ? "[" : "",
                     (int)host_size, url->host.data, url->is_ipv6 ? "]" : "", port, BIDE_VERSION);
    return bide_write(stream, request, (size_t)n);
}

/* One line of the head, without its end. Its size, or an error. */
static int read_head_line(struct probe *probe, bide_stream *stream, char **ret_line)
{
    int n = bide_read_line(stream, ret_line);
    if (n == 0)
        return fail(probe, -EPROTO, "the connection ended before an answer");
    if (n == -BIDE_ELIMIT)
        return fail(probe, -EPROTO, "a line of the answer is too long");
    if (n < 0)
        return n;
    n -= !bide_at_eof(stream) || (*ret_line)[n - 1] == '\0';
    if (n > 0 && (*ret_line)[n - 1] == '\r')
        (*ret_line)[--n] = '\0';
    return n;
}

/* "HTTP/1.1 200 OK"; the reason may be missing. */
static int parse_status(struct probe *probe, const char *line, struct probe_hop *hop)
{
    unsigned major, minor, status;
    int n = 0;
    if (sscanf(line, "HTTP/%1u.%1u %3u%n", &major, &minor, &status, &n) != 3 || status < 100 ||
        (line[n] != ' ' && line[n] != '\0'))
        return fail(probe, -EPROTO, "not an answer of HTTP/1");
    hop->status = (int)status;
    size_t i = 0;
    for (const char *at = line + n + (line[n] == ' '); *at && i + 1 < sizeof hop->reason; at++)
        hop->reason[i++] = *at >= ' ' && *at <= '~' ? *at : '?';
    hop->reason[i] = '\0';
    return 0;
}

/* The value of the header if the line is that one, or NULL. */
static const char *header_value(const char *line, const char *name)
{
    size_t size = strlen(name);
    if (strncasecmp(line, name, size) != 0 || line[size] != ':')
        return NULL;
    return line + size + 1 + strspn(line + size + 1, " \t");
}

/* Through the empty line behind the headers. `location` stays as it is if there is none. */
static int read_head(struct probe *probe, bide_stream *stream, struct probe_hop *hop,
                     char location[PROBE_URL_SIZE])
{
    char *line;
    int rc = read_head_line(probe, stream, &line);
    if (rc >= 0)
        rc = parse_status(probe, line, hop);
    for (int i = 0; rc >= 0 && i < HEAD_LINES_MAX; i++) {
        rc = read_head_line(probe, stream, &line);
        if (rc <= 0)
            return rc;
        const char *value = header_value(line, "location");
        if (!value)
            continue;
        size_t size = strlen(value);
        while (size > 0 && strchr(" \t", value[size - 1]))
            size--;
        if (bide_url_repair(value, size, location, PROBE_URL_SIZE) >= PROBE_URL_SIZE)
            return fail(probe, -EPROTO, "the redirect's address is too long");
    }
    return rc < 0 ? rc : fail(probe, -EPROTO, "too many headers");
}

static int exchange(struct probe *probe, bide_stream *stream, const struct bide_url *url,
                    struct probe_hop *hop, char location[PROBE_URL_SIZE])
{
    int rc = ask(probe, url, stream);
    if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET) /* it may have answered before */
        return rc;
    do
        rc = read_head(probe, stream, hop, location);
    while (rc == 0 && hop->status < 200);
    if (rc < 0)
        hop->status = 0;
    return rc;
}

/* Asks for the URL of the newest hop. */
static int visit(struct probe *probe, const struct bide_url *url, char location[PROBE_URL_SIZE])
{
    struct probe_hop *hop = &probe->hops[probe->n_hops - 1];
    bide_stream *stream = NULL;
    double begin = bide_time();
    int rc = connect_to(probe, url, &stream);
    if (rc == 0)
        rc = exchange(probe, stream, url, hop, location);
    hop->seconds = bide_time() - begin;
    bide_abort(stream); /* nobody wants the body */
    bide_close(stream);
    return rc;
}

/* A URL that can be asked for becomes a hop, in its normal form without the fragment. */
static int hop_add(struct probe *probe, const char *text, struct bide_url *ret_url)
{
    struct probe_hop *hop = &probe->hops[probe->n_hops];
    size_t size = strcspn(text, "#");
    if (size >= sizeof hop->url)
        return fail(probe, -EINVAL, "longer than %d bytes", PROBE_URL_SIZE - 1);
    memcpy(hop->url, text, size);
    hop->url[size] = '\0';
    probe->n_hops++;
    int rc = bide_url_parse(hop->url, size, ret_url, NULL);
    if (rc < 0)
        return fail(probe, rc, "not a URL");
    if (!is_scheme(ret_url, "http") && !is_scheme(ret_url, "https"))
        return fail(probe, -EPROTONOSUPPORT, "neither http nor https");
    if (ret_url->host.size == 0)
        return fail(probe, -EINVAL, "no host");
    if (ret_url->user.data)
        return fail(probe, -EINVAL, "names and passwords in URLs are not sent");
    return 0;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where the answer leads, in its normal form. */
static int resolve(struct probe *probe, const struct bide_url *base, const char *location,
                   char target[PROBE_URL_SIZE])
{
    struct bide_url reference;
    int rc = bide_url_parse(location, strlen(location), &reference, NULL);
    if (rc == 0)
        rc = bide_url_resolve(base, &reference, target, PROBE_URL_SIZE);
    if (rc < 0 || rc >= PROBE_URL_SIZE)
        return fail(probe, -EPROTO, "the redirect leads to no URL");
    return 0;
}

/* The texts are too large for a task's stack. */
struct texts {
    char target[PROBE_URL_SIZE];
    char location[PROBE_URL_SIZE];
};

/* The first target: what the user wrote, in its normal form; the scheme may be missing. */
static int begin(struct probe *probe, struct texts *texts)
{
    struct bide_url url;
    const char *scheme = strstr(probe->target, "://") ? "" : "http://";
    int n = snprintf(texts->target, sizeof texts->target, "%s%s", scheme, probe->target);
    if (n < PROBE_URL_SIZE)
        n = bide_url_repair(texts->target, (size_t)n, texts->location, sizeof texts->location);
    if (n >= PROBE_URL_SIZE)
        return fail(probe, -EINVAL, "longer than %d bytes", PROBE_URL_SIZE - 1);
    int rc = bide_url_parse(texts->location, (size_t)n, &url, NULL);
    if (rc == 0)
        rc = bide_url_print(&url, texts->target, sizeof texts->target);
    if (rc < 0 || rc >= PROBE_URL_SIZE)
        return fail(probe, -EINVAL, "not a URL");
    return 0;
}

static int follow(struct probe *probe, struct texts *texts)
{
    int rc = begin(probe, texts);
    while (rc == 0) {
        struct bide_url url = {0};
        rc = hop_add(probe, texts->target, &url);
        if (rc < 0)
            return rc;
        texts->location[0] = '\0';
        rc = visit(probe, &url, texts->location);
        if (rc < 0 || !is_redirect(probe_status(probe)) || !texts->location[0] ||
            probe->opts->redirects_max == 0)
            return rc;
        if (probe->n_hops > probe->opts->redirects_max)
            return fail(probe, -ELOOP, "more than %d redirects", probe->opts->redirects_max);
        rc = resolve(probe, &url, texts->location, texts->target);
    }
    return rc;
}

int probe_run(struct probe *probe)
{
    struct texts *texts = malloc(sizeof *texts);
    int rc = texts ? bide_within(probe->opts->seconds, follow(probe, texts)) : -ENOMEM;
    free(texts);
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0 && !probe->detail[0])
        fail(probe, rc, "%s", bide_error_detail());
    probe->error = rc < 0 ? rc : 0;
    return 0;
}

int probe_status(const struct probe *probe)
{
    return probe->n_hops > 0 ? probe->hops[probe->n_hops - 1].status : 0;
}
