/*
 * Files, as opening, moving bytes and working with names share them.
 *
 * Invariants
 *  - The descriptor is in a structure of its own, which every call that the engine has holds: its
 *    number is closed when nobody can use it any more, on whichever thread that is.
 *  - A call's memory is a bide__file_work on the heap. The engine has it, or the task that resumed
 *    does, or a closing loop finds it among its resources; a task's stack is never lent.
 *  - Who reads or writes at the position has the turn. Calls of others may come between two pieces,
 *    but not one at the position.
 *  - `refs` counts the owner's handle and the tasks inside a call; those that a closing loop
 *    abandoned do not count any more.
 */
#ifndef BIDE_IO_FILE_H
#define BIDE_IO_FILE_H

#include "runtime/coro.h"
#include "runtime/line.h"

#include <bide/file.h>
#include <bide/path.h>

#include <stdatomic.h>

/* What a large read or write is cut into. */
enum { BIDE__FILE_PIECE = 256 * 1024, BIDE__FILE_AHEAD = 64 * 1024 };

struct bide__file_fd {
    atomic_uint refs;
    int fd; /* -1: none any more */
    const struct bide_engine_ops *ops;
    struct bide_engine *engine; /* may be gone: only file_let_go() is told of it then */
};

struct bide_file {
    unsigned refs;
    unsigned n_inside;
    bide_loop *loop;          /* NULL: it has ended */
    struct bide__file_fd *fd; /* NULL: closed */
    struct bide__resource resource;
    enum bide_file_type type;
    bool is_light;  /* nothing was written */
    bool is_append; /* writes go to the end */
    bool is_orphan; /* nobody has the handle: a closing loop frees it */
    bool no_try_read, no_try_write;
    bool is_taken; /* somebody has the turn */
    struct bide__line turns;
    int64_t position;
    unsigned n_changes; /* that make what was read ahead old */
    char *ahead;        /* read and not asked for: what is at the position */
    size_t ahead_begin, ahead_end;
    char path[];
};

/* How a wait for a call ends when it is cancelled. */
enum bide__file_wait {
    BIDE__FILE_LEAVE,  /* at once; the call is abandoned */
    BIDE__FILE_RECALL, /* at once if the call has not begun, else with its end */
    BIDE__FILE_STAY,   /* with its end */
};

struct bide__file_work {
    struct bide_file_call call;
    struct bide__resource resource;
    const struct bide_engine_ops *ops;
    struct bide__coro *coro;
    struct bide__file_fd *fd; /* that it uses; holds it */
    bide_file *opening;       /* what an opened file will be */
    bool has_ended;
    char bytes[] __attribute__((aligned(8)));
};

/* file_work.c: the calls themselves. None of them looks for a cancel before it begins. */

/* A call with room for so many bytes, which are its buffer. `fd` may be NULL. NULL without memory.
 */
struct bide__file_work *bide__file_work_new(struct bide__coro *coro, enum bide_file_kind kind,
                                            struct bide__file_fd *fd, size_t n_bytes);
void bide__file_work_free(struct bide__file_work *work);
/* Starts it and waits: 0, and its result is in call.result; or an error, and the work was taken. */
int bide__file_work_do(struct bide__file_work *work, enum bide__file_wait wait);
/* Makes one that has ended ready for another go. */
void bide__file_work_again(struct bide__file_work *work);
/* Does what has no results but a number, and frees it. `work` may be NULL: -ENOMEM. */
int64_t bide__file_work_number(struct bide__file_work *work, enum bide__file_wait wait);

/* On names. `other` and `ret_status` may be NULL. */
struct bide__file_names {
    enum bide_file_kind kind;
    const char *path;
    const char *other;
    unsigned mode;
    int flags;
};
int bide__file_names_do(struct bide__coro *coro, const struct bide__file_names *names,
                        enum bide__file_wait wait, struct bide_file_status *ret_status);

/* Leaves words about an error that a call on this path ended with; returns it. */
int64_t bide__file_fail(int64_t error, const char *path);

/* file.c */
void bide__file_fd_unref(struct bide__file_fd *fd);
int bide__file_open(struct bide__coro *coro, const char *path, int flags, unsigned mode,
                    bide_file **ret_file);
/* Takes the file, whatever is returned. */
int bide__file_close(struct bide__coro *coro, bide_file *file);
void bide__file_unref(bide_file *file);
/* Its owner is gone: it goes with the loop, or at once. For resources that are dropped. */
void bide__file_orphan(bide_file *file);
/* Between: 0; -ECANCELED and the like; -EXDEV, -ESHUTDOWN, -EBADF. */
int bide__file_enter(bide_file *file, struct bide__coro **ret_coro);
void bide__file_leave(bide_file *file);

/* file_list.c: the entries of a directory that is open; takes the file. NULL without memory. */
BIDE_EXPORT bide_iterator *bide__directory_list_opened(bide_file *file);

/* As bide_file_stat() of a file that was opened just now: what opening it has brought is enough. */
BIDE_EXPORT int bide__file_stat_known(bide_file *file, struct bide_file_status *ret_status);

/* file_move.c: in the caller's turn or without one. */
ssize_t bide__file_read_piece(struct bide__coro *coro, bide_file *file, void *buffer, size_t size,
                              int64_t offset);
int bide__file_write_all(struct bide__coro *coro, bide_file *file, const char *data, size_t size,
                         int64_t offset, size_t *ret_written);

#endif
