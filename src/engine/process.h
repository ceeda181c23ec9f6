/*
 * Child processes. The same for every engine that has a kernel.
 *
 * Invariants
 *  - A child is known by its pidfd, which is made with it. Its end is found by watching that, its
 * status is asked of that: no SIGCHLD handler, and other children of the program are left alone.
 *  - Its number is used (for its group) only while it is not reaped, so that it is nobody else's.
 *  - No descriptor that the child gets is ever without close-on-exec on our side.
 */
#ifndef BIDE_ENGINE_PROCESS_H
#define BIDE_ENGINE_PROCESS_H

#include "engine/engine.h"

/* As the engine's calls of these names. */
int bide__process_start(struct bide_engine *engine, const struct bide_child_start *start,
                        bide_child_ended *ended, void *data,
                        struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                        enum bide_child_step *ret_step, struct bide_child **ret_process);
int bide__process_signal(struct bide_child *base, int signo);
bool bide__process_look(struct bide_child *process);
void bide__process_close(struct bide_child *base);
void bide__process_forget(struct bide_child *base);

/*
 * Makes the child and returns when it executes its program, or why it does not; then it is reaped.
 * fds: what it gets, -1 for our own.
 */
int bide__spawn(const struct bide_child_start *start, const int fds[BIDE_CHILD_STDIO_COUNT],
                int *ret_pidfd, int *ret_pid, enum bide_child_step *ret_step);

#endif
