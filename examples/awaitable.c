/* Objects of one's own that tasks can wait for: an eventfd, and a promise made of nothing but the
 * public parts. */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* An eventfd: waiting for it gives its count. */
struct counter {
    int fd;
    bide_waker *waker;
};

static int counter_ready(void *data)
{
    struct counter *counter = data;
    eventfd_t count;
    if (eventfd_read(counter->fd, &count) < 0)
        return 0; /* somebody else was faster: it will be ready again */
    bide_loop_remove_reader(bide_loop_current(), counter->fd);
    bide_wake(counter->waker, (int)count);
    return 0;
}

static int counter_start(void *object, bide_waker *waker)
{
    struct counter *counter = object;
    eventfd_t count;
    if (eventfd_read(counter->fd, &count) == 0)
        return (int)count;
    counter->waker = waker;
    int rc = bide_loop_add_reader(bide_loop_current(), counter->fd, counter_ready, counter, NULL);
    return rc < 0 ? rc : -BIDE_EPENDING;
}

static void counter_cancel(void *object, bide_waker *waker)
{
    struct counter *counter = object;
    bide_loop_remove_reader(bide_loop_current(), counter->fd);
    bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable counter_kind = {"eventfd", counter_start, counter_cancel};

/* A promise: one value, any number of tasks that wait for it. */
struct place {
    struct place *next;
    bide_waker *waker;
    struct promise *promise;
};

struct promise {
    bool kept;
    int value;
    struct place *places;
};

static int promise_start(void *object, bide_waker *waker)
{
    struct place *place = object;
    if (place->promise->kept)
        return place->promise->value;
    place->waker = waker;
    place->next = place->promise->places;
    place->promise->places = place;
    return -BIDE_EPENDING;
}

static void promise_cancel(void *object, bide_waker *waker)
{
    struct place *place = object;
    for (struct place **at = &place->promise->places; *at; at = &(*at)->next) {
        if (*at == place) {
            *at = place->next;
            break;
        }
    }
    bide_wake(waker, -ECANCELED);
}

static const struct bide_awaitable promise_kind = {"promise", promise_start, promise_cancel};

static int promise_await(struct promise *promise)
{
    struct place place = {.promise = promise};
    return bide_await_object(&promise_kind, &place);
}

static void promise_keep(struct promise *promise, int value)
{
    promise->kept = true;
    promise->value = value;
    while (promise->places) {
        struct place *place = promise->places;
        promise->places = place->next;
        bide_wake(place->waker, value);
    }
}

bide_async(count_up, (int, fd), (int, by))
{
    int rc = bide_sleep(0.01);
    return rc < 0 ? rc : eventfd_write(fd, (eventfd_t)by);
}

bide_async(waits_for, (struct promise *, promise))
{
    return promise_await(promise);
}

bide_async(amain)
{
    struct counter counter = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (counter.fd < 0)
        return -errno;
    bide_task *writer = bide_spawn(count_up, counter.fd, 3);
    printf("the eventfd counted to %d\n", bide_await_object(&counter_kind, &counter));
    bide_await(writer);
    printf("nobody counts any more: %s\n",
           bide_strerror(bide_within(0.01, bide_await_object(&counter_kind, &counter))));
    close(counter.fd);

    struct promise promise = {0};
    bide_task *one = bide_spawn(waits_for, &promise);
    bide_task *two = bide_spawn(waits_for, &promise);
    bide_task *three = bide_spawn(waits_for, &promise);
    bide_sleep(0);
    bide_cancel(two);
    promise_keep(&promise, 42);
    printf("one got %d, ", bide_await(one));
    printf("two %s, ", bide_strerror(bide_await(two)));
    printf("three %d, ", bide_await(three));
    printf("and who comes late %d\n", promise_await(&promise));
    return 0;
}

int main(void)
{
    return bide_run(amain);
}
