/*
 * Which tools watch this build: they have to be told of fibers and stacks, and some of what they
 * cannot see has to be done in another way. The only place that knows by which macros a compiler
 * tells of its sanitizers.
 *
 * Invariant: each of the macros is 0 or 1, and where all are 0 nothing is left of the hooks.
 */
#ifndef BIDE_BASE_WATCHED_H
#define BIDE_BASE_WATCHED_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define BIDE__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BIDE__ASAN 1
#endif
#endif
#ifndef BIDE__ASAN
#define BIDE__ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define BIDE__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BIDE__TSAN 1
#endif
#endif
#ifndef BIDE__TSAN
#define BIDE__TSAN 0
#endif

#define BIDE__SANITIZED (BIDE__ASAN || BIDE__TSAN)

/* Valgrind may watch any build that was made where its headers were. */
#if defined(BIDE_HAVE_VALGRIND) && BIDE_HAVE_VALGRIND
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#define BIDE__VALGRIND 1
#else
#define BIDE__VALGRIND 0
#endif

/* Whether this process runs under it. */
static inline bool bide__on_valgrind(void)
{
#if BIDE__VALGRIND
    return RUNNING_ON_VALGRIND > 0;
#else
    return false;
#endif
}

/* Tells it that the kernel wrote there, through io_uring, which it does not see. */
static inline void bide__filled(const void *memory, size_t size)
{
#if BIDE__VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

#endif
