/*
 * Scenario: clients that bring no context: tasks that connect or turn to TLS, transports, HTTP
 * sessions, while the one that they share is being made; given up, out of time, failed, without a
 * thread to make it, in a loop that closes, in two loops. OpenSSL's SSL_CTX_new() is this test's,
 * which counts, waits and fails as it is told.
 * Claim: the loop runs on meanwhile; one is made for all; who gives up disturbs nobody; a failure
 * is told to all who waited, and the next one has it tried again.
 */
#include <bide/event.h>
#include <bide/http_client.h>
#include <bide/tls.h>

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "fault.h"
#include "tls/shared.h"
#include "tls_rig.h"

static atomic_int n_made;
static atomic_bool fails, waits, is_waiting;
static sem_t gate;

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *(*real)(const SSL_METHOD *);
    void *found = dlsym(RTLD_NEXT, "SSL_CTX_new");
    memcpy(&real, &found, sizeof real);
    atomic_fetch_add(&n_made, 1);
    if (atomic_load(&waits)) {
        atomic_store(&is_waiting, true);
        while (sem_wait(&gate) < 0)
            ;
    }
    return atomic_load(&fails) ? NULL : real(method);
}

static void gate_open(void)
{
    atomic_store(&waits, false);
    sem_post(&gate);
}

/* A server that answers bytes with the same, and whom the system's trust store vouches for. */
static bide_server *server;
static bide_tls_context *servers;
static char trusted[] = "/tmp/bide-test-XXXXXX";

static int echo(bide_stream *stream, void *data)
{
    char bytes[64];
    int rc;
    (void)data;
    while ((rc = bide_read(stream, bytes, sizeof bytes)) > 0 &&
           bide_write(stream, bytes, (size_t)rc) == 0)
        ;
    return rc;
}

static int answer(bide_stream *stream, void *data)
{
    char *head;
    (void)data;
    int rc = bide_read_until(stream, "\r\n\r\n", 4, &head);
    return rc < 0 ? rc : bide_write(stream, "HTTP/1.0 200 OK\r\n\r\nhello", 24);
}

static void begin(bide_handler *handler)
{
    const char *pem = tls_cert_pem(tls_certs()->root);
    int fd = mkstemp(trusted);
    CHECK_INT(write(fd, pem, strlen(pem)), strlen(pem));
    close(fd);
    setenv("SSL_CERT_FILE", trusted, 1);
    sem_init(&gate, 0, 0);
    servers = server_context();
    CHECK_INT(bide_tls_serve("127.0.0.1", 0, servers, handler, NULL, NULL, &server), 0);
    n_made = 0;
    atomic_store(&waits, true);
}

static void end(void)
{
    unlink(trusted);
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
    bide_tls_unref(servers);
    sem_destroy(&gate);
}

/* Until the job has begun, in turns of the loop's. */
static void until_it_waits(void)
{
    while (!atomic_load(&is_waiting))
        turns(1);
    turns(5);
}

static int talk(bide_stream *stream)
{
    char bytes[5];
    int rc = bide_write(stream, "hello", 5);
    if (rc == 0)
        rc = bide_read_exactly(stream, bytes, 5);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

static bide_async(connects)
{
    bide_stream *stream;
    int rc = bide_tls_connect("127.0.0.1", bide_server_port(server), NULL, NULL, &stream);
    return rc < 0 ? rc : talk(stream);
}

static bide_async(turns_to_tls)
{
    bide_stream *stream;
    struct bide_tls_opts opts = {.server_name = "a.test"};
    int rc = bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream);
    if (rc == 0)
        rc = bide_tls_start_client(stream, NULL, &opts);
    return rc < 0 ? (bide_close(stream), rc) : talk(stream);
}

/* A protocol that turns to TLS once it is connected, and closes. */
struct caller {
    bide_event ended;
    int error;
    bool is_lost;
};

static void caller_started(bide_transport *transport, int error, void *data)
{
    struct caller *caller = data;
    caller->error = error;
    bide_transport_close(transport);
}

static void caller_made(void *data, bide_transport *transport)
{
    struct bide_tls_party party = {.started = caller_started, .data = data};
    struct bide_tls_opts opts = {.server_name = "a.test"};
    CHECK_INT(bide_tls_transport_client(transport, NULL, &opts, &party), 0);
}

static void caller_lost(void *data, int error)
{
    struct caller *caller = data;
    (void)error;
    caller->is_lost = true;
    bide_event_set(&caller->ended);
}

static const struct bide_protocol caller_protocol = {.connection_made = caller_made,
                                                     .connection_lost = caller_lost};

static void call(struct caller *caller)
{
    *caller = (struct caller){.error = 1};
    CHECK_INT(bide_loop_connect(bide_loop_current(), "127.0.0.1", bide_server_port(server), NULL,
                                &caller_protocol, caller, NULL, NULL),
              0);
}

enum { N_TASKS = 8 };

static void spawn_all(bide_task *tasks[N_TASKS])
{
    for (int i = 0; i < N_TASKS; i++)
        tasks[i] = i % 2 == 0 ? bide_spawn(connects) : bide_spawn(turns_to_tls);
}

TASK_TEST(many_want_it_and_one_is_made)
{
    bide_task *tasks[N_TASKS];
    struct caller caller;
    begin(echo);
    spawn_all(tasks);
    call(&caller);
    until_it_waits();
    for (int i = 0; i < N_TASKS; i++)
        CHECK(!bide_task_done(tasks[i]));
    gate_open();
    for (int i = 0; i < N_TASKS; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(bide_event_wait(&caller.ended), 0);
    CHECK_INT(caller.error, 0);
    CHECK_INT(n_made, 1);
    CHECK_INT(connects(), 0); /* and those who come later have it at once */
    CHECK_INT(turns_to_tls(), 0);
    CHECK_INT(n_made, 1);
    end();
}

TASK_TEST(who_gives_up_disturbs_nobody)
{
    bide_task *tasks[N_TASKS];
    begin(echo);
    spawn_all(tasks);
    until_it_waits();
    for (int i = 0; i < 4; i++) {
        bide_cancel(tasks[i]);
        CHECK_INT(bide_await(tasks[i]), -ECANCELED);
    }
    CHECK_INT(bide_within(TICKS(1), connects()), -ETIMEDOUT);
    CHECK_INT(bide_within(TICKS(1), turns_to_tls()), -ETIMEDOUT);
    gate_open();
    for (int i = 4; i < N_TASKS; i++)
        CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(n_made, 1);
    end();
}

/* What nobody waits for any more is made all the same, for whoever comes. */
TASK_TEST(everybody_gives_up)
{
    bide_task *tasks[N_TASKS];
    begin(echo);
    spawn_all(tasks);
    until_it_waits();
    bide_cancel_join(tasks, N_TASKS);
    gate_open();
    CHECK_INT(connects(), 0);
    CHECK_INT(n_made, 1);
    end();
}

TASK_TEST(a_failure_is_told_to_all_and_tried_again)
{
    bide_task *tasks[N_TASKS];
    struct caller caller;
    begin(echo);
    spawn_all(tasks);
    call(&caller);
    atomic_store(&fails, true);
    until_it_waits();
    gate_open();
    for (int i = 0; i < N_TASKS; i++)
        CHECK_INT(bide_await(tasks[i]), -ENOMEM);
    CHECK_INT(bide_event_wait(&caller.ended), 0);
    CHECK_INT(caller.error, -ENOMEM);
    CHECK_INT(n_made, 1);
    atomic_store(&fails, false);
    CHECK_INT(turns_to_tls(), 0);
    CHECK_INT(connects(), 0);
    CHECK_INT(n_made, 2);
    end();
}

static bide_async(fetches, (bide_http_session *, session))
{
    char url[64];
    const char *body;
    bide_http_response *response;
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", bide_server_port(server));
    int rc = bide_http_get(session, url, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_read_all(response, 0, &body, NULL);
    if (rc == 0)
        CHECK_STR(body, "hello");
    bide_http_response_close(response);
    return rc;
}

TASK_TEST(http_sessions_have_one_of_their_own)
{
    bide_http_session *sessions[2];
    bide_task *tasks[4];
    begin(answer);
    for (int i = 0; i < 2; i++)
        CHECK_INT(bide_http_session_new(NULL, &sessions[i]), 0);
    for (int i = 0; i < 4; i++)
        tasks[i] = bide_spawn(fetches, sessions[i % 2]);
    until_it_waits();
    bide_cancel(tasks[1]);
    CHECK_INT(bide_await(tasks[1]), -ECANCELED);
    gate_open();
    for (int i = 0; i < 4; i++)
        if (i != 1)
            CHECK_INT(bide_await(tasks[i]), 0);
    CHECK_INT(n_made, 1);
    CHECK_INT(fetches(sessions[1]), 0);
    CHECK_INT(n_made, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(bide_http_session_close(sessions[i]), 0);
        bide_http_session_free(sessions[i]);
    }
    end();
}

/* Closing waits a moment for what a thread is at. */
static void *opens_later(void *data)
{
    (void)data;
    usleep((useconds_t)(TICKS(4) * 1e6));
    gate_open();
    return NULL;
}

static bide_async(ignores_cancels)
{
    bide_tls_context *context;
    while (bide__tls_shared_await(BIDE__TLS_SHARED_PLAIN, &context) != 0)
        ;
    return 0;
}

static bide_async(is_left_behind, (bool, ignores))
{
    if (ignores)
        bide_detach(bide_spawn(ignores_cancels));
    bide_detach(bide_spawn(connects));
    until_it_waits();
    return 0;
}

/* The server is another process's, which nobody gets to. */
BIDE_TEST(a_loop_closes_in_the_middle)
{
    for (int ignores = 0; ignores < 2; ignores++) {
        pthread_t thread;
        sem_init(&gate, 0, 0);
        atomic_store(&is_waiting, false);
        atomic_store(&waits, true);
        atomic_store(&fails, true);
        bide_loop *loop = rig_loop_with(&(struct bide_loop_opts){.cleanup_seconds = TICKS(2)});
        struct bide_task_opts opts = {.loop = loop};
        bide_task *task = bide_spawn_with(&opts, is_left_behind, ignores);
        CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
        CHECK_INT(pthread_create(&thread, NULL, opens_later, NULL), 0);
        CHECK_INT(bide_loop_close(loop), 0);
        pthread_join(thread, NULL);
        while (*take_report())
            ;
        rig_end();
    }
}

/* In each of them it is this loop's own thread that makes it. */
TASK_TEST(without_a_thread)
{
    begin(echo);
    atomic_store(&waits, false);
    fault_arm(FAULT_SYSTEM, 1, EAGAIN);
    bide_tls_context *context = NULL;
    int rc = bide__tls_shared_await(BIDE__TLS_SHARED_PLAIN, &context);
    bool has_failed = fault_disarm();
    CHECK(has_failed);
    CHECK_STR(fault_function(), "pthread_create");
    CHECK_INT(rc, 0);
    CHECK_INT(n_made, 1);
    CHECK(context);
    CHECK_INT(connects(), 0);
    end();
}

TASK_TEST(without_memory)
{
    atomic_store(&fails, true);
    for (unsigned long n = 1;; n++) {
        bide_tls_context *context = NULL;
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide__tls_shared_await(BIDE__TLS_SHARED_HTTP1, &context);
        bool has_failed = fault_disarm();
        CHECK_INT(rc, -ENOMEM);
        CHECK(!context);
        if (!has_failed)
            break;
    }
}

/* Two loops that want it at the same time: each makes one, and they share the first. */
static pthread_barrier_t both;
static bide_tls_context *got[2];

static bide_async(gets, (int, i))
{
    return bide__tls_shared_await(BIDE__TLS_SHARED_HTTP1, &got[i]);
}

static void *runs_a_loop(void *data)
{
    int i = *(int *)data;
    bide_loop *loop = rig_loop();
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, gets, i);
    pthread_barrier_wait(&both);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    CHECK_INT(bide_loop_close(loop), 0);
    return NULL;
}

BIDE_TEST(two_loops_share_it)
{
    pthread_t threads[2];
    int numbers[] = {0, 1};
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, runs_a_loop, &numbers[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(got[0] && got[0] == got[1]);
    CHECK_RANGE(n_made, 1, 2);
    pthread_barrier_destroy(&both);
}
