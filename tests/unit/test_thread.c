/*
 * Scenario: tasks wait for functions that run in threads, submit others, cancel them, and leave
 * some behind when the loop ends. Claim: results, words and context variables arrive; what is
 * cancelled ends as documented and releases its data exactly once; no more run at once than the
 * loop allows, and while all of them hang, files are read. In simulation they run inline.
 */
#include "file_rig.h"

#include <bide/context.h>
#include <bide/thread.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "fault.h"

/* A gate that jobs hang at. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int n_inside;
    int n_most;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static atomic_int n_runs;
static atomic_int n_drops;

static int hang(void *data)
{
    n_runs++;
    pthread_mutex_lock(&gate.lock);
    gate.n_inside++;
    if (gate.n_inside > gate.n_most)
        gate.n_most = gate.n_inside;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.n_inside--;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return data ? *(int *)data : 0;
}

static void gate_close(void)
{
    gate.open = false;
    gate.n_most = 0;
    n_runs = 0;
    n_drops = 0;
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Until so many are in there, also if nobody turns the loop. */
static void until_inside(int n)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.n_inside != n)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void count_drop(void *data)
{
    (void)data;
    n_drops++;
}

static int add_one(void *data)
{
    int *number = data;
    n_runs++;
    return ++*number;
}

static int fails(void *data)
{
    if (data)
        return bide_fail(-EDOM, "%s: out of reach", (char *)data);
    return -EDOM;
}

static void *text(const char *words)
{
    return (void *)(uintptr_t)words;
}

TASK_TEST(a_function_runs_elsewhere_and_its_result_arrives)
{
    int number = 41;
    CHECK_INT(bide_to_thread(add_one, &number), 42);
    CHECK_INT(number, 42);
    CHECK_INT(bide_to_thread(fails, text("the moon")), -EDOM);
    CHECK_STR(bide_error_detail(), "the moon: out of reach");
    CHECK_INT(bide_to_thread(NULL, NULL), -EINVAL);
    CHECK_INT(bide_fail(3, "no error"), 3);
    CHECK_INT(bide_fail(-EIO, NULL), -EIO);
}

/* The same thread had words about the same error before. */
TASK_TEST(old_words_are_not_told_again)
{
    bide_task *task;
    CHECK_INT(bide_submit(fails, text("here"), NULL, &task), 0);
    CHECK_INT(bide_await(task), -EDOM);
    CHECK_STR(bide_error_detail(), "here: out of reach");
    for (int i = 0; i < 20; i++) {
        CHECK_INT(bide_submit(fails, NULL, NULL, &task), 0);
        while (!bide_task_done(task))
            turns(1);
        CHECK_STR(bide_task_detail(task), "");
        CHECK_INT(bide_await(task), -EDOM);
    }
}

static bide_async(to_thread, (bide_job_function *, function), (void *, data))
{
    return bide_to_thread(function, data);
}

TASK_TEST(submitted_jobs_are_tasks)
{
    enum { MANY = 100 };
    bide_task *tasks[MANY];
    int numbers[MANY];
    n_drops = 0;
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
        CHECK_INT(bide_submit(add_one, &numbers[i], count_drop, &tasks[i]), 0);
    }
    int results[MANY];
    CHECK_INT(bide_gather(tasks, MANY, results), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(results[i], i + 1);
    CHECK_INT(n_drops, MANY);
    CHECK_INT(bide_submit(NULL, NULL, NULL, tasks), -EINVAL);
    CHECK_INT(bide_submit(add_one, NULL, NULL, NULL), -EINVAL);
}

static const bide_context_var colour = {"colour", "none"};

static int sees_colour(void *data)
{
    CHECK_STR(bide_context_get(&colour), data);
    return bide_context_set(&colour, "grey", NULL, NULL);
}

TASK_TEST(jobs_see_the_context_and_change_nothing)
{
    bide_task *task;
    CHECK_INT(bide_to_thread(sees_colour, text("none")), 0);
    CHECK_INT(bide_context_set(&colour, "red", NULL, NULL), 0);
    CHECK_INT(bide_submit(sees_colour, text("red"), NULL, &task), 0);
    CHECK_INT(bide_context_set(&colour, "blue", NULL, NULL), 0);
    CHECK_INT(bide_to_thread(sees_colour, text("blue")), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_STR(bide_context_get(&colour), "blue");
}

/* In simulation nothing can hang. */
TASK_TEST(a_cancelled_call_waits_for_its_function)
{
    rig_needs_kernel();
    int number = 7;
    gate_close();
    bide_task *task = bide_spawn(to_thread, hang, &number);
    turns(1);
    until_inside(1);
    CHECK_INT(bide_cancel(task), 1);
    turns(5);
    CHECK(!bide_task_done(task));
    gate_open();
    CHECK_INT(bide_await(task), 7);
    CHECK_INT(bide_within(-1, bide_to_thread(hang, &number)), -ETIMEDOUT);
    CHECK_INT(n_runs, 1);
}

TASK_TEST(a_cancelled_job_that_has_begun_goes_on_for_nobody)
{
    rig_needs_kernel();
    bide_task *task;
    gate_close();
    CHECK_INT(bide_submit(hang, NULL, count_drop, &task), 0);
    until_inside(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    turns(3);
    CHECK_INT(n_drops, 0);
    gate_open();
    until_inside(0);
    while (n_drops == 0)
        turns(1);
    CHECK_INT(n_drops, 1);
}

static bide_async(cancels_what_waits)
{
    enum { MANY = 200 };
    bide_task *tasks[MANY];
    bide_task *first;
    int number = 0;
    gate_close();
    CHECK_INT(bide_submit(hang, NULL, NULL, &first), 0);
    until_inside(1);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(bide_submit(add_one, &number, count_drop, &tasks[i]), 0);
    CHECK_INT(bide_cancel_join(tasks, MANY), 0);
    while (n_drops < MANY)
        turns(1);
    gate_open();
    CHECK_INT(bide_await(first), 0);
    CHECK_INT(n_drops, MANY);
    CHECK_INT(number, 0);
    return 0;
}

BIDE_TEST(a_cancelled_job_that_waits_is_never_called)
{
    rig_needs_kernel();
    CHECK_INT(bide_run_with((&(struct bide_loop_opts){.threads_max = 1}), cancels_what_waits), 0);
    rig_end();
}

/* Nobody reads the result: nothing hangs, and its data goes. */
TASK_TEST(a_detached_job_runs_all_the_same)
{
    bide_task *task;
    int number = 0;
    gate_close();
    CHECK_INT(bide_submit(add_one, &number, count_drop, &task), 0);
    bide_detach(task);
    while (n_drops == 0)
        turns(1);
    CHECK_INT(number, 1);
}

static bide_async(uses_all_threads)
{
    enum { MANY = 20, THREADS = 3 };
    bide_task *tasks[MANY];
    rig_directory_open();
    store(in_rig("a"), "text");
    gate_close();
    for (int i = 0; i < MANY; i++)
        CHECK_INT(bide_submit(hang, NULL, NULL, &tasks[i]), 0);
    until_inside(THREADS);
    check_file(in_rig("a"), "text");
    store(in_rig("b"), "other");
    CHECK_INT(bide_path_rename(in_rig("b"), in_rig("a")), 0);
    check_file(in_rig("a"), "other");
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
    rig_directory_close();
    CHECK_INT(gate.n_most, THREADS);
    gate_open();
    CHECK_INT(bide_wait(tasks, MANY, BIDE_ALL_COMPLETED), MANY);
    CHECK_INT(gate.n_most, THREADS);
    return bide_cancel_join(tasks, MANY);
}

BIDE_TEST(files_work_while_all_threads_hang)
{
    rig_needs_kernel();
    CHECK_INT(bide_run_with((&(struct bide_loop_opts){.threads_max = 3}), uses_all_threads), 0);
    rig_end();
}

static void *opens_later(void *data)
{
    (void)data;
    usleep((useconds_t)(TICKS(1) * 1e6)); /* the loop waits by then, or will find it open */
    gate_open();
    return NULL;
}

/* `opener`: opens the gate when two hang there; NULL: nobody does. */
static bide_async(leaves_jobs, (pthread_t *, opener))
{
    static int number;
    bide_task *task;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(bide_submit(hang, &number, count_drop, &task), 0);
        bide_detach(task);
    }
    bide_detach(bide_spawn(to_thread, hang, &number));
    turns(1);
    until_inside(2);
    if (opener)
        CHECK_INT(pthread_create(opener, NULL, opens_later, NULL), 0);
    return 0;
}

/* Two hang, the others have not begun: those never do. */
BIDE_TEST(a_loop_that_ends_waits_for_what_has_begun)
{
    rig_needs_kernel();
    pthread_t thread;
    gate_close();
    CHECK_INT(bide_run_with((&(struct bide_loop_opts){.threads_max = 2}), leaves_jobs, &thread), 0);
    CHECK_INT(n_drops, 6);
    CHECK_INT(gate.n_inside, 0);
    pthread_join(thread, NULL);
    rig_end();
}

BIDE_TEST(a_loop_that_ends_leaves_behind_what_takes_too_long)
{
    rig_needs_kernel();
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02, .threads_max = 2};
    gate_close();
    CHECK_INT(bide_run_with(&impatient, leaves_jobs, NULL), 0);
    CHECK(*take_report()); /* the task that waits for its thread */
    CHECK_INT(n_drops, 4);
    gate_open();
    until_inside(0);
    while (n_drops < 6)
        sched_yield();
    rig_end();
}

/* A thread without a loop that wants the result of a job. */
static bide_async(doubles, (int, number))
{
    int twice = 2 * number - 1;
    return bide_to_thread(add_one, &twice);
}

static void *waits_outside(void *data)
{
    int result = 0;
    bide_remote *task = bide_spawn_threadsafe(data, doubles, 21);
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    CHECK_INT(result, 42);
    bide_remote_unref(task);
    return NULL;
}

static int joins(void *data)
{
    pthread_join(*(pthread_t *)data, NULL);
    return 0;
}

TASK_TEST(a_thread_waits_for_a_jobs_result)
{
    rig_needs_kernel();
    pthread_t thread;
    bide_remote *remote = bide_loop_remote(bide_loop_current());
    CHECK_INT(pthread_create(&thread, NULL, waits_outside, remote), 0);
    CHECK_INT(bide_to_thread(joins, &thread), 0);
    bide_remote_unref(remote);
}

static bool is_taken; /* the job that was submitted */

static bide_async(whole_life)
{
    int numbers[2] = {1, 2};
    bide_task *task;
    int rc = bide_to_thread(add_one, &numbers[0]);
    if (rc < 0)
        return rc;
    rc = bide_submit(add_one, &numbers[1], count_drop, &task);
    is_taken = rc == 0;
    return rc < 0 ? rc : bide_await(task);
}

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

static bide_async(whole_life_quietly)
{
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    return whole_life();
}

static void each_fault(enum fault_kind kind, int error)
{
    for (unsigned long n = 1;; n++) {
        CHECK(n < 3000);
        n_drops = 0;
        is_taken = false;
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, whole_life_quietly);
        bool hit = fault_disarm();
        CHECK_INT(n_drops, is_taken);
        if (!hit)
            CHECK_INT(rc, 3);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_allocation_and_system_call_fails_in_turn, 60)
{
    each_fault(FAULT_ALLOCATION, 0);
    each_fault(FAULT_SYSTEM, EAGAIN);
}
