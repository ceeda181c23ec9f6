/*
 * Scenario: a small event loop for another language, built on callbacks, watchers, signals, posts,
 * transports and servers alone: with a global lock that is free only while the kernel is waited
 * for, objects that are counted, and no task. Claim: each sentence that DESIGN.md promises to such
 * a binding, a case for each: where callbacks run and when, what is held meanwhile, what is
 * released and how often, and what of the process is left alone.
 */
#include <bide/transport.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "runtime/loop.h"
#include "transport_rig.h"

/* What the language calls an object: kept alive by the loop for as long as that may call it. */
struct object {
    struct binding *binding;
    int n_held;
    int n_calls;
    int stop_with;
    bide_transport *transport;
    int fd;
};

/* The language's loop. */
struct binding {
    bide_loop *loop;
    pthread_mutex_t lock; /* nobody touches objects without it */
    int n_waits;
    int n_objects; /* that the loop holds */
    bool in_wait;
};

static struct binding *the_binding;

static void before_wait(void *data)
{
    struct binding *binding = data;
    CHECK(!binding->in_wait);
    binding->in_wait = true;
    binding->n_waits++;
    pthread_mutex_unlock(&binding->lock);
}

static void after_wait(void *data)
{
    struct binding *binding = data;
    pthread_mutex_lock(&binding->lock);
    CHECK(binding->in_wait);
    binding->in_wait = false;
}

static void binding_open(struct binding *binding)
{
    *binding = (struct binding){.loop = rig_loop()};
    the_binding = binding;
    find_stack();
    pthread_mutex_init(&binding->lock, NULL);
    pthread_mutex_lock(&binding->lock);
    struct bide_wait_hooks hooks = {before_wait, after_wait, binding};
    bide_loop_set_wait_hooks(binding->loop, &hooks);
}

/* No stack was ever made for a task, and the loop holds nothing any more. */
static void binding_close(struct binding *binding)
{
    CHECK_INT((long long)bide__stack_pool_held(binding->loop->stacks), 0);
    CHECK_INT((long long)bide__stack_pool_cached(binding->loop->stacks), 0);
    rig_close(binding->loop);
    CHECK_INT(binding->n_objects, 0);
    pthread_mutex_unlock(&binding->lock);
    pthread_mutex_destroy(&binding->lock);
}

/* The rules for every call from the loop. */
static struct object *called(void *data)
{
    struct object *object = data;
    check_stack();
    CHECK(!object->binding->in_wait && object->n_held > 0);
    object->n_calls++;
    if (object->stop_with < 0)
        CHECK_INT(bide_loop_stop_with(object->binding->loop, object->stop_with), 0);
    return object;
}

static struct object *hold(struct object *object)
{
    object->binding = the_binding;
    object->n_held++;
    the_binding->n_objects++;
    return object;
}

static void let_go(void *data)
{
    struct object *object = data;
    check_stack();
    CHECK(!object->binding->in_wait && object->n_held > 0);
    object->n_held--;
    object->binding->n_objects--;
}

static int run_object(void *data)
{
    called(data);
    return 0;
}

static int read_object(void *data)
{
    char byte;
    CHECK_INT(read(called(data)->fd, &byte, 1), 1);
    return 0;
}

static void object_made(void *data, bide_transport *transport)
{
    called(data)->transport = transport;
}

static void object_received(void *data, const void *bytes, size_t size)
{
    (void)bytes;
    CHECK(size > 0);
    called(data);
}

static bool object_eof(void *data)
{
    called(data);
    return false;
}

static void object_lost(void *data, int error)
{
    (void)error;
    called(data);
}

static void object_called(void *data)
{
    called(data);
}

static const struct bide_protocol object_protocol = {
    .connection_made = object_made,
    .connection_failed = object_lost,
    .data_received = object_received,
    .eof_received = object_eof,
    .connection_lost = object_lost,
    .pause_writing = object_called,
    .resume_writing = object_called,
};

static struct object accepted;

static int object_factory(void *data, struct bide_party *ret_party)
{
    called(data);
    *ret_party = (struct bide_party){&object_protocol, hold(&accepted), let_go};
    return 0;
}

/* Until so many calls, of anything. */
static void run_until(struct binding *binding, const struct object *object, int n_calls)
{
    while (object->n_calls < n_calls)
        one_turn(binding->loop);
}

enum kind { SOON, LATER, READER, WRITER, SIGNAL, POST, SERVER, CLIENT, KINDS };

/* Registers the object in one of the ways that there are. */
static void register_object(struct binding *binding, enum kind kind, struct object *object,
                            const int *fds, unsigned port)
{
    static bide_server *server;
    bide_loop *loop = binding->loop;
    bide_remote *remote;
    int rc = -EINVAL;
    rig_inside = true;
    switch (kind) {
    case SOON:
        rc = bide_loop_call_soon(loop, run_object, hold(object), let_go, NULL);
        break;
    case LATER:
        rc = bide_loop_call_later(loop, 0, run_object, hold(object), let_go, NULL);
        break;
    case READER:
        object->fd = fds[0];
        rc = bide_loop_add_reader(loop, fds[0], read_object, hold(object), let_go);
        break;
    case WRITER:
        rc = bide_loop_add_writer(loop, fds[0], run_object, hold(object), let_go);
        break;
    case SIGNAL:
        rc = bide_loop_add_signal_handler(loop, SIGUSR1, run_object, hold(object), let_go);
        break;
    case POST:
        remote = bide_loop_remote(loop);
        rc = bide_call_soon_threadsafe(remote, run_object, hold(object), let_go);
        bide_remote_unref(remote);
        break;
    case SERVER:
        rc = bide_loop_listen(loop, "127.0.0.1", port, NULL, object_factory, hold(object), let_go,
                              &server);
        if (rc == 0)
            bide_server_free(server);
        break;
    case CLIENT:
        rc = bide_loop_connect(loop, "127.0.0.1", port, NULL, &object_protocol, hold(object),
                               let_go, NULL);
        break;
    case KINDS:
        break;
    }
    rig_inside = false;
    CHECK_INT(rc, 0);
    CHECK_INT(object->n_calls, 0);
}

struct talk {
    bide_server *server;
    struct object host, guest;
    int fds[2];
};

static void talk_open(struct binding *binding, struct talk *talk)
{
    CHECK_INT(pipe2(talk->fds, O_CLOEXEC | O_NONBLOCK), 0);
    INSIDE(CHECK_INT(bide_loop_listen(binding->loop, "127.0.0.1", 0, NULL, object_factory,
                                      hold(&talk->host), let_go, &talk->server),
                     0));
    accepted = (struct object){0};
}

static void talk_close(struct talk *talk)
{
    bide_server_free(talk->server);
    close(talk->fds[0]);
    close(talk->fds[1]);
}

BIDE_TEST(callbacks_run_on_the_thread_s_own_stack_and_never_inline)
{
    struct binding binding;
    struct talk talk = {0};
    struct object objects[POST + 1] = {{0}};
    int flags;
    char byte = 1;
    binding_open(&binding);
    talk_open(&binding, &talk);
    int twice[2] = {dup(talk.fds[1]), talk.fds[1]};
    for (int kind = SOON; kind <= POST; kind++)
        register_object(&binding, (enum kind)kind, &objects[kind],
                        kind == WRITER ? twice : talk.fds, 0);
    INSIDE(CHECK_INT(raise(SIGUSR1), 0));
    CHECK_INT(write(talk.fds[1], &byte, 1), 1);
    for (int kind = SOON; kind <= POST; kind++)
        run_until(&binding, &objects[kind], 1);
    register_object(&binding, CLIENT, &talk.guest, NULL, bide_server_port(talk.server));
    run_until(&binding, &talk.guest, 1);
    run_until(&binding, &accepted, 1);
    flags = bide_loop_remove_reader(binding.loop, talk.fds[0]) +
            bide_loop_remove_writer(binding.loop, twice[0]) +
            bide_loop_remove_signal_handler(binding.loop, SIGUSR1);
    CHECK_INT(flags, 3);

    /* Everything that a protocol is told. */
    static char much[16 * MIB]; /* more than the kernel takes */
    INSIDE(CHECK_INT(bide_transport_set_write_limits(talk.guest.transport, 1000, 100), 0));
    INSIDE(CHECK_INT(bide_transport_write(talk.guest.transport, much, sizeof much), 0));
    CHECK_INT(talk.guest.n_calls, 1);
    run_until(&binding, &accepted, 3); /* two times data */
    run_until(&binding, &talk.guest, 3);
    INSIDE(bide_transport_pause_reading(talk.guest.transport));
    INSIDE(bide_transport_resume_reading(talk.guest.transport));
    INSIDE(bide_transport_close(accepted.transport));
    while (accepted.n_held > 0 || talk.guest.n_held > 0)
        one_turn(binding.loop);
    talk_close(&talk);
    close(twice[0]);
    binding_close(&binding);
}

/* A thread that needs whatever lock of the loop's there is. */
static void *posts(void *data)
{
    struct object *object = data;
    bide_remote *remote = bide_loop_remote(object->binding->loop);
    CHECK_INT(bide_call_soon_threadsafe(remote, run_object, object, NULL), 0);
    bide_remote_unref(remote);
    return NULL;
}

static struct object posted;

static void post_and_wait(void)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, posts, &posted), 0);
    CHECK_INT(pthread_join(thread, NULL), 0); /* for ever, if a lock were held */
}

static int run_posting(void *data)
{
    called(data);
    post_and_wait();
    return 0;
}

static int read_posting(void *data)
{
    post_and_wait();
    return read_object(data);
}

static void made_posting(void *data, bide_transport *transport)
{
    object_made(data, transport);
    post_and_wait();
}

static void lost_posting(void *data, int error)
{
    object_lost(data, error);
    post_and_wait();
}

static void drop_posting(void *data)
{
    post_and_wait();
    let_go(data);
}

BIDE_TEST(callbacks_run_with_no_lock_held)
{
    struct binding binding;
    struct talk talk = {0};
    struct object objects[3] = {{0}};
    struct bide_protocol protocol = object_protocol;
    char byte = 1;
    binding_open(&binding);
    talk_open(&binding, &talk);
    hold(&posted);
    protocol.connection_made = made_posting;
    protocol.connection_lost = lost_posting;
    objects[1].fd = talk.fds[0];
    CHECK_INT(write(talk.fds[1], &byte, 1), 1);
    bide_loop *loop = binding.loop;
    CHECK_INT(bide_loop_call_soon(loop, run_posting, hold(&objects[0]), drop_posting, NULL), 0);
    CHECK_INT(
        bide_loop_add_reader(loop, talk.fds[0], read_posting, hold(&objects[1]), drop_posting), 0);
    CHECK_INT(bide_loop_connect(loop, "127.0.0.1", bide_server_port(talk.server), NULL, &protocol,
                                hold(&objects[2]), drop_posting, NULL),
              0);
    run_until(&binding, &objects[0], 1);
    run_until(&binding, &objects[1], 1);
    run_until(&binding, &objects[2], 1);
    CHECK_INT(bide_loop_remove_reader(loop, talk.fds[0]), 1);
    bide_transport_abort(objects[2].transport);
    while (objects[2].n_held > 0)
        one_turn(loop);
    run_until(&binding, &posted, 7);
    let_go(&posted);
    talk_close(&talk);
    binding_close(&binding);
}

BIDE_TEST(watchers_are_level_triggered)
{
    struct binding binding;
    struct talk talk = {0};
    struct object reader = {0};
    struct object writer = {0};
    char bytes[5] = {0};
    binding_open(&binding);
    talk_open(&binding, &talk);
    reader.fd = talk.fds[0]; /* each call takes one byte, and no event comes for the rest */
    CHECK_INT(write(talk.fds[1], bytes, sizeof bytes), sizeof bytes);
    CHECK_INT(bide_loop_add_reader(binding.loop, talk.fds[0], read_object, hold(&reader), let_go),
              0);
    CHECK_INT(bide_loop_add_writer(binding.loop, talk.fds[1], run_object, hold(&writer), let_go),
              0);
    run_until(&binding, &reader, sizeof bytes);
    run_until(&binding, &writer, 20);
    some_turns(binding.loop);
    CHECK_INT(reader.n_calls, sizeof bytes);
    CHECK_INT(bide_loop_remove_reader(binding.loop, talk.fds[0]), 1);
    CHECK_INT(bide_loop_remove_writer(binding.loop, talk.fds[1]), 1);
    talk_close(&talk);
    binding_close(&binding);
}

/* By itself, by its removal or cancelling, and by the loop's end. */
BIDE_TEST(each_registration_is_dropped_once)
{
    for (int way = 0; way < 3; way++) {
        struct binding binding;
        struct talk talk = {0};
        struct object objects[KINDS] = {{0}};
        char byte = 1;
        binding_open(&binding);
        talk_open(&binding, &talk);
        int other = dup(talk.fds[1]);
        unsigned port = bide_server_port(talk.server);
        for (int kind = SOON; kind < KINDS; kind++)
            register_object(&binding, (enum kind)kind, &objects[kind],
                            kind == WRITER ? &other : talk.fds, kind == CLIENT ? port : 0);
        if (way == 0) {
            CHECK_INT(write(talk.fds[1], &byte, 1), 1);
            CHECK_INT(raise(SIGUSR1), 0);
            for (int kind = SOON; kind < KINDS; kind++)
                if (kind != SERVER)
                    run_until(&binding, &objects[kind], 1);
            bide_transport_close(objects[CLIENT].transport);
        }
        if (way < 2) {
            CHECK_INT(bide_loop_remove_reader(binding.loop, talk.fds[0]), 1);
            CHECK_INT(bide_loop_remove_writer(binding.loop, other), 1);
            CHECK_INT(bide_loop_remove_signal_handler(binding.loop, SIGUSR1), 1);
            some_turns(binding.loop);
            bide_handle *handle;
            CHECK_INT(bide_loop_call_later(binding.loop, 100, run_object, hold(&objects[LATER]),
                                           let_go, &handle),
                      0);
            CHECK_INT(bide_handle_cancel(handle), 1);
            bide_handle_free(handle);
        }
        bide_server_free(talk.server);
        talk.server = NULL;
        binding_close(&binding);
        for (int kind = SOON; kind < KINDS; kind++)
            CHECK_INT(objects[kind].n_held, 0);
        talk_close(&talk);
        close(other);
    }
}

/* Another thread of the language's, which runs whenever it gets the lock. */
static void *runs_beside(void *data)
{
    struct binding *binding = data;
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&binding->lock);
        CHECK(binding->in_wait);
        pthread_mutex_unlock(&binding->lock);
        posts(&posted);
    }
    return NULL;
}

BIDE_TEST(hooks_surround_the_wait_so_that_a_global_lock_can_be_released)
{
    struct binding binding;
    pthread_t thread;
    binding_open(&binding);
    hold(&posted);
    CHECK_INT(pthread_create(&thread, NULL, runs_beside, &binding), 0);
    run_until(&binding, &posted, 20);
    CHECK_RANGE(binding.n_waits, 1, INT64_MAX);
    before_wait(&binding); /* a join is a wait, too */
    CHECK_INT(pthread_join(thread, NULL), 0);
    after_wait(&binding);
    let_go(&posted);
    binding_close(&binding);
}

static void stopping_hook(void *data)
{
    CHECK_INT(bide_loop_stop_with(data, -EINTR), 0);
}

/* An exception in a callback ends the run, and the loop goes on when it is run again. */
BIDE_TEST(hooks_and_callbacks_stop_the_loop_with_an_error)
{
    struct binding binding;
    struct talk talk = {0};
    struct object soon = {.stop_with = -E2BIG};
    binding_open(&binding);
    talk_open(&binding, &talk);
    bide_loop *loop = binding.loop;
    register_object(&binding, SOON, &soon, NULL, 0);
    CHECK_INT(bide_loop_run_forever(loop), -E2BIG);
    talk.host.stop_with = -ENFILE; /* the factory */
    register_object(&binding, CLIENT, &talk.guest, NULL, bide_server_port(talk.server));
    CHECK_INT(bide_loop_run_forever(loop), -ENFILE);
    talk.host.stop_with = 0;
    accepted.stop_with = -EDOM; /* connection_made, and then each of the others */
    for (int n = 1; n <= 4; n++) {
        CHECK_INT(bide_loop_run_forever(loop), -EDOM);
        CHECK_INT(accepted.n_calls, n);
        while (!talk.guest.transport)
            one_turn(loop);
        if (n == 1)
            CHECK_INT(bide_transport_write(talk.guest.transport, "x", 1), 0);
        if (n == 2)
            bide_transport_close(talk.guest.transport);
        if (n == 3) /* eof, and in a later turn the loss */
            CHECK_INT(accepted.n_held, 1);
    }
    accepted.stop_with = 0;
    while (accepted.n_held > 0 || talk.guest.n_held > 0)
        one_turn(loop);
    struct bide_wait_hooks hooks = {.before = stopping_hook, .data = loop};
    bide_loop_set_wait_hooks(loop, &hooks);
    CHECK_INT(bide_loop_run_forever(loop), -EINTR);
    hooks = (struct bide_wait_hooks){before_wait, after_wait, &binding};
    bide_loop_set_wait_hooks(loop, &hooks);
    some_turns(loop);
    talk_close(&talk);
    binding_close(&binding);
}

static int count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static void note_signals(struct sigaction actions[static 32], sigset_t *ret_mask)
{
    for (int signo = 1; signo < 32; signo++)
        CHECK_INT(sigaction(signo, NULL, &actions[signo]), 0);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, ret_mask), 0);
}

BIDE_TEST(signals_children_and_threads_are_left_alone)
{
    static struct sigaction before[32];
    static struct sigaction now[32];
    sigset_t mask_before;
    sigset_t mask_now;
    struct binding binding;
    struct talk talk = {0};
    note_signals(before, &mask_before);
    int n_threads = count_threads();
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    binding_open(&binding);
    talk_open(&binding, &talk);
    register_object(&binding, CLIENT, &talk.guest, NULL, bide_server_port(talk.server));
    run_until(&binding, &talk.guest, 1);
    CHECK_INT(bide_transport_write(talk.guest.transport, "x", 1), 0);
    run_until(&binding, &accepted, 2);
    note_signals(now, &mask_now);
    for (int signo = 1; signo < 32; signo++)
        CHECK(now[signo].sa_handler == before[signo].sa_handler &&
              now[signo].sa_flags == before[signo].sa_flags);
    for (int signo = 1; signo < 32; signo++)
        CHECK_INT(sigismember(&mask_now, signo), sigismember(&mask_before, signo));
    CHECK_INT(count_threads(), n_threads);
    int status;
    CHECK_INT(waitpid(child, &status, 0), child); /* nobody has reaped it for us */
    CHECK_INT(WEXITSTATUS(status), 7);
    bide_transport_abort(talk.guest.transport);
    while (accepted.n_held > 0 || talk.guest.n_held > 0)
        one_turn(binding.loop);
    talk_close(&talk);
    binding_close(&binding);
    note_signals(now, &mask_now);
    for (int signo = 1; signo < 32; signo++)
        CHECK(now[signo].sa_handler == before[signo].sa_handler);
    CHECK_INT(count_threads(), n_threads);
}

/* A buffer that nobody can touch but between the two calls. */
static struct {
    char *page;
    int n_asked;
    int n_filled;
    size_t n_bytes;
} lent;

static void *lend_page(void *data, size_t hint, size_t *ret_size)
{
    called(data);
    CHECK(hint > 0);
    lent.n_asked++;
    CHECK_INT(mprotect(lent.page, 4096, PROT_READ | PROT_WRITE), 0);
    memset(lent.page, 0, 4096);
    *ret_size = 4096;
    return lent.page;
}

static void take_page(void *data, size_t n)
{
    called(data);
    CHECK_RANGE(n, 1, 4096);
    CHECK(memchr(lent.page, 'b', n) == lent.page);
    CHECK_INT(lent.page[n - 1], 'b');
    CHECK_INT(mprotect(lent.page, 4096, PROT_NONE), 0);
    lent.n_filled++;
    lent.n_bytes += n;
}

BIDE_TEST(buffers_are_asked_for_when_there_are_bytes_and_not_kept)
{
    struct bide_protocol protocol = {.connection_made = object_made,
                                     .connection_lost = object_lost,
                                     .eof_received = object_eof,
                                     .get_buffer = lend_page,
                                     .buffer_updated = take_page};
    struct binding binding;
    struct object object = {0};
    static char bytes[10000];
    int fds[2];
    binding_open(&binding);
    lent.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(lent.page != MAP_FAILED);
    memset(bytes, 'b', sizeof bytes);
    connection_open(fds, 0);
    CHECK_INT(
        bide_transport_adopt(binding.loop, fds[0], NULL, &protocol, hold(&object), let_go, NULL),
        0);
    run_until(&binding, &object, 1);
    some_turns(binding.loop);
    CHECK_INT(lent.n_asked, 0);
    CHECK_INT(send(fds[1], bytes, 1, 0), 1);
    while (lent.n_bytes < 1)
        one_turn(binding.loop);
    some_turns(binding.loop);
    CHECK_INT(lent.n_asked, 1);
    CHECK_INT(send(fds[1], bytes, sizeof bytes, 0), sizeof bytes);
    while (lent.n_bytes < 1 + sizeof bytes)
        one_turn(binding.loop);
    int n_asked = lent.n_asked;
    CHECK_RANGE(n_asked, 3, 10);
    close(fds[1]); /* an end is no byte */
    while (object.n_held > 0)
        one_turn(binding.loop);
    CHECK_INT(lent.n_asked, n_asked);
    CHECK_INT(lent.n_filled, n_asked);
    binding_close(&binding);
    munmap(lent.page, 4096);
}

/* In every state of what came: nowhere yet, with the kernel, and with the loop already. */
BIDE_TEST(after_pause_reading_or_set_protocol_the_old_protocol_gets_nothing)
{
    for (int pauses = 0; pauses < 2; pauses++) {
        for (int n_turns = 0; n_turns < 4; n_turns++) {
            struct binding binding;
            struct object old = {0};
            struct object next = {0};
            int fds[2];
            binding_open(&binding);
            connection_open(fds, 0);
            CHECK_INT(bide_transport_adopt(binding.loop, fds[0], NULL, &object_protocol, hold(&old),
                                           let_go, NULL),
                      0);
            run_until(&binding, &old, 1);
            CHECK_INT(send(fds[1], "x", 1, 0), 1);
            for (int i = 0; i < n_turns; i++)
                one_turn(binding.loop);
            int n_calls = old.n_calls;
            if (pauses) {
                INSIDE(bide_transport_pause_reading(old.transport));
            } else {
                CHECK_INT(bide_transport_set_protocol(old.transport, &object_protocol, hold(&next),
                                                      let_go),
                          0);
                CHECK_INT(old.n_held, 0);
            }
            some_turns(binding.loop);
            CHECK_INT(old.n_calls, n_calls);
            close(fds[1]);
            some_turns(binding.loop);
            CHECK_INT(old.n_calls, n_calls);
            if (pauses)
                bide_transport_resume_reading(old.transport);
            while (old.n_held > 0 || next.n_held > 0)
                one_turn(binding.loop);
            CHECK_INT(old.n_calls - 1 + next.n_calls, 3); /* data, end, loss */
            binding_close(&binding);
        }
    }
}
