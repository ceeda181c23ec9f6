/*
 * Folders of files.
 *
 * Invariant: what a client names is opened by bide_file_open_inside(), or, where links may lead
 * anywhere, after a look that no segment leads upwards.
 */
#include "http/files.h"

#include "http/exchange.h"
#include "io/file/file.h"

#include <bide/error.h>
#include <bide/url.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct folder {
    struct bide_http_files_opts opts;
    unsigned refs; /* two routes have it */
    char *path;
    char *index;
    char *cache_control;
};

static void folder_unref(void *data)
{
    struct folder *folder = data;
    if (--folder->refs > 0)
        return;
    free(folder->path);
    free(folder->index);
    free(folder->cache_control);
    free(folder);
}

/* Whether a client may name that: no segment that is empty, hidden, or leads elsewhere. */
static bool is_servable(const struct folder *folder, const char *path)
{
    static const char well_known[] = ".well-known";
    for (;;) {
        size_t n = strcspn(path, "/");
        bool is_last = path[n] == '\0';
        bool is_dots = *path == '.' && (n == 1 || (n == 2 && path[1] == '.'));
        bool is_well_known = n == sizeof well_known - 1 && memcmp(path, well_known, n) == 0;
        if (is_dots || (n == 0 && !is_last))
            return false;
        if (n > 0 && *path == '.' && !folder->opts.hidden && !is_well_known)
            return false;
        if (is_last)
            return true;
        path += n + 1;
    }
}

static int open_in(const struct folder *folder, bide_http_request *request, const char *path,
                   bide_file **ret_file)
{
    if (!*path)
        path = ".";
    if (folder->opts.links != BIDE_HTTP_LINKS_ALL) {
        int links = folder->opts.links == BIDE_HTTP_LINKS_NONE ? O_NOFOLLOW : 0;
        return bide_file_open_inside(folder->path, path, O_RDONLY | links, ret_file);
    }
    char *whole = bide_http_alloc(request, strlen(folder->path) + strlen(path) + 2);
    if (!whole)
        return -ENOMEM;
    stpcpy(stpcpy(stpcpy(whole, folder->path), "/"), path);
    return bide_file_open(whole, O_RDONLY, 0, ret_file);
}

static int open_known(const struct folder *folder, bide_http_request *request, const char *path,
                      bide_file **ret_file, struct bide_file_status *ret_status)
{
    int rc = open_in(folder, request, path, ret_file);
    if (rc < 0)
        return rc;
    rc = bide__file_stat_known(*ret_file, ret_status);
    if (rc == 0 && ret_status->type != BIDE_FILE_REGULAR && ret_status->type != BIDE_FILE_DIRECTORY)
        rc = -ENXIO;
    if (rc < 0)
        bide_file_close(*ret_file);
    return rc;
}

static char *joined(bide_http_request *request, const char *path, const char *more)
{
    char *whole = bide_http_alloc(request, strlen(path) + strlen(more) + 1);
    if (whole)
        stpcpy(stpcpy(whole, path), more);
    return whole;
}

/* Takes the file: that of the plain name, if it is open already. */
static int reply_regular(const struct folder *folder, bide_http_request *request, const char *path,
                         bide_file *file, struct bide_file_status *status)
{
    struct bide__http_file how = {.type = bide_http_media_type(path),
                                  .cache_control = folder->cache_control,
                                  .varies = folder->opts.packed};
    int rc = 0;
    if (folder->opts.packed && bide__http_takes_gzip(request)) {
        const char *packed = joined(request, path, ".gz");
        struct bide_file_status packed_status;
        bide_file *other;
        rc = packed ? open_known(folder, request, packed, &other, &packed_status) : -ENOMEM;
        if (rc == 0 && packed_status.type == BIDE_FILE_REGULAR) {
            bide_file *plain = file;
            file = other;
            *status = packed_status;
            other = plain;
            how.is_packed = true;
        }
        if (rc == 0)
            bide_file_close(other);
        if (rc != -ECANCELED && rc != -ENOMEM)
            rc = 0;
    }
    if (rc == 0)
        rc = bide__http_reply_opened(request, file, status, &how);
    bide_file_close(file);
    return rc;
}

/* To the same address with a slash behind it. What begins with two slashes would be a host. */
static int to_slash(bide_http_request *request)
{
    const char *path = bide_http_path(request), *query = bide_http_query(request);
    path += strspn(path, "/");
    size_t size = strlen(path), query_size = query ? strlen(query) + 1 : 0;
    char *location = bide_http_alloc(request, 3 * size + query_size + 3);
    if (!location)
        return -ENOMEM;
    char *to = stpcpy(location, "/");
    while (*path) {
        size_t n = strcspn(path, "/");
        to += bide_url_encode(path, n, to, 3 * n + 1);
        path += n + (path[n] == '/');
        to = stpcpy(to, "/");
    }
    if (query)
        stpcpy(stpcpy(to, "?"), query);
    return bide_http_redirect(request, 301, location);
}

/* Takes the file, which is a directory. */
static int reply_directory(const struct folder *folder, bide_http_request *request,
                           const char *path, bide_file *directory)
{
    struct bide_file_status status;
    bide_file *file;
    const char *address = bide_http_path(request);
    if (address[strlen(address) - 1] != '/') {
        bide_file_close(directory);
        return to_slash(request);
    }
    int rc = -ENOENT;
    if (folder->index) {
        const char *index = joined(request, path, folder->index);
        rc = index ? open_known(folder, request, index, &file, &status) : -ENOMEM;
        if (rc == 0 && status.type == BIDE_FILE_REGULAR) {
            bide_file_close(directory);
            return reply_regular(folder, request, index, file, &status);
        }
        if (rc == 0)
            bide_file_close(file);
        if (rc == 0)
            rc = -ENOENT;
    }
    if (rc == -ENOENT && folder->opts.lists)
        return bide__http_reply_list(request, directory, !*path, folder->opts.hidden);
    bide_file_close(directory);
    return rc == -ENOENT ? bide_http_reply_text(request, 403, "Forbidden\n")
                         : bide__http_reply_missing(request, rc);
}

static int serve(bide_http_request *request, void *data)
{
    const struct folder *folder = data;
    const char *path = bide_http_param(request, "path");
    struct bide_file_status status;
    bide_file *file;
    if (!path)
        path = "";
    if (!is_servable(folder, path))
        return bide_http_reply_text(request, 404, "Not Found\n");
    int rc = open_known(folder, request, path, &file, &status);
    if (rc < 0)
        return bide__http_reply_missing(request, rc);
    if (status.type == BIDE_FILE_DIRECTORY)
        return reply_directory(folder, request, path, file);
    return reply_regular(folder, request, path, file, &status);
}

static char *copy_of(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

static int folder_new(const char *path, const struct bide_http_files_opts *opts,
                      struct folder **ret_folder)
{
    struct folder *folder = calloc(1, sizeof *folder);
    if (!folder)
        return -ENOMEM;
    if (opts)
        folder->opts = *opts;
    const char *index = folder->opts.index ? folder->opts.index : "index.html";
    bool failed = false;
    folder->refs = 1;
    folder->path = copy_of(*path ? path : ".", &failed);
    folder->index = copy_of(*index ? index : NULL, &failed);
    folder->cache_control = copy_of(folder->opts.cache_control, &failed);
    if (failed) {
        folder_unref(folder);
        return -ENOMEM;
    }
    *ret_folder = folder;
    return 0;
}

/* The address of the folder itself without its slash, too, unless that is nothing. */
int bide_http_files(bide_http_app *app, const char *prefix, const char *path,
                    const struct bide_http_files_opts *opts)
{
    struct folder *folder;
    if (!app || !prefix || !path || (*prefix && prefix[strlen(prefix) - 1] == '/') ||
        (opts && ((unsigned)opts->links > BIDE_HTTP_LINKS_ALL ||
                  (opts->index && strchr(opts->index, '/')))))
        return -EINVAL;
    char *pattern = malloc(strlen(prefix) + sizeof "/{path...}");
    int rc = pattern ? folder_new(path, opts, &folder) : -ENOMEM;
    if (rc < 0) {
        free(pattern);
        return rc;
    }
    stpcpy(stpcpy(pattern, prefix), "/{path...}");
    folder->refs++;
    rc = bide_http_route(app, "GET", pattern, serve, folder, folder_unref);
    if (rc < 0)
        folder->refs--;
    if (rc == 0 && *prefix) {
        folder->refs++;
        rc = bide_http_route(app, "GET", prefix, serve, folder, folder_unref);
        if (rc < 0)
            folder->refs--;
        if (rc == -EEXIST) /* it answers itself what is there */
            rc = 0;
    }
    folder_unref(folder);
    free(pattern);
    return rc;
}
