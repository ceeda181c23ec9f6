/*
 * Scenario: jobs and lookups on the simulated engine, and its queue of events. Claim: jobs run
 * inline, in seeded order, no more of a lane at a time than it has workers; each ends in exactly
 * one done() or drop(); lookups know numbers, localhost and what was added, and end as
 * getaddrinfo's would; events happen in the order of their times.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "engine/sim_event.h"
#include "engine_rig.h"
#include "fault.h"
#include "sim_rig.h"

enum { SEEDS = 50, JOBS = 8 };

static struct bide_engine *sim_engine(uint64_t seed, unsigned user_threads_max)
{
    struct bide_engine *engine = NULL;
    struct bide_engine_opts opts = {.seed = seed, .user_threads_max = user_threads_max};
    CHECK_INT(bide__engine_open("sim", &opts, &engine), 0);
    return engine;
}

/* Polls until nothing is under way. */
static void run_dry(struct bide_engine *engine)
{
    int rc;
    do
        rc = engine->ops->poll(engine, BIDE_NO_DEADLINE);
    while (rc >= 0);
    CHECK_INT(rc, -EDEADLK);
}

struct task_job {
    struct bide_job job;
    struct bide_engine *engine;
    struct task_job *others; /* to be abandoned by run() */
    char letter;
    int n_runs;
    int n_dones;
    int n_drops;
};

static char runs[JOBS + 1];
static char dones[JOBS + 1];

static void append(char *letters, char letter)
{
    size_t n = strlen(letters);
    CHECK(n < JOBS);
    letters[n] = letter;
    letters[n + 1] = '\0';
}

static void job_run(struct bide_job *base)
{
    struct task_job *job = (struct task_job *)base;
    job->n_runs++;
    append(runs, job->letter);
    if (job->others)
        job->engine->ops->job_abandon(job->engine, &job->others->job);
}

static void job_done(struct bide_job *base)
{
    struct task_job *job = (struct task_job *)base;
    job->n_dones++;
    append(dones, job->letter);
}

static void job_drop(struct bide_job *base)
{
    ((struct task_job *)base)->n_drops++;
}

static void submit(struct bide_engine *engine, struct task_job *jobs, int n)
{
    runs[0] = dones[0] = '\0';
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct task_job){.job = {job_run, job_done, job_drop, NULL, NULL, 0, 0},
                                    .engine = engine,
                                    .letter = (char)('a' + i)};
        CHECK_INT(engine->ops->job_submit(engine, &jobs[i].job, BIDE_LANE_USER), 0);
        CHECK_INT(jobs[i].n_runs, 0);
    }
}

BIDE_TEST(jobs_run_in_any_order_that_workers_allow)
{
    struct task_job jobs[JOBS];
    int n_in_order = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct bide_engine *engine = sim_engine(seed, 0);
        submit(engine, jobs, JOBS);
        run_dry(engine);
        for (int i = 0; i < JOBS; i++) {
            CHECK_INT(jobs[i].n_runs == 1 && jobs[i].n_dones == 1 && jobs[i].n_drops == 0, 1);
            CHECK(strchr(runs, 'a' + i) && strchr(dones, 'a' + i));
        }
        n_in_order += strcmp(runs, "abcdefgh") == 0 && strcmp(dones, "abcdefgh") == 0;
        rig_close(engine);
    }
    CHECK(n_in_order < SEEDS / 2);
}

BIDE_TEST(one_worker_keeps_the_order)
{
    struct task_job jobs[JOBS];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct bide_engine *engine = sim_engine(seed, 1);
        submit(engine, jobs, JOBS);
        run_dry(engine);
        CHECK_STR(runs, "abcdefgh");
        rig_close(engine);
    }
}

BIDE_TEST(an_abandoned_job_is_dropped_once_wherever_it_is)
{
    bool dropped_before_run = false;
    bool dropped_after_run = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct task_job jobs[JOBS];
        struct bide_engine *engine = sim_engine(seed, 2);
        submit(engine, jobs, JOBS);
        for (unsigned i = 0; i < seed % 7; i++)
            CHECK(engine->ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
        for (int i = 0; i < JOBS; i++)
            if (jobs[i].n_dones == 0)
                engine->ops->job_abandon(engine, &jobs[i].job);
        for (int i = 0; i < JOBS; i++) {
            CHECK_INT(jobs[i].n_dones + jobs[i].n_drops, 1);
            dropped_before_run |= jobs[i].n_drops && !jobs[i].n_runs;
            dropped_after_run |= jobs[i].n_drops && jobs[i].n_runs;
        }
        CHECK_INT(engine->ops->poll(engine, BIDE_NO_DEADLINE), -EDEADLK);
        rig_close(engine);
    }
    CHECK(dropped_before_run && dropped_after_run);
}

BIDE_TEST(a_job_may_abandon_itself)
{
    struct task_job job[1];
    struct bide_engine *engine = sim_engine(1, 0);
    submit(engine, job, 1);
    job->others = job;
    run_dry(engine);
    CHECK_INT(job->n_runs, 1);
    CHECK_INT(job->n_dones, 0);
    CHECK_INT(job->n_drops, 1);
    rig_close(engine);
}

BIDE_TEST(closing_drops_what_is_left)
{
    struct task_job jobs[JOBS];
    struct bide_engine *engine = sim_engine(1, 1);
    submit(engine, jobs, JOBS);
    while (!jobs[1].n_runs)
        CHECK(engine->ops->poll(engine, BIDE_NO_DEADLINE) >= 0);
    rig_close(engine);
    for (int i = 0; i < JOBS; i++)
        CHECK_INT(jobs[i].n_dones + jobs[i].n_drops, 1);
    CHECK_INT(jobs[JOBS - 1].n_runs, 0);
}

/* Lookups */

struct look {
    struct bide_lookup lookup;
    int n_dones;
};

static void look_done(struct bide_job *job)
{
    ((struct look *)job)->n_dones++;
}

static void look_drop(struct bide_job *job)
{
    (void)job;
    FAIL("a lookup was dropped");
}

/* The answer in words: addresses, or the error's number. */
static const char *look_up(struct bide_engine *engine, const char *host, const char *service,
                           int family, int flags)
{
    static char words[512];
    struct look look = {
        .lookup = {.job = {.done = look_done, .drop = look_drop},
                   .host = host,
                   .service = service,
                   .hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags}}};
    CHECK_INT(engine->ops->lookup(engine, &look.lookup), 0);
    CHECK_INT(look.n_dones, 0);
    run_dry(engine);
    CHECK_INT(look.n_dones, 1);
    words[0] = '\0';
    if (look.lookup.error)
        snprintf(words, sizeof words, "%d", look.lookup.error);
    for (const struct addrinfo *at = look.lookup.list; at; at = at->ai_next) {
        char number[INET6_ADDRSTRLEN];
        const struct sockaddr_in *ipv4 = (const void *)at->ai_addr;
        const struct sockaddr_in6 *ipv6 = (const void *)at->ai_addr;
        bool is_ipv4 = at->ai_family == AF_INET;
        CHECK_INT(at->ai_addrlen, is_ipv4 ? sizeof *ipv4 : sizeof *ipv6);
        CHECK_INT(at->ai_addr->sa_family, at->ai_family);
        CHECK_INT(at->ai_socktype, SOCK_STREAM);
        CHECK(inet_ntop(at->ai_family,
                        is_ipv4 ? (const void *)&ipv4->sin_addr : (const void *)&ipv6->sin6_addr,
                        number, sizeof number));
        size_t length = strlen(words);
        snprintf(words + length, sizeof words - length, "%s%s:%d%s%s", *words ? " " : "", number,
                 ntohs(ipv4->sin_port), at->ai_canonname ? "=" : "",
                 at->ai_canonname ? at->ai_canonname : "");
    }
    engine->ops->lookup_free(NULL, look.lookup.list);
    return words;
}

static const char *number_of(int error)
{
    static char text[16];
    snprintf(text, sizeof text, "%d", error);
    return text;
}

BIDE_TEST(lookups_know_numbers_localhost_and_what_was_added)
{
    struct bide_engine *engine = sim_engine(1, 0);
    struct bide__sim *sim = bide__sim_of(engine);
    CHECK_STR(look_up(engine, "10.1.2.3", "80", AF_UNSPEC, 0), "10.1.2.3:80");
    CHECK_STR(look_up(engine, "fe80::1", NULL, AF_INET6, 0), "fe80::1:0");
    CHECK_STR(look_up(engine, "10.1.2.3", "80", AF_INET6, 0), number_of(EAI_NONAME));
    CHECK_STR(look_up(engine, "localhost", "1", AF_UNSPEC, 0), "::1:1 127.0.0.1:1");
    CHECK_STR(look_up(engine, "LocalHost", "1", AF_INET, 0), "127.0.0.1:1");
    CHECK_STR(look_up(engine, NULL, "1", AF_UNSPEC, 0), "::1:1 127.0.0.1:1");
    CHECK_STR(look_up(engine, NULL, "1", AF_INET, AI_PASSIVE), "0.0.0.0:1");
    CHECK_STR(look_up(engine, NULL, NULL, AF_INET, 0), number_of(EAI_NONAME));
    CHECK_STR(look_up(engine, "example.org", "1", AF_UNSPEC, 0), number_of(EAI_NONAME));
    CHECK_INT(bide__sim_host(sim, "example.org", "10.0.0.1"), 0);
    CHECK_INT(bide__sim_host(sim, "example.org", "2001:db8::1"), 0);
    CHECK_INT(bide__sim_host(sim, "example.org", "nonsense"), -EINVAL);
    CHECK_INT(bide__sim_host_fails(sim, "slow.example.org", EAI_AGAIN), 0);
    CHECK_STR(look_up(engine, "example.org", "443", AF_UNSPEC, AI_CANONNAME),
              "10.0.0.1:443=example.org 2001:db8::1:443");
    CHECK_STR(look_up(engine, "example.org", "1", AF_INET6, 0), "2001:db8::1:1");
    CHECK_STR(look_up(engine, "example.org", "1", AF_UNSPEC, AI_NUMERICHOST),
              number_of(EAI_NONAME));
    CHECK_STR(look_up(engine, "slow.example.org", "1", AF_INET, 0), number_of(EAI_AGAIN));
    CHECK_STR(look_up(engine, "localhost", "http", AF_INET, 0), number_of(EAI_SERVICE));
    CHECK_STR(look_up(engine, "localhost", "http", AF_INET, AI_NUMERICSERV), number_of(EAI_NONAME));
    CHECK_STR(look_up(engine, "localhost", "65536", AF_INET, 0), number_of(EAI_SERVICE));
    rig_close(engine);
}

/* Every failing allocation */

static void count_signal(void *data)
{
    ++*(int *)data;
}

static int use_everything(struct bide_engine **engine, struct look *look, struct task_job *job)
{
    struct bide_engine_opts opts = {.seed = 3};
    int rc = bide__engine_open("sim", &opts, engine);
    if (rc < 0)
        return rc;
    const struct bide_engine_ops *ops = (*engine)->ops;
    struct bide_signal *signal;
    int n_signals = 0;
    rc = ops->signal_open(*engine, SIGINT, count_signal, &n_signals, &signal);
    if (rc < 0)
        return rc;
    ops->signal_close(signal);
    rc = bide__sim_host(bide__sim_of(*engine), "a.example.org", "10.0.0.1");
    if (rc < 0)
        return rc;
    *job = (struct task_job){.job = {.run = job_run, .done = job_done, .drop = job_drop},
                             .letter = 'a'};
    rc = ops->job_submit(*engine, &job->job, BIDE_LANE_FILE);
    if (rc < 0)
        return rc;
    *look = (struct look){.lookup = {.job = {.done = look_done, .drop = look_drop},
                                     .host = "localhost",
                                     .service = "1"}};
    rc = ops->lookup(*engine, &look->lookup);
    if (rc < 0)
        return rc;
    run_dry(*engine);
    CHECK_INT(look->n_dones, 1);
    rc = look->lookup.error == EAI_MEMORY ? -ENOMEM : 0;
    CHECK_INT(look->lookup.error, rc == 0 ? 0 : EAI_MEMORY);
    CHECK(!look->lookup.list == (rc < 0));
    ops->lookup_free(*engine, look->lookup.list);
    return rc;
}

BIDE_TEST(every_allocation_may_fail)
{
    unsigned long n = 1;
    for (bool hit = true; hit; n++) {
        struct bide_engine *engine = NULL;
        struct look look;
        struct task_job job = {0};
        runs[0] = dones[0] = '\0';
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = use_everything(&engine, &look, &job);
        hit = fault_disarm();
        CHECK_INT(rc, hit ? -ENOMEM : 0);
        if (engine)
            rig_close(engine);
    }
    CHECK(n > 8);
}

/* The queue */

enum { EVENTS = 300 };

static int nothing_happens(struct bide__sim_event *event)
{
    (void)event;
    return 0;
}

BIDE_TEST(events_happen_by_time_then_in_the_order_of_scheduling)
{
    uint64_t random = test_seed();
    for (int round = 0; round < 100; round++) {
        struct bide__sim_event events[EVENTS] = {0};
        struct bide__sim_queue queue = {0};
        int n_left = 0;
        for (int i = 0; i < EVENTS; i++) {
            events[i].happen = nothing_happens;
            bide__sim_event_add(&queue, &events[i], (int64_t)(test_random(&random) % 50));
            if (test_random(&random) % 3 == 0)
                bide__sim_event_remove(&queue, &events[test_random(&random) % EVENTS]);
        }
        for (int i = 0; i < EVENTS; i++)
            n_left += events[i].scheduled;
        const struct bide__sim_event *before = NULL;
        while (queue.first) {
            struct bide__sim_event *event = queue.first;
            bide__sim_event_remove(&queue, event);
            CHECK(!before || before->at_ns < event->at_ns ||
                  (before->at_ns == event->at_ns && before->order < event->order));
            before = event;
            n_left--;
        }
        CHECK_INT(n_left, 0);
    }
}
