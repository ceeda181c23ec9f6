/* Bodies on their way out: JSON, a form with a file, and one that is made while it is sent. */
#include <bide/http_client.h>
#include <bide/http_server.h>

#include <stdio.h>
#include <string.h>

/* Says what it got. */
static int receive(bide_http_request *request, void *data)
{
    char *body, text[256];
    (void)data;
    int size = bide_http_read_all(request, 0, &body);
    if (size < 0)
        return size;
    const char *type = bide_http_header(request, "Content-Type");
    snprintf(text, sizeof text, "%s of %.*s, %d bytes%s", bide_http_method(request),
             (int)strcspn(type ? type : "nothing", ";"), type ? type : "nothing", size,
             bide_http_header(request, "Transfer-Encoding") ? " in chunks" : "");
    return bide_http_reply_text(request, 200, text);
}

static int send_it(bide_http_session *session, const char *method, const char *url,
                   const struct bide_http_fetch_opts *opts)
{
    bide_http_response *response;
    const char *text;
    int rc = bide_http_fetch(session, method, url, opts, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_read_all(response, 0, &text, NULL);
    if (rc == 0)
        printf("%d: %s\n", bide_http_response_status(response), text);
    bide_http_response_close(response);
    return rc;
}

static int send_form(bide_http_session *session, const char *url)
{
    bide_http_form *form;
    int rc = bide_http_form_new(&form);
    if (rc < 0)
        return rc;
    rc = bide_http_form_add(form, "title", "A form & its file");
    if (rc == 0) /* of texts alone: as a browser sends it */
        rc = send_it(session, "POST", url, &(struct bide_http_fetch_opts){.form = form});
    if (rc == 0) /* bide_http_form_add_file() takes a path */
        rc = bide_http_form_add_data(form, "file", "notes.txt", NULL, "from memory", 11);
    if (rc == 0) {
        bide_http_response *response;
        struct bide_http_fetch_opts opts = {.form = form};
        rc = bide_http_fetch(session, "POST", url, &opts, &response);
        if (rc == 0) {
            const char *text;
            rc = bide_http_response_read_all(response, 0, &text, NULL);
            printf("%d: %.27s\n", bide_http_response_status(response), rc == 0 ? text : "");
            bide_http_response_close(response);
        }
    }
    bide_http_form_free(form);
    return rc;
}

/* The next line of a report that is not written down anywhere. */
static int next_line(void *data, void *buffer, size_t size)
{
    int *number = data;
    int rc = bide_sleep(0.001); /* it may wait for what it sends */
    if (rc < 0 || *number == 5)
        return rc;
    return snprintf(buffer, size, "line %d\n", ++*number);
}

static int send_all(bide_http_session *session, const char *url)
{
    int number = 0;
    struct bide_http_fetch_opts json = {.json = "{\"answer\": 42}"};
    struct bide_http_fetch_opts made = {
        .source = next_line, .source_data = &number, .content_type = "text/plain"};
    int rc = send_it(session, "PUT", url, &json);
    if (rc == 0)
        rc = send_form(session, url);
    if (rc == 0)
        rc = send_it(session, "POST", url, &made);
    return rc;
}

bide_async(amain)
{
    char url[64];
    bide_http_session *session = NULL;
    bide_http_app *app = NULL;
    bide_http_server *server = NULL;
    int rc = bide_http_app_new(NULL, &app);
    if (rc == 0)
        rc = bide_http_route(app, NULL, "/inbox", receive, NULL, NULL);
    if (rc == 0)
        rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc == 0)
        rc = bide_http_session_new(NULL, &session);
    if (rc == 0) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u/inbox", bide_http_server_port(server));
        rc = send_all(session, url);
    }
    if (session)
        bide_http_session_close(session);
    bide_http_session_free(session);
    bide_http_server_free(server);
    bide_http_app_free(app);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
