/* A log service on a Unix datagram socket: messages keep their boundaries and are never lost. Who
 * logs faster than the service reads waits. */
#include <bide.h>

#include <stdio.h>
#include <string.h>

enum { MESSAGES = 30 };

bide_async(log_service, (bide_datagram *, endpoint))
{
    char line[128];
    size_t bytes = 0;
    for (int i = 0; i < MESSAGES; i++) {
        int n = bide_datagram_receive(endpoint, line, sizeof line, NULL);
        if (n < 0)
            return n;
        bytes += (size_t)n;
        if (i == 0 || i == MESSAGES - 1)
            printf("logged: %.*s\n", n, line);
    }
    printf("%d messages, %zu bytes\n", MESSAGES, bytes);
    return 0;
}

bide_async(program, (const char *, service))
{
    struct bide_address address;
    bide_datagram *endpoint = NULL;
    int rc = bide_address_unix(service, &address);
    struct bide_datagram_opts opts = {.peer = &address};
    if (rc == 0)
        rc = bide_datagram_unix(NULL, &opts, &endpoint); /* nobody has to answer */
    if (rc < 0)
        return rc;
    char name[BIDE_ADDRESS_TEXT_SIZE];
    bide_datagram_peer(endpoint, &address);
    bide_address_print(&address, name, sizeof name);
    printf("the program logs to %s\n", *name == '@' ? "an abstract name" : name);
    for (int i = 0; i < MESSAGES && rc == 0; i++) {
        char line[32];
        snprintf(line, sizeof line, "message %02d", i + 1);
        rc = bide_datagram_send(endpoint, line, strlen(line), NULL);
    }
    bide_datagram_close(endpoint);
    return rc;
}

bide_async(amain)
{
    bide_datagram *endpoint;
    char name[BIDE_ADDRESS_TEXT_SIZE];
    struct bide_address address;
    int rc = bide_datagram_unix("", NULL, &endpoint); /* an abstract name that is free */
    if (rc < 0)
        return rc;
    bide_datagram_local(endpoint, &address);
    bide_address_print(&address, name, sizeof name);
    bide_task *tasks[] = {bide_spawn(log_service, endpoint), bide_spawn(program, name)};
    rc = bide_gather(tasks, 2, NULL);
    bide_cancel_join(tasks, 2);
    bide_datagram_close(endpoint);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
