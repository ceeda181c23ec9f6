/*
 * A service for programs on the same machine: a Unix socket, found by its path, that knows who its
 * clients are. The file is the server's: it goes when the server is closed.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int greets(bide_stream *stream, void *data)
{
    struct bide_credentials who;
    char *name;
    char answer[100];
    (void)data;
    int rc = bide_stream_credentials(stream, &who);
    if (rc < 0)
        return rc;
    rc = bide_read_line(stream, &name);
    if (rc <= 0)
        return rc;
    const char *whose = who.uid == getuid() ? "one of ours" : "a stranger";
    int size = snprintf(answer, sizeof answer, "hello %.40s, you are %s\n", name, whose);
    return bide_write(stream, answer, (size_t)size);
}

static int visit(const char *path, const char *name)
{
    bide_stream *stream;
    char *line;
    int rc = bide_connect_unix(path, NULL, &stream);
    if (rc < 0) {
        printf("%s\n", bide_strerror(rc));
        return rc;
    }
    bide_write(stream, name, 4);
    rc = bide_read_line(stream, &line);
    if (rc > 0)
        printf("%s\n", line);
    bide_close(stream);
    return rc;
}

static int serve_at(const char *path)
{
    static const struct bide_server_opts ours_alone = {.file_mode = 0600};
    struct bide_address address;
    char text[BIDE_ADDRESS_TEXT_SIZE];
    bide_server *server;
    bide_server *second;
    int rc = bide_serve_unix(path, greets, NULL, &ours_alone, &server);
    if (rc < 0)
        return rc;
    bide_server_addresses(server, &address, 1);
    bide_address_print(&address, text, sizeof text);
    printf("listens at %s\n", text);
    rc = visit(path, "ann\n");
    if (bide_serve_unix(path, greets, NULL, NULL, &second) == -EADDRINUSE)
        printf("somebody listens there\n");
    bide_server_free(server);
    return rc;
}

bide_async(amain)
{
    char path[64];
    char name[64];
    snprintf(path, sizeof path, "/tmp/bide-example-%d", (int)getpid());
    snprintf(name, sizeof name, "@bide-example-%d", (int)getpid()); /* an abstract one: no file */
    int rc = serve_at(path);
    if (rc >= 0)
        rc = serve_at(name);
    visit(path, "bob\n");
    struct bide_address address;
    if (bide_address_unix("/run/a-name-that-is-longer-than-the-hundred-and-seven-bytes-that-fit/"
                          "into-the-address-of-a-unix-socket/on-linux",
                          &address) == -ENAMETOOLONG)
        printf("too long\n");
    return rc < 0 ? rc : 0;
}

int main(void)
{
    return bide_run(amain);
}
