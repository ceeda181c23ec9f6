/* Context variables: the id of the request that a task serves, seen by everything it calls and
 * starts, and beside them a variable of the thread, which all its tasks share. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

static const bide_context_var request_id = {"request_id", "none"};
static _Thread_local int lines_logged;

static void log_line(const char *what)
{
    lines_logged++;
    printf("[%s] %s\n", (const char *)bide_context_get(&request_id), what);
}

bide_async(query, (double, seconds))
{
    log_line("query begins");
    int rc = bide_sleep(seconds);
    log_line("query ends");
    return rc;
}

bide_async(serve, (const char *, id), (double, seconds))
{
    int rc = bide_context_set(&request_id, id, NULL, NULL);
    if (rc < 0)
        return rc;
    log_line("request begins");
    rc = bide_await(bide_spawn(query, seconds)); /* a task of its own inherits the id */
    log_line("request ends");
    return rc;
}

static int audit(void *data)
{
    log_line(data);
    return 0;
}

bide_async(amain)
{
    bide_task *tasks[] = {bide_spawn(serve, "A", 0.1), bide_spawn(serve, "B", 0.01)};
    int rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    log_line("both are done"); /* what they set was theirs */

    bide_context_token *token;
    if (rc < 0 || (rc = bide_context_set(&request_id, "C", NULL, &token)) < 0)
        return rc;
    bide_loop_call_soon(bide_loop_current(), audit, "a callback has what was set", NULL, NULL);
    bide_context_reset(token); /* the callback keeps what was set when it was scheduled */
    bide_sleep(0);
    log_line("reset");

    if ((rc = bide_context_set(&request_id, "D", NULL, &token)) < 0)
        return rc;
    bide_context *then = bide_context_copy();
    bide_context_token_free(token); /* it is to stay */
    rc = then ? bide_context_set(&request_id, "E", NULL, NULL) : -ENOMEM;
    if (rc >= 0)
        printf("kept: %s\n", (const char *)bide_context_lookup(then, &request_id));
    bide_context_free(then);
    log_line("set anew");
    printf("%d lines logged by this thread\n", lines_logged);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
