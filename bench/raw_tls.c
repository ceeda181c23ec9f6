/*
 * TLS on bare OpenSSL, blocking, one connection after the other: the server that bide is measured
 * by, and the client of both.
 *
 *     raw_tls server
 *     raw_tls h|s|r -p port -P server's-pid -d seconds
 *
 * h: handshakes; s, r: what the server sends, or receives, over one connection. The client prints a
 * JSON object, as load does.
 */
#include "load.h"
#include "tls_common.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <unistd.h>

static char buffer[TLS_WRITE_BYTES];
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static double now(void)
{
    return (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
}

static double send_all(SSL *ssl, double until)
{
    double n = 0;
    while (now() < until && SSL_write(ssl, buffer, sizeof buffer) > 0)
        n += sizeof buffer;
    return n;
}

static double receive_all(SSL *ssl, double until)
{
    double n = 0;
    int got;
    while (now() < until && (got = SSL_read(ssl, buffer, sizeof buffer)) > 0)
        n += got;
    return n;
}

static void no_delay(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static SSL_CTX *server_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    SSL_CTX_use_certificate(context, tls_certificate(key));
    SSL_CTX_use_PrivateKey(context, key);
    return context;
}

static void serve_one(SSL *ssl)
{
    char wanted;
    if (SSL_read(ssl, &wanted, 1) == 1 && wanted == 's')
        send_all(ssl, 1e18);
    else
        receive_all(ssl, 1e18);
    SSL_shutdown(ssl);
}

static int server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    SSL_CTX *context = server_context();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 128) < 0)
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    tls_say_port(ntohs(address.sin_port));
    while (!stopped) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        no_delay(fd);
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
            serve_one(ssl);
        SSL_free(ssl);
        close(fd);
    }
    return 0;
}

static SSL *connected(const struct load_options *options, SSL_CTX *context)
{
    int fd = load_connect(options, 0, 0);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    fail_unless(SSL_connect(ssl) == 1, "no handshake");
    return ssl;
}

static void leave(SSL *ssl)
{
    SSL_shutdown(ssl);
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
}

static double handshakes(const struct load_options *options, SSL_CTX *context, double end)
{
    double n = 0;
    do {
        SSL *ssl = connected(options, context);
        SSL_shutdown(ssl);
        SSL_read(ssl, buffer, sizeof buffer); /* all that it sent, so that nothing is reset */
        leave(ssl);
        n++;
    } while (now() < end);
    return n;
}

/* The handshake is over and data flows before anything counts. */
static double bulk(const struct load_options *options, SSL_CTX *context, char wanted,
                   struct load_window *window)
{
    SSL *ssl = connected(options, context);
    fail_unless(SSL_write(ssl, &wanted, 1) == 1, "nothing could be asked for");
    double (*move)(SSL *, double) = wanted == 's' ? receive_all : send_all;
    move(ssl, now() + options->seconds / 5);
    window_open(window, options);
    double n = move(ssl, now() + options->seconds);
    window_close(window, options);
    leave(ssl);
    return n;
}

static int client(const struct load_options *options, char wanted)
{
    struct load_window window;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    double n;
    signal(SIGPIPE, SIG_IGN);
    if (wanted == 'h') {
        handshakes(options, context, now() + options->seconds / 5);
        window_open(&window, options);
        n = handshakes(options, context, now() + options->seconds);
        window_close(&window, options);
    } else {
        n = bulk(options, context, wanted, &window);
    }
    SSL_CTX_free(context);
    fail_unless(n > 0 && window.server_ns > 0, "nothing was done");
    printf("{\"%s\": %.0f, \"seconds\": %.6f, \"server_cpu_s\": %.6f}\n",
           wanted == 'h' ? "requests" : "bytes_moved", n, (double)window.elapsed_ns / 1e9,
           (double)window.server_ns / 1e9);
    return 0;
}

static bool parse(struct load_options *options, int argc, char **argv)
{
    optind = 2;
    for (int option; (option = getopt(argc, argv, "p:P:d:")) != -1;) {
        if (option == 'p')
            options->port = atoi(optarg);
        else if (option == 'P')
            options->server = atoi(optarg);
        else if (option == 'd')
            options->seconds = atof(optarg);
    }
    return options->port > 0 && options->server > 0 && options->seconds > 0;
}

int main(int argc, char **argv)
{
    struct load_options options = {0};
    if (argc == 2 && strcmp(argv[1], "server") == 0)
        return server();
    if (argc < 2 || strlen(argv[1]) != 1 || !strchr("hsr", argv[1][0]) ||
        !parse(&options, argc, argv))
        return 2;
    return client(&options, argv[1][0]);
}
