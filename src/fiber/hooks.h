/*
 * Which tools watch this build, and so have to be told of fibers and stacks.
 *
 * Invariant: each of the three macros is 0 or 1, and where all are 0 nothing is left of the hooks.
 */
#ifndef BIDE_FIBER_HOOKS_H
#define BIDE_FIBER_HOOKS_H

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

/* Valgrind watches any build that was made where its headers were. */
#if defined(BIDE_HAVE_VALGRIND) && BIDE_HAVE_VALGRIND
#define BIDE__VALGRIND 1
#else
#define BIDE__VALGRIND 0
#endif

#endif
