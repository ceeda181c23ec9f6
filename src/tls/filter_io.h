/*
 * How a filter moves bytes between its owner, OpenSSL and the lower socket. The invariants stand in
 * filter.h. Nothing here ends an operation of the owner's.
 */
#ifndef BIDE_TLS_FILTER_IO_H
#define BIDE_TLS_FILTER_IO_H

#include "tls/filter.h"

enum bide__tls_step {
    BIDE__TLS_DONE,
    BIDE__TLS_WANTS_RECV, /* bide__tls_wait_lower() is next */
    BIDE__TLS_WANTS_SEND, /* goes on when less is held */
    BIDE__TLS_FAILED,     /* filter->error says why */
};

/* Makes the connection's OpenSSL object of its context, name and port. */
int bide__tls_filter_prepare(struct bide__tls_filter *filter);
/* Frees all but the lower socket; half-built ones, too. */
void bide__tls_filter_fini(struct bide__tls_filter *filter);

/* One step of the handshake, as far as it goes without waiting. */
enum bide__tls_step bide__tls_handshake(struct bide__tls_filter *filter);

/* As the contract's try_recv(). */
ssize_t bide__tls_recv(struct bide__tls_filter *filter, void *buffer, size_t size);
/* Whether bide__tls_recv() would answer something other than -EAGAIN. */
bool bide__tls_readable(struct bide__tls_filter *filter);
/* Waits for the lower socket: 0 if it has something at once, BIDE_PENDING, or an error. */
int bide__tls_wait_lower(struct bide__tls_filter *filter);

/* Why nothing may be sent; 0 if it may. Leaves the words for it. */
int bide__tls_send_error(struct bide__tls_filter *filter);
/* Encrypts and hands over, with nothing held before: plain bytes taken, -EAGAIN (which sets
 * send_wants_recv) or an error. */
ssize_t bide__tls_send(struct bide__tls_filter *filter, const struct iovec *iov, int n_iov);
/* The lower socket's operation has ended. */
void bide__tls_sent(struct bide__tls_filter *filter, int result);
/* Sends the end of the session. That it does not arrive is no error: the peer has gone. That
 * something before it does not is. */
int bide__tls_shutdown(struct bide__tls_filter *filter);

/* Encrypted bytes that the lower socket has not taken. */
static inline size_t bide__tls_held(const struct bide__tls_filter *filter)
{
    return filter->filling.size + filter->sending.size;
}

/* Skips so many bytes, and empty pieces after them. */
static inline void bide__tls_advance(struct iovec **iov, int *n_iov, size_t n)
{
    while (*n_iov > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*n_iov)--;
    }
    if (*n_iov > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

#endif
