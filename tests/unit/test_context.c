/*
 * Scenario: context variables in tasks, callbacks, threads and contexts of their own. Claim: each
 * sees what it was handed down and what it set itself, nobody else sees that, and a value is
 * dropped once, when the last holder goes.
 */
#include <bide/context.h>
#include <bide/generator.h>
#include <bide/server.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "sim_rig.h"
#include "task_rig.h"

static const bide_context_var colour = {"colour", "none"};
static const bide_context_var shape = {"shape", NULL};

static void set(const bide_context_var *var, const char *value)
{
    CHECK_INT(bide_context_set(var, value, NULL, NULL), 0);
}

#define CHECK_COLOUR(expected) CHECK_STR(bide_context_get(&colour), expected)

static unsigned n_dropped;

static void drop(void *value)
{
    free(value);
    n_dropped++;
}

static void set_counted(const bide_context_var *var)
{
    CHECK_INT(bide_context_set(var, strdup("counted"), drop, NULL), 0);
}

TASK_TEST(defaults_and_values)
{
    CHECK_COLOUR("none");
    CHECK_PTR(bide_context_get(&shape), NULL);
    set(&colour, "red");
    set(&shape, "round");
    CHECK_COLOUR("red");
    CHECK_STR(bide_context_get(&shape), "round");
    set(&colour, "green");
    CHECK_COLOUR("green");
    CHECK_INT(bide_context_set(NULL, NULL, NULL, NULL), -EINVAL);
}

static bide_async(child, (const char *, inherited), (const char *, own))
{
    CHECK_COLOUR(inherited);
    set(&colour, own);
    CHECK_INT(bide_sleep(0), 0);
    CHECK_COLOUR(own);
    return 0;
}

TASK_TEST(children_inherit_and_are_isolated)
{
    set(&colour, "red");
    bide_task *one = bide_spawn(child, "red", "one");
    set(&colour, "blue"); /* after the spawn: not for the first */
    bide_task *two = bide_spawn(child, "blue", "two");
    CHECK_INT(bide_await(one), 0);
    CHECK_INT(bide_await(two), 0);
    CHECK_COLOUR("blue");
    CHECK_INT(child("blue", "a plain call"), 0); /* is no task: it is this one */
    CHECK_COLOUR("a plain call");
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    CHECK_INT(bide_group_spawn(group, child, "a plain call", "in a group"), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_COLOUR("a plain call");
}

TASK_TEST(tokens_restore)
{
    bide_context_token *outer;
    bide_context_token *inner;
    CHECK_INT(bide_context_set(&colour, "one", NULL, &outer), 0);
    CHECK_INT(bide_context_set(&colour, "two", NULL, &inner), 0);
    CHECK_INT(bide_context_reset(inner), 0);
    CHECK_COLOUR("one");
    CHECK_INT(bide_context_reset(outer), 0);
    CHECK_COLOUR("none");
    CHECK_INT(bide_context_reset(NULL), -EINVAL);
    bide_context_token_free(NULL);
}

static bide_async(resets_for_another, (bide_context_token *, token))
{
    CHECK_INT(bide_context_reset(token), -EPERM);
    CHECK_COLOUR("mine");
    return 0;
}

TASK_TEST(token_of_another_task)
{
    bide_context_token *token;
    CHECK_INT(bide_context_set(&colour, "mine", NULL, &token), 0);
    CHECK_INT(bide_await(bide_spawn(resets_for_another, token)), 0);
    bide_context_token_free(token);
    CHECK_COLOUR("mine");
}

static bide_async(sets_counted)
{
    set_counted(&colour);
    set_counted(&colour); /* drops the first */
    CHECK_INT(n_dropped, 1);
    bide_task *heir = bide_spawn(sleeps, 0);
    bide_task *other_heir = bide_spawn(returns_after, 5, 0);
    set(&colour, "plain"); /* the second lives on in the heirs */
    CHECK_INT(n_dropped, 1);
    CHECK_INT(bide_await(heir), 0);
    CHECK_INT(n_dropped, 1);
    CHECK_INT(bide_await(other_heir), 0);
    turns(1);
    CHECK_INT(n_dropped, 2);
    set_counted(&shape);
    return 0;
}

TASK_TEST(values_are_dropped_with_the_last_holder)
{
    CHECK_INT(bide_await(bide_spawn(sets_counted)), 0);
    turns(1);
    CHECK_INT(n_dropped, 3);
    bide_context_token *token;
    set_counted(&colour);
    CHECK_INT(bide_context_set(&colour, "plain", NULL, &token), 0);
    CHECK_INT(n_dropped, 3);
    CHECK_INT(bide_context_reset(token), 0);
    CHECK_COLOUR("counted");
    CHECK_INT(bide_context_set(&colour, "plain", NULL, &token), 0);
    bide_context_token_free(token);
    CHECK_INT(n_dropped, 4);
}

static int note_colour(void *data)
{
    (void)data;
    note(bide_context_get(&colour));
    note(" ");
    set(&colour, "leaked");
    return 0;
}

static void note_colour_done(bide_task *task, void *data)
{
    (void)task;
    note_colour(data);
}

/* What call_soon captures is what was set when it was called (SEMANTICS 8). */
TASK_TEST(callbacks_have_what_their_maker_had)
{
    bide_loop *loop = bide_loop_current();
    bide_task *task = bide_spawn(sleeps, 0);
    set(&colour, "soon");
    CHECK_INT(bide_loop_call_soon(loop, note_colour, NULL, NULL, NULL), 0);
    set(&colour, "done");
    CHECK_INT(bide_task_add_done_callback(task, note_colour_done, NULL, NULL), 0);
    set(&colour, "later");
    CHECK_INT(bide_loop_call_later(loop, TICKS(1), note_colour, NULL, NULL, NULL), 0);
    set(&colour, "task's");
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_sleep(TICKS(3)), 0);
    CHECK_NOTES("soon done later ");
    CHECK_COLOUR("task's");
}

static int read_and_note(void *data)
{
    char byte;
    CHECK_INT(read(*(int *)data, &byte, 1), 1);
    return note_colour(NULL);
}

TASK_TEST(watchers_and_signal_handlers_have_it_too)
{
    bide_loop *loop = bide_loop_current();
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    set(&colour, "watcher");
    CHECK_INT(bide_loop_add_reader(loop, pair[0], read_and_note, &pair[0], NULL), 0);
    set(&colour, "signal");
    CHECK_INT(bide_loop_add_signal_handler(loop, SIGUSR1, note_colour, NULL, NULL), 0);
    set(&colour, "task's");
    for (int i = 0; i < 2; i++) { /* what one call sets is not seen by the next */
        CHECK_INT(write(pair[1], "x", 1), 1);
        while (!strstr(rig_notes, "watcher"))
            CHECK_INT(bide_sleep(0.001), 0);
        CHECK_NOTES("watcher ");
        rig_raise(bide_loop_current(), SIGUSR1);
        while (!strstr(rig_notes, "signal"))
            CHECK_INT(bide_sleep(0.001), 0);
        CHECK_NOTES("signal ");
    }
    CHECK_INT(bide_loop_remove_reader(loop, pair[0]), 1);
    CHECK_INT(bide_loop_remove_signal_handler(loop, SIGUSR1), 1);
    close(pair[0]);
    close(pair[1]);
    CHECK_COLOUR("task's");
}

static int paint(void *data)
{
    const char *before = bide_context_get(&colour);
    set(&colour, data);
    return strcmp(before, "red") == 0 ? 1 : 2;
}

TASK_TEST(run_in_a_context)
{
    set(&colour, "red");
    bide_context *context = bide_context_copy();
    set(&colour, "outside");
    CHECK_STR(bide_context_lookup(context, &colour), "red");
    CHECK_INT(bide_context_run(context, paint, (void *)"blue"), 1);
    CHECK_COLOUR("outside");
    CHECK_STR(bide_context_lookup(context, &colour), "blue");
    CHECK_INT(bide_context_run(context, paint, (void *)"red"),
              2); /* saw what the first call had set */
    CHECK_INT(bide_context_run(NULL, paint, (void *)"red"), -EINVAL);
    CHECK_INT(bide_context_run(context, NULL, NULL), -EINVAL);
    bide_context_free(context);
    bide_context_free(NULL);
}

static int run_again(void *data)
{
    int rc = bide_sleep(0); /* others run meanwhile, in contexts of their own */
    return rc < 0 ? rc : bide_context_run(data, paint, (void *)"never");
}

static bide_async(sees, (const char *, expected))
{
    CHECK_COLOUR(expected);
    return 0;
}

TASK_TEST(context_is_entered_once_at_a_time)
{
    set(&colour, "main");
    bide_context *context = bide_context_copy();
    bide_task *other = bide_spawn(sees, "main");
    CHECK_INT(bide_context_run(context, run_again, context), -EBUSY);
    CHECK_INT(bide_await(other), 0);
    CHECK_STR(bide_context_lookup(context, &colour), "main");
    bide_context_free(context);
}

static void *in_thread(void *loop)
{
    CHECK_COLOUR("none");
    set_counted(&colour); /* dropped when the thread ends */
    CHECK_COLOUR("counted");
    bide_remote *remote = loop;
    bide_remote *task = bide_spawn_threadsafe(remote, sees, "counted");
    int result;
    CHECK_INT(bide_call_soon_threadsafe(remote, note_colour, NULL, NULL), 0);
    CHECK_INT(bide_wait_threadsafe(task, INFINITY, &result), 0);
    CHECK_INT(result, 0);
    bide_remote_unref(task);
    bide_remote_unref(remote);
    return NULL;
}

TASK_TEST(threads_have_their_own_and_hand_it_over)
{
    set(&colour, "main");
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, in_thread, bide_loop_remote(bide_loop_current())), 0);
    while (!strstr(rig_notes, "counted"))
        CHECK_INT(bide_sleep(0.001), 0);
    while (bide_all_tasks(NULL, NULL, 0) > 1)
        CHECK_INT(bide_sleep(0.001), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    turns(1);
    CHECK_INT(n_dropped, 1);
    CHECK_COLOUR("main");
}

static bide_async(main_inherits)
{
    CHECK_COLOUR("the thread's");
    set(&colour, "main's");
    return 0;
}

BIDE_TEST(main_task_inherits_from_its_thread)
{
    set(&colour, "the thread's");
    CHECK_INT(bide_run_with(NULL, main_inherits), 0);
    CHECK_COLOUR("the thread's");
}

static int handler(bide_stream *stream, void *data)
{
    (void)stream;
    (void)data;
    note_colour(NULL);
    return 0;
}

TASK_TEST(connections_have_what_the_servers_maker_had)
{
    bide_server *server;
    bide_stream *stream;
    set(&colour, "server");
    CHECK_INT(bide_serve("127.0.0.1", 0, handler, NULL, NULL, &server), 0);
    set(&colour, "client");
    for (int i = 0; i < 2; i++) {
        char byte;
        CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream), 0);
        CHECK_INT(bide_read(stream, &byte, 1), 0);
        CHECK_INT(bide_close(stream), 0);
    }
    CHECK_INT(bide_server_close(server), 1);
    bide_server_free(server);
    CHECK_NOTES("server server ");
}

TASK_TEST(failing_allocations_change_nothing)
{
    for (unsigned long n = 1;; n++) {
        bide_context_token *token = NULL;
        set(&shape, "before");
        bide_context *shared = bide_context_copy(); /* so that setting needs a copy */
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide_context_set(&colour, "red", NULL, &token);
        bool hit = fault_disarm();
        CHECK_INT(rc, hit ? -ENOMEM : 0);
        CHECK_COLOUR(hit ? "none" : "red");
        CHECK_STR(bide_context_get(&shape), "before");
        if (!hit) {
            bide_context *again = bide_context_copy();
            fault_arm(FAULT_ALLOCATION, 1, 0);
            CHECK_INT(bide_context_reset(token), -ENOMEM);
            CHECK(fault_disarm());
            CHECK_COLOUR("red");
            CHECK_INT(bide_context_reset(token), 0);
            bide_context_free(again);
        }
        bide_context_free(shared);
        if (!hit) {
            CHECK(n > 2);
            break;
        }
    }
    fault_arm(FAULT_ALLOCATION, 1, 0);
    CHECK_PTR(bide_context_copy(), NULL);
    CHECK(fault_disarm());
}

static bide_context *apart;

static int never_ends(void *unused)
{
    (void)unused;
    set(&shape, "round");
    return bide_shielded(INFINITY, bide_sleep(INFINITY));
}

static bide_async(stays_in_a_context)
{
    return bide_context_run(apart, never_ends, NULL);
}

static bide_async(leaves_one_in_a_context)
{
    bide_detach(bide_spawn(stays_in_a_context)); /* with nothing set */
    set(&colour, "red");
    apart = bide_context_copy();
    return bide_sleep(0);
}

static void gives_up_a_task_in_a_context(void *unused)
{
    const struct bide_loop_opts brief = {.cleanup_seconds = 0.02};
    (void)unused;
    CHECK_INT(bide_run_with(&brief, leaves_one_in_a_context), 0);
    CHECK_STR(bide_context_lookup(apart, &colour), "red");
    bide_context_free(apart);
}

BIDE_TEST(context_outlives_a_task_that_is_given_up_in_it)
{
    char output[16384];
    CHECK_INT(test_child(gives_up_a_task_in_a_context, NULL, output, sizeof output), 0);
}

static int yields_in_it(void *unused)
{
    int one = 1;
    (void)unused;
    set(&colour, "green");
    return bide_yield_item(&one, sizeof one);
}

static bide_generator(int, yields_in_a_context)
{
    return bide_context_run(apart, yields_in_it, NULL);
}

static bide_async(asks, (bide_iterator *, it))
{
    int value;
    return bide_next(it, &value);
}

/* Which must not be, but harms nobody who has no part in it. */
TASK_TEST(generator_that_yields_in_a_context_and_goes_on_in_another_task)
{
    set(&colour, "red");
    apart = bide_context_copy();
    bide_iterator *it = bide_iterate(yields_in_a_context);
    CHECK_INT(bide_await(bide_spawn(asks, it)), 1);
    CHECK_COLOUR("red");
    CHECK_INT(bide_iterator_close(it), 0);
    CHECK_COLOUR("red");
    CHECK_STR(bide_context_lookup(apart, &colour), "red");
    bide_context_free(apart);
}
