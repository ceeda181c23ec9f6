/* Several sources at once: merged as their values come, and a source for each value of another one,
 * so many at the same time. */
#include <bide.h>

#include <stdio.h>

static int n_open, most_open;

/* The pages of a site, in place of reading them from the network. */
bide_generator(int, pages, (int, site), (double, seconds))
{
    int rc = 0;
    if (++n_open > most_open)
        most_open = n_open;
    for (int i = 1; i <= 3 && rc >= 0; i++) {
        rc = bide_sleep(seconds);
        if (rc >= 0)
            rc = bide_yield(10 * site + i);
    }
    n_open--;
    return rc;
}

bide_generator(int, sites, (int, n))
{
    int rc = 0;
    for (int site = 1; site <= n && rc >= 0; site++)
        rc = bide_yield(site);
    return rc;
}

static bide_iterator *open_site(const void *item, void *data)
{
    (void)data;
    return bide_iterate(pages, *(const int *)item, 0.001);
}

bide_async(amain)
{
    int rc, n = 0, sum = 0;
    bide_iterator *both[] = {bide_iterate(pages, 1, 0.001), bide_iterate(pages, 2, 0.1)};
    printf("merge:");
    bide_for (int, page, rc, bide_merge(both, 2)) {
        printf(" %d", page);
    }
    printf(": %s\n", bide_strerror(rc));

    most_open = 0;
    bide_for (int, page, rc,
              bide_flat_map(bide_iterate(sites, 6), sizeof(int), 2, open_site, NULL)) {
        n++;
        sum += page;
    }
    printf("flat_map: %d pages, sum %d, %d sites at once\n", n, sum, most_open);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
