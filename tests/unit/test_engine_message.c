/*
 * Scenario: datagrams and messages with control data, between sockets of one engine. Claim: each
 * keeps its boundaries, its sender and its descriptors; an empty one is not an end; what was cut
 * off, refused or found no room is told; a wait for room ends when there is some; no descriptor is
 * left over, whoever did not take it.
 */
#include "engine_rig.h"

#include <sys/stat.h>
#include <sys/un.h>

static struct bide_engine *engine;
static const struct bide_engine_ops *ops;

struct name {
    struct sockaddr_storage bytes;
    socklen_t length;
};

static void open_engine(void)
{
    engine = rig_open();
    ops = engine->ops;
}

static struct name name_of(struct bide_sock *sock)
{
    struct name name = {.length = sizeof name.bytes};
    CHECK_INT(ops->sock_name(sock, false, (struct sockaddr *)&name.bytes, &name.length), 0);
    return name;
}

/* Bound to any port of loopback, or to any abstract name. */
static struct bide_sock *open_bound(int family)
{
    struct bide_sock *sock;
    struct name any = {.bytes.ss_family = (sa_family_t)family, .length = sizeof(sa_family_t)};
    CHECK_INT(ops->sock_open(engine, family, SOCK_DGRAM, 0, &sock), 0);
    if (family == AF_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        any.length = sizeof address;
        memcpy(&any.bytes, &address, sizeof address);
    } else if (family == AF_INET6) {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        any.length = sizeof address;
        memcpy(&any.bytes, &address, sizeof address);
    }
    CHECK_INT(ops->sock_bind(sock, (struct sockaddr *)&any.bytes, any.length), 0);
    return sock;
}

static int connect_to(struct bide_sock *sock, const struct name *name)
{
    struct rig_op op;
    rig_op_init(&op);
    return rig_result(
        engine, &op,
        ops->connect(sock, &op.op, (const struct sockaddr *)&name->bytes, name->length));
}

static ssize_t send_to(struct bide_sock *sock, const void *data, size_t size, const struct name *to)
{
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (to) {
        message.msg_name = (void *)(uintptr_t)&to->bytes;
        message.msg_namelen = to->length;
    }
    return ops->try_send_message(sock, &message);
}

static ssize_t recv_from(struct bide_sock *sock, void *buffer, size_t size, struct name *from,
                         int *ret_flags)
{
    struct iovec iov = {buffer, size};
    struct name nobody;
    from = from ? from : &nobody;
    struct msghdr message = {.msg_name = &from->bytes,
                             .msg_namelen = sizeof from->bytes,
                             .msg_iov = &iov,
                             .msg_iovlen = 1};
    ssize_t n = ops->try_recv_message(sock, &message);
    if (n >= 0)
        from->length = message.msg_namelen;
    if (n >= 0 && ret_flags)
        *ret_flags = message.msg_flags;
    return n;
}

static int wait_input(struct bide_sock *sock)
{
    struct rig_op wait;
    rig_op_init(&wait);
    return rig_result(engine, &wait, ops->recv_wait(sock, &wait.op));
}

static void check_next(struct bide_sock *sock, const char *text, const struct name *from)
{
    char got[64] = "";
    struct name sender;
    ssize_t n;
    while ((n = recv_from(sock, got, sizeof got - 1, &sender, NULL)) == -EAGAIN)
        CHECK_INT(wait_input(sock), 0);
    CHECK_INT(n, strlen(text));
    CHECK_STR(got, text);
    if (!from)
        return;
    CHECK_INT(sender.length, from->length);
    CHECK(memcmp(&sender.bytes, &from->bytes, from->length) == 0);
}

static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

static void for_each_family(void (*body)(int family))
{
    open_engine();
    int n_fds = rig_count_fds();
    for (int i = 0; i < 3; i++)
        body(families[i]);
    CHECK_INT(rig_count_fds(), n_fds);
    rig_close(engine);
}

static void boundaries(int family)
{
    struct bide_sock *one = open_bound(family);
    struct bide_sock *two = open_bound(family);
    struct name names[2] = {name_of(one), name_of(two)};
    CHECK_INT(recv_from(two, &(char){0}, 1, NULL, NULL), -EAGAIN);
    CHECK_INT(send_to(one, "first", 5, &names[1]), 5);
    CHECK_INT(send_to(one, "", 0, &names[1]), 0);
    CHECK_INT(send_to(one, "third", 5, &names[1]), 5);
    check_next(two, "first", &names[0]);
    check_next(two, "", &names[0]);
    check_next(two, "third", &names[0]);
    CHECK_INT(recv_from(two, &(char){0}, 1, NULL, NULL), -EAGAIN);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(ops->recv_wait(two, &wait.op), BIDE_PENDING); /* now the receiver is first */
    CHECK_INT(send_to(one, "", 0, &names[1]), 0);
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    check_next(two, "", &names[0]);
    ops->sock_close(one);
    ops->sock_close(two);
}

BIDE_TEST(messages_keep_their_boundaries_and_their_senders)
{
    for_each_family(boundaries);
}

static void truncation(int family)
{
    struct bide_sock *sock = open_bound(family);
    struct name name = name_of(sock);
    char got[4];
    int flags = 0;
    CHECK_INT(send_to(sock, "0123456789", 10, &name), 10); /* to itself */
    CHECK_INT(send_to(sock, "next", 4, &name), 4);
    while (recv_from(sock, got, 0, NULL, &flags) == -EAGAIN)
        CHECK_INT(wait_input(sock), 0);
    CHECK(flags & MSG_TRUNC);
    ssize_t n;
    while ((n = recv_from(sock, got, 4, NULL, &flags)) == -EAGAIN)
        CHECK_INT(wait_input(sock), 0);
    CHECK_INT(n, 4);
    CHECK(!(flags & MSG_TRUNC));
    CHECK(memcmp(got, "next", 4) == 0);
    ops->sock_close(sock);
}

BIDE_TEST(what_is_cut_off_is_told)
{
    for_each_family(truncation);
}

static void plain_calls(int family)
{
    struct bide_sock *one = open_bound(family);
    struct bide_sock *two = open_bound(family);
    struct name name = name_of(two);
    CHECK_INT(connect_to(one, &name), 0);
    struct iovec iov[2] = {{(char[]){"ab"}, 2}, {(char[]){"cd"}, 2}};
    CHECK_INT(ops->try_send(one, iov, 2), 4);
    struct iovec nothing = {NULL, 0};
    CHECK_INT(ops->try_send(one, &nothing, 1) <= 0, 1);
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(rig_result(engine, &op, ops->send(one, &op.op, iov, 2)), 0);
    CHECK_INT(op.op.n_done, 4);
    for (int i = 0; i < 2; i++) {
        char got[8];
        ssize_t n;
        while ((n = rig_recv(two, got, sizeof got)) == 0) /* the empty one, if there is one */
            ;
        CHECK_INT(n, 4);
        CHECK(memcmp(got, "abcd", 4) == 0);
    }
    ops->sock_close(one);
    ops->sock_close(two);
}

BIDE_TEST(bytes_sent_at_once_are_one_message)
{
    for_each_family(plain_calls);
}

static void too_large(int family)
{
    struct bide_sock *sock = open_bound(family);
    struct name name = name_of(sock);
    static char data[4 * 1024 * 1024];
    CHECK_INT(send_to(sock, data, sizeof data, &name), -EMSGSIZE);
    CHECK_INT(send_to(sock, "x", 1, &name), 1);
    check_next(sock, "x", &name);
    ops->sock_close(sock);
}

BIDE_TEST(too_large_a_message_is_not_sent)
{
    for_each_family(too_large);
}

static void peers(int family)
{
    struct bide_sock *one = open_bound(family);
    struct bide_sock *two = open_bound(family);
    struct bide_sock *other = open_bound(family);
    struct name name = name_of(one);
    struct name mine = name_of(two);
    CHECK_INT(send_to(two, "x", 1, NULL), family == AF_UNIX ? -ENOTCONN : -EDESTADDRREQ);
    CHECK_INT(connect_to(two, &name), 0);
    struct name got = {.length = sizeof got.bytes};
    CHECK_INT(ops->sock_name(two, true, (struct sockaddr *)&got.bytes, &got.length), 0);
    CHECK(got.length == name.length && memcmp(&got.bytes, &name.bytes, name.length) == 0);
    CHECK_INT(send_to(other, "stranger", 8, &mine), family == AF_UNIX ? -EPERM : 8);
    CHECK_INT(send_to(one, "peer", 4, &mine), 4);
    check_next(two, "peer", &name);
    CHECK_INT(send_to(two, "answer", 6, NULL), 6);
    check_next(one, "answer", &mine);
    ops->sock_close(one);
    ops->sock_close(two);
    ops->sock_close(other);
}

BIDE_TEST(a_connected_socket_hears_its_peer_alone)
{
    for_each_family(peers);
}

/* In both orders: whoever waits for input is told, or else the next send is. */
static void refusal(int family)
{
    struct bide_sock *gone = open_bound(family);
    struct bide_sock *sock = open_bound(family);
    struct name name = name_of(gone);
    struct rig_op wait;
    rig_op_init(&wait);
    CHECK_INT(connect_to(sock, &name), 0);
    ops->sock_close(gone);
    if (family == AF_UNIX) {
        CHECK_INT(send_to(sock, "x", 1, NULL), -ECONNREFUSED);
        CHECK_INT(send_to(sock, "x", 1, NULL), -ENOTCONN);
        ops->sock_close(sock);
        return;
    }
    CHECK_INT(ops->recv_wait(sock, &wait.op), BIDE_PENDING);
    CHECK_INT(send_to(sock, "x", 1, NULL), 1);
    rig_end(engine, &wait);
    CHECK_INT(wait.result, 0);
    CHECK_INT(recv_from(sock, &(char){0}, 1, NULL, NULL), -ECONNREFUSED);
    CHECK_INT(recv_from(sock, &(char){0}, 1, NULL, NULL), -EAGAIN);
    CHECK_INT(send_to(sock, "x", 1, NULL), 1);
    CHECK_INT(wait_input(sock), 0);
    CHECK_INT(send_to(sock, "x", 1, NULL), -ECONNREFUSED);
    ops->sock_close(sock);
}

BIDE_TEST(a_refusal_is_told_once)
{
    for_each_family(refusal);
}

/* Room */

BIDE_TEST(a_full_receiver_has_its_senders_wait)
{
    open_engine();
    struct bide_sock *receiver = open_bound(AF_UNIX);
    struct bide_sock *sender = open_bound(AF_UNIX);
    struct name name = name_of(receiver);
    struct rig_op room;
    rig_op_init(&room);
    CHECK_INT(connect_to(sender, &name), 0);
    CHECK_INT(rig_result(engine, &room, ops->send_wait(sender, &room.op)), 0);
    int n_sent = 0;
    while (send_to(sender, "x", 1, NULL) == 1)
        n_sent++;
    CHECK(n_sent > 0 && n_sent < 1000);
    CHECK_INT(send_to(sender, "x", 1, NULL), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        rig_op_init(&room);
        CHECK_INT(ops->send_wait(sender, &room.op), BIDE_PENDING);
        CHECK(ops->poll(engine, 0) >= 0);
        CHECK(ops->poll(engine, 0) >= 0);
        CHECK_INT(room.n_ends, 0);
        for (int j = 0; j < n_sent; j++)
            check_next(receiver, "x", NULL);
        rig_end(engine, &room);
        CHECK_INT(room.result, 0);
        for (int j = 0; j < n_sent; j++)
            CHECK_INT(send_to(sender, "x", 1, NULL), 1);
        CHECK_INT(send_to(sender, "x", 1, NULL), -EAGAIN);
    }
    rig_op_init(&room);
    CHECK_INT(ops->send_wait(sender, &room.op), BIDE_PENDING);
    ops->sock_close(receiver);
    rig_end(engine, &room);
    CHECK_INT(room.result, 0);
    CHECK_INT(send_to(sender, "x", 1, NULL), -ECONNREFUSED);
    ops->sock_close(sender);
    rig_close(engine);
}

BIDE_TEST(room_at_nobody_in_particular_cannot_be_waited_for)
{
    open_engine();
    struct bide_sock *receiver = open_bound(AF_UNIX);
    struct bide_sock *sender = open_bound(AF_UNIX);
    struct name name = name_of(receiver);
    while (send_to(sender, "x", 1, &name) == 1)
        ;
    for (int i = 0; i < 3; i++) {
        struct rig_op room;
        rig_op_init(&room);
        CHECK_INT(rig_result(engine, &room, ops->send_wait(sender, &room.op)), 0);
        CHECK_INT(send_to(sender, "x", 1, &name), -EAGAIN);
    }
    check_next(receiver, "x", NULL);
    CHECK_INT(send_to(sender, "x", 1, &name), 1);
    ops->sock_close(receiver);
    ops->sock_close(sender);
    rig_close(engine);
}

BIDE_TEST(a_wait_for_room_can_be_cancelled)
{
    open_engine();
    struct bide_sock *receiver = open_bound(AF_UNIX);
    struct bide_sock *sender = open_bound(AF_UNIX);
    struct name name = name_of(receiver);
    struct rig_op room;
    CHECK_INT(connect_to(sender, &name), 0);
    while (send_to(sender, "x", 1, NULL) == 1)
        ;
    for (int turns = 0; turns < 3; turns++) {
        rig_op_init(&room);
        CHECK_INT(ops->send_wait(sender, &room.op), BIDE_PENDING);
        for (int i = 0; i < turns; i++)
            CHECK(ops->poll(engine, 0) >= 0);
        CHECK_INT(room.n_ends, 0);
        ops->cancel(&room.op);
        ops->cancel(&room.op);
        rig_end(engine, &room);
        CHECK_INT(room.result, -ECANCELED);
    }
    ops->sock_close(sender);
    ops->sock_close(receiver);
    rig_close(engine);
}

/* Streams */

struct streams {
    struct bide_sock *ends[2];
};

static struct streams open_streams(int family)
{
    struct streams pair;
    struct name name;
    struct rig_op op;
    struct bide_sock *listener = rig_listen(engine, family, 1, &name.bytes, &name.length);
    CHECK_INT(ops->sock_open(engine, family, SOCK_STREAM, 0, &pair.ends[0]), 0);
    CHECK_INT(connect_to(pair.ends[0], &name), 0);
    rig_op_init(&op);
    CHECK_INT(rig_result(engine, &op, ops->accept_wait(listener, &op.op)), 0);
    CHECK_INT(ops->try_accept(listener, &pair.ends[1]), 0);
    ops->sock_close(listener);
    return pair;
}

static void close_streams(struct streams *pair)
{
    for (int i = 0; i < 2; i++)
        ops->sock_close(pair->ends[i]);
}

static void stream_messages(int family)
{
    struct streams pair = open_streams(family);
    char got[8] = "";
    int flags = -1;
    struct name from = {.length = 1};
    CHECK_INT(recv_from(pair.ends[1], got, sizeof got, NULL, NULL), -EAGAIN);
    CHECK_INT(send_to(pair.ends[0], "ab", 2, NULL), 2);
    ssize_t n;
    while ((n = recv_from(pair.ends[1], got, 1, &from, &flags)) == -EAGAIN)
        CHECK_INT(wait_input(pair.ends[1]), 0);
    CHECK_INT(n, 1);
    CHECK_INT(flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    while ((n = recv_from(pair.ends[1], got + 1, 7, NULL, NULL)) == -EAGAIN)
        CHECK_INT(wait_input(pair.ends[1]), 0);
    CHECK_INT(n, 1);
    CHECK_STR(got, "ab");
    CHECK_INT(ops->sock_shutdown(pair.ends[0], SHUT_WR), 0);
    while ((n = recv_from(pair.ends[1], got, 7, NULL, NULL)) == -EAGAIN)
        CHECK_INT(wait_input(pair.ends[1]), 0);
    CHECK_INT(n, 0);
    CHECK_INT(recv_from(pair.ends[1], got, 7, NULL, NULL), 0);
    CHECK_INT(send_to(pair.ends[0], "x", 1, NULL), -EPIPE);
    close_streams(&pair);
}

BIDE_TEST(streams_carry_messages_as_bytes)
{
    for_each_family(stream_messages);
}

/* The waits also when an engine batches what small immediate sends ask for. */
static void stream_room(int family)
{
    struct streams pair = open_streams(family);
    struct bide_sock *ticking = open_bound(AF_INET);
    struct name itself = name_of(ticking);
    static char data[1000];
    size_t n_sent = 0;
    size_t n_got = 0;
    struct rig_op room;
    struct rig_op input;
    struct rig_op tick;
    rig_op_init(&room);
    rig_op_init(&input);
    rig_op_init(&tick);
    while (n_got < 400 * sizeof data) {
        struct iovec iov = {data, sizeof data};
        ssize_t n;
        while (room.op.state == BIDE_OP_IDLE && (n = ops->try_send(pair.ends[0], &iov, 1)) != 0) {
            if (n > 0)
                n_sent += (size_t)n;
            else if (n == -EAGAIN && ops->send_wait(pair.ends[0], &room.op) == BIDE_PENDING)
                break;
            CHECK(n > 0 || n == -EAGAIN);
        }
        while ((n = ops->try_recv(pair.ends[1], data, sizeof data)) > 0)
            n_got += (size_t)n;
        CHECK_INT(n, -EAGAIN);
        if (input.op.state == BIDE_OP_IDLE)
            ops->recv_wait(pair.ends[1], &input.op);
        CHECK_INT(send_to(ticking, "x", 1, &itself), 1);
        if (tick.op.state == BIDE_OP_IDLE)
            ops->recv_wait(ticking, &tick.op);
        while (recv_from(ticking, data, 1, NULL, NULL) >= 0)
            ;
        rig_turn(engine);
    }
    CHECK(n_sent >= n_got);
    struct rig_op *const all[] = {&room, &input, &tick};
    for (int i = 0; i < 3; i++) {
        ops->cancel(&all[i]->op);
        while (all[i]->op.state != BIDE_OP_IDLE)
            rig_turn(engine);
    }
    ops->sock_close(ticking);
    close_streams(&pair);
}

BIDE_TEST(after_a_wait_for_room_something_is_sent)
{
    for_each_family(stream_room);
}

/* Descriptors */

static ssize_t send_fds(struct bide_sock *sock, const char *text, const struct name *to,
                        const int *fds, int n_fds)
{
    union {
        char bytes[CMSG_SPACE(300 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int))};
    memset(control.bytes, 0, sizeof control.bytes);
    control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int)),
                                     .cmsg_level = SOL_SOCKET,
                                     .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.align), fds, (size_t)n_fds * sizeof(int));
    if (to) {
        message.msg_name = (void *)(uintptr_t)&to->bytes;
        message.msg_namelen = to->length;
    }
    return ops->try_send_message(sock, &message);
}

/* Up to `n_max` descriptors; returns how many came, and what came with them. */
static int recv_fds(struct bide_sock *sock, char *text, int *fds, int n_max, int *ret_flags)
{
    union {
        char bytes[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {text, 15};
    struct msghdr message;
    ssize_t n;
    for (;;) {
        message = (struct msghdr){.msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control.bytes,
                                  .msg_controllen = n_max ? CMSG_LEN((size_t)n_max * sizeof(int))
                                                          : 0};
        n = ops->try_recv_message(sock, &message);
        if (n != -EAGAIN)
            break;
        CHECK_INT(wait_input(sock), 0);
    }
    CHECK(n >= 0);
    text[n] = '\0';
    *ret_flags = message.msg_flags;
    if (message.msg_controllen < CMSG_LEN(0))
        return 0;
    CHECK_INT(control.align.cmsg_level, SOL_SOCKET);
    CHECK_INT(control.align.cmsg_type, SCM_RIGHTS);
    size_t bytes = control.align.cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(&control.align), bytes);
    return (int)(bytes / sizeof(int));
}

/* It is another number for what `fd` is, and closed. */
static void check_same(int copy, int fd)
{
    struct stat one;
    struct stat two;
    CHECK(copy != fd);
    CHECK_INT(fstat(copy, &one), 0);
    CHECK_INT(fstat(fd, &two), 0);
    CHECK(one.st_dev == two.st_dev && one.st_ino == two.st_ino);
    CHECK(fcntl(copy, F_GETFD) & FD_CLOEXEC);
    close(copy);
}

static void pass(struct bide_sock *from, struct bide_sock *to, const struct name *name)
{
    int fds[2];
    int got[8];
    int flags;
    char text[20];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    int n_open = rig_count_fds();
    CHECK_INT(send_fds(from, "one", name, fds, 1), 3);
    CHECK_INT(recv_fds(to, text, got, 8, &flags), 1);
    CHECK_STR(text, "one");
    CHECK_INT(flags & MSG_CTRUNC, 0);
    check_same(got[0], fds[0]);
    int n_lost = !test_emulated();
    CHECK_INT(send_fds(from, "two", name, fds, 1 + n_lost), 3); /* more than there is room for */
    CHECK_INT(recv_fds(to, text, got, 1, &flags), 1);
    CHECK_STR(text, "two");
    CHECK_INT((flags & MSG_CTRUNC) != 0, n_lost);
    check_same(got[0], fds[0]);
    CHECK_INT(send_fds(from, "none", name, fds, 2), 4);
    CHECK_INT(recv_fds(to, text, got, 0, &flags), 0);
    CHECK_STR(text, "none");
    CHECK((flags & MSG_CTRUNC) || test_emulated());
    CHECK_INT(send_fds(from, "plain", name, fds, 2), 5);
    CHECK_INT(rig_recv(to, text, 15), 5);
    CHECK_INT(send_fds(from, "bad", name, (int[]){fds[0], 19999}, 2), -EBADF);
    static int many[254];
    CHECK_INT(send_fds(from, "many", name, many, 254), -EINVAL);
    CHECK_INT(rig_count_fds(), n_open);
    close(fds[0]);
    close(fds[1]);
}

BIDE_TEST(descriptors_travel_with_datagrams)
{
    open_engine();
    struct bide_sock *one = open_bound(AF_UNIX);
    struct bide_sock *two = open_bound(AF_UNIX);
    struct name name = name_of(two);
    int n_fds = rig_count_fds();
    pass(one, two, &name);
    for (int i = 0; i < 3; i++) /* nobody takes these */
        CHECK_INT(send_fds(one, "x", &name, (int[]){1, 2}, 2), 1);
    CHECK_INT(rig_count_fds() >= n_fds, 1);
    ops->sock_close(two);
    ops->sock_close(one);
    rig_close(engine);
}

BIDE_TEST(descriptors_travel_with_streams)
{
    open_engine();
    struct streams pair = open_streams(AF_UNIX);
    pass(pair.ends[0], pair.ends[1], NULL);
    pass(pair.ends[1], pair.ends[0], NULL);
    close_streams(&pair);
    rig_close(engine);
}

/* What was sent before descriptors may come with them, what was sent behind them does not. */
BIDE_TEST(a_read_ends_behind_descriptors)
{
    open_engine();
    struct streams pair = open_streams(AF_UNIX);
    int got[8];
    int flags;
    char text[20];
    CHECK_INT(send_to(pair.ends[0], "a", 1, NULL), 1);
    CHECK_INT(send_fds(pair.ends[0], "bc", NULL, (int[]){1}, 1), 2);
    CHECK_INT(send_to(pair.ends[0], "d", 1, NULL), 1);
    CHECK_INT(send_fds(pair.ends[0], "ef", NULL, (int[]){1, 2}, 2), 2);
    int n = recv_fds(pair.ends[1], text, got, 8, &flags);
    if (strcmp(text, "a") == 0) /* Linux may stop before them, too */
        n += recv_fds(pair.ends[1], text + 1, got, 8, &flags);
    CHECK_INT(n, 1);
    CHECK_STR(text, "abc");
    check_same(got[0], 1);
    CHECK_INT(ops->try_recv(pair.ends[1], text, 2), 2); /* "de": the second two come with "e" */
    n = recv_fds(pair.ends[1], text, got, 8, &flags);
    CHECK_INT(n, 0);
    CHECK_STR(text, "f");
    CHECK_INT(send_fds(pair.ends[0], "gh", NULL, (int[]){1, 2}, 2), 2); /* stays there */
    close_streams(&pair);
    rig_close(engine);
}

BIDE_TEST(what_is_no_socket_has_no_messages)
{
    open_engine();
    struct bide_sock *reader;
    struct bide_sock *writer;
    CHECK_INT(ops->pipe(engine, &reader, &writer), 0);
    ops = writer->engine->ops; /* an engine may leave its pipes to another one */
    CHECK_INT(send_to(writer, "x", 1, NULL), -ENOTSOCK);
    CHECK_INT(recv_from(reader, &(char){0}, 1, NULL, NULL), -ENOTSOCK);
    struct rig_op room;
    rig_op_init(&room);
    CHECK_INT(rig_result(engine, &room, ops->send_wait(writer, &room.op)), 0);
    struct iovec iov = {(char[]){"x"}, 1};
    CHECK_INT(ops->try_send(writer, &iov, 1), 1);
    ops->sock_close(reader);
    ops->sock_close(writer);
    rig_close(engine);
}

/* Nothing comes that could be taken for an empty message. */
BIDE_TEST(shutting_down_ends_a_wait)
{
    open_engine();
    for (int i = 0; i < 3; i++) {
        struct bide_sock *sock = open_bound(families[i]);
        struct name name = name_of(sock);
        struct rig_op wait;
        rig_op_init(&wait);
        bool is_unix = families[i] == AF_UNIX;
        if (!is_unix)
            CHECK_INT(ops->sock_shutdown(sock, SHUT_RD), -ENOTCONN);
        CHECK_INT(connect_to(sock, &name), 0);
        CHECK_INT(ops->recv_wait(sock, &wait.op), BIDE_PENDING);
        CHECK_INT(ops->sock_shutdown(sock, SHUT_RDWR), 0);
        rig_end(engine, &wait);
        CHECK_INT(recv_from(sock, &(char){0}, 1, NULL, NULL), -EAGAIN);
        CHECK_INT(send_to(sock, "x", 1, NULL), -EPIPE);
        ops->sock_close(sock);
    }
    rig_close(engine);
}
