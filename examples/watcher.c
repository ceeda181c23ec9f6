/* Watching descriptors that are not bide's own: a callback in each turn in which a pipe can be
 * read, or written to. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int n_written;

static int write_pipe(void *data)
{
    int *ends = data;
    if (++n_written > 3) { /* at the end, nobody will write any more */
        bide_loop_remove_writer(bide_loop_current(), ends[1]);
        close(ends[1]);
        return 0;
    }
    char text[] = {'<', (char)('0' + n_written), '>'};
    return write(ends[1], text, sizeof text) == sizeof text ? 0 : -EIO;
}

static int read_pipe(void *data)
{
    char text[32];
    int *ends = data;
    ssize_t n = read(ends[0], text, sizeof text);
    if (n > 0) {
        fwrite(text, 1, (size_t)n, stdout);
        return 0;
    }
    printf("\nend of file\n");
    bide_loop_remove_reader(bide_loop_current(), ends[0]);
    bide_loop_stop(bide_loop_current());
    return n < 0 ? -errno : 0;
}

int main(void)
{
    bide_loop *loop;
    int ends[2];
    if (pipe(ends) < 0 || bide_loop_new(NULL, &loop) < 0)
        return 1;
    int rc = bide_loop_add_reader(loop, ends[0], read_pipe, ends, NULL);
    if (rc >= 0)
        rc = bide_loop_add_writer(loop, ends[1], write_pipe, ends, NULL);
    if (rc >= 0)
        rc = bide_loop_run_forever(loop);
    close(ends[0]);
    return bide_loop_close(loop) < 0 || rc < 0;
}
