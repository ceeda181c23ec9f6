/*
 * A child process, as its life and its communication share it.
 *
 * Invariants
 *  - `refs` counts the owner's handle, every call that is `inside`, and the engine's process while
 * there is one; with the last the structure goes. Calls that a closing loop abandoned do not count.
 *  - The engine's process is given back only after the child has ended, or with the loop, which
 * kills it first.
 *  - What communication has collected lies here, so that a cancelled call loses nothing.
 */
#ifndef BIDE_IO_PROCESS_H
#define BIDE_IO_PROCESS_H

#include "io/stream/stream.h"
#include "runtime/line.h"

#include <bide/process.h>

/* What was read of a stream; one byte more than `size` is allocated. */
struct bide__collected {
    char *data;
    size_t size;
    size_t capacity;
};

struct bide_process {
    bide_loop *loop;
    struct bide_child *process; /* the engine's; NULL: given back */
    unsigned refs;
    unsigned inside;
    int pid;
    int error; /* why nothing is known of its end: the loop is gone */
    bool ended;
    bool lingering; /* closed outside tasks, and not ended yet */
    bool communicating;
    struct bide_child_end end;
    struct bide__resource resource;
    bide_stream *streams[BIDE_CHILD_STDIO_COUNT];
    struct bide__line waiters;
    struct bide__timer grace;
    double grace_seconds;
    size_t fed_bytes;  /* how far the input of a communication went */
    struct iovec *fed; /* the input, while it is lent to the tasks that feed the child */
    struct bide__collected collected[BIDE_CHILD_STDIO_COUNT]; /* the first is unused */
};

static inline void bide__process_enter(bide_process *process)
{
    process->inside++;
    process->refs++;
}
void bide__process_leave(bide_process *process);

#endif
