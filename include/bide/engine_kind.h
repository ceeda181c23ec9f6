/*
 * Engines by name: how a program adds one of its own, and how an engine opens another one that it
 * stands on. bide/engine.h is the contract that both sides keep.
 *
 * An engine that was added is chosen as the built-in ones are: by `engine` in struct bide_loop_opts
 * or by the environment's BIDE_ENGINE, and it stays for the life of the process. The built-in names
 * cannot be taken.
 */
#ifndef BIDE_ENGINE_KIND_H
#define BIDE_ENGINE_KIND_H

#include <bide/engine.h>

BIDE_BEGIN_DECLARATIONS

/* Limits of what can be added, and which contract this header is. */
enum {
    BIDE_ENGINE_VERSION = 1,    /* grows when a structure or the meaning of a call changes */
    BIDE_ENGINE_NAME_MAX = 31,  /* characters of a name */
    BIDE_ENGINE_KINDS_MAX = 16, /* engines of programs, in one process */
    BIDE_ENGINE_NESTED_MAX = 8, /* engines that are opened by one another */
};

/* A kind of engine. */
struct bide_engine_kind {
    unsigned version; /* BIDE_ENGINE_VERSION */
    size_t ops_size; /* sizeof(struct bide_engine_ops): an entry that a later header appended counts
                        as missing */
    const char *name;                  /* letters, digits, '-', '_' and '.' */
    const struct bide_engine_ops *ops; /* NULL in it: missing, see bide/engine.h */
    /*
     * Makes an engine; never called with `opts` NULL. The loop may run on another thread than the
     * one that calls this. On failure, a negative errno, nothing is left behind; on success the
     * library sets the engine's `ops`, to a table without gaps.
     */
    int (*open)(const struct bide_engine_opts *opts, struct bide_engine **ret_engine);
};

/*
 * Makes an engine known under its name, for all loops that are made from now on.
 *
 * kind: copies, the table of functions and the name too; the functions must stay loaded. ret_why:
 * on failure, the reason in words, borrowed, static; NULL if it is not wanted.
 * Returns 0; -EEXIST (there is an engine of that name, perhaps a built-in one), -EINVAL (no or a
 * senseless name, no open(), or calls are missing that others need), -ENOTSUP (made for another
 * version of the contract), -ENOSPC (BIDE_ENGINE_KINDS_MAX).
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_engine_add(const struct bide_engine_kind *kind, const char **ret_why);

/*
 * Opens an engine, as a loop does. For engines that stand on another one, and for code that needs
 * an engine without a loop.
 *
 * name: NULL: the environment's BIDE_ENGINE, or the best that the kernel offers; inside of another
 * engine's open(), the environment counts only if it names a built-in one, so that an engine that
 * was chosen there finds one to stand on. opts: borrowed until return; NULL for defaults.
 * ret_engine: returns owned, to be closed with its close().
 * Returns 0, -EINVAL (no engine of that name), -ENOMEM, -ELOOP (more than BIDE_ENGINE_NESTED_MAX
 * engines open one another), or the engine's error, such as -EMFILE, or -ENOSYS where it was asked
 * for by name and the kernel does not offer it. A name is never replaced by another one.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_engine_open(const char *name, const struct bide_engine_opts *opts,
                                 struct bide_engine **ret_engine);

BIDE_END_DECLARATIONS

#endif
