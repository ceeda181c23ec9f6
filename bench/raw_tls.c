/*
 * TLS on bare OpenSSL, blocking, one connection after the other: the server that bide is measured
 * by, and the client of both.
 *
 *     raw_tls server PROCESSOR
 *     raw_tls client PROCESSOR PORT h|s|r SECONDS
 */
#include "tls_common.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <time.h>
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
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
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

static double serve_one(SSL *ssl)
{
    char wanted;
    double n = 0;
    if (SSL_read(ssl, &wanted, 1) == 1)
        n = wanted == 's' ? send_all(ssl, 1e18) : receive_all(ssl, 1e18);
    SSL_shutdown(ssl);
    return n;
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
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    unsigned long n = 0;
    double n_bytes = 0;
    double begun = tls_cpu_seconds();
    while (!stopped) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        no_delay(fd);
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) {
            n++;
            n_bytes += serve_one(ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
    tls_report(n, n_bytes, begun);
    return 0;
}

static int client(int port, char wanted, double seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    double begun = now();
    double n = 0;
    signal(SIGPIPE, SIG_IGN);
    do {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        SSL *ssl = SSL_new(context);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            return 1;
        no_delay(fd);
        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) != 1)
            return 1;
        if (wanted == 'h') {
            n++;
        } else {
            SSL_write(ssl, &wanted, 1);
            n += wanted == 's' ? receive_all(ssl, begun + seconds) : send_all(ssl, begun + seconds);
        }
        SSL_shutdown(ssl);
        if (wanted == 'h') /* all that it sent is read, so that nothing is reset */
            SSL_read(ssl, buffer, sizeof buffer);
        SSL_free(ssl);
        close(fd);
    } while (now() < begun + seconds);
    printf("rate %.1f\n", n / (now() - begun));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    tls_pin(atoi(argv[2]));
    if (strcmp(argv[1], "server") == 0)
        return server();
    return argc < 6 ? 2 : client(atoi(argv[3]), argv[4][0], atof(argv[5]));
}
