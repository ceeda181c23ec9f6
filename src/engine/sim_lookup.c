/*
 * Names in a simulation: numbers, localhost, and what test code added. No resolver is asked and no
 * file is read; everything else is EAI_NONAME.
 *
 * Invariant: an answer's memory is in pieces of one address each, which only
 * bide__sim_lookup_free() takes apart.
 */
#include "engine/sim_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PORT_MAX = 65535 };

/* The address of one family in numbers. */
struct number {
    int family;
    union {
        struct in_addr ipv4;
        struct in6_addr ipv6;
    };
};

/* One address of a name, or the error that it fails with. */
struct bide__sim_host {
    struct bide__sim_host *next;
    int error;
    struct number number;
    char name[];
};

struct answer {
    struct addrinfo info;
    struct sockaddr_storage address;
    char canonical_name[];
};

struct question {
    const struct addrinfo *hints;
    const char *canonical_name; /* of the next address; NULL: not wanted, or given already */
    in_port_t port;             /* in network order */
    struct addrinfo **end;
};

static bool parse_number(const char *text, struct number *ret_number)
{
    if (inet_pton(AF_INET, text, &ret_number->ipv4) == 1)
        ret_number->family = AF_INET;
    else if (inet_pton(AF_INET6, text, &ret_number->ipv6) == 1)
        ret_number->family = AF_INET6;
    else
        return false;
    return true;
}

static int add_host(struct bide__sim *sim, const char *name, const struct bide__sim_host *host)
{
    struct bide__sim_host **end = &sim->hosts;
    while (*end)
        end = &(*end)->next;
    size_t name_bytes = strlen(name) + 1;
    struct bide__sim_host *added = malloc(sizeof *added + name_bytes);
    if (!added)
        return -ENOMEM;
    *added = *host;
    memcpy(added->name, name, name_bytes);
    *end = added;
    return 0;
}

int bide__sim_host(struct bide__sim *sim, const char *name, const char *address)
{
    struct bide__sim_host host = {0};
    if (!parse_number(address, &host.number))
        return -EINVAL;
    return add_host(sim, name, &host);
}

int bide__sim_host_fails(struct bide__sim *sim, const char *name, int error)
{
    return add_host(sim, name, &(struct bide__sim_host){.error = error});
}

void bide__sim_hosts_free(struct bide__sim *sim)
{
    while (sim->hosts) {
        struct bide__sim_host *host = sim->hosts;
        sim->hosts = host->next;
        free(host);
    }
}

static void set_address(struct answer *answer, const struct number *number, in_port_t port)
{
    answer->info.ai_family = number->family;
    answer->info.ai_addr = (struct sockaddr *)&answer->address;
    if (number->family == AF_INET) {
        *(struct sockaddr_in *)&answer->address = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = port, .sin_addr = number->ipv4};
        answer->info.ai_addrlen = sizeof(struct sockaddr_in);
    } else {
        *(struct sockaddr_in6 *)&answer->address = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = number->ipv6};
        answer->info.ai_addrlen = sizeof(struct sockaddr_in6);
    }
}

/* Adds the address for one type of sockets. */
static int answer_type(struct question *question, const struct number *number, int type)
{
    size_t name_bytes = question->canonical_name ? strlen(question->canonical_name) + 1 : 0;
    struct answer *answer = malloc(sizeof *answer + name_bytes);
    if (!answer)
        return EAI_MEMORY;
    answer->info = (struct addrinfo){
        .ai_flags = question->hints->ai_flags,
        .ai_socktype = type,
        .ai_protocol = type == SOCK_STREAM  ? IPPROTO_TCP
                       : type == SOCK_DGRAM ? IPPROTO_UDP
                                            : 0,
    };
    memset(&answer->address, 0, sizeof answer->address);
    set_address(answer, number, question->port);
    if (question->canonical_name) {
        memcpy(answer->canonical_name, question->canonical_name, name_bytes);
        answer->info.ai_canonname = answer->canonical_name;
        question->canonical_name = NULL;
    }
    *question->end = &answer->info;
    question->end = &answer->info.ai_next;
    return 0;
}

static int answer_number(struct question *question, const struct number *number)
{
    const struct addrinfo *hints = question->hints;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != number->family)
        return 0;
    if (hints->ai_socktype != 0)
        return answer_type(question, number, hints->ai_socktype);
    int error = answer_type(question, number, SOCK_STREAM);
    return error ? error : answer_type(question, number, SOCK_DGRAM);
}

/* IPv6 first, as most machines have it. */
static int answer_pair(struct question *question, struct in6_addr ipv6, uint32_t ipv4)
{
    int error = answer_number(question, &(struct number){.family = AF_INET6, .ipv6 = ipv6});
    if (error)
        return error;
    return answer_number(question, &(struct number){.family = AF_INET, .ipv4.s_addr = htonl(ipv4)});
}

static int answer_host(const struct bide__sim *sim, struct question *question, const char *host)
{
    struct number number;
    if (!host && (question->hints->ai_flags & AI_PASSIVE))
        return answer_pair(question, in6addr_any, INADDR_ANY);
    if (!host)
        return answer_pair(question, in6addr_loopback, INADDR_LOOPBACK);
    if (parse_number(host, &number))
        return answer_number(question, &number);
    if (question->hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    bool known = false;
    for (const struct bide__sim_host *at = sim->hosts; at; at = at->next) {
        if (strcasecmp(at->name, host) != 0)
            continue;
        int error = at->error ? at->error : answer_number(question, &at->number);
        if (error)
            return error;
        known = true;
    }
    if (!known && strcasecmp(host, "localhost") == 0)
        return answer_pair(question, in6addr_loopback, INADDR_LOOPBACK);
    return 0;
}

static int parse_service(const struct bide_lookup *lookup, in_port_t *ret_port)
{
    const char *service = lookup->service;
    *ret_port = 0;
    if (!service)
        return lookup->host ? 0 : EAI_NONAME;
    char *end;
    unsigned long port = strtoul(service, &end, 10);
    if (end == service || *end != '\0' || port > PORT_MAX)
        return lookup->hints.ai_flags & AI_NUMERICSERV ? EAI_NONAME : EAI_SERVICE;
    *ret_port = htons((uint16_t)port);
    return 0;
}

void bide__sim_look_up(struct bide__sim *sim, struct bide_lookup *lookup)
{
    struct question question = {.hints = &lookup->hints, .end = &lookup->list};
    if (lookup->host && (lookup->hints.ai_flags & AI_CANONNAME))
        question.canonical_name = lookup->host;
    lookup->list = NULL;
    lookup->system_errno = 0;
    lookup->error = parse_service(lookup, &question.port);
    if (lookup->error == 0)
        lookup->error = answer_host(sim, &question, lookup->host);
    if (lookup->error == 0 && !lookup->list)
        lookup->error = EAI_NONAME;
    if (lookup->error) {
        bide__sim_lookup_free(NULL, lookup->list);
        lookup->list = NULL;
    }
}

void bide__sim_lookup_free(struct bide_engine *engine, struct addrinfo *list)
{
    (void)engine;
    while (list) {
        struct addrinfo *info = list;
        list = info->ai_next;
        free(info); /* the first member of an answer */
    }
}
