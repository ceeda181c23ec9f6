/* A queue whose last item comes first: a crawler that goes deep before it goes on, and the same
 * with a plain queue, which goes level by level. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const links[][3] = {
    {"/", "/news", "/shop"},
    {"/news", "/news/2", "/news/1"},
    {"/shop", "/shop/hats"},
};

static int crawl(bide_queue *pages)
{
    const char *page = "/";
    int rc = bide_queue_put(pages, &page);
    while (rc == 0 && (rc = bide_queue_get_nowait(pages, &page)) == 0) {
        printf(" %s", page);
        rc = bide_sleep(0); /* in place of fetching it */
        for (int i = 0; i < 3; i++)
            for (int j = 1; strcmp(links[i][0], page) == 0 && j < 3 && links[i][j] && rc == 0; j++)
                rc = bide_queue_put(pages, &links[i][j]);
    }
    printf("\n");
    return rc == -EAGAIN ? 0 : rc;
}

static int crawl_in(enum bide_queue_order order)
{
    bide_queue *pages; /* of pointers to the addresses */
    int rc = bide_queue_new(sizeof(const char *), &(struct bide_queue_opts){.order = order},
                            &pages);
    if (rc < 0)
        return rc;
    rc = crawl(pages);
    bide_queue_free(pages);
    return rc;
}

bide_async(amain)
{
    printf("last in, first out:");
    int rc = crawl_in(BIDE_LIFO);
    printf("first in, first out:");
    return rc < 0 ? rc : crawl_in(BIDE_FIFO);
}

int main(void)
{
    return bide_run(amain);
}
