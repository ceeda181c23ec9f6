/*
 * A server for uploads: forms read whole, with their files, and part by part as they come. The
 * client beside it sends what a browser would.
 */
#include <bide.h>
#include <bide/http_client.h>
#include <bide/http_form_read.h>
#include <bide/http_server.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char saved[128]; /* where the server puts files, under names of its own */

/* Texts and small files are in memory, larger ones on disk until they are saved or given back. */
static int take_album(bide_http_request *request, void *data)
{
    char text[256];
    bide_http_form *form;
    struct bide_http_form_field field;
    struct bide_http_form_opts limits = {.file_bytes = 1024 * 1024, .files_max = 10};
    (void)data;
    int rc = bide_http_form_read(request, &limits, &form);
    if (rc < 0)
        return rc; /* 400, 413 or 415 */
    const char *title = bide_http_form_get(form, "title");
    size_t n = bide_http_form_count(form);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = bide_http_form_at(form, i, &field);
        if (rc == 0 && field.filename)
            rc = bide_http_form_save(form, i, saved); /* never under the client's name for it */
    }
    bool has_cover = bide_http_form_find(form, "cover", &field) == 0;
    snprintf(text, sizeof text, "\"%s\", %zu fields, the cover has %llu bytes", title ? title : "?",
             n, has_cover ? (unsigned long long)field.size : 0);
    bide_http_form_free(form);
    return rc < 0 ? rc : bide_http_reply_text(request, 200, text);
}

/* Nothing is kept, however long the parts are. */
static int count_bytes(bide_http_request *request, void *data)
{
    char text[1024] = "", piece[4096], *value;
    size_t size = 0;
    bide_http_form_reader *reader;
    struct bide_http_form_part part;
    (void)data;
    int rc = bide_http_form_open(request, NULL, &reader);
    while (rc >= 0 && (rc = bide_http_form_next(reader, &part)) > 0) {
        unsigned long long n_bytes = 0;
        if (!part.filename) {
            rc = bide_http_form_part_read_all(reader, 0, &value);
            if (rc >= 0)
                size += (size_t)snprintf(text + size, sizeof text - size, "%s is \"%s\"; ",
                                         part.name, value);
            continue;
        }
        while ((rc = bide_http_form_part_read(reader, piece, sizeof piece)) > 0)
            n_bytes += (unsigned)rc;
        const char *note = bide_http_form_part_header(reader, "Content-Type");
        size += (size_t)snprintf(text + size, sizeof text - size, "%s is %s, %llu bytes; ",
                                 part.name, note, n_bytes);
    }
    if (rc == -EBADMSG || rc == -BIDE_ELIMIT || rc == -EMEDIUMTYPE)
        printf("refused: %s\n", bide_error_detail());
    return rc < 0 ? rc : bide_http_reply_text(request, 200, text);
}

static int send_it(bide_http_session *session, unsigned port, const char *path,
                   const struct bide_http_fetch_opts *opts)
{
    char url[64];
    const char *text;
    bide_http_response *response;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    int rc = bide_http_fetch(session, "POST", url, opts, &response);
    if (rc < 0)
        return rc;
    rc = bide_http_response_read_all(response, 0, &text, NULL);
    if (rc == 0)
        printf("%d: %.*s\n", bide_http_response_status(response), (int)strcspn(text, "\n"), text);
    bide_http_response_close(response);
    return rc;
}

static int send_forms(bide_http_session *session, unsigned port)
{
    static char picture[500000];
    bide_http_form *form;
    int rc = bide_http_form_new(&form);
    if (rc < 0)
        return rc;
    rc = bide_http_form_add(form, "title", "Summer & sea");
    if (rc == 0) /* of texts alone */
        rc = send_it(session, port, "/count", &(struct bide_http_fetch_opts){.form = form});
    if (rc == 0)
        rc = bide_http_form_add_data(form, "cover", "sea.jpg", NULL, picture, sizeof picture);
    if (rc == 0)
        rc = send_it(session, port, "/count", &(struct bide_http_fetch_opts){.form = form});
    if (rc == 0)
        rc = send_it(session, port, "/album", &(struct bide_http_fetch_opts){.form = form});
    if (rc == 0)
        rc = send_it(session, port, "/count", &(struct bide_http_fetch_opts){.json = "{}"});
    bide_http_form_free(form);
    return rc;
}

bide_async(amain)
{
    bide_http_session *session = NULL;
    bide_http_app *app = NULL;
    bide_http_server *server = NULL;
    struct bide_file_status status;
    char *folder;
    int rc = bide_directory_temporary(NULL, &folder);
    if (rc < 0)
        return rc;
    snprintf(saved, sizeof saved, "%s/cover", folder);
    rc = bide_http_app_new(NULL, &app);
    if (rc == 0)
        rc = bide_http_route(app, "POST", "/album", take_album, NULL, NULL);
    if (rc == 0)
        rc = bide_http_route(app, "POST", "/count", count_bytes, NULL, NULL);
    if (rc == 0)
        rc = bide_http_serve(app, "127.0.0.1", 0, NULL, &server);
    if (rc == 0)
        rc = bide_http_session_new(NULL, &session);
    if (rc == 0)
        rc = send_forms(session, bide_http_server_port(server));
    if (rc == 0 && bide_path_stat(saved, &status) == 0) {
        printf("saved: %llu bytes\n", (unsigned long long)status.size_bytes);
        bide_path_unlink(saved);
    }
    if (session)
        bide_http_session_close(session);
    bide_http_session_free(session);
    bide_http_server_free(server);
    bide_http_app_free(app);
    bide_directory_remove(folder);
    free(folder);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
