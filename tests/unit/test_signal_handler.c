/*
 * Scenario: an engine gives a signal up while the handler is under way on another thread. Claim:
 * giving up waits for that handler, which may therefore still use the engine.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "engine/signal.h"
#include "test.h"

/* All of an engine that signals need: its wake() is slow. */
static sem_t inside;
static atomic_bool giving_up;
static atomic_bool wake_is_over;

static void slow_wake(struct bide_engine *engine)
{
    (void)engine;
    sem_post(&inside);
    while (!atomic_load(&giving_up))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_store(&wake_is_over, true);
}

static const struct bide_engine_ops fake_ops = {.name = "fake", .wake = slow_wake};

static void *raise_once(void *argument)
{
    (void)argument;
    CHECK_INT(raise(SIGUSR1), 0);
    return NULL;
}

static void arrived(void *data)
{
    (void)data;
    FAIL("called without a dispatch");
}

BIDE_TEST(giving_a_signal_up_waits_for_its_handler)
{
    struct bide_engine engine = {.ops = &fake_ops};
    struct bide__signals signals;
    bide__signals_init(&signals, &engine);
    for (int i = 0; i < 3; i++) {
        atomic_store(&giving_up, false);
        atomic_store(&wake_is_over, false);
        CHECK_INT(sem_init(&inside, 0, 0), 0);
        struct bide_signal *signal;
        CHECK_INT(bide__signals_add(&signals, SIGUSR1, arrived, NULL, &signal), 0);
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, raise_once, NULL), 0);
        while (sem_wait(&inside) < 0)
            CHECK_INT(errno, EINTR);
        atomic_store(&giving_up, true);
        bide__signals_remove(signal);
        CHECK(atomic_load(&wake_is_over));
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
}
