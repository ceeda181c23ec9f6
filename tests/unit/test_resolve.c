/*
 * Scenario: names are looked up, by a C library that this program replaces: it answers what the
 * name says, or hangs until the test lets go. Claim: numeric addresses need no thread; every kind
 * of answer becomes the right error; a cancelled lookup is left behind without harm, also by a loop
 * that ends; other blocking work delays no lookup; a host's addresses are tried in turn.
 */
#include "resolver_rig.h"
#include "runtime/loop.h"

static void check_address(const struct bide_address *address, const char *expected)
{
    char text[BIDE_ADDRESS_TEXT_SIZE];
    CHECK_INT(bide_address_print(address, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
}

STREAM_TEST(numeric_addresses_are_answered_at_once)
{
    struct bide_address addresses[3];
    CHECK_INT(bide_resolve("127.0.0.1", 80, BIDE_ANY_FAMILY, addresses, 3), 1);
    check_address(&addresses[0], "127.0.0.1:80");
    CHECK_INT(bide_resolve("::1", 65535, BIDE_ANY_FAMILY, addresses, 3), 1);
    check_address(&addresses[0], "[::1]:65535");
    CHECK_INT(bide_resolve(NULL, 0, BIDE_ANY_FAMILY, addresses, 3), 2);
    check_address(&addresses[0], "0.0.0.0:0");
    check_address(&addresses[1], "[::]:0");
    CHECK_INT(bide_resolve("", 1, BIDE_IPV6, addresses, 3), 1);
    check_address(&addresses[0], "[::]:1");
    CHECK_INT(bide_resolve(NULL, 1, BIDE_ANY_FAMILY, addresses, 1), 1);
    check_address(&addresses[0], "0.0.0.0:1");
    CHECK_INT(calls_so_far(), 0);
}

STREAM_TEST(names_are_looked_up_in_the_wanted_family)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    struct bide_address addresses[2];
    for (enum bide_family family = BIDE_ANY_FAMILY; family <= BIDE_IPV6; family++) {
        CHECK_INT(bide_resolve("name", 1234, family, addresses, 2), 1);
        check_address(&addresses[0], "127.0.0.1:1234");
        CHECK_INT(library.hints.ai_family, families[family]);
        CHECK_INT(library.hints.ai_socktype, SOCK_STREAM);
    }
    CHECK_INT(calls_so_far(), 3);
    /* What looks like an address of the other family is one more name. */
    CHECK_INT(bide_resolve("::1", 1, BIDE_IPV4, addresses, 2), 1);
    CHECK_INT(calls_so_far(), 4);
}

STREAM_TEST(only_as_many_addresses_as_there_is_room_for)
{
    struct bide_address addresses[8];
    memset(addresses, 'x', sizeof addresses);
    CHECK_INT(bide_resolve("many", 1, BIDE_ANY_FAMILY, addresses, 7), 7);
    for (int i = 0; i < 7; i++)
        check_address(&addresses[i], "127.0.0.1:1");
    for (size_t i = 0; i < sizeof addresses[7]; i++)
        CHECK_INT(((unsigned char *)&addresses[7])[i], 'x');
}

STREAM_TEST(every_answer_has_its_error)
{
    static const struct {
        int answer;
        int error;
    } cases[] = {
        {EAI_NONAME, -BIDE_ENONAME},     {EAI_NODATA, -BIDE_ENONAME},
        {EAI_AGAIN, -BIDE_ENAMEAGAIN},   {EAI_FAIL, -BIDE_ENAMEFAIL},
        {EAI_MEMORY, -ENOMEM},           {EAI_SYSTEM, -EIO},
        {EAI_SERVICE, -BIDE_ENONAME},    {EAI_FAMILY, -BIDE_ENONAME},
        {EAI_ADDRFAMILY, -BIDE_ENONAME}, {EAI_BADFLAGS, -BIDE_ENAMEFAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bide_address untouched;
        char name[16];
        char expected[128];
        memset(&untouched, 'x', sizeof untouched);
        snprintf(name, sizeof name, "error%d", cases[i].answer);
        CHECK_INT(bide_resolve(name, 1, BIDE_ANY_FAMILY, &untouched, 1), cases[i].error);
        snprintf(expected, sizeof expected, "%s: %s", name,
                 cases[i].error == -EIO ? strerror(EIO) : gai_strerror(cases[i].answer));
        CHECK_STR(bide_error_detail(), expected);
        CHECK_INT(untouched.length, 0x78787878);
    }
}

STREAM_TEST(senseless_arguments_are_refused)
{
    static char long_name[2000];
    struct bide_address address;
    memset(long_name, 'a', sizeof long_name - 1);
    CHECK_INT(bide_resolve("name", 65536, BIDE_ANY_FAMILY, &address, 1), -EINVAL);
    CHECK_INT(bide_resolve("name", 1, (enum bide_family)3, &address, 1), -EINVAL);
    CHECK_INT(bide_resolve("name", 1, BIDE_ANY_FAMILY, NULL, 1), -EINVAL);
    CHECK_INT(bide_resolve("name", 1, BIDE_ANY_FAMILY, &address, 0), -EINVAL);
    CHECK_INT(bide_resolve(long_name, 1, BIDE_ANY_FAMILY, &address, 1), -EINVAL);
    CHECK_INT(calls_so_far(), 0);
}

STREAM_TEST(addresses_are_printed_for_people)
{
    struct bide_address address = {.length = sizeof(sa_family_t)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};
    char text[BIDE_ADDRESS_TEXT_SIZE];
    char little[6] = "xxxxx";
    memset(&ipv6.sin6_addr, 0xff, sizeof ipv6.sin6_addr);
    memcpy(address.bytes, &ipv6, sizeof ipv6);
    address.length = sizeof ipv6;
    check_address(&address, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    CHECK_INT(bide_address_port(&address), 65535);
    CHECK_INT(bide_address_print(&address, little, sizeof little), 47);
    CHECK_STR(little, "[ffff");
    CHECK_INT(bide_address_print(&address, NULL, 0), 47);
    address = (struct bide_address){.length = sizeof(sa_family_t)};
    CHECK(bide_address_print(&address, text, sizeof text) > 0);
    CHECK_INT(bide_address_port(&address), 0);
    CHECK_INT(bide_address_port(NULL), 0);
    CHECK(bide_address_print(NULL, text, sizeof text) > 0);
}

static bide_async(resolves, (const char *, host), (struct bide_address *, ret))
{
    return bide_resolve(host, 1, BIDE_ANY_FAMILY, ret, 1);
}

STREAM_TEST(a_cancelled_lookup_ends_its_wait_at_once)
{
    struct bide_address address = {.length = 77};
    bide_task *task = waiting(bide_spawn(resolves, "hangs", &address));
    until_hanging(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_within(TICKS(1), resolves("hangs", &address)), -ETIMEDOUT);
    CHECK_INT(address.length, 77);
    CHECK_INT(bide_resolve("another", 1, BIDE_ANY_FAMILY, &address, 1), 1);
    let_go();
    until_hanging(0);
    CHECK_INT(bide_resolve("another", 1, BIDE_ANY_FAMILY, &address, 1), 1);
}

/* It waits behind others for a thread, and does not even begin. */
STREAM_TEST(a_cancelled_lookup_in_the_queue_never_begins)
{
    enum { MANY = 2 * LOOKUPS_AT_ONCE };
    bide_task *tasks[MANY];
    static struct bide_address addresses[MANY];
    for (int i = 0; i < MANY; i++)
        tasks[i] = waiting(bide_spawn(resolves, "hangs", &addresses[i]));
    while (calls_so_far() == 0)
        turns(1);
    CHECK_INT(bide_cancel_join(tasks, MANY), 0);
    let_go();
    CHECK_INT(bide_resolve("another", 1, BIDE_ANY_FAMILY, addresses, 1), 1);
    until_hanging(0);
    CHECK_RANGE(calls_so_far(), 2, LOOKUPS_AT_ONCE + 1);
}

static bide_async(connects, (const char *, host), (unsigned, port), (bide_stream **, ret_stream))
{
    return bide_connect(host, port, NULL, ret_stream);
}

static int leaves(bide_stream *stream, void *data)
{
    (void)stream;
    (void)data;
    return 0;
}

STREAM_TEST(connecting_and_serving_are_cancelled_in_their_lookup)
{
    bide_stream *stream = NULL;
    bide_server *server = NULL;
    int n_fds = count_fds();
    bide_task *task = waiting(bide_spawn(connects, "hangs", 1, &stream));
    until_hanging(1);
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_within(TICKS(1), bide_serve("hangs", 0, leaves, NULL, NULL, &server)),
              -ETIMEDOUT);
    CHECK_PTR(stream, NULL);
    CHECK_PTR(server, NULL);
    CHECK_INT(count_fds(), n_fds);
    let_go();
    until_hanging(0);
}

STREAM_TEST(a_hosts_addresses_are_tried_in_turn)
{
    bide_stream *stream;
    bide_server *server;
    struct bide_address peer;
    char expected[64];
    CHECK_INT(bide_serve("127.0.0.1", 0, leaves, NULL, NULL, &server), 0);
    unsigned port = bide_server_port(server);
    int n_fds = count_fds();
    CHECK_INT(bide_connect("second-works", port, NULL, &stream), 0);
    CHECK_INT(bide_stream_peer(stream, &peer), 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
    check_address(&peer, expected);
    CHECK_INT(bide_close(stream), 0);
    bide_server_free(server);
    settle();
    CHECK_INT(bide_connect("second-works", port, NULL, &stream), -ECONNREFUSED);
    char both[160];
    snprintf(both, sizeof both, "[::1]:%u: Connection refused, %s: Connection refused", port,
             expected);
    CHECK_STR(bide_error_detail(), both);
    CHECK_INT(bide_connect("many", port, NULL, &stream), -ECONNREFUSED);
    CHECK_RANGE(count_fds(), 0, n_fds);
}

/* Blocking work of others */

struct job {
    struct bide_job job;
    int n_ends;
};

static void job_run(struct bide_job *job)
{
    (void)job;
    pthread_mutex_lock(&library.lock);
    hang();
    pthread_mutex_unlock(&library.lock);
}

static void job_end(struct bide_job *job)
{
    ((struct job *)job)->n_ends++;
}

static bide_async(resolves_behind_jobs)
{
    enum { JOBS = 100 };
    static struct job jobs[2 * JOBS];
    struct bide_engine *engine = bide_loop_current()->engine;
    struct bide_address address;
    for (int i = 0; i < 2 * JOBS; i++) {
        jobs[i].job.run = job_run;
        jobs[i].job.done = job_end;
        jobs[i].job.drop = job_end;
        enum bide_lane lane = i < JOBS ? BIDE_LANE_USER : BIDE_LANE_FILE;
        CHECK_INT(engine->ops->job_submit(engine, &jobs[i].job, lane), 0);
    }
    for (int i = 0; i < 20; i++)
        CHECK_INT(bide_resolve("name", 1, BIDE_ANY_FAMILY, &address, 1), 1);
    for (int i = 0; i < 2 * JOBS; i++)
        CHECK_INT(jobs[i].n_ends, 0);
    let_go();
    for (int i = 0; i < 2 * JOBS; i++)
        while (jobs[i].n_ends == 0)
            turns(1);
    return 0;
}

BIDE_TEST(nobodys_jobs_delay_a_lookup)
{
    CHECK_INT(bide_run_with(NULL, resolves_behind_jobs), 0);
    rig_end();
}

/* Loops that end */

static bide_async(is_stuck, (const char *, host))
{
    static struct bide_address address;
    return bide_shielded(INFINITY, bide_resolve(host, 1, BIDE_ANY_FAMILY, &address, 1));
}

static bide_async(leaves_a_lookup, (int, n_stuck))
{
    static struct bide_address address;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_detach(waiting(bide_spawn(resolves, "hangs", &address)));
    for (int i = 0; i < n_stuck; i++)
        bide_detach(waiting(bide_spawn(is_stuck, "hangs")));
    until_hanging(1 + (unsigned)n_stuck);
    return 0;
}

BIDE_TEST(a_loop_that_ends_leaves_hanging_lookups_behind)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    CHECK_INT(bide_run_with(NULL, leaves_a_lookup, 0), 0);
    CHECK_STR(take_report(), "");
    let_go();
    until_hanging(0);
    library.let_go = false;
    CHECK_INT(bide_run_with(&impatient, leaves_a_lookup, 2), 0);
    CHECK(*take_report());
    CHECK(*take_report());
    let_go();
    until_hanging(0);
    rig_end();
}
