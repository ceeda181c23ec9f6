/* Calls on names; see bide/path.h. */
#include "io/file/file.h"

static int on_names(const struct bide__file_names *names, enum bide__file_wait wait,
                    struct bide_file_status *ret_status)
{
    struct bide__coro *coro;
    int rc = bide__suspend(&coro);
    if (rc < 0)
        return rc;
    rc = bide__file_names_do(coro, names, wait, ret_status);
    return (int)bide__file_fail(rc, names->path);
}

static int change(enum bide_file_kind kind, const char *path, unsigned mode)
{
    if (!path)
        return -EINVAL;
    struct bide__file_names names = {.kind = kind, .path = path, .mode = mode};
    return on_names(&names, BIDE__FILE_RECALL, NULL);
}

int bide_path_stat(const char *path, struct bide_file_status *ret_status)
{
    if (!path || !ret_status)
        return -EINVAL;
    struct bide__file_names names = {.kind = BIDE_CALL_STAT, .path = path};
    return on_names(&names, BIDE__FILE_LEAVE, ret_status);
}

int bide_path_stat_link(const char *path, struct bide_file_status *ret_status)
{
    if (!path || !ret_status)
        return -EINVAL;
    struct bide__file_names names = {
        .kind = BIDE_CALL_STAT, .path = path, .flags = BIDE_FILE_NO_FOLLOW};
    return on_names(&names, BIDE__FILE_LEAVE, ret_status);
}

int bide_path_rename(const char *path, const char *new_path)
{
    if (!path || !new_path)
        return -EINVAL;
    struct bide__file_names names = {.kind = BIDE_CALL_RENAME, .path = path, .other = new_path};
    return on_names(&names, BIDE__FILE_RECALL, NULL);
}

int bide_path_unlink(const char *path)
{
    return change(BIDE_CALL_UNLINK, path, 0);
}

int bide_directory_make(const char *path, unsigned mode)
{
    return change(BIDE_CALL_MAKE_DIRECTORY, path, mode);
}

int bide_directory_remove(const char *path)
{
    return change(BIDE_CALL_REMOVE_DIRECTORY, path, 0);
}
