/*
 * How simulated connections carry bytes, and how they end, as Linux's do. sim_sock.h states the
 * invariants.
 *
 * A reset overtakes nothing: what came before it can be read. Whoever is told of it first, the
 * sender or the receiver, the other one is told as well (`lost`), as on the other engines.
 */
#include "engine/sim_sock.h"

#include "engine/socket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct bide__sim_pipe *incoming(const struct bide__sim_sock *sock)
{
    return sock->conn->pipes[!sock->side];
}

static struct bide__sim_pipe *outgoing(const struct bide__sim_sock *sock)
{
    return sock->conn->pipes[sock->side];
}

static struct bide__sim_sock *peer_of(const struct bide__sim_sock *sock)
{
    return sock->conn->socks[!sock->side];
}

static struct bide__sim_rights *first_rights(const struct bide__sim_pipe *pipe)
{
    struct bide__list *node = bide__list_first(&pipe->rights);
    return node ? bide__container(node, struct bide__sim_rights, node) : NULL;
}

static uint64_t unread(const struct bide__sim_sock *sock)
{
    return incoming(sock)->n_arrived - incoming(sock)->n_read;
}

static uint64_t room(const struct bide__sim_sock *sock)
{
    const struct bide__sim_pipe *pipe = outgoing(sock);
    const struct bide__sim_sock *peer = peer_of(sock);
    int64_t limit = bide__sim_buffer_bytes(sock, SO_SNDBUF);
    limit += bide__sim_buffer_bytes(peer ? peer : sock, SO_RCVBUF);
    uint64_t held = pipe->n_sent - pipe->n_read;
    if (limit > BIDE__SIM_PIPE_BYTES)
        limit = BIDE__SIM_PIPE_BYTES;
    return held < (uint64_t)limit ? (uint64_t)limit - held : 0;
}

/* Operations */

static const char *const op_names[BIDE__SIM_OPS] = {
    [BIDE__SIM_RECV] = "receives",     [BIDE__SIM_ACCEPT] = "accepts",
    [BIDE__SIM_SEND] = "sent",         [BIDE__SIM_SEND_WAIT] = "has room",
    [BIDE__SIM_CONNECT] = "connected",
};

static int send_step(struct bide__sim_sock *sock, struct bide_op *op);

static int wait_happens(struct bide__sim_event *event)
{
    struct bide__sim_wait *wait = bide__container(event, struct bide__sim_wait, event);
    struct bide__sim_sock *sock = wait->sock;
    struct bide_op *op = wait->op;
    unsigned kind = op->kind;
    if (!wait->decided) {
        wait->result = send_step(sock, op);
        if (wait->result == BIDE_PENDING)
            return 0;
    }
    wait->op = NULL;
    wait->decided = false;
    op->state = BIDE_OP_IDLE;
    op->result = wait->result;
    bide__sim_note(bide__sim_of_sock(sock), op_names[kind], sock->number, op->result);
    op->done(op); /* last: it may close the socket */
    return 1;
}

void bide__sim_stream_init(struct bide__sim_sock *sock)
{
    for (int kind = 0; kind < BIDE__SIM_OPS; kind++) {
        sock->waits[kind].event.happen = wait_happens;
        sock->waits[kind].sock = sock;
    }
}

int bide__sim_wait(struct bide__sim_sock *sock, enum bide__sim_op kind, struct bide_op *op)
{
    assert(op->state == BIDE_OP_IDLE && op->done && !sock->waits[kind].op);
    op->sock = &sock->base;
    op->kind = (uint8_t)kind;
    op->state = BIDE_OP_PENDING;
    sock->waits[kind].op = op;
    return BIDE_PENDING;
}

static void soon(struct bide__sim_wait *wait)
{
    struct bide__sim *sim = bide__sim_of_sock(wait->sock);
    if (!wait->event.scheduled)
        bide__sim_soon(sim, &wait->event, sim->shape.delay_ns_max);
}

void bide__sim_decide(struct bide__sim_sock *sock, enum bide__sim_op kind, int result)
{
    struct bide__sim_wait *wait = &sock->waits[kind];
    if (!wait->op || wait->decided)
        return;
    wait->decided = true;
    wait->result = result;
    soon(wait);
}

static bool output_ready(struct bide__sim_sock *sock)
{
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_writable(sock);
    if (!sock->conn)
        return sock->state != BIDE__SIM_CONNECTING;
    const struct bide__sim_sock *peer = peer_of(sock);
    bool is_over = sock->error != 0 || sock->broken || sock->shut_write;
    return is_over || room(sock) > 0 || (sock->conn->local && (!peer || peer->shut_read));
}

void bide__sim_send_again(struct bide__sim_sock *sock)
{
    if (sock->waits[BIDE__SIM_SEND].op)
        soon(&sock->waits[BIDE__SIM_SEND]);
    if (sock->waits[BIDE__SIM_SEND_WAIT].op && output_ready(sock))
        bide__sim_decide(sock, BIDE__SIM_SEND_WAIT, 0);
}

int bide__sim_send_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    return bide__sim_wait_ready(sock, BIDE__SIM_SEND_WAIT, op, output_ready(sock));
}

void bide__sim_cancel(struct bide_op *op)
{
    if (op->state != BIDE_OP_PENDING)
        return;
    struct bide__sim_sock *sock = bide__sim_sock_of(op->sock);
    if (sock->waits[op->kind].decided)
        return;
    op->state = BIDE_OP_CANCELLING;
    bide__sim_decide(sock, (enum bide__sim_op)op->kind, -ECANCELED);
}

/* One of four calls that could end at once ends later, so that users see both. */
static bool dawdles(struct bide__sim_sock *sock)
{
    return bide__sim_draw(bide__sim_of_sock(sock), 3) == 0;
}

int bide__sim_wait_ready(struct bide__sim_sock *sock, enum bide__sim_op kind, struct bide_op *op,
                         bool ready)
{
    if (ready && !dawdles(sock))
        return 0;
    int rc = bide__sim_wait(sock, kind, op);
    if (ready)
        bide__sim_decide(sock, kind, 0);
    return rc;
}

/* Connections */

static void arrive(struct bide__sim_pipe *pipe, const struct bide__sim_mark *mark);

static void schedule(struct bide__sim_pipe *pipe)
{
    if (pipe->n_marks > 0 && !pipe->arrival.scheduled)
        bide__sim_event_add(&pipe->conn->sim->queue, &pipe->arrival, pipe->marks[0].at_ns);
}

static void conn_settle(struct bide__sim_conn *conn);

static int arrival_happens(struct bide__sim_event *event)
{
    struct bide__sim_pipe *pipe = bide__container(event, struct bide__sim_pipe, arrival);
    struct bide__sim_conn *conn = pipe->conn;
    struct bide__sim_mark mark = pipe->marks[0];
    pipe->n_marks--;
    memmove(pipe->marks, pipe->marks + 1, pipe->n_marks * sizeof *pipe->marks);
    arrive(pipe, &mark);
    schedule(pipe);
    conn_settle(conn);
    return 0;
}

static struct bide__sim_pipe *pipe_new(struct bide__sim_conn *conn, unsigned to)
{
    struct bide__sim_pipe *pipe = malloc(sizeof *pipe);
    if (!pipe)
        return NULL;
    memset(pipe, 0, offsetof(struct bide__sim_pipe, bytes));
    pipe->arrival.happen = arrival_happens;
    pipe->conn = conn;
    pipe->to = to;
    bide__list_init(&pipe->rights);
    return pipe;
}

struct bide__sim_conn *bide__sim_conn_new(struct bide__sim *sim, bool local)
{
    struct bide__sim_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->sim = sim;
    conn->local = local;
    bide__list_append(&sim->conns, &conn->node);
    conn->pipes[0] = pipe_new(conn, 1);
    conn->pipes[1] = pipe_new(conn, 0);
    if (!conn->pipes[0] || !conn->pipes[1]) {
        bide__sim_conn_free(conn);
        return NULL;
    }
    return conn;
}

void bide__sim_conn_free(struct bide__sim_conn *conn)
{
    for (int i = 0; i < 2; i++) {
        struct bide__sim_pipe *pipe = conn->pipes[i];
        if (!pipe)
            continue;
        bide__sim_event_remove(&conn->sim->queue, &pipe->arrival);
        while (!bide__list_empty(&pipe->rights))
            bide__sim_rights_free(first_rights(pipe));
        free(pipe);
    }
    bide__list_remove(&conn->node);
    free(conn);
}

void bide__sim_conn_join(struct bide__sim_conn *conn, struct bide__sim_sock *sock, unsigned side)
{
    conn->socks[side] = sock;
    sock->conn = conn;
    sock->side = side;
    sock->state = BIDE__SIM_CONNECTED;
}

/* Frees it if nobody and nothing needs it any more. */
static void conn_settle(struct bide__sim_conn *conn)
{
    if (!conn->socks[0] && !conn->socks[1] &&
        conn->pipes[0]->n_marks + conn->pipes[1]->n_marks == 0)
        bide__sim_conn_free(conn);
}

/* Everything up to now, and then what the kind says, is on its way. */
static void put_mark(struct bide__sim_pipe *pipe, enum bide__sim_mark_kind kind, uint64_t end)
{
    struct bide__sim *sim = pipe->conn->sim;
    struct bide__sim_mark mark = {.at_ns = sim->now_ns, .end = end, .kind = kind};
    if (pipe->conn->local) {
        arrive(pipe, &mark);
        return;
    }
    mark.at_ns += bide__sim_latency_ns(sim, pipe->conn->link);
    struct bide__sim_mark *last = pipe->n_marks > 0 ? &pipe->marks[pipe->n_marks - 1] : NULL;
    if (last && last->at_ns > mark.at_ns)
        mark.at_ns = last->at_ns;
    /* The last two places are for the end and a reset. */
    if (kind == BIDE__SIM_DATA && pipe->n_marks >= BIDE__SIM_MARKS - 2)
        *last = mark;
    else
        pipe->marks[pipe->n_marks++] = mark;
    schedule(pipe);
}

static void send_reset(struct bide__sim_pipe *pipe)
{
    if (pipe->n_marks == 0 || pipe->marks[pipe->n_marks - 1].kind != BIDE__SIM_RESET)
        put_mark(pipe, BIDE__SIM_RESET, pipe->n_sent);
}

/* What this side still had to send stays unsent. */
static void drop_outgoing(struct bide__sim_sock *sock)
{
    struct bide__sim_pipe *pipe = outgoing(sock);
    bide__sim_event_remove(&sock->conn->sim->queue, &pipe->arrival);
    pipe->n_marks = 0;
    pipe->n_sent = pipe->n_arrived;
}

static void break_sock(struct bide__sim_sock *sock, int error)
{
    if (sock->broken)
        return;
    sock->broken = true;
    sock->error = error;
    drop_outgoing(sock);
    bide__sim_decide(sock, BIDE__SIM_RECV, 0);
    bide__sim_send_again(sock);
}

static void arrive(struct bide__sim_pipe *pipe, const struct bide__sim_mark *mark)
{
    static const char *const names[] = {"data", "end", "reset"};
    struct bide__sim_conn *conn = pipe->conn;
    struct bide__sim_sock *sock = conn->socks[pipe->to];
    uint64_t n = mark->end - pipe->n_arrived;
    pipe->n_arrived = mark->end;
    bide__sim_note(conn->sim, names[mark->kind], sock ? sock->number : 0, (long long)n);
    if (!sock || sock->broken) {
        struct bide__sim_sock *sender = conn->socks[!pipe->to];
        if (!sock && sender && !sender->broken && mark->kind == BIDE__SIM_DATA && n > 0)
            send_reset(conn->pipes[pipe->to]);
        return;
    }
    switch (mark->kind) {
    case BIDE__SIM_RESET:
        break_sock(sock, sock->end_came ? -EPIPE : -ECONNRESET);
        return;
    case BIDE__SIM_END:
        sock->end_came = true;
        break;
    case BIDE__SIM_DATA:
        break;
    }
    bide__sim_decide(sock, BIDE__SIM_RECV, 0);
}

void bide__sim_conn_reset(struct bide__sim_conn *conn)
{
    for (int side = 0; side < 2; side++) {
        struct bide__sim_sock *sock = conn->socks[side];
        if (!sock)
            continue;
        bide__sim_note(conn->sim, "link resets", sock->number, 0);
        break_sock(sock, -ECONNRESET);
    }
}

/* Bytes */

int bide__sim_take_error(struct bide__sim_sock *sock)
{
    int error = sock->error;
    sock->error = 0;
    if (bide__connection_lost(error) && sock->type == SOCK_STREAM)
        sock->lost = error;
    return error;
}

static bool input_ready(const struct bide__sim_sock *sock)
{
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_readable(sock);
    if (!sock->conn)
        return sock->state != BIDE__SIM_CONNECTING;
    return unread(sock) > 0 || sock->end_came || sock->shut_read || sock->broken ||
           sock->error != 0;
}

static void copy_out(struct bide__sim_pipe *pipe, char *buffer, size_t size)
{
    size_t at = pipe->n_read % BIDE__SIM_PIPE_BYTES;
    size_t first = BIDE__SIM_PIPE_BYTES - at < size ? BIDE__SIM_PIPE_BYTES - at : size;
    memcpy(buffer, pipe->bytes + at, first);
    memcpy(buffer + first, pipe->bytes, size - first);
    pipe->n_read += size;
}

static void copy_in(struct bide__sim_pipe *pipe, const char *data, size_t size)
{
    size_t at = pipe->n_sent % BIDE__SIM_PIPE_BYTES;
    size_t first = BIDE__SIM_PIPE_BYTES - at < size ? BIDE__SIM_PIPE_BYTES - at : size;
    memcpy(pipe->bytes + at, data, first);
    memcpy(pipe->bytes, data + first, size - first);
    pipe->n_sent += size;
}

/* Descriptors come with the first byte of what they were sent with; a read ends behind it. */
static size_t take_rights(struct bide__sim_pipe *pipe, size_t size,
                          struct bide__sim_rights **ret_rights)
{
    struct bide__sim_rights *rights = first_rights(pipe);
    *ret_rights = NULL;
    if (!rights || rights->begin >= pipe->n_read + size)
        return size;
    bide__list_remove(&rights->node);
    *ret_rights = rights;
    return rights->end < pipe->n_read + size ? rights->end - pipe->n_read : size;
}

static ssize_t recv_bytes(struct bide__sim_sock *sock, struct msghdr *message)
{
    struct bide__sim_pipe *pipe = incoming(sock);
    struct bide__sim_rights *rights;
    size_t size = bide__iov_size(message->msg_iov, (int)message->msg_iovlen);
    size = take_rights(pipe, size < unread(sock) ? size : unread(sock), &rights);
    size_t left = size;
    for (size_t i = 0; left > 0 && i < message->msg_iovlen; i++) {
        const struct iovec *iov = &message->msg_iov[i];
        size_t part = iov->iov_len < left ? iov->iov_len : left;
        if (part > 0)
            copy_out(pipe, iov->iov_base, part);
        left -= part;
    }
    bide__sim_rights_give(rights, message);
    struct bide__sim_sock *peer = peer_of(sock);
    if (peer)
        bide__sim_send_again(peer);
    return (ssize_t)size;
}

static ssize_t recv_stream(struct bide__sim_sock *sock, struct msghdr *message)
{
    if (!sock->conn) {
        if (sock->state == BIDE__SIM_CONNECTING)
            return -EAGAIN;
        return sock->family == AF_UNIX ? -EINVAL : -ENOTCONN;
    }
    message->msg_namelen = 0;
    message->msg_flags = 0;
    if (unread(sock) > 0)
        return recv_bytes(sock, message);
    message->msg_controllen = 0;
    if (sock->end_came)
        return sock->lost;
    if (sock->error != 0)
        return bide__sim_take_error(sock);
    return sock->broken || sock->shut_read ? sock->lost : -EAGAIN;
}

ssize_t bide__sim_try_recv_message(struct bide_sock *base, struct msghdr *message)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_recv(sock, message);
    if (sock->conn && sock->conn->one_way)
        return -ENOTSOCK;
    return recv_stream(sock, message);
}

ssize_t bide__sim_try_recv(struct bide_sock *base, void *buffer, size_t size)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    assert(size > 0);
    struct iovec iov = {buffer, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_recv(sock, &message);
    return recv_stream(sock, &message);
}

/* Why nothing can be sent, or 0. */
static int send_error(struct bide__sim_sock *sock)
{
    if (!sock->conn) {
        if (sock->state == BIDE__SIM_CONNECTING)
            return -EAGAIN;
        return sock->family == AF_UNIX ? -ENOTCONN : -EPIPE;
    }
    if (sock->error != 0)
        return bide__sim_take_error(sock);
    if (sock->broken || sock->shut_write)
        return -EPIPE;
    const struct bide__sim_sock *peer = peer_of(sock);
    return sock->conn->local && (!peer || peer->shut_read) ? -EPIPE : 0;
}

/* Now and then it goes out in two pieces. */
static void send_off(struct bide__sim_sock *sock, uint64_t before)
{
    struct bide__sim_pipe *pipe = outgoing(sock);
    uint64_t n = pipe->n_sent - before;
    if (n > 1 && dawdles(sock))
        put_mark(pipe, BIDE__SIM_DATA,
                 before + 1 + (uint64_t)bide__sim_draw(sock->conn->sim, (int64_t)n - 2));
    put_mark(pipe, BIDE__SIM_DATA, pipe->n_sent);
}

static ssize_t send_bytes(struct bide__sim_sock *sock, const struct iovec *iov, size_t n_iov)
{
    int rc = send_error(sock);
    if (rc < 0)
        return rc;
    struct bide__sim_pipe *pipe = outgoing(sock);
    uint64_t before = pipe->n_sent;
    uint64_t left = room(sock);
    size_t wanted = 0;
    for (size_t i = 0; i < n_iov; i++) {
        size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (n > 0)
            copy_in(pipe, iov[i].iov_base, n);
        left -= n;
        wanted += iov[i].iov_len;
    }
    return pipe->n_sent == before && wanted > 0 ? -EAGAIN : (ssize_t)(pipe->n_sent - before);
}

ssize_t bide__sim_try_send(struct bide_sock *base, const struct iovec *iov, int n_iov)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (sock->type == SOCK_DGRAM) {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                 .msg_iovlen = (size_t)n_iov};
        return bide__iov_size(iov, n_iov) > 0 ? bide__sim_datagram_send(sock, &message) : 0;
    }
    ssize_t n = send_bytes(sock, iov, (size_t)n_iov);
    if (n > 0)
        send_off(sock, outgoing(sock)->n_sent - (uint64_t)n);
    return n;
}

/* Descriptors are waiting where their bytes will arrive before anybody hears of these. */
ssize_t bide__sim_try_send_message(struct bide_sock *base, const struct msghdr *message)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_send(sock, message);
    if (sock->conn && sock->conn->one_way)
        return -ENOTSOCK;
    struct bide__sim_rights *rights = NULL;
    int rc = sock->family == AF_UNIX ? bide__sim_rights_new(message, &rights) : 0;
    if (rc < 0)
        return rc;
    ssize_t n = send_bytes(sock, message->msg_iov, message->msg_iovlen);
    if (n <= 0) {
        bide__sim_rights_free(rights);
        return n;
    }
    struct bide__sim_pipe *pipe = outgoing(sock);
    if (rights) {
        rights->begin = pipe->n_sent - (uint64_t)n;
        rights->end = pipe->n_sent;
        bide__list_append(&pipe->rights, &rights->node);
    }
    send_off(sock, pipe->n_sent - (uint64_t)n);
    return n;
}

static int send_step(struct bide__sim_sock *sock, struct bide_op *op)
{
    ssize_t n = bide__sim_try_send(&sock->base, op->iov, op->n_iov);
    if (n < 0)
        return n == -EAGAIN ? BIDE_PENDING : (int)n;
    op->n_done += (size_t)n;
    bide__iov_advance(&op->iov, &op->n_iov, (size_t)n);
    return op->n_iov == 0 ? 0 : BIDE_PENDING;
}

int bide__sim_send(struct bide_sock *base, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    bide__iov_advance(&iov, &n_iov, 0);
    op->iov = iov;
    op->n_iov = n_iov;
    op->n_done = 0;
    if (n_iov == 0)
        return 0;
    bool later = dawdles(sock);
    int rc = later ? BIDE_PENDING : send_step(sock, op);
    if (rc != BIDE_PENDING)
        return rc;
    bide__sim_wait(sock, BIDE__SIM_SEND, op);
    if (later)
        bide__sim_send_again(sock);
    return rc;
}

int bide__sim_recv_wait(struct bide_sock *base, struct bide_op *op)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    return bide__sim_wait_ready(sock, BIDE__SIM_RECV, op, input_ready(sock));
}

/* The end */

static void shut_write(struct bide__sim_sock *sock)
{
    if (sock->shut_write)
        return;
    sock->shut_write = true;
    if (!sock->broken)
        put_mark(outgoing(sock), BIDE__SIM_END, outgoing(sock)->n_sent);
    bide__sim_send_again(sock);
}

static void shut_read(struct bide__sim_sock *sock)
{
    struct bide__sim_sock *peer = peer_of(sock);
    sock->shut_read = true;
    bide__sim_decide(sock, BIDE__SIM_RECV, 0);
    if (sock->conn->local && peer)
        bide__sim_send_again(peer);
}

int bide__sim_shutdown(struct bide_sock *base, int how)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    if (sock->type == SOCK_DGRAM)
        return bide__sim_datagram_shutdown(sock, how);
    if (sock->state == BIDE__SIM_CONNECTING) {
        bide__sim_attempt_end(sock, -ECONNABORTED);
        return 0;
    }
    if (sock->state == BIDE__SIM_LISTENING && sock->family != AF_UNIX) {
        if (how != SHUT_WR)
            bide__sim_listen_end(sock);
        return 0;
    }
    if (!sock->conn)
        return sock->family == AF_UNIX ? 0 : -ENOTCONN;
    if (sock->broken)
        return -ENOTCONN;
    if (how != SHUT_WR)
        shut_read(sock);
    if (how != SHUT_RD)
        shut_write(sock);
    return 0;
}

static void leave_conn(struct bide__sim_sock *sock)
{
    struct bide__sim_conn *conn = sock->conn;
    struct bide__sim_sock *peer = peer_of(sock);
    bool now = sock->linger.l_onoff && sock->linger.l_linger == 0;
    bool resets = !sock->broken && !conn->one_way && (now || unread(sock) > 0);
    if (resets && now)
        drop_outgoing(sock);
    if (resets)
        send_reset(outgoing(sock));
    else
        shut_write(sock);
    conn->socks[sock->side] = NULL;
    if (peer)
        bide__sim_send_again(peer);
    conn_settle(conn);
}

void bide__sim_sock_close(struct bide_sock *base)
{
    struct bide__sim_sock *sock = bide__sim_sock_of(base);
    for (int kind = 0; kind < BIDE__SIM_OPS; kind++)
        assert(!sock->waits[kind].op);
    if (sock->state == BIDE__SIM_LISTENING)
        bide__sim_listen_end(sock);
    bide__sim_attempt_drop(sock);
    if (sock->conn)
        leave_conn(sock);
    bide__sim_sock_free(sock);
}
