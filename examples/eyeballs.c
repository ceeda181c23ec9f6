/*
 * A name with several addresses, raced: IPv4 and IPv6 take turns, and who answers first wins. Here
 * only 127.0.0.1 is served, so localhost's IPv6 address, if it has one, refuses.
 */
#include <bide.h>

#include <stdio.h>

static int says_hello(bide_stream *stream, void *data)
{
    (void)data;
    return bide_write(stream, "hello\n", 6);
}

static int visit(const char *host, unsigned port, const struct bide_connect_opts *opts)
{
    struct bide_address peer;
    struct bide_address mine;
    char from[BIDE_ADDRESS_TEXT_SIZE];
    char to[BIDE_ADDRESS_TEXT_SIZE];
    bide_stream *stream;
    char *line;
    int rc = bide_connect(host, port, opts, &stream);
    if (rc < 0) {
        printf("%s: %s\n", bide_strerror(rc), bide_error_detail());
        return rc;
    }
    bide_stream_peer(stream, &peer);
    bide_stream_local(stream, &mine);
    bide_address_print(&peer, to, sizeof to);
    bide_address_print(&mine, from, sizeof from);
    rc = bide_read_line(stream, &line);
    if (rc > 0)
        printf("from %s to %s: %s\n", from, to, line);
    bide_close(stream);
    return rc;
}

bide_async(amain)
{
    struct bide_address local;
    /* A name that is not found within 5 s is given up; the next address has its turn after 0.1 s.
     */
    struct bide_connect_opts opts = {.resolve_seconds = 5, .attempt_seconds = 0.1};
    bide_server *server;
    int rc = bide_serve("127.0.0.1", 0, says_hello, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    unsigned port = bide_server_port(server);
    rc = visit("localhost", port, &opts);
    if (rc >= 0)
        rc = bide_resolve("127.0.0.5", 0, BIDE_IPV4, &local, 1);
    opts.local = &local; /* from there */
    if (rc >= 0)
        rc = visit("localhost", port, &opts);
    bide_server_free(server);
    opts.local = NULL;
    visit("localhost", port, &opts); /* nobody listens any more */
    return rc < 0 ? rc : 0;
}

int main(void)
{
    return bide_run(amain);
}
