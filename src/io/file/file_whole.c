/*
 * Whole files, and new ones of a name that nobody has.
 *
 * Invariant: what such a call holds between two waits is in a structure that a closing loop finds.
 * Whatever fails or is cancelled, the new file is removed before the call returns.
 */
#include "io/file/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 16 * 1024, NAME_LETTERS = 12, TRIES_MAX = 100, MODE_DEFAULT = 0666 };

struct whole {
    struct bide__resource resource;
    bide_file *file;
    char *data;
    size_t size, capacity;
    char *path; /* of the new file */
};

static void whole_free(struct whole *whole)
{
    bide__list_remove(&whole->resource.node);
    free(whole->data);
    free(whole->path);
    free(whole);
}

static void whole_drop(struct bide__resource *resource)
{
    struct whole *whole = bide__container(resource, struct whole, resource);
    if (whole->file)
        bide__file_orphan(whole->file);
    whole_free(whole);
}

static struct whole *whole_new(struct bide__coro *coro)
{
    struct whole *whole = calloc(1, sizeof *whole);
    if (!whole)
        return NULL;
    whole->resource.drop = whole_drop;
    whole->resource.forget = whole_drop;
    bide__list_append(&coro->loop->resources, &whole->resource.node);
    return whole;
}

/* Closes the file that is open; returns the error that came first. */
static int close_with(struct bide__coro *coro, struct whole *whole, int rc)
{
    bide_file *file = whole->file;
    whole->file = NULL;
    int closed = file ? bide__file_close(coro, file) : 0;
    return rc < 0 ? rc : closed;
}

/* Loading */

/* Room for more, and for the zero behind it. */
static int load_grow(struct whole *whole, size_t size_max)
{
    size_t capacity = whole->capacity > 0 ? 2 * whole->capacity : FIRST_BYTES;
    if (size_max > 0 && capacity > size_max)
        capacity = size_max + 1; /* one byte more tells that there is too much */
    char *data = realloc(whole->data, capacity + 1);
    if (!data)
        return -ENOMEM;
    whole->data = data;
    whole->capacity = capacity;
    return 0;
}

static int load_all(struct bide__coro *coro, struct whole *whole, size_t size_max)
{
    bool here = whole->file->type == BIDE_FILE_DEVICE;
    for (;;) {
        int rc = whole->size == whole->capacity ? load_grow(whole, size_max) : 0;
        if (rc == 0)
            rc = bide__cancel_check(coro);
        if (rc < 0)
            return rc;
        ssize_t n = bide__file_read_piece(coro, whole->file, whole->data + whole->size,
                                          whole->capacity - whole->size,
                                          here ? BIDE_FILE_HERE : (int64_t)whole->size);
        if (n <= 0)
            return (int)n;
        whole->size += (size_t)n;
        if (size_max > 0 && whole->size > size_max)
            return -EFBIG;
    }
}

int bide_file_load(const char *path, size_t size_max, char **ret_data, size_t *ret_size)
{
    struct bide__coro *coro;
    if (!path || !ret_data || size_max > SSIZE_MAX)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct whole *whole = whole_new(coro);
    if (!whole)
        return -ENOMEM;
    rc = bide__file_open(coro, path, O_RDONLY, 0, &whole->file);
    if (rc == 0) {
        rc = (int)bide__file_fail(load_all(coro, whole, size_max), path);
        rc = close_with(coro, whole, rc);
    }
    if (rc == 0) {
        whole->data[whole->size] = '\0';
        *ret_data = whole->data;
        whole->data = NULL;
        if (ret_size)
            *ret_size = whole->size;
    }
    whole_free(whole);
    return rc;
}

/* New files */

/* A path in `directory`: a dot, `n_base` bytes of `base`, a dot and letters by chance. */
static int new_path(struct bide__coro *coro, struct whole *whole, const char *directory, size_t n,
                    const char *base, size_t n_base)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    struct bide_engine *engine = coro->loop->engine;
    unsigned char bytes[NAME_LETTERS];
    int rc = engine->ops->entropy(engine, bytes, sizeof bytes);
    if (rc < 0)
        return rc;
    size_t size = n + n_base + NAME_LETTERS + sizeof "/..";
    free(whole->path);
    whole->path = malloc(size);
    if (!whole->path)
        return -ENOMEM;
    char *at = whole->path + snprintf(whole->path, size, "%.*s%s.%.*s.", (int)n, directory,
                                      n == 0 || directory[n - 1] == '/' ? "" : "/", (int)n_base,
                                      base);
    for (int i = 0; i < NAME_LETTERS; i++)
        *at++ = letters[bytes[i] % (sizeof letters - 1)];
    *at = '\0';
    return 0;
}

/* Opens a file, or makes a directory. */
static int make_new(struct bide__coro *coro, struct whole *whole, int flags, unsigned mode)
{
    if (flags != O_DIRECTORY)
        return bide__file_open(coro, whole->path, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode,
                               &whole->file);
    struct bide__file_names names = {
        .kind = BIDE_CALL_MAKE_DIRECTORY, .path = whole->path, .mode = mode};
    int rc = bide__file_names_do(coro, &names, BIDE__FILE_RECALL, NULL);
    return (int)bide__file_fail(rc, whole->path);
}

/* Beside `path`, of which the name is made, or in the directory `path` if `base` is NULL. */
static int make_named(struct bide__coro *coro, struct whole *whole, const char *path,
                      const char *base, int flags, unsigned mode)
{
    size_t n = base ? (size_t)(base - path) : strlen(path);
    size_t n_base = base ? strlen(base) : 0;
    if (n_base > NAME_MAX - NAME_LETTERS - 2)
        n_base = NAME_MAX - NAME_LETTERS - 2;
    int rc = -EEXIST;
    for (int i = 0; i < TRIES_MAX && rc == -EEXIST; i++) {
        rc = new_path(coro, whole, path, n, base ? base : "bide", base ? n_base : strlen("bide"));
        if (rc == 0)
            rc = make_new(coro, whole, flags, mode);
    }
    return rc;
}

static int temporary(const char *directory, char **ret_path, int flags, unsigned mode,
                     bide_file **ret_file)
{
    struct bide__coro *coro;
    if (!ret_path || (directory && !*directory))
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct whole *whole = whole_new(coro);
    if (!whole)
        return -ENOMEM;
    rc = make_named(coro, whole, directory ? directory : "/tmp", NULL, flags, mode);
    if (rc == 0) {
        *ret_path = whole->path;
        whole->path = NULL;
        if (ret_file)
            *ret_file = whole->file;
    }
    whole_free(whole);
    return rc;
}

int bide_file_temporary(const char *directory, char **ret_path, bide_file **ret_file)
{
    return ret_file ? temporary(directory, ret_path, O_RDWR, 0600, ret_file) : -EINVAL;
}

int bide_directory_temporary(const char *directory, char **ret_path)
{
    return temporary(directory, ret_path, O_DIRECTORY, 0700, NULL);
}

/* Storing */

static int sync_file(struct bide__coro *coro, bide_file *file)
{
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_SYNC, file->fd, 0);
    return (int)bide__file_work_number(work, BIDE__FILE_LEAVE);
}

/* Into the file that is open, which is closed. */
static int store_data(struct bide__coro *coro, struct whole *whole, const void *data, size_t size,
                      bool durable)
{
    size_t n;
    int rc = bide__file_write_all(coro, whole->file, data, size, 0, &n);
    if (rc == 0 && durable)
        rc = bide__cancel_check(coro);
    if (rc == 0 && durable)
        rc = sync_file(coro, whole->file);
    rc = (int)bide__file_fail(rc, whole->file->path);
    return close_with(coro, whole, rc);
}

/* The new name itself is to survive. It is there by now: a cancel changes nothing. */
static int sync_directory(struct bide__coro *coro, struct whole *whole, const char *path, size_t n)
{
    char *directory = n > 0 ? strndup(path, n) : strdup(".");
    free(whole->data);
    whole->data = directory;
    if (!directory)
        return -ENOMEM;
    int rc = bide__file_open(coro, directory, O_RDONLY | O_DIRECTORY, 0, &whole->file);
    if (rc < 0)
        return rc;
    rc = (int)bide__file_fail(sync_file(coro, whole->file), directory);
    return close_with(coro, whole, rc);
}

static int store_beside(struct bide__coro *coro, struct whole *whole, const char *path,
                        const void *data, size_t size, const struct bide_store_opts *opts)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    int rc = make_named(coro, whole, path, base, O_WRONLY, opts->mode);
    if (rc < 0)
        return rc;
    struct bide__file_names names = {.kind = BIDE_CALL_RENAME, .path = whole->path, .other = path};
    rc = store_data(coro, whole, data, size, opts->durable);
    if (rc == 0)
        rc = bide__cancel_check(coro);
    if (rc == 0)
        rc = (int)bide__file_fail(bide__file_names_do(coro, &names, BIDE__FILE_RECALL, NULL), path);
    if (rc == 0)
        return opts->durable ? sync_directory(coro, whole, path, (size_t)(base - path)) : 0;
    names.kind = BIDE_CALL_UNLINK;
    names.other = NULL;
    bide__file_names_do(coro, &names, BIDE__FILE_STAY, NULL);
    return rc;
}

int bide_file_store(const char *path, const void *data, size_t size,
                    const struct bide_store_opts *opts)
{
    struct bide__coro *coro;
    struct bide_store_opts all = opts ? *opts : (struct bide_store_opts){0};
    if (!path || !*path || path[strlen(path) - 1] == '/' || (!data && size > 0) || size > SSIZE_MAX)
        return -EINVAL;
    if (all.mode == 0)
        all.mode = MODE_DEFAULT;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    struct whole *whole = whole_new(coro);
    if (!whole)
        return -ENOMEM;
    if (all.in_place) {
        rc = bide__file_open(coro, path, O_WRONLY | O_CREAT | O_TRUNC, all.mode, &whole->file);
        if (rc == 0)
            rc = store_data(coro, whole, data, size, all.durable);
    } else {
        rc = store_beside(coro, whole, path, data, size, &all);
    }
    whole_free(whole);
    return rc;
}
