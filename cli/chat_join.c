/*
 * `bide chat join`: one task shows what the server says, another sends what the user does.
 *
 * On a terminal, what comes scrolls up above the line that is being edited; without one, lines are
 * copied in both directions. Invariant: nothing that came from others reaches a terminal but as
 * plain text.
 */
#include "command.h"

#include <bide.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PRINT_BYTES_MAX = 16 * 1024, REASON_SIZE = 256, LINE_BYTES_MAX = 4096 };
#define CONNECT_SECONDS 10
#define FAREWELL_SECONDS 5 /* for what was said last to come back */

struct join_opts {
    const char *host;
    unsigned port;
    const char *name;
};

struct joined {
    bide_stream *server;
    bide_terminal *terminal; /* NULL: plain lines, and then … */
    bide_stream *in, *out;
    bool filtered;            /* `out` is a terminal all the same */
    char reason[REASON_SIZE]; /* why the server ends it, in its words */
};

static const char help[] =
    "usage: bide chat join HOST PORT NAME\n"
    "\n"
    "Joins a chat (bide chat serve) as NAME. What the others say scrolls up above the\n"
    "line that you edit; Enter sends it, Ctrl-D on an empty line leaves. If input or\n"
    "output is no terminal, lines are copied as they come.\n"
    "\n"
    "  --help          print this\n";

/* What comes */

static int show_plain(const struct joined *joined, const char *line, size_t size)
{
    static char text[3 * (PRINT_BYTES_MAX + 1) + 1];
    if (!joined->filtered)
        return bide_write(joined->out, line, size);
    size_t n = bide_terminal_plain(line, size, text, sizeof text);
    return bide_write(joined->out, text, n < sizeof text ? n : sizeof text - 1);
}

/* A line with its newline in the place of the NUL behind it. */
static int show(const struct joined *joined, char *line, size_t length)
{
    if (length > PRINT_BYTES_MAX)
        length = PRINT_BYTES_MAX;
    if (joined->terminal)
        return bide_terminal_print(joined->terminal, line, length);
    line[length] = '\n';
    return show_plain(joined, line, length + 1);
}

static bool is_error(struct joined *joined, const char *line)
{
    static const char prefix[] = "ERROR ";
    if (strncmp(line, prefix, sizeof prefix - 1) != 0)
        return false;
    bide_terminal_plain(line + sizeof prefix - 1, strlen(line + sizeof prefix - 1), joined->reason,
                        sizeof joined->reason);
    return true;
}

bide_async(hear, (struct joined *, joined))
{
    char *line;
    int rc;
    while ((rc = bide_read_line(joined->server, &line)) > 0) {
        size_t length = bide_at_eof(joined->server) ? strlen(line) : (size_t)rc - 1;
        if (is_error(joined, line))
            continue;
        rc = show(joined, line, length);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* What goes */

/* A paste may have brought several lines; empty ones say nothing. */
static int say_lines(bide_stream *server, char *text)
{
    int rc = 0;
    for (char *line = text, *end; rc == 0 && *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        struct iovec pieces[] = {{line, (size_t)(end - line)}, {(char[]){'\n'}, 1}};
        if (end > line)
            rc = bide_writev(server, pieces, 2);
    }
    return rc;
}

static int say_edited(struct joined *joined)
{
    char *line;
    int rc;
    while ((rc = bide_terminal_read_line(joined->terminal, "> ", &line)) > 0) {
        rc = say_lines(joined->server, line);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int say_plain(struct joined *joined)
{
    char bytes[2048];
    int rc;
    while ((rc = bide_read(joined->in, bytes, sizeof bytes)) > 0) {
        rc = bide_write(joined->server, bytes, (size_t)rc);
        if (rc < 0)
            return rc;
    }
    return rc;
}

bide_async(say, (struct joined *, joined))
{
    int rc = joined->terminal ? say_edited(joined) : say_plain(joined);
    return rc < 0 ? rc : bide_write_eof(joined->server);
}

/* Both */

/* How it went, until the server has ended the connection. */
struct outcome {
    int heard, said;
    bool left; /* it was the user who left */
};

static struct outcome converse(struct joined *joined)
{
    struct outcome outcome = {0};
    bide_task *listener = bide_spawn(hear, joined);
    bide_task *speaker = bide_spawn(say, joined);
    bide_task *tasks[] = {listener, speaker};
    outcome.heard = bide_wait(tasks, 2, BIDE_FIRST_COMPLETED);
    if (outcome.heard < 0) {
        bide_cancel_join(tasks, 2);
        return outcome;
    }
    outcome.left = bide_task_done(speaker);
    if (!outcome.left) {
        outcome.heard = bide_await(listener);
        bide_cancel_join(&speaker, 1);
        return outcome;
    }
    outcome.said = bide_await(speaker);
    /* What was piped in may take any time to come back. */
    outcome.heard = joined->terminal ? bide_within(FAREWELL_SECONDS, bide_await(listener))
                                     : bide_await(listener);
    if (outcome.heard == -ETIMEDOUT)
        outcome.heard = 0;
    return outcome;
}

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "bide: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return EXIT_FAILURE;
}

static int tell(const struct joined *joined, const struct outcome *outcome)
{
    if (joined->reason[0] != '\0')
        return complain("the server says", joined->reason);
    if (outcome->heard < 0)
        return complain("the connection broke", bide_strerror(outcome->heard));
    if (outcome->said < 0)
        return complain("nothing more can be said", bide_strerror(outcome->said));
    return outcome->left ? EXIT_SUCCESS : complain("the server has ended the connection", NULL);
}

static int greet(bide_stream *server, const char *name)
{
    static char connect[] = "CONNECT ", newline[] = "\n";
    struct iovec pieces[] = {
        {connect, sizeof connect - 1}, {(void *)(uintptr_t)name, strlen(name)}, {newline, 1}};
    return bide_writev(server, pieces, 3);
}

/* The terminal, or where there is none, two streams. */
static int open_user(struct joined *joined)
{
    const char *kind = getenv("TERM");
    const struct bide_terminal_opts opts = {
        .mode = BIDE_TERMINAL_CBREAK, .erase_entered = true, .line_bytes_max = LINE_BYTES_MAX};
    int rc = kind && strcmp(kind, "dumb") != 0 ? bide_terminal_open(&opts, &joined->terminal)
                                               : -ENOTTY;
    if (rc != -ENOTTY)
        return rc;
    joined->filtered = isatty(STDOUT_FILENO);
    rc = bide_stdin(NULL, &joined->in);
    return rc < 0 ? rc : bide_stdout(NULL, &joined->out);
}

static int close_user(struct joined *joined)
{
    int rc = bide_terminal_close(joined->terminal);
    bide_close(joined->in);
    int closed = bide_close(joined->out);
    return rc < 0 ? rc : closed;
}

bide_async(join, (const struct join_opts *, opts))
{
    static struct joined joined;
    int rc = bide_within(CONNECT_SECONDS,
                         bide_connect(opts->host, opts->port, NULL, &joined.server));
    if (rc < 0) {
        fprintf(stderr, "bide: can't connect to %s, port %u: %s\n", opts->host, opts->port,
                bide_strerror(rc));
        return EXIT_FAILURE;
    }
    rc = open_user(&joined);
    if (rc == 0)
        rc = greet(joined.server, opts->name);
    struct outcome outcome = {.heard = rc};
    if (rc == 0)
        outcome = converse(&joined);
    rc = close_user(&joined); /* the terminal is in order before anything is said on it */
    int status = tell(&joined, &outcome);
    if (rc < 0 && status == EXIT_SUCCESS)
        status = complain("standard output", bide_strerror(rc));
    bide_abort(joined.server);
    bide_close(joined.server);
    return status;
}

/* Whether it can be said in one line; the rest is for the server to judge. */
static bool is_line(const char *name)
{
    return *name && !strpbrk(name, "\r\n");
}

int chat_join(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return usage_hint(argv[0]);
    }
    if (argc - optind > 3)
        return usage_error(argv[0], "unexpected argument '%s'", argv[optind + 3]);
    if (argc - optind < 3)
        return usage_error(argv[0], "HOST, PORT and NAME are needed");
    struct join_opts opts = {.host = argv[optind], .name = argv[optind + 2]};
    if (!parse_port(argv[optind + 1], &opts.port) || opts.port == 0)
        return usage_error(argv[0], "'%s' is no port: 1 to 65535", argv[optind + 1]);
    if (!is_line(opts.name))
        return usage_error(argv[0], "a name is not empty, and one line");
    int rc = bide_run_with(NULL, join, &opts);
    return rc >= 0 ? rc : complain("can't run", bide_strerror(rc));
}
