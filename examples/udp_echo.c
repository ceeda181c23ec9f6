/*
 * An echo service over UDP, and a client that asks again when no answer comes: messages may be
 * lost. With an argument, the service alone, until SIGTERM:
 *
 *     udp_echo serve      then: nc -u 127.0.0.1 PORT
 */
#include <bide.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

bide_async(serve, (bide_datagram *, endpoint))
{
    static char message[65536];
    struct bide_address from;
    for (;;) {
        int n = bide_datagram_receive(endpoint, message, sizeof message, &from);
        if (n < 0)
            return n;
        int rc = bide_datagram_offer(endpoint, message, (size_t)n, &from); /* or it is lost */
        if (rc < 0 && rc != -EAGAIN)
            fprintf(stderr, "no answer: %s\n", bide_strerror(rc));
    }
}

bide_async(ask, (bide_datagram *, endpoint), (const char *, question), (char *, answer),
           (size_t, size))
{
    for (int attempt = 0; attempt < 5; attempt++) {
        int rc = bide_datagram_send(endpoint, question, strlen(question), NULL);
        if (rc < 0)
            return rc;
        rc = bide_within(1, bide_datagram_receive(endpoint, answer, size, NULL));
        if (rc != -ETIMEDOUT)
            return rc;
    }
    return -ETIMEDOUT;
}

bide_async(amain)
{
    bide_datagram *server, *client = NULL;
    int rc = bide_datagram_open("127.0.0.1", 0, NULL, &server);
    if (rc < 0)
        return rc;
    struct bide_address address;
    rc = bide_datagram_local(server, &address);
    struct bide_datagram_opts opts = {.peer = &address};
    if (rc == 0)
        rc = bide_datagram_open(NULL, 0, &opts, &client);
    if (rc < 0) {
        bide_datagram_close(server);
        return rc;
    }
    bide_task *task = bide_spawn(serve, server);
    static const char *const questions[] = {"one", "two", ""};
    for (int i = 0; i < 3 && rc >= 0; i++) {
        char answer[16];
        rc = ask(client, questions[i], answer, sizeof answer);
        if (rc >= 0)
            printf("\"%s\": %d bytes back, \"%.*s\"\n", questions[i], rc, rc, answer);
    }
    bide_cancel_join(&task, 1);
    bide_datagram_close(client);
    bide_datagram_close(server);
    return rc < 0 ? rc : 0;
}

static int stop(void *endpoint)
{
    bide_datagram_abort(endpoint);
    return 0;
}

bide_async(service)
{
    bide_datagram *endpoint;
    struct bide_address address;
    int rc = bide_datagram_open("127.0.0.1", 0, NULL, &endpoint);
    if (rc < 0)
        return rc;
    bide_datagram_local(endpoint, &address);
    printf("listening on 127.0.0.1:%u\n", bide_address_port(&address));
    fflush(stdout);
    bide_loop_add_signal_handler(bide_loop_current(), SIGTERM, stop, endpoint, NULL);
    rc = serve(endpoint);
    bide_loop_remove_signal_handler(bide_loop_current(), SIGTERM);
    bide_datagram_close(endpoint);
    return rc == -ECONNABORTED ? 0 : rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? bide_run(service) : bide_run(amain);
}
