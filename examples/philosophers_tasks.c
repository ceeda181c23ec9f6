/* Dining philosophers as tasks: the same trap as with threads, since a lock is held across a wait,
 * and the same way out; and a third one, that fewer sit down than there are forks. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 5, MEALS = 3 };

static bide_lock forks[N];
static bide_semaphore seats = BIDE_SEMAPHORE(N - 1);
static int meals;

static int eat(int first, int second)
{
    int rc;
    bide_with_lock (rc, &forks[first]) {
        rc = bide_sleep(0); /* looks for the second one */
        bide_with_lock (rc, &forks[second]) {
            meals++;
            rc = bide_sleep(0);
        }
    }
    return rc;
}

bide_async(left_first, (int, id), (double, end))
{
    return bide_until(end, eat(id, (id + 1) % N));
}

bide_async(lower_first, (int, id))
{
    int left = id, right = (id + 1) % N, rc = 0;
    for (int i = 0; i < MEALS && rc >= 0; i++)
        rc = left < right ? eat(left, right) : eat(right, left);
    return rc;
}

bide_async(seated, (int, id))
{
    int rc = 0;
    for (int i = 0; i < MEALS && rc >= 0; i++) {
        bide_with_semaphore (rc, &seats) {
            rc = eat(id, (id + 1) % N);
        }
    }
    return rc;
}

static int end(const char *how, bide_task **tasks)
{
    int results[N], n_hungry = 0;
    int rc = bide_gather_all(tasks, N, results);
    for (int i = 0; i < N; i++)
        n_hungry += results[i] == -ETIMEDOUT;
    printf("%s: %d meals, %d gave up\n", how, meals, n_hungry);
    meals = 0;
    return rc;
}

bide_async(amain)
{
    bide_task *tasks[N];
    double end_time = bide_time() + 0.1; /* the same for all: nobody gives in before the others */
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(left_first, i, end_time);
    int rc = end("left fork first", tasks);
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(lower_first, i);
    if (rc == 0)
        rc = end("lower fork first", tasks);
    for (int i = 0; i < N; i++)
        tasks[i] = bide_spawn(seated, i);
    return rc < 0 ? rc : end("left fork first, a seat less", tasks);
}

int main(void)
{
    return bide_run(amain);
}
