/* Connecting as a state machine; connector.h states the invariants. */
#include "io/net/connector.h"

#include "base/time.h"
#include "io/net/lookup.h"
#include "io/net/resolve.h"

#include <bide/error.h>

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ATTEMPT_SECONDS 0.25
/* A local listener with a full queue says so at once and tells nobody when there is room. */
#define FULL_QUEUE_PAUSE_NS (BIDE__NS_PER_S / 100)

enum { REASON_BYTES_MAX = 96 };

struct attempt {
    struct bide_op op;
    struct bide__connector *connector;
    struct bide_sock *sock;
    struct bide_address address;
    int error; /* 0: did not fail yet */
};

struct bide__connector {
    bide_loop *loop;
    const struct bide_engine_ops *ops;
    struct bide__resource resource;
    struct bide__ready ready;
    struct bide__timer timer; /* of the lookup; later, for the next attempt */
    bide__connector_done *done;
    void (*gone)(struct bide__connector *connector);
    void *data;
    double resolve_seconds;
    double attempt_seconds;
    struct bide_address local; /* without bytes: none */
    struct bide__lookup *lookup;
    struct attempt *attempts;
    unsigned n_attempts;
    unsigned n_begun;
    unsigned n_pending; /* the engine has them */
    bool ending;        /* nothing new begins */
    bool released;      /* nobody wants to know any more */
    bool inside;        /* one of the owner's calls, where `done` must not be called */
    bool queued;        /* in the ready queue, to tell of the end */
    bool told;
    bool forgotten; /* in a child after fork */
    int rc;
    struct bide_sock *sock; /* that was connected */
    char *words;
};

static void connector_destroy(struct bide__connector *connector)
{
    bide__list_remove(&connector->resource.node);
    if (connector->sock)
        connector->sock->engine->ops->sock_close(connector->sock);
    free(connector->words);
    free(connector->attempts);
    free(connector);
}

static void connector_tell(struct bide__connector *connector)
{
    connector->told = true;
    connector->done(connector, connector->rc);
}

/* Of one that is ending: tells of it, or goes, when the engine has nothing of it any more. The last
 * that its caller does with it. */
static void connector_settle(struct bide__connector *connector)
{
    if (connector->n_pending > 0)
        return;
    if (connector->released)
        bide__list_remove(&connector->resource.node);
    if (connector->queued)
        return;
    if (connector->released) {
        connector_destroy(connector);
    } else if (connector->inside) {
        connector->queued = true;
        bide__loop_ready(connector->loop, &connector->ready);
    } else {
        connector_tell(connector);
    }
}

static void connector_run(struct bide__ready *ready)
{
    struct bide__connector *connector = bide__container(ready, struct bide__connector, ready);
    connector->queued = false;
    if (connector->released)
        connector_destroy(connector);
    else if (!connector->told)
        connector_tell(connector);
}

/* Nothing new begins; what is under way is called off. */
static void connector_stop(struct bide__connector *connector)
{
    connector->ending = true;
    bide__timer_cancel(connector->loop->timers, &connector->timer);
    if (connector->lookup)
        bide__lookup_abandon(connector->loop, connector->lookup);
    connector->lookup = NULL;
    for (unsigned i = 0; i < connector->n_begun; i++)
        if (connector->attempts[i].op.state == BIDE_OP_PENDING)
            connector->attempts[i].sock->engine->ops->cancel(&connector->attempts[i].op);
}

static void connector_end(struct bide__connector *connector, int rc)
{
    connector->rc = rc;
    connector_stop(connector);
    connector_settle(connector);
}

/* Failure */

/* This machine has no such way; that says less than what another address answered. */
static bool is_lacking(int error)
{
    return error == -EAFNOSUPPORT || error == -ENETUNREACH || error == -EADDRNOTAVAIL;
}

/* The first attempt's, as its address was preferred. */
static int telling_error(const struct bide__connector *connector)
{
    for (unsigned i = 0; i < connector->n_attempts; i++)
        if (!is_lacking(connector->attempts[i].error))
            return connector->attempts[i].error;
    return connector->attempts[0].error;
}

/* One address as it is, several each with its reason. */
static char *failure_words(const struct bide__connector *connector)
{
    size_t size = connector->n_attempts * (size_t)(BIDE_ADDRESS_TEXT_SIZE + REASON_BYTES_MAX);
    char *words = malloc(size);
    char text[BIDE_ADDRESS_TEXT_SIZE];
    size_t n = 0;
    for (unsigned i = 0; words && i < connector->n_attempts; i++) {
        const struct attempt *attempt = &connector->attempts[i];
        bide_address_print(&attempt->address, text, sizeof text);
        int more = connector->n_attempts == 1
                       ? snprintf(words, size, "%s", text)
                       : snprintf(words + n, size - n, "%s%s: %s", i > 0 ? ", " : "", text,
                                  bide_strerror(attempt->error));
        if (more < 0 || (size_t)more >= size - n)
            break; /* it was cut */
        n += (size_t)more;
    }
    return words;
}

static void connector_fail(struct bide__connector *connector)
{
    connector->words = failure_words(connector);
    connector_end(connector, telling_error(connector));
}

/* Attempts */

static void attempt_over(struct attempt *attempt, int rc)
{
    struct bide__connector *connector = attempt->connector;
    if (rc == 0 && !connector->sock) {
        connector->sock = attempt->sock;
        attempt->sock = NULL;
        connector->rc = 0;
        connector_stop(connector);
    }
    if (attempt->sock)
        attempt->sock->engine->ops->sock_close(attempt->sock);
    attempt->sock = NULL;
    attempt->error = rc;
}

static int bind_local(const struct bide__connector *connector, struct bide_sock *sock, int family)
{
    const struct sockaddr *local = (const void *)connector->local.bytes;
    if (connector->local.length == 0)
        return 0;
    if (local->sa_family != family)
        return -EAFNOSUPPORT;
    /* Without a port of its own, one that is free for this very peer does; not all engines know. */
    if (bide_address_port(&connector->local) == 0)
        sock->engine->ops->sock_setopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1},
                                       sizeof(int));
    return sock->engine->ops->sock_bind(sock, local, connector->local.length);
}

static int attempt_begin(struct attempt *attempt)
{
    struct bide__connector *connector = attempt->connector;
    const struct sockaddr *address = (const void *)attempt->address.bytes;
    int rc = connector->ops->sock_open(connector->loop->engine, address->sa_family, SOCK_STREAM, 0,
                                       &attempt->sock);
    if (rc == 0)
        rc = bind_local(connector, attempt->sock, address->sa_family);
    if (rc == 0)
        rc = attempt->sock->engine->ops->connect(attempt->sock, &attempt->op, address,
                                                 attempt->address.length);
    return rc;
}

static bool is_local(const struct attempt *attempt)
{
    return ((const struct sockaddr *)(const void *)attempt->address.bytes)->sa_family == AF_UNIX;
}

static void attempt_after(struct bide__connector *connector, int64_t deadline_ns)
{
    if (deadline_ns < BIDE__NEVER)
        bide__timer_set(connector->loop->timers, &connector->timer, deadline_ns);
}

/* Begins attempts until one is under way; the next has its time. */
static void connector_advance(struct bide__connector *connector)
{
    bide__timer_cancel(connector->loop->timers, &connector->timer);
    while (!connector->ending && connector->n_begun < connector->n_attempts) {
        struct attempt *attempt = &connector->attempts[connector->n_begun++];
        int64_t now_ns = bide__loop_now_ns(connector->loop);
        int rc = attempt_begin(attempt);
        if (rc == BIDE_PENDING) {
            connector->n_pending++;
            if (connector->n_begun < connector->n_attempts)
                attempt_after(connector, bide__deadline_ns(now_ns, connector->attempt_seconds));
            return;
        }
        attempt_over(attempt, rc);
        if (rc == -EAGAIN && is_local(attempt)) {
            connector->n_begun--;
            attempt_after(connector, now_ns + FULL_QUEUE_PAUSE_NS);
            return;
        }
    }
    if (connector->ending)
        connector_settle(connector);
    else if (connector->n_pending == 0)
        connector_fail(connector);
}

static void attempt_done(struct bide_op *op)
{
    struct attempt *attempt = bide__container(op, struct attempt, op);
    struct bide__connector *connector = attempt->connector;
    connector->n_pending--;
    attempt_over(attempt, op->result);
    connector_advance(connector);
}

/* The lookup */

static int attempts_new(struct bide__connector *connector, unsigned n)
{
    connector->attempts = calloc(n, sizeof *connector->attempts);
    if (!connector->attempts)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        connector->attempts[i].connector = connector;
        connector->attempts[i].op.done = attempt_done;
    }
    return 0;
}

/* The next that is, or is not, of the family. */
static const struct addrinfo *next_of(const struct addrinfo *at, int family, bool of_it)
{
    while (at && (at->ai_family == family) != of_it)
        at = at->ai_next;
    return at;
}

/* The families take turns, that of the first answer begins. */
static int take_answer(struct bide__connector *connector, const struct addrinfo *list)
{
    int rc = attempts_new(connector, BIDE__ADDRESSES_MAX);
    if (rc < 0)
        return rc;
    const struct addrinfo *next[] = {list, next_of(list, list->ai_family, false)};
    for (unsigned turn = 0; next[0] || next[1]; turn = !turn) {
        if (!next[turn])
            continue;
        if (connector->n_attempts == BIDE__ADDRESSES_MAX)
            break;
        struct attempt *attempt = &connector->attempts[connector->n_attempts];
        connector->n_attempts += bide__address_copy(next[turn], &attempt->address);
        next[turn] = next_of(next[turn]->ai_next, list->ai_family, turn == 0);
    }
    return connector->n_attempts > 0 ? 0 : -BIDE_ENONAME;
}

static void lookup_done(struct bide__lookup *lookup)
{
    struct bide__connector *connector = lookup->data;
    connector->lookup = NULL;
    int rc = bide__lookup_error(lookup);
    if (rc < 0)
        connector->words = bide__lookup_words(lookup, rc);
    else
        rc = take_answer(connector, lookup->base.list);
    bide__lookup_free(lookup);
    if (rc < 0)
        connector_end(connector, rc);
    else
        connector_advance(connector);
}

/* The lookup's limit is over, or it is the next address's turn. */
static void timer_expired(struct bide__timer *timer)
{
    struct bide__connector *connector = bide__container(timer, struct bide__connector, timer);
    if (!connector->lookup) {
        connector_advance(connector);
        return;
    }
    if (asprintf(&connector->words, "%s: the name was not found within %g s",
                 connector->lookup->host, connector->resolve_seconds) < 0)
        connector->words = NULL;
    connector_end(connector, -ETIMEDOUT);
}

/* Life */

static void connector_drop(struct bide__resource *resource)
{
    struct bide__connector *connector = bide__container(resource, struct bide__connector, resource);
    if (connector->gone)
        connector->gone(connector);
    bide__connector_free(connector);
}

static void connector_forget(struct bide__resource *resource)
{
    struct bide__connector *connector = bide__container(resource, struct bide__connector, resource);
    bide__list_remove(&resource->node);
    connector->forgotten = true;
}

static int begin_at(struct bide__connector *connector, const struct bide_address *addresses,
                    unsigned n)
{
    int rc = attempts_new(connector, n);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < n; i++)
        connector->attempts[i].address = addresses[i];
    connector->n_attempts = n;
    connector_advance(connector);
    return 0;
}

static int begin(struct bide__connector *connector, const struct bide__connect_request *request)
{
    struct bide_address number;
    if (!request->host)
        return begin_at(connector, request->addresses, request->n_addresses);
    int n = bide__resolve_numeric(request->host, request->port, request->family, &number, 1);
    if (n > 0)
        return begin_at(connector, &number, 1);
    int rc = bide__lookup_start(connector->loop, request->host, request->port, request->family,
                                lookup_done, connector, &connector->lookup);
    if (rc == 0 && request->resolve_seconds > 0)
        bide__timer_set(
            connector->loop->timers, &connector->timer,
            bide__deadline_ns(bide__loop_now_ns(connector->loop), request->resolve_seconds));
    return rc;
}

int bide__connector_start(bide_loop *loop, const struct bide__connect_request *request,
                          struct bide__connector **ret_connector)
{
    struct bide__connector *connector = calloc(1, sizeof *connector);
    if (!connector)
        return -ENOMEM;
    assert(request->done && (request->host || request->n_addresses > 0));
    connector->loop = loop;
    connector->ops = loop->engine->ops;
    connector->done = request->done;
    connector->gone = request->gone;
    connector->data = request->data;
    connector->resolve_seconds = request->resolve_seconds;
    connector->attempt_seconds = request->attempt_seconds > 0 ? request->attempt_seconds
                                                              : ATTEMPT_SECONDS;
    if (request->local)
        connector->local = *request->local;
    connector->ready.run = connector_run;
    connector->resource.drop = connector_drop;
    connector->resource.forget = connector_forget;
    bide__timer_init(&connector->timer, timer_expired);
    bide__list_append(&loop->resources, &connector->resource.node);
    connector->inside = true;
    int rc = begin(connector, request);
    connector->inside = false;
    if (rc < 0)
        connector_destroy(connector);
    else
        *ret_connector = connector;
    return rc;
}

void bide__connector_cancel(struct bide__connector *connector)
{
    connector->inside = true;
    if (!connector->ending)
        connector_end(connector, -ECANCELED);
    connector->inside = false;
}

bool bide__connector_over(struct bide__connector *connector, int *ret_rc)
{
    if (!connector->ending || connector->n_pending > 0)
        return false;
    connector->told = true;
    *ret_rc = connector->rc;
    return true;
}

void bide__connector_free(struct bide__connector *connector)
{
    if (!connector)
        return;
    connector->released = true;
    if (connector->forgotten) {
        connector->sock = NULL;
        connector_destroy(connector);
        return;
    }
    if (!connector->ending)
        connector_stop(connector);
    connector_settle(connector);
}

struct bide_sock *bide__connector_sock(const struct bide__connector *connector)
{
    return connector->sock;
}

void bide__connector_take(struct bide__connector *connector)
{
    connector->sock = NULL;
}

char *bide__connector_take_words(struct bide__connector *connector)
{
    char *words = connector->words;
    connector->words = NULL;
    return words;
}

const char *bide__connector_stage(const struct bide__connector *connector)
{
    return connector->lookup ? "name lookup" : "connect";
}

void *bide__connector_data(const struct bide__connector *connector)
{
    return connector->data;
}
