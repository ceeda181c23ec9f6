/*
 * A C library for tests of name lookups, in the place of the real one: it answers what the name
 * says, or hangs until the test lets go.
 */
#ifndef BIDE_TEST_RESOLVER_RIG_H
#define BIDE_TEST_RESOLVER_RIG_H

#include <netdb.h>
#include <pthread.h>

#include "stream_rig.h"

/* Threads of the resolver's lane. */
enum { LOOKUPS_AT_ONCE = 256 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_hanging; /* calls, now */
    unsigned n_calls;   /* ever */
    bool let_go;
    struct addrinfo hints; /* of the last call */
} library = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static RIG_UNUSED void hang(void)
{
    library.n_hanging++;
    pthread_cond_broadcast(&library.changed);
    while (!library.let_go)
        pthread_cond_wait(&library.changed, &library.lock);
    library.n_hanging--;
    pthread_cond_broadcast(&library.changed);
}

static struct addrinfo *answer(int family, const char *host, const char *port,
                               struct addrinfo *next)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    bool is_ipv6 = family == AF_INET6;
    CHECK_INT(inet_pton(family, host, is_ipv6 ? (void *)&ipv6.sin6_addr : (void *)&ipv4.sin_addr),
              1);
    struct addrinfo *info = calloc(1, sizeof *info + sizeof ipv6);
    *info = (struct addrinfo){.ai_family = family,
                              .ai_addr = (struct sockaddr *)(info + 1),
                              .ai_addrlen = is_ipv6 ? sizeof ipv6 : sizeof ipv4,
                              .ai_next = next};
    memcpy(info->ai_addr, is_ipv6 ? (void *)&ipv6 : (void *)&ipv4, info->ai_addrlen);
    return info;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    pthread_mutex_lock(&library.lock);
    library.n_calls++;
    library.hints = *hints;
    if (strcmp(host, "hangs") == 0)
        hang();
    pthread_mutex_unlock(&library.lock);
    if (strncmp(host, "error", 5) == 0) {
        errno = strcmp(host + 5, "-11") == 0 ? EIO : 0;
        return atoi(host + 5);
    }
    if (strcmp(host, "many") == 0) {
        *ret_list = NULL;
        for (int i = 0; i < 40; i++)
            *ret_list = answer(AF_INET, "127.0.0.1", service, *ret_list);
    } else if (strcmp(host, "second-works") == 0) {
        *ret_list = answer(AF_INET6, "::1", service, answer(AF_INET, "127.0.0.1", service, NULL));
    } else {
        *ret_list = answer(AF_INET, "127.0.0.1", service, NULL);
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static RIG_UNUSED void until_hanging(unsigned n)
{
    pthread_mutex_lock(&library.lock);
    while (library.n_hanging != n)
        pthread_cond_wait(&library.changed, &library.lock);
    pthread_mutex_unlock(&library.lock);
}

static RIG_UNUSED unsigned calls_so_far(void)
{
    pthread_mutex_lock(&library.lock);
    unsigned n = library.n_calls;
    pthread_mutex_unlock(&library.lock);
    return n;
}

static RIG_UNUSED void let_go(void)
{
    pthread_mutex_lock(&library.lock);
    library.let_go = true;
    pthread_cond_broadcast(&library.changed);
    pthread_mutex_unlock(&library.lock);
}

#endif
