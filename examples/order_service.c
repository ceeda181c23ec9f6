/* An order service: orders come in over TCP, power users first, into a queue with room for so many,
 * and workers process them; at the end they finish what was ordered. A client in the same program
 * plays the users. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, ROOM = 6 };
enum user { POWER_USER = 1, NORMAL_USER = 2 };

struct order {
    enum user user;
    char what[16];
};

BIDE_QUEUE_DEFINE(orders, struct order);

struct shop {
    orders *queue;
    bide_event open;
};

static int by_user(const void *left, const void *right, void *data)
{
    const struct order *a = left, *b = right;
    (void)data;
    return (int)a->user - (int)b->user;
}

bide_async(worker, (struct shop *, shop), (int, id))
{
    struct order order;
    int rc = bide_event_wait(&shop->open);
    while (rc == 0 && (rc = orders_get(shop->queue, &order)) == 0) {
        printf("worker %d: %s for a %s user\n", id, order.what,
               order.user == POWER_USER ? "power" : "normal");
        rc = bide_sleep(0.001);
        if (rc == 0)
            orders_task_done(shop->queue);
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* One connection: lines such as `power pizza`, each of which is answered. */
static int place_orders(bide_stream *stream, void *data)
{
    struct shop *shop = data;
    char *line, user[8];
    struct order order;
    int rc;
    while ((rc = bide_read_line(stream, &line)) > 0) {
        if (sscanf(line, "%7s %15s", user, order.what) != 2)
            return -EPROTO;
        order.user = strcmp(user, "power") == 0 ? POWER_USER : NORMAL_USER;
        bool full = orders_put_nowait(shop->queue, order) == -EAGAIN;
        rc = bide_write(stream, full ? "try later\n" : "placed\n", full ? 10 : 7);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int send_orders(bide_stream *stream)
{
    static const char lines[] = "normal pasta\nnormal soup\npower pizza\nnormal cake\n"
                                "power coffee\nnormal tea\npower fish\n";
    char *answer;
    int rc = bide_write(stream, lines, sizeof lines - 1);
    if (rc >= 0)
        rc = bide_write_eof(stream);
    while (rc >= 0 && (rc = bide_read_line(stream, &answer)) > 0)
        printf("client: %s\n", answer);
    return rc;
}

static int serve(struct shop *shop)
{
    bide_server *server;
    bide_stream *stream;
    int rc = bide_serve("127.0.0.1", 0, place_orders, shop, NULL, &server);
    if (rc < 0)
        return rc;
    rc = bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream);
    if (rc >= 0) {
        rc = send_orders(stream);
        bide_close(stream);
    }
    bide_server_free(server);
    return rc;
}

static int finish(struct shop *shop)
{
    printf("opening with %zu orders\n", orders_size(shop->queue));
    bide_event_set(&shop->open);
    int rc = bide_within(10, orders_join(shop->queue));
    orders_shutdown(shop->queue, BIDE_DRAIN); /* the workers find nothing more, and end */
    return rc;
}

bide_async(amain)
{
    struct shop shop = {0};
    bide_task *workers[WORKERS];
    struct bide_queue_opts opts = {.capacity = ROOM, .order = BIDE_PRIORITY, .compare = by_user};
    int rc = orders_new(&opts, &shop.queue);
    if (rc < 0)
        return rc;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = bide_spawn(worker, &shop, i);
    rc = serve(&shop);
    if (rc >= 0)
        rc = finish(&shop);
    if (rc >= 0)
        rc = bide_gather(workers, WORKERS, NULL);
    bide_cancel_join(workers, WORKERS);
    printf("closed: %s\n", bide_strerror(rc));
    orders_free(shop.queue);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
