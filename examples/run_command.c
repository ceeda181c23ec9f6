/* Running a command: what it is fed, what it says, how it ended, and what cannot be run. */
#include <bide.h>

#include <stdio.h>
#include <string.h>

static int sort_lines(void)
{
    static const char lines[] = "pear\napple\nplum\n";
    struct bide_process_opts opts = {
        .input.kind = BIDE_STDIO_PIPE,
        .output.kind = BIDE_STDIO_PIPE,
    };
    bide_process *sort = NULL;
    struct bide_communicated said = {0};
    int rc = bide_process_exec(bide_argv("sort"), &opts, &sort);
    if (rc < 0)
        return rc;
    bide_defer(bide_process_release, sort);
    rc = bide_within(10, bide_process_communicate(sort, lines, strlen(lines), 0, &said));
    if (rc < 0)
        return rc;
    printf("sort says:\n%s", said.output);
    bide_communicated_free(&said);
    return 0;
}

static int tell_exit(const char *command)
{
    bide_process *process;
    struct bide_exit how;
    int rc = bide_process_shell(command, NULL, &process);
    if (rc < 0)
        return rc;
    bide_defer(bide_process_release, process);
    rc = bide_process_wait(process, &how);
    if (rc == 0)
        printf("%s: %d\n", command, bide_exit_code(&how));
    return rc;
}

bide_async(amain)
{
    bide_process *process;
    int rc = sort_lines();
    if (rc == 0)
        rc = tell_exit("exit 3");
    if (rc == 0)
        rc = tell_exit("kill -9 $$");
    if (rc < 0)
        return rc;
    rc = bide_process_exec(bide_argv("no-such-program"), NULL, &process);
    printf("%s: %s\n", bide_error_detail(), bide_strerror(rc));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
