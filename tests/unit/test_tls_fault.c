/*
 * Scenario: contexts are made, two ends shake hands, talk, tell about themselves, resume, close;
 * and the n-th allocation or system call of all that fails, for every n, OpenSSL's own allocations
 * among them. Claim: whoever asked is told; nothing hangs, nothing is left.
 */
#include "tls_rig.h"

#include <openssl/crypto.h>

#include "fault.h"

enum { RUNS_MAX = 100000 };

static struct ends ends;
static bide_tls_context *client, *server;

static void take_any_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

static int contexts_make(void)
{
    static const char *const alpn[] = {"one", "two", NULL};
    struct bide_tls_identity identity = {.cert_pem = tls_certs()->chain,
                                         .key_pem = tls_cert_key_pem(tls_certs()->leaf)};
    struct bide_tls_server_opts server_opts = {
        .identities = &identity, .n_identities = 1, .alpn = alpn};
    struct bide_tls_client_opts client_opts = {.trust.ca_pem = tls_cert_pem(tls_certs()->root),
                                               .alpn = alpn};
    int rc = bide_tls_server_new(&server_opts, &server);
    return rc == 0 ? bide_tls_client_new(&client_opts, &client) : rc;
}

static bide_async(serves)
{
    char bytes[4];
    int rc = bide_tls_start_server(ends.server, server,
                                   &(struct bide_tls_opts){.handshake_seconds = TICKS(40)});
    if (rc == 0)
        rc = bide_read_exactly(ends.server, bytes, 4);
    if (rc >= 0)
        rc = bide_write(ends.server, "answer", 6);
    int closed = bide_close(ends.server);
    ends.server = NULL;
    return rc < 0 ? rc : closed;
}

static bide_async(asks)
{
    char bytes[6];
    struct bide_tls_info info;
    struct bide_tls_opts opts = {.server_name = "a.test", .handshake_seconds = TICKS(40)};
    int rc = bide_tls_start_client(ends.client, client, &opts);
    if (rc == 0)
        rc = bide_tls_info_get(ends.client, &info);
    if (rc == 0)
        rc = bide_write(ends.client, "asks", 4);
    if (rc == 0)
        rc = bide_read_exactly(ends.client, bytes, 6);
    int closed = bide_close(ends.client);
    ends.client = NULL;
    return rc < 0 ? rc : closed;
}

static int life(void)
{
    int fds[2];
    bide_loop_set_exception_handler(bide_loop_current(), take_any_report, NULL);
    int rc = contexts_make();
    if (rc < 0)
        return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    rc = bide_stream_adopt(fds[0], NULL, &ends.client);
    if (rc < 0)
        close(fds[0]);
    int other = bide_stream_adopt(fds[1], NULL, &ends.server);
    if (other < 0)
        close(fds[1]);
    if (rc < 0 || other < 0)
        return rc < 0 ? rc : other;
    bide_task *tasks[] = {bide_spawn(serves), bide_spawn(asks)};
    int results[2] = {0, 0};
    rc = bide_gather(tasks, 2, results);
    bide_cancel_join(tasks, 2);
    return rc < 0 ? rc : results[0] < 0 ? results[0] : results[1];
}

static bide_async(amain)
{
    return life();
}

static void clean_up(void)
{
    bide_close(ends.client);
    bide_close(ends.server);
    ends = (struct ends){0};
    bide_tls_unref(client);
    bide_tls_unref(server);
    client = NULL;
    server = NULL;
}

static void each_fault(enum fault_kind kind, int error, unsigned long step)
{
    CHECK_INT(bide_run(amain), 0); /* what is made once, is there */
    clean_up();
    int n_fds = count_fds();
    for (unsigned long n = 1;; n += step) {
        CHECK(n < RUNS_MAX);
        fault_arm(kind, n, error);
        int rc = bide_run(amain);
        bool hit = fault_disarm();
        clean_up();
        CHECK_INT(count_fds(), n_fds);
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_allocation_of_ours, 120)
{
    each_fault(FAULT_ALLOCATION, 0, 1);
}

BIDE_TEST_SECONDS(every_system_call, 120)
{
    each_fault(FAULT_SYSTEM, EIO, 1);
    each_fault(FAULT_SYSTEM, ENOBUFS, 1);
}

/* Calls from here are those that faults hit. */
static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

BIDE_TEST_SECONDS(allocations_of_openssl, 240)
{
    CHECK_INT(CRYPTO_set_mem_functions(allocate, reallocate, release), 1);
    each_fault(FAULT_ALLOCATION, 0, test_long() ? 1 : 29);
}
