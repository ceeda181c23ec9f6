/*
 * The threads of one engine that do what may block: run() on a thread, done() on the loop's, from
 * bide__pool_reap().
 *
 * Invariants
 *  - Lanes share nothing but a lock that is never held while a job runs: a lane that is full or
 * hangs delays no other.
 *  - A lookup never waits for another one that hangs, up to a number of threads that protects the
 * machine.
 *  - Threads start when they are needed and take no asynchronous signals. They stay until the pool
 * is closed, but of the resolver's lane few do.
 *  - A job that was submitted ends in exactly one call of done() or drop(), and in none of them
 * before its run() has returned or will never be called.
 *  - Whoever uses the pool last frees it: the closer, or a detached thread whose job outlasted the
 * close.
 */
#ifndef BIDE_ENGINE_POOL_H
#define BIDE_ENGINE_POOL_H

#include "engine/engine.h"

struct bide__pool;

/* A finished job wakes `engine`, whose ops must be set. user_threads_max: 0 means min(32,
 * processors + 4). */
int bide__pool_open(struct bide_engine *engine, unsigned user_threads_max,
                    struct bide__pool **ret_pool);

/*
 * Abandons what is left, waits at most `join_ns` for jobs of the user and file lanes that run, does
 * not wait for lookups, and detaches the threads that are still busy then. They do not touch the
 * engine any more. NULL is allowed.
 */
void bide__pool_close(struct bide__pool *pool, int64_t join_ns);

/* In a child after fork, where the threads do not exist: frees the memory. Jobs are the parent's:
 * no drop(). */
void bide__pool_forget(struct bide__pool *pool);

/* -EAGAIN (and the like) if no thread of the lane runs and none can be started: the job was not
 * taken. Without a lane nothing fails. */
int bide__pool_submit(struct bide__pool *pool, struct bide_job *job, enum bide_lane lane);

/* Of a job that was submitted and for which done() was not called yet. */
void bide__pool_abandon(struct bide__pool *pool, struct bide_job *job);

/* Takes a job back that has not begun: it is its owner's again, and neither done() nor drop() is
 * called. False: it has begun or ended. */
bool bide__pool_recall(struct bide__pool *pool, struct bide_job *job);

/* Whether reap() has something to do. Costs no lock, and is exact once the wake that came with it
 * was consumed. */
bool bide__pool_finished(const struct bide__pool *pool);

/* Calls done() of at most `max` finished jobs, in the order in which they finished; returns how
 * many. */
int bide__pool_reap(struct bide__pool *pool, int max);

/* Name lookups, on the resolver's lane: the same for every engine that has a kernel. */
int bide__lookup_submit(struct bide__pool *pool, struct bide_lookup *lookup);
/* The same for one that runs jobs in its own way. */
int bide__lookup_as_job(struct bide_engine *engine, struct bide_lookup *lookup);
void bide__lookup_list_free(struct addrinfo *list); /* NULL is allowed; any thread */

#endif
