/*
 * A connection that begins in clear and turns to TLS, as mail servers do it: the client asks, the
 * server agrees, and both go on with the same streams.
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

/* One line, without its end; an empty one is the end of the stream. */
static int hear(bide_stream *stream, const char *who)
{
    char *line;
    int rc = bide_read_line(stream, &line);
    if (rc > 0)
        printf("%s hears: %s\n", who, line);
    return rc;
}

static int say(bide_stream *stream, const char *line)
{
    return bide_write(stream, line, strlen(line));
}

static int converse(bide_stream *stream, void *context)
{
    int rc = hear(stream, "server");
    if (rc > 0)
        rc = say(stream, "go ahead\n");
    if (rc == 0)
        rc = bide_tls_start_server(stream, context, NULL);
    if (rc == 0)
        rc = hear(stream, "server");
    if (rc > 0)
        rc = say(stream, "secrets are safe here\n");
    return rc;
}

static int talk(bide_stream *stream, bide_tls_context *context)
{
    struct bide_tls_opts opts = {.server_name = "localhost"};
    int rc = say(stream, "STARTTLS\n");
    if (rc == 0)
        rc = hear(stream, "client");
    if (rc > 0)
        rc = bide_tls_start_client(stream, context, &opts);
    if (rc == 0)
        rc = say(stream, "a secret\n");
    if (rc == 0)
        rc = hear(stream, "client");
    return rc;
}

bide_async(amain, (bide_tls_context *, ours), (bide_tls_context *, theirs))
{
    bide_server *server;
    bide_stream *stream;
    int rc = bide_serve("localhost", 0, converse, theirs, NULL, &server);
    if (rc < 0)
        return rc;
    rc = bide_connect("localhost", bide_server_port(server), NULL, &stream);
    if (rc == 0) {
        rc = talk(stream, ours);
        bide_close(stream);
    }
    bide_server_close(server);
    bide_server_wait_closed(server);
    bide_server_free(server);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    bide_tls_context *ours = NULL;
    bide_tls_context *theirs = NULL;
    struct bide_tls_identity identity = {.cert_pem = certificate, .key_pem = key};
    struct bide_tls_server_opts server = {.identities = &identity, .n_identities = 1};
    struct bide_tls_client_opts client = {.trust.ca_pem = certificate};
    int rc = bide_tls_server_new(&server, &theirs);
    if (rc == 0)
        rc = bide_tls_client_new(&client, &ours);
    if (rc == 0)
        rc = bide_run(amain, ours, theirs);
    bide_tls_unref(ours);
    bide_tls_unref(theirs);
    return rc;
}
