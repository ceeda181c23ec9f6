/*
 * Blocking work in threads: waited for, submitted and collected, its errors with their words, and
 * one that is cancelled before it began.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct number {
    const char *text;
    long value;
};

/* Runs on a thread: it may block and compute as long as it likes. */
static int parse(void *data)
{
    struct number *number = data;
    char *end;
    number->value = strtol(number->text, &end, 10);
    if (end == number->text || *end != '\0')
        return bide_fail(-EINVAL, "'%s' is no number", number->text);
    return 0;
}

static int sum_up(void *data)
{
    int sum = 0;
    for (int i = 1; i <= *(int *)data; i++)
        sum += i;
    return sum;
}

/* The job's own data: whoever lets go of it last calls this, once. */
static int submit_sum(int n, bide_task **ret_task)
{
    int *data = malloc(sizeof *data);
    if (!data)
        return -ENOMEM;
    *data = n;
    int rc = bide_submit(sum_up, data, free, ret_task);
    if (rc < 0)
        free(data);
    return rc;
}

bide_async(amain)
{
    struct number number = {.text = "42"};
    int rc = bide_to_thread(parse, &number);
    printf("%d: %ld\n", rc, number.value);
    number.text = "forty";
    rc = bide_to_thread(parse, &number);
    printf("%s: %s\n", bide_strerror(rc), bide_error_detail());

    bide_task *tasks[3];
    int results[3];
    for (int i = 0; i < 3; i++)
        if ((rc = submit_sum(10 * (i + 1), &tasks[i])) < 0)
            return rc;
    rc = bide_gather(tasks, 3, results);
    printf("%d %d %d\n", results[0], results[1], results[2]);
    if (rc < 0 || submit_sum(1000, &tasks[0]) < 0)
        return rc;
    bide_cancel(tasks[0]);
    printf("%s\n", bide_strerror(bide_await(tasks[0])));
    return 0;
}

int main(void)
{
    return bide_run_with((&(struct bide_loop_opts){.threads_max = 2}), amain) < 0;
}
