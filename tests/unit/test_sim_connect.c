/*
 * Scenario: sockets of the simulated engine find each other. Claim: names, queues of listeners,
 * attempts that are refused, repeated or given up, and options are as Linux has them; links have
 * the latency that was set.
 */
#include "sim_sock_rig.h"

/* Connecting */

BIDE_TEST(nobody_listens)
{
    open_seed(1);
    struct address ipv4 = address_of(AF_INET, "10.0.0.1", 80);
    struct address path = address_of(AF_UNIX, "/run/nobody", 0);
    struct address other = address_of(AF_UNIX, "/run/somebody", 0);
    struct bide_sock *sock = open_sock(AF_INET);
    struct bide_sock *local = open_sock(AF_UNIX);
    struct bide_sock *bound = open_sock(AF_UNIX);
    CHECK_INT(connect_to(sock, &ipv4), -ECONNREFUSED);
    CHECK_INT(connect_to(local, &path), -ENOENT);
    CHECK_INT(bind_to(bound, &other), 0);
    CHECK_INT(connect_to(local, &other), -ECONNREFUSED);
    struct bide_sock *listener = open_sock(AF_INET);
    CHECK_INT(bind_to(listener, &ipv4), 0);
    CHECK_INT(connect_to(sock, &ipv4), -ECONNREFUSED);
    CHECK_INT(ops->sock_listen(listener, 1), 0);
    CHECK_INT(connect_to(sock, &ipv4), 0); /* the same socket may try again */
    CHECK_INT(connect_to(sock, &ipv4), -EISCONN);
    CHECK_INT(connect_to(listener, &ipv4), -EISCONN);
    struct bide_sock *socks[] = {sock, local, bound, listener};
    for (int i = 0; i < 4; i++)
        ops->sock_close(socks[i]);
    rig_close(engine);
}

BIDE_TEST(a_full_queue_makes_others_try_again)
{
    open_seed(1);
    struct address address = address_of(AF_INET, "127.0.0.1", 80);
    struct bide_sock *listener = open_sock(AF_INET);
    struct bide_sock *clients[3];
    struct rig_op ops_of[3];
    CHECK_INT(bind_to(listener, &address), 0);
    CHECK_INT(ops->sock_listen(listener, 0), 0);
    int64_t before_ns = ops->now_ns(engine);
    for (int i = 0; i < 3; i++) {
        clients[i] = open_sock(AF_INET);
        CHECK_INT(begin(clients[i], &ops_of[i], &address), BIDE_PENDING);
        CHECK_INT(begin(clients[i], &(struct rig_op){0}, &address), -EALREADY);
    }
    while (!(ops_of[0].n_ends + ops_of[1].n_ends + ops_of[2].n_ends))
        rig_turn(engine);
    struct bide_sock *first = accept_from(listener);
    struct bide_sock *none;
    CHECK_INT(ops->try_accept(listener, &none), -EAGAIN);
    run_dry(); /* the second gets in after a second, the third gives up after two minutes */
    CHECK_RANGE(ops->now_ns(engine) - before_ns, 60 * SECOND_NS, 130 * SECOND_NS);
    int n_connected = 0;
    int n_timed_out = 0;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ops_of[i].n_ends, 1);
        n_connected += ops_of[i].result == 0;
        n_timed_out += ops_of[i].result == -ETIMEDOUT;
    }
    CHECK_INT(n_connected, 2);
    CHECK_INT(n_timed_out, 1);
    ops->sock_close(listener); /* the one that was not accepted sees a reset */
    run_dry();
    int n_reset = 0;
    for (int i = 0; i < 3; i++) {
        n_reset += recv_one(clients[i]) == -ECONNRESET;
        ops->sock_close(clients[i]);
    }
    CHECK_INT(n_reset, 1);
    ops->sock_close(first);
    rig_close(engine);
}

BIDE_TEST(a_full_local_queue_says_so)
{
    open_seed(1);
    struct sockaddr_storage name;
    struct address address;
    struct bide_sock *clients[] = {open_sock(AF_UNIX), open_sock(AF_UNIX)};
    struct bide_sock *listener = rig_listen(engine, AF_UNIX, 0, &name, &address.length);
    address.bytes = name;
    CHECK_INT(address.length, sizeof(sa_family_t) + 6); /* a name was chosen */
    CHECK_INT(connect_to(clients[0], &address), 0);
    CHECK_INT(connect_to(clients[1], &address), -EAGAIN);
    ops->sock_close(listener);
    CHECK_INT(recv_one(clients[0]), -ECONNRESET);
    CHECK_INT(connect_to(clients[1], &address), -ECONNREFUSED);
    ops->sock_close(clients[0]);
    ops->sock_close(clients[1]);
    rig_close(engine);
}

BIDE_TEST(attempts_are_given_up)
{
    struct address address = address_of(AF_INET, "127.0.0.1", 80);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_seed(seed);
        struct bide_sock *listener = open_sock(AF_INET);
        struct rig_op connecting[3];
        struct bide_sock *socks[3];
        CHECK_INT(bind_to(listener, &address), 0);
        CHECK_INT(ops->sock_listen(listener, 8), 0);
        for (int i = 0; i < 3; i++) {
            socks[i] = open_sock(AF_INET);
            CHECK_INT(begin(socks[i], &connecting[i], &address), BIDE_PENDING);
        }
        CHECK_INT(recv_one(socks[0]), -EAGAIN);
        CHECK_INT(send_text(socks[0], "x"), -EAGAIN);
        ops->cancel(&connecting[0].op);
        ops->cancel(&connecting[0].op);
        CHECK_INT(ops->sock_shutdown(socks[1], SHUT_RDWR), 0);
        run_dry();
        CHECK_INT(connecting[0].n_ends, 1);
        CHECK_INT(connecting[0].result, -ECANCELED);
        CHECK_INT(connecting[1].result, -ECONNABORTED);
        CHECK_INT(connecting[2].result, 0);
        CHECK_INT(send_text(socks[0], "x"), 1); /* it went on by itself */
        for (int i = 0; i < 3; i++)
            ops->sock_close(socks[i]);
        ops->sock_close(listener);
        rig_close(engine);
    }
}

BIDE_TEST(sockets_that_are_not_connected)
{
    open_seed(1);
    struct bide_sock *sock = open_sock(AF_INET);
    struct bide_sock *local = open_sock(AF_UNIX);
    struct bide_sock *none;
    struct address address = {.length = sizeof address.bytes};
    CHECK_INT(recv_one(sock), -ENOTCONN);
    CHECK_INT(recv_one(local), -EINVAL);
    CHECK_INT(send_text(sock, "x"), -EPIPE);
    CHECK_INT(send_text(local, "x"), -ENOTCONN);
    CHECK_INT(ops->sock_shutdown(sock, SHUT_WR), -ENOTCONN);
    CHECK_INT(ops->try_accept(sock, &none), -EINVAL);
    CHECK_INT(ops->sock_listen(local, 1), -EINVAL);
    CHECK_INT(ops->sock_name(sock, true, (struct sockaddr *)&address.bytes, &address.length),
              -ENOTCONN);
    ops->sock_close(sock);
    ops->sock_close(local);
    CHECK_INT(ops->sock_open(engine, AF_NETLINK, SOCK_STREAM, 0, &none), -EAFNOSUPPORT);
    CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_SEQPACKET, 0, &none), -ESOCKTNOSUPPORT);
    CHECK_INT(ops->sock_open(engine, AF_INET, SOCK_STREAM, IPPROTO_UDP, &none), -EPROTONOSUPPORT);
    rig_close(engine);
}

BIDE_TEST(a_listener_that_is_shut_down_listens_no_more)
{
    open_seed(1);
    struct sockaddr_storage name;
    struct address address;
    struct bide_sock *listener = rig_listen(engine, AF_INET, 1, &name, &address.length);
    struct bide_sock *none;
    struct rig_op accepting;
    address.bytes = name;
    rig_op_init(&accepting);
    CHECK_INT(ops->accept_wait(listener, &accepting.op), BIDE_PENDING);
    CHECK_INT(ops->sock_shutdown(listener, SHUT_RD), 0);
    rig_end(engine, &accepting);
    CHECK_INT(accepting.result, 0);
    CHECK_INT(ops->try_accept(listener, &none), -EINVAL);
    struct bide_sock *client = open_sock(AF_INET);
    CHECK_INT(connect_to(client, &address), -ECONNREFUSED);
    ops->sock_close(client);
    ops->sock_close(listener);
    rig_close(engine);
}

/* Names */

static int try_listen(struct bide_sock *sock, const struct address *address)
{
    int rc = bind_to(sock, address);
    return rc < 0 ? rc : ops->sock_listen(sock, 1);
}

/* What listening on `second` gives while somebody listens on `first`, both with the option set. */
static int listen_twice(const struct address *first, const struct address *second, int option)
{
    struct bide_sock *socks[2];
    int yes = 1;
    for (int i = 0; i < 2; i++) {
        socks[i] = open_sock(i ? second->bytes.ss_family : first->bytes.ss_family);
        if (option)
            CHECK_INT(ops->sock_setopt(socks[i], SOL_SOCKET, option, &yes, sizeof yes), 0);
    }
    CHECK_INT(try_listen(socks[0], first), 0);
    int rc = try_listen(socks[1], second);
    ops->sock_close(socks[0]);
    ops->sock_close(socks[1]);
    return rc;
}

BIDE_TEST(a_name_has_one_owner)
{
    open_seed(1);
    struct address any4 = address_of(AF_INET, "0.0.0.0", 80);
    struct address any6 = address_of(AF_INET6, "::", 80);
    struct address one4 = address_of(AF_INET, "10.0.0.1", 80);
    struct address two4 = address_of(AF_INET, "10.0.0.2", 80);
    struct address one6 = address_of(AF_INET6, "::1", 80);
    struct address port = address_of(AF_INET, "10.0.0.1", 81);
    struct address path = address_of(AF_UNIX, "/run/one", 0);
    CHECK_INT(listen_twice(&one4, &one4, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&one4, &two4, 0), 0);
    CHECK_INT(listen_twice(&one4, &port, 0), 0);
    CHECK_INT(listen_twice(&any4, &one4, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&one4, &any4, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&any6, &one4, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&any6, &any4, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&any4, &one6, 0), 0);
    CHECK_INT(listen_twice(&path, &path, 0), -EADDRINUSE);
    CHECK_INT(listen_twice(&path, &one4, 0), 0);
    CHECK_INT(listen_twice(&one4, &one4, SO_REUSEADDR), -EADDRINUSE);
    CHECK_INT(listen_twice(&one4, &one4, SO_REUSEPORT), 0);
    struct bide_sock *first = open_sock(AF_INET);
    struct bide_sock *second = open_sock(AF_INET);
    int yes = 1;
    CHECK_INT(ops->sock_setopt(first, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    CHECK_INT(ops->sock_setopt(second, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    CHECK_INT(bind_to(first, &one4), 0);
    CHECK_INT(bind_to(first, &one4), -EINVAL);
    CHECK_INT(bind_to(second, &one4), 0); /* as long as nobody listens */
    CHECK_INT(ops->sock_listen(second, 1), 0);
    CHECK_INT(ops->sock_listen(first, 1), -EADDRINUSE);
    ops->sock_close(first);
    ops->sock_close(second);
    rig_close(engine);
}

BIDE_TEST(one_wildcard_takes_both_families_unless_told_otherwise)
{
    open_seed(1);
    struct address any6 = address_of(AF_INET6, "::", 80);
    struct address any4 = address_of(AF_INET, "0.0.0.0", 80);
    struct address to4 = address_of(AF_INET, "10.0.0.1", 80);
    for (int only = 0; only < 2; only++) {
        struct bide_sock *listener = open_sock(AF_INET6);
        struct bide_sock *other = open_sock(AF_INET);
        struct bide_sock *client = open_sock(AF_INET);
        CHECK_INT(ops->sock_setopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), 0);
        CHECK_INT(try_listen(listener, &any6), 0);
        CHECK_INT(ops->sock_setopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only),
                  -EINVAL);
        CHECK_INT(bind_to(other, &any4), only ? 0 : -EADDRINUSE);
        CHECK_INT(connect_to(client, &to4), only ? -ECONNREFUSED : 0);
        if (!only) {
            struct bide_sock *server = accept_from(listener);
            struct address peer = name_of(server, true);
            char text[INET6_ADDRSTRLEN];
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&peer.bytes)->sin6_addr, text,
                      sizeof text);
            CHECK_STR(text, "::ffff:10.0.0.1");
            ops->sock_close(server);
        }
        ops->sock_close(client);
        ops->sock_close(other);
        ops->sock_close(listener);
    }
    rig_close(engine);
}

BIDE_TEST(both_sides_know_each_others_names)
{
    open_seed(1);
    for (int i = 0; i < 3; i++) {
        struct pair pair = connect_pair(families[i]);
        struct address names[] = {name_of(pair.client, false), name_of(pair.server, true),
                                  name_of(pair.server, false), name_of(pair.client, true)};
        for (int j = 0; j < 4; j += 2) {
            CHECK_INT(names[j].length, names[j + 1].length);
            CHECK_MEM(&names[j].bytes, &names[j + 1].bytes, names[j].length);
        }
        if (families[i] == AF_UNIX)
            CHECK_INT(names[0].length, sizeof(sa_family_t)); /* it has none */
        else
            CHECK(port_of(pair.client) >= 32768 && port_of(pair.client) != port_of(pair.server));
        socklen_t length = 3;
        char cut[4] = {0, 0, 0, 0x55};
        CHECK_INT(ops->sock_name(pair.server, false, (struct sockaddr *)cut, &length), 0);
        CHECK_INT(length, names[2].length);
        CHECK_INT(cut[3], 0x55);
        close_pair(&pair);
    }
    struct address path = address_of(AF_UNIX, "/run/name", 0);
    struct bide_sock *named = open_sock(AF_UNIX);
    struct bide_sock *fresh = open_sock(AF_INET);
    CHECK_INT(bind_to(named, &path), 0);
    CHECK_INT(name_of(named, false).length, path.length + 1); /* the zero byte counts */
    CHECK_INT(port_of(fresh), 0);
    struct address wrong = path;
    CHECK_INT(bind_to(fresh, &wrong), -EAFNOSUPPORT);
    wrong.length = 1;
    CHECK_INT(bind_to(fresh, &wrong), -EINVAL);
    ops->sock_close(named);
    ops->sock_close(fresh);
    rig_close(engine);
}

static int get_option(struct bide_sock *sock, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    int rc = ops->sock_getopt(sock, level, name, &value, &length);
    return rc < 0 ? rc : value;
}

BIDE_TEST(options_are_remembered_and_inherited)
{
    open_seed(1);
    struct address address = address_of(AF_INET, "127.0.0.1", 80);
    struct bide_sock *listener = open_sock(AF_INET);
    struct bide_sock *client = open_sock(AF_INET);
    struct bide_sock *local = open_sock(AF_UNIX);
    int value = 10000;
    struct linger linger = {1, 5};
    struct linger got = {0};
    socklen_t length = sizeof got;
    CHECK_INT(ops->sock_setopt(listener, SOL_SOCKET, SO_RCVBUF, &value, sizeof value), 0);
    CHECK_INT(ops->sock_setopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    CHECK_INT(ops->sock_setopt(listener, SOL_SOCKET, SO_LINGER, &linger, 1), -EINVAL);
    CHECK_INT(try_listen(listener, &address), 0);
    CHECK_INT(connect_to(client, &address), 0);
    struct bide_sock *server = accept_from(listener);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_RCVBUF), 20000); /* Linux doubles it */
    CHECK_INT(ops->sock_getopt(server, SOL_SOCKET, SO_LINGER, &got, &length), 0);
    CHECK_INT(got.l_onoff == 1 && got.l_linger == 5, 1);
    CHECK_INT(get_option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_DOMAIN), AF_INET);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    CHECK_INT(get_option(local, SOL_SOCKET, SO_PROTOCOL), 0);
    CHECK_INT(get_option(local, IPPROTO_TCP, TCP_NODELAY), -ENOPROTOOPT);
    CHECK_INT(get_option(server, IPPROTO_IPV6, IPV6_V6ONLY), -ENOPROTOOPT);
    CHECK_INT(get_option(server, SOL_SOCKET, 12345), -ENOPROTOOPT);
    CHECK_INT(ops->sock_setopt(server, SOL_SOCKET, SO_TYPE, &value, sizeof value), -ENOPROTOOPT);
    CHECK_INT(ops->sock_setopt(server, IPPROTO_TCP, TCP_NODELAY, &value, 2), -EINVAL);
    CHECK_INT(ops->sock_setopt(server, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value), 0);
    CHECK(get_option(server, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_INT(send_text(client, "unread"), 6);
    run_dry();
    linger.l_linger = 0;
    CHECK_INT(ops->sock_setopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    ops->sock_close(client);
    run_dry();
    CHECK_INT(get_option(server, SOL_SOCKET, SO_ERROR), ECONNRESET);
    CHECK_INT(get_option(server, SOL_SOCKET, SO_ERROR), 0);
    ops->sock_close(server);
    ops->sock_close(listener);
    ops->sock_close(local);
    rig_close(engine);
}

/* Links */

BIDE_TEST(links_have_their_latency)
{
    open_seed(1);
    CHECK_INT(bide__sim_link(sim(), "10.0.0.1", "10.0.0.2", 2, 1), -EINVAL);
    CHECK_INT(bide__sim_link(sim(), "ten", "10.0.0.2", 1, 1), -EINVAL);
    CHECK_INT(bide__sim_link(sim(), "10.0.0.1", "10.0.0.2", 0, 0), 0);
    CHECK_INT(bide__sim_link(sim(), "10.0.0.2", "10.0.0.1", SECOND_NS / 10, SECOND_NS / 5), 0);
    struct address there = address_of(AF_INET, "10.0.0.1", 80);
    struct address here = address_of(AF_INET, "10.0.0.2", 0);
    struct bide_sock *listener = open_sock(AF_INET);
    struct pair pair = {.client = open_sock(AF_INET)};
    CHECK_INT(try_listen(listener, &there), 0);
    CHECK_INT(bind_to(pair.client, &here), 0);
    int64_t before_ns = ops->now_ns(engine);
    CHECK_INT(connect_to(pair.client, &there), 0);
    CHECK_RANGE(ops->now_ns(engine) - before_ns, SECOND_NS / 10, SECOND_NS / 4);
    pair.server = accept_from(listener);
    before_ns = ops->now_ns(engine);
    CHECK_INT(send_text(pair.client, "far"), 3);
    check_recv(pair.server, "far");
    CHECK_RANGE(ops->now_ns(engine) - before_ns, SECOND_NS / 10, SECOND_NS / 4);
    CHECK_INT(bide__sim_reset(sim(), "nowhere"), -EINVAL);
    CHECK_INT(bide__sim_reset(sim(), "10.0.0.3"), 0);
    CHECK_INT(bide__sim_reset(sim(), "10.0.0.2"), 1);
    check_reset(pair.client, true);
    check_reset(pair.server, false);
    close_pair(&pair);
    ops->sock_close(listener);
    rig_close(engine);
}
