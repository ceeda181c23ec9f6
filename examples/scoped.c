/* A block that gives back what it holds on every way out, also if giving it back has to wait. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>

/* A resource whose beginning and end have to wait. */
struct connection {
    bool open;
};

static int connection_open(struct connection *connection)
{
    int rc = bide_sleep(0.001);
    if (rc < 0)
        return rc;
    connection->open = true;
    printf("  opened\n");
    return 0;
}

static int connection_close(void *data)
{
    struct connection *connection = data;
    int rc = bide_sleep(0.001); /* no cancel from outside keeps it from this */
    connection->open = false;
    printf("  closed: %s\n", bide_strerror(rc));
    return rc;
}

/* Use after the end is an error. */
static int query(const struct connection *connection, double seconds)
{
    return connection->open ? bide_sleep(seconds) : -ENOTCONN;
}

enum way { TO_THE_END, BREAK, RETURN, ERROR, CANCEL };

bide_async(use, (enum way, way))
{
    struct connection connection = {0};
    int rc;
    bide_with (rc, connection_open(&connection), connection_close, &connection) {
        rc = query(&connection, way == CANCEL ? 60 : 0.001);
        if (way == BREAK)
            break;
        if (way == RETURN)
            return 7;
        if (way == ERROR)
            rc = -EPIPE;
    }
    if (way == TO_THE_END)
        printf("  used after its end: %s\n", bide_strerror(query(&connection, 0)));
    return rc;
}

bide_async(amain)
{
    static const char *const ways[] = {"to the end", "break", "return", "error"};
    for (enum way way = TO_THE_END; way <= ERROR; way++) {
        printf("%s:\n", ways[way]);
        int rc = use(way);
        printf("  came to %d: %s\n", rc < 0 ? -1 : rc, bide_strerror(rc));
    }
    printf("cancel:\n");
    int rc = bide_within(0.2, use(CANCEL));
    printf("  came to: %s\n", bide_strerror(rc));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
