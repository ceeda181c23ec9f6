/*
 * Scenario: calls on files are cancelled at every point, files are closed while others use them,
 * and loops end with calls under way. Claim: what only looks ends at once; what changes something
 * happened or did not, and the caller is told which; no descriptor is left.
 */
#include "file_rig.h"

#include <pthread.h>
#include <sys/wait.h>

enum { MANY_TURNS = 6 };

/* Cancels the task after that many turns; its result. */
static int cancelled_after(bide_task *task, int n_turns)
{
    CHECK(task);
    turns(n_turns);
    bide_cancel(task);
    return bide_await(task);
}

static bool exists(const char *path)
{
    struct bide_file_status status;
    int rc = bide_path_stat(path, &status);
    CHECK(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

FILE_TEST(a_cancelled_open_leaves_nothing_open)
{
    store(in_rig("a"), "text");
    int n_fds = count_fds();
    for (int i = 0; i < MANY_TURNS; i++) {
        bide_file *file = NULL;
        int rc = cancelled_after(bide_spawn(opens, in_rig("a"), O_RDWR, &file), i);
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK_INT(rc == 0, file != NULL);
        CHECK_INT(bide_file_close(file), 0);
    }
    while (count_fds() > n_fds) /* of an abandoned one, on its thread */
        turns(1);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(a_cancelled_creation_happened_or_did_not)
{
    for (int i = 0; i < MANY_TURNS; i++) {
        bide_file *file = NULL;
        int rc = cancelled_after(bide_spawn(opens, in_rig("a"), O_RDWR | O_CREAT | O_EXCL, &file),
                                 i);
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK_INT(rc == 0, file != NULL);
        CHECK_INT(exists(in_rig("a")), rc == 0);
        CHECK_INT(bide_file_close(file), 0);
        if (rc == 0)
            CHECK_INT(bide_path_unlink(in_rig("a")), 0);
    }
}

static bide_async(renames, (const char *, from), (const char *, to))
{
    return bide_path_rename(from, to);
}

static bide_async(makes, (const char *, path))
{
    return bide_directory_make(path, 0700);
}

static bide_async(removes, (const char *, path))
{
    return bide_directory_remove(path);
}

static bide_async(unlinks, (const char *, path))
{
    return bide_path_unlink(path);
}

static bide_async(stores, (const char *, path), (const char *, text))
{
    return bide_file_store(path, text, strlen(text), NULL);
}

static bide_async(truncates, (bide_file *, file), (int64_t, size))
{
    return bide_file_truncate(file, size);
}

FILE_TEST(cancelled_changes_happened_or_did_not)
{
    for (int i = 0; i < MANY_TURNS; i++) {
        int rc = cancelled_after(bide_spawn(makes, in_rig("d")), i);
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK_INT(exists(in_rig("d")), rc == 0);
        if (rc < 0)
            CHECK_INT(bide_directory_make(in_rig("d"), 0700), 0);
        rc = cancelled_after(bide_spawn(renames, in_rig("d"), in_rig("e")), i);
        CHECK(rc == 0 || rc == -ECANCELED);
        CHECK_INT(exists(in_rig("e")), rc == 0);
        CHECK_INT(exists(in_rig("d")), rc < 0);
        const char *left = rc == 0 ? in_rig("e") : in_rig("d");
        rc = cancelled_after(bide_spawn(removes, left), i);
        CHECK_INT(exists(left), rc < 0);
        if (rc < 0)
            CHECK_INT(bide_directory_remove(left), 0);
        store(in_rig("f"), "text");
        rc = cancelled_after(bide_spawn(unlinks, in_rig("f")), i);
        CHECK_INT(exists(in_rig("f")), rc < 0);
        if (rc < 0)
            CHECK_INT(bide_path_unlink(in_rig("f")), 0);
    }
}

/* Old or new, and nothing else in the directory. */
FILE_TEST(a_cancelled_store_is_all_or_nothing)
{
    int rc;
    store(in_rig("a"), "old");
    for (int i = 0; i < 12; i++) {
        int stored = cancelled_after(bide_spawn(stores, in_rig("a"), "new"), i);
        CHECK(stored == 0 || stored == -ECANCELED);
        check_file(in_rig("a"), stored == 0 ? "new" : "old");
        bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(rig_directory))
            CHECK_STR(entry.name, "a");
        CHECK_INT(rc, 0);
        store(in_rig("a"), "old");
    }
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(a_cancelled_read_has_not_moved)
{
    static char buffer[600 * KIB];
    static char data[600 * KIB];
    pattern_fill(data, 0, sizeof data);
    CHECK_INT(bide_file_store(in_rig("a"), data, sizeof data, NULL), 0);
    static const size_t sizes[] = {1, 5000, 20 * KIB, 600 * KIB};
    for (int i = 0; i < MANY_TURNS; i++)
        for (int k = 0; k < 4; k++) {
            bide_file *file = opened(in_rig("a"), O_RDONLY);
            int rc = cancelled_after(bide_spawn(reads, file, buffer, sizes[k]), i);
            CHECK_INT(bide_file_tell(file), rc == -ECANCELED ? 0 : (long long)sizes[k]);
            int64_t at = bide_file_tell(file);
            CHECK_INT(bide_file_read(file, buffer, 100), at == sizeof data ? 0 : 100);
            if (at < (int64_t)sizeof data)
                pattern_check(buffer, (size_t)at, 100);
            CHECK_INT(bide_file_close(file), 0);
        }
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(a_cancelled_write_tells_how_far_it_came)
{
    static char data[900 * KIB];
    static const size_t sizes[] = {1, 100 * KIB, 900 * KIB};
    struct bide_file_status status;
    pattern_fill(data, 0, sizeof data);
    for (int i = 0; i < 2 * MANY_TURNS; i++)
        for (int k = 0; k < 3; k++) {
            bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT | O_TRUNC);
            size_t n = 77;
            int rc = cancelled_after(bide_spawn(writes, file, data, sizes[k], &n), i);
            if (n == 77) /* it never began */
                n = 0;
            CHECK(rc == 0 ? n == sizes[k] : rc == -ECANCELED && n < sizes[k]);
            CHECK_INT(bide_file_tell(file), n);
            CHECK_INT(bide_file_stat(file, &status), 0);
            CHECK_INT(status.size_bytes, n);
            rc = cancelled_after(bide_spawn(truncates, file, 5), i);
            CHECK_INT(bide_file_stat(file, &status), 0);
            CHECK_INT(status.size_bytes, rc == 0 ? 5 : (long long)n);
            CHECK_INT(bide_file_close(file), 0);
        }
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* A step of an iterator that is cancelled has lost nothing. */
static bide_async(counts, (bide_iterator *, iterator), (int *, n))
{
    struct bide_file_line line;
    int rc;
    while ((rc = bide_next(iterator, &line)) == 1)
        ++*n;
    return rc;
}

FILE_TEST(cancelled_steps_lose_no_line)
{
    enum { LINES = 50000 };
    char *text = malloc(LINES * 8);
    size_t size = 0;
    for (int i = 0; i < LINES; i++)
        size += (size_t)sprintf(text + size, "%d\n", i);
    CHECK_INT(bide_file_store(in_rig("a"), text, size, NULL), 0);
    free(text);
    int n = 0;
    int rc = -ECANCELED;
    bide_iterator *lines = bide_file_lines(in_rig("a"), 0);
    for (int i = 0; rc == -ECANCELED; i++)
        rc = cancelled_after(bide_spawn(counts, lines, &n), i / 3);
    CHECK_INT(rc, 0);
    CHECK_INT(n, LINES);
    CHECK_INT(bide_iterator_close(lines), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(time_limits_end_what_they_are_around)
{
    bide_file *file = NULL;
    char byte;
    store(in_rig("a"), "text");
    CHECK_INT(bide_within(-1, bide_file_open(in_rig("a"), O_RDONLY, 0, &file)), -ETIMEDOUT);
    CHECK_PTR(file, NULL);
    file = opened(in_rig("a"), O_RDONLY);
    CHECK_INT(bide_within(-1, (int)bide_file_read(file, &byte, 1)), -ETIMEDOUT);
    CHECK_INT(bide_within(-1, bide_path_unlink(in_rig("a"))), -ETIMEDOUT);
    CHECK(exists(in_rig("a")));
    CHECK_INT(bide_within(-1, bide_file_close(file)), 0); /* a join */
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* Closing */

FILE_TEST(closing_while_others_are_inside)
{
    enum { TASKS = 5 };
    static char buffers[TASKS][300 * KIB];
    bide_task *tasks[TASKS];
    static char data[300 * KIB];
    int n_fds = count_fds();
    CHECK_INT(bide_file_store(in_rig("a"), data, sizeof data, NULL), 0);
    for (int n_turns = 0; n_turns < 4; n_turns++) {
        bide_file *file = opened(in_rig("a"), O_RDONLY);
        for (int i = 0; i < TASKS; i++)
            tasks[i] = bide_spawn(reads, file, buffers[i], sizeof buffers[i]);
        turns(n_turns);
        if (n_turns == 0)
            CHECK_INT(bide_cancel_join(tasks, TASKS), 0);
        CHECK_INT(bide_file_close(file), 0);
        for (int i = 0; n_turns > 0 && i < TASKS; i++) {
            int rc = bide_await(tasks[i]);
            CHECK(rc == -EBADF || (rc >= 0 && rc <= (int)sizeof data));
        }
        while (count_fds() > n_fds)
            turns(1);
    }
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(aborting)
{
    int n_fds = count_fds();
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT);
    put(file, "text");
    bide_file_abort(file);
    CHECK_INT(count_fds(), n_fds);
    bide_file_abort(NULL);
    CHECK_INT(bide_file_close(NULL), 0);
    check_file(in_rig("a"), "text");
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* Loops */

static bide_file *kept;
static char kept_buffer[100 * KIB];

static bide_async(leaves_a_file, (int, n_turns))
{
    char *path;
    CHECK_INT(bide_file_temporary(NULL, &path, &kept), 0);
    CHECK_INT(bide_file_write(kept, kept_buffer, sizeof kept_buffer, NULL), 0);
    CHECK_INT(bide_path_unlink(path), 0);
    CHECK_INT(bide_file_seek(kept, 0, SEEK_SET), 0);
    free(path);
    for (int i = 0; i < 3; i++)
        bide_detach(bide_spawn(reads_at, kept, kept_buffer, sizeof kept_buffer, 0));
    bide_detach(bide_spawn(reads, kept, kept_buffer, sizeof kept_buffer));
    bide_detach(bide_spawn(reads, kept, kept_buffer, 10));
    turns(n_turns);
    return 0;
}

BIDE_TEST(a_file_does_not_outlive_its_loop)
{
    int n_fds = count_fds();
    for (int i = 0; i < MANY_TURNS; i++) {
        CHECK_INT(bide_run_with(NULL, leaves_a_file, i), 0);
        CHECK_INT(count_fds(), n_fds);
        char byte;
        CHECK_INT(bide_file_read(kept, &byte, 1), -BIDE_ENOTASK);
        if (i % 2 == 0)
            CHECK_INT(bide_file_close(kept), -ESHUTDOWN);
        else
            bide_file_abort(kept);
    }
}

static bide_async(uses_the_others, (bide_file *, file))
{
    char byte;
    struct bide_file_status status;
    CHECK_INT(bide_file_read(file, &byte, 1), -ESHUTDOWN);
    CHECK_INT(bide_file_stat(file, &status), -ESHUTDOWN);
    CHECK_INT(bide_file_sync(file), -ESHUTDOWN);
    return 0;
}

BIDE_TEST(a_file_of_a_loop_that_ended_is_refused)
{
    CHECK_INT(bide_run_with(NULL, leaves_a_file, 0), 0);
    CHECK_INT(bide_run_with(NULL, uses_the_others, kept), 0);
    CHECK_INT(bide_file_close(kept), -ESHUTDOWN);
}

/* Whoever ignores the cancel is given up with a call under way, of each kind of wait. */
static bide_async(is_stuck, (int, kind), (int, n_times))
{
    static struct bide_file_status status;
    static bide_file *file;
    for (int i = 0; i < n_times; i++)
        switch (kind) {
        case 0:
            bide_shielded(INFINITY, bide_path_stat("/tmp", &status));
            break;
        case 1:
            bide_shielded(INFINITY, bide_path_rename("/tmp/bide-none", "/tmp/bide-nothing"));
            break;
        default:
            bide_shielded(INFINITY,
                          bide_file_open("/tmp/bide-none/a", O_WRONLY | O_CREAT, 0, &file));
        }
    return 0;
}

static bide_async(leaves_the_stuck)
{
    bide_loop_set_exception_handler(bide_loop_current(), rig_report, NULL);
    for (int kind = 0; kind < 3; kind++)
        bide_detach(bide_spawn(is_stuck, kind, INT32_MAX));
    turns(3);
    return 0;
}

BIDE_TEST(a_loop_gives_up_calls_that_never_end)
{
    static const struct bide_loop_opts impatient = {.cleanup_seconds = 0.02};
    int n_fds = count_fds();
    CHECK_INT(bide_run_with(&impatient, leaves_the_stuck), 0);
    for (int i = 0; i < 3; i++)
        CHECK(*take_report());
    CHECK_INT(count_fds(), n_fds);
    rig_end();
}

/* After fork */

static bide_async(forks)
{
    char *path;
    bide_file *file;
    CHECK_INT(bide_file_temporary(NULL, &path, &file), 0);
    put(file, "text");
    pid_t child = fork();
    if (child == 0) {
        bide_after_fork();
        bide_file_abort(file);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK_INT(bide_file_seek(file, 0, SEEK_SET), 0);
    check_read(file, 10, "text");
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(path), 0);
    free(path);
    return 0;
}

BIDE_TEST(a_child_after_fork_lets_go_of_files)
{
    CHECK_INT(bide_run_with(NULL, forks), 0);
    rig_end();
}
