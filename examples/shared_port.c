/*
 * Servers of two workers on one port. Each connection is handed to the worker that has the fewest,
 * so that eight are four and four, whichever loop the kernel told of them.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { CLIENTS = 8 };

static bide_event others_listen; /* of worker 0's loop */

/* Says which worker it is, and keeps the connection until the client ends it. */
static int serve_one(bide_stream *stream, void *data)
{
    char byte = (char)('0' + bide_worker_index());
    int rc = bide_write(stream, &byte, 1);
    (void)data;
    return rc < 0 ? rc : bide_read(stream, &byte, 1);
}

bide_async(hear_that_they_listen)
{
    bide_event_set(&others_listen);
    return 0;
}

static int ask_all(unsigned port)
{
    bide_stream *streams[CLIENTS] = {NULL};
    int n_of[2] = {0, 0};
    int rc = bide_event_wait(&others_listen);
    for (int i = 0; i < CLIENTS && rc >= 0; i++) {
        char byte = '0';
        rc = bide_connect("127.0.0.1", port, NULL, &streams[i]);
        if (rc == 0)
            rc = bide_read_exactly(streams[i], &byte, 1);
        n_of[byte - '0']++;
    }
    for (int i = 0; i < CLIENTS; i++)
        bide_close(streams[i]);
    printf("worker 0 served %d, worker 1 served %d\n", n_of[0], n_of[1]);
    return rc < 0 ? rc : 0;
}

bide_async(amain, (bide_port *, port))
{
    bide_server *server;
    const struct bide_server_opts opts = {.shared = port};
    int rc = bide_serve(NULL, 0, serve_one, NULL, &opts, &server);
    if (rc < 0)
        return rc;
    if (bide_worker_index() == 0) {
        rc = ask_all(bide_server_port(server));
        bide_workers_stop();
    } else {
        bide_remote_unref(bide_spawn_threadsafe(bide_worker_remote(0), hear_that_they_listen));
        rc = bide_server_forever(server); /* until it is cancelled */
    }
    bide_server_free(server);
    return rc;
}

int main(void)
{
    bide_port *port = NULL;
    int rc = bide_port_open("127.0.0.1", 0, NULL, &port);
    if (rc == 0)
        rc = bide_run_workers(2, amain, port);
    bide_port_unref(port);
    return rc == 0 ? 0 : 1;
}
