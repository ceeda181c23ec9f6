/*
 * Requests: what their head says, and how they go out.
 *
 * Invariants
 *  - Where the message ends is said by us alone: fields that have a say in that are refused from
 * users.
 *  - Credentials do not follow a redirect to another origin.
 */
#include "http/client.h"

#include "http/cookies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PIECE_BYTES = 16384, WHOLE_BYTES_MAX = 49152, EXPECT_BYTES_MIN = 1 << 20 };

/* Fields */

static const char *const ours[] = {
    "content-length", "transfer-encoding", "expect", "trailer", "upgrade", "te", "keep-alive"};

static int check_field(const bide_http_response *response, const struct bide_http_field *field)
{
    if (!field->name || !field->value || !bide__http_is_name(field->name) ||
        !bide__http_is_value(field->value))
        return bide__http_explain(response, -EINVAL, "a header that makes no sense: %.60s",
                                  field->name ? field->name : "NULL");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(field->name, ours[i]) == 0)
            return bide__http_explain(response, -EINVAL, "the header %s is the client's own",
                                      field->name);
    return 0;
}

static int count_bodies(const struct bide_http_fetch_opts *opts)
{
    return (opts->body != NULL) + (opts->json != NULL) + (opts->body_file != NULL) +
           (opts->form != NULL) + (opts->source != NULL);
}

int bide__http_request_check(bide_http_response *response)
{
    const struct bide_http_fetch_opts *opts = response->opts;
    const char *method = response->method;
    if (!bide__http_is_name(method) || strcmp(method, "CONNECT") == 0)
        return bide__http_explain(response, -EINVAL, "a method that makes no sense");
    if (count_bodies(opts) > 1 || (!opts->body && opts->body_size > 0) ||
        (opts->source_size && !opts->source))
        return bide__http_explain(response, -EINVAL, "more than one body, or half of one");
    if (strcmp(method, "TRACE") == 0 && count_bodies(opts) > 0)
        return bide__http_explain(response, -EINVAL, "a body with TRACE");
    if ((opts->bearer && !bide__http_is_value(opts->bearer)) ||
        (opts->content_type && !bide__http_is_value(opts->content_type)) ||
        (opts->user && strchr(opts->user, ':')) || (opts->bearer && opts->user))
        return bide__http_explain(response, -EINVAL, "credentials or a type that make no sense");
    if (!opts->headers && opts->n_headers > 0)
        return -EINVAL;
    for (size_t i = 0; i < opts->n_headers; i++) {
        int rc = check_field(response, &opts->headers[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_named(const struct bide_http_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(fields[i].name, name) == 0)
            return true;
    return false;
}

static bool is_given(const bide_http_response *response, const char *name)
{
    const bide_http_fields *defaults = &response->session->headers;
    return is_named(response->opts->headers, response->opts->n_headers, name) ||
           is_named(defaults->all, defaults->n, name);
}

static bool stays_behind(const bide_http_response *response, const char *name)
{
    bool is_secret = strcasecmp(name, "authorization") == 0 || strcasecmp(name, "cookie") == 0 ||
                     strcasecmp(name, "proxy-authorization") == 0;
    bool is_about_body = strncasecmp(name, "content-", 8) == 0;
    return (is_secret && response->has_left_origin) || (is_about_body && response->drops_body);
}

static void write_field(bide_http_response *response, const char *name, const char *value)
{
    struct bide__http_text *head = &response->head;
    if (*value == '\0' || stays_behind(response, name))
        return;
    bide__http_text_say(head, name);
    bide__http_text_add(head, ": ", 2);
    bide__http_text_say(head, value);
    bide__http_text_add(head, "\r\n", 2);
    if (strcasecmp(name, "connection") == 0 && bide_http_list_has(value, "close"))
        response->wants_close = true;
}

static void write_given(bide_http_response *response)
{
    const struct bide_http_fetch_opts *opts = response->opts;
    const bide_http_fields *defaults = &response->session->headers;
    for (size_t i = 0; i < opts->n_headers; i++)
        if (strcasecmp(opts->headers[i].name, "host") != 0)
            write_field(response, opts->headers[i].name, opts->headers[i].value);
    for (size_t i = 0; i < defaults->n; i++)
        if (!is_named(opts->headers, opts->n_headers, defaults->all[i].name) &&
            strcasecmp(defaults->all[i].name, "host") != 0)
            write_field(response, defaults->all[i].name, defaults->all[i].value);
}

/* Host, and with it the port if the URL has one that is not its scheme's. */
static void write_host(bide_http_response *response)
{
    const struct bide_url *parts = &response->parts;
    const struct bide_http_fetch_opts *opts = response->opts;
    struct bide__http_text *head = &response->head;
    for (size_t i = 0; i < opts->n_headers; i++) {
        if (strcasecmp(opts->headers[i].name, "host") == 0 && response->n_redirects == 0) {
            bide__http_text_print(head, "Host: %s\r\n", opts->headers[i].value);
            return;
        }
    }
    const char *end = parts->port.data ? parts->port.data + parts->port.size
                                       : parts->host.data + parts->host.size + parts->is_ipv6;
    const char *from = parts->host.data - parts->is_ipv6;
    bide__http_text_say(head, "Host: ");
    bide__http_text_add(head, from, (size_t)(end - from));
    bide__http_text_say(head, "\r\n");
}

/* Authorization */

static void write_basic(struct bide__http_text *head, const char *name, const char *user,
                        const char *password)
{
    struct bide__http_text pair = {0};
    bide__http_text_print(&pair, "%s:%s", user, password);
    if (pair.has_failed) {
        head->has_failed = true;
        return;
    }
    bide__http_text_print(head, "%s: Basic ", name);
    bide__http_text_base64(head, pair.data, pair.size);
    bide__http_text_say(head, "\r\n");
    bide__http_text_fini(&pair);
}

/* The URL's own: "user" or "user:password", with escapes. */
static void write_url_user(bide_http_response *response)
{
    char user[512], password[512] = "";
    struct bide_url_part part = response->parts.user;
    const char *colon = memchr(part.data, ':', part.size);
    size_t size = colon ? (size_t)(colon - part.data) : part.size;
    int n = bide_url_decode(part.data, size, user, sizeof user);
    int m = colon ? bide_url_decode(colon + 1, part.size - size - 1, password, sizeof password) : 0;
    if (n >= 0 && n < (int)sizeof user && m >= 0 && m < (int)sizeof password)
        write_basic(&response->head, "Authorization", user, password);
}

static void write_credentials(bide_http_response *response)
{
    const struct bide_http_fetch_opts *opts = response->opts;
    const struct bide__http_origin *origin = response->origin;
    if (origin->proxy && !origin->is_tunnel && origin->proxy->credentials)
        bide__http_text_print(&response->head, "Proxy-Authorization: %s\r\n",
                              origin->proxy->credentials);
    if (response->has_left_origin || is_given(response, "Authorization"))
        return;
    if (opts->bearer)
        bide__http_text_print(&response->head, "Authorization: Bearer %s\r\n", opts->bearer);
    else if (opts->user)
        write_basic(&response->head, "Authorization", opts->user,
                    opts->password ? opts->password : "");
    else if (response->parts.user.size > 0)
        write_url_user(response);
}

static void write_cookies(bide_http_response *response)
{
    bide_http_cookies *cookies = response->session->cookies;
    struct bide__http_text *head = &response->head;
    if (!cookies || bide_http_cookies_count(cookies) == 0 || is_given(response, "Cookie"))
        return;
    size_t before = head->size;
    bide__http_text_say(head, "Cookie: ");
    int n = bide__cookies_write(cookies, response->url_shown, bide__http_now(response->session),
                                head);
    if (n > 0)
        bide__http_text_say(head, "\r\n");
    else
        head->size = before;
}

/* The body */

static bool has_body(const bide_http_response *response)
{
    return !response->out.is_empty && !response->drops_body;
}

static bool expects(const bide_http_response *response)
{
    const struct bide_http_fetch_opts *opts = response->opts;
    const struct bide__http_out *out = &response->out;
    if (!has_body(response) || opts->no_expect || response->no_expect)
        return false;
    return opts->expect_continue || !out->is_sized || out->size >= EXPECT_BYTES_MIN;
}

static void write_body_fields(bide_http_response *response)
{
    const struct bide__http_out *out = &response->out;
    const char *method = response->method;
    struct bide__http_text *head = &response->head;
    if (!has_body(response)) {
        /* Servers wait for one with these, or for a length. */
        if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
            strcmp(method, "PATCH") == 0)
            bide__http_text_say(head, "Content-Length: 0\r\n");
        return;
    }
    const char *type = response->opts->content_type ? response->opts->content_type : out->type;
    if (*type && !is_given(response, "Content-Type"))
        bide__http_text_print(head, "Content-Type: %s\r\n", type);
    if (out->is_sized) {
        bide__http_text_say(head, "Content-Length: ");
        bide__http_text_number(head, out->size);
        bide__http_text_say(head, "\r\n");
    } else {
        bide__http_text_say(head, "Transfer-Encoding: chunked\r\n");
    }
    if (expects(response))
        bide__http_text_say(head, "Expect: 100-continue\r\n");
}

/* What the first line asks for: the path, or all of the URL where a proxy forwards. */
static void write_target(bide_http_response *response)
{
    const struct bide_url *parts = &response->parts;
    const struct bide__http_origin *origin = response->origin;
    struct bide__http_text *head = &response->head;
    if (origin->proxy && !origin->is_tunnel) {
        size_t size = strcspn(response->url_shown, "#");
        bide__http_text_add(head, response->url_shown, size);
        return;
    }
    const char *end = parts->query.data ? parts->query.data + parts->query.size
                                        : parts->path.data + parts->path.size;
    bide__http_text_add(head, parts->path.data, (size_t)(end - parts->path.data));
}

int bide__http_request_write(bide_http_response *response)
{
    struct bide__http_text *head = &response->head;
    head->size = 0;
    response->wants_close = false;
    bide__http_text_say(head, response->method);
    bide__http_text_say(head, " ");
    write_target(response);
    bide__http_text_say(head, " HTTP/1.1\r\n");
    write_host(response);
    write_given(response);
    if (!is_given(response, "User-Agent"))
        bide__http_text_say(head, "User-Agent: bide\r\n");
    if (!is_given(response, "Accept"))
        bide__http_text_say(head, "Accept: */*\r\n");
    if (!response->opts->as_packed && !is_given(response, "Accept-Encoding"))
        write_field(response, "Accept-Encoding", bide__http_unpack_codings);
    write_cookies(response);
    write_credentials(response);
    write_body_fields(response);
    bide__http_text_say(head, "\r\n");
    return head->has_failed ? -ENOMEM : 0;
}

/* Sending */

static int send_pieces(bide_http_response *response, struct iovec *pieces, int n)
{
    bide__http_limit(response, BIDE__HTTP_SENDING, response->read_seconds);
    return bide_writev(response->connection->stream, pieces, n);
}

static int send_head(bide_http_response *response)
{
    struct iovec piece = {response->head.data, response->head.size};
    return send_pieces(response, &piece, 1);
}

/* A small body goes out together with its head. */
static int send_whole(bide_http_response *response)
{
    const struct bide__http_out *out = &response->out;
    struct iovec pieces[] = {{response->head.data, response->head.size},
                             {(char *)(uintptr_t)out->memory, (size_t)out->size}};
    return send_pieces(response, pieces, has_body(response) ? 2 : 1);
}

static char line_end[] = "\r\n", last_chunk[] = "0\r\n\r\n";

static int send_piece(bide_http_response *response, char *piece, int size)
{
    char line[16];
    struct iovec pieces[] = {{line, 0}, {piece, (size_t)size}, {line_end, 2}};
    if (response->out.is_sized)
        return send_pieces(response, &pieces[1], 1);
    pieces[0].iov_len = (size_t)snprintf(line, sizeof line, "%x\r\n", (unsigned)size);
    return send_pieces(response, pieces, 3);
}

/* An answer that comes before the end: one that refuses makes the rest needless. */
static bool is_refused(bide_http_response *response)
{
    if (!bide__http_answer_peek(response) || response->in_end < sizeof "HTTP/1.1 2" - 1)
        return false;
    return response->in[sizeof "HTTP/1.1 " - 1] >= '3';
}

static int send_body(bide_http_response *response)
{
    struct bide__http_out *out = &response->out;
    struct iovec last = {last_chunk, sizeof last_chunk - 1};
    char *piece = malloc(PIECE_BYTES);
    int rc = piece ? 0 : -ENOMEM;
    while (rc == 0 && !is_refused(response)) {
        bide__http_limit(response, BIDE__HTTP_SENDING, response->read_seconds);
        int n = bide__http_out_read(out, piece, PIECE_BYTES);
        if (n < 0) {
            out->has_failed = true;
            free(piece);
            return n;
        }
        if (n == 0) {
            response->is_sent = true;
            rc = out->is_sized ? 0 : send_pieces(response, &last, 1);
            break;
        }
        rc = send_piece(response, piece, n);
    }
    free(piece);
    if (rc < 0)
        response->is_sent = false;
    return rc < 0 && bide__http_answer_peek(response) ? 0 : rc;
}

/* Lets the server say whether it wants the body: 1 if it does, or says nothing. */
static int wait_continue(bide_http_response *response)
{
    bide__http_limit(response, BIDE__HTTP_ANSWERING, response->read_seconds);
    int rc = bide_within(response->session->opts.continue_seconds,
                         bide__http_answer_head(response, true));
    if (rc == -ETIMEDOUT && !bide_timeout_expired(response->limit))
        return 1;
    return rc == -BIDE_EPENDING ? 1 : rc;
}

int bide__http_request_send(bide_http_response *response)
{
    struct bide__http_out *out = &response->out;
    response->is_sent = false;
    if (!has_body(response) ||
        (out->memory && out->size <= WHOLE_BYTES_MAX && !expects(response))) {
        int rc = send_whole(response);
        response->is_sent = rc == 0;
        return rc;
    }
    int rc = send_head(response);
    if (rc == 0 && expects(response)) {
        rc = wait_continue(response);
        if (rc <= 0)
            return rc;
        rc = 0;
    }
    return rc < 0 ? rc : send_body(response);
}
