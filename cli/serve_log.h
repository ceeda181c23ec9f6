/*
 * The access log of `bide serve`: a line on standard output for each request that was answered.
 *
 * No client waits for the log. Where its reader is too slow lines are left out, and counted.
 */
#ifndef BIDE_CLI_SERVE_LOG_H
#define BIDE_CLI_SERVE_LOG_H

#include <bide.h>
#include <bide/http_app.h>

struct serve_log {
    bide_stream *out;
    const char *command;
    uint64_t n_lost;
    bool has_failed;
};

/* Returns 0 or an error. command: for messages on standard error; borrowed. */
int serve_log_open(struct serve_log *log, const char *command, bide_http_app *app);

/* Writes what is left. */
void serve_log_close(struct serve_log *log);

#endif
