/* A pipe inside of one program: one task writes, another reads, and a full pipe holds the writer
 * up.
 */
#include <bide.h>

#include <stdio.h>

enum { NUMBERS = 20000 };

bide_async(produce, (bide_stream *, to))
{
    char line[16];
    for (int i = 1; i <= NUMBERS; i++) {
        int n = snprintf(line, sizeof line, "%d\n", i);
        int rc = bide_write(to, line, (size_t)n); /* waits while the reader is behind */
        if (rc < 0)
            return rc;
    }
    return bide_write_eof(to);
}

bide_async(consume, (bide_stream *, from))
{
    char *line;
    int rc, n = 0;
    while ((rc = bide_read_line(from, &line)) > 0)
        n++;
    printf("%d lines, then the end: %s\n", n, bide_strerror(rc));
    return rc;
}

bide_async(amain)
{
    bide_stream *from, *to;
    int rc = bide_pipe(NULL, &from, &to);
    if (rc < 0)
        return rc;
    printf("written to the wrong end: %s\n", bide_strerror(bide_write(from, "x", 1)));
    bide_task *tasks[] = {bide_spawn(produce, to), bide_spawn(consume, from)};
    rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    bide_close(from);
    int closed = bide_close(to);
    return rc < 0 ? rc : closed;
}

int main(void)
{
    return bide_run(amain);
}
