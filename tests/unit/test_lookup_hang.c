/*
 * Scenario: lookups hang in the C library, more and more of them, waited for or given up.
 * Claim: another lookup, other blocking work and the loop's end are not delayed; only more lookups
 * at once than there may be threads wait, and their limits hold; when the hanging ones return, also
 * after the loop is gone, no thread and no memory is lost.
 */
#include "resolver_rig.h"
#include "runtime/loop.h"

enum { MANY = 100, KEPT = 8 };

static struct bide_address addresses[LOOKUPS_AT_ONCE + MANY];

static bide_async(resolves, (const char *, host), (struct bide_address *, ret_address))
{
    return bide_resolve(host, 1, BIDE_ANY_FAMILY, ret_address, 1);
}

/* So many tasks, each in a lookup that hangs. */
static void hang_up(bide_task **tasks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        tasks[i] = waiting(bide_spawn(resolves, "hangs", &addresses[i]));
    until_hanging(n < LOOKUPS_AT_ONCE ? n : LOOKUPS_AT_ONCE);
}

static unsigned n_hanging(void)
{
    pthread_mutex_lock(&library.lock);
    unsigned n = library.n_hanging;
    pthread_mutex_unlock(&library.lock);
    return n;
}

/* The resolver's threads, known by their name. */
static int count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder);
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[300];
        char comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue; /* or it has ended by now */
        n += fgets(comm, sizeof comm, file) && strcmp(comm, "bide-resolve\n") == 0;
        fclose(file);
    }
    closedir(folder);
    return n;
}

static void run_file_job(void);

static void answered_at_once(void)
{
    struct bide_address address;
    CHECK_INT(bide_resolve("name", 1, BIDE_ANY_FAMILY, &address, 1), 1);
    CHECK_INT(bide_resolve("error-2", 1, BIDE_ANY_FAMILY, &address, 1), -BIDE_ENONAME);
    run_file_job();
}

STREAM_TEST(hanging_lookups_delay_no_other_work)
{
    bide_task *tasks[MANY];
    hang_up(tasks, MANY);
    answered_at_once();
    CHECK_INT(n_hanging(), MANY);
    let_go();
    CHECK_INT(bide_gather(tasks, MANY, NULL), 0);
}

STREAM_TEST(lookups_that_were_given_up_delay_no_other_work)
{
    bide_task *tasks[MANY];
    hang_up(tasks, MANY);
    CHECK_INT(bide_cancel_join(tasks, MANY), 0);
    answered_at_once();
    CHECK_INT(n_hanging(), MANY);
    let_go();
    until_hanging(0);
}

STREAM_TEST(threads_that_are_not_needed_any_more_leave)
{
    bide_task *tasks[MANY];
    for (int round = 0; round < 2; round++) {
        library.let_go = false;
        hang_up(tasks, MANY);
        CHECK_INT(count_threads(), MANY);
        let_go();
        CHECK_INT(bide_gather(tasks, MANY, NULL), 0);
        while (count_threads() > KEPT)
            turns(1);
        answered_at_once(); /* which joins them */
        CHECK_RANGE(count_threads(), 1, KEPT);
    }
}

STREAM_TEST_SECONDS(beyond_the_last_thread_lookups_wait_and_their_limits_hold, 60)
{
    static bide_task *tasks[LOOKUPS_AT_ONCE + 2];
    const struct bide_connect_opts opts = {.resolve_seconds = TICKS(1)};
    struct bide_address address;
    bide_stream *stream = NULL;
    hang_up(tasks, LOOKUPS_AT_ONCE + 2);
    CHECK_INT(count_threads(), LOOKUPS_AT_ONCE);
    CHECK_INT(bide_within(TICKS(1), resolves("name", &address)), -ETIMEDOUT);
    CHECK_INT(bide_connect("name", 1, &opts, &stream), -ETIMEDOUT);
    CHECK_CONTAINS(bide_error_detail(), "name: the name was not found within ");
    run_file_job();
    CHECK_INT(calls_so_far(), LOOKUPS_AT_ONCE);
    bide_task *last = waiting(bide_spawn(resolves, "name", &address));
    let_go();
    CHECK_INT(bide_await(last), 1);
    CHECK_INT(bide_gather(tasks, LOOKUPS_AT_ONCE + 2, NULL), 0);
    CHECK_INT(calls_so_far(), LOOKUPS_AT_ONCE + 3);
}

/* Other work */

struct job {
    struct bide_job job;
    bool ended;
};

static void job_run(struct bide_job *job)
{
    (void)job;
}

static void job_end(struct bide_job *job)
{
    ((struct job *)job)->ended = true;
}

static void run_file_job(void)
{
    struct bide_engine *engine = bide_loop_current()->engine;
    static struct job job;
    job = (struct job){.job = {.run = job_run, .done = job_end, .drop = job_end}};
    CHECK_INT(engine->ops->job_submit(engine, &job.job, BIDE_LANE_FILE), 0);
    while (!job.ended)
        turns(1);
}

/* Ends */

static bide_async(leaves_lookups, (bool, given_up))
{
    static bide_task *tasks[MANY];
    hang_up(tasks, MANY);
    if (given_up)
        CHECK_INT(bide_cancel_join(tasks, MANY), 0);
    for (int i = 0; !given_up && i < MANY; i++)
        bide_detach(tasks[i]);
    return 0;
}

static void no_threads(void)
{
    while (count_threads() > 0)
        usleep(1000);
}

BIDE_TEST(the_exit_waits_for_no_lookup)
{
    for (int given_up = 0; given_up < 2; given_up++) {
        library.let_go = false;
        CHECK_INT(bide_run_with(NULL, leaves_lookups, given_up), 0);
        CHECK_INT(n_hanging(), MANY);
        let_go();
        until_hanging(0);
        no_threads();
    }
    rig_end();
}

static bide_async(connects_to_none, (bide_stream **, ret_stream))
{
    return bide_connect("hangs", 1, NULL, ret_stream);
}

/* Gives up when the look-up hangs as the n-th. */
static bide_async(connects_in_vain, (unsigned, n))
{
    bide_stream *stream;
    bide_task *task = waiting(bide_spawn(connects_to_none, &stream));
    until_hanging(n);
    bide_cancel(task);
    CHECK_INT(bide_await(task), -ECANCELED);
    return 0;
}

/* Each loop leaves one behind; they are their own, so nothing adds up in the next one. */
BIDE_TEST(loops_come_and_go_while_lookups_hang)
{
    for (unsigned i = 1; i <= 20; i++) {
        CHECK_INT(bide_run_with(NULL, connects_in_vain, i), 0);
        CHECK_INT(n_hanging(), i);
    }
    let_go();
    until_hanging(0);
    no_threads();
    rig_end();
}
