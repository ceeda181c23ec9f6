/*
 * What an engine is given to run beside its operations on descriptors: blocking work, name lookups,
 * child processes. Part of the contract in bide/engine.h.
 */
#ifndef BIDE_ENGINE_WORK_H
#define BIDE_ENGINE_WORK_H

#include <bide/attributes.h>

#include <netdb.h>

BIDE_BEGIN_DECLARATIONS

/* See bide/engine.h. */
struct bide_engine;

/* Which work may wait behind which: each lane has threads of its own. */
enum bide_lane {
    BIDE_LANE_USER,    /* whatever users submit: at most `user_threads_max` at once */
    BIDE_LANE_FILE,    /* the library's own blocking work; never waits behind users' jobs */
    BIDE_LANE_RESOLVE, /* names: a lookup that hangs delays no file */
    BIDE_LANE_COUNT,   /* of those with threads */
    BIDE_LANE_NONE,    /* nothing to run: done() is called from the next poll(); it never fails */
};

/*
 * Blocking work. run() happens on a pool thread; then done() on the loop's thread, from poll(), and
 * the job is its owner's again. After job_abandon() done() is not called: drop() is, exactly once,
 * on whichever thread lets go of the job last (if run() had not begun, it never does).
 */
struct bide_job {
    void (*run)(struct bide_job *job);
    void (*done)(struct bide_job *job);
    void (*drop)(struct bide_job *job);
    struct bide_job *next;  /* the pool's, as all below */
    struct bide_job **link; /* what points at this one, while it is in a list of the pool's */
    uint8_t lane;
    uint8_t state;
};

/* A name lookup: a job of the resolver's lane with its arguments and its answer. */
struct bide_lookup {
    struct bide_job job; /* done and drop are the owner's; the engine sets run */
    const char *host;    /* NULL: the wildcard or loopback address, by flags */
    const char *service; /* number or name; may be NULL */
    struct addrinfo hints;
    int error;             /* 0, or a getaddrinfo error (EAI_…, non-zero) */
    int system_errno;      /* with EAI_SYSTEM */
    struct addrinfo *list; /* to be freed with the engine's lookup_free() */
};

/* What a child process has in the place of its standard input, output or error. */
enum bide_child_stdio {
    BIDE_CHILD_INHERIT, /* what it is with us */
    BIDE_CHILD_PIPE,    /* a pipe, whose other end is ours */
    BIDE_CHILD_NULL,    /* nothing: /dev/null */
    BIDE_CHILD_FD,      /* a descriptor of the caller's */
    BIDE_CHILD_OUTPUT,  /* error only: what standard output is */
};

/* Standard input, output and error. */
enum {
    BIDE_CHILD_STDIO_COUNT = 3, /* how many they are */
};

/* A program to be started. All of it is borrowed until the call returns. */
struct bide_child_start {
    const char *const *arguments; /* arguments[0]: the program; without a slash, PATH is searched */
    const char *const *environment; /* NULL: our own */
    const char *directory;          /* NULL: our own */
    struct {
        enum bide_child_stdio kind;
        int fd;
    } stdio[BIDE_CHILD_STDIO_COUNT];
    bool new_group; /* signals and the end concern all processes of its group */
    bool new_session;
};

/* How a process ended. */
struct bide_child_end {
    int error;  /* negative: somebody else took the status */
    int status; /* of its exit */
    int signal; /* that killed it, or 0 */
    bool dumped_core;
};

/* A child process, until process_close(). */
struct bide_child {
    struct bide_engine *engine;
    int pid;
    bool ended;
    struct bide_child_end end; /* valid once it has ended */
};

/* Called from poll(), once, after `ended` and `end` were set. */
typedef void bide_child_ended(void *data);

/* What process_start() was doing when it failed. */
enum bide_child_step {
    BIDE_CHILD_STEP_HERE,      /* in our own process */
    BIDE_CHILD_STEP_STDIO,     /* the child's descriptors and groups */
    BIDE_CHILD_STEP_DIRECTORY, /* changing to its directory */
    BIDE_CHILD_STEP_PROGRAM,   /* executing the program */
};

BIDE_END_DECLARATIONS

#endif
