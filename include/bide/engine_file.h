/*
 * What an engine does with files. Part of the contract in bide/engine.h.
 *
 * A call is a record of its own on the heap, with all that it needs: nobody's memory is lent to the
 * kernel or to a thread, so that a wait can end before the call does.
 */
#ifndef BIDE_ENGINE_FILE_H
#define BIDE_ENGINE_FILE_H

#include <bide/engine_work.h>
#include <bide/file_status.h>

BIDE_BEGIN_DECLARATIONS

/* What a call does; beside each, the fields that it takes and what its result is (else 0). */
enum bide_file_kind {
    /*
     * path, flags as of open(2), mode: a descriptor, close-on-exec, and status.type. It does not
     * wait for the other side of a FIFO: what has no positions and is no character device is
     * -ESPIPE. A device is opened with O_NONBLOCK, whatever the flags say.
     * With other_path: that, from the directory `path` on, which it never leads out of: -EXDEV. No
     * link is followed then if the flags have O_NOFOLLOW, else those that stay inside.
     */
    BIDE_CALL_OPEN,
    BIDE_CALL_CLOSE,           /* fd, which is gone whatever the result; flags: BIDE_FILE_LIGHT */
    BIDE_CALL_READ,            /* fd, buffer, size, offset: bytes, 0 at the end */
    BIDE_CALL_WRITE,           /* fd, buffer, size, offset: bytes */
    BIDE_CALL_SYNC,            /* fd */
    BIDE_CALL_SYNC_DATA,       /* fd */
    BIDE_CALL_TRUNCATE,        /* fd, offset: its size to be */
    BIDE_CALL_STAT,            /* fd, or path, flags: as below: sets status */
    BIDE_CALL_LIST,            /* fd, buffer, size: bytes of struct dirent64, 0 at the end */
    BIDE_CALL_RENAME,          /* path, other_path */
    BIDE_CALL_UNLINK,          /* path */
    BIDE_CALL_MAKE_DIRECTORY,  /* path, mode */
    BIDE_CALL_REMOVE_DIRECTORY /* path */
};

/* Flags of calls other than opening. */
enum {
    BIDE_FILE_LIGHT = 1,     /* nothing was written and it has a name still: closing is a trifle */
    BIDE_FILE_NO_FOLLOW = 2, /* of a symbolic link itself */
    BIDE_FILE_KNOWN = 4,     /* what is known of an open file without asking a server for news */
};

/* What reads and writes where the kernel's own position is (of what has no positions). */
#define BIDE_FILE_HERE INT64_C(-1)

/*
 * A call. Zeroed when made, but for `result`, which is BIDE_PENDING and stays so if the call never
 * takes place. done() and drop() of `job` are the owner's: after file_start() exactly one of them
 * is called, or file_recall() returned true.
 */
struct bide_file_call {
    struct bide_job job;
    enum bide_file_kind kind;
    int fd; /* -1: none */
    int flags;
    unsigned mode;
    const char *path;
    const char *other_path;
    int64_t offset;
    void *buffer;
    size_t size;
    int64_t result; /* or a negative errno */
    struct bide_file_status status;
    struct bide_engine *engine; /* the engine's, as all below */
    void *under_way;
};

BIDE_END_DECLARATIONS

#endif
