/*
 * Calls on files by plain system calls: at once where none of them waits, otherwise on a thread of
 * the pool's file lane. The same for every engine that has a kernel; io_uring does most of them
 * itself.
 */
#ifndef BIDE_ENGINE_FILE_IMPL_H
#define BIDE_ENGINE_FILE_IMPL_H

#include "engine/engine.h"
#include "engine/pool.h"

struct statx;

/* As the engine's file_try() and file_let_go(). */
int bide__file_try(struct bide_engine *engine, struct bide_file_call *call);
void bide__file_let_go(struct bide_engine *engine, int fd);

/* On a thread of the pool's. */
int bide__file_submit(struct bide__pool *pool, struct bide_file_call *call);

/* As a job of the file lane, by whatever engine. */
int bide__file_as_job(struct bide_engine *engine, struct bide_file_call *call);

/* What open(2) is called with. */
int bide__file_open_flags(const struct bide_file_call *call);
/* Looks at what was opened: sets the call's status.type and result. */
void bide__file_opened(struct bide_file_call *call, int fd);

/* What statx(2) is asked for, and its answer. */
unsigned bide__file_stat_mask(void);
int bide__file_stat_flags(const struct bide_file_call *call);
void bide__file_stated(struct bide_file_call *call, const struct statx *statx);

#endif
