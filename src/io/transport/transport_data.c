/*
 * What passes through a transport.
 *
 * Input is received when a wait for it has ended, into memory of the loop's, and handed over from
 * there. A protocol with buffers is asked for one only when there are bytes: the first of them are
 * copied, the rest is received where it is to go. What a protocol that stopped reading has not
 * taken of them stays here for it, or for the next one.
 */
#include "io/transport/transport.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Received before a buffer is asked for. */
enum { PROBE_BYTES = 4096 };

/* Input */

static void input_came(struct bide_op *op)
{
    bide_transport *transport = bide__container(op, bide_transport, channel.recv.op);
    if (op->result == 0)
        transport->input_due = true;
    else if (op->result != -ECANCELED)
        transport->input_error = op->result;
    bide__transport_swap_ready(transport);
    bide__transport_queue(transport);
    bide__channel_settle(&transport->channel);
}

/* Sees to it that the protocol is called when something comes. */
static void await_input(bide_transport *transport)
{
    struct bide__channel *channel = &transport->channel;
    if (!bide__transport_hears(transport) || bide__operation_pending(&channel->recv))
        return;
    if (!transport->input_due) {
        channel->recv.op.done = input_came;
        int rc = bide__channel_ops(channel)->recv_wait(channel->sock, &channel->recv.op);
        if (rc == BIDE_PENDING)
            return;
        transport->input_due = rc == 0;
        transport->input_error = rc;
    }
    bide__transport_queue(transport);
}

static void keep_rest(bide_transport *transport, const char *bytes, size_t size)
{
    char *rest = malloc(size);
    if (!rest) {
        bide__transport_fail(transport, -ENOMEM);
        return;
    }
    memcpy(rest, bytes, size);
    free(transport->rest);
    transport->rest = rest;
    transport->rest_begin = 0;
    transport->rest_end = size;
}

/* What the kernel has beyond those that fill the beginning of a buffer. */
static size_t receive_more(bide_transport *transport, char *buffer, size_t size)
{
    size = size < INT_MAX ? size : INT_MAX;
    ssize_t n = size > 0 ? bide__channel_recv(&transport->channel, buffer, size) : -EAGAIN;
    if (n < 0 && n != -EAGAIN)
        transport->input_error = (int)n;
    transport->input_due = size == 0 || n == (ssize_t)size;
    return n > 0 ? (size_t)n : 0;
}

/* Hands over the first of the bytes: how many. `more`: there may be further ones behind them. */
static size_t deliver_some(bide_transport *transport, const char *bytes, size_t size, bool more)
{
    struct bide__call call = bide__call_begin(transport);
    const struct bide_protocol *protocol = call.party.protocol;
    size_t room = size;
    if (!protocol->get_buffer) {
        if (protocol->data_received)
            protocol->data_received(call.party.data, bytes, size);
        bide__call_end(transport, &call);
        return size;
    }
    room = 0;
    char *buffer = protocol->get_buffer(call.party.data, size, &room);
    size_t n = room < size ? room : size;
    bool wanted = transport->serial == call.serial && bide__transport_takes(transport);
    if (wanted && (!buffer || room == 0)) {
        bide__transport_fail(transport, -ENOBUFS);
    } else if (wanted) {
        memcpy(buffer, bytes, n);
        size_t n_more = more && n == size ? receive_more(transport, buffer + n, room - n) : 0;
        if (protocol->buffer_updated)
            protocol->buffer_updated(call.party.data, n + n_more);
    }
    bide__call_end(transport, &call);
    return wanted ? n : 0;
}

static void deliver(bide_transport *transport, const char *bytes, size_t size, bool more)
{
    while (size > 0 && bide__transport_takes(transport)) {
        size_t n = deliver_some(transport, bytes, size, more);
        bytes += n;
        size -= n;
    }
    if (size > 0 && !transport->closing)
        keep_rest(transport, bytes, size);
}

static void deliver_rest(bide_transport *transport)
{
    char *rest = transport->rest;
    size_t begin = transport->rest_begin;
    size_t size = bide__transport_rest(transport);
    transport->rest = NULL;
    transport->rest_begin = 0;
    transport->rest_end = 0;
    deliver(transport, rest + begin, size, false);
    free(rest);
}

static void receive(bide_transport *transport)
{
    struct bide__channel *channel = &transport->channel;
    bool probes = transport->party.protocol->get_buffer;
    size_t size = probes ? PROBE_BYTES : BIDE__LOOP_INPUT_BYTES;
    ssize_t n = bide__channel_recv(channel, channel->loop->input, size);
    transport->input_due = n == (ssize_t)size;
    if (n > 0)
        deliver(transport, channel->loop->input, (size_t)n, probes && transport->input_due);
    else if (n < 0 && n != -EAGAIN)
        transport->input_error = (int)n;
}

static void end_input(bide_transport *transport)
{
    bool stays_open = false;
    transport->eof_told = true;
    if (bide__channel_broken(&transport->channel) <
        0) { /* it was only waited for what still came */
        bide__transport_fail(transport, bide__channel_broken(&transport->channel));
        return;
    }
    struct bide__call call = bide__call_begin(transport);
    if (call.party.protocol->eof_received)
        stays_open = call.party.protocol->eof_received(call.party.data);
    bide__call_end(transport, &call);
    if (!stays_open || transport->no_output)
        bide_transport_close(transport);
}

void bide__transport_input(bide_transport *transport)
{
    if (bide__transport_takes(transport) && bide__transport_rest(transport) > 0)
        deliver_rest(transport);
    if (bide__transport_rest(transport) == 0 && transport->input_due &&
        bide__transport_hears(transport))
        receive(transport);
    if (transport->input_error < 0 && bide__transport_takes(transport))
        bide__transport_fail(transport, transport->input_error);
    else if (transport->channel.eof && !transport->eof_told &&
             bide__transport_rest(transport) == 0 && bide__transport_takes(transport))
        end_input(transport);
    await_input(transport);
}

void bide_transport_pause_reading(bide_transport *transport)
{
    if (!transport || transport->paused)
        return;
    transport->paused = true;
    if (bide__channel_broken(&transport->channel) < 0)
        bide__transport_queue(transport);
}

void bide_transport_resume_reading(bide_transport *transport)
{
    if (!transport || !transport->paused)
        return;
    transport->paused = false;
    bide__transport_queue(transport);
}

bool bide_transport_is_reading(const bide_transport *transport)
{
    return transport && bide__transport_takes(transport) && !transport->no_input &&
           !transport->eof_told;
}

/* Output */

void bide__transport_marks(bide_transport *transport)
{
    const struct bide_stream_opts *opts = &transport->channel.opts;
    size_t mark = transport->above ? opts->write_low_bytes : opts->write_high_bytes;
    if ((bide__channel_pending(&transport->channel) > mark) == transport->above)
        return;
    transport->above = !transport->above;
    transport->n_marks++;
    bide__transport_queue(transport);
}

/* Why nothing may be written; 0 if it may. */
static int write_refused(const bide_transport *transport)
{
    const struct bide__channel *channel = &transport->channel;
    if (transport->no_output)
        return -EBADF;
    if (transport->lost || transport->over || transport->connector)
        return -ENOTCONN;
    if (channel->swap)
        return channel->error;
    if (bide__channel_broken(channel) < 0)
        return bide__channel_broken(channel);
    if (channel->error < 0) /* in a child after fork */
        return channel->error;
    return transport->closing || channel->eof_wanted ? -EPIPE : 0;
}

int bide_transport_writev(bide_transport *transport, const struct iovec *pieces, int n)
{
    size_t size;
    int rc = transport ? bide__pieces_size(pieces, n, &size) : -EINVAL;
    if (rc == 0)
        rc = write_refused(transport);
    if (rc < 0 || size == 0)
        return rc;
    struct bide__channel *channel = &transport->channel;
    rc = bide__channel_write(channel, pieces, n, size);
    if (rc < 0) /* what that means is told later */
        bide__transport_queue(transport);
    if (bide__channel_pending(channel) > channel->opts.write_high_bytes) {
        bide__channel_flush(channel); /* the kernel may have room */
        bide__transport_marks(transport);
    }
    return rc;
}

int bide_transport_write(bide_transport *transport, const void *data, size_t size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return bide_transport_writev(transport, &piece, 1);
}

int bide_transport_write_eof(bide_transport *transport)
{
    if (!transport)
        return -EINVAL;
    int rc = write_refused(transport);
    if (rc < 0)
        return rc == -EPIPE && transport->channel.eof_wanted ? -EALREADY : rc;
    struct bide__channel *channel = &transport->channel;
    if (transport->no_input) {
        bide_transport_close(transport);
        return 0;
    }
    channel->eof_wanted = true;
    bide__channel_flush(channel);
    bide__channel_progress(channel);
    return 0;
}

bool bide_transport_can_write_eof(const bide_transport *transport)
{
    return transport && !transport->no_output;
}

int bide_transport_set_write_limits(bide_transport *transport, size_t high_bytes, size_t low_bytes)
{
    if (!transport || low_bytes > high_bytes)
        return -EINVAL;
    transport->channel.opts.write_high_bytes = high_bytes;
    transport->channel.opts.write_low_bytes = low_bytes;
    if (!transport->over)
        bide__transport_marks(transport);
    return 0;
}

void bide_transport_write_limits(const bide_transport *transport, size_t *ret_high_bytes,
                                 size_t *ret_low_bytes)
{
    if (ret_high_bytes)
        *ret_high_bytes = transport ? transport->channel.opts.write_high_bytes : 0;
    if (ret_low_bytes)
        *ret_low_bytes = transport ? transport->channel.opts.write_low_bytes : 0;
}

size_t bide_transport_pending(const bide_transport *transport)
{
    return transport ? bide__channel_unsent(&transport->channel) : 0;
}
