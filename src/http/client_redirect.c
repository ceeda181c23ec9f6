/*
 * URLs of requests, and redirects, as the fetch standard has them.
 *
 * Invariant: a URL is HTTP's and has a host before anything is done with it.
 */
#include "http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_scheme(struct bide_url_part scheme, const char *name)
{
    return scheme.size == strlen(name) && strncasecmp(scheme.data, name, scheme.size) == 0;
}

static int check_url(bide_http_response *response, const struct bide_url *parts, const char *text)
{
    if (!parts->scheme.data)
        return bide__http_explain(response, -EINVAL, "\"%.100s\" has no scheme", text);
    if (!is_scheme(parts->scheme, "http") && !is_scheme(parts->scheme, "https"))
        return bide__http_explain(response, -EPROTONOSUPPORT, "\"%.*s\" is not HTTP",
                                  (int)(parts->scheme.size < 40 ? parts->scheme.size : 40),
                                  parts->scheme.data);
    if (parts->host.size == 0)
        return bide__http_explain(response, -EINVAL, "\"%.100s\" has no host", text);
    return 0;
}

/* Without the user, and where host and port end. */
static void show_url(bide_http_response *response, char *shown)
{
    const char *url = response->url;
    const struct bide_url *parts = &response->parts;
    const char *host = parts->host.data - parts->is_ipv6;
    const char *from = parts->user.data ? parts->user.data : host;
    char *to = mempcpy(shown, url, (size_t)(from - url));
    memcpy(to, host, strlen(host) + 1);
    size_t size = (size_t)(parts->path.data - host) + (size_t)(from - url);
    size_t most = sizeof response->server - 1;
    size = size < most ? size : most;
    *(char *)mempcpy(response->server, shown, size) = '\0';
}

/* Mostly it is as long as it was written, with a slash behind the host. */
static int print_url(const struct bide_url *parts, size_t size, char **ret_url)
{
    char *url = NULL;
    for (size_t room = size + 2;;) {
        char *more = realloc(url, room);
        int length = more ? bide_url_print(parts, more, room) : -ENOMEM;
        if (length < 0) {
            free(more ? more : url);
            return length;
        }
        url = more;
        if ((size_t)length < room) {
            *ret_url = url;
            return length;
        }
        room = (size_t)length + 1;
    }
}

static int take_url(bide_http_response *response, const struct bide_url *parts, size_t size)
{
    char *url;
    int length = print_url(parts, size, &url);
    if (length < 0)
        return length;
    char *shown = malloc((size_t)length + 1);
    if (!shown) {
        free(url);
        return -ENOMEM;
    }
    free(response->url);
    free(response->url_shown);
    response->url = url;
    response->url_shown = shown;
    bide_url_parse(url, (size_t)length, &response->parts, NULL);
    show_url(response, shown);
    return 0;
}

/* The text with all escaped that may not stand in a URL: owned, in *ret_repaired. Its length. */
static int repair(const char *text, char **ret_repaired)
{
    size_t size = strlen(text);
    if (size > BIDE_URL_BYTES_MAX)
        return -E2BIG;
    char *repaired = malloc(3 * size + 1);
    if (!repaired)
        return -ENOMEM;
    int length = bide_url_repair(text, size, repaired, 3 * size + 1);
    if (length < 0)
        free(repaired);
    else
        *ret_repaired = repaired;
    return length;
}

int bide__http_url_set(bide_http_response *response, const char *text)
{
    struct bide_url parts;
    char *repaired;
    int length = repair(text, &repaired);
    if (length == -ENOMEM)
        return length;
    if (length < 0)
        return bide__http_explain(response, -EINVAL, "the URL is too long");
    int rc = bide_url_parse(repaired, (size_t)length, &parts, NULL);
    if (rc == -EINVAL)
        rc = bide__http_explain(response, rc, "\"%.100s\" is no URL", text);
    else if (rc < 0)
        rc = bide__http_explain(response, -EINVAL, "the URL is too long");
    else
        rc = check_url(response, &parts, text);
    if (rc == 0)
        rc = take_url(response, &parts, (size_t)length);
    free(repaired);
    return rc;
}

/* Redirects */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The method that the next request has. */
static void change_method(bide_http_response *response)
{
    int status = response->parsed.status;
    bool is_post = strcmp(response->method, "POST") == 0;
    bool is_plain = strcmp(response->method, "GET") == 0 || strcmp(response->method, "HEAD") == 0;
    if ((status == 303 && !is_plain) || ((status == 301 || status == 302) && is_post)) {
        memcpy(response->method, "GET", sizeof "GET");
        response->drops_body = true;
    }
}

/* The whole URL of a reference: owned, in *ret_url. */
static int resolve_parts(const struct bide_url *base, const struct bide_url *reference,
                         char **ret_url)
{
    int length = bide_url_resolve(base, reference, NULL, 0);
    if (length < 0)
        return length;
    char *url = malloc((size_t)length + 1);
    int rc = url ? bide_url_resolve(base, reference, url, (size_t)length + 1) : -ENOMEM;
    if (rc < 0)
        free(url);
    else
        *ret_url = url;
    return rc < 0 ? rc : 0;
}

/* Location against the URL that answered; a fragment of its own goes before the old one. What one
 * URL grants to its user is not handed on. */
static int resolve(const bide_http_response *response, const char *location, char **ret_url)
{
    char *repaired;
    struct bide_url reference;
    struct bide_url base = response->parts;
    base.user = (struct bide_url_part){0};
    int length = repair(location, &repaired);
    if (length < 0)
        return length == -ENOMEM ? length : -EINVAL;
    int rc = bide_url_parse(repaired, (size_t)length, &reference, NULL) < 0 ? -EINVAL : 0;
    if (rc == 0) {
        reference.user = (struct bide_url_part){0};
        if (!reference.fragment.data)
            reference.fragment = base.fragment;
        rc = resolve_parts(&base, &reference, ret_url);
    }
    free(repaired);
    return rc;
}

static int check_count(bide_http_response *response)
{
    unsigned most = response->session->opts.redirects_max;
    if (response->n_redirects < most)
        return 0;
    return bide__http_explain(response, -ELOOP, "more than %u redirects", most);
}

int bide__http_redirect(bide_http_response *response)
{
    char before[sizeof response->server];
    const char *location = bide__http_answer_field(response, "location");
    if (!is_redirect(response->parsed.status) || !location || response->opts->no_redirects)
        return 0;
    int rc = check_count(response);
    if (rc < 0)
        return rc;
    char *url;
    rc = resolve(response, location, &url);
    if (rc < 0)
        return bide__http_explain(response, rc, "a redirect to \"%.100s\"", location);
    bide__http_body_drain(response);
    change_method(response);
    if (!response->drops_body && bide__http_out_rewind(&response->out) < 0) {
        free(url);
        return bide__http_explain(response, -EOPNOTSUPP,
                                  "a redirect asks for a body that cannot be sent twice");
    }
    memcpy(before, response->server, sizeof before);
    rc = bide__http_url_set(response, url);
    free(url);
    if (rc < 0)
        return rc;
    if (strcmp(before, response->server) != 0)
        response->has_left_origin = true;
    response->n_redirects++;
    bide__http_answer_reset(response);
    return 1;
}
