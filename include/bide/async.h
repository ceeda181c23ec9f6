/*
 * Coroutines: how they are defined and started.
 *
 *     bide_async(delay, (double, seconds))
 *     {
 *         int rc = bide_sleep(seconds);
 *         return rc < 0 ? rc : (int)seconds;
 *     }
 *
 * defines a plain function, int delay(double seconds), that any coroutine may call, and with it
 * what bide_spawn(delay, 2) needs to start it as a task: the arguments are checked by the compiler
 * and copied. A coroutine returns int: its result if it is >= 0, an error if it is negative; larger
 * results go through out-parameters.
 */
#ifndef BIDE_ASYNC_H
#define BIDE_ASYNC_H

#include <bide/loop.h>

BIDE_BEGIN_DECLARATIONS

/* A group of tasks (see bide/group.h). */
typedef struct bide_group bide_group;
/* A handle that may cross threads (see bide/remote.h). */
typedef struct bide_remote bide_remote;

/* How a task is started; zeroed fields mean defaults. */
struct bide_task_opts {
    const char *name;  /* copied; NULL: Task-1, Task-2, … */
    size_t stack_size; /* bytes, guard page included; 0: the loop's. Private stacks only */
    bide_loop *loop;   /* NULL: the one that runs on this thread */
    bool always_start; /* the body runs even if the task is cancelled before its first step; then
                          its first suspension fails */
    enum bide_stack stack; /* private or copied, see bide/loop.h */
};

/*
 * bide_async(name, (type, parameter)...) { body }
 *
 * Defines the coroutine `name` with up to twelve typed parameters. `static` may stand before it.
 * Array and function types need a typedef. The arguments are at most 4,096 bytes together.
 */
#define bide_async(...) BIDE__PICK(BIDE__ASYNC_, __VA_ARGS__)(__VA_ARGS__)

/*
 * bide_async_declare(name, (type, parameter)...);
 *
 * Declares a coroutine, for headers. Its definition is then a plain one: int name(type parameter) {
 * … }.
 */
#define bide_async_declare(...) BIDE__PICK(BIDE__DECLARE_, __VA_ARGS__)(__VA_ARGS__)

/*
 * bide_spawn(name, arguments...): starts a coroutine as a task of the current loop. Its body begins
 * at the earliest when the caller next suspends.
 *
 * Returns owned; to be given back by bide_await(), bide_detach() or another call that consumes it.
 * NULL without memory (bide_await(NULL) is -ENOMEM), where no loop runs, on a loop that is closing
 * or closed, and with a stack size that cannot be. Suspends: no. Cancel: not affected. Thread: loop
 * thread only.
 */
#define bide_spawn(...) ((bide_task *)BIDE__LAUNCH(BIDE__HOW_SPAWN, NULL, NULL, __VA_ARGS__))

/*
 * bide_spawn_with(opts, name, arguments...): bide_spawn() with options (const struct bide_task_opts
 * *, borrowed until return).
 */
#define bide_spawn_with(opts, ...) \
    ((bide_task *)BIDE__LAUNCH(BIDE__HOW_SPAWN, NULL, opts, __VA_ARGS__))

/*
 * bide_coroutine(name, arguments...): makes a task that is not started. It begins when it is
 * awaited, or by bide_start(); bide_detach() closes it without having run.
 *
 * Returns as bide_spawn().
 */
#define bide_coroutine(...) ((bide_task *)BIDE__LAUNCH(BIDE__HOW_CREATE, NULL, NULL, __VA_ARGS__))

/*
 * bide_run(name, arguments...): makes a loop, runs the coroutine as its main task, cancels and
 * awaits what is left, and closes the loop. To be called from main().
 *
 * Returns an exit status: the coroutine's result (at most 255); 1 after an error, which is told on
 * standard error, also if a loop already runs on this thread. Suspends: no (it occupies the
 * thread). Cancel: not affected. Thread: any that runs no loop.
 */
#define bide_run(...) bide__run(BIDE__LAUNCH(BIDE__HOW_RUN, NULL, NULL, __VA_ARGS__))

/*
 * bide_run_with(loop_opts, name, arguments...): bide_run() with options for the loop (const struct
 * bide_loop_opts *, NULL for defaults).
 *
 * Returns the coroutine's result, or the error that it ended with or that kept it from running
 * (-EBUSY: a loop already runs on this thread), and tells nothing. Suspends: no (it occupies the
 * thread). Cancel: not affected. Thread: any that runs no loop.
 */
#define bide_run_with(loop_opts, ...) \
    bide__run_result(BIDE__LAUNCH(BIDE__HOW_RUN, bide__run_opts(loop_opts), NULL, __VA_ARGS__))

/*
 * Starts a plain function as a task.
 *
 * function: called as function(argument). argument: borrowed until the task ends. opts: borrowed
 * until return; NULL for defaults. Returns as bide_spawn(). Suspends: no. Cancel: not affected.
 * Thread: loop thread only.
 */
#define bide_spawn_fn(function, argument) bide_spawn_fn_with(NULL, function, argument)

/* bide_spawn_fn_with(opts, function, argument): bide_spawn_fn() with options. */
#define bide_spawn_fn_with(opts, function, argument) \
    ((bide_task *)bide__launch_fn(BIDE__HOW_SPAWN, BIDE__PLACE(#function), (opts), (function), \
                                  (argument)))

/* From here on: what the macros above expand to. Not to be used directly. */

enum bide__how {
    BIDE__HOW_SPAWN,
    BIDE__HOW_CREATE,
    BIDE__HOW_GROUP,
    BIDE__HOW_REMOTE,
    BIDE__HOW_RUN,
    BIDE__HOW_BIND,
    BIDE__HOW_WORKERS
};

/* Starts entry(copy of arguments) in the way that `how` and `target` say. Thread: as the macro. */
BIDE_EXPORT void *bide__launch(enum bide__how how, void *target, const struct bide_task_opts *opts,
                               const struct bide_place *place, int (*entry)(void *),
                               const void *arguments, size_t arguments_size);
/* Suspends: no. Cancel: not affected. Thread: loop thread only. */
BIDE_EXPORT void *bide__launch_fn(enum bide__how how, const struct bide_place *place,
                                  const struct bide_task_opts *opts, int (*function)(void *),
                                  void *argument);
/* Suspends: no. Cancel: not affected. Thread: any that runs no loop. */
BIDE_EXPORT int bide__run(void *main_task);
/* Suspends: no. Cancel: not affected. Thread: any that runs no loop. */
BIDE_EXPORT int bide__run_result(void *main_task);
/* Suspends: no. Cancel: not affected. Thread: any. */
BIDE_EXPORT void *bide__run_opts(const struct bide_loop_opts *opts);

#define BIDE__PLACE(coroutine_name) \
    (__extension__({ \
        static const struct bide_place bide__place = {coroutine_name, __FILE__, __func__, \
                                                      __LINE__}; \
        &bide__place; \
    }))

#define BIDE__LAUNCH(how, target, opts, ...) \
    BIDE__PICK_FEW(BIDE__LAUNCH_, __VA_ARGS__)(how, target, opts, __VA_ARGS__)
#define BIDE__LAUNCH_ONE(how, target, opts, name) \
    name##__bide_launch(how, target, opts, BIDE__PLACE(#name))
#define BIDE__LAUNCH_MANY(how, target, opts, name, ...) \
    name##__bide_launch(how, target, opts, BIDE__PLACE(#name), __VA_ARGS__)

#define BIDE__ARGUMENTS_SIZE_MAX 4096
#ifdef __cplusplus
#define BIDE__ASSERT static_assert
#else
#define BIDE__ASSERT _Static_assert
#endif

#define BIDE__DECLARE_ONE(name) \
    int name(void); \
    static __attribute__((unused)) int name##__bide_entry(void *bide__arguments) \
    { \
        (void)bide__arguments; \
        return name(); \
    } \
    static inline __attribute__((unused)) void *name##__bide_launch( \
        enum bide__how bide__how, void *bide__target, const struct bide_task_opts *bide__opts, \
        const struct bide_place *bide__place) \
    { \
        return bide__launch(bide__how, bide__target, bide__opts, bide__place, name##__bide_entry, \
                            NULL, 0); \
    } \
    struct name##__bide_arguments

#define BIDE__DECLARE_MANY(name, ...) \
    int name(BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__)); \
    struct name##__bide_arguments { \
        BIDE__EACH(BIDE__FIELD, __VA_ARGS__) \
    }; \
    BIDE__ASSERT(sizeof(struct name##__bide_arguments) <= BIDE__ARGUMENTS_SIZE_MAX, \
                 "the arguments of " #name " are larger than 4096 bytes: pass a pointer"); \
    static __attribute__((unused)) int name##__bide_entry(void *bide__arguments) \
    { \
        struct name##__bide_arguments *bide__a = (struct name##__bide_arguments *)bide__arguments; \
        return name(BIDE__JOIN(BIDE__MEMBER, __VA_ARGS__)); \
    } \
    static inline __attribute__((unused)) void *name##__bide_launch( \
        enum bide__how bide__how, void *bide__target, const struct bide_task_opts *bide__opts, \
        const struct bide_place *bide__place, BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__)) \
    { \
        struct name##__bide_arguments bide__a = {BIDE__JOIN(BIDE__NAME, __VA_ARGS__)}; \
        return bide__launch(bide__how, bide__target, bide__opts, bide__place, name##__bide_entry, \
                            &bide__a, sizeof bide__a); \
    } \
    struct name##__bide_arguments

#define BIDE__ASYNC_ONE(name) \
    BIDE__DECLARE_ONE(name); \
    int name(void)
#define BIDE__ASYNC_MANY(name, ...) \
    BIDE__DECLARE_MANY(name, __VA_ARGS__); \
    int name(BIDE__JOIN(BIDE__PARAMETER, __VA_ARGS__))

#define BIDE__FIELD(pair) BIDE__FIELD_ pair
#define BIDE__FIELD_(type, name) type name;
#define BIDE__PARAMETER(pair) BIDE__PARAMETER_ pair
#define BIDE__PARAMETER_(type, name) type name
#define BIDE__NAME(pair) BIDE__NAME_ pair
#define BIDE__NAME_(type, name) name
#define BIDE__MEMBER(pair) BIDE__MEMBER_ pair
#define BIDE__MEMBER_(type, name) bide__a->name

/* Whether a macro got one argument or more. */
#define BIDE__PICK(prefix, ...) \
    BIDE__CAT(prefix, BIDE__FEW(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, \
                                MANY, MANY, MANY, ONE, ONE))
#define BIDE__PICK_FEW(prefix, ...) BIDE__PICK(prefix, __VA_ARGS__)
#define BIDE__FEW(a, b, c, d, e, f, g, h, i, j, k, l, m, picked, ...) picked
#define BIDE__CAT(a, b) BIDE__CAT_(a, b)
#define BIDE__CAT_(a, b) a##b

/* BIDE__EACH: f(a) f(b) …; BIDE__JOIN: f(a), f(b), … */
#define BIDE__COUNT(...) BIDE__FEW_(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BIDE__FEW_(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define BIDE__EACH(f, ...) BIDE__CAT(BIDE__EACH_, BIDE__COUNT(__VA_ARGS__))(f, __VA_ARGS__)
#define BIDE__EACH_1(f, a) f(a)
#define BIDE__EACH_2(f, a, ...) f(a) BIDE__EACH_1(f, __VA_ARGS__)
#define BIDE__EACH_3(f, a, ...) f(a) BIDE__EACH_2(f, __VA_ARGS__)
#define BIDE__EACH_4(f, a, ...) f(a) BIDE__EACH_3(f, __VA_ARGS__)
#define BIDE__EACH_5(f, a, ...) f(a) BIDE__EACH_4(f, __VA_ARGS__)
#define BIDE__EACH_6(f, a, ...) f(a) BIDE__EACH_5(f, __VA_ARGS__)
#define BIDE__EACH_7(f, a, ...) f(a) BIDE__EACH_6(f, __VA_ARGS__)
#define BIDE__EACH_8(f, a, ...) f(a) BIDE__EACH_7(f, __VA_ARGS__)
#define BIDE__EACH_9(f, a, ...) f(a) BIDE__EACH_8(f, __VA_ARGS__)
#define BIDE__EACH_10(f, a, ...) f(a) BIDE__EACH_9(f, __VA_ARGS__)
#define BIDE__EACH_11(f, a, ...) f(a) BIDE__EACH_10(f, __VA_ARGS__)
#define BIDE__EACH_12(f, a, ...) f(a) BIDE__EACH_11(f, __VA_ARGS__)
#define BIDE__JOIN(f, ...) BIDE__CAT(BIDE__JOIN_, BIDE__COUNT(__VA_ARGS__))(f, __VA_ARGS__)
#define BIDE__JOIN_1(f, a) f(a)
#define BIDE__JOIN_2(f, a, ...) f(a), BIDE__JOIN_1(f, __VA_ARGS__)
#define BIDE__JOIN_3(f, a, ...) f(a), BIDE__JOIN_2(f, __VA_ARGS__)
#define BIDE__JOIN_4(f, a, ...) f(a), BIDE__JOIN_3(f, __VA_ARGS__)
#define BIDE__JOIN_5(f, a, ...) f(a), BIDE__JOIN_4(f, __VA_ARGS__)
#define BIDE__JOIN_6(f, a, ...) f(a), BIDE__JOIN_5(f, __VA_ARGS__)
#define BIDE__JOIN_7(f, a, ...) f(a), BIDE__JOIN_6(f, __VA_ARGS__)
#define BIDE__JOIN_8(f, a, ...) f(a), BIDE__JOIN_7(f, __VA_ARGS__)
#define BIDE__JOIN_9(f, a, ...) f(a), BIDE__JOIN_8(f, __VA_ARGS__)
#define BIDE__JOIN_10(f, a, ...) f(a), BIDE__JOIN_9(f, __VA_ARGS__)
#define BIDE__JOIN_11(f, a, ...) f(a), BIDE__JOIN_10(f, __VA_ARGS__)
#define BIDE__JOIN_12(f, a, ...) f(a), BIDE__JOIN_11(f, __VA_ARGS__)

BIDE_END_DECLARATIONS

#endif
