/*
 * Scenario: a loop waits with and without deadlines, and is woken from threads and signal handlers
 * at any moment. Claim: no wake is lost, a wait does not end before its deadline unless it was
 * woken, and jobs that finish wake the loop.
 */
#include "engine_rig.h"
#include "fault.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

BIDE_TEST(the_clocks_run_and_randomness_is_random)
{
    struct bide_engine *engine = rig_open();
    const struct bide_engine_ops *ops = engine->ops;
    int64_t before_ns = ops->now_ns(engine);
    CHECK(before_ns > 0);
    CHECK(ops->now_ns(engine) >= before_ns);
    CHECK(ops->wall_ns(engine) > INT64_C(1700000000) * SECOND_NS);
    static unsigned char bytes[2][1000];
    CHECK_INT(ops->entropy(engine, bytes[0], sizeof(bytes[0])), 0);
    CHECK_INT(ops->entropy(engine, bytes[1], sizeof(bytes[1])), 0);
    CHECK(memcmp(bytes[0], bytes[1], sizeof(bytes[0])) != 0);
    CHECK_INT(ops->entropy(engine, bytes[0], 0), 0);
    rig_close(engine);
}

BIDE_TEST(a_wait_does_not_end_before_its_deadline)
{
    struct bide_engine *engine = rig_open();
    struct rig_pair pair = rig_tcp_pair(engine); /* something is registered, and quiet */
    struct rig_op op;
    rig_op_init(&op);
    CHECK_INT(engine->ops->recv_wait(pair.sock, &op.op), BIDE_PENDING);
    for (int64_t wait_ns = 1; wait_ns <= 10000000; wait_ns *= 10) {
        int64_t deadline_ns = engine->ops->now_ns(engine) + wait_ns;
        CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
        CHECK(engine->ops->now_ns(engine) >= deadline_ns);
    }
    CHECK_INT(op.n_ends, 0);
    engine->ops->cancel(&op.op);
    rig_end(engine, &op);
    rig_pair_close(&pair);
    rig_close(engine);
}

BIDE_TEST(a_deadline_in_the_past_does_not_wait)
{
    struct bide_engine *engine = rig_open();
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(engine->ops->poll(engine, 0), 0);
        CHECK_INT(engine->ops->poll(engine, INT64_MIN), 0);
        CHECK_INT(engine->ops->poll(engine, engine->ops->now_ns(engine)), 0);
    }
    rig_close(engine);
}

BIDE_TEST(a_wake_before_the_wait_ends_it_and_only_it)
{
    struct bide_engine *engine = rig_open();
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++)
            engine->ops->wake(engine);
        CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), 0);
    }
    int64_t deadline_ns = engine->ops->now_ns(engine) + 5000000;
    while (engine->ops->now_ns(engine) < deadline_ns)
        CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
    rig_close(engine);
}

BIDE_TEST(a_wake_is_no_system_call_unless_the_loop_sleeps)
{
    struct bide_engine *engine = rig_open();
    for (int i = 0; i < 3; i++) {
        fault_arm(FAULT_SYSTEM, 1, EBADF);
        for (int j = 0; j < 10; j++)
            engine->ops->wake(engine);
        CHECK(!fault_disarm());
        CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), 0);
    }
    rig_close(engine);
}

/* A ball between the loop and a thread. The loop sleeps without a deadline: a lost wake hangs. */
struct ball {
    struct bide_engine *engine;
    atomic_int at; /* even: the loop's turn */
    int n_rounds;
};

static void *return_ball(void *argument)
{
    struct ball *ball = argument;
    for (int i = 0; i < ball->n_rounds; i++) {
        while (atomic_load(&ball->at) != 2 * i + 1)
            sched_yield();
        for (int j = 0; j < i % 64; j++) /* hits the loop at different moments */
            atomic_load(&ball->at);
        atomic_store(&ball->at, 2 * i + 2);
        ball->engine->ops->wake(ball->engine);
    }
    return NULL;
}

BIDE_TEST(no_wake_from_a_thread_is_lost)
{
    struct ball ball = {.engine = rig_open(), .n_rounds = 20000 / test_slowness()};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, return_ball, &ball), 0);
    for (int i = 0; i < ball.n_rounds; i++) {
        atomic_store(&ball.at, 2 * i + 1);
        while (atomic_load(&ball.at) != 2 * i + 2)
            CHECK_INT(ball.engine->ops->poll(ball.engine, BIDE_NO_DEADLINE), 0);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_close(ball.engine);
}

/* Many threads post counts, each with a wake; the loop sleeps until it has seen all of them. */
struct posts {
    struct bide_engine *engine;
    atomic_int n_posted;
    int n_each;
};

static void *post(void *argument)
{
    struct posts *posts = argument;
    for (int i = 0; i < posts->n_each; i++) {
        atomic_fetch_add(&posts->n_posted, 1);
        posts->engine->ops->wake(posts->engine);
    }
    return NULL;
}

BIDE_TEST(wakes_of_many_threads_merge_and_none_is_lost)
{
    enum { THREADS = 4, ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        struct posts posts = {.engine = rig_open(), .n_each = 500};
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, post, &posts), 0);
        while (atomic_load(&posts.n_posted) < THREADS * posts.n_each)
            CHECK_INT(posts.engine->ops->poll(posts.engine, BIDE_NO_DEADLINE), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_INT(pthread_join(threads[i], NULL), 0);
        rig_close(posts.engine);
    }
}

static struct bide_engine *handled_engine;
static atomic_int n_handled;

static void wake_in_handler(int signo)
{
    (void)signo;
    atomic_fetch_add(&n_handled, 1);
    handled_engine->ops->wake(handled_engine);
}

static void *signal_loop(void *argument)
{
    pthread_t loop = *(pthread_t *)argument;
    for (int i = 0; i < 200; i++) {
        while (atomic_load(&n_handled) != i)
            sched_yield();
        CHECK_INT(pthread_kill(loop, SIGUSR2), 0);
    }
    return NULL;
}

BIDE_TEST(a_signal_handler_of_the_loops_thread_wakes_it)
{
    handled_engine = rig_open();
    struct sigaction action = {.sa_handler = wake_in_handler};
    CHECK_INT(sigaction(SIGUSR2, &action, NULL), 0);
    pthread_t self = pthread_self();
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, signal_loop, &self), 0);
    while (atomic_load(&n_handled) < 200) {
        errno = 77;
        CHECK_INT(handled_engine->ops->poll(handled_engine, BIDE_NO_DEADLINE), 0);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_close(handled_engine);
}

static void nothing(int signo)
{
    (void)signo;
}

static void *interrupt_loop(void *argument)
{
    pthread_t loop = *(pthread_t *)argument;
    for (int i = 0; i < 20; i++) {
        CHECK_INT(pthread_kill(loop, SIGUSR2), 0);
        sched_yield();
    }
    return NULL;
}

BIDE_TEST(an_interruption_by_a_foreign_handler_does_not_end_the_wait)
{
    struct bide_engine *engine = rig_open();
    struct sigaction action = {.sa_handler = nothing};
    CHECK_INT(sigaction(SIGUSR2, &action, NULL), 0);
    pthread_t self = pthread_self();
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, interrupt_loop, &self), 0);
    int64_t deadline_ns = engine->ops->now_ns(engine) + 50000000;
    CHECK_INT(engine->ops->poll(engine, deadline_ns), 0);
    CHECK(engine->ops->now_ns(engine) >= deadline_ns);
    CHECK_INT(pthread_join(thread, NULL), 0);
    rig_close(engine);
}

struct work {
    struct bide_job job;
    sem_t *wait_for;
    atomic_int ran;
    int n_done;
    int n_dropped;
};

static void work_run(struct bide_job *job)
{
    struct work *work = (struct work *)job;
    if (work->wait_for)
        sem_wait(work->wait_for);
    atomic_fetch_add(&work->ran, 1);
}

static void work_done(struct bide_job *job)
{
    ((struct work *)job)->n_done++;
}

static void work_drop(struct bide_job *job)
{
    ((struct work *)job)->n_dropped++;
}

static void work_init(struct work *work, sem_t *wait_for)
{
    *work = (struct work){.job = {.run = work_run, .done = work_done, .drop = work_drop},
                          .wait_for = wait_for};
}

BIDE_TEST(a_finished_job_wakes_the_loop)
{
    struct bide_engine *engine = rig_open();
    struct work work;
    for (int i = 0; i < 1000; i++) {
        work_init(&work, NULL);
        CHECK_INT(engine->ops->job_submit(engine, &work.job, BIDE_LANE_USER), 0);
        CHECK_INT(work.n_done, 0);
        while (work.n_done == 0)
            CHECK(engine->ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
        CHECK_INT(atomic_load(&work.ran), 1);
        CHECK_INT(work.n_dropped, 0);
    }
    rig_close(engine);
}

/* Whatever users submit, and however long it hangs, a job of the library's goes ahead. */
BIDE_TEST(users_jobs_do_not_delay_the_librarys)
{
    struct bide_engine_opts opts = {.user_threads_max = 3};
    struct bide_engine *engine = rig_open_with(&opts);
    sem_t gate;
    CHECK_INT(sem_init(&gate, 0, 0), 0);
    enum { N = 50 };
    static struct work blocked[N];
    for (int i = 0; i < N; i++) {
        work_init(&blocked[i], &gate);
        CHECK_INT(engine->ops->job_submit(engine, &blocked[i].job, BIDE_LANE_USER), 0);
    }
    struct work file;
    struct work resolve;
    work_init(&file, NULL);
    work_init(&resolve, NULL);
    CHECK_INT(engine->ops->job_submit(engine, &file.job, BIDE_LANE_FILE), 0);
    CHECK_INT(engine->ops->job_submit(engine, &resolve.job, BIDE_LANE_RESOLVE), 0);
    while (file.n_done == 0 || resolve.n_done == 0)
        rig_turn(engine);
    for (int i = 0; i < N; i++)
        CHECK_INT(blocked[i].n_done, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(sem_post(&gate), 0);
    for (int i = 0; i < N; i++) {
        while (blocked[i].n_done == 0)
            rig_turn(engine);
    }
    rig_close(engine);
    sem_destroy(&gate);
}

BIDE_TEST(an_abandoned_job_is_not_reported)
{
    struct bide_engine *engine = rig_open();
    struct work work;
    work_init(&work, NULL);
    CHECK_INT(engine->ops->job_submit(engine, &work.job, BIDE_LANE_FILE), 0);
    while (atomic_load(&work.ran) == 0)
        sched_yield();
    engine->ops->job_abandon(engine, &work.job);
    rig_close(engine); /* which waits for the worker */
    CHECK_INT(work.n_done, 0);
    CHECK_INT(work.n_dropped, 1);
}

struct lookup {
    struct bide_lookup base;
    int n_done;
};

static void lookup_done(struct bide_job *job)
{
    ((struct lookup *)job)->n_done++;
}

static void look_up(struct bide_engine *engine, struct lookup *lookup, const char *host,
                    const char *service, int flags)
{
    *lookup = (struct lookup){.base = {.job = {.done = lookup_done, .drop = lookup_done},
                                       .host = host,
                                       .service = service,
                                       .list = (struct addrinfo *)lookup,
                                       .hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}}};
    CHECK_INT(engine->ops->lookup(engine, &lookup->base), 0);
    rig_turn_until(engine, &lookup->n_done, 1);
}

BIDE_TEST(names_are_looked_up)
{
    struct bide_engine *engine = rig_open();
    struct lookup lookup;
    look_up(engine, &lookup, "localhost", "80", AI_NUMERICSERV);
    CHECK_INT(lookup.base.error, 0);
    CHECK(lookup.base.list);
    for (const struct addrinfo *at = lookup.base.list; at; at = at->ai_next) {
        if (at->ai_family == AF_INET) {
            const struct sockaddr_in *address = (const struct sockaddr_in *)at->ai_addr;
            CHECK_INT(ntohl(address->sin_addr.s_addr) >> 24, 127);
            CHECK_INT(ntohs(address->sin_port), 80);
        }
    }
    engine->ops->lookup_free(engine, lookup.base.list);
    look_up(engine, &lookup, NULL, "0", AI_PASSIVE);
    CHECK_INT(lookup.base.error, 0);
    engine->ops->lookup_free(engine, lookup.base.list);
    look_up(engine, &lookup, "not.an.address", "80", AI_NUMERICHOST);
    CHECK_INT(lookup.base.error, EAI_NONAME);
    CHECK_PTR(lookup.base.list, NULL);
    look_up(engine, &lookup, "127.0.0.1", "no-such-service", 0);
    CHECK_INT(lookup.base.error, EAI_SERVICE);
    engine->ops->lookup_free(engine, lookup.base.list);
    rig_close(engine);
}
