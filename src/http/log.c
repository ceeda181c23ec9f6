/*
 * Access logs.
 *
 * Invariants
 *  - A request adds a line to `filling`, or drops it, and never waits.
 *  - One task writes: what is in `writing` is whole lines, and is gone or dropped before the next
 * ones take its place.
 */
#include "http/log.h"

#include "http/exchange.h"
#include "runtime/loop.h"

#include <bide/async.h>
#include <bide/error.h>
#include <bide/event.h>
#include <bide/file.h>
#include <bide/http_middleware.h>
#include <bide/stream.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_BYTES = 262144, LINES_BYTES_MIN = 2 * BIDE__HTTP_LOG_LINE };

struct lines {
    char *data;
    size_t size, n;
};

struct log {
    enum bide_http_log_format format;
    char *path; /* NULL: a stream */
    bide_stream *stream;
    size_t queue_bytes;
    uint64_t *dropped;

    bide_file *file;
    bide_task *writer;
    bide_event has_lines;
    bool is_ending;
    bool has_failed; /* and was reported */
    struct lines filling, writing;
};

struct log_filter {
    struct bide__http_filter filter;
    struct log *log;
    struct bide__http_log_entry entry;
};

static void drop_lines(struct log *log, size_t n)
{
    if (log->dropped)
        *log->dropped += n;
}

static void log_free(void *data)
{
    struct log *log = data;
    free(log->filling.data);
    free(log->writing.data);
    free(log->path);
    free(log);
}

/* Lines */

static void log_add(struct log *log, const struct bide__http_log_entry *entry,
                    const bide_http_request *request)
{
    char line[BIDE__HTTP_LOG_LINE];
    size_t size = bide__http_log_print(entry, request, log->format, line);
    if (!log->writer || size > log->queue_bytes - log->filling.size) {
        drop_lines(log, 1);
        return;
    }
    memcpy(log->filling.data + log->filling.size, line, size);
    log->filling.size += size;
    log->filling.n++;
    bide_event_set(&log->has_lines);
}

static void log_done(struct bide__http_filter *base, bide_http_request *request)
{
    struct log_filter *filter = (struct log_filter *)base;
    filter->entry.seconds = bide_time() - filter->entry.begun;
    log_add(filter->log, &filter->entry, request);
}

/* Middleware never saw it. */
static void log_refused(bide_http_request *request, void *data)
{
    struct bide__http_log_entry entry = {.seconds = request->waited_seconds,
                                         .wall_seconds = bide__http_wall_seconds()};
    log_add(data, &entry, request);
}

static int log_middleware(bide_http_request *request, bide_http_next *next, void *data)
{
    struct log_filter *filter = bide_http_alloc(request, sizeof *filter);
    if (!filter)
        return -ENOMEM;
    *filter = (struct log_filter){.filter = {.done = log_done}, .log = data};
    filter->entry.begun = bide_time();
    filter->entry.wall_seconds = bide__http_wall_seconds();
    bide__http_filter_add(request, &filter->filter);
    return bide_http_next_run(next);
}

/* Writing */

/* Part of a line would spoil the next one. */
static int write_lines(struct log *log)
{
    size_t written = 0;
    if (log->stream)
        return bide_write(log->stream, log->writing.data, log->writing.size);
    int rc = bide_file_write(log->file, log->writing.data, log->writing.size, &written);
    if (rc < 0 && written > 0 && log->writing.data[written - 1] != '\n')
        (void)bide_file_write(log->file, "\n", 1, NULL);
    return rc;
}

static void report(struct log *log, int rc)
{
    if (rc < 0 && !log->has_failed)
        bide_loop_report(bide_loop_current(),
                         &(struct bide_report){.message = "the access log can't be written; its "
                                                          "lines are dropped until it can",
                                               .error = rc,
                                               .detail = bide_error_detail()});
    log->has_failed = rc < 0;
}

static int write_all(struct log *log)
{
    while (log->filling.size > 0) {
        struct lines full = log->filling;
        log->filling = (struct lines){.data = log->writing.data};
        log->writing = full;
        int rc = write_lines(log);
        if (rc < 0)
            drop_lines(log, full.n);
        if (rc == -ECANCELED)
            return rc;
        report(log, rc);
    }
    return 0;
}

bide_async(log_writer, (struct log *, log))
{
    int rc = 0;
    while (rc == 0 && (!log->is_ending || log->filling.size > 0)) {
        rc = bide_event_wait(&log->has_lines);
        bide_event_clear(&log->has_lines);
        if (rc == 0)
            rc = write_all(log);
    }
    return rc;
}

/* While the application is served */

static int log_begin(void *state, void *data)
{
    struct log *log = data;
    (void)state;
    if (!log->filling.data)
        log->filling.data = malloc(log->queue_bytes);
    if (!log->writing.data)
        log->writing.data = malloc(log->queue_bytes);
    if (!log->filling.data || !log->writing.data)
        return -ENOMEM;
    int rc = log->path ? bide_file_open(log->path, O_WRONLY | O_APPEND | O_CREAT, 0644, &log->file)
                       : 0;
    if (rc < 0)
        return rc;
    log->is_ending = false;
    log->has_failed = false;
    /* Its waits must not fail for want of memory. */
    static const struct bide_task_opts opts = {.stack = BIDE_STACK_PRIVATE};
    log->writer = bide_spawn_with(&opts, log_writer, log);
    if (log->writer)
        return 0;
    bide_file_close(log->file);
    log->file = NULL;
    return -ENOMEM;
}

static int log_end(void *state, void *data)
{
    struct log *log = data;
    (void)state;
    if (!log->writer)
        return 0;
    log->is_ending = true;
    bide_event_set(&log->has_lines);
    int rc = bide_await(log->writer);
    log->writer = NULL;
    drop_lines(log, log->filling.n);
    log->filling.size = log->filling.n = 0;
    int closed = bide_file_close(log->file);
    log->file = NULL;
    return rc < 0 ? rc : closed;
}

int bide_http_use_log(bide_http_app *app, const struct bide_http_log_opts *opts)
{
    if (!app || !opts || !opts->path == !opts->stream ||
        (unsigned)opts->format > BIDE_HTTP_LOG_JSON ||
        (opts->queue_bytes > 0 && opts->queue_bytes < LINES_BYTES_MIN))
        return -EINVAL;
    struct log *log = calloc(1, sizeof *log);
    if (!log)
        return -ENOMEM;
    log->format = opts->format;
    log->stream = opts->stream;
    log->dropped = opts->dropped;
    log->queue_bytes = opts->queue_bytes > 0 ? opts->queue_bytes : QUEUE_BYTES;
    log->path = opts->path ? strdup(opts->path) : NULL;
    int rc = opts->path && !log->path ? -ENOMEM : bide_http_use(app, log_middleware, log, log_free);
    if (rc < 0) {
        log_free(log);
        return rc;
    }
    return bide__http_on(app, log_begin, log_end, log_refused, log);
}
