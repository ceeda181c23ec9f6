/*
 * A server and a client that speak TLS: the client is told whom to trust, and shown what happens
 * when it is not.
 */
#include <bide.h>
#include <bide/tls.h>

#include <stdio.h>
#include <string.h>

/* Made once with `openssl req -x509`, for localhost, and of no use to anybody else. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBnDCCAUGgAwIBAgIUYg4nXk8ZglHawJ0HsR82UkT2V9kwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjExNDkwMFoYDzIxMjYxMDI5\n"
    "MTE0OTAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAQQFvkdzyyZ+YSgmTktxND5WELjG0fbA3AzkTtSU9OHvugAuKTJiUVH\n"
    "n3yGesbuEg0/332fHbf7FluLd/SotcTio28wbTAdBgNVHQ4EFgQUAvtrybDTKEUu\n"
    "LRsXUTzaEHx1L0MwHwYDVR0jBBgwFoAUAvtrybDTKEUuLRsXUTzaEHx1L0MwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI\n"
    "zj0EAwIDSQAwRgIhAJbSVZE6dX+OOcI59x2u2X+0ccQpP9V/OhMpsKmalRoIAiEA\n"
    "kPKDh1z/qZDQCiAnNcNkcJFEmZyHCf2GHV3eKDXj4z4=\n"
    "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4ZKaVUiuYWn2pLJC\n"
                          "dl6rfqpbWDSxsLEkxvxE1bexTtuhRANCAAQQFvkdzyyZ+YSgmTktxND5WELjG0fb\n"
                          "A3AzkTtSU9OHvugAuKTJiUVHn3yGesbuEg0/332fHbf7FluLd/SotcTi\n"
                          "-----END PRIVATE KEY-----\n";

static int greet(bide_stream *stream, void *data)
{
    char *line;
    char answer[128];
    (void)data;
    int n = bide_read_line(stream, &line);
    if (n <= 0)
        return n;
    int size = snprintf(answer, sizeof answer, "hello, %s\n", line);
    return bide_write(stream, answer, (size_t)size);
}

static int ask(unsigned port, bide_tls_context *context)
{
    bide_stream *stream;
    struct bide_tls_info info;
    char *line = NULL;
    int rc = bide_tls_connect("localhost", port, context, NULL, &stream);
    if (rc < 0) {
        printf("not connected: %s: %s\n", bide_strerror(rc), bide_error_detail());
        return rc;
    }
    if (bide_tls_info_get(stream, &info) == 0)
        printf("%s, %s, for %s\n", info.version, info.peer->subject, info.peer->names[0]);
    rc = bide_write(stream, "world\n", 6);
    if (rc == 0)
        rc = bide_read_line(stream, &line);
    if (rc > 0)
        printf("%s\n", line);
    int closed = bide_close(stream);
    return rc < 0 ? rc : closed;
}

/* Once as the system trusts, and once as we do. */
static int ask_twice(unsigned port)
{
    bide_tls_context *context;
    struct bide_tls_client_opts opts = {.trust.ca_pem = certificate};
    ask(port, NULL);
    int rc = bide_tls_client_new(&opts, &context);
    if (rc < 0)
        return rc;
    rc = ask(port, context);
    bide_tls_unref(context);
    return rc;
}

bide_async(amain, (bide_tls_context *, context))
{
    bide_server *server;
    uint64_t n_failed;
    int rc = bide_tls_serve("localhost", 0, context, greet, NULL, NULL, &server);
    if (rc < 0)
        return rc;
    rc = ask_twice(bide_server_port(server));
    bide_server_close(server);
    bide_server_wait_closed(server);
    bide_server_free(server);
    bide_tls_handshakes(context, NULL, &n_failed);
    printf("%d of the handshakes failed\n", (int)n_failed);
    return rc;
}

int main(void)
{
    bide_tls_context *context;
    struct bide_tls_identity identity = {.cert_pem = certificate, .key_pem = key};
    struct bide_tls_server_opts opts = {.identities = &identity, .n_identities = 1};
    int rc = bide_tls_server_new(&opts, &context);
    if (rc < 0) {
        fprintf(stderr, "%s\n", bide_error_detail());
        return 1;
    }
    rc = bide_run(amain, context);
    bide_tls_unref(context);
    return rc;
}
