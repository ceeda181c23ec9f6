/*
 * Feeding a child and hearing it at the same time, so that neither waits for the other: one task
 * for each pipe, in a group.
 */
#include "io/process/process.h"

#include "base/grow.h"

#include <bide/group.h>

#include <limits.h>
#include <stdlib.h>

enum { LIMIT_DEFAULT = 16 * 1024 * 1024, COLLECTED_MIN = 4096 };

/* The child does not want it any more. */
static bool is_unwanted(int rc)
{
    return rc == -EPIPE;
}

/* In pieces that a cancelled write has either taken whole or not at all. */
static bide_async(feed, (bide_process *, process), (const char *, input), (size_t, size))
{
    bide_stream *stream = process->streams[0];
    int rc = 0;
    while (rc == 0 && process->fed_bytes < size) {
        size_t left = size - process->fed_bytes;
        size_t high = stream->channel.opts.write_high_bytes;
        size_t part = left < high ? left : high;
        rc = bide_write(stream, input + process->fed_bytes, part);
        if (rc == 0)
            process->fed_bytes += part;
    }
    if (rc == 0)
        rc = bide_write_eof(stream);
    return is_unwanted(rc) || rc == -EALREADY ? 0 : rc;
}

/* Room for one byte more, and for the terminator. */
static int collected_reserve(struct bide__collected *collected)
{
    return bide__grow(&collected->data, &collected->capacity, collected->size + 2, COLLECTED_MIN);
}

static bide_async(collect, (bide_process *, process), (int, i), (size_t, limit))
{
    struct bide__collected *collected = &process->collected[i];
    for (;;) {
        int rc = collected_reserve(collected);
        if (rc < 0)
            return rc;
        rc = bide_read(process->streams[i], collected->data + collected->size,
                       collected->capacity - 1 - collected->size);
        if (rc <= 0)
            return rc;
        collected->size += (size_t)rc;
        if (collected->size > limit)
            return -BIDE_ELIMIT;
    }
}

static int transfer(bide_process *process, const char *input, size_t size, size_t limit)
{
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    if (process->streams[0])
        rc = bide_group_spawn(group, feed, process, input, size);
    for (int i = 1; rc == 0 && i < BIDE_CHILD_STDIO_COUNT; i++)
        if (process->streams[i])
            rc = bide_group_spawn(group, collect, process, i, limit);
    return bide_group_close(group, rc);
}

/* So that there is a terminator, also where there was nothing to read. */
static int terminate(bide_process *process)
{
    for (int i = 1; i < BIDE_CHILD_STDIO_COUNT; i++) {
        int rc = collected_reserve(&process->collected[i]);
        if (rc < 0)
            return rc;
        process->collected[i].data[process->collected[i].size] = '\0';
    }
    return 0;
}

static int communicate(bide_process *process, const char *input, size_t size, size_t limit,
                       struct bide_communicated *ret_communicated)
{
    struct bide_exit how;
    int rc = transfer(process, input, size, limit);
    if (rc >= 0)
        rc = bide_process_wait(process, &how);
    if (rc == 0)
        rc = terminate(process);
    if (rc < 0)
        return rc;
    struct bide__collected *collected = process->collected;
    *ret_communicated = (struct bide_communicated){
        .output = collected[1].data,
        .output_bytes = collected[1].size,
        .errors = collected[2].data,
        .errors_bytes = collected[2].size,
        .exit = how,
    };
    collected[1] = (struct bide__collected){0};
    collected[2] = (struct bide__collected){0};
    return 0;
}

int bide_process_communicate(bide_process *process, const void *input, size_t size,
                             size_t limit_bytes, struct bide_communicated *ret_communicated)
{
    struct bide__coro *coro;
    if (!process || !ret_communicated || (!input && size > 0) || limit_bytes >= INT_MAX)
        return -EINVAL;
    int rc = bide__suspend(&coro);
    if (rc == 0 && process->communicating)
        rc = -EBUSY;
    if (rc < 0)
        return rc;
    bide__process_enter(process);
    process->communicating = true;
    struct iovec whole = {.iov_base = (void *)(uintptr_t)input, .iov_len = size};
    process->fed = bide__pieces_lend(coro, &whole, 1);
    rc = process->fed ? communicate(process, process->fed->iov_base, size,
                                    limit_bytes > 0 ? limit_bytes : LIMIT_DEFAULT, ret_communicated)
                      : -ENOMEM;
    free(process->fed);
    process->fed = NULL;
    process->communicating = false;
    bide__process_leave(process);
    return rc;
}

void bide_communicated_free(struct bide_communicated *communicated)
{
    if (!communicated)
        return;
    free(communicated->output);
    free(communicated->errors);
    *communicated = (struct bide_communicated){0};
}
