/*
 * Scenario: programs on the simulated engine. Claim: time costs nothing and stands still while code
 * runs; one seed is one run and another seed another one; what is promised to be in order stays so
 * with every seed; a program in which everybody waits ends, and tells who waits for what.
 */
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "sim_rig.h"
#include "task_rig.h"

enum { SEEDS = 50 };

static const struct bide_loop_opts simulated = {.engine = "sim"};

static struct bide_loop_opts seeded(uint64_t seed)
{
    return (struct bide_loop_opts){.engine = "sim", .seed = seed};
}

static struct bide__sim *current_sim(void)
{
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    CHECK(sim);
    return sim;
}

static int64_t kernel_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static int noted(void *data)
{
    note(data);
    return 0;
}

/* Time */

static bide_async(sleeps_long)
{
    const struct bide_engine_ops *ops = bide_loop_current()->engine->ops;
    int64_t wall_ns = ops->wall_ns(bide_loop_current()->engine);
    double before = bide_time();
    CHECK_INT(bide_sleep(3600), 0);
    double slept = bide_time() - before;
    CHECK(slept >= 3600 && slept < 3600.01);
    CHECK_RANGE(ops->wall_ns(bide_loop_current()->engine) - wall_ns, INT64_C(3600000000000),
                INT64_C(3600010000000));
    CHECK_INT(bide_within(60, bide_sleep(INFINITY)), -ETIMEDOUT);
    CHECK_INT(bide_sleep(100 * 365.25 * 86400), 0);
    return 0;
}

BIDE_TEST(an_hour_and_a_century_pass_at_once)
{
    int64_t before_ns = kernel_ns();
    CHECK_INT(bide_run_with(&simulated, sleeps_long), 0);
    CHECK_RANGE(kernel_ns() - before_ns, 0, INT64_C(100000000) * test_slowness());
}

static bide_async(looks_at_the_clock)
{
    double before = bide_time();
    int64_t until_ns = kernel_ns() + 2000000;
    while (kernel_ns() < until_ns)
        CHECK(bide_time() == before);
    while (bide_time() < before + 0.001) /* and code that only looks at it gets on */
        CHECK_INT(bide_sleep(0), 0);
    return 0;
}

BIDE_TEST(time_stands_still_while_code_runs)
{
    CHECK_INT(bide_run_with(&simulated, looks_at_the_clock), 0);
}

static bide_async(ignores_its_cancel)
{
    while (bide_sleep(1) < 0)
        continue;
    return 0;
}

static bide_async(leaves_one_behind)
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(bide_spawn(ignores_its_cancel));
    return bide_sleep(0);
}

BIDE_TEST(the_limit_of_closing_passes_at_once)
{
    int64_t before_ns = kernel_ns();
    CHECK_INT(bide_run_with(&simulated, leaves_one_behind), 0);
    CHECK(kernel_ns() - before_ns < INT64_C(5000000000));
    CHECK_CONTAINS(take_report(), "task goes on in spite of being cancelled");
    CHECK_CONTAINS(take_report(), "task does not end although it was cancelled");
}

/* Seeds */

static void on_done(bide_task *task, void *data)
{
    (void)task;
    note(data);
}

static bide_async(draws, (uint64_t *, ret_trace), (uint64_t *, ret_entropy))
{
    struct bide_engine *engine = bide_loop_current()->engine;
    bide_task *tasks[6];
    CHECK_INT(engine->ops->entropy(engine, ret_entropy, sizeof *ret_entropy), 0);
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
        tasks[i] = bide_spawn(sleeps, (double)(*ret_entropy >> (8 * i) & 0xff) * 1e-6);
        bide_task_add_done_callback(tasks[i], on_done, text(names[i]), NULL);
    }
    CHECK_INT(bide_gather(tasks, 6, NULL), 0);
    turns(2);
    *ret_trace = bide__sim_trace(current_sim());
    return 0;
}

struct run {
    uint64_t trace;
    uint64_t entropy;
    char notes[32];
};

static struct run run_seed(uint64_t seed)
{
    struct bide_loop_opts opts = seeded(seed);
    struct run run;
    CHECK_INT(bide_run_with(&opts, draws, &run.trace, &run.entropy), 0);
    CHECK_INT((long long)strlen(rig_notes), 6);
    strcpy(run.notes, rig_notes);
    rig_notes[0] = '\0';
    return run;
}

BIDE_TEST(one_seed_is_one_run_and_another_seed_another_one)
{
    struct run runs[SEEDS];
    int n_same_notes = 0;
    for (unsigned i = 0; i < SEEDS; i++) {
        runs[i] = run_seed(i + 1);
        struct run again = run_seed(i + 1);
        CHECK(again.trace == runs[i].trace && again.entropy == runs[i].entropy);
        CHECK_STR(again.notes, runs[i].notes);
        for (unsigned j = 0; j < i; j++) {
            CHECK(runs[j].trace != runs[i].trace && runs[j].entropy != runs[i].entropy);
            n_same_notes += strcmp(runs[j].notes, runs[i].notes) == 0;
        }
    }
    CHECK(n_same_notes < SEEDS);
}

static bide_async(tells_its_seed, (uint64_t *, ret_seed))
{
    *ret_seed = bide__sim_seed(current_sim());
    return 0;
}

BIDE_TEST(the_environment_gives_a_seed)
{
    struct bide_loop_opts opts = seeded(7);
    uint64_t seed = 0;
    CHECK_INT(unsetenv("BIDE_SEED"), 0);
    CHECK_INT(bide_run_with(&simulated, tells_its_seed, &seed), 0);
    CHECK_INT(seed, 1);
    CHECK_INT(setenv("BIDE_SEED", "0x10", 1), 0);
    CHECK_INT(bide_run_with(&simulated, tells_its_seed, &seed), 0);
    CHECK_INT(seed, 16);
    CHECK_INT(bide_run_with(&opts, tells_its_seed, &seed), 0);
    CHECK_INT(seed, 7);
    CHECK_INT(setenv("BIDE_SEED", "12x", 1), 0);
    CHECK_INT(bide_run_with(&simulated, tells_its_seed, &seed), -EINVAL);
    CHECK_INT(setenv("BIDE_SEED", "123456789012345678901", 1), 0);
    CHECK_INT(bide_run_with(&simulated, tells_its_seed, &seed), -EINVAL);
    CHECK_INT(bide_run_with(&opts, tells_its_seed, &seed), 0);
}

static bide_async(keeps_orders)
{
    bide_loop *loop = bide_loop_current();
    static const char *const letters[] = {"a", "b", "c", "d", "e"};
    double soon = bide_time() + 0.001;
    for (int i = 0; i < 5; i++)
        CHECK_INT(bide_loop_call_at(loop, soon, noted, text(letters[i]), NULL, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(bide_loop_call_soon(loop, noted, text(letters[i]), NULL, NULL), 0);
    turns(1);
    CHECK_NOTES("abcde");
    CHECK_INT(bide_sleep(0.01), 0);
    CHECK_NOTES("abcde");
    return 0;
}

BIDE_TEST(callbacks_and_equal_timers_keep_their_order)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct bide_loop_opts opts = seeded(seed);
        CHECK_INT(bide_run_with(&opts, keeps_orders), 0);
    }
}

static bide_async(sleeps_twice, (int *, ret_together))
{
    bide__sim_shape(current_sim())->oversleep_ns_max = 1000000000;
    for (int i = 0; i < 100; i++) {
        bide_task *tasks[] = {bide_spawn(sleeps, 0.001), bide_spawn(sleeps, 0.002)};
        CHECK(bide_wait(tasks, 2, BIDE_FIRST_COMPLETED) >= 1);
        turns(1);
        *ret_together += bide_task_done(tasks[0]) && bide_task_done(tasks[1]);
        CHECK_INT(bide_gather(tasks, 2, NULL), 0);
    }
    return 0;
}

BIDE_TEST(a_wait_that_ends_late_lets_several_deadlines_pass)
{
    int n_together = 0;
    CHECK_INT(bide_run_with(&simulated, sleeps_twice, &n_together), 0);
    CHECK_RANGE(n_together, 1, 99);
}

/* Deadlock */

static bide_async(waits_for, (bide_future *, future))
{
    return bide_await(future);
}

static bide_async(everybody_waits, (bide_promise **, ret_promise))
{
    bide_future *future;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    CHECK_INT(bide_future_new(NULL, ret_promise, &future), 0);
    struct bide_task_opts opts = {.name = "first"};
    bide_task *tasks[] = {bide_spawn_with(&opts, waits_for, bide_retain(future)),
                          bide_spawn(sleeps, INFINITY), bide_coroutine(returns, 1)};
    CHECK_INT(bide_task_set_name(tasks[1], "second"), 0);
    CHECK_INT(bide_task_set_name(tasks[2], "third"), 0);
    int rc = bide_await(tasks[0]);
    CHECK_INT(rc, -ECANCELED); /* the loop closes */
    bide_detach(future);
    CHECK_INT(bide_cancel_join(tasks + 1, 2), 0);
    return rc;
}

static void deadlock_child(void *unused)
{
    (void)unused;
    bide_promise *promise;
    CHECK_INT(bide_run_with(&simulated, everybody_waits, &promise), -EDEADLK);
    bide_promise_free(promise);
    for (const char *report; *(report = take_report());)
        fprintf(stderr, "%s\n", report);
}

BIDE_TEST(a_deadlock_tells_who_waits_for_what)
{
    char output[16384];
    CHECK_INT(test_child(deadlock_child, NULL, output, sizeof output), 0);
    CHECK_CONTAINS(output, "deadlock: task waits for: await|0||Task-1|everybody_waits|");
    CHECK_CONTAINS(output, "deadlock: task waits for: await|0||first|waits_for|everybody_waits");
    CHECK_CONTAINS(output, "deadlock: task waits for: sleep|0||second|sleeps|");
    CHECK_CONTAINS(output, "deadlock: task waits for: its start|0||third|returns|");
    CHECK_CONTAINS(output, "test_sim("); /* the backtraces */
}

BIDE_TEST(a_loop_goes_on_after_a_deadlock)
{
    bide_loop *loop = rig_loop_with(&simulated);
    bide_promise *promise;
    bide_future *future;
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    CHECK_INT(bide_future_new(loop, &promise, &future), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, future), -EDEADLK);
    CHECK_INT(bide_promise_set(promise, 5, NULL), 0);
    CHECK_INT(bide_loop_run_until_complete(loop, future), 5);
    CHECK_INT(bide_loop_stop_with(loop, -EDEADLK), 0); /* somebody's own error is no report */
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    bide_promise_free(promise);
    rig_close(loop);
}

static bide_async(posts_to_itself)
{
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    CHECK_INT(bide_call_soon_threadsafe(remote, noted, text("p"), NULL), 0);
    bide_remote *task = bide_spawn_threadsafe(remote, sleeps, 1);
    CHECK_INT(bide_sleep(2), 0);
    CHECK_NOTES("p");
    bide_remote_unref(task);
    bide_remote_unref(remote);
    return 0;
}

BIDE_TEST(posts_that_came_count)
{
    CHECK_INT(bide_run_with(&simulated, posts_to_itself), 0);
}

/* Descriptors and signals */

static int reads_event(void *data)
{
    eventfd_t value;
    CHECK_INT(eventfd_read(*(int *)data, &value), 0);
    note("r");
    return 0;
}

static int writes_event(void *data)
{
    CHECK_INT(eventfd_write(*(int *)data, 1), 0);
    note("w");
    return 0;
}

BIDE_TEST(watched_descriptors_are_looked_at_and_not_waited_for)
{
    bide_loop *loop = rig_loop_with(&simulated);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(fd >= 0);
    CHECK_INT(bide_loop_add_reader(loop, fd, reads_event, &fd, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    for (int i = 1; i <= 3; i++)
        CHECK_INT(bide_loop_call_later(loop, i, writes_event, &fd, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    CHECK_NOTES("wrwrwr");
    CHECK_INT(bide_loop_remove_reader(loop, fd), 1);
    close(fd);
    rig_close(loop);
}

BIDE_TEST(injected_signals_are_counted)
{
    bide_loop *loop = rig_loop_with(&simulated);
    struct bide__sim *sim = bide__sim_of(loop->engine);
    CHECK_INT(bide__sim_signal(sim, SIGINT), -ESRCH);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGINT, noted, text("i"), NULL), 0);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGKILL, noted, NULL, NULL), -EINVAL);
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    for (int i = 0; i < 3; i++)
        CHECK_INT(bide__sim_signal(sim, SIGINT), 0);
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    CHECK_NOTES("iii");
    CHECK_INT(bide__sim_signal(sim, SIGINT), 0);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGINT), 1);
    CHECK_INT(bide_loop_run_forever(loop), -EDEADLK);
    CHECK_NOTES("");
    rig_close(loop);
}

BIDE_TEST(no_descriptor_is_adopted)
{
    bide_loop *loop = rig_loop_with(&simulated);
    struct bide_sock *sock;
    CHECK_INT(loop->engine->ops->sock_adopt(loop->engine, 0, BIDE_ADOPT_ANY, &sock), -ENOSYS);
    rig_close(loop);
}
