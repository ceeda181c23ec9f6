/*
 * Scenario: many children at once, as many as a semaphore lets through, some killed, some of their
 * owners cancelled.
 * Claim: each ends as it should, none is mixed up with another, none is left.
 */
#include "process_rig.h"

#include <bide/scoped.h>
#include <bide/semaphore.h>

enum { AT_ONCE = 10 };

static int n_now, n_most;

static bide_async(runs, (bide_semaphore *, slots), (int, number))
{
    int rc;
    bide_process *process = NULL;
    struct bide_communicated said;
    char input[32];
    int n = snprintf(input, sizeof input, "%d", number);
    bide_with_semaphore (rc, slots) {
        bide_with (rc, bide_process_shell("cat; exit 7", &piped, &process), bide_process_release,
                   process) {
            n_now++;
            n_most = n_now > n_most ? n_now : n_most;
            if (number % 5 == 1)
                CHECK_INT(bide_process_kill(process), 0);
            if (number % 5 == 2)
                rc = bide_sleep(INFINITY);
            if (rc >= 0)
                rc = bide_process_communicate(process, input, (size_t)n, 0, &said);
            n_now--;
        }
    }
    if (rc < 0)
        return rc;
    if (number % 5 == 1) {
        CHECK_INT(bide_exit_code(&said.exit), -SIGKILL);
    } else {
        CHECK_INT(bide_exit_code(&said.exit), 7);
        CHECK_STR(said.output, input);
    }
    bide_communicated_free(&said);
    return 0;
}

PROCESS_TEST_SECONDS(many_behind_a_semaphore, 200)
{
    size_t n_tasks = test_long() ? 500 : 50;
    size_t n_slots = test_long() ? 500 : AT_ONCE;
    bide_task **tasks = calloc(n_tasks, sizeof *tasks);
    CHECK(tasks);
    bide_semaphore slots = BIDE_SEMAPHORE(n_slots);
    for (size_t i = 0; i < n_tasks; i++)
        tasks[i] = bide_spawn(runs, &slots, (int)i);
    for (size_t i = 2; i < n_tasks; i += 5) { /* each of them holds a slot until then */
        CHECK_INT(bide_sleep(TICKS(1)), 0);
        bide_cancel(tasks[i]);
    }
    for (size_t i = 0; i < n_tasks; i++)
        CHECK_INT(bide_await(tasks[i]), i % 5 == 2 ? -ECANCELED : 0);
    CHECK_RANGE(n_most, 1, n_slots);
    free(tasks);
}

static bide_async(sleeps_in_a_child, (int *, n_started))
{
    int rc;
    bide_process *process = NULL;
    bide_with (rc, bide_process_exec(bide_argv("sleep", "1000"), NULL, &process),
               bide_process_release, process) {
        ++*n_started;
        rc = bide_process_wait(process, NULL);
    }
    return rc;
}

PROCESS_TEST_SECONDS(all_at_once_end_with_their_scope, 200)
{
    int n = test_long() ? 500 : 50;
    int n_started = 0;
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(bide_group_spawn(group, sleeps_in_a_child, &n_started), 0);
    while (n_started < n)
        turns(1);
    CHECK_INT(bide_group_close(group, -EIO), -EIO);
    no_children();
}
