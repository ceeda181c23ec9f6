/*
 * Scenario: a life of a file, in which the n-th allocation or system call fails, for every n; and
 * in simulation each kind of call, a full disk, and many seeds. Claim: whoever asked is told,
 * nothing is left open, and a store is all or nothing.
 */
#include "file_rig.h"

#include "fault.h"

enum { RUNS_MAX = 3000, SEEDS = 30 };

static bide_file *owned;
static char *directory;

static void count_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

static int first(int rc, int other)
{
    return rc < 0 ? rc : other;
}

static int look_around(const char *path)
{
    struct bide_file_status status;
    char *data = NULL;
    int rc = bide_path_stat(path, &status);
    if (rc == 0)
        rc = bide_file_load(path, 0, &data, NULL);
    free(data);
    if (rc < 0)
        return rc;
    bide_for (struct bide_file_line, line, rc, bide_file_lines(path, 0))
        CHECK(line.size <= 100);
    if (rc < 0)
        return rc;
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(directory))
        CHECK(entry.name[0]);
    return rc;
}

static int on_the_file(void)
{
    char buffer[100];
    struct bide_file_status status;
    int rc = bide_file_write(owned, "hello\nworld\n", 12, NULL);
    rc = first(rc, (int)bide_file_seek(owned, -6, SEEK_END));
    rc = first(rc, (int)bide_file_read(owned, buffer, 3));
    rc = first(rc, (int)bide_file_read_at(owned, buffer, sizeof buffer, 0));
    rc = first(rc, bide_file_stat(owned, &status));
    rc = first(rc, bide_file_sync(owned));
    rc = first(rc, bide_file_truncate(owned, 6));
    bide_file *file = owned;
    owned = NULL;
    return first(rc, bide_file_close(file));
}

static bide_async(life)
{
    char path[256];
    bide_loop_set_exception_handler(bide_loop_current(), count_report, NULL);
    snprintf(path, sizeof path, "%s/file", directory);
    int rc = bide_file_open(path, O_RDWR | O_CREAT, 0600, &owned);
    if (rc == 0)
        rc = on_the_file();
    if (rc >= 0)
        rc = bide_file_store(path, "other", 5, &(struct bide_store_opts){.durable = true});
    if (rc == 0)
        rc = look_around(path);
    return rc;
}

static bide_async(tidies)
{
    char path[600];
    int rc;
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(directory)) {
        snprintf(path, sizeof path, "%s/%s", directory, entry.name);
        CHECK_INT(bide_path_unlink(path), 0);
    }
    CHECK_INT(rc, 0);
    return bide_directory_remove(directory);
}

static void each_fault(enum fault_kind kind, int error)
{
    char template[] = "/tmp/bide-fault-XXXXXX";
    directory = mkdtemp(template);
    CHECK(directory);
    int n_fds = count_fds();
    for (unsigned long n = 1;; n++) {
        CHECK(n < RUNS_MAX);
        fault_arm(kind, n, error);
        int rc = bide_run_with(NULL, life);
        bool hit = fault_disarm();
        bide_file_abort(owned);
        owned = NULL;
        CHECK_INT(count_fds(), n_fds);
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
    CHECK_INT(bide_run_with(NULL, tidies), 0);
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
    each_fault(FAULT_SYSTEM, EMFILE);
    each_fault(FAULT_SYSTEM, EINTR);
}

/* In simulation: the tree is the loop's own. */

struct plan {
    enum bide_file_kind kind;
    unsigned n;
    bool is_hit;
};

static bide_async(life_in_simulation, (struct plan *, plan))
{
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    directory = (char *)(uintptr_t) "/tmp/d";
    CHECK_INT(bide_directory_make(directory, 0700), 0);
    CHECK_INT(bide_file_store("/tmp/d/file", "before", 6, NULL), 0);
    CHECK_INT(bide__sim_file_fails(sim, plan->kind, plan->n, -EIO), 0);
    int rc = life();
    CHECK_INT(bide__sim_file_fails(sim, plan->kind, 0, 0), 0);
    plan->is_hit = rc < 0;
    if (rc == 0) {
        check_file("/tmp/d/file", "other");
        return 0;
    }
    CHECK_INT(rc, -EIO);
    bide_file_abort(owned);
    owned = NULL;
    char *data = NULL;
    CHECK_INT(bide_file_load("/tmp/d/file", 0, &data, NULL), 0);
    free(data);
    return 0;
}

BIDE_TEST_SECONDS(every_call_fails_in_turn, 60)
{
    for (int kind = BIDE_CALL_OPEN; kind <= BIDE_CALL_REMOVE_DIRECTORY; kind++)
        for (uint64_t seed = 1; seed <= 5; seed++)
            for (unsigned n = 1;; n++) {
                struct bide_loop_opts sim = {.engine = "sim", .seed = seed};
                struct plan plan = {.kind = (enum bide_file_kind)kind, .n = n};
                CHECK(n < 100);
                CHECK_INT(bide_run_with(&sim, life_in_simulation, &plan), 0);
                if (!plan.is_hit)
                    break;
            }
}

static bide_async(fills_the_disk)
{
    static char data[100 * KIB];
    struct bide__sim *sim = bide__sim_of(bide_loop_current()->engine);
    size_t n;
    bide_file *file;
    CHECK_INT(bide_file_store("/tmp/a", "old", 3, NULL), 0);
    CHECK_INT(bide__sim_disk(sim, 50 * KIB), 0);
    CHECK_INT(bide_file_open("/tmp/b", O_WRONLY | O_CREAT, 0600, &file), 0);
    CHECK_INT(bide_file_write(file, data, sizeof data, &n), -ENOSPC);
    CHECK_INT(n, 50 * KIB);
    CHECK_INT(bide_file_tell(file), 50 * KIB);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_file_store("/tmp/a", "new one", 7, NULL), -ENOSPC);
    check_file("/tmp/a", "old");
    CHECK_INT(bide_path_unlink("/tmp/b"), 0);
    store("/tmp/a", "new one");
    check_file("/tmp/a", "new one");
    return 0;
}

BIDE_TEST(a_full_disk)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct bide_loop_opts sim = {.engine = "sim", .seed = seed};
        CHECK_INT(bide_run_with(&sim, fills_the_disk), 0);
    }
    rig_end();
}

static void allocations_in_simulation(void)
{
    for (unsigned long n = 1;; n++) {
        struct bide_loop_opts sim = {.engine = "sim"};
        CHECK(n < RUNS_MAX);
        directory = (char *)(uintptr_t) "/tmp";
        fault_arm(FAULT_ALLOCATION, n, 0);
        int rc = bide_run_with(&sim, life);
        bool hit = fault_disarm();
        bide_file_abort(owned);
        owned = NULL;
        if (!hit)
            CHECK_INT(rc, 0);
        if (!hit)
            break;
    }
}

BIDE_TEST_SECONDS(every_allocation_fails_in_simulation, 60)
{
    allocations_in_simulation();
}
