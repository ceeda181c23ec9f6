/* The signals that end a server; see command.h. */
#include "command.h"

#include <signal.h>

static const int signals[] = {SIGINT, SIGTERM};

int stop_signals_handle(bide_callback *stop, void *data)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof signals / sizeof *signals; i++)
        rc = bide_loop_add_signal_handler(bide_loop_current(), signals[i], stop, data, NULL);
    return rc;
}

void stop_signals_hold(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}
