/*
 * Answers: their heads, and their bodies as they come.
 *
 * Invariants
 *  - `in` begins with the head, and what stands behind it, from in_begin on, came with it.
 *  - A body is at its end only where its framing says so; there the connection goes back to the
 * pool, or ends, at once.
 */
#include "http/client.h"

#include "base/grow.h"
#include "io/stream/stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { IN_BYTES_MIN = 4096, DRAIN_BYTES_MAX = 65536 };

/* Input */

static int make_room(bide_http_response *response)
{
    return bide__grow(&response->in, &response->in_capacity, response->in_end + 2, IN_BYTES_MIN);
}

int bide__http_answer_more(bide_http_response *response)
{
    int rc = make_room(response);
    if (rc < 0)
        return rc;
    rc = bide_read(response->connection->stream, response->in + response->in_end,
                   response->in_capacity - response->in_end);
    if (rc > 0) {
        response->in_end += (size_t)rc;
        response->has_answered = true;
    }
    return rc;
}

bool bide__http_answer_peek(bide_http_response *response)
{
    struct bide__channel *channel = &response->connection->stream->channel;
    if (!channel->sock || channel->error < 0 || channel->eof || make_room(response) < 0)
        return response->in_end > 0;
    /* The engine may remember that there was nothing, and look only when it is asked again. */
    ssize_t n = -EAGAIN;
    for (int i = 0; i < 2 && n == -EAGAIN; i++)
        n = bide__channel_recv(channel, response->in + response->in_end,
                               response->in_capacity - response->in_end);
    if (n > 0) {
        response->in_end += (size_t)n;
        response->has_answered = true;
    }
    return response->in_end > 0;
}

/* Heads */

static int head_begin(bide_http_response *response)
{
    const struct bide_http_session_opts *opts = &response->session->opts;
    struct bide__http1_limits limits = {.line_bytes = (uint32_t)opts->head_bytes_max,
                                        .head_bytes = (uint32_t)opts->head_bytes_max,
                                        .n_fields = opts->fields_max};
    if (!response->lines)
        response->lines = malloc(opts->fields_max * sizeof *response->lines);
    if (!response->lines)
        return -ENOMEM;
    _Static_assert(sizeof(union bide__http_line) == sizeof(struct bide__http1_field),
                   "the parser's table becomes ours in place");
    bide__http1_head_init(&response->parsed, BIDE__HTTP1_RESPONSE, &limits, &response->lines->at);
    response->parsed.is_for_head = strcmp(response->method, "HEAD") == 0;
    return 0;
}

/* One head of 1xx is over: the next one follows. */
static int head_pass(bide_http_response *response, size_t size)
{
    int status = response->parsed.status;
    if (status == 101)
        return bide__http_explain(response, -EBADMSG, "the server switches protocols unasked");
    if (++response->n_interim > response->session->opts.interim_max)
        return bide__http_explain(response, -BIDE_ELIMIT, "more answers of 1xx than the limit");
    response->in_end -= size;
    memmove(response->in, response->in + size, response->in_end);
    int rc = head_begin(response);
    return rc < 0 ? rc : status;
}

/* The parser's places become texts. */
static void head_finish(bide_http_response *response, size_t size)
{
    char *in = response->in;
    const struct bide__http1_head *parsed = &response->parsed;
    for (size_t i = 0; i < parsed->n_fields; i++) {
        struct bide__http1_field at = response->lines[i].at;
        in[at.name.at + at.name.size] = '\0';
        in[at.value.at + at.value.size] = '\0';
        response->lines[i].field = (struct bide_http_field){in + at.name.at, in + at.value.at};
    }
    in[parsed->reason.at + parsed->reason.size] = '\0';
    response->in_begin = size;
    response->has_head = true;
}

static int head_missing(bide_http_response *response)
{
    if (response->in_end == 0)
        return bide__http_explain(response, -BIDE_EINCOMPLETE,
                                  "the server ended the connection without an answer");
    return bide__http_explain(response, -BIDE_EINCOMPLETE,
                              "the connection ended within the answer's head");
}

/* What has come so far: 1 if that is the final head, 0 if more is needed, -BIDE_EPENDING: 100. */
static int head_parse(bide_http_response *response, bool until_continue)
{
    for (;;) {
        int size = bide__http1_head_parse(&response->parsed, response->in, response->in_end);
        if (size == 0)
            return 0;
        if (size < 0)
            return bide__http_explain(response,
                                      response->parsed.status == 431 ? -BIDE_ELIMIT : -EBADMSG,
                                      "%s", response->parsed.why);
        if (response->parsed.status >= 200) {
            head_finish(response, (size_t)size);
            return 1;
        }
        int rc = head_pass(response, (size_t)size);
        if (rc < 0)
            return rc;
        if (rc == 100 && until_continue)
            return -BIDE_EPENDING;
    }
}

int bide__http_answer_head(bide_http_response *response, bool until_continue)
{
    if (response->has_head)
        return 0;
    int rc = response->lines ? 0 : head_begin(response);
    while (rc == 0) {
        rc = head_parse(response, until_continue);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        bide__http_limit(response, BIDE__HTTP_ANSWERING, response->read_seconds);
        rc = bide__http_answer_more(response);
        if (rc == 0)
            return head_missing(response);
        rc = rc < 0 ? rc : 0;
    }
    return rc;
}

void bide__http_answer_reset(bide_http_response *response)
{
    response->has_head = false;
    response->has_answered = false;
    response->n_interim = 0;
    response->in_begin = 0;
    response->in_end = 0;
    response->error = 0;
    free(response->lines);
    response->lines = NULL;
    bide__http_unpack_free(response->unpack);
    response->unpack = NULL;
    response->body = (struct bide__http1_body){0};
}

const char *bide__http_answer_field(const bide_http_response *response, const char *name)
{
    for (size_t i = 0; response->has_head && i < response->parsed.n_fields; i++)
        if (strcasecmp(response->lines[i].field.name, name) == 0)
            return response->lines[i].field.value;
    return NULL;
}

/* Bodies */

/* The connection has done its duty. */
static void body_over(bide_http_response *response)
{
    if (!response->connection)
        return;
    bool goes_on = (response->parsed.flags & BIDE__HTTP1_KEEP_ALIVE) && !response->wants_close &&
                   response->is_sent && response->in_begin == response->in_end &&
                   response->body.framing != BIDE__HTTP1_UNTIL_END;
    if (goes_on)
        bide__http_pool_release(response);
    else
        bide__http_pool_discard(response);
}

int bide__http_answer_begin_body(bide_http_response *response)
{
    const struct bide_http_session_opts *opts = &response->session->opts;
    const char *coding = bide__http_answer_field(response, "content-encoding");
    bide__http1_body_init(&response->body, response->parsed.framing, response->parsed.length);
    if (bide__http1_body_over(&response->body)) {
        body_over(response);
        return 0;
    }
    if (!coding || response->opts->as_packed || strcasecmp(coding, "identity") == 0)
        return 0;
    struct bide__http_unpack_limits limits = {.bytes_max = opts->unpacked_max,
                                              .factor_max = opts->unpacked_factor};
    int rc = bide__http_unpack_new(coding, &limits, &response->unpack);
    if (rc != -EPROTONOSUPPORT)
        return rc;
    response->error = rc; /* its head can be looked at all the same */
    return 0;
}

static int body_ended(bide_http_response *response)
{
    if (bide__http1_body_end(&response->body) == 0)
        return 0;
    return bide__http_explain(response, -BIDE_EINCOMPLETE, "the connection ended within the body");
}

/*
 * Raw bytes, as they were received, into `buffer`, what came with the head first: how many; 0 at
 * the end of the connection.
 */
static int receive(bide_http_response *response, char *buffer, size_t size)
{
    size_t n = response->in_end - response->in_begin;
    if (n > 0) {
        n = n < size ? n : size;
        memcpy(buffer, response->in + response->in_begin, n);
        response->in_begin += n;
        return (int)n;
    }
    bide__http_limit(response, BIDE__HTTP_READING, response->read_seconds);
    return bide_read(response->connection->stream, buffer, size);
}

/* Takes the content out of raw bytes in place: how many are left of them. What stands behind the
 * body stays unread, which ends the connection. */
static int body_take(bide_http_response *response, char *buffer, size_t size)
{
    size_t kept = 0;
    for (size_t done = 0; done < size;) {
        const char *data;
        size_t data_size;
        if (bide__http1_body_over(&response->body)) {
            response->wants_close = true;
            break;
        }
        int64_t used = bide__http1_body_take(&response->body, buffer + done, size - done, &data,
                                             &data_size);
        if (used < 0)
            return bide__http_explain(response, -EBADMSG, "%s", response->body.why);
        memmove(buffer + kept, data, data_size);
        kept += data_size;
        done += (size_t)used;
    }
    return (int)kept;
}

/* Content as it was sent: how many bytes, 0 at the end. */
static int body_receive(bide_http_response *response, char *buffer, size_t size)
{
    while (!bide__http1_body_over(&response->body)) {
        size_t want = size < INT_MAX ? size : INT_MAX;
        if (response->body.framing == BIDE__HTTP1_LENGTH && want > response->body.left)
            want = (size_t)response->body.left;
        int n = receive(response, buffer, want);
        if (n < 0)
            return n;
        n = n > 0 ? body_take(response, buffer, (size_t)n) : body_ended(response);
        if (n != 0)
            return n;
    }
    return 0;
}

static int body_unpack(bide_http_response *response, char *buffer, size_t size)
{
    struct bide__http_unpack *unpack = response->unpack;
    for (;;) {
        int n = bide__http_unpack_take(unpack, buffer, size);
        if (n < 0)
            return bide__http_explain(response, n, "%s", bide__http_unpack_why(unpack));
        if (n > 0)
            return n;
        size_t room;
        char *packed = bide__http_unpack_room(unpack, &room);
        n = body_receive(response, packed, room);
        if (n < 0)
            return n;
        if (n == 0) {
            n = bide__http_unpack_end(unpack);
            return n == 0 ? 0 : bide__http_explain(response, n, "the packed body is cut off");
        }
        bide__http_unpack_feed(unpack, packed, (size_t)n);
    }
}

int bide__http_body_read(bide_http_response *response, void *buffer, size_t size)
{
    response->phase = BIDE__HTTP_READING;
    if (response->error == -EPROTONOSUPPORT)
        return bide__http_explain(response, response->error, "the body is packed as \"%.40s\"",
                                  bide__http_answer_field(response, "content-encoding"));
    if (response->error < 0)
        return bide__http_explain(response, response->error, "the answer is broken off");
    int rc = response->unpack ? body_unpack(response, buffer, size)
                              : body_receive(response, buffer, size);
    if (bide__http1_body_over(&response->body))
        body_over(response);
    if (rc < 0 && rc != -ECANCELED) {
        response->error = rc;
        bide__http_pool_discard(response);
    }
    return rc;
}

void bide__http_body_drain(bide_http_response *response)
{
    char scratch[2048];
    if (!response->connection)
        return;
    bool is_little = response->has_head && response->error == 0 && response->is_sent &&
                     response->body.framing != BIDE__HTTP1_UNTIL_END &&
                     (response->parsed.flags & BIDE__HTTP1_KEEP_ALIVE) && !response->wants_close;
    if (response->body.framing == BIDE__HTTP1_LENGTH && response->body.left > DRAIN_BYTES_MAX)
        is_little = false;
    for (size_t n = 0; is_little && n < DRAIN_BYTES_MAX && response->connection;) {
        int rc = body_receive(response, scratch, sizeof scratch);
        if (bide__http1_body_over(&response->body))
            body_over(response);
        if (rc <= 0)
            break;
        n += (size_t)rc;
    }
    bide__http_pool_discard(response);
}
