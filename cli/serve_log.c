/*
 * The access log of `bide serve`.
 *
 * A line is whole or missing, and shows nothing of a client's but printable ASCII without quotes.
 */
#include "serve_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_SIZE = 1024, TARGET_SIZE = 700, TIME_SIZE = 32, LOST_SIZE = 64 };

/* That the log's reader has, when the server ends, for what is left. */
#define LINGER_SECONDS 1

static int put_lost(const struct serve_log *log, char buffer[LOST_SIZE])
{
    return snprintf(buffer, LOST_SIZE, "(%" PRIu64 " lines are missing)\n", log->n_lost);
}

/* Told once; the server goes on. */
static void fail(struct serve_log *log, int error)
{
    if (!log->has_failed)
        fprintf(stderr, "%s: the log ends: %s\n", log->command, bide_strerror(error));
    log->has_failed = true;
}

static void add(struct serve_log *log, const char *line)
{
    char text[LINE_SIZE + LOST_SIZE];
    int n = log->n_lost > 0 ? put_lost(log, text) : 0;
    n += snprintf(text + n, LINE_SIZE, "%s", line);
    int rc = log->has_failed ? 0 : bide_offer(log->out, text, (size_t)n);
    if (rc == -EAGAIN)
        log->n_lost++;
    else if (rc < 0)
        fail(log, rc);
    else
        log->n_lost = 0;
}

/* A text that is too long ends with three dots. */
static void put_escaped(const char *text, char buffer[TARGET_SIZE])
{
    size_t n = 0;
    for (; *text && n < TARGET_SIZE - 8; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 127 || c == '"' || c == '\\')
            n += (size_t)snprintf(buffer + n, TARGET_SIZE - n, "\\x%02x", c);
        else
            buffer[n++] = (char)c;
    }
    snprintf(buffer + n, TARGET_SIZE - n, "%s", *text ? "..." : "");
}

static void put_time(char buffer[TIME_SIZE])
{
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(buffer, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static int log_request(bide_http_request *request, bide_http_next *next, void *data)
{
    char line[LINE_SIZE], target[TARGET_SIZE], now[TIME_SIZE], peer[BIDE_ADDRESS_TEXT_SIZE];
    struct serve_log *log = data;
    struct bide_address address = bide_http_peer(request);
    double begin = bide_time();
    int rc = bide_http_next_run(next);
    int status = bide_http_reply_status(request);
    if (status == 0 && rc < 0) /* what the server is about to answer; 0: nobody is there any more */
        status = rc == -ECANCELED ? 0 : rc == -BIDE_ELIMIT ? 413 : 500;
    put_escaped(bide_http_target(request), target);
    put_time(now);
    bide_address_print(&address, peer, sizeof peer);
    bool is_head = strcmp(bide_http_method(request), "HEAD") == 0;
    snprintf(line, sizeof line, "%s %s \"%.16s %s\" %d %" PRIu64 " %.1f ms%s\n", now, peer,
             bide_http_method(request), target, status,
             is_head ? 0 : bide_http_reply_bytes(request), (bide_time() - begin) * 1000,
             rc < 0 ? " (broken off)" : "");
    add(log, line);
    return rc;
}

int serve_log_open(struct serve_log *log, const char *command, bide_http_app *app)
{
    *log = (struct serve_log){.command = command};
    int rc = bide_stdout(NULL, &log->out);
    return rc < 0 ? rc : bide_http_use(app, log_request, log, NULL);
}

void serve_log_close(struct serve_log *log)
{
    char line[LOST_SIZE];
    int rc = 0;
    if (!log->out)
        return;
    if (log->n_lost > 0 && !log->has_failed)
        rc = bide_within(LINGER_SECONDS, bide_write(log->out, line, (size_t)put_lost(log, line)));
    int closed = bide_within(LINGER_SECONDS, bide_close(log->out));
    rc = rc < 0 ? rc : closed;
    if (rc < 0)
        fail(log, rc);
    log->out = NULL;
}
