/*
 * Files: opened, read, written and closed without the loop ever waiting for a disk.
 *
 *     bide_file *file;
 *     int rc = bide_file_open("log.txt", O_WRONLY | O_CREAT | O_APPEND, 0644, &file);
 *     if (rc < 0)
 *         return rc;
 *     rc = bide_file_write(file, "started\n", 8);
 *     int closed = bide_file_close(file);
 *     return rc < 0 ? rc : closed;
 *
 * What lies in the kernel's memory is read at once; what has to wait does so in the kernel or on a
 * thread, where users' jobs (bide/thread.h) cannot hold it up.
 *
 * A cancel. Calls that change nothing (opening what exists, reading, asking, syncing) end at once;
 * the kernel or thread finishes for nobody, in memory of the runtime's. Calls that change something
 * (writing, truncating, creating, and those of bide/path.h) are taken back if they have not begun;
 * otherwise the cancelled call waits for the end, and what it returns is what happened.
 *
 * Errors have words in bide_error_detail(): the path, and what is the matter.
 */
#ifndef BIDE_FILE_H
#define BIDE_FILE_H

#include <bide/file_status.h>
#include <bide/iterator.h>

#include <fcntl.h>
#include <sys/types.h>

BIDE_BEGIN_DECLARATIONS

/* An open file. It belongs to the loop that it was opened in; its calls in any other are -EXDEV. */
typedef struct bide_file bide_file;

/*
 * Opens a file.
 *
 * path: borrows until return. flags, mode: as of open(2): O_RDONLY, O_WRONLY or O_RDWR, with
 * O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_TMPFILE; always
 * close-on-exec. ret_file: returns owned, to be closed with bide_file_close(). Returns 0; an error
 * of open(2), such as -ENOENT, -EACCES, -EEXIST, -EISDIR, -EMFILE; -ESPIPE for a FIFO or a socket,
 * which are for streams (bide_input() in bide/pipe.h, bide_connect()); -EINVAL, -ENOMEM, -ECANCELED
 * (nothing was opened, and nothing created if the flags say that), -BIDE_ENOTASK. Suspends: yes.
 * Cancel: with O_CREAT or O_TRUNC as a call that changes something, see above; otherwise ends at
 * once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_open(const char *path, int flags, unsigned mode, bide_file **ret_file);

/*
 * Opens a file that is there, inside of a folder that its path never leads out of: what others name
 * can be opened so.
 *
 * folder: followed through links. path: relative to it. Of the links in it only those are followed
 * that stay inside, and none at all if flags have O_NOFOLLOW, or where the kernel has no
 * openat2(2). flags: as of bide_file_open() without O_CREAT and O_TRUNC. Returns as
 * bide_file_open(); -EXDEV: the path leads out; -ELOOP: a link that is not to be followed.
 * Suspends: yes. Cancel: ends at once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_open_inside(const char *folder, const char *path, int flags,
                                      bide_file **ret_file);

/*
 * Closes a file, whatever is returned; but with -BIDE_ENOTASK and -EXDEV it stays as it was.
 *
 * file: takes; NULL is allowed. Tasks that wait for their turn on it get -EBADF. If a call on it is
 * under way still (of another task, or one that was cancelled), the file is closed after that, and
 * nobody is told how it went.
 * Returns 0; what the close itself found, such as -EIO, -ENOSPC or -EDQUOT: earlier writes are lost
 * then; -ENOMEM (closed all the same); -ESHUTDOWN if its loop has ended, which closed it.
 * Suspends: yes, a join. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_close(bide_file *file);

/*
 * Closes a file at once, on the loop's own thread, for where nothing can suspend.
 *
 * file: takes; NULL is allowed; also after its loop has ended. What is under way ends first.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT void bide_file_abort(bide_file *file);

/*
 * Reads from the file's position on, which moves.
 *
 * It fills the buffer unless the file ends before; of a device it takes what one read gives. Small
 * reads are served from what one larger read brought; what others change in the file meanwhile may
 * be seen late (bide_file_read_at() sees it). Several tasks take turns.
 * buffer: size bytes; borrows until return. Returns how many bytes; 0 at the end; -EISDIR, -EIO,
 * -EBADF (not open for reading, or closed meanwhile), -EAGAIN (a device that has nothing now),
 * -EXDEV, -EINVAL, -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: ends at once; the
 * position has not moved. Thread: loop thread only.
 */
BIDE_EXPORT ssize_t bide_file_read(bide_file *file, void *buffer, size_t size);

/*
 * Reads from `offset` on. The position does not matter and does not move; any number of tasks may
 * read at the same time.
 *
 * offset: bytes from the start. Returns as bide_file_read(); -ESPIPE of a device. Suspends: yes.
 * Cancel: ends at once. Thread: loop thread only.
 */
BIDE_EXPORT ssize_t bide_file_read_at(bide_file *file, void *buffer, size_t size, int64_t offset);

/*
 * Writes all of the data at the file's position, which moves by what was written, also if the call
 * fails or is cancelled on the way. Several tasks take turns, so that each one's data stays
 * together.
 *
 * With O_APPEND it goes to the file's end instead, and the position stays.
 * data: size bytes; borrows until return. ret_written: how much of it, set in any case but with
 * -EINVAL, -EXDEV and -BIDE_ENOTASK; NULL if it is not wanted. Returns 0, -ENOSPC, -EDQUOT, -EFBIG,
 * -EIO, -EBADF (not open for writing, or closed meanwhile), -EXDEV, -EINVAL, -ENOMEM, -ECANCELED,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: a call that changes something, see above; larger data is
 * written in pieces of 256 KiB, and ends after one. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_write(bide_file *file, const void *data, size_t size,
                                size_t *ret_written);

/*
 * Writes all of the data at `offset`. The position does not matter and does not move; any number of
 * tasks may write at the same time.
 *
 * Returns as bide_file_write(); -ESPIPE of a device. With O_APPEND the data goes to the end, as
 * Linux has it. Suspends: yes. Cancel: as bide_file_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_write_at(bide_file *file, const void *data, size_t size, int64_t offset,
                                   size_t *ret_written);

/*
 * Moves the position: whence is SEEK_SET (from the start), SEEK_CUR (from where it is) or SEEK_END
 * (from the file's end, which is asked for).
 *
 * Returns the new position; -EINVAL (another whence, or before the start), -EOVERFLOW, -ESPIPE of a
 * device or directory; with SEEK_END as bide_file_stat(); -EBADF, -EXDEV, -ECANCELED,
 * -BIDE_ENOTASK. Suspends: yes, for its turn and with SEEK_END. Cancel: the position has not moved.
 * Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_file_seek(bide_file *file, int64_t offset, int whence);

/*
 * The position; -EINVAL for NULL.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int64_t bide_file_tell(const bide_file *file);

/*
 * What is known of the file.
 *
 * ret_status: untouched on failure. Returns 0, -EIO, -EXDEV, -EINVAL, -ENOMEM, -ECANCELED,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: ends at once. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_stat(bide_file *file, struct bide_file_status *ret_status);

/*
 * Makes the file so many bytes long; what is added is zero, and takes no room on most disks.
 *
 * Returns 0, -EINVAL (negative, not open for writing, or a device), -EFBIG, -ENOSPC, -EIO, -EXDEV,
 * -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: a call that changes something, see
 * above. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_truncate(bide_file *file, int64_t size_bytes);

/*
 * Waits until what was written is on the disk, with all that is known of the file.
 *
 * Returns 0; -EIO, -ENOSPC, -EDQUOT (writes that seemed to succeed are lost); -EINVAL (what has no
 * disk, such as a device), -EXDEV, -ENOMEM, -ECANCELED, -BIDE_ENOTASK. Suspends: yes. Cancel: ends
 * at once; what is written will reach the disk at some time all the same. Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_sync(bide_file *file);

/*
 * Likewise, with no more than what reading it again takes: not, for instance, the time of the
 * write.
 *
 * Suspends: yes. Cancel: as bide_file_sync(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_sync_data(bide_file *file);

/* Whole files. */

/*
 * Reads a file whole.
 *
 * size_max: more than that is -EFBIG; 0: no limit. ret_data: returns owned, to be given to free();
 * a zero byte follows that does not count. ret_size: how many bytes; may be NULL. Returns 0, or as
 * bide_file_open() and bide_file_read(). Suspends: yes. Cancel: ends at once. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_file_load(const char *path, size_t size_max, char **ret_data,
                               size_t *ret_size);

/* How a file is stored whole; zeroed fields mean defaults. */
struct bide_store_opts {
    unsigned mode; /* of a new file, as of open(2), what the umask takes away excluded; 0: 0666 */
    bool durable;  /* it survives a crash of the machine once the call has returned */
    bool in_place; /* written over what was there: not all or nothing, but links, owner and
                      permissions of the file stay */
};

/*
 * Makes data the whole content of a file: all of it, or the file is as it was. The data is written
 * to a new file in the same directory, which then takes the name; its permissions are those of a
 * new file.
 *
 * opts: borrows until return; NULL for defaults. Returns 0, or as bide_file_open(),
 * bide_file_write(), bide_file_sync() and bide_path_rename(). Suspends: yes. Cancel: nothing has
 * changed, unless the new file is taking the name just then: then it has it. With in_place as
 * bide_file_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_file_store(const char *path, const void *data, size_t size,
                                const struct bide_store_opts *opts);

/* A line of a file. */
struct bide_file_line {
    const char *text; /* without the line's end, and with a zero byte after it; borrowed until the
                         next step */
    size_t size;      /* bytes of text */
};

/*
 * The lines of a file, one after the other:
 *
 *     bide_for (struct bide_file_line, line, rc, bide_file_lines("words.txt", 0))
 *         puts(line.text);
 *
 * The file is opened at the first step. What follows the last newline is a line, if it is not
 * empty. path: copies. line_bytes_max: a longer line is -BIDE_ELIMIT; 0: 65,536. Returns owned: an
 * iterator of struct bide_file_line; NULL without memory or for NULL. Its steps fail as
 * bide_file_open() and bide_file_read(). Suspends: no, its steps do. Cancel: a cancelled step has
 * lost nothing. Thread: loop thread only.
 */
BIDE_EXPORT bide_iterator *bide_file_lines(const char *path, size_t line_bytes_max);

BIDE_END_DECLARATIONS

#endif
