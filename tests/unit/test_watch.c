/*
 * Scenario: readers and writers on the ends of pipes and sockets; added, replaced and removed at
 * every moment, by themselves, by each other and by the drop of their data. Claim: watchers are
 * level-triggered, one that is removed is not called any more even if it was about to be, and its
 * data is dropped exactly once.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task_rig.h"

/* A pair of connected sockets, and what one watcher did. */
struct rig {
    bide_loop *loop;
    int fds[2];
    int n_calls;
    int n_drops;
    int stop_after; /* calls; 0: the callback does not stop the loop */
    bool reads;     /* one byte in each call */
    void (*act)(struct rig *rig);
};

static struct rig rig_new(void)
{
    struct rig rig = {.loop = rig_loop()};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.fds), 0);
    return rig;
}

static void rig_free(struct rig *rig)
{
    rig_close(rig->loop);
    close(rig->fds[0]);
    close(rig->fds[1]);
}

static int on_ready(void *data)
{
    struct rig *rig = data;
    char byte;
    rig->n_calls++;
    if (rig->reads)
        CHECK_INT(read(rig->fds[0], &byte, 1), 1);
    if (rig->act)
        rig->act(rig);
    if (rig->n_calls == rig->stop_after)
        bide_loop_stop(rig->loop);
    return 0;
}

static void on_drop(void *data)
{
    ((struct rig *)data)->n_drops++;
}

static void add_reader(struct rig *rig)
{
    CHECK_INT(bide_loop_add_reader(rig->loop, rig->fds[0], on_ready, rig, on_drop), 0);
}

static void send_bytes(struct rig *rig, const char *text)
{
    CHECK_INT(write(rig->fds[1], text, strlen(text)), (long long)strlen(text));
}

static int stop(void *data)
{
    bide_loop_stop(data);
    return 0;
}

/* Turns in which the engine looks, and what it finds is called. */
static void run_turns(bide_loop *loop, int n)
{
    for (int i = 0; i < n; i++) {
        bide_loop_stop(loop);
        CHECK_INT(bide_loop_run_forever(loop), 0);
    }
}

BIDE_TEST(reader_is_called_while_there_is_something_to_read)
{
    struct rig rig = rig_new();
    rig.stop_after = 5;
    add_reader(&rig);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 5);
    rig.reads = true;
    rig.stop_after = 6;
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    run_turns(rig.loop, 5);
    CHECK_INT(rig.n_calls, 6);
    rig.stop_after = 9;
    send_bytes(&rig, "abc");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 9);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 0);
    rig_free(&rig);
}

BIDE_TEST(reader_is_called_at_the_end_of_file)
{
    struct rig rig = rig_new();
    rig.stop_after = 3;
    add_reader(&rig);
    CHECK_INT(shutdown(rig.fds[1], SHUT_WR), 0);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 3);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
}

BIDE_TEST(writer_is_called_while_there_is_room)
{
    struct rig rig = rig_new();
    rig.stop_after = 3;
    CHECK_INT(fcntl(rig.fds[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(bide_loop_add_writer(rig.loop, rig.fds[0], on_ready, &rig, on_drop), 0);
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 3);
    static char block[65536];
    while (write(rig.fds[0], block, sizeof block) > 0)
        ;
    CHECK_INT(errno, EAGAIN);
    run_turns(rig.loop, 2); /* a call that was due already may come yet */
    int n_calls = rig.n_calls;
    run_turns(rig.loop, 5);
    CHECK_INT(rig.n_calls, n_calls);
    CHECK_INT(bide_loop_remove_writer(rig.loop, rig.fds[0]), 1);
    CHECK_INT(bide_loop_remove_writer(rig.loop, rig.fds[0]), 0);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
}

BIDE_TEST(reader_and_writer_of_one_descriptor_are_independent)
{
    struct rig rig = rig_new();
    struct rig writer = rig;
    add_reader(&rig);
    CHECK_INT(bide_loop_add_writer(rig.loop, rig.fds[0], on_ready, &writer, on_drop), 0);
    run_turns(rig.loop, 3);
    CHECK_INT(rig.n_calls, 0);
    CHECK_RANGE(writer.n_calls, 1, 3);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_remove_writer(rig.loop, rig.fds[0]), 1);
    CHECK_INT(writer.n_drops, 1);
    int n_calls = writer.n_calls;
    rig.stop_after = 2;
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(writer.n_calls, n_calls);
    CHECK_INT(rig.n_drops, 0);
    CHECK_INT(bide_loop_add_writer(rig.loop, rig.fds[0], on_ready, &writer, on_drop), 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(writer.n_drops, 2);
}

BIDE_TEST(second_reader_replaces_the_first)
{
    struct rig rig = rig_new();
    struct rig second = rig;
    add_reader(&rig);
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], on_ready, &second, on_drop), 0);
    CHECK_INT(rig.n_drops, 1);
    second.stop_after = 1;
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    CHECK_INT(second.n_drops, 1);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
}

static void remove_self(struct rig *rig)
{
    CHECK_INT(bide_loop_remove_reader(rig->loop, rig->fds[0]), 1);
    CHECK_INT(rig->n_drops, 0);
    rig->act = NULL;
}

BIDE_TEST(reader_removes_itself)
{
    struct rig rig = rig_new();
    rig.act = remove_self;
    rig.stop_after = 1;
    add_reader(&rig);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    run_turns(rig.loop, 3);
    CHECK_INT(rig.n_calls, 1);
    CHECK_INT(rig.n_drops, 1);
    rig_free(&rig);
}

static void replace_self(struct rig *rig)
{
    if (rig->n_calls > 1)
        return;
    add_reader(rig);
    CHECK_INT(rig->n_drops, 0);
}

BIDE_TEST(reader_replaces_itself)
{
    struct rig rig = rig_new();
    rig.act = replace_self;
    rig.stop_after = 3;
    add_reader(&rig);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 3);
    CHECK_INT(rig.n_drops, 1);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 2);
}

static struct rig *pair[2];

static void remove_the_other(struct rig *rig)
{
    struct rig *other = rig == pair[0] ? pair[1] : pair[0];
    CHECK_INT(bide_loop_remove_reader(rig->loop, other->fds[0]), 1);
    CHECK_INT(other->n_drops, 1);
}

BIDE_TEST(reader_that_is_due_is_removed_by_another)
{
    struct rig one = rig_new();
    struct rig two = one;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two.fds), 0);
    one.act = two.act = remove_the_other;
    one.stop_after = two.stop_after = 1;
    pair[0] = &one;
    pair[1] = &two;
    add_reader(&one);
    add_reader(&two);
    send_bytes(&one, "x");
    send_bytes(&two, "x");
    run_turns(one.loop, 1); /* both were due in this turn */
    CHECK_INT(one.n_calls + two.n_calls, 1);
    CHECK_INT(one.n_drops + two.n_drops, 1);
    one.act = two.act = NULL;
    rig_free(&one);
    CHECK_INT(one.n_drops, 1);
    CHECK_INT(two.n_drops, 1);
    close(two.fds[0]);
    close(two.fds[1]);
}

static void drop_adds_again(void *data)
{
    struct rig *rig = data;
    if (rig->n_drops++ == 0)
        CHECK_INT(bide_loop_add_reader(rig->loop, rig->fds[0], on_ready, rig, on_drop), 0);
}

BIDE_TEST(drop_adds_a_reader_for_the_same_descriptor)
{
    struct rig rig = rig_new();
    struct rig second = rig;
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], on_ready, &rig, drop_adds_again), 0);
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], on_ready, &second, on_drop), 0);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(second.n_drops, 1);
    rig.stop_after = 1;
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(second.n_calls, 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    CHECK_INT(rig.n_drops, 2);
    rig_free(&rig);
}

static void drop_removes(void *data)
{
    struct rig *rig = data;
    rig->n_drops++;
    CHECK_INT(bide_loop_remove_reader(rig->loop, rig->fds[0]), 0);
}

BIDE_TEST(drop_removes_what_is_gone_already)
{
    struct rig rig = rig_new();
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], on_ready, &rig, drop_removes), 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    CHECK_INT(rig.n_drops, 1);
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], on_ready, &rig, drop_removes), 0);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 2);
}

static void drop_adds_after_closing(void *data)
{
    struct rig *rig = data;
    rig->n_drops++;
    CHECK_INT(bide_loop_add_reader(rig->loop, rig->fds[1], on_ready, rig, on_drop), -ESHUTDOWN);
    CHECK_INT(bide_loop_add_writer(rig->loop, rig->fds[1], on_ready, rig, on_drop), -ESHUTDOWN);
}

BIDE_TEST(closing_loop_drops_and_takes_no_watcher)
{
    struct rig rig = rig_new();
    CHECK_INT(bide_loop_add_writer(rig.loop, rig.fds[0], on_ready, &rig, drop_adds_after_closing),
              0);
    run_turns(rig.loop, 1);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
}

BIDE_TEST(descriptor_number_is_used_again)
{
    struct rig rig = rig_new();
    rig.stop_after = 1;
    add_reader(&rig);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, rig.fds[0]), 1);
    int number = rig.fds[0];
    close(rig.fds[0]);
    close(rig.fds[1]);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.fds), 0);
    CHECK_INT(rig.fds[0], number);
    add_reader(&rig);
    rig.n_calls = 0;
    run_turns(rig.loop, 3);
    CHECK_INT(rig.n_calls, 0);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_INT(rig.n_calls, 1);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 2);
}

BIDE_TEST(what_cannot_be_watched)
{
    struct rig rig = rig_new();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    CHECK_INT(bide_loop_add_reader(rig.loop, -1, on_ready, &rig, on_drop), -EBADF);
    CHECK_INT(bide_loop_add_reader(rig.loop, 12345, on_ready, &rig, on_drop), -EBADF);
    CHECK_INT(bide_loop_add_reader(rig.loop, file, on_ready, &rig, on_drop), -EPERM);
    CHECK_INT(bide_loop_add_writer(rig.loop, file, on_ready, &rig, on_drop), -EPERM);
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], NULL, &rig, on_drop), -EINVAL);
    CHECK_INT(bide_loop_add_reader(NULL, rig.fds[0], on_ready, &rig, on_drop), -EINVAL);
    CHECK_INT(bide_loop_remove_reader(rig.loop, 12345), 0);
    CHECK_INT(bide_loop_remove_reader(rig.loop, -1), 0);
    CHECK_INT(bide_loop_remove_reader(NULL, rig.fds[0]), 0);
    CHECK_INT(bide_loop_remove_writer(NULL, rig.fds[0]), 0);
    close(file);
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 0);
}

BIDE_TEST(many_watchers)
{
    enum { N = 200 };
    static struct rig rigs[N];
    bide_loop *loop = rig_loop();
    int n_calls = 0;
    for (int i = 0; i < N; i++) {
        rigs[i] = (struct rig){.loop = loop, .reads = true, .act = remove_self};
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rigs[i].fds), 0);
        add_reader(&rigs[i]);
    }
    for (int i = 0; i < N; i += 2)
        send_bytes(&rigs[i], "x");
    while (n_calls < N / 2) {
        n_calls = 0;
        run_turns(loop, 1);
        for (int i = 0; i < N; i++)
            n_calls += rigs[i].n_calls;
    }
    rig_close(loop);
    for (int i = 0; i < N; i++) {
        CHECK_INT(rigs[i].n_calls, i % 2 == 0);
        CHECK_INT(rigs[i].n_drops, 1);
        close(rigs[i].fds[0]);
        close(rigs[i].fds[1]);
    }
}

static int fails(void *data)
{
    struct rig *rig = data;
    remove_self(rig);
    CHECK_INT(bide_loop_call_soon(rig->loop, stop, rig->loop, NULL, NULL), 0);
    return -EIO;
}

BIDE_TEST(error_of_a_watcher_is_reported)
{
    struct rig rig = rig_new();
    CHECK_INT(bide_loop_add_reader(rig.loop, rig.fds[0], fails, &rig, on_drop), 0);
    send_bytes(&rig, "x");
    CHECK_INT(bide_loop_run_forever(rig.loop), 0);
    CHECK_STR(take_report(), "callback failed|-5||||");
    rig_free(&rig);
    CHECK_INT(rig.n_drops, 1);
}
