/*
 * Scenario: streams on a socket that says its end in words of its own, as one with encryption does,
 * and streams whose socket is taken away and replaced while they live.
 * Claim: a stream that is closed, or whose side ends, waits until those words are out, and one that
 * is aborted leaves them unsaid. A socket is lent out only when nobody uses the stream and nothing
 * is buffered; meanwhile every call fails; whatever happens meanwhile, it is closed once.
 */
#include "io/stream/stream.h"
#include "stream_rig.h"

/* A socket around another one, that parts with "BYE". */
struct veil {
    struct bide_sock base;
    struct bide_engine face;
    struct bide_engine_ops ops;
    struct bide_sock *under;
    struct iovec words;
    int n_shutdowns;
};

static char bye[] = "BYE";
static int n_veils;

static struct veil *veil_of(struct bide_sock *sock)
{
    return bide__container(sock, struct veil, base);
}

static const struct bide_engine_ops *under_ops(const struct veil *veil)
{
    return veil->under->engine->ops;
}

static void veil_close(struct bide_sock *sock)
{
    struct veil *veil = veil_of(sock);
    under_ops(veil)->sock_close(veil->under);
    free(veil);
    n_veils--;
}

static int veil_shutdown(struct bide_sock *sock, int how)
{
    CHECK_INT(how, SHUT_WR);
    CHECK_INT(veil_of(sock)->n_shutdowns++, 0);
    veil_of(sock)->words = (struct iovec){.iov_base = bye, .iov_len = strlen(bye)};
    return 0;
}

static int veil_setopt(struct bide_sock *sock, int level, int name, const void *value,
                       socklen_t length)
{
    struct veil *veil = veil_of(sock);
    return under_ops(veil)->sock_setopt(veil->under, level, name, value, length);
}

static ssize_t veil_try_recv(struct bide_sock *sock, void *buffer, size_t size)
{
    struct veil *veil = veil_of(sock);
    return under_ops(veil)->try_recv(veil->under, buffer, size);
}

static ssize_t veil_try_send(struct bide_sock *sock, const struct iovec *iov, int n_iov)
{
    struct veil *veil = veil_of(sock);
    return under_ops(veil)->try_send(veil->under, iov, n_iov);
}

static int veil_recv_wait(struct bide_sock *sock, struct bide_op *op)
{
    struct veil *veil = veil_of(sock);
    return under_ops(veil)->recv_wait(veil->under, op);
}

static int veil_send(struct bide_sock *sock, struct bide_op *op, struct iovec *iov, int n_iov)
{
    struct veil *veil = veil_of(sock);
    return n_iov > 0 ? under_ops(veil)->send(veil->under, op, iov, n_iov)
                     : under_ops(veil)->send(veil->under, op, &veil->words, 1);
}

static void veil_cancel(struct bide_op *op)
{
    op->sock->engine->ops->cancel(op);
}

static struct bide_sock *veiled(struct bide_sock *under)
{
    struct veil *veil = calloc(1, sizeof *veil);
    CHECK(veil);
    veil->under = under;
    veil->ops = (struct bide_engine_ops){.sock_close = veil_close,
                                         .sock_shutdown = veil_shutdown,
                                         .sock_setopt = veil_setopt,
                                         .try_recv = veil_try_recv,
                                         .try_send = veil_try_send,
                                         .recv_wait = veil_recv_wait,
                                         .send = veil_send,
                                         .cancel = veil_cancel};
    veil->face.ops = &veil->ops;
    veil->base = (struct bide_sock){.engine = &veil->face, .fd = under->fd, .parting = true};
    n_veils++;
    return &veil->base;
}

static struct bide__swap no_swap;

static struct bide_sock *take_out(bide_stream *stream, struct bide__swap *swap)
{
    struct bide_sock *sock = NULL;
    CHECK_INT(bide__stream_swap_begin(stream, swap, &sock), 0);
    return sock;
}

static void put_veil_on(bide_stream *stream)
{
    struct bide_sock *sock = take_out(stream, &no_swap);
    CHECK_INT(bide__stream_swap_end(stream, veiled(sock), 0), 0);
}

static struct pair veiled_open(void)
{
    struct pair pair = narrow_open();
    put_veil_on(pair.stream);
    return pair;
}

STREAM_TEST(a_close_says_the_last_words)
{
    struct pair pair = veiled_open();
    CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    CHECK_INT(bide_close(pair.stream), 0);
    CHECK_INT(n_veils, 0);
    peer_hears(pair.peer, "xBYE");
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_close_waits_until_the_last_words_are_out)
{
    struct pair pair = veiled_open();
    size_t n = stuff(pair.stream);
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    settle();
    CHECK_INT(bide_task_state(closer), BIDE_TASK_WAITING);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears(pair.peer, "BYE");
    CHECK_INT(bide_await(closer), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(a_cancelled_close_says_them_in_the_background)
{
    struct pair pair = veiled_open();
    size_t n = stuff(pair.stream);
    CHECK_INT(bide_within(0, bide_close(pair.stream)), -ETIMEDOUT);
    CHECK_INT(n_veils, 1);
    peer_hears_pattern(pair.peer, 0, n);
    peer_hears(pair.peer, "BYE");
    peer_hears_end(pair.peer);
    CHECK_INT(n_veils, 0);
    close(pair.peer);
}

/* The kernel takes no byte more; the words alone are still to go. */
STREAM_TEST(last_words_that_do_not_go_out_are_waited_for)
{
    struct pair pair = veiled_open();
    static char bytes[512];
    size_t n = 0;
    for (int n_full = 0; n_full < 3; n_full++, settle())
        for (size_t size = sizeof bytes; size > 0; size /= 2) {
            ssize_t sent;
            while ((sent = send(bide_stream_fd(pair.stream), bytes, size,
                                MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
                n += (size_t)sent;
                n_full = 0;
            }
        }
    bide_task *closer = waiting(bide_spawn(closes, pair.stream));
    settle();
    CHECK_INT(bide_task_state(closer), BIDE_TASK_WAITING);
    for (char got; n > 0; n--)
        peer_recv_exactly(pair.peer, &got, 1);
    peer_hears(pair.peer, "BYE");
    CHECK_INT(bide_await(closer), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(an_end_of_our_side_says_them_once)
{
    struct pair pair = veiled_open();
    char byte;
    CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    CHECK_INT(bide_write_eof(pair.stream), 0);
    CHECK_INT(bide_write_eof(pair.stream), -EALREADY);
    peer_hears(pair.peer, "xBYE");
    peer_say(pair.peer, "y");
    CHECK_INT(bide_read(pair.stream, &byte, 1), 1);
    CHECK_INT(bide_close(pair.stream), 0);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

STREAM_TEST(an_abort_leaves_them_unsaid)
{
    struct pair pair = veiled_open();
    char byte;
    CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    bide_abort(pair.stream);
    CHECK_INT(peer_recv(pair.peer, &byte, 1), -ECONNRESET);
    CHECK_INT(bide_close(pair.stream), 0);
    CHECK_INT(n_veils, 0);
    close(pair.peer);
}

STREAM_TEST(a_dead_peer_is_not_waited_for)
{
    struct pair pair = veiled_open();
    CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    peer_reset(pair.peer);
    settle();
    int rc = bide_close(pair.stream);
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    while (n_veils > 0)
        turns(1);
}

/* Swapping */

STREAM_TEST(while_its_socket_is_away_a_stream_is_busy)
{
    struct pair pair = pair_open();
    char byte;
    char *line;
    struct bide_address address;
    struct bide_sock *other;
    struct bide_sock *sock = take_out(pair.stream, &no_swap);
    CHECK_INT(bide_read(pair.stream, &byte, 1), -EBUSY);
    CHECK_INT(bide_read_line(pair.stream, &line), -EBUSY);
    CHECK_INT(bide_write(pair.stream, "x", 1), -EBUSY);
    CHECK_INT(bide_offer(pair.stream, "x", 1), -EBUSY);
    CHECK_INT(bide_drain(pair.stream), -EBUSY);
    CHECK_INT(bide_write_eof(pair.stream), -EBUSY);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &other), -EBUSY);
    CHECK_INT(bide_stream_fd(pair.stream), -1);
    CHECK_INT(bide_stream_peer(pair.stream, &address), -ENOTCONN);
    CHECK_INT(bide__stream_swap_end(pair.stream, sock, 0), 0);
    CHECK_INT(bide_write(pair.stream, "x", 1), 0);
    peer_hears(pair.peer, "x");
    peer_say(pair.peer, "y");
    CHECK_INT(bide_read(pair.stream, &byte, 1), 1);
    pair_close(&pair);
}

STREAM_TEST(a_stream_in_use_keeps_its_socket)
{
    struct pair pair = narrow_open();
    struct bide_sock *sock = NULL;
    char byte;
    bide_task *reader = waiting(bide_spawn(reads, pair.stream, &byte, 1));
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EBUSY);
    CHECK_INT(bide_cancel(reader), 1);
    CHECK_INT(bide_await(reader), -ECANCELED);
    CHECK_INT(bide_offer(pair.stream, "x", 1), 0);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EBUSY);
    peer_hears(pair.peer, "x");
    size_t n = stuff(pair.stream);
    bide_task *drainer = waiting(bide_spawn(drains, pair.stream));
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EBUSY);
    peer_hears_pattern(pair.peer, 0, n);
    CHECK_INT(bide_await(drainer), 0);
    CHECK_INT(bide_write_eof(pair.stream), 0);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EBUSY);
    CHECK_PTR(sock, NULL);
    bide_abort(pair.stream);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -ECONNABORTED);
    pair_close(&pair);
}

/* The injection that STARTTLS is known for. */
STREAM_TEST(what_came_in_clear_is_not_taken_for_protected)
{
    struct pair pair = pair_open();
    struct bide_sock *sock = NULL;
    char *line;
    char rest[4];
    peer_say(pair.peer, "STARTTLS\nevil");
    CHECK_INT(bide_read_line(pair.stream, &line), 9);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EPROTO);
    CHECK_INT(bide_read_exactly(pair.stream, rest, 4), 4);
    sock = take_out(pair.stream, &no_swap);
    CHECK_INT(bide__stream_swap_end(pair.stream, sock, 0), 0);
    pair_close(&pair);
}

STREAM_TEST(a_swap_that_failed_leaves_the_stream_torn)
{
    struct pair pair = pair_open();
    char byte;
    struct bide_sock *sock = take_out(pair.stream, &no_swap);
    CHECK_INT(bide__stream_swap_end(pair.stream, sock, -EPROTO), -EPROTO);
    CHECK_INT(bide_write(pair.stream, "x", 1), -EPROTO);
    CHECK_INT(bide_read(pair.stream, &byte, 1), -EPROTO);
    CHECK_INT(bide__stream_swap_begin(pair.stream, &no_swap, &sock), -EPROTO);
    CHECK_INT(bide_close(pair.stream), -EPROTO);
    peer_hears_end(pair.peer);
    close(pair.peer);
}

struct noted_swap {
    struct bide__swap swap;
    int n_unwanted;
};

static void note_unwanted(struct bide__swap *swap)
{
    bide__container(swap, struct noted_swap, swap)->n_unwanted++;
}

STREAM_TEST(a_stream_that_ends_meanwhile_takes_the_socket_along)
{
    for (int by_close = 0; by_close < 2; by_close++) {
        struct pair pair = pair_open();
        struct noted_swap noted = {.swap.unwanted = note_unwanted};
        int n_fds = count_fds();
        struct bide_sock *sock = take_out(pair.stream, &noted.swap);
        if (!by_close)
            bide_abort(pair.stream);
        CHECK_INT(bide_close(by_close ? pair.stream : NULL), 0);
        CHECK_INT(noted.n_unwanted, 1);
        CHECK_INT(count_fds(), n_fds);
        CHECK_INT(bide__stream_swap_end(pair.stream, veiled(sock), 0), -ECONNABORTED);
        CHECK_INT(count_fds(), n_fds - 1);
        CHECK_INT(n_veils, 0);
        if (!by_close)
            CHECK_INT(bide_close(pair.stream), 0);
        close(pair.peer);
    }
}

static struct noted_swap left;
static struct bide_sock *left_sock;
static struct pair left_pair;

/* What a handshake does whose loop closes: its own resource gives the socket back. */
static void give_back(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
    CHECK_INT(bide__stream_swap_end(left_pair.stream, left_sock, -ECANCELED), -ECONNABORTED);
}

static bide_async(leaves_in_the_middle, (struct bide__resource *, resource))
{
    left_pair = pair_open();
    left_sock = take_out(left_pair.stream, &left.swap);
    bide__list_append(&bide_loop_current()->resources, &resource->node);
    return 0;
}

BIDE_TEST(a_loop_closed_in_the_middle)
{
    int n_fds = count_fds();
    struct bide__resource handshake = {.drop = give_back};
    left.swap.unwanted = note_unwanted;
    CHECK_INT(bide_run(leaves_in_the_middle, &handshake), 0);
    CHECK_INT(left.n_unwanted, 1);
    CHECK_INT(bide_close(left_pair.stream), 0);
    close(left_pair.peer);
    CHECK_INT(count_fds(), n_fds);
}
