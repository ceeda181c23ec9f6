/*
 * Calls on files by the io_uring engine: what the kernel does itself goes into the ring, the rest
 * (lists of directories, and what an older kernel lacks) to the pool.
 *
 * Invariant: a call in the ring has a `struct ring_call` as its `under_way`, from the start to the
 * final completion; what is in it and in the call stays where it is until then.
 */
#include "engine/uring.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/watched.h"
#include "engine/file.h"

/* Newer than the header of liburing 2.3. */
enum { OP_FTRUNCATE = 55, OPS_MAX = 64 };

struct ring_call {
    struct bide_op op;
    struct bide_file_call *call;
    bool is_abandoned;
    struct statx statx; /* to be filled by the kernel */
};

static const uint8_t opcodes[] = {
    [BIDE_CALL_OPEN] = IORING_OP_OPENAT,
    [BIDE_CALL_CLOSE] = IORING_OP_CLOSE,
    [BIDE_CALL_READ] = IORING_OP_READ,
    [BIDE_CALL_WRITE] = IORING_OP_WRITE,
    [BIDE_CALL_SYNC] = IORING_OP_FSYNC,
    [BIDE_CALL_SYNC_DATA] = IORING_OP_FSYNC,
    [BIDE_CALL_TRUNCATE] = OP_FTRUNCATE,
    [BIDE_CALL_STAT] = IORING_OP_STATX,
    [BIDE_CALL_LIST] = OPS_MAX, /* no kernel has it */
    [BIDE_CALL_RENAME] = IORING_OP_RENAMEAT,
    [BIDE_CALL_UNLINK] = IORING_OP_UNLINKAT,
    [BIDE_CALL_MAKE_DIRECTORY] = IORING_OP_MKDIRAT,
    [BIDE_CALL_REMOVE_DIRECTORY] = IORING_OP_UNLINKAT,
};

static struct ring_call *ring_call_of(struct bide_op *op)
{
    return (struct ring_call *)(void *)op; /* its first member */
}

void bide__uring_files_init(struct bide__uring *uring)
{
    union {
        struct io_uring_probe probe;
        char room[sizeof(struct io_uring_probe) + OPS_MAX * sizeof(struct io_uring_probe_op)];
    } all = {{0}};
    if (io_uring_register_probe(&uring->ring, &all.probe, OPS_MAX) < 0)
        return;
    for (unsigned i = 0; i < sizeof opcodes; i++)
        if (opcodes[i] <= all.probe.last_op && opcodes[i] < OPS_MAX &&
            (all.probe.ops[opcodes[i]].flags & IO_URING_OP_SUPPORTED))
            uring->file_kinds |= UINT64_C(1) << i;
}

void bide__uring_file_prepare(struct io_uring_sqe *sqe, struct bide_op *op)
{
    struct ring_call *ring = ring_call_of(op);
    const struct bide_file_call *call = ring->call;
    unsigned size = call->size < INT32_MAX ? (unsigned)call->size : INT32_MAX;
    switch (call->kind) {
    case BIDE_CALL_OPEN:
        io_uring_prep_openat(sqe, AT_FDCWD, call->path, bide__file_open_flags(call), call->mode);
        break;
    case BIDE_CALL_CLOSE:
        io_uring_prep_close(sqe, call->fd);
        break;
    case BIDE_CALL_READ:
        io_uring_prep_read(sqe, call->fd, call->buffer, size, (uint64_t)call->offset);
        break;
    case BIDE_CALL_WRITE:
        io_uring_prep_write(sqe, call->fd, call->buffer, size, (uint64_t)call->offset);
        break;
    case BIDE_CALL_SYNC:
        io_uring_prep_fsync(sqe, call->fd, 0);
        break;
    case BIDE_CALL_SYNC_DATA:
        io_uring_prep_fsync(sqe, call->fd, IORING_FSYNC_DATASYNC);
        break;
    case BIDE_CALL_TRUNCATE:
        io_uring_prep_rw(OP_FTRUNCATE, sqe, call->fd, NULL, 0, (uint64_t)call->offset);
        break;
    case BIDE_CALL_STAT:
        io_uring_prep_statx(sqe, call->path ? AT_FDCWD : call->fd, call->path ? call->path : "",
                            bide__file_stat_flags(call), bide__file_stat_mask(), &ring->statx);
        break;
    case BIDE_CALL_RENAME:
        io_uring_prep_renameat(sqe, AT_FDCWD, call->path, AT_FDCWD, call->other_path, 0);
        break;
    case BIDE_CALL_UNLINK:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, call->path, 0);
        break;
    case BIDE_CALL_MAKE_DIRECTORY:
        io_uring_prep_mkdirat(sqe, AT_FDCWD, call->path, call->mode);
        break;
    case BIDE_CALL_REMOVE_DIRECTORY:
        io_uring_prep_unlinkat(sqe, AT_FDCWD, call->path, AT_REMOVEDIR);
        break;
    case BIDE_CALL_LIST:
        assert(false); /* the pool's */
    }
}

int bide__uring_file_start(struct bide_engine *engine, struct bide_file_call *call)
{
    struct bide__uring *uring = bide__uring_of(engine);
    call->engine = engine;
    call->under_way = NULL;
    bool is_inside = call->kind == BIDE_CALL_OPEN && call->other_path; /* two calls in one */
    if (is_inside || !(uring->file_kinds >> call->kind & 1))
        return bide__file_submit(uring->pool, call);
    struct ring_call *ring = calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    ring->call = call;
    ring->op.kind = BIDE__URING_FILE;
    call->under_way = ring;
    uring->n_files++;
    bide__uring_start(uring, &ring->op);
    return 0;
}

/* The ring has it no more. */
static void release(struct bide__uring *uring, struct ring_call *ring)
{
    ring->call->under_way = NULL;
    uring->n_files--;
    free(ring);
}

void bide__uring_file_abandon(struct bide_engine *engine, struct bide_file_call *call)
{
    struct bide__uring *uring = bide__uring_of(engine);
    struct ring_call *ring = call->under_way;
    if (!ring) {
        bide__pool_abandon(uring->pool, &call->job);
        return;
    }
    if (call->kind != BIDE_CALL_CLOSE || ring->op.link)
        bide__uring_stop(uring, &ring->op);
    if (ring->op.state != BIDE_OP_IDLE) {
        ring->is_abandoned = true;
        return;
    }
    release(uring, ring);
    call->job.drop(&call->job);
}

bool bide__uring_file_recall(struct bide_engine *engine, struct bide_file_call *call)
{
    struct bide__uring *uring = bide__uring_of(engine);
    struct ring_call *ring = call->under_way;
    if (!ring)
        return bide__pool_recall(uring->pool, &call->job);
    bide__uring_stop(uring, &ring->op);
    if (ring->op.state != BIDE_OP_IDLE)
        return false;
    release(uring, ring);
    return true;
}

static void set_result(struct ring_call *ring, int result)
{
    struct bide_file_call *call = ring->call;
    if (call->kind == BIDE_CALL_OPEN && result >= 0)
        bide__file_opened(call, result);
    else
        call->result = result;
    if (call->kind == BIDE_CALL_STAT && result == 0)
        bide__file_stated(call, &ring->statx);
    if (call->kind == BIDE_CALL_READ && result > 0)
        bide__filled(call->buffer, (size_t)result);
    if (call->kind == BIDE_CALL_CLOSE && result == -EINTR)
        call->result = 0; /* it is closed */
}

/*
 * An interrupted call that nobody cancelled is done again, on a thread, and so is one that found
 * something for which io_uring has no answer.
 */
void bide__uring_file_done(struct bide__uring *uring, struct bide_op *op, int result)
{
    struct ring_call *ring = ring_call_of(op);
    struct bide_file_call *call = ring->call;
    struct bide_job *job = &call->job;
    bool is_abandoned = ring->is_abandoned;
    bool is_cancelled = op->state == BIDE_OP_CANCELLING;
    bool is_interrupted = result == -EINTR || result == -ECANCELED;
    if (is_interrupted && is_cancelled && call->kind != BIDE_CALL_CLOSE)
        result = -ECANCELED;
    bool again = !is_cancelled && call->kind != BIDE_CALL_CLOSE &&
                 (is_interrupted || (call->kind == BIDE_CALL_OPEN && result == -ENXIO));
    set_result(ring, result);
    op->state = BIDE_OP_IDLE;
    release(uring, ring);
    if (is_abandoned) {
        job->drop(job);
        return;
    }
    if (again && bide__file_submit(uring->pool, call) == 0)
        return;
    uring->n_called++;
    job->done(job);
}
