/* Waiting for the first of several things: an item of either of two queues, the end of a task, a
 * moment in which nothing comes. */
#include <bide.h>

#include <stdio.h>

BIDE_QUEUE_DEFINE(letters, char);
BIDE_QUEUE_DEFINE(numbers, int);

bide_async(sender, (letters *, some), (numbers *, others))
{
    int rc = letters_put(some, 'a');
    if (rc == 0)
        rc = numbers_put(others, 1);
    if (rc == 0)
        rc = bide_sleep(0.001);
    if (rc == 0)
        rc = numbers_put(others, 2);
    letters_shutdown(some, BIDE_DRAIN);
    return rc < 0 ? rc : bide_sleep(0.3); /* silent before it ends */
}

static int receive(letters *some, numbers *others, bide_task *from)
{
    enum { LETTER, NUMBER, SENDER, SILENCE, N };
    char letter = 0;
    int number = 0;
    struct bide_case cases[N] = {
        [LETTER] = bide_case_get(letters_untyped(some), &letter),
        [NUMBER] = bide_case_get(numbers_untyped(others), &number),
        [SENDER] = bide_case_done(from),
    };
    for (;;) {
        cases[SILENCE] = bide_case_after(0.2);
        int which = bide_select(cases, N);
        if (which < 0)
            return which;
        switch (which) {
        case LETTER:
            if (cases[LETTER].result == 0) {
                printf("letter %c\n", letter);
            } else {
                printf("no more letters: %s\n", bide_strerror(cases[LETTER].result));
                cases[LETTER].kind = BIDE_CASE_NEVER; /* it would be the first each time */
            }
            break;
        case NUMBER:
            printf("number %d\n", number);
            break;
        case SILENCE:
            printf("silence\n");
            break;
        case SENDER:
            printf("the sender has ended\n");
            return 0;
        }
    }
}

static int send_and_receive(letters *some, numbers *others)
{
    bide_task_scoped *task = bide_spawn(sender, some, others);
    return receive(some, others, task);
}

bide_async(amain)
{
    letters *some = NULL;
    numbers *others = NULL;
    int rc = letters_new(NULL, &some);
    if (rc == 0)
        rc = numbers_new(NULL, &others);
    if (rc == 0)
        rc = send_and_receive(some, others);
    letters_free(some);
    numbers_free(others);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
