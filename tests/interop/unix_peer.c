/*
 * The library's side of test_unix_socket.py: `serve PATH` echoes lines and says first who the
 * client is; `talk PATH WORD` says the word and prints the answer.
 */
#include <bide.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int echoes(bide_stream *stream, void *data)
{
    struct bide_credentials who;
    char text[64];
    char *line;
    (void)data;
    int rc = bide_stream_credentials(stream, &who);
    if (rc < 0)
        return rc;
    int size = snprintf(text, sizeof text, "%d %u %u\n", who.pid, who.uid, who.gid);
    rc = bide_write(stream, text, (size_t)size);
    while (rc >= 0 && (rc = bide_read_line(stream, &line)) > 0) {
        line[rc - 1] = '\n'; /* where it was */
        rc = bide_write(stream, line, (size_t)rc);
    }
    return rc;
}

static int stop(void *server)
{
    bide_server_close(server);
    return 0;
}

bide_async(serves, (const char *, path))
{
    bide_server *server;
    int rc = bide_serve_unix(path, echoes, NULL, NULL, &server);
    if (rc < 0) {
        printf("%s: %s\n", bide_error_detail(), bide_strerror(rc));
        return rc;
    }
    bide_loop_add_signal_handler(bide_loop_current(), SIGINT, stop, server, NULL);
    printf("serves\n");
    fflush(stdout);
    rc = bide_server_forever(server);
    bide_loop_remove_signal_handler(bide_loop_current(), SIGINT);
    bide_server_free(server);
    return rc;
}

bide_async(talks, (const char *, path), (const char *, word))
{
    bide_stream *stream;
    char *line;
    int rc = bide_connect_unix(path, NULL, &stream);
    if (rc < 0) {
        printf("%s: %s\n", bide_error_detail(), bide_strerror(rc));
        return rc;
    }
    rc = bide_write(stream, word, strlen(word));
    if (rc == 0)
        rc = bide_write_eof(stream);
    while (rc >= 0 && (rc = bide_read_line(stream, &line)) > 0)
        printf("%s\n", line);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return bide_run(serves, argv[2]);
    if (argc == 4 && strcmp(argv[1], "talk") == 0)
        return bide_run(talks, argv[2], argv[3]);
    return 2;
}
