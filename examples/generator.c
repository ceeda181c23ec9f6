/* A generator: a function that hands out one value after the other. One that does not wait needs
 * neither task nor loop. */
#include <bide.h>

#include <stdio.h>

bide_generator(int, fibonacci, (int, up_to))
{
    int a = 0, b = 1;
    while (a <= up_to) {
        int rc = bide_yield(a);
        if (rc < 0)
            return rc; /* closed before its end */
        int next = a + b;
        a = b;
        b = next;
    }
    return 0;
}

int main(void)
{
    int rc;
    bide_for (int, n, rc, bide_iterate(fibonacci, 50)) {
        printf("%d ", n);
    }
    printf("\nthe end: %d\n", rc);

    int n;
    bide_iterator *it = bide_iterate(fibonacci, 1);
    while ((rc = bide_next(it, &n)) == 1) /* the same by hand */
        printf("next: %d\n", n);
    printf("no next: %d\n", rc);
    return bide_iterator_close(it) < 0;
}
