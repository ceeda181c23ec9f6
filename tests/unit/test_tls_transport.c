/*
 * Scenario: transports turn to TLS without any task: at once, with output on its way, with input
 * that nobody took, closed or aborted or out of time in the middle, in a loop that closes. Claim:
 * the protocol gets nothing in between, whoever asked is told once and from the loop, and then
 * everything is as it is with transports.
 */
#include <bide/inspect.h>
#include <bide/tls.h>

#include "tls_certs.h"
#include "transport_rig.h"

struct asked {
    int n_told;
    int error;
    int n_drops;
    char words[256];
    bide_loop *loop;
    const struct talker *talker; /* must not have heard of the loss before; NULL: may have */
};

static void told(bide_transport *transport, int error, void *data)
{
    struct asked *asked = data;
    check_stack();
    CHECK(transport);
    CHECK(!asked->talker || !asked->talker->lost);
    asked->n_told++;
    asked->error = error;
    snprintf(asked->words, sizeof asked->words, "%s", error < 0 ? bide_error_detail() : "");
    bide_loop_stop(asked->loop);
}

static void dropped(void *data)
{
    struct asked *asked = data;
    asked->n_drops++;
}

/* Both ends of a connection, on one loop. */
struct stage {
    bide_loop *loop;
    struct talker talkers[2]; /* client, server */
    struct asked asked[2];
    bide_tls_context *contexts[2];
    int n_fds;
};

static void stage_open(struct stage *stage)
{
    int fds[2];
    struct bide_tls_client_opts client = {.trust.ca_pem = tls_cert_pem(tls_certs()->root)};
    struct bide_tls_identity identity = {.cert_pem = tls_certs()->chain,
                                         .key_pem = tls_cert_key_pem(tls_certs()->leaf)};
    struct bide_tls_server_opts server = {.identities = &identity, .n_identities = 1};
    find_stack();
    stage->n_fds = count_fds();
    stage->loop = rig_loop();
    connection_open(fds, 0);
    CHECK_INT(bide_tls_client_new(&client, &stage->contexts[0]), 0);
    CHECK_INT(bide_tls_server_new(&server, &stage->contexts[1]), 0);
    for (int i = 0; i < 2; i++) {
        struct talker *talker = &stage->talkers[i];
        talker->loop = stage->loop;
        talker->stops_loop = true;
        talker->is_text = true;
        stage->asked[i].loop = stage->loop;
        CHECK_INT(bide_transport_adopt(stage->loop, fds[i], NULL, protocol_of(talker), talker,
                                       talker_drop, &talker->transport),
                  0);
        UNTIL(stage->loop, talker->made);
    }
}

static int stage_start(struct stage *stage, int i, const char *name, double seconds)
{
    struct bide_tls_party party = {told, &stage->asked[i], dropped};
    struct bide_tls_opts opts = {.server_name = name, .handshake_seconds = seconds};
    bide_transport *transport = stage->talkers[i].transport;
    int rc;
    if (i == 0)
        INSIDE(rc = bide_tls_transport_client(transport, stage->contexts[0], &opts, &party));
    else
        INSIDE(rc = bide_tls_transport_server(transport, stage->contexts[1], &opts, &party));
    return rc;
}

static void stage_close(struct stage *stage)
{
    for (int i = 0; i < 2; i++) {
        if (!stage->talkers[i].lost)
            bide_transport_abort(stage->talkers[i].transport);
        bide_tls_unref(stage->contexts[i]);
    }
    UNTIL(stage->loop, stage->talkers[0].dropped && stage->talkers[1].dropped);
    rig_close(stage->loop);
    CHECK_INT(count_fds(), stage->n_fds);
    for (int i = 0; i < 2; i++)
        CHECK_INT(stage->asked[i].n_drops, stage->asked[i].n_told);
}

static void stage_secure(struct stage *stage)
{
    for (int i = 0; i < 2; i++) {
        CHECK_INT(stage_start(stage, i, "a.test", 0), 0);
        CHECK_INT(stage->asked[i].n_told, 0);
    }
    for (int i = 0; i < 2; i++) {
        UNTIL(stage->loop, stage->asked[i].n_told == 1);
        CHECK_STR(stage->asked[i].words, "");
        CHECK_INT(stage->asked[i].error, 0);
    }
}

static void hears(struct stage *stage, int i, const char *text)
{
    UNTIL(stage->loop, strlen(stage->talkers[i].text) >= strlen(text));
    CHECK_STR(stage->talkers[i].text, text);
}

static void says(struct stage *stage, int i, const char *text)
{
    CHECK_INT(bide_transport_write(stage->talkers[i].transport, text, strlen(text)), 0);
}

BIDE_TEST(both_ends_talk)
{
    for (int buffered = 0; buffered < 2; buffered++) {
        struct stage stage = {.talkers[0].is_buffered = buffered};
        struct bide_tls_info info;
        stage_open(&stage);
        CHECK_INT(bide_tls_transport_info(stage.talkers[0].transport, &info), -ENOTCONN);
        stage_secure(&stage);
        CHECK_INT(bide_tls_transport_info(stage.talkers[0].transport, &info), 0);
        CHECK_STR(info.peer->subject, "CN=a.test");
        says(&stage, 0, "question");
        hears(&stage, 1, "question");
        says(&stage, 1, "answer");
        hears(&stage, 0, "answer");
        bide_transport_close(stage.talkers[0].transport);
        UNTIL(stage.loop, stage.talkers[1].lost && stage.talkers[0].lost);
        CHECK(stage.talkers[1].eof);
        CHECK_INT(stage.talkers[0].error, 0);
        CHECK_INT(stage.talkers[1].error, 0);
        stage_close(&stage);
    }
}

BIDE_TEST(what_was_written_goes_before)
{
    struct stage stage = {0};
    stage_open(&stage);
    says(&stage, 1, "go ahead\n");
    CHECK_INT(stage_start(&stage, 1, NULL, 0), 0);
    CHECK(!bide_transport_is_reading(stage.talkers[1].transport));
    hears(&stage, 0, "go ahead\n");
    CHECK_INT(stage_start(&stage, 0, "a.test", 0), 0);
    for (int i = 0; i < 2; i++)
        UNTIL(stage.loop, stage.asked[i].n_told == 1);
    CHECK_INT(stage.asked[0].error, 0);
    CHECK_INT(stage.asked[1].error, 0);
    says(&stage, 0, "secret");
    hears(&stage, 1, "secret");
    stage_close(&stage);
}

/* The server writes more than the kernel takes, and turns to TLS; the client does not read. */
static size_t stage_stuff(struct stage *stage, double seconds)
{
    size_t size = 8 * MIB;
    char *much = malloc(size);
    pattern_fill(much, 0, size);
    stage_open(stage);
    stage->talkers[0].is_text = false;
    bide_transport_pause_reading(stage->talkers[0].transport);
    CHECK_INT(bide_transport_write(stage->talkers[1].transport, much, size), 0);
    free(much);
    stage->asked[1].talker = &stage->talkers[1];
    CHECK_INT(stage_start(stage, 1, NULL, seconds), 0);
    some_turns(stage->loop);
    CHECK_INT(stage->asked[1].n_told, 0);
    CHECK(bide_transport_pending(stage->talkers[1].transport) > 0);
    return size;
}

BIDE_TEST(output_is_waited_for_and_not_asked_after)
{
    struct stage stage = {0};
    struct bide_loop_counts counts;
    size_t size = stage_stuff(&stage, 0);
    CHECK_INT(bide_loop_count(stage.loop, &counts), 0);
    CHECK_INT(counts.callbacks, 1); /* its time limit */
    bide_transport_resume_reading(stage.talkers[0].transport);
    UNTIL(stage.loop, stage.talkers[0].n_received == size);
    CHECK_INT(stage_start(&stage, 0, "a.test", 0), 0);
    for (int i = 0; i < 2; i++) {
        UNTIL(stage.loop, stage.asked[i].n_told == 1);
        CHECK_INT(stage.asked[i].error, 0);
    }
    stage.talkers[0].is_text = true;
    stage.talkers[0].n_received = 0;
    says(&stage, 1, "secret");
    hears(&stage, 0, "secret");
    stage_close(&stage);
}

BIDE_TEST(output_that_nobody_takes)
{
    static const int errors[] = {-ETIMEDOUT, -ECONNABORTED, -ECONNABORTED, -EPIPE};
    for (int i = 0; i < 4; i++) {
        struct stage stage = {0};
        stage_stuff(&stage, i == 0 ? TICKS(2) : 0);
        bide_transport *transport = stage.talkers[1].transport;
        if (i == 1)
            bide_transport_abort(transport);
        else if (i == 2)
            bide_transport_close(transport);
        else if (i == 3)
            bide_transport_abort(stage.talkers[0].transport);
        UNTIL(stage.loop, stage.asked[1].n_told == 1);
        if (errors[i] == -EPIPE) /* which of the two the kernel says first */
            CHECK(stage.asked[1].error == -EPIPE || stage.asked[1].error == -ECONNRESET);
        else
            CHECK_INT(stage.asked[1].error, errors[i]);
        if (i != 2) { /* what was closed still has its time to go out */
            UNTIL(stage.loop, stage.talkers[1].lost);
            CHECK_INT(stage.talkers[1].error, i == 1 ? 0 : stage.asked[1].error);
        }
        stage_close(&stage);
    }
}

BIDE_TEST(a_refusal_is_told_and_then_the_loss)
{
    struct stage stage = {0};
    stage_open(&stage);
    CHECK_INT(stage_start(&stage, 0, "b.test", 0), 0);
    CHECK_INT(stage_start(&stage, 1, NULL, 0), 0);
    for (int i = 0; i < 2; i++)
        UNTIL(stage.loop, stage.asked[i].n_told == 1);
    CHECK_INT(stage.asked[0].error, -BIDE_ECERTIFICATE);
    CHECK_CONTAINS(stage.asked[0].words, "host name does not match: wanted b.test");
    CHECK_INT(stage.asked[1].error, -BIDE_ETLS);
    UNTIL(stage.loop, stage.talkers[0].lost && stage.talkers[1].lost);
    CHECK_INT(stage.talkers[0].error, -BIDE_ECERTIFICATE);
    stage_close(&stage);
}

BIDE_TEST(it_has_its_time)
{
    struct stage stage = {0};
    stage_open(&stage);
    CHECK_INT(stage_start(&stage, 1, NULL, TICKS(2)), 0);
    UNTIL(stage.loop, stage.asked[1].n_told == 1);
    CHECK_INT(stage.asked[1].error, -ETIMEDOUT);
    UNTIL(stage.loop, stage.talkers[1].lost);
    CHECK_INT(stage.talkers[1].error, -ETIMEDOUT);
    stage_close(&stage);
}

BIDE_TEST(closed_or_aborted_in_the_middle)
{
    for (int i = 0; i < 6; i++) {
        struct stage stage = {0};
        stage_open(&stage);
        CHECK_INT(stage_start(&stage, 0, "a.test", 0), 0);
        for (int n = 0; n < i / 2; n++)
            one_turn(stage.loop);
        if (i % 2 == 0)
            bide_transport_abort(stage.talkers[0].transport);
        else
            bide_transport_close(stage.talkers[0].transport);
        UNTIL(stage.loop, stage.asked[0].n_told == 1);
        CHECK_INT(stage.asked[0].error, -ECONNABORTED);
        UNTIL(stage.loop, stage.talkers[0].lost);
        stage_close(&stage);
    }
}

BIDE_TEST(a_loop_closes_in_the_middle)
{
    for (int n_turns = 0; n_turns < 5; n_turns++) {
        struct stage stage = {0};
        stage_open(&stage);
        CHECK_INT(stage_start(&stage, 0, "a.test", 0), 0);
        CHECK_INT(stage_start(&stage, 1, NULL, 0), 0);
        for (int n = 0; n < n_turns; n++)
            one_turn(stage.loop);
        for (int i = 0; i < 2; i++) {
            stage.talkers[i].stops_loop = false;
            bide_tls_unref(stage.contexts[i]);
        }
        rig_close(stage.loop);
        for (int i = 0; i < 2; i++) {
            CHECK_INT(stage.asked[i].n_drops, 1);
            CHECK(stage.talkers[i].dropped);
        }
        CHECK_INT(count_fds(), stage.n_fds);
    }
}

BIDE_TEST(what_cannot_be_is_refused)
{
    struct stage stage = {0};
    struct bide_tls_party party = {told, NULL, NULL};
    stage_open(&stage);
    bide_transport *transport = stage.talkers[0].transport;
    CHECK_INT(bide_tls_transport_client(NULL, NULL, NULL, &party), -EINVAL);
    CHECK_INT(bide_tls_transport_client(transport, NULL, NULL, &party), -EINVAL);
    CHECK_INT(bide_tls_transport_client(transport, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_tls_transport_server(transport, NULL, NULL, &party), -EINVAL);
    CHECK_INT(bide_tls_transport_server(transport, stage.contexts[0], NULL, &party), -EINVAL);
    CHECK_INT(bide_tls_transport_info(NULL, NULL), -EINVAL);
    bide_transport_ref(transport);
    bide_transport_pause_reading(stage.talkers[1].transport);
    CHECK_INT(stage_start(&stage, 0, "a.test", 0), 0);
    some_turns(stage.loop);
    CHECK_INT(bide_transport_write(transport, "x", 1), -EBUSY);
    CHECK_INT(bide_tls_transport_server(transport, stage.contexts[1], NULL, &party), -EBUSY);
    bide_transport_abort(transport);
    UNTIL(stage.loop, stage.asked[0].n_told == 1);
    CHECK_INT(bide_tls_transport_server(transport, stage.contexts[1], NULL, &party), -ENOTCONN);
    bide_transport_unref(transport);
    stage_close(&stage);
}
