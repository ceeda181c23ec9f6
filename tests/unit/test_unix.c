/*
 * Scenario: Unix sockets are served and connected to, by path and by abstract name, over files that
 * others left, use, or made for something else.
 * Claim: they are streams like others; only a socket's file that nobody uses is ever replaced, only
 * one's own is removed; who waits for room in a full queue gets it or is cancelled.
 */
#include <bide/unix.h>

#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "fault.h"
#include "sim_rig.h"
#include "stream_rig.h"

static char folder[64];
static char path[100];

/* A path of this test's own. */
static const char *fresh_path(void)
{
    strcpy(folder, "/tmp/bide-unix-XXXXXX");
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    return path;
}

static void remove_path(void)
{
    unlink(path);
    CHECK_INT(rmdir(folder), 0); /* nothing else was left in it */
}

static bool path_exists(void)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static int echo(bide_stream *stream, void *data)
{
    char bytes[64];
    int n;
    (void)data;
    while ((n = bide_read(stream, bytes, sizeof bytes)) > 0) {
        int rc = bide_write(stream, bytes, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return n;
}

static bide_server *serve(const char *name, const struct bide_server_opts *opts)
{
    bide_server *server = NULL;
    CHECK_INT(bide_serve_unix(name, echo, NULL, opts, &server), 0);
    return server;
}

static void end(bide_server *server)
{
    bide_server_close(server);
    CHECK_INT(bide_server_wait_closed(server), 0);
    bide_server_free(server);
}

static bide_stream *connect_to(const char *name)
{
    bide_stream *stream = NULL;
    CHECK_INT(bide_connect_unix(name, NULL, &stream), 0);
    return stream;
}

static void check_echo(bide_stream *stream)
{
    char got[6] = "";
    CHECK_INT(bide_write(stream, "hello", 5), 0);
    CHECK_INT(bide_read_exactly(stream, got, 5), 5);
    CHECK_STR(got, "hello");
}

static void talk_to(const char *name)
{
    bide_stream *stream = connect_to(name);
    check_echo(stream);
    CHECK_INT(bide_close(stream), 0);
}

static void check_text(const struct bide_address *address, const char *expected)
{
    char text[BIDE_ADDRESS_TEXT_SIZE];
    CHECK_INT(bide_address_print(address, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
    CHECK_INT(bide_address_port(address), 0);
}

/* Names */

BIDE_TEST(paths_and_abstract_names_are_addresses)
{
    struct bide_address address;
    char longest[109];
    CHECK_INT(bide_address_unix("/run/some.sock", &address), 0);
    CHECK_INT(address.length, offsetof(struct sockaddr_un, sun_path) + 15);
    check_text(&address, "/run/some.sock");
    CHECK_INT(bide_address_unix("@some name", &address), 0);
    CHECK_INT(address.length, offsetof(struct sockaddr_un, sun_path) + 10);
    check_text(&address, "@some name");
    CHECK_INT(bide_address_unix("./@some", &address), 0);
    check_text(&address, "./@some");
    CHECK_INT(bide_address_unix("a\nb\x7f"
                                "c\xc3\xa4",
                                &address),
              0);
    check_text(&address, "a?b?c\xc3\xa4");
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        memset(longest, 'x', sizeof longest);
        longest[0] = is_abstract ? '@' : 'x';
        longest[107] = '\0';
        CHECK_INT(bide_address_unix(longest, &address), 0);
        check_text(&address, longest);
        longest[107] = 'x';
        longest[108] = '\0';
        CHECK_INT(bide_address_unix(longest, &address), -ENAMETOOLONG);
        check_text(&address, (longest[107] = '\0', longest)); /* untouched */
    }
    CHECK_INT(bide_address_unix("", &address), -EINVAL);
    CHECK_INT(bide_address_unix("@", &address), -EINVAL);
    CHECK_INT(bide_address_unix(NULL, &address), -EINVAL);
    CHECK_INT(bide_address_unix("x", NULL), -EINVAL);
    struct sockaddr_un none = {.sun_family = AF_UNIX};
    memcpy(address.bytes, &none, sizeof none.sun_family);
    address.length = sizeof none.sun_family;
    check_text(&address, "unix");
    memset(none.sun_path, 'y', sizeof none.sun_path); /* without a NUL, as the kernel allows */
    memcpy(address.bytes, &none, sizeof none);
    address.length = sizeof none;
    memset(longest, 'y', sizeof longest);
    longest[108] = '\0';
    check_text(&address, longest);
}

static void talk_by_name(const char *name)
{
    struct bide_address address;
    bide_server *server = serve(name, NULL);
    CHECK_INT(bide_server_port(server), 0);
    CHECK_INT(bide_server_addresses(server, &address, 1), 1);
    check_text(&address, name);
    bide_stream *stream = connect_to(name);
    check_echo(stream);
    CHECK_INT(bide_stream_peer(stream, &address), 0);
    check_text(&address, name);
    CHECK_INT(bide_stream_local(stream, &address), 0);
    check_text(&address, "unix");
    CHECK_INT(bide_close(stream), 0);
    end(server);
}

STREAM_TEST(a_stream_by_path)
{
    talk_by_name(fresh_path());
    CHECK(!path_exists());
    remove_path();
}

STREAM_TEST(a_stream_by_abstract_name)
{
    char name[sizeof path + 1];
    snprintf(name, sizeof name, "@%s", fresh_path());
    talk_by_name(name);
    talk_by_name(name);
    remove_path();
}

STREAM_TEST(both_ends_know_each_other)
{
    struct bide_credentials who = {0};
    bide_server *server = serve(fresh_path(), NULL);
    bide_stream *stream = connect_to(path);
    CHECK_INT(bide_stream_credentials(stream, &who), 0);
    CHECK_INT(who.pid, getpid());
    CHECK_INT(who.uid, getuid());
    CHECK_INT(who.gid, getgid());
    CHECK_INT(bide_stream_credentials(NULL, &who), -EINVAL);
    CHECK_INT(bide_stream_credentials(stream, NULL), -EINVAL);
    bide_abort(stream);
    CHECK_INT(bide_stream_credentials(stream, &who), -ENOTCONN);
    CHECK_INT(bide_close(stream), 0);
    end(server);
    CHECK_INT(bide_serve("127.0.0.1", 0, echo, NULL, NULL, &server), 0);
    CHECK_INT(bide_connect("127.0.0.1", bide_server_port(server), NULL, &stream), 0);
    CHECK_INT(bide_stream_credentials(stream, &who), -EOPNOTSUPP);
    CHECK_INT(bide_close(stream), 0);
    end(server);
    remove_path();
}

STREAM_TEST(senseless_arguments_are_refused)
{
    static const struct bide_address some = {.length = 16};
    static const struct bide_connect_opts senseless[] = {
        {.family = BIDE_IPV4},  {.local = &some},         {.resolve_seconds = 1},
        {.attempt_seconds = 1}, {.resolve_seconds = NAN}, {.stream = {.linger_seconds = -1}},
    };
    static const struct bide_server_opts senseless_servers[] = {
        {.family = BIDE_IPV6}, {.reuse_port = true}, {.file_mode = 01000}, {.backlog = -1}};
    static const struct bide_server_opts moded = {.file_mode = 0600};
    char long_name[109];
    bide_stream *stream = NULL;
    bide_server *server = NULL;
    memset(long_name, 'x', sizeof long_name);
    long_name[108] = '\0';
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        CHECK_INT(bide_connect_unix("name", &senseless[i], &stream), -EINVAL);
    for (size_t i = 0; i < sizeof senseless_servers / sizeof *senseless_servers; i++)
        CHECK_INT(bide_serve_unix("name", echo, NULL, &senseless_servers[i], &server), -EINVAL);
    CHECK_INT(bide_connect_unix(NULL, NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect_unix("", NULL, &stream), -EINVAL);
    CHECK_INT(bide_connect_unix(long_name, NULL, &stream), -ENAMETOOLONG);
    CHECK_INT(bide_connect_unix("name", NULL, NULL), -EINVAL);
    CHECK_INT(bide_serve_unix(NULL, echo, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_serve_unix(long_name, echo, NULL, NULL, &server), -ENAMETOOLONG);
    CHECK_INT(bide_serve_unix("name", NULL, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_serve_unix("name", echo, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(bide_serve("127.0.0.1", 0, echo, NULL, &moded, &server), -EINVAL);
    CHECK_PTR(stream, NULL);
    CHECK_PTR(server, NULL);
}

BIDE_TEST(without_a_loop_nothing_is_served)
{
    bide_server *server = NULL;
    bide_stream *stream = NULL;
    CHECK_INT(bide_serve_unix("name", echo, NULL, NULL, &server), -EINVAL);
    CHECK_INT(bide_connect_unix("name", NULL, &stream), -BIDE_ENOTASK);
}

/* Files */

STREAM_TEST(nobody_there)
{
    rig_needs_kernel();
    bide_stream *stream = NULL;
    struct stat status;
    CHECK_INT(bide_connect_unix(fresh_path(), NULL, &stream), -ENOENT);
    CHECK_STR(bide_error_detail(), path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct bide_address address;
    CHECK_INT(bide_address_unix(path, &address), 0);
    CHECK_INT(bind(fd, (struct sockaddr *)address.bytes, address.length), 0);
    CHECK_INT(bide_connect_unix(path, NULL, &stream), -ECONNREFUSED);
    close(fd);
    CHECK_INT(bide_connect_unix(path, NULL, &stream), -ECONNREFUSED);
    CHECK_PTR(stream, NULL);
    /* What it left is replaced. */
    CHECK_INT(lstat(path, &status), 0);
    bide_server *server = serve(path, NULL);
    talk_to(path);
    end(server);
    CHECK(!path_exists());
    remove_path();
}

STREAM_TEST(a_server_that_lives_keeps_its_name)
{
    bide_server *server = serve(fresh_path(), NULL);
    bide_server *other = NULL;
    CHECK_INT(bide_serve_unix(path, echo, NULL, NULL, &other), -EADDRINUSE);
    CHECK_STR(bide_error_detail(), path);
    CHECK_PTR(other, NULL);
    talk_to(path);
    end(server);
    server = serve(path, NULL);
    end(server);
    remove_path();
}

/* A name that is bound to another kind of socket is in use, too. */
STREAM_TEST(a_socket_of_another_kind_keeps_its_name)
{
    rig_needs_kernel();
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    fresh_path();
    for (int i = 0; i < 2; i++) {
        struct bide_address address;
        bide_server *server = NULL;
        bide_stream *stream = NULL;
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
        CHECK_INT(bide_address_unix(path, &address), 0);
        CHECK_INT(bind(fd, (struct sockaddr *)address.bytes, address.length), 0);
        if (types[i] == SOCK_SEQPACKET)
            CHECK_INT(listen(fd, 1), 0);
        CHECK_INT(bide_serve_unix(path, echo, NULL, NULL, &server), -EADDRINUSE);
        CHECK_INT(bide_connect_unix(path, NULL, &stream), -EPROTOTYPE);
        CHECK(path_exists());
        close(fd);
        unlink(path);
    }
    remove_path();
}

STREAM_TEST(what_is_no_socket_is_left_alone)
{
    rig_needs_kernel();
    bide_server *server = NULL;
    bide_stream *stream = NULL;
    struct stat status;
    char other[110];
    fresh_path();
    snprintf(other, sizeof other, "%s.other", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, "precious", 8), 8);
    close(fd);
    CHECK_INT(bide_serve_unix(path, echo, NULL, NULL, &server), -EADDRINUSE);
    CHECK_INT(bide_connect_unix(path, NULL, &stream), -ECONNREFUSED);
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_size, 8);
    unlink(path);
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK_INT(bide_serve_unix(path, echo, NULL, NULL, &server), -EADDRINUSE);
    CHECK_INT(rmdir(path), 0);
    CHECK_INT(symlink(other, path), 0); /* whose target may be anything */
    CHECK_INT(bide_serve_unix(path, echo, NULL, NULL, &server), -EADDRINUSE);
    CHECK_INT(unlink(path), 0);
    snprintf(other, sizeof other, "%s/none/socket", folder);
    CHECK_INT(bide_serve_unix(other, echo, NULL, NULL, &server), -ENOENT);
    CHECK_STR(bide_error_detail(), other);
    CHECK_PTR(server, NULL);
    remove_path();
}

STREAM_TEST(only_its_own_file_is_removed)
{
    rig_needs_kernel();
    bide_server *first = serve(fresh_path(), NULL);
    CHECK_INT(unlink(path), 0);
    bide_server *second = serve(path, NULL);
    end(first);
    CHECK(path_exists());
    talk_to(path);
    CHECK_INT(unlink(path), 0);
    end(second); /* gone already */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    close(fd);
    CHECK(path_exists());
    remove_path();
}

STREAM_TEST(the_file_has_the_mode_that_was_asked_for)
{
    rig_needs_kernel();
    struct stat status;
    mode_t before = umask(027);
    bide_server *server = serve(fresh_path(), NULL);
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_mode & 07777, 0750);
    end(server);
    server = serve(path, &(struct bide_server_opts){.file_mode = 0606});
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_mode & 07777, 0606);
    end(server);
    umask(before);
    remove_path();
}

STREAM_TEST(the_file_goes_when_the_server_is_closed_and_connections_stay)
{
    rig_needs_kernel();
    bide_server *server = serve(fresh_path(), NULL);
    bide_stream *stream = connect_to(path);
    check_echo(stream);
    bide_server_close(server);
    CHECK(!path_exists());
    check_echo(stream);
    CHECK_INT(bide_close(stream), 0);
    end(server);
    remove_path();
}

/* A full queue */

static bide_async(connects, (bide_stream **, ret_stream))
{
    return bide_connect_unix(path, NULL, ret_stream);
}

/* Connects until nobody else gets in, and has one wait. */
static size_t fill(bide_stream **streams, bide_task **ret_waiting)
{
    size_t n = 0;
    while (bide_within(TICKS(8), connects(&streams[n])) == 0)
        CHECK_RANGE(++n, 1, 7);
    *ret_waiting = bide_spawn(connects, &streams[n]);
    for (int i = 0; i < 3; i++)
        turns(1);
    return n;
}

static const struct bide_server_opts narrow = {.connections_max = 1, .backlog = 1};

STREAM_TEST(who_finds_the_queue_full_waits_for_room)
{
    bide_stream *streams[8] = {NULL};
    bide_task *task = NULL;
    bide_server *server = serve(fresh_path(), &narrow);
    size_t n = fill(streams, &task);
    CHECK_INT(bide_task_state(task), BIDE_TASK_WAITING);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(bide_close(streams[i]), 0);
    CHECK_INT(bide_await(task), 0);
    check_echo(streams[n]);
    CHECK_INT(bide_close(streams[n]), 0);
    end(server);
    remove_path();
}

STREAM_TEST(who_waits_for_room_can_be_cancelled)
{
    bide_stream *streams[8] = {NULL};
    bide_task *task = NULL;
    bide_server *server = serve(fresh_path(), &narrow);
    size_t n = fill(streams, &task);
    int n_fds = count_fds();
    CHECK_INT(bide_cancel(task), 1);
    CHECK_INT(bide_await(task), -ECANCELED);
    CHECK_INT(bide_within(TICKS(5), connects(&streams[n])), -ETIMEDOUT);
    CHECK_PTR(streams[n], NULL);
    CHECK_INT(count_fds(), n_fds);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(bide_close(streams[i]), 0);
    end(server);
    remove_path();
}

STREAM_TEST(who_waits_for_room_hears_of_the_end)
{
    bide_stream *streams[8] = {NULL};
    bide_task *task = NULL;
    bide_server *server = serve(fresh_path(), &narrow);
    size_t n = fill(streams, &task);
    bide_server_close(server);
    int rc = bide_await(task);
    CHECK(rc == -ENOENT || rc == -ECONNREFUSED);
    for (size_t i = 0; i < n; i++) {
        bide_abort(streams[i]);
        CHECK_INT(bide_close(streams[i]), 0);
    }
    bide_server_cancel(server);
    end(server);
    remove_path();
}

/* Ends */

static bide_async(is_stuck)
{
    static bide_stream *stream;
    return bide_shielded(INFINITY, bide_connect_unix(path, NULL, &stream));
}

static bide_async(leaves_all)
{
    bide_stream *streams[8] = {NULL};
    bide_task *task = NULL;
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    bide_server *server = serve(path, &narrow);
    size_t n = fill(streams, &task);
    bide_detach(waiting(bide_spawn(is_stuck)));
    bide_detach(task);
    for (size_t i = 0; i < n; i++)
        bide_close(streams[i]);
    bide_server_free(server);
    return 0;
}

BIDE_TEST(a_loop_that_closes_leaves_no_file)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    fresh_path();
    CHECK_INT(bide_run_with(&impatient, leaves_all), 0);
    (void)take_report(); /* if the stuck one had no luck */
    CHECK(!path_exists());
    rig_end();
    remove_path();
}

static bide_async(forks)
{
    bide_server *server = serve(path, NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bide_after_fork();
        bide_server_free(server);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK(path_exists());
    talk_to(path);
    end(server);
    return 0;
}

BIDE_TEST(a_childs_copy_removes_nothing)
{
    rig_needs_kernel();
    fresh_path();
    CHECK_INT(bide_run_with(NULL, forks), 0);
    CHECK(!path_exists());
    rig_end();
    remove_path();
}

/* Failures */

static bide_server *owned;
static bide_stream *owned_stream;

static bide_async(lives)
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    int rc = bide_serve_unix(path, echo, NULL, &(struct bide_server_opts){.file_mode = 0600},
                             &owned);
    if (rc < 0)
        return rc;
    rc = bide_connect_unix(path, NULL, &owned_stream);
    if (rc == 0)
        rc = bide_write(owned_stream, "x", 1);
    char byte;
    if (rc == 0)
        rc = bide_within(20, bide_read(owned_stream, &byte, 1)) == 1 ? 0 : -EIO;
    int closed = bide_close(owned_stream);
    owned_stream = NULL;
    bide_server_close(owned);
    bide_server_cancel(owned);
    int waited = bide_server_wait_closed(owned);
    bide_server_free(owned);
    owned = NULL;
    return rc < 0 ? rc : closed < 0 ? closed : waited;
}

/* The file that a server which was killed left. */
static void leave_stale_file(void)
{
    struct bide_address address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bide_address_unix(path, &address), 0);
    CHECK_INT(bind(fd, (struct sockaddr *)address.bytes, address.length), 0);
    close(fd);
}

static void each_fault(enum fault_kind kind, int error)
{
    bool was_hit = true;
    unsigned long n = 1;
    fresh_path();
    int n_fds = count_fds();
    for (; was_hit; n++) {
        CHECK(n < 1000);
        leave_stale_file();
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, lives);
        was_hit = fault_disarm();
        bide_close(owned_stream);
        bide_server_free(owned);
        owned_stream = NULL;
        owned = NULL;
        while (*take_report())
            continue;
        if (!was_hit)
            CHECK_INT(rc, 0);
        CHECK_INT(count_fds(), n_fds);
        struct stat status; /* either nothing is there, or what was before */
        if (lstat(path, &status) == 0)
            CHECK(S_ISSOCK(status.st_mode) && (rc < 0 || was_hit));
        unlink(path);
    }
    CHECK_RANGE(n, 20, 1000);
    remove_path();
}

BIDE_TEST_SECONDS(every_allocation_fails_in_turn, 120)
{
    rig_needs_kernel();
    each_fault(FAULT_ALLOCATION, 0);
}

BIDE_TEST_SECONDS(every_system_call_fails_in_turn, 120)
{
    rig_needs_kernel();
    each_fault(FAULT_SYSTEM, EIO);
    each_fault(FAULT_SYSTEM, EACCES);
}
