/*
 * Names in the file system: asking what they stand for, renaming, removing, directories and their
 * lists, temporary files. How a cancel ends the calls that change something: see bide/file.h.
 *
 * Relative paths begin at the process's working directory. Paths are borrowed until return. What
 * bide has no call for runs in a thread: bide_to_thread() in bide/thread.h.
 */
#ifndef BIDE_PATH_H
#define BIDE_PATH_H

#include <bide/file.h>

BIDE_BEGIN_DECLARATIONS

/*
 * What is known of the file that a path leads to, links followed.
 *
 * ret_status: untouched on failure. Returns 0, -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG,
 * -EINVAL, -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: ends at once. Thread: loop
 * thread only.
 */
BIDE_EXPORT int bide_path_stat(const char *path, struct bide_file_status *ret_status);

/*
 * Likewise of a symbolic link itself.
 *
 * Suspends: yes. Cancel: ends at once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_path_stat_link(const char *path, struct bide_file_status *ret_status);

/*
 * Gives a file another name, in one step: whoever looks finds either the old one or the new one. A
 * file of the new name is replaced.
 *
 * Returns 0, -ENOENT, -EXDEV (another file system), -EISDIR, -ENOTDIR, -ENOTEMPTY, -EACCES, -EINVAL
 * (into itself), -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: a call that changes
 * something. Thread: loop thread only.
 */
BIDE_EXPORT int bide_path_rename(const char *path, const char *new_path);

/*
 * Removes a name of a file; the file goes with its last one.
 *
 * Returns 0, -ENOENT, -EISDIR, -EACCES, -EPERM, -EINVAL, -ENOMEM, -ECANCELED, -BIDE_ENOTASK.
 * Suspends: yes. Cancel: a call that changes something. Thread: loop thread only.
 */
BIDE_EXPORT int bide_path_unlink(const char *path);

/*
 * Makes a directory.
 *
 * mode: as of mkdir(2); what the umask takes away is taken. Returns 0, -EEXIST, -ENOENT, -ENOTDIR,
 * -EACCES, -ENOSPC, -EINVAL, -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: a call that
 * changes something. Thread: loop thread only.
 */
BIDE_EXPORT int bide_directory_make(const char *path, unsigned mode);

/*
 * Removes an empty directory.
 *
 * Returns 0, -ENOTEMPTY, -ENOENT, -ENOTDIR, -EACCES, -EBUSY, -EINVAL, -ENOMEM, -ECANCELED,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: a call that changes something. Thread: loop thread only.
 */
BIDE_EXPORT int bide_directory_remove(const char *path);

/* What a directory has. */
struct bide_directory_entry {
    char name[256];
    enum bide_file_type type; /* BIDE_FILE_UNKNOWN where the file system does not tell here */
};

/*
 * What is in a directory, in no order, without "." and "..":
 *
 *     bide_for (struct bide_directory_entry, entry, rc, bide_directory_list("/etc"))
 *         puts(entry.name);
 *
 * It is opened at the first step and read in pieces of 32 KiB; what is added or removed meanwhile
 * may be told or not.
 * path: copies. Returns owned: an iterator of struct bide_directory_entry; NULL without memory or
 * for NULL. Its steps fail as bide_file_open(), -ENOTDIR if it is none. Suspends: no, its steps do.
 * Cancel: a cancelled step has lost nothing. Thread: loop thread only.
 */
BIDE_EXPORT bide_iterator *bide_directory_list(const char *path);

/*
 * Makes a new file, open for reading and writing by nobody but this user, of a name that nobody
 * else has.
 *
 * directory: NULL for /tmp. ret_path: returns owned, to be given to free(); the caller removes the
 * file. ret_file: returns owned. Returns 0, or as bide_file_open(). Suspends: yes. Cancel: nothing
 * was made. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_temporary(const char *directory, char **ret_path, bide_file **ret_file);

/*
 * Makes a new directory of a name that nobody else has, for this user alone.
 *
 * directory: the one to make it in; NULL for /tmp. ret_path: returns owned, to be given to free();
 * the caller removes it. Returns 0, or as bide_directory_make(). Suspends: yes. Cancel: nothing was
 * made. Thread: loop thread only.
 */
BIDE_EXPORT int bide_directory_temporary(const char *directory, char **ret_path);

BIDE_END_DECLARATIONS

#endif
