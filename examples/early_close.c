/* A generator that is left before its end cleans up, and may wait for that: after a break, an
 * error, a time limit. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

bide_generator(int, rows, (int, n))
{
    int rc = 0;
    printf("  the cursor is open\n");
    for (int i = 1; i <= n && rc >= 0; i++) {
        rc = bide_sleep(i < 3 ? 0 : 60); /* the third one takes long */
        if (rc >= 0)
            rc = bide_yield(i);
    }
    int slept = bide_shielded(1, bide_sleep(0.001)); /* says good-bye to the database */
    printf("  the cursor is closed: %s\n", bide_strerror(slept));
    return rc;
}

static int print_rows(int n, int enough)
{
    int rc;
    bide_for (int, row, rc, bide_iterate(rows, n)) {
        printf("  row %d\n", row);
        if (row == enough)
            break;
    }
    return rc;
}

static int fail_on_first_row(void)
{
    int rc;
    bide_for (int, row, rc, bide_iterate(rows, 2)) {
        printf("  row %d\n", row);
        return -EIO; /* the generator is closed on this way too */
    }
    return rc;
}

bide_async(amain)
{
    printf("to the end:\n");
    int rc = print_rows(2, 0);
    printf("  came to: %s\n", bide_strerror(rc));
    printf("break:\n");
    rc = print_rows(2, 1);
    printf("  came to: %s\n", bide_strerror(rc));
    printf("return:\n");
    rc = fail_on_first_row();
    printf("  came to: %s\n", bide_strerror(rc));
    printf("a time limit:\n");
    rc = bide_within(0.2, print_rows(3, 0));
    printf("  came to: %s\n", bide_strerror(rc));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
