/* Asking a command to end, and ending one that does not listen. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

/* Says that it is ready on its standard error, so that no signal comes too early. */
static const char listens[] = "trap 'exit 3' TERM; echo ready >&2;"
                              "while :; do sleep 0.01; done";
static const char ignores[] = "trap '' TERM; echo ready >&2;"
                              "while :; do sleep 0.01; done";

static void show(const char *what, const struct bide_exit *how)
{
    if (how->signal > 0)
        printf("  %s: ended by signal %d\n", what, how->signal);
    else
        printf("  %s: status %d\n", what, how->status);
}

static int stop(bide_process *process, double patience)
{
    struct bide_exit how;
    char *line;
    int rc = bide_read_line(bide_process_errors(process), &line);
    if (rc <= 0)
        return rc < 0 ? rc : -BIDE_EINCOMPLETE;
    printf("  %s, has a number: %s, has ended: %s\n", line,
           bide_process_pid(process) > 0 ? "yes" : "no",
           bide_process_poll(process, NULL) == 1 ? "yes" : "no");
    rc = bide_process_terminate(process);
    if (rc < 0)
        return rc;
    rc = bide_within(patience, bide_process_wait(process, &how));
    if (rc == 0)
        show("asked", &how);
    if (rc != -ETIMEDOUT)
        return rc;
    printf("  asked, and goes on\n");
    bide_process_kill(process);
    rc = bide_process_wait(process, &how);
    if (rc == 0)
        show("killed", &how);
    printf("  once more: %s\n", bide_strerror(bide_process_kill(process)));
    return rc;
}

bide_async(start_and_stop, (const char *, command), (double, patience))
{
    struct bide_process_opts opts = {.errors.kind = BIDE_STDIO_PIPE, .new_group = true};
    bide_process *process;
    int rc = bide_process_shell(command, &opts, &process);
    if (rc < 0)
        return rc;
    rc = bide_within(30, stop(process, patience));
    int closed = bide_process_close(process);
    return rc < 0 ? rc : closed;
}

bide_async(amain)
{
    printf("one that ignores it:\n");
    int rc = start_and_stop(ignores, 0.1);
    if (rc < 0)
        return rc;
    printf("one that listens:\n");
    return start_and_stop(listens, 20);
}

int main(void)
{
    return bide_run(amain);
}
