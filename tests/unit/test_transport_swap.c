/*
 * Scenario: a transport's socket is lent out and given back, or another one in its place, as
 * start_tls does: in the middle of a call, with a receive under way, with input or output pending,
 * closed and aborted meanwhile, or with a loop that closes.
 * Claim: it is lent only while reading is paused and nothing is buffered in either direction;
 * meanwhile writing fails; whatever happens, the socket is closed once and the protocol told.
 */
#include "transport_rig.h"

#include "io/transport/transport.h"

struct noted_swap {
    struct bide__swap swap;
    int n_unwanted;
    int n_ready;
};

static void swap_unwanted(struct bide__swap *swap)
{
    bide__container(swap, struct noted_swap, swap)->n_unwanted++;
}

static void swap_ready(struct bide__swap *swap)
{
    bide__container(swap, struct noted_swap, swap)->n_ready++;
}

#define NOTED \
    { \
        .swap = {.unwanted = swap_unwanted, .ready = swap_ready } \
    }

static struct noted_swap noted = NOTED;
static struct bide_sock *lent;

static void lend(struct talker *talker)
{
    CHECK_INT(bide__transport_swap_begin(talker->transport, &noted.swap, &lent), -EBUSY);
    bide_transport_pause_reading(talker->transport);
    talker->deaf = true;
    CHECK_INT(bide__transport_swap_begin(talker->transport, &noted.swap, &lent), 0);
    CHECK(lent);
}

static void lend_at_data(struct talker *talker, const char *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    talker->on_data = NULL;
    lend(talker);
}

static void give_back(struct scene *scene, int error)
{
    CHECK_INT(bide__transport_swap_end(scene->talker.transport, lent, error), error);
    scene->talker.deaf = false;
    bide_transport_resume_reading(scene->talker.transport);
}

BIDE_TEST(from_inside_of_a_call)
{
    for (int at_data = 0; at_data < 2; at_data++) {
        struct scene scene = {0};
        if (at_data)
            scene.talker.on_data = lend_at_data;
        else
            scene.talker.on_made = lend;
        scene_open(&scene);
        scene_send(&scene, 0, 10);
        UNTIL(scene.loop, lent);
        size_t n = scene.talker.n_received;
        CHECK_INT(talker_write(&scene.talker, 0, 1), -EBUSY);
        CHECK_INT(bide_transport_write_eof(scene.talker.transport), -EBUSY);
        CHECK_INT(bide_transport_fd(scene.talker.transport), -1);
        CHECK(!bide_transport_is_closing(scene.talker.transport));
        bide_transport_resume_reading(scene.talker.transport);
        scene_send(&scene, 10, 10);
        some_turns(scene.loop);
        CHECK_INT(scene.talker.n_received, n);
        give_back(&scene, 0);
        UNTIL(scene.loop, scene.talker.n_received == 20);
        CHECK_INT(talker_write(&scene.talker, 0, 1), 0);
        scene_hears(&scene, 0, 1);
        talker_close(&scene.talker);
        UNTIL(scene.loop, scene.talker.lost);
        scene_close(&scene);
        lent = NULL;
    }
}

BIDE_TEST(a_receive_under_way_ends_first)
{
    struct scene scene = {0};
    scene_open(&scene);
    some_turns(scene.loop);
    bide_transport *transport = scene.talker.transport;
    CHECK_INT(bide__transport_swap_begin(transport, &noted.swap, &lent), -EBUSY);
    bide_transport_pause_reading(transport);
    CHECK_INT(bide__transport_swap_begin(transport, &noted.swap, &lent), BIDE_PENDING);
    CHECK_INT(bide__transport_swap_begin(transport, &noted.swap, &lent), -EBUSY);
    CHECK_INT(noted.n_ready, 0);
    while (noted.n_ready == 0)
        one_turn(scene.loop);
    CHECK_INT(bide__transport_swap_begin(transport, &noted.swap, &lent), 0);
    give_back(&scene, 0);
    scene_send(&scene, 0, 10);
    UNTIL(scene.loop, scene.talker.n_received == 10);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(noted.n_ready, 1);
    scene_close(&scene);
}

/* Who waits for that is told also when it ends otherwise. */
BIDE_TEST(closed_while_a_receive_ends)
{
    struct scene scene = {0};
    scene_open(&scene);
    some_turns(scene.loop);
    bide_transport_pause_reading(scene.talker.transport);
    CHECK_INT(bide__transport_swap_begin(scene.talker.transport, &noted.swap, &lent), BIDE_PENDING);
    bide_transport_ref(scene.talker.transport);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(noted.n_ready, 1);
    CHECK_INT(bide__transport_swap_begin(scene.talker.transport, &noted.swap, &lent), -EBUSY);
    bide_transport_unref(scene.talker.transport);
    scene_close(&scene);
}

static void stops_reading(struct talker *talker, const char *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    bide_transport_pause_reading(talker->transport);
    talker->deaf = true;
}

BIDE_TEST(what_came_in_clear_is_not_taken_for_protected)
{
    struct scene scene = {.talker.is_buffered = true, .talker.buffer_size = 8};
    scene.talker.on_data = stops_reading;
    scene_open(&scene);
    scene_send(&scene, 0, 12);
    UNTIL(scene.loop, scene.talker.n_received == 8);
    CHECK_INT(bide__transport_swap_begin(scene.talker.transport, &noted.swap, &lent), -EPROTO);
    talker_abort(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    scene_close(&scene);
}

/* Output that the kernel does not take yet, and a receive that is not pending any more. */
static void wait_for_output(struct scene *scene)
{
    noted = (struct noted_swap)NOTED;
    scene_open_with(scene, NULL, 4096);
    bide_transport_pause_reading(scene->talker.transport);
    some_turns(scene->loop);
    CHECK_INT(talker_write(&scene->talker, 0, 300 * KIB), 0);
    int rc = BIDE_PENDING;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rc, BIDE_PENDING);
        rc = bide__transport_swap_begin(scene->talker.transport, &noted.swap, &lent);
        some_turns(scene->loop);
        if (noted.n_ready == 0)
            break;
        noted.n_ready = 0; /* of the receive */
    }
    CHECK_INT(rc, BIDE_PENDING);
    CHECK_INT(bide__transport_swap_begin(scene->talker.transport, &noted.swap, &lent), -EBUSY);
}

BIDE_TEST(output_goes_out_before)
{
    struct scene scene = {0};
    wait_for_output(&scene);
    scene_hears(&scene, 0, 300 * KIB);
    while (noted.n_ready == 0)
        one_turn(scene.loop);
    CHECK_INT(bide__transport_swap_begin(scene.talker.transport, &noted.swap, &lent), 0);
    give_back(&scene, 0);
    talker_close(&scene.talker);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(noted.n_ready, 1);
    scene_close(&scene);
}

BIDE_TEST(closed_or_aborted_before_output_is_out)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        struct scene scene = {0};
        wait_for_output(&scene);
        if (aborts)
            talker_abort(&scene.talker);
        else
            talker_close(&scene.talker);
        CHECK_INT(noted.n_ready, 1);
        CHECK_INT(bide__transport_swap_begin(scene.talker.transport, &noted.swap, &lent), -EBUSY);
        talker_abort(&scene.talker);
        UNTIL(scene.loop, scene.talker.lost);
        CHECK_INT(noted.n_ready, 1);
        scene_close(&scene);
    }
}

BIDE_TEST(a_swap_that_failed_breaks_the_connection)
{
    struct scene scene = {.talker.on_made = lend};
    scene_open(&scene);
    CHECK_INT(bide__transport_swap_end(scene.talker.transport, lent, -EPROTO), -EPROTO);
    UNTIL(scene.loop, scene.talker.lost);
    CHECK_INT(scene.talker.error, -EPROTO);
    scene_close(&scene);
}

BIDE_TEST(closed_or_aborted_meanwhile)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        struct scene scene = {.talker.on_made = lend};
        noted = (struct noted_swap)NOTED;
        scene_open(&scene);
        int n_fds = count_fds();
        if (aborts)
            talker_abort(&scene.talker);
        else
            talker_close(&scene.talker);
        CHECK_INT(noted.n_unwanted, 1);
        some_turns(scene.loop);
        CHECK(!scene.talker.lost);
        CHECK_INT(count_fds(), n_fds);
        CHECK_INT(bide__transport_swap_end(scene.talker.transport, lent, 0), -ECONNABORTED);
        CHECK_INT(count_fds(), n_fds - 1);
        UNTIL(scene.loop, scene.talker.lost);
        CHECK_INT(scene.talker.error, 0);
        scene_close(&scene);
    }
}

static bide_transport *left;

/* What a handshake does whose loop closes: its own resource gives the socket back. */
static void drop_handshake(struct bide__resource *resource)
{
    bide__list_remove(&resource->node);
    CHECK_INT(bide__transport_swap_end(left, lent, -ECANCELED), -ECONNABORTED);
}

BIDE_TEST(a_loop_closed_meanwhile)
{
    struct scene scene = {.talker.on_made = lend};
    struct bide__resource handshake = {.drop = drop_handshake};
    scene_open(&scene);
    left = scene.talker.transport;
    bide__list_append(&scene.loop->resources, &handshake.node);
    scene_close(&scene);
    CHECK_INT(noted.n_unwanted, 1);
    CHECK(!scene.talker.lost);
}
