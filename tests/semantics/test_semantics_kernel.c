/*
 * The numbered cases of docs/semantics.md that need threads or signals. Claim: each holds on the
 * engines that have a kernel below them.
 */
#include <pthread.h>
#include <signal.h>

#include "../unit/task_rig.h"

static int stop_it(void *loop)
{
    note("woken ");
    bide_loop_stop(loop);
    return 0;
}

static int start_gun(void *data)
{
    pthread_mutex_unlock(data);
    return 0;
}

struct other {
    bide_remote *remote;
    bide_loop *loop;
    pthread_mutex_t asleep;
};

static void *wake_it(void *data)
{
    struct other *other = data;
    pthread_mutex_lock(&other->asleep); /* the loop has begun, and has nothing else to do */
    CHECK_INT(bide_call_soon_threadsafe(other->remote, stop_it, other->loop, NULL), 0);
    return NULL;
}

BIDE_TEST(case_07_post_wakes_a_sleeping_loop_and_a_closed_one_refuses)
{
    struct other other = {.loop = rig_loop()};
    pthread_t thread;
    other.remote = bide_loop_remote(other.loop);
    pthread_mutex_init(&other.asleep, NULL);
    pthread_mutex_lock(&other.asleep);
    CHECK_INT(pthread_create(&thread, NULL, wake_it, &other), 0);
    CHECK_INT(bide_loop_call_soon(other.loop, start_gun, &other.asleep, NULL, NULL), 0);
    CHECK_INT(bide_loop_run_forever(other.loop), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_NOTES("woken ");
    rig_close(other.loop);
    CHECK_INT(bide_call_soon_threadsafe(other.remote, stop_it, other.loop, NULL), -ESHUTDOWN);
    bide_remote_unref(other.remote);
}

static int note_signal(void *data)
{
    note(data);
    return 0;
}

TASK_TEST(case_12_signal_handlers_count_and_can_be_removed)
{
    bide_loop *loop = bide_loop_current();
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 0);
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, note_signal, (void *)"x", NULL), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    for (int i = 0; i < 1000 && strlen(rig_notes) < 2; i++)
        CHECK_INT(bide_sleep(0.001), 0);
    CHECK_NOTES("xx");
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 1);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 0);
}
