/* Bytes through a filter; see filter_io.h and filter.h. */
#include "tls/filter_io.h"

#include "base/grow.h"
#include "runtime/task.h"
#include "tls/info.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* Of a record, beside its bytes: header, explicit nonce, padding and authentication of any suite.
 */
enum { RECORD_EXTRA_BYTES = 128, CONTROL_BYTES = 1024, CONTROL_BYTES_MAX = 256 * 1024 };

static struct bide__tls_filter *filter_of(BIO *bio)
{
    return BIO_get_data(bio);
}

/* The BIO */

static int bio_read(BIO *bio, char *buffer, int size)
{
    struct bide__tls_filter *filter = filter_of(bio);
    BIO_clear_retry_flags(bio);
    if (filter->has_ended)
        return filter->lower_end == 0 ? 0 : -1;
    ssize_t n = filter->lower->engine->ops->try_recv(filter->lower, buffer, (size_t)size);
    if (n > 0)
        return (int)n;
    if (n == -EAGAIN && filter->wait_error == 0) {
        filter->dry = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    filter->has_ended = true;
    filter->lower_end = n == -EAGAIN ? filter->wait_error : (int)n;
    return n == 0 ? 0 : -1;
}

static int output_reserve(struct bide__tls_output *output, size_t size)
{
    return bide__grow(&output->data, &output->capacity, output->size + size, CONTROL_BYTES);
}

/* An idle connection holds no output buffer. */
static void output_clear(struct bide__tls_output *output)
{
    free(output->data);
    *output = (struct bide__tls_output){0};
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct bide__tls_filter *filter = filter_of(bio);
    BIO_clear_retry_flags(bio);
    if (filter->send_error < 0) /* nobody will see it; the failure is told where it matters */
        return size;
    bool is_full = filter->filling.size + (size_t)size > CONTROL_BYTES_MAX;
    if (is_full || output_reserve(&filter->filling, (size_t)size) < 0) {
        if (is_full && bide__tls_held(filter) > 0)
            BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(filter->filling.data + filter->filling.size, data, (size_t)size);
    filter->filling.size += (size_t)size;
    return size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return filter_of(bio)->has_ended;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

BIO_METHOD *bide__tls_bio_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "bide");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_ctrl))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* Output */

static void lower_send_failed(struct bide__tls_filter *filter, int error)
{
    filter->send_error = error;
    filter->has_lost = filter->holds_plain;
    output_clear(&filter->filling);
}

/* Hands what OpenSSL left to the lower socket, if that has nothing before it. */
static void push(struct bide__tls_filter *filter)
{
    const struct bide_engine_ops *ops = filter->lower->engine->ops;
    struct bide__tls_output *output = &filter->filling;
    if (output->size == 0 || filter->sending.size > 0 || filter->closed)
        return;
    if (filter->is_parted) {
        output_clear(output);
        return;
    }
    struct iovec iov = {.iov_base = output->data, .iov_len = output->size};
    ssize_t n = ops->try_send(filter->lower, &iov, 1);
    if (n == (ssize_t)output->size) {
        output_clear(output);
        filter->holds_plain = false;
        return;
    }
    if (n < 0 && n != -EAGAIN) {
        lower_send_failed(filter, (int)n);
        return;
    }
    size_t skip = n > 0 ? (size_t)n : 0;
    filter->sending = *output;
    *output = (struct bide__tls_output){0};
    filter->sending_iov = (struct iovec){.iov_base = filter->sending.data + skip,
                                         .iov_len = filter->sending.size - skip};
    int rc = ops->send(filter->lower, &filter->lower_send, &filter->sending_iov, 1);
    if (rc != BIDE_PENDING)
        bide__tls_sent(filter, rc);
}

void bide__tls_sent(struct bide__tls_filter *filter, int result)
{
    output_clear(&filter->sending);
    filter->recv_wants_send = false;
    if (result < 0)
        lower_send_failed(filter, result);
    else if (filter->filling.size == 0)
        filter->holds_plain = false;
    else
        push(filter);
}

/* What OpenSSL answered */

/* Everything is over. Takes the words. */
static void fail(struct bide__tls_filter *filter, int error, char *words)
{
    if (filter->error < 0) {
        free(words);
        return;
    }
    filter->error = error;
    free(filter->words);
    filter->words = words;
}

static char *words_of_end(const struct bide__tls_filter *filter)
{
    return strdup(filter->connected ? "the connection ended without the end of the TLS session"
                                    : "the connection ended in the middle of the TLS handshake");
}

/* What stops OpenSSL is the end of the lower socket. */
static void fail_at_end(struct bide__tls_filter *filter)
{
    ERR_clear_error();
    if (filter->lower_end < 0)
        fail(filter, filter->lower_end, NULL);
    else
        fail(filter, -BIDE_ETRUNCATED, words_of_end(filter));
}

/* OpenSSL says that the protocol is broken. */
static void fail_of_queue(struct bide__tls_filter *filter)
{
    int error;
    char *words = bide__tls_words_of_queue(&error);
    if (filter->refusing && error != -ENOMEM) {
        free(words);
        words = filter->words;
        filter->words = NULL;
        error = -BIDE_ECERTIFICATE;
    }
    fail(filter, error, words);
}

/* How OpenSSL's call, which returned `rc` <= 0, goes on. Sends what it left behind. */
static enum bide__tls_step judge(struct bide__tls_filter *filter, int rc)
{
    int reason = SSL_get_error(filter->ssl, rc);
    push(filter);
    switch (reason) {
    case SSL_ERROR_WANT_READ:
        return BIDE__TLS_WANTS_RECV;
    case SSL_ERROR_WANT_WRITE:
        return BIDE__TLS_WANTS_SEND;
    case SSL_ERROR_ZERO_RETURN:
        return BIDE__TLS_DONE;
    case SSL_ERROR_SYSCALL:
        if (!filter->has_ended)
            fail(filter, -ENOMEM, NULL); /* of the output */
        break;
    }
    if (filter->error == 0 && filter->has_ended &&
        (reason == SSL_ERROR_SYSCALL ||
         ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
        fail_at_end(filter);
    if (filter->error == 0)
        fail_of_queue(filter);
    ERR_clear_error();
    return BIDE__TLS_FAILED;
}

enum bide__tls_step bide__tls_handshake(struct bide__tls_filter *filter)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(filter->ssl);
    if (rc <= 0)
        return judge(filter, rc);
    push(filter);
    return BIDE__TLS_DONE;
}

/* Input */

/* Leaves the words about the failure where the caller's own are, and returns it. */
static int told(const struct bide__tls_filter *filter)
{
    if (filter->words)
        bide__detail_set(filter->error, "%s", filter->words);
    return filter->error;
}

/* Why nothing came, by what OpenSSL answered. A truncated end is of this direction only. */
static int recv_result(struct bide__tls_filter *filter, int rc)
{
    enum bide__tls_step step = judge(filter, rc);
    filter->recv_wants_send = step == BIDE__TLS_WANTS_SEND;
    if (step == BIDE__TLS_DONE)
        return 0;
    if (step != BIDE__TLS_FAILED)
        return -EAGAIN;
    if (filter->error == -BIDE_ETRUNCATED && filter->context->allow_truncation)
        return 0;
    return told(filter);
}

static int recv_error(const struct bide__tls_filter *filter)
{
    if (filter->error == -BIDE_ETRUNCATED && filter->context->allow_truncation)
        return 0;
    return told(filter);
}

ssize_t bide__tls_recv(struct bide__tls_filter *filter, void *buffer, size_t size)
{
    size_t n_done = 0;
    if (filter->error < 0)
        return recv_error(filter);
    if (!filter->connected)
        return -ENOTCONN;
    do {
        size_t n = 0;
        ERR_clear_error();
        int rc = SSL_read_ex(filter->ssl, (char *)buffer + n_done, size - n_done, &n);
        if (rc <= 0) { /* behind what came, an error or the end is found by the next call again */
            rc = recv_result(filter, rc);
            return n_done > 0 ? (ssize_t)n_done : rc;
        }
        n_done += n;
    } while (n_done < size && SSL_has_pending(filter->ssl));
    push(filter);
    return (ssize_t)n_done;
}

bool bide__tls_readable(struct bide__tls_filter *filter)
{
    char byte;
    size_t n;
    if (filter->error < 0 || !filter->connected || SSL_pending(filter->ssl) > 0)
        return true;
    if ((filter->dry && !filter->has_ended) ||
        (filter->recv_wants_send && bide__tls_held(filter) > 0))
        return false;
    ERR_clear_error();
    int rc = SSL_peek_ex(filter->ssl, &byte, 1, &n);
    if (rc > 0)
        return true;
    return recv_result(filter, rc) != -EAGAIN;
}

int bide__tls_wait_lower(struct bide__tls_filter *filter)
{
    if (filter->has_ended)
        return 0;
    if (filter->lower_recv.state != BIDE_OP_IDLE)
        return BIDE_PENDING;
    int rc = filter->lower->engine->ops->recv_wait(filter->lower, &filter->lower_recv);
    if (rc == 0)
        filter->dry = false;
    return rc;
}

/* Sending */

int bide__tls_send_error(struct bide__tls_filter *filter)
{
    if (filter->error < 0 && filter->error != -BIDE_ETRUNCATED)
        return told(filter);
    if (filter->error < 0 || filter->send_error < 0) /* nobody is there any more */
        return filter->send_error < 0 ? filter->send_error : -EPIPE;
    return filter->connected ? 0 : -ENOTCONN;
}

/* Where in the caller's pieces it stands. */
struct cursor {
    const struct iovec *iov;
    int n_iov;
    size_t skip;
};

/*
 * The next at most `size` bytes, for one record: where they lie, if that is one place, otherwise
 * copied together, so that many small pieces are not many small records.
 */
static const char *next_bytes(struct cursor *cursor, size_t size, size_t *ret_size)
{
    static _Thread_local char together[BIDE__TLS_RECORD_BYTES];
    size_t n = 0;
    if (size > sizeof together)
        size = sizeof together;
    while (cursor->n_iov > 0 && n < size) {
        const char *data = (const char *)cursor->iov->iov_base + cursor->skip;
        size_t left = cursor->iov->iov_len - cursor->skip;
        size_t part = left < size - n ? left : size - n;
        cursor->skip += part;
        if (part == left) {
            cursor->iov++;
            cursor->n_iov--;
            cursor->skip = 0;
        }
        if (n == 0 && (part == size || cursor->n_iov == 0)) {
            *ret_size = part;
            return data;
        }
        memcpy(together + n, data, part);
        n += part;
    }
    *ret_size = n;
    return together;
}

static size_t size_of(const struct iovec *iov, int n_iov)
{
    size_t size = 0;
    for (int i = 0; i < n_iov && size < BIDE__TLS_BATCH_BYTES; i++)
        size += iov[i].iov_len;
    return size < BIDE__TLS_BATCH_BYTES ? size : BIDE__TLS_BATCH_BYTES;
}

ssize_t bide__tls_send(struct bide__tls_filter *filter, const struct iovec *iov, int n_iov)
{
    struct cursor cursor = {.iov = iov, .n_iov = n_iov};
    size_t size = size_of(iov, n_iov);
    size_t n_records = (size + BIDE__TLS_RECORD_BYTES - 1) / BIDE__TLS_RECORD_BYTES;
    size_t n_done = 0;
    filter->send_wants_recv = false;
    int rc = output_reserve(&filter->filling, size + n_records * RECORD_EXTRA_BYTES);
    while (rc == 0 && n_done < size) {
        size_t n;
        const char *data = next_bytes(&cursor, size - n_done, &n);
        ERR_clear_error();
        int written = SSL_write_ex(filter->ssl, data, n, &n);
        if (written > 0) {
            n_done += n;
            filter->holds_plain = true;
            continue;
        }
        enum bide__tls_step step = judge(filter, written);
        filter->send_wants_recv = step == BIDE__TLS_WANTS_RECV;
        rc = step == BIDE__TLS_FAILED ? bide__tls_send_error(filter) : -EAGAIN;
    }
    push(filter);
    if (filter->send_error < 0)
        return filter->send_error;
    return n_done > 0 ? (ssize_t)n_done : rc;
}

int bide__tls_shutdown(struct bide__tls_filter *filter)
{
    if (!filter->connected)
        return -ENOTCONN;
    if (filter->error < 0 || filter->send_error < 0) /* there is nobody to tell */
        return filter->has_lost ? filter->send_error : 0;
    ERR_clear_error();
    int rc = SSL_shutdown(filter->ssl);
    if (rc < 0)
        judge(filter, rc);
    push(filter);
    return filter->has_lost ? filter->send_error : 0;
}

/* Life */

static int name_check(struct bide__tls_filter *filter)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(filter->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, filter->server_name) == 1)
        return 0; /* addresses are not announced: RFC 6066 */
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(param, filter->server_name, 0) != 1 ||
        SSL_set_tlsext_host_name(filter->ssl, filter->server_name) != 1)
        return -ENOMEM;
    return 0;
}

static int prepare_client(struct bide__tls_filter *filter)
{
    bide_tls_context *context = filter->context;
    if (filter->server_name && name_check(filter) < 0)
        return -ENOMEM;
    SSL_set_connect_state(filter->ssl);
    if (!context->resumes || !filter->server_name)
        return 0;
    if (asprintf(&filter->session_key, "%s %u", filter->server_name, filter->port) < 0) {
        filter->session_key = NULL;
        return -ENOMEM;
    }
    SSL_SESSION *session = bide__tls_session_take(context, filter->session_key);
    if (session)
        SSL_set_session(filter->ssl, session);
    SSL_SESSION_free(session);
    return 0;
}

int bide__tls_filter_prepare(struct bide__tls_filter *filter)
{
    bide_tls_context *context = filter->context;
    ERR_clear_error();
    filter->ssl = SSL_new(context->ssl);
    BIO *bio = filter->ssl ? BIO_new(context->bio) : NULL;
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, filter);
    BIO_set_init(bio, 1);
    SSL_set_bio(filter->ssl, bio, bio);
    if (SSL_set_app_data(filter->ssl, filter) != 1)
        return -ENOMEM;
    if (!context->is_server)
        return prepare_client(filter);
    filter->certificates = bide__tls_certificates_of(context);
    SSL_set_accept_state(filter->ssl);
    return 0;
}

void bide__tls_filter_fini(struct bide__tls_filter *filter)
{
    bool is_sound = filter->error == 0 || filter->error == -BIDE_ETRUNCATED;
    if (filter->connected && is_sound) /* or OpenSSL would not let the session be used again */
        SSL_set_shutdown(filter->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(filter->ssl);
    bide__tls_certificates_unref(filter->certificates);
    bide__tls_details_free(filter->details);
    bide_tls_unref(filter->context);
    output_clear(&filter->filling);
    output_clear(&filter->sending);
    free(filter->server_name);
    free(filter->session_key);
    free(filter->words);
    free(filter);
}
