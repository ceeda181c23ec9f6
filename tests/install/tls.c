/* A program outside the project that speaks TLS, compiled as C and as C++. */
#include <bide.h>
#include <bide/tls.h>

#include <stdio.h>

bide_async(refused)
{
    bide_stream *stream;
    bide_tls_context *context;
    int rc = bide_tls_client_new(NULL, &context);
    if (rc < 0)
        return rc;
    rc = bide_tls_connect("127.0.0.1", 1, context, NULL, &stream);
    bide_tls_unref(context);
    puts(rc < 0 ? "nobody there" : "?");
    return 0;
}

int main(void)
{
    return bide_run(refused);
}
