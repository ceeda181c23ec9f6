/*
 * Scenario: four threads, each with a loop and a server, share one context of servers and one of
 * clients, and shake hands two hundred times each, with one server after the other, while a further
 * thread replaces the servers' certificates and counts. Both versions of the protocol.
 * Claim: what one loop has learnt of a server the others resume; every handshake counts once; who
 * watches threads (ThreadSanitizer) sees nothing wrong.
 */
#include "tls_rig.h"

#include <bide/event.h>
#include <bide/remote.h>

#include <pthread.h>
#include <stdatomic.h>

enum { N_THREADS = 4, N_HANDSHAKES = 200 };

static bide_tls_context *servers, *clients;
static pthread_barrier_t all_serve;
static atomic_int n_resumed, n_done, n_reloads;
static atomic_bool is_over;

static struct party {
    pthread_t thread;
    int number;
    unsigned port;
    bide_remote *remote;
    bide_event all_done; /* the loop's own */
    int result;
} parties[N_THREADS];

static int answer(bide_stream *stream, void *data)
{
    char byte;
    (void)data;
    int rc = bide_read(stream, &byte, 1);
    return rc > 0 ? bide_write(stream, "!", 1) : rc;
}

/* One connection; tickets of TLS 1.3 come before the answer. */
static int ask(unsigned port)
{
    char byte;
    bide_stream *stream;
    struct bide_tls_info info;
    struct bide_tls_opts opts = {.server_name = "a.test"};
    int rc = bide_tls_connect("127.0.0.1", port, clients, &opts, &stream);
    if (rc < 0)
        return rc;
    rc = bide_tls_info_get(stream, &info);
    if (rc == 0 && info.resumed)
        atomic_fetch_add(&n_resumed, 1);
    if (rc == 0)
        rc = bide_write(stream, "?", 1);
    if (rc == 0)
        rc = bide_read_exactly(stream, &byte, 1);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

static int tell_done(void *data)
{
    struct party *party = data;
    bide_event_set(&party->all_done);
    return 0;
}

/* A server is there until the last one needs it no more. */
static int wait_for_all(struct party *party)
{
    if (atomic_fetch_add(&n_done, 1) < N_THREADS - 1)
        return bide_event_wait(&party->all_done);
    for (int i = 0; i < N_THREADS; i++)
        if (&parties[i] != party)
            CHECK_INT(bide_call_soon_threadsafe(parties[i].remote, tell_done, &parties[i], NULL),
                      0);
    return 0;
}

bide_async(takes_part, (struct party *, party))
{
    bide_server *server;
    int rc = bide_tls_serve("127.0.0.1", 0, servers, answer, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    party->port = bide_server_port(server);
    party->remote = bide_loop_remote(bide_loop_current());
    pthread_barrier_wait(&all_serve);
    for (int i = 0; i < N_HANDSHAKES && rc >= 0; i++)
        rc = ask(parties[(party->number + i) % N_THREADS].port);
    int waited = wait_for_all(party);
    bide_server_close(server);
    int closed = bide_server_wait_closed(server);
    bide_server_free(server);
    return rc < 0 ? rc : waited < 0 ? waited : closed;
}

static void *thread_main(void *data)
{
    struct party *party = data;
    party->result = bide_run_with(NULL, takes_part, party);
    return NULL;
}

static void *changes(void *data)
{
    uint64_t succeeded, failed;
    struct bide_tls_identity identity = {.cert_pem = tls_certs()->chain,
                                         .key_pem = tls_cert_key_pem(tls_certs()->leaf)};
    (void)data;
    while (!atomic_load(&is_over)) {
        CHECK_INT(bide_tls_server_reload(servers, &identity, 1), 0);
        bide_tls_handshakes(servers, &succeeded, &failed);
        CHECK_INT(failed, 0);
        atomic_fetch_add(&n_reloads, 1);
    }
    return NULL;
}

static void run_all(void)
{
    pthread_t changer;
    uint64_t succeeded, failed;
    n_resumed = 0;
    n_done = 0;
    is_over = false;
    servers = server_context();
    pthread_barrier_init(&all_serve, NULL, N_THREADS);
    for (int i = 0; i < N_THREADS; i++) {
        parties[i] = (struct party){.number = i};
        CHECK_INT(pthread_create(&parties[i].thread, NULL, thread_main, &parties[i]), 0);
    }
    CHECK_INT(pthread_create(&changer, NULL, changes, NULL), 0);
    for (int i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(parties[i].thread, NULL), 0);
        CHECK_INT(parties[i].result, 0);
        bide_remote_unref(parties[i].remote);
    }
    is_over = true;
    CHECK_INT(pthread_join(changer, NULL), 0);
    pthread_barrier_destroy(&all_serve);
    bide_tls_handshakes(servers, &succeeded, &failed);
    CHECK_INT(succeeded, N_THREADS * N_HANDSHAKES);
    bide_tls_handshakes(clients, &succeeded, &failed);
    CHECK_INT(succeeded, N_THREADS * N_HANDSHAKES);
    CHECK_INT(failed, 0);
    CHECK(n_resumed > N_THREADS * N_HANDSHAKES / 2);
    CHECK(n_reloads > 0);
    bide_tls_unref(servers);
    bide_tls_unref(clients);
}

BIDE_TEST(contexts_that_threads_share, .seconds = 120)
{
    clients = client_context();
    run_all();
}

/* Its sessions are used more than once, by several at a time. */
BIDE_TEST(sessions_that_threads_share, .seconds = 120)
{
    clients = client_context_with((struct bide_tls_client_opts){.version_max = BIDE_TLS_1_2});
    run_all();
}
