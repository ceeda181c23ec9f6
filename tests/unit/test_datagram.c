/*
 * Scenario: datagram endpoints of one loop, UDP and Unix, exchange messages, in every order, with
 * and without room, and are cancelled, aborted and closed in the middle. Claim: a message comes
 * whole with its sender or not at all, an empty one too; whoever waits is told; a cancelled call
 * has done nothing; no descriptor is left. In simulation, too.
 */
#include "task_rig.h"

#include <bide/datagram.h>
#include <bide/descriptors.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* NULL for a Unix endpoint. */
static const char *const hosts[] = {"127.0.0.1", "::1", NULL};

static bide_datagram *open_with(const char *host, const struct bide_datagram_opts *opts)
{
    bide_datagram *endpoint = NULL;
    if (host)
        CHECK_INT(bide_datagram_open(host, 0, opts, &endpoint), 0);
    else
        CHECK_INT(bide_datagram_unix("", opts, &endpoint), 0);
    return endpoint;
}

struct ends {
    bide_datagram *one, *two;
    struct bide_address at_one, at_two;
};

/* The second one is connected to the first. */
static struct ends ends_open(const char *host)
{
    struct ends ends = {.one = open_with(host, NULL)};
    CHECK_INT(bide_datagram_local(ends.one, &ends.at_one), 0);
    ends.two = open_with(host, &(struct bide_datagram_opts){.peer = &ends.at_one});
    CHECK_INT(bide_datagram_local(ends.two, &ends.at_two), 0);
    return ends;
}

static void ends_close(struct ends *ends)
{
    bide_datagram_close(ends->one);
    bide_datagram_close(ends->two);
}

static bool same(const struct bide_address *a, const struct bide_address *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bide_async(receives, (bide_datagram *, endpoint), (void *, buffer), (size_t, size),
                  (struct bide_address *, ret_from))
{
    return bide_datagram_receive(endpoint, buffer, size, ret_from);
}

static bide_async(sends, (bide_datagram *, endpoint), (const char *, text),
                  (const struct bide_address *, to))
{
    return bide_datagram_send(endpoint, text, strlen(text), to);
}

static bide_task *waiting(bide_task *task)
{
    turns(3);
    CHECK(!bide_task_done(task));
    return task;
}

static void check_next(bide_datagram *endpoint, const char *text, const struct bide_address *from)
{
    char got[64] = "";
    struct bide_address sender;
    CHECK_INT(bide_datagram_receive(endpoint, got, sizeof got - 1, &sender), strlen(text));
    CHECK_STR(got, text);
    if (from)
        CHECK(same(&sender, from));
}

#define FOR_EACH_HOST(host) \
    for (const char *const *at = hosts, *host = *at; at < hosts + 3; \
         at++, host = at < hosts + 3 ? *at : NULL)

TASK_TEST(messages_go_both_ways)
{
    int n_fds = count_fds();
    FOR_EACH_HOST(host)
    {
        struct ends ends = ends_open(host);
        CHECK_INT(bide_datagram_send(ends.two, "first", 5, NULL), 0); /* before anybody asks */
        check_next(ends.one, "first", &ends.at_two);
        char got[16] = "";
        struct bide_address from;
        bide_task *reader = waiting(bide_spawn(receives, ends.two, got, 16, &from));
        CHECK_INT(bide_datagram_send(ends.one, "answer", 6, &ends.at_two), 0);
        CHECK_INT(bide_await(reader), 6);
        CHECK_STR(got, "answer");
        CHECK(same(&from, &ends.at_one));
        struct bide_address peer;
        CHECK_INT(bide_datagram_peer(ends.two, &peer), 0);
        CHECK(same(&peer, &ends.at_one));
        CHECK_INT(bide_datagram_peer(ends.one, &peer), -ENOTCONN);
        CHECK_INT(bide_datagram_send(ends.one, "x", 1, NULL), host ? -EDESTADDRREQ : -ENOTCONN);
        ends_close(&ends);
    }
    CHECK_INT(count_fds(), n_fds);
}

TASK_TEST(an_empty_message_is_one)
{
    FOR_EACH_HOST(host)
    {
        struct ends ends = ends_open(host);
        CHECK_INT(bide_datagram_send(ends.two, "", 0, NULL), 0);
        CHECK_INT(bide_datagram_offer(ends.two, NULL, 0, NULL), 0);
        CHECK_INT(bide_datagram_send(ends.two, "x", 1, NULL), 0);
        check_next(ends.one, "", &ends.at_two);
        CHECK_INT(bide_datagram_receive(ends.one, NULL, 0, NULL), 0);
        check_next(ends.one, "x", NULL);
        ends_close(&ends);
    }
}

TASK_TEST(what_does_not_fit_is_told)
{
    static char large[4 * 1024 * 1024];
    FOR_EACH_HOST(host)
    {
        struct ends ends = ends_open(host);
        char got[4];
        CHECK_INT(bide_datagram_send(ends.two, large, sizeof large, NULL), -EMSGSIZE);
        CHECK_INT(bide_datagram_send(ends.two, "abcdef", 6, NULL), 0);
        CHECK_INT(bide_datagram_send(ends.two, "next", 4, NULL), 0);
        CHECK_INT(bide_datagram_receive(ends.one, got, sizeof got, NULL), -EMSGSIZE);
        CHECK(memcmp(got, "abcd", 4) == 0);
        CHECK_INT(bide_datagram_receive(ends.one, got, sizeof got, NULL), 4);
        CHECK(memcmp(got, "next", 4) == 0);
        ends_close(&ends);
    }
}

TASK_TEST(one_receives_at_a_time)
{
    struct ends ends = ends_open("127.0.0.1");
    char got[8] = "";
    bide_task *reader = waiting(bide_spawn(receives, ends.one, got, sizeof got, NULL));
    CHECK_INT(bide_datagram_receive(ends.one, got, sizeof got, NULL), -EBUSY);
    CHECK_INT(bide_datagram_send(ends.two, "x", 1, NULL), 0);
    CHECK_INT(bide_await(reader), 1);
    ends_close(&ends);
}

TASK_TEST(a_cancelled_receive_took_nothing)
{
    FOR_EACH_HOST(host)
    {
        struct ends ends = ends_open(host);
        char got[8] = "";
        bide_task *reader = waiting(bide_spawn(receives, ends.one, got, sizeof got, NULL));
        bide_cancel(reader);
        CHECK_INT(bide_datagram_send(ends.two, "late", 4, NULL), 0); /* beside the cancel */
        int rc = bide_await(reader);
        CHECK(rc == -ECANCELED);
        check_next(ends.one, "late", NULL);
        reader = bide_spawn(receives, ends.one, got, sizeof got, NULL);
        bide_cancel(reader); /* before it began */
        CHECK_INT(bide_await(reader), -ECANCELED);
        ends_close(&ends);
    }
}

/* A refusal is told once, to who waits or to the next call, and the endpoint goes on. */
TASK_TEST(refusals_are_told_to_who_is_connected)
{
    for (int i = 0; i < 2; i++) {
        struct ends ends = ends_open(hosts[i]);
        char got[8];
        bide_datagram_close(ends.one);
        bide_task *reader = waiting(bide_spawn(receives, ends.two, got, sizeof got, NULL));
        CHECK_INT(bide_datagram_send(ends.two, "x", 1, NULL), 0);
        CHECK_INT(bide_await(reader), -ECONNREFUSED);
        unsigned port = bide_address_port(&ends.at_one);
        CHECK_INT(bide_datagram_open(hosts[i], port, NULL, &ends.one), 0);
        CHECK_INT(bide_datagram_send(ends.two, "again", 5, NULL), 0);
        check_next(ends.one, "again", &ends.at_two);
        ends_close(&ends);
    }
    struct ends ends = ends_open(NULL);
    bide_datagram_close(ends.one);
    CHECK_INT(bide_datagram_send(ends.two, "x", 1, NULL), -ECONNREFUSED);
    CHECK_INT(bide_datagram_send(ends.two, "x", 1, &ends.at_one), -ECONNREFUSED);
    bide_datagram_close(ends.two);
}

/* Room */

static size_t stuff(bide_datagram *endpoint, const struct bide_address *to)
{
    size_t n = 0;
    while (bide_datagram_offer(endpoint, "f", 1, to) == 0)
        n++;
    CHECK_INT(bide_datagram_offer(endpoint, "f", 1, to), -EAGAIN);
    CHECK(n > 0);
    return n;
}

/* By who is connected, who is not, and who is where the receiver is connected to. */
static struct ends full_ends(int how, const struct bide_address **ret_to, size_t *ret_n)
{
    struct ends ends = ends_open(NULL);
    *ret_to = how == 0 ? NULL : &ends.at_one;
    if (how == 1) {
        bide_datagram_close(ends.two);
        ends.two = open_with(NULL, NULL);
    } else if (how == 2) {
        bide_datagram_close(ends.one);
        bide_datagram_close(ends.two);
        ends.two = open_with(NULL, NULL);
        CHECK_INT(bide_datagram_local(ends.two, &ends.at_two), 0);
        ends.one = open_with(NULL, &(struct bide_datagram_opts){.peer = &ends.at_two});
        CHECK_INT(bide_datagram_local(ends.one, &ends.at_one), 0);
    }
    *ret_n = stuff(ends.two, how == 0 ? NULL : &ends.at_one);
    return ends;
}

TASK_TEST(senders_without_room_take_turns)
{
    for (int how = 0; how < 3; how++) {
        size_t n;
        const struct bide_address *to;
        struct ends ends = full_ends(how, &to, &n);
        to = to ? &ends.at_one : NULL;
        bide_task *senders[3];
        static const char *const texts[] = {"a", "b", "c"};
        for (int i = 0; i < 3; i++)
            senders[i] = waiting(bide_spawn(sends, ends.two, texts[i], to));
        CHECK_INT(bide_datagram_offer(ends.two, "x", 1, to), -EAGAIN);
        for (size_t i = 0; i < n; i++)
            check_next(ends.one, "f", NULL);
        for (int i = 0; i < 3; i++)
            check_next(ends.one, texts[i], NULL);
        for (int i = 0; i < 3; i++)
            CHECK_INT(bide_await(senders[i]), 0);
        ends_close(&ends);
    }
}

TASK_TEST(a_cancelled_send_sent_nothing)
{
    for (int how = 0; how < 3; how++) {
        size_t n;
        const struct bide_address *to;
        struct ends ends = full_ends(how, &to, &n);
        to = to ? &ends.at_one : NULL;
        bide_task *first = waiting(bide_spawn(sends, ends.two, "first", to));
        bide_task *second = waiting(bide_spawn(sends, ends.two, "second", to));
        bide_task *third = waiting(bide_spawn(sends, ends.two, "third", to));
        bide_cancel(second); /* waits for its turn */
        CHECK_INT(bide_await(second), -ECANCELED);
        bide_cancel(first); /* waits for room */
        CHECK_INT(bide_await(first), -ECANCELED);
        for (size_t i = 0; i < n; i++)
            check_next(ends.one, "f", NULL);
        check_next(ends.one, "third", NULL);
        CHECK_INT(bide_await(third), 0);
        ends_close(&ends);
    }
}

/* The end */

TASK_TEST(closing_ends_the_calls_of_others)
{
    int n_fds = count_fds();
    for (int how = 0; how < 6; how++) {
        size_t n;
        const struct bide_address *to;
        struct ends ends = full_ends(how % 3, &to, &n);
        to = to ? &ends.at_one : NULL;
        char got[8];
        bide_task *reader = waiting(bide_spawn(receives, ends.two, got, sizeof got, NULL));
        bide_task *senders[2];
        for (int i = 0; i < 2; i++)
            senders[i] = waiting(bide_spawn(sends, ends.two, "x", to));
        if (how < 3) {
            bide_datagram_abort(ends.two);
            bide_datagram_abort(ends.two);
            CHECK_INT(bide_datagram_send(ends.two, "x", 1, NULL), -ECONNABORTED);
            CHECK_INT(bide_datagram_offer(ends.two, "x", 1, NULL), -ECONNABORTED);
            CHECK_INT(bide_datagram_receive(ends.two, got, 1, NULL), -ECONNABORTED);
        }
        bide_datagram_close(ends.two);
        CHECK_INT(bide_await(reader), -ECONNABORTED);
        for (int i = 0; i < 2; i++)
            CHECK_INT(bide_await(senders[i]), -ECONNABORTED);
        bide_datagram_close(ends.one);
    }
    CHECK_INT(count_fds(), n_fds);
}

TASK_TEST(the_receivers_end_ends_the_wait_for_room)
{
    for (int how = 0; how < 2; how++) {
        size_t n;
        const struct bide_address *to;
        struct ends ends = full_ends(how, &to, &n);
        to = to ? &ends.at_one : NULL;
        bide_task *sender = waiting(bide_spawn(sends, ends.two, "x", to));
        bide_datagram_close(ends.one);
        CHECK_INT(bide_await(sender), -ECONNREFUSED);
        bide_datagram_close(ends.two);
    }
}

static bide_datagram *left[2];

static bide_async(leaves_it_open, (bool, in_use))
{
    size_t n;
    const struct bide_address *to;
    struct ends ends = full_ends(1, &to, &n);
    static char got[8];
    static struct bide_address address;
    address = ends.at_one;
    left[0] = ends.one;
    left[1] = ends.two;
    if (in_use) {
        bide_detach(waiting(bide_spawn(receives, ends.two, got, sizeof got, NULL)));
        bide_detach(waiting(bide_spawn(sends, ends.two, "x", &address)));
        bide_detach(waiting(bide_spawn(sends, ends.two, "x", &address)));
    }
    return 0;
}

BIDE_TEST(endpoints_outlive_the_run_as_handles_alone)
{
    for (int in_use = 0; in_use < 2; in_use++) {
        int n_fds = count_fds();
        bide_loop *loop = rig_loop();
        struct bide_task_opts opts = {.loop = loop};
        bide_task *task = bide_spawn_with(&opts, leaves_it_open, in_use);
        CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
        rig_close(loop);
        CHECK_INT(count_fds(), n_fds);
        for (int i = 0; i < 2; i++) {
            struct bide_address address;
            CHECK_INT(bide_datagram_fd(left[i]), -1);
            CHECK_INT(bide_datagram_local(left[i], &address), -ENOTCONN);
            CHECK_INT(bide_datagram_offer(left[i], "x", 1, NULL), -ECONNABORTED);
            bide_datagram_close(left[i]);
        }
    }
}

/* Addresses and arguments */

TASK_TEST(endpoints_share_a_port_only_if_they_want)
{
    const struct bide_datagram_opts sharing = {.reuse_port = true, .receive_buffer_bytes = 100000};
    bide_datagram *endpoints[3];
    CHECK_INT(bide_datagram_open("127.0.0.1", 0, &sharing, &endpoints[0]), 0);
    struct bide_address address;
    CHECK_INT(bide_datagram_local(endpoints[0], &address), 0);
    unsigned port = bide_address_port(&address);
    CHECK_INT(bide_datagram_open("127.0.0.1", port, &sharing, &endpoints[1]), 0);
    CHECK_INT(bide_datagram_open("127.0.0.1", port, NULL, &endpoints[2]), -EADDRINUSE);
    char text[BIDE_ADDRESS_TEXT_SIZE];
    bide_address_print(&address, text, sizeof text);
    CHECK_STR(bide_error_detail(), text);
    for (int i = 0; i < 2; i++)
        bide_datagram_close(endpoints[i]);
}

TASK_TEST(unix_endpoints_have_names_or_none)
{
    bide_datagram *named, *nameless;
    struct bide_address address, from, again;
    char got[8], text[200];
    CHECK_INT(bide_datagram_unix("@bide test of names", NULL, &named), 0);
    CHECK_INT(bide_datagram_unix("@bide test of names", NULL, &nameless), -EADDRINUSE);
    CHECK_INT(bide_datagram_local(named, &address), 0);
    bide_address_print(&address, text, sizeof text);
    CHECK_STR(text, "@bide test of names");
    CHECK_INT(bide_address_unix(text, &again), 0);
    CHECK(same(&address, &again));
    CHECK_INT(bide_datagram_unix(NULL, NULL, &nameless), 0);
    CHECK_INT(bide_datagram_send(nameless, "x", 1, &address), 0);
    CHECK_INT(bide_datagram_receive(named, got, sizeof got, &from), 1);
    bide_address_print(&from, text, sizeof text);
    CHECK_STR(text, "(no address)");
    bide_datagram_close(nameless);
    bide_datagram_close(named);
    CHECK_INT(bide_address_unix("/nowhere/at/all", &address), 0);
    bide_address_print(&address, text, sizeof text);
    CHECK_STR(text, "/nowhere/at/all");
    struct bide_datagram_opts opts = {.peer = &address};
    CHECK_INT(bide_datagram_unix(NULL, &opts, &named), -ENOENT);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_INT(bide_datagram_unix(text, NULL, &named), -ENAMETOOLONG);
}

TASK_TEST(senseless_arguments_are_refused)
{
    bide_datagram *endpoint = NULL;
    struct bide_datagram_opts opts = {.family = (enum bide_family)7};
    CHECK_INT(bide_datagram_open(NULL, 0, &opts, &endpoint), -EINVAL);
    opts = (struct bide_datagram_opts){.receive_buffer_bytes = -1};
    CHECK_INT(bide_datagram_open(NULL, 0, &opts, &endpoint), -EINVAL);
    opts = (struct bide_datagram_opts){.write_low_bytes = 9, .write_high_bytes = 8};
    CHECK_INT(bide_datagram_unix(NULL, &opts, &endpoint), -EINVAL);
    CHECK_INT(bide_datagram_open(NULL, 65536, NULL, &endpoint), -EINVAL);
    CHECK_INT(bide_datagram_open(NULL, 0, NULL, NULL), -EINVAL);
    CHECK_INT(bide_datagram_unix(NULL, NULL, NULL), -EINVAL);
    CHECK_PTR(endpoint, NULL);
    endpoint = open_with("127.0.0.1", NULL);
    struct bide_address address;
    CHECK_INT(bide_datagram_local(endpoint, &address), 0);
    opts = (struct bide_datagram_opts){.peer = &address};
    bide_datagram *other;
    CHECK_INT(bide_datagram_open("::1", 0, &opts, &other), -EAFNOSUPPORT);
    char byte;
    CHECK_INT(bide_datagram_receive(endpoint, NULL, 1, NULL), -EINVAL);
    CHECK_INT(bide_datagram_receive(NULL, &byte, 1, NULL), -EINVAL);
    CHECK_INT(bide_datagram_receive_fds(endpoint, &byte, 1, NULL, NULL), -EINVAL);
    CHECK_INT(bide_datagram_send(endpoint, NULL, 1, &address), -EINVAL);
    CHECK_INT(bide_datagram_send(NULL, "x", 1, &address), -EINVAL);
    CHECK_INT(bide_datagram_offer(NULL, "x", 1, &address), -EINVAL);
    CHECK_INT(bide_datagram_send_fds(endpoint, "x", 1, &address, (int[]){1}, 1), -EINVAL);
    CHECK_INT(bide_datagram_local(NULL, &address), -EINVAL);
    CHECK_INT(bide_datagram_local(endpoint, NULL), -EINVAL);
    CHECK_INT(bide_datagram_fd(NULL), -1);
    bide_datagram_close(endpoint);
    bide_datagram_close(NULL);
    bide_datagram_abort(NULL);
    CHECK_INT(bide_address_unix(NULL, &address), -EINVAL);
    CHECK_INT(bide_address_unix("x", NULL), -EINVAL);
}

BIDE_TEST(endpoints_need_a_loop_and_udp_a_task)
{
    bide_datagram *endpoint = NULL;
    CHECK_INT(bide_datagram_unix("", NULL, &endpoint), -EINVAL);
    CHECK_INT(bide_datagram_open(NULL, 0, NULL, &endpoint), -BIDE_ENOTASK);
    CHECK_PTR(endpoint, NULL);
}

/* Descriptors */

TASK_TEST(descriptors_come_with_their_message)
{
    int n_fds = count_fds();
    struct ends ends = ends_open(NULL);
    int pipe_fds[2], got[4];
    char bytes[8];
    CHECK_INT(pipe2(pipe_fds, O_CLOEXEC), 0);
    struct bide_fds fds = {.fds = got, .size = 1};
    int n_lost = !test_emulated();
    CHECK_INT(bide_datagram_send_fds(ends.two, "x", 1, NULL, pipe_fds, (size_t)(1 + n_lost)), 0);
    CHECK_INT(bide_datagram_send_fds(ends.two, "", 0, NULL, &pipe_fds[1], 1), 0);
    CHECK_INT(bide_datagram_send_fds(ends.two, "z", 1, NULL, pipe_fds, 2), 0);
    CHECK_INT(bide_datagram_send(ends.two, "none", 4, NULL), 0);
    CHECK_INT(bide_datagram_send_fds(ends.two, "x", 1, NULL, (int[]){19999}, 1), -EBADF);
    CHECK_INT(bide_datagram_receive_fds(ends.one, bytes, 8, NULL, &fds), 1);
    CHECK_INT(fds.n, 1);
    CHECK_INT(fds.lost, n_lost);
    close(got[0]);
    CHECK_INT(bide_datagram_receive_fds(ends.one, bytes, 8, NULL, &fds), 0);
    CHECK_INT(fds.n, 1);
    CHECK(!fds.lost);
    CHECK_INT(write(got[0], "!", 1), 1);
    CHECK_INT(read(pipe_fds[0], bytes, 8), 1);
    CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    close(got[0]);
    CHECK_INT(bide_datagram_receive(ends.one, bytes, 8, NULL), 1); /* they are closed */
    CHECK_INT(bide_datagram_receive_fds(ends.one, bytes, 8, NULL, &fds), 4);
    CHECK_INT(fds.n, 0);
    CHECK(!fds.lost);
    CHECK_INT(bide_datagram_send_fds(ends.two, "untaken", 7, NULL, pipe_fds, 2), 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    ends_close(&ends);
    CHECK_INT(count_fds(), n_fds);
}
