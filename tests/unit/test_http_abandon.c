/*
 * Scenario: a loop is closed while its HTTP server is in the middle of requests: half a head, a
 * body that does not come, handlers that wait, that send what nobody takes, compress, have a
 * WebSocket, and that take no notice of being cancelled; the server is left to its owner, or is
 * just being freed.
 * Claim: nothing of the server is left, no descriptor and no memory (AddressSanitizer checks that).
 */
#include <bide/http_middleware.h>
#include <bide/websocket.h>

#include "http_rig.h"

static bool is_there;

static int pauses(bide_http_request *request, void *data)
{
    (void)request;
    (void)data;
    is_there = true;
    return bide_sleep(INFINITY);
}

/* Memory of the request's, an answer that is being packed, and no end. */
static int goes_on(bide_http_request *request, void *data)
{
    (void)data;
    CHECK(bide_http_alloc(request, 100000));
    CHECK_INT(bide_http_reply_header(request, "X-A", "b"), 0);
    CHECK_INT(bide_http_reply_begin(request, 200, "text/plain", BIDE_HTTP_LENGTH_UNKNOWN), 0);
    CHECK_INT(bide_http_write(request, "some of it", 10), 0);
    is_there = true;
    for (;;)
        (void)bide_sleep(INFINITY);
}

static int takes_body(bide_http_request *request, void *data)
{
    char *body;
    (void)data;
    is_there = true;
    return bide_http_read_all(request, 0, &body);
}

static int pours(bide_http_request *request, void *data)
{
    static char much[8 * MIB];
    (void)data;
    is_there = true;
    return bide_http_reply(request, 200, "image/png", much, sizeof much);
}

static int talks(bide_http_request *request, void *data)
{
    bide_websocket *ws;
    struct bide_websocket_message message;
    (void)data;
    int rc = bide_websocket_accept(request, NULL, &ws);
    if (rc < 0)
        return rc;
    is_there = true;
    rc = bide_websocket_receive(ws, &message);
    bide_websocket_free(ws);
    return rc;
}

#define FIELDS " HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n"

static const struct {
    const char *request;
    bool has_handler;
} states[] = {
    {"", false},
    {"GET /pauses HTTP/1.1\r\nHost:", false},
    {"GET /pauses" FIELDS "\r\n", true},
    {"GET /goes_on" FIELDS "\r\n", true},
    {"GET /goes_on" FIELDS "\r\nGET /pauses" FIELDS "\r\n", true},
    {"GET /pours" FIELDS "\r\n", true},
    {"POST /takes_body" FIELDS "Content-Length: 9\r\n\r\nabc", true},
    {"POST /takes_body" FIELDS "Transfer-Encoding: chunked\r\n\r\n9\r\nabc", true},
    {"GET /talks" FIELDS
     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85\1\1\1\1he",
     true},
};

static int client;

static void connect_client(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)bide_http_server_port(rig_server))};
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(send(client, text, strlen(text), 0), strlen(text));
}

static bide_async(begins, (size_t, state))
{
    http_app();
    http_route("GET", "/pauses", pauses);
    http_route("GET", "/goes_on", goes_on);
    http_route("GET", "/pours", pours);
    http_route("POST", "/takes_body", takes_body);
    http_route("GET", "/talks", talks);
    int rc = bide_http_use_compression(rig_app, NULL);
    CHECK(rc == 0 || rc == -ENOSYS);
    CHECK_INT(bide_http_use_request_id(rig_app), 0);
    CHECK_INT(bide_http_use_time_limit(rig_app, 1000), 0);
    http_begin(&(struct bide_http_server_opts){.handler_seconds = 1000});
    is_there = !states[state].has_handler;
    connect_client(states[state].request);
    while (!is_there || bide_http_server_connections(rig_server) == 0)
        turns(1);
    turns(5);
    return 0;
}

static bide_async(frees)
{
    is_there = true;
    return bide_http_server_free(rig_server);
}

static void close_in(size_t state, bool is_being_freed)
{
    bide_loop *loop = rig_loop_with(&(struct bide_loop_opts){.cleanup_seconds = TICKS(2)});
    struct bide_task_opts opts = {.loop = loop};
    bide_task *task = bide_spawn_with(&opts, begins, state);
    CHECK_INT(bide_loop_run_until_complete(loop, task), 0);
    if (is_being_freed) {
        is_there = false;
        bide_detach(bide_spawn_with(&opts, frees));
        while (!is_there) {
            bide_loop_stop(loop);
            CHECK_INT(bide_loop_run_forever(loop), 0);
        }
    }
    CHECK_INT(bide_loop_close(loop), 0);
    while (*take_report()) /* of those that would not end */
        ;
    if (!is_being_freed)
        CHECK_INT(bide_http_server_free(rig_server), 0);
    bide_http_app_free(rig_app);
    close(client);
    rig_end();
}

BIDE_TEST_SECONDS(a_loop_closes_in_the_middle_of_requests, 60)
{
    int n_fds = count_fds();
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        for (int is_being_freed = 0; is_being_freed < 2; is_being_freed++) {
            printf("# %zu %d\n", i, is_being_freed);
            close_in(i, is_being_freed);
            CHECK_INT(count_fds(), n_fds);
        }
}
