/*
 * Forms that a server reads, in trouble. Scenario: a form with texts, a file in memory and one on
 * disk is read whole, saved and sent on, and read part by part, while every allocation and every
 * system call fails in turn, and in simulation every call on files; with the handler cancelled at
 * each turn.
 * Claim: the client gets a whole answer or the end of the connection; nothing is left, no task,
 * descriptor, block or file.
 */
#include "http_form_rig.h"

#include <bide/http_client.h>

#include "fault.h"

static char folder[64];
static char saved[128];
static unsigned forward_port;

static int send_on(const bide_http_form *form)
{
    char url[128];
    bide_http_session *session;
    bide_http_response *response;
    struct bide_http_fetch_opts opts = {.form = form};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/parts", forward_port);
    int rc = bide_http_session_new(&(struct bide_http_session_opts){.read_seconds = 1}, &session);
    if (rc < 0)
        return rc;
    rc = bide_http_fetch(session, "POST", url, &opts, &response);
    if (rc == 0) {
        const char *data;
        rc = bide_http_response_read_all(response, 0, &data, NULL);
        if (rc == 0 && bide_http_response_status(response) != 200)
            rc = -EREMOTEIO;
        bide_http_response_close(response);
    }
    bide_http_session_close(session);
    bide_http_session_free(session);
    return rc;
}

static int use(bide_http_request *request, void *data)
{
    bide_http_form *form;
    (void)data;
    int rc = bide_http_form_read(request, &rig_opts, &form);
    if (rc < 0)
        return rc;
    rc = bide_http_form_save(form, 2, saved);
    if (rc == 0)
        rc = send_on(form);
    bide_http_form_free(form);
    return rc < 0 ? rc : bide_http_reply_text(request, 200, "ok");
}

static const char body[] = NAMED("name=a") "text\r\n" NAMED("name=b; filename=b") "small\r\n" NAMED(
    "name=c; filename=c") "this is what goes to disk" LAST;

/* Says the form and hears whatever comes: 0 if it was taken. */
static int ask(unsigned port)
{
    char text[1024], answer[1024] = "";
    bide_stream *stream;
    int size = 0, rc = bide_connect("127.0.0.1", port, NULL, &stream);
    if (rc < 0)
        return rc;
    int n = snprintf(text, sizeof text,
                     "POST /use HTTP/1.1\r\nHost: h\r\nContent-Type: " MULTIPART
                     "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     sizeof body - 1, body);
    rc = bide_write(stream, text, (size_t)n);
    while (rc >= 0) {
        rc = bide_within(TICKS(60),
                         bide_read(stream, answer + size, sizeof answer - 1 - (size_t)size));
        if (rc <= 0)
            break;
        size += rc;
    }
    bide_close(stream);
    if (rc == 0 && strncmp(answer, "HTTP/1.1 200", 12) != 0)
        rc = -EREMOTEIO;
    if (rc == 0)
        CHECK_CONTAINS(answer, "\r\n\r\nok");
    return rc;
}

static int make_app(bide_http_app **ret_app)
{
    int rc = bide_http_app_new(NULL, ret_app);
    if (rc < 0)
        return rc;
    rc = bide_http_route(*ret_app, "POST", "/use", use, NULL, NULL);
    if (rc == 0)
        rc = bide_http_route(*ret_app, "POST", "/parts", read_parts, NULL, NULL);
    if (rc < 0)
        bide_http_app_free(*ret_app);
    return rc;
}

static bide_async(life)
{
    struct bide_http_server_opts opts = {.idle_seconds = 1, .grace_seconds = 1e-9};
    bide_http_app *app;
    bide_http_server *server;
    bide_loop_set_exception_handler(bide_loop_current(), bide_test_catch_report, NULL);
    rig_opts = (struct bide_http_form_opts){.memory_bytes = 10, .folder = folder};
    int rc = make_app(&app);
    if (rc < 0)
        return rc;
    rc = bide_http_serve(app, "127.0.0.1", 0, &opts, &server);
    if (rc == 0) {
        forward_port = bide_http_server_port(server);
        rc = ask(forward_port);
        int freed = bide_http_server_free(server);
        rc = rc < 0 ? rc : freed;
    }
    bide_http_app_free(app);
    return rc;
}

static void tidy_up(void)
{
    while (*take_report())
        ;
    int rc = unlink(saved);
    CHECK(rc == 0 || errno == ENOENT);
}

static bool is_sim(void)
{
    const char *engine = getenv("BIDE_ENGINE");
    return engine && strcmp(engine, "sim") == 0;
}

/* An engine that can't look at the file that it has just made leaves it: that is its own matter. */
static void check_left_over(const char *directory, const char *function)
{
    bool may_be = strcmp(function, "statx") == 0 || strcmp(function, "fcntl64") == 0;
    DIR *stream = opendir(directory);
    CHECK(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        if (!may_be)
            FAIL("%s is left after a fault in %s", entry->d_name, function);
        unlinkat(dirfd(stream), entry->d_name, 0);
    }
    closedir(stream);
}

static void each_fault(enum fault_kind kind, int error)
{
    char template[] = "/tmp/bide-form-XXXXXX";
    CHECK(mkdtemp(template));
    strcpy(folder, is_sim() ? "/tmp" : template);
    snprintf(saved, sizeof saved, "%s/saved", folder);
    CHECK_INT(bide_run_with(NULL, life), 0);
    tidy_up();
    int n_fds = count_fds();
    unsigned long n = 0;
    for (bool was_hit = true; was_hit;) {
        fault_arm(kind, ++n, error);
        int rc = bide_run_with(NULL, life);
        was_hit = fault_disarm();
        if (was_hit ? rc > 0 : rc != 0)
            FAIL("fault %lu in %s: %d", n, fault_function(), rc);
        tidy_up();
        CHECK_INT(count_fds(), n_fds);
        check_left_over(template, was_hit ? fault_function() : "");
    }
    CHECK(n > 20);
    CHECK_INT(rmdir(template), 0); /* nothing is left in it */
}

BIDE_TEST_SECONDS(every_allocation, 120)
{
    each_fault(FAULT_ALLOCATION, ENOMEM);
}

BIDE_TEST_SECONDS(every_system_call, 120)
{
    rig_needs_kernel();
    each_fault(FAULT_SYSTEM, EIO);
    each_fault(FAULT_SYSTEM, EOPNOTSUPP);
}

/* In simulation every call on a file fails, one after the other. */

static int count_in(const char *directory)
{
    int n = 0, rc;
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(directory))
        n++;
    return rc < 0 ? rc : n;
}

static bide_async(life_on_a_bad_disk, (enum bide_file_kind, kind), (unsigned, n), (bool *, is_hit))
{
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    struct bide_file_status status;
    strcpy(folder, "/tmp");
    strcpy(saved, "/tmp/saved");
    CHECK_INT(bide__sim_file_fails(sim, kind, n, -EIO), 0);
    int rc = life();
    CHECK_INT(bide__sim_file_fails(sim, kind, 0, 0), 0);
    *is_hit = rc < 0;
    CHECK(rc == 0 || rc == -EREMOTEIO);
    bool is_saved = bide_path_stat(saved, &status) == 0;
    CHECK(is_saved || rc < 0);
    if (is_saved)
        CHECK_INT(status.size_bytes, 25);
    /* A file that can't be removed stays. */
    CHECK_INT(count_in("/tmp"), is_saved + (kind == BIDE_CALL_UNLINK && rc < 0));
    return 0;
}

BIDE_TEST_SECONDS(every_call_on_a_file, 60)
{
    static const enum bide_file_kind kinds[] = {BIDE_CALL_OPEN,   BIDE_CALL_READ,
                                                BIDE_CALL_WRITE,  BIDE_CALL_RENAME,
                                                BIDE_CALL_UNLINK, BIDE_CALL_CLOSE};
    if (!is_sim())
        SKIP("needs a disk that can be made to fail");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool is_hit = true;
        unsigned n = 0;
        while (is_hit) {
            CHECK_INT(bide_run_with(NULL, life_on_a_bad_disk, kinds[i], ++n, &is_hit), 0);
            tidy_up();
            CHECK(n < 100);
        }
        CHECK(n > 1 || kinds[i] == BIDE_CALL_CLOSE);
    }
}

/* The server ends at each turn, and with it the handler. */

static bide_async(asks, (unsigned, port), (int *, ret))
{
    *ret = ask(port);
    return 0;
}

/* After so many turns, and after as many short times. */
static void wait_a_while(bide_task *task, int n)
{
    double deadline = bide_time() + TICKS(1) / 50 * n;
    if (n % 2)
        (void)bide_until(deadline, bide_wait(&task, 1, BIDE_FIRST_COMPLETED));
    for (int i = 0; n % 2 == 0 && i < n / 2 && bide_task_state(task) != BIDE_TASK_DONE; i++)
        turns(1);
}

STREAM_TEST_SECONDS(cancelled_at_each_turn, 120)
{
    enum { ROUNDS = 160 };
    char *directory;
    int n_good = 0, n_bad = 0;
    struct bide_http_server_opts opts = {.grace_seconds = 1e-9};
    CHECK_INT(bide_directory_temporary(NULL, &directory), 0);
    snprintf(folder, sizeof folder, "%s", directory);
    snprintf(saved, sizeof saved, "%s/saved", directory);
    rig_opts = (struct bide_http_form_opts){.memory_bytes = 10, .folder = folder};
    for (int n = 0; n <= ROUNDS; n++) {
        int rc;
        CHECK_INT(make_app(&rig_app), 0);
        http_begin(&opts);
        forward_port = bide_http_server_port(rig_server);
        bide_task *task = bide_spawn(asks, forward_port, &rc);
        if (n < ROUNDS)
            wait_a_while(task, n);
        else
            CHECK_INT(bide_wait(&task, 1, BIDE_FIRST_COMPLETED), 1);
        http_end();
        CHECK_INT(bide_await(task), 0);
        n_good += rc == 0;
        n_bad += rc != 0;
        int n_saved = bide_path_unlink(saved) == 0;
        CHECK(n_saved || rc != 0);
        CHECK_INT(count_in(directory), 0);
        while (*take_report())
            ;
    }
    CHECK(n_good > 0);
    CHECK(n_bad > 20);
    CHECK_INT(bide_directory_remove(directory), 0);
    free(directory);
}
