/*
 * A client for the tests with real servers: fetches its URLs one after the other in one session.
 *
 *     http_client [-X METHOD] [-d TEXT | -f FILE | -F NAME=FILE | -s FILE] [-k CA] [-p PROXY]
 *                 [-u USER:PASSWORD] URL...
 *
 * For each: the status, how many connections there are then, how many redirects were followed, how
 * long the body is, a sum of its bytes, and its first 60 as they are; or the error in words.
 */
#include <bide/file.h>
#include <bide/http_client.h>
#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *method = "GET";
static struct bide_http_fetch_opts opts;
static struct bide_http_session_opts session_opts;
static const char *form_field, *source_path, *ca_file;
static char **urls;
static char shown[61];

static int from_file(void *data, void *buffer, size_t size)
{
    return (int)bide_file_read(data, buffer, size);
}

static void show(bide_http_session *session, bide_http_response *response)
{
    char piece[16384];
    unsigned long long size = 0, sum = 0;
    int n;
    memset(shown, 0, sizeof shown);
    while ((n = bide_http_response_read(response, piece, sizeof piece)) > 0) {
        for (int i = 0; i < n; i++) {
            if (size < sizeof shown - 1)
                shown[size] = isprint((unsigned char)piece[i]) ? piece[i] : '.';
            sum = (sum * 31 + (unsigned char)piece[i]) % 1000003;
            size++;
        }
    }
    if (n < 0) {
        printf("error %s\n", bide_error_detail());
        return;
    }
    printf("%d %zu %u %llu %llu %s\n", bide_http_response_status(response),
           bide_http_session_connections(session, NULL), bide_http_response_redirects(response),
           size, sum, shown);
}

static int fetch(bide_http_session *session, const char *url)
{
    bide_http_response *response;
    bide_http_form *form = NULL;
    bide_file *file = NULL;
    int rc = 0;
    if (form_field) {
        char name[64];
        const char *equals = strchr(form_field, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - form_field), form_field);
        rc = bide_http_form_new(&form);
        if (rc == 0)
            rc = bide_http_form_add_file(form, name, equals + 1, NULL, NULL);
        opts.form = form;
    }
    if (source_path) {
        rc = bide_file_open(source_path, O_RDONLY, 0, &file);
        opts.source = from_file;
        opts.source_data = file;
    }
    if (rc == 0)
        rc = bide_http_fetch(session, method, url, &opts, &response);
    if (rc < 0)
        printf("error %s\n", bide_error_detail());
    else
        show(session, response);
    if (rc == 0)
        bide_http_response_close(response);
    bide_file_close(file);
    bide_http_form_free(form);
    return 0;
}

static int trust(void)
{
#if BIDE_HAVE_TLS
    struct bide_tls_client_opts tls = {.trust.ca_file = ca_file};
    return ca_file ? bide_tls_client_new(&tls, &session_opts.tls) : 0;
#else
    return 0;
#endif
}

bide_async(amain)
{
    bide_http_session *session;
    int rc = trust();
    if (rc == 0)
        rc = bide_http_session_new(&session_opts, &session);
    if (rc < 0)
        return rc;
    for (; *urls && rc == 0; urls++)
        rc = fetch(session, *urls);
    bide_http_session_close(session);
    bide_http_session_free(session);
#if BIDE_HAVE_TLS
    bide_tls_unref(session_opts.tls);
#endif
    return rc;
}

static void take_option(int option, char *value)
{
    if (option == 'X')
        method = value;
    else if (option == 'f')
        opts.body_file = value;
    else if (option == 'F')
        form_field = value;
    else if (option == 's')
        source_path = value;
    else if (option == 'k')
        ca_file = value;
    else if (option == 'p')
        session_opts.proxy = value;
    if (option == 'd') {
        opts.body = value;
        opts.body_size = strlen(value);
    }
    if (option == 'u') {
        opts.user = strsep(&value, ":");
        opts.password = value;
    }
}

int main(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "X:d:f:F:s:k:p:u:")) != -1;) {
        if (option == '?')
            return 2;
        take_option(option, optarg);
    }
    urls = argv + optind;
    return bide_run(amain);
}
