/*
 * The echo server that one would write by hand over io_uring: multishot accept and receive,
 * provided buffers, and the answer sent from the buffer that the data came in, which goes back to
 * the ring when the kernel has taken it. The yardstick for the uring engine. One send per
 * connection is under way at a time; further buffers of it wait in a list.
 */
#include "raw_echo.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>

enum { ENTRIES = 1024, BUFFERS = 1024, GROUP = 0, NONE = UINT16_MAX };
enum kind { KIND_ACCEPT, KIND_SIGNAL, KIND_RECV, KIND_SEND }; /* in the low bits of user_data */

struct connection {
    int fd;
    bool receiving;
    bool sending;
    bool ended;
    uint16_t first; /* the buffers that came and are not sent, through `next_of` */
    uint16_t last;
};

static struct raw_echo echo;
static bool is_alone; /* one completion in this turn: answering it by a call is the shorter way */
static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char *memory;
static uint16_t next_of[BUFFERS];
static uint32_t length_of[BUFFERS];
static uint32_t offset_of[BUFFERS];

static struct io_uring_sqe *get_sqe(void *object, enum kind kind)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    raw_echo_require(sqe != NULL, "io_uring_get_sqe");
    sqe->user_data = (uintptr_t)object | kind;
    return sqe;
}

static void give_back(uint16_t id)
{
    io_uring_buf_ring_add(buffers, memory + (size_t)id * echo.options.buffer_bytes,
                          (unsigned)echo.options.buffer_bytes, id, io_uring_buf_ring_mask(BUFFERS),
                          0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void start_accept(void)
{
    struct io_uring_sqe *sqe = get_sqe(NULL, KIND_ACCEPT);
    uint64_t data = sqe->user_data;
    io_uring_prep_multishot_accept(sqe, echo.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = data;
}

static void start_recv(struct connection *connection)
{
    struct io_uring_sqe *sqe = get_sqe(connection, KIND_RECV);
    io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    connection->receiving = true;
}

static void pop_buffer(struct connection *connection)
{
    uint16_t id = connection->first;
    connection->first = next_of[id];
    give_back(id);
}

static void start_send(struct connection *connection)
{
    uint16_t id = connection->first;
    struct io_uring_sqe *sqe = get_sqe(connection, KIND_SEND);
    io_uring_prep_send(sqe, connection->fd,
                       memory + (size_t)id * echo.options.buffer_bytes + offset_of[id],
                       length_of[id] - offset_of[id], MSG_NOSIGNAL | MSG_WAITALL);
    connection->sending = true;
}

/* Sends what is queued: one answer by a call, many together by submission. */
static void answer(struct connection *connection)
{
    while (is_alone && !connection->sending && connection->first != NONE) {
        uint16_t id = connection->first;
        ssize_t n = send(connection->fd,
                         memory + (size_t)id * echo.options.buffer_bytes + offset_of[id],
                         length_of[id] - offset_of[id], MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            break;
        offset_of[id] += (uint32_t)n;
        if (offset_of[id] < length_of[id])
            break;
        pop_buffer(connection);
    }
    if (!connection->sending && connection->first != NONE)
        start_send(connection);
}

static void close_if_idle(struct connection *connection)
{
    if (!connection->ended || connection->receiving || connection->sending)
        return;
    while (connection->first != NONE)
        pop_buffer(connection);
    close(connection->fd);
    free(connection);
}

static void accepted(const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        start_accept();
    if (cqe->res < 0)
        return;
    struct connection *connection = calloc(1, sizeof(*connection));
    raw_echo_require(connection != NULL, "calloc");
    connection->fd = cqe->res;
    connection->first = NONE;
    raw_echo_no_delay(connection->fd);
    start_recv(connection);
}

static void received(struct connection *connection, const struct io_uring_cqe *cqe)
{
    connection->receiving = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (cqe->res > 0) {
        uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        length_of[id] = (uint32_t)cqe->res;
        offset_of[id] = 0;
        next_of[id] = NONE;
        if (connection->first == NONE)
            connection->first = id;
        else
            next_of[connection->last] = id;
        connection->last = id;
        answer(connection);
    } else if (cqe->res != -ENOBUFS) {
        connection->ended = true;
    }
    if (!connection->receiving && !connection->ended)
        start_recv(connection);
    close_if_idle(connection);
}

static void sent(struct connection *connection, const struct io_uring_cqe *cqe)
{
    connection->sending = false;
    if (cqe->res < 0) {
        connection->ended = true;
        shutdown(connection->fd, SHUT_RDWR);
    } else {
        uint16_t id = connection->first;
        offset_of[id] += (uint32_t)cqe->res;
        if (offset_of[id] == length_of[id])
            pop_buffer(connection);
        answer(connection);
    }
    close_if_idle(connection);
}

static void open_ring(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                                              IORING_SETUP_CQSIZE,
                                     .cq_entries = 4 * ENTRIES};
    raw_echo_require(io_uring_queue_init_params(ENTRIES, &ring, &params) == 0, "io_uring");
    io_uring_register_ring_fd(&ring);
    void *ring_memory;
    raw_echo_require(posix_memalign(&ring_memory, 4096, BUFFERS * sizeof(struct io_uring_buf)) == 0,
                     "posix_memalign");
    buffers = ring_memory;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)ring_memory, .ring_entries = BUFFERS, .bgid = GROUP};
    raw_echo_require(io_uring_register_buf_ring(&ring, &reg, 0) == 0, "io_uring_register_buf_ring");
    io_uring_buf_ring_init(buffers);
    memory = malloc(BUFFERS * echo.options.buffer_bytes);
    raw_echo_require(memory != NULL, "malloc");
    for (uint16_t id = 0; id < BUFFERS; id++)
        give_back(id);
}

int main(int argc, char **argv)
{
    raw_echo_open(&echo, argc, argv);
    raw_echo_require(!echo.options.by_line, "bytes only");
    open_ring();
    start_accept();
    struct io_uring_sqe *sqe = get_sqe(NULL, KIND_SIGNAL);
    io_uring_prep_poll_add(sqe, echo.signals, 1);
    sqe->user_data = KIND_SIGNAL;
    for (bool stopping = false; !stopping;) {
        int rc = io_uring_submit_and_wait(&ring, 1);
        raw_echo_require(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY,
                         "io_uring_submit_and_wait");
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned n_seen = 0;
        is_alone = io_uring_cq_ready(&ring) == 1;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            struct connection *connection = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)3);
            enum kind kind = cqe->user_data & 3;
            n_seen++;
            if (kind == KIND_ACCEPT)
                accepted(cqe);
            else if (kind == KIND_SIGNAL)
                stopping = true;
            else if (kind == KIND_RECV)
                received(connection, cqe);
            else
                sent(connection, cqe);
        }
        io_uring_cq_advance(&ring, n_seen);
    }
    return 0;
}
