/*
 * bide's side of the tests with other implementations of TLS. A client's first line says what it
 * wants: "echo", until it ends; "send N", so many bytes of the pattern; "upper", the lines in
 * capitals. The server takes "STARTTLS" before that if it begins in clear.
 *
 *     tls_peer serve CERT_FILE KEY_FILE CA_FILE|- plain|tls
 *     tls_peer connect PORT CA_FILE NAME [ALPN]      sends "echo", what it reads from standard
 * input, ends its side, and prints what comes back
 */
#include <bide.h>
#include <bide/tls.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const alpn[] = {"echo/2", "echo/1", NULL};

struct serving {
    bide_tls_context *context;
    bool is_plain;
};

static void tell(bide_stream *stream)
{
    struct bide_tls_info info;
    if (bide_tls_info_get(stream, &info) < 0)
        return;
    printf("%s alpn=%s name=%s resumed=%d peer=%s\n", info.version, info.alpn ? info.alpn : "-",
           info.server_name ? info.server_name : "-", info.resumed,
           info.peer ? info.peer->subject : "-");
    fflush(stdout);
}

static int echo(bide_stream *stream)
{
    static char buffer[64 * 1024];
    int n;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0) {
        int rc = bide_write(stream, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static int send_pattern(bide_stream *stream, size_t size)
{
    char buffer[4096];
    int rc = 0;
    for (size_t n = 0; n < size && rc == 0; n += sizeof buffer) {
        for (size_t i = 0; i < sizeof buffer; i++)
            buffer[i] = (char)((n + i) % 251);
        rc = bide_write(stream, buffer, size - n < sizeof buffer ? size - n : sizeof buffer);
    }
    return rc;
}

static int serve_command(bide_stream *stream, struct serving *serving)
{
    char *line;
    int rc = bide_read_line(stream, &line);
    if (rc <= 0)
        return rc;
    if (strcmp(line, "STARTTLS") == 0 && serving->is_plain) {
        rc = bide_write(stream, "go ahead\n", 9);
        if (rc == 0)
            rc = bide_tls_start_server(stream, serving->context, NULL);
        if (rc < 0)
            return rc;
        tell(stream);
        return serve_command(stream, serving);
    }
    if (strncmp(line, "GET ", 4) == 0) {
        static const char page[] = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n";
        return bide_write(stream, page, sizeof page - 1);
    }
    return strncmp(line, "send ", 5) == 0 ? send_pattern(stream, strtoul(line + 5, NULL, 10))
                                          : echo(stream);
}

static int handle(bide_stream *stream, void *data)
{
    tell(stream);
    int rc = serve_command(stream, data);
    printf("ended: %s: %s\n", bide_strerror(rc), rc < 0 ? bide_error_detail() : "");
    fflush(stdout);
    return 0;
}

static void refused(bide_stream *stream, int error, void *data)
{
    (void)stream;
    (void)data;
    printf("refused: %s: %s\n", bide_strerror(error), bide_error_detail());
    fflush(stdout);
}

bide_async(serve, (struct serving *, serving))
{
    bide_server *server;
    struct bide_tls_serve_opts opts = {.refused = refused};
    int rc = serving->is_plain ? bide_serve("127.0.0.1", 0, handle, serving, NULL, &server)
                               : bide_tls_serve("127.0.0.1", 0, serving->context, handle, serving,
                                                &opts, &server);
    if (rc < 0)
        return rc;
    printf("port %u\n", bide_server_port(server));
    fflush(stdout);
    rc = bide_server_forever(server);
    bide_server_free(server);
    return rc;
}

static int serve_files(char **words)
{
    struct serving serving = {.is_plain = strcmp(words[3], "plain") == 0};
    struct bide_tls_identity identity = {.cert_file = words[0], .key_file = words[1]};
    struct bide_tls_server_opts opts = {.identities = &identity, .n_identities = 1, .alpn = alpn};
    if (strcmp(words[2], "-") != 0) {
        opts.client_auth = BIDE_TLS_CLIENT_AUTH_REQUIRED;
        opts.trust.ca_file = words[2];
    }
    int rc = bide_tls_server_new(&opts, &serving.context);
    if (rc < 0) {
        printf("%s: %s\n", bide_strerror(rc), bide_error_detail());
        return 1;
    }
    rc = bide_run(serve, &serving);
    bide_tls_unref(serving.context);
    return rc;
}

/* Standard input goes out, and then our side ends. */
bide_async(feed, (bide_stream *, stream))
{
    static char buffer[64 * 1024];
    size_t n;
    int rc = 0;
    while (rc == 0 && (n = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        rc = bide_write(stream, buffer, n);
    return rc == 0 ? bide_write_eof(stream) : rc;
}

static int print_all(bide_stream *stream)
{
    static char buffer[64 * 1024];
    int n;
    while ((n = bide_read(stream, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    return n;
}

bide_async(connect_to, (unsigned, port), (bide_tls_context *, context), (const char *, name))
{
    bide_stream *stream;
    struct bide_tls_opts opts = {.server_name = name};
    int rc = bide_tls_connect("127.0.0.1", port, context, &opts, &stream);
    if (rc < 0) {
        printf("%s: %s\n", bide_strerror(rc), bide_error_detail());
        return rc;
    }
    tell(stream);
    bide_task *feeder = bide_spawn(feed, stream);
    rc = print_all(stream);
    int fed = bide_await(feeder);
    if (rc < 0)
        printf("%s: %s\n", bide_strerror(rc), bide_error_detail());
    bide_close(stream);
    return rc < 0 ? rc : fed;
}

static int connect_files(int n, char **words)
{
    bide_tls_context *context;
    const char *protocols[] = {n > 3 ? words[3] : NULL, NULL};
    struct bide_tls_client_opts opts = {.trust.ca_file = words[1],
                                        .alpn = n > 3 ? protocols : NULL};
    int rc = bide_tls_client_new(&opts, &context);
    if (rc < 0)
        return 1;
    rc = bide_run(connect_to, (unsigned)strtoul(words[0], NULL, 10), context, words[2]);
    bide_tls_unref(context);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "serve") == 0)
        return serve_files(argv + 2);
    if (argc >= 5 && strcmp(argv[1], "connect") == 0)
        return connect_files(argc - 2, argv + 2);
    return 2;
}
