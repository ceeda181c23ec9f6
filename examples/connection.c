/* A connection with states: queries wait, with a predicate, until it is initialised, and then use
 * it one after the other. */
#include <bide.h>

#include <stdio.h>

enum state { WAIT_INIT, INITIALIZING, INITIALIZED };

static const char *const state_names[] = {"WAIT_INIT", "INITIALIZING", "INITIALIZED"};

struct connection {
    bide_condition changed;
    enum state state;
};

static bool is_initialized(void *data)
{
    struct connection *connection = data;
    printf("  asked: the state is %s\n", state_names[connection->state]);
    return connection->state == INITIALIZED;
}

static int change_state(struct connection *connection, enum state state)
{
    int rc;
    bide_with_condition (rc, &connection->changed) {
        printf("the state changes from %s to %s\n", state_names[connection->state],
               state_names[state]);
        connection->state = state;
        bide_condition_notify_all(&connection->changed);
    }
    return rc;
}

bide_async(initialize, (struct connection *, connection))
{
    int rc = change_state(connection, INITIALIZING);
    if (rc >= 0)
        rc = bide_sleep(0.01);
    if (rc >= 0)
        rc = change_state(connection, INITIALIZED);
    return rc;
}

bide_async(execute, (struct connection *, connection), (const char *, query))
{
    int rc;
    bide_with_condition (rc, &connection->changed) {
        printf("waiting for the connection: %s\n", query);
        rc = bide_condition_wait_for(&connection->changed, is_initialized, connection);
        if (rc == 0) {
            printf("running: %s\n", query);
            rc = bide_sleep(0.005);
        }
    }
    return rc;
}

bide_async(amain)
{
    struct connection connection = {.state = WAIT_INIT};
    bide_task *tasks[] = {
        bide_spawn(execute, &connection, "select * from table"),
        bide_spawn(execute, &connection, "select * from another_table"),
        bide_spawn(initialize, &connection),
    };
    int rc = bide_gather(tasks, 3, NULL);
    bide_cancel_join(tasks, 3);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
