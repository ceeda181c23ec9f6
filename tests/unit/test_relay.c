/*
 * Scenario: a proxy's inner loop between two connections: one way and both ways, with ends, slow
 * and vanishing peers, limits, and cancels at every point where it waits.
 * Claim: every byte arrives in order, a cancelled relay loses none, one side's end is passed on and
 * leaves the way back open, and a failure of one way ends the other.
 */
#include <bide/transfer.h>

#include <math.h>

#include "socket_rig.h"

enum { MUCH = 2 * MIB };

static char bytes[MUCH];

/* left -- a | b -- right: what is relayed from a to b goes from left to right. */
struct proxy {
    bide_socket *left;
    bide_stream *a;
    bide_stream *b;
    bide_socket *right;
};

static struct proxy proxy_open(struct ends (*open_ends)(void))
{
    struct ends in = ends_open();
    struct ends out = open_ends();
    struct proxy proxy = {.left = in.there, .right = out.there};
    CHECK_INT(bide_socket_to_stream(in.here, NULL, &proxy.a), 0);
    CHECK_INT(bide_socket_to_stream(out.here, NULL, &proxy.b), 0);
    return proxy;
}

static void proxy_close(struct proxy *proxy)
{
    bide_abort(proxy->a);
    bide_abort(proxy->b);
    bide_close(proxy->a);
    bide_close(proxy->b);
    bide_socket_close(proxy->left);
    bide_socket_close(proxy->right);
}

static bide_async(relays, (bide_stream *, from), (bide_stream *, to), (int64_t, count))
{
    int64_t n = bide_relay(from, to, count);
    return (int)n;
}

static bide_async(relays_both, (struct proxy *, proxy), (int64_t *, ret_bytes))
{
    return bide_relay_both(proxy->a, proxy->b, ret_bytes);
}

static bide_async(says_pattern, (bide_socket *, socket), (size_t, size), (bool, with_end))
{
    int rc = bide_socket_send_all(socket, bytes, size, NULL);
    if (rc == 0 && with_end)
        rc = bide_socket_shutdown(socket, SHUT_WR);
    return rc;
}

TASK_TEST(everything_is_passed_on_until_the_end)
{
    struct proxy proxy = proxy_open(ends_open);
    pattern_fill(bytes, 0, MUCH);
    bide_task *speaker = bide_spawn(says_pattern, proxy.left, MUCH, true);
    bide_task *relay = bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END);
    hears_pattern(proxy.right, 0, MUCH);
    CHECK_INT(bide_await(relay), MUCH);
    CHECK_INT(bide_await(speaker), 0);
    CHECK(bide_at_eof(proxy.a));
    CHECK_INT(bide_write(proxy.b, "x", 1), 0); /* the end itself was not passed on */
    CHECK_INT(bide_drain(proxy.b), 0);
    hears_text(proxy.right, "x");
    proxy_close(&proxy);
}

TASK_TEST(a_limit_leaves_the_rest_to_be_read)
{
    struct proxy proxy = proxy_open(ends_open);
    char *line;
    says(proxy.left, "first line\nsecond line\nthird\n");
    CHECK_INT(bide_read_line(proxy.a, &line), 11);
    CHECK_INT(bide_relay(proxy.a, proxy.b, 7), 7);
    CHECK_INT(bide_relay(proxy.a, proxy.b, 0), 0);
    CHECK_INT(bide_read_line(proxy.a, &line), 5);
    CHECK_STR(line, "line");
    CHECK_INT(bide_drain(proxy.b), 0);
    hears_text(proxy.right, "second ");
    CHECK_INT(bide_socket_shutdown(proxy.left, SHUT_WR), 0);
    CHECK_INT(bide_relay(proxy.a, proxy.b, 1000), 6); /* it ends before */
    CHECK_INT(bide_relay(proxy.a, proxy.b, BIDE_TO_THE_END), 0);
    proxy_close(&proxy);
}

TASK_TEST(a_stream_is_relayed_to_itself)
{
    struct proxy proxy = proxy_open(ends_open);
    says(proxy.left, "echo");
    CHECK_INT(bide_socket_shutdown(proxy.left, SHUT_WR), 0);
    CHECK_INT(bide_relay(proxy.a, proxy.a, BIDE_TO_THE_END), 4);
    CHECK_INT(bide_drain(proxy.a), 0);
    hears_text(proxy.left, "echo");
    proxy_close(&proxy);
}

TASK_TEST(a_cancelled_relay_loses_nothing)
{
    struct proxy proxy = proxy_open(ends_open_narrow);
    pattern_fill(bytes, 0, 300 * KIB);
    bide_task *relay = waiting(bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END));
    CHECK_INT(bide_relay(proxy.a, proxy.b, 1), -EBUSY);
    CHECK_INT(cancel_and_await(relay), -ECANCELED); /* while it waits for something to read */
    bide_task *speaker = bide_spawn(says_pattern, proxy.left, 300 * KIB, true);
    relay = bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END);
    turns(30);
    bide_cancel(relay); /* while it waits for room */
    CHECK_INT(bide_await(relay), -ECANCELED);
    relay = bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END);
    hears_pattern(proxy.right, 0, 300 * KIB);
    CHECK_RANGE(bide_await(relay), 1, 300 * KIB);
    CHECK_INT(bide_await(speaker), 0);
    proxy_close(&proxy);
}

TASK_TEST(both_ways_with_their_ends)
{
    struct proxy proxy = proxy_open(ends_open);
    int64_t counts[2];
    pattern_fill(bytes, 0, MUCH);
    bide_task *both = bide_spawn(relays_both, &proxy, counts);
    bide_task *speaker = bide_spawn(says_pattern, proxy.left, MUCH, true);
    hears_pattern(proxy.right, 0, MUCH);
    hears_end(proxy.right); /* the end was passed on */
    CHECK_INT(bide_await(speaker), 0);
    speaker = bide_spawn(says_pattern, proxy.right, 1000, false); /* and the way back goes on */
    hears_pattern(proxy.left, 0, 1000);
    CHECK_INT(bide_await(speaker), 0);
    CHECK_INT(bide_socket_shutdown(proxy.right, SHUT_WR), 0);
    hears_end(proxy.left);
    CHECK_INT(bide_await(both), 0);
    CHECK_INT(counts[0], MUCH);
    CHECK_INT(counts[1], 1000);
    proxy_close(&proxy);
}

TASK_TEST(a_failure_of_one_way_ends_the_other)
{
    struct proxy proxy = proxy_open(ends_open);
    struct linger reset = {.l_onoff = 1};
    int64_t counts[2] = {-1, -1};
    bide_task *both = waiting(bide_spawn(relays_both, &proxy, counts));
    says(proxy.right, "x");
    hears_text(proxy.left, "x");
    CHECK_INT(bide_socket_setopt(proxy.left, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    bide_socket_close(proxy.left);
    proxy.left = NULL;
    CHECK_INT(bide_await(both), -ECONNRESET);
    CHECK_INT(counts[0], 0);
    CHECK_INT(counts[1], 1);
    proxy_close(&proxy);
}

TASK_TEST(both_ways_are_cancelled)
{
    struct proxy proxy = proxy_open(ends_open);
    bide_task *both = waiting(bide_spawn(relays_both, &proxy, NULL));
    CHECK_INT(cancel_and_await(both), -ECANCELED);
    says(proxy.left, "kept");
    both = waiting(bide_spawn(relays_both, &proxy, NULL));
    hears_text(proxy.right, "kept");
    CHECK_INT(cancel_and_await(both), -ECANCELED);
    proxy_close(&proxy);
}

TASK_TEST(who_closes_a_stream_ends_the_relay)
{
    struct proxy proxy = proxy_open(ends_open_narrow);
    bide_task *relay = waiting(bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END));
    bide_abort(proxy.a);
    CHECK_INT(bide_await(relay), -ECONNABORTED);
    proxy_close(&proxy);
    for (int i = 0; i < 2; i++) { /* while it waits for room */
        proxy = proxy_open(ends_open_narrow);
        relay = bide_spawn(relays, proxy.a, proxy.b, BIDE_TO_THE_END);
        bide_task *speaker = bide_spawn(says_pattern, proxy.left, MUCH, false);
        turns(50);
        bide_abort(i == 0 ? proxy.a : proxy.b);
        if (i == 0) { /* what it has goes out, and then there is nothing more */
            bide_task *hearer = bide_spawn(receives, proxy.right, bytes, MUCH);
            while (bide_task_state(relay) != BIDE_TASK_DONE) {
                int n = now(hearer);
                CHECK(n > 0 || n == -ECANCELED);
                hearer = bide_spawn(receives, proxy.right, bytes, MUCH);
            }
            CHECK(now(hearer) != 0);
        }
        CHECK_INT(bide_await(relay), -ECONNABORTED);
        int said = cancel_and_await(speaker);
        CHECK(said == 0 || said == -ECANCELED || said == -ECONNRESET || said == -EPIPE);
        proxy_close(&proxy);
    }
}

TASK_TEST(senseless_arguments)
{
    struct proxy proxy = proxy_open(ends_open);
    CHECK_INT(bide_relay(NULL, proxy.b, 1), -EINVAL);
    CHECK_INT(bide_relay(proxy.a, NULL, 1), -EINVAL);
    CHECK_INT(bide_relay(proxy.a, proxy.b, -2), -EINVAL);
    CHECK_INT(bide_relay_both(NULL, proxy.b, NULL), -EINVAL);
    CHECK_INT(bide_relay_both(proxy.a, NULL, NULL), -EINVAL);
    proxy_close(&proxy);
}

static bide_async(gets_stuck, (struct proxy *, proxy))
{
    return bide_shielded(INFINITY, bide_relay_both(proxy->a, proxy->b, NULL));
}

static bide_async(leaves_a_stuck_task, (struct proxy *, ret_proxy))
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    *ret_proxy = proxy_open(ends_open);
    bide_detach(waiting(bide_spawn(gets_stuck, ret_proxy)));
    return 0;
}

BIDE_TEST(a_loop_gives_up_tasks_that_relay)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    static struct proxy proxy;
    CHECK_INT(bide_run_with(&impatient, leaves_a_stuck_task, &proxy), 0);
    CHECK_CONTAINS(take_report(), "gets_stuck");
    while (*take_report())
        ;
    bide_close(proxy.a);
    bide_close(proxy.b);
    bide_socket_close(proxy.left);
    bide_socket_close(proxy.right);
    rig_end();
}
