/* A time limit around a block, which is moved each time that there is progress: a peer may be
 * silent for so long, however long the whole takes. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

enum { N = 5 };

static const double pause = 0.001, silence = 0.2;

/* Stands for reading from a peer: some lines come quickly, then nothing more. */
static int read_line(int i)
{
    return bide_sleep(i < N ? pause : 60);
}

bide_async(amain)
{
    bide_timeout *idle;
    int rc = bide_timeout_begin(silence, &idle);
    if (rc < 0)
        return rc;
    for (int i = 0; (rc = read_line(i)) == 0; i++) {
        double before = bide_timeout_deadline(idle);
        bide_timeout_move(idle, bide_time() + silence);
        bool later = bide_timeout_deadline(idle) > before;
        printf("line %d, the limit is %s\n", i, later ? "later now" : "where it was");
    }
    printf("inside: %s; expired? %s\n", bide_strerror(rc),
           bide_timeout_expired(idle) ? "yes" : "no");
    rc = bide_timeout_end(idle, rc);
    printf("outside: %s\n", bide_strerror(rc));
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    return bide_run(amain);
}
