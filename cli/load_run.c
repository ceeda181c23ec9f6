/* The run of a load test; the invariants stand in load_run.h. */
#include "load_run.h"

#include "load_response.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

/* After a failure a connection rests a little, or a server that refuses would be hammered. */
#define PAUSE_SECONDS 0.01

struct worker {
    struct load_run *run;
    struct load_reader reader;
    unsigned n_due; /* requests under way */
    double *due;    /* when each was to be sent, a ring of `pipeline` */
    unsigned first;
};

double load_progress(const struct load_run *run)
{
    double by_count = run->n_max == UINT64_MAX ? 0 : (double)run->n_answers / (double)run->n_max;
    double by_time = isinf(run->duration) ? 0 : (bide_time() - run->begin) / run->duration;
    double most = by_count > by_time ? by_count : by_time;
    return most < 1 ? most : 1;
}

uint64_t load_n_errors(const struct load_run *run)
{
    uint64_t n = 0;
    for (int i = 0; i < LOAD_ERRORS; i++)
        n += run->errors[i];
    return n;
}

static bool is_over(const struct load_run *run)
{
    return run->n_begun >= run->n_max;
}

static enum load_error kind_of(int rc)
{
    switch (rc) {
    case -ETIMEDOUT:
        return LOAD_TIMEOUT;
    case -ECONNRESET:
    case -EPIPE:
    case -ECONNABORTED:
    case -BIDE_EINCOMPLETE:
    case -BIDE_ETRUNCATED:
    case -BIDE_ETORN:
        return LOAD_BROKEN;
    case -EPROTO:
        return LOAD_PROTOCOL;
    default:
        return LOAD_OTHER;
    }
}

static void count_error(struct load_run *run, enum load_error kind, int rc, uint64_t n)
{
    run->errors[kind] += n;
    if (!run->detail[0] && n > 0)
        snprintf(run->detail, sizeof run->detail, "%s%s%s", bide_strerror(rc),
                 *bide_error_detail() ? ": " : "", bide_error_detail());
}

static int open_connection(struct worker *worker)
{
    struct load_run *run = worker->run;
    run->n_connects++;
#if BIDE_HAVE_TLS
    if (run->is_tls)
        return bide_tls_connect(run->host, run->port, run->tls, NULL, &worker->reader.stream);
#endif
    return bide_connect(run->host, run->port, NULL, &worker->reader.stream);
}

/* When the next request is due: now, or as the rate says. */
static double next_due(struct load_run *run)
{
    return run->rate > 0 ? run->begin + (double)run->n_begun / run->rate : bide_time();
}

/* Sends as many as may be under way. */
static int send_some(struct worker *worker)
{
    struct load_run *run = worker->run;
    while (worker->n_due < run->pipeline && !is_over(run)) {
        double due = next_due(run), ahead = due - bide_time();
        run->n_begun++;
        if (ahead > 0) {
            int rc = bide_sleep(ahead);
            if (rc < 0) {
                run->n_begun--;
                return rc;
            }
        }
        worker->due[(worker->first + worker->n_due++) % run->pipeline] = due;
        int rc = bide_write(worker->reader.stream, run->request, run->request_size);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* 1: the connection goes on; 0: the server ends it. */
static int receive_one(struct worker *worker)
{
    struct load_run *run = worker->run;
    struct load_answer answer;
    int rc = load_answer_read(&worker->reader, run->is_head, &answer);
    if (rc < 0)
        return rc;
    load_stats_add(&run->stats, bide_time() - worker->due[worker->first]);
    worker->first = (worker->first + 1) % run->pipeline;
    worker->n_due--;
    run->n_answers++;
    run->statuses[answer.status < LOAD_STATUSES ? answer.status : 0]++;
    return !answer.is_last && run->is_kept_alive;
}

/* All that one connection can do. */
static int converse(struct worker *worker)
{
    struct load_run *run = worker->run;
    int rc = 1;
    while (rc > 0) {
        rc = send_some(worker);
        if (rc < 0 || worker->n_due == 0)
            return rc;
        rc = bide_within(run->timeout, receive_one(worker));
    }
    return rc;
}

static int connection_once(struct worker *worker)
{
    struct load_run *run = worker->run;
    worker->reader.begin = 0;
    worker->reader.end = 0;
    worker->n_due = 0;
    worker->reader.stream = NULL;
    int rc = bide_within(run->timeout, open_connection(worker));
    if (rc < 0) {
        if (rc != -ECANCELED) {
            run->n_begun++;
            count_error(run, LOAD_CONNECT, rc, 1);
        }
        return rc;
    }
    rc = converse(worker);
    if (rc < 0 && rc != -ECANCELED)
        count_error(run, kind_of(rc), rc, worker->n_due);
    else if (worker->n_due > 0) /* sent behind an answer that was the last */
        run->n_begun -= worker->n_due;
    bide_abort(worker->reader.stream);
    bide_close(worker->reader.stream);
    return rc;
}

bide_async(work, (struct load_run *, run))
{
    struct worker *worker = malloc(sizeof *worker);
    int rc = worker ? 0 : -ENOMEM;
    if (worker) {
        worker->run = run;
        worker->first = 0;
        worker->reader.n_bytes = 0;
        worker->due = calloc(run->pipeline, sizeof *worker->due);
        rc = worker->due ? 0 : -ENOMEM;
    }
    while (rc == 0 && !is_over(run)) {
        rc = connection_once(worker);
        if (rc < 0 && rc != -ECANCELED)
            rc = bide_sleep(PAUSE_SECONDS);
    }
    if (worker) {
        run->n_bytes += worker->reader.n_bytes;
        free(worker->due);
    }
    free(worker);
    return rc;
}

static int work_all(struct load_run *run)
{
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < run->n_connections && rc == 0; i++)
        rc = bide_group_spawn(group, work, run);
    return bide_group_close(group, rc);
}

int load_run(struct load_run *run)
{
    run->begin = bide_time();
    int rc = bide_within(run->duration, work_all(run));
    run->end = bide_time();
    return rc == -ETIMEDOUT ? 0 : rc;
}
