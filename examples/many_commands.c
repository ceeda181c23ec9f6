/* Many commands, so many at once as a semaphore lets through; the first failure ends the others. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { COMMANDS = 20, AT_ONCE = 4 };

static bide_semaphore slots = BIDE_SEMAPHORE(AT_ONCE);
static int n_running, n_running_max;

bide_async(run, (int, number), (int *, ret_square))
{
    struct bide_process_opts opts = {.output.kind = BIDE_STDIO_PIPE};
    bide_process *process;
    char command[64];
    char *line;
    int rc;
    snprintf(command, sizeof command, "echo $((%d * %d))", number, number);
    bide_with_semaphore (rc, &slots) {
        bide_with (rc, bide_process_shell(command, &opts, &process), bide_process_release,
                   process) {
            n_running++;
            if (n_running > n_running_max)
                n_running_max = n_running;
            rc = bide_read_line(bide_process_output(process), &line);
            if (rc > 0)
                rc = sscanf(line, "%d", ret_square) == 1 ? 0 : -EPROTO;
            n_running--;
        }
    }
    return rc;
}

bide_async(amain)
{
    int squares[COMMANDS] = {0};
    int sum = 0;
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    for (int i = 0; i < COMMANDS && rc == 0; i++)
        rc = bide_group_spawn(group, run, i, &squares[i]);
    rc = bide_group_close(group, rc);
    if (rc < 0)
        return rc;
    for (int i = 0; i < COMMANDS; i++)
        sum += squares[i];
    printf("sum of %d squares: %d\n", COMMANDS, sum);
    printf("at most %d at once: %s\n", AT_ONCE, n_running_max <= AT_ONCE ? "yes" : "no");
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
