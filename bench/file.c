/*
 * Files, by the wall clock: beside plain blocking calls, which stop the thread, and beside the same
 * calls handed one by one to a thread by hand (a mutex and two conditions). Everything is in the
 * page cache, so that only the way there is measured; rounds take turns.
 */
#include "bench.h"

#include <bide.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
    ROUNDS = 15,
    SMALL = 4096,
    BIG = 1 << 20,
    FILE_BYTES = 64 << 20,
    READS = 2000,
    BIG_READS = 32,
    FILES = 200,
    TASKS = 16,
};

static char path[256];
static char small_path[256];
static int fd;
static bide_file *file;
static char buffer[BIG];

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static off_t place(int i)
{
    return (off_t)((unsigned)i * 2654435761u % (FILE_BYTES / SMALL)) * SMALL;
}

/* A thread by hand */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*call)(int i);
    int i;
    bool busy;
} hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *hand_main(void *data)
{
    pthread_mutex_lock(&hand.lock);
    for (;;) {
        while (!hand.busy)
            pthread_cond_wait(&hand.changed, &hand.lock);
        pthread_mutex_unlock(&hand.lock);
        hand.call(hand.i);
        pthread_mutex_lock(&hand.lock);
        hand.busy = false;
        pthread_cond_broadcast(&hand.changed);
    }
    return data;
}

static void by_hand(void (*call)(int i), int i)
{
    pthread_mutex_lock(&hand.lock);
    hand.call = call;
    hand.i = i;
    hand.busy = true;
    pthread_cond_broadcast(&hand.changed);
    while (hand.busy)
        pthread_cond_wait(&hand.changed, &hand.lock);
    pthread_mutex_unlock(&hand.lock);
}

/* The calls, plain and ours */

static void plain_read(int i)
{
    must(pread(fd, buffer, SMALL, place(i)) == SMALL);
}

static void our_read(int i)
{
    must(bide_file_read_at(file, buffer, SMALL, place(i)) == SMALL);
}

static void plain_big_read(int i)
{
    must(pread(fd, buffer, BIG, (off_t)i * BIG) == BIG);
}

static void our_big_read(int i)
{
    must(bide_file_read_at(file, buffer, BIG, (int64_t)i * BIG) == BIG);
}

static void plain_big_write(int i)
{
    must(pwrite(fd, buffer, BIG, (off_t)i * BIG) == BIG);
}

static void our_big_write(int i)
{
    must(bide_file_write_at(file, buffer, BIG, (int64_t)i * BIG, NULL) == 0);
}

static void plain_small_write(int i)
{
    must(pwrite(fd, buffer, SMALL, place(i)) == SMALL);
}

static void our_small_write(int i)
{
    must(bide_file_write_at(file, buffer, SMALL, place(i), NULL) == 0);
}

static void plain_load(int i)
{
    (void)i;
    int one = open(small_path, O_RDONLY | O_CLOEXEC);
    must(one >= 0 && read(one, buffer, sizeof buffer) == SMALL && close(one) == 0);
}

static void our_load(int i)
{
    bide_file *one;
    (void)i;
    must(bide_file_open(small_path, O_RDONLY, 0, &one) == 0);
    must(bide_file_read(one, buffer, sizeof buffer) == SMALL && bide_file_close(one) == 0);
}

static void plain_rename(int i)
{
    must(i % 2 == 0 ? rename(small_path, "/tmp/bide-bench-x") == 0
                    : rename("/tmp/bide-bench-x", small_path) == 0);
}

static void our_rename(int i)
{
    must(i % 2 == 0 ? bide_path_rename(small_path, "/tmp/bide-bench-x") == 0
                    : bide_path_rename("/tmp/bide-bench-x", small_path) == 0);
}

static void keep(struct bench *bench, int64_t begun_ns, int n)
{
    bench->ns[bench->n_rounds++] = (double)(wall_ns() - begun_ns) / n;
}

static void compare(const char *name, void (*plain)(int i), void (*ours)(int i), int n)
{
    struct bench of_plain = {.name = "plain"};
    struct bench of_hand = {.name = "a thread by hand"};
    struct bench of_ours = {.name = "ours"};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begun_ns = wall_ns();
        for (int i = 0; i < n; i++)
            plain(i);
        keep(&of_plain, begun_ns, n);
        begun_ns = wall_ns();
        for (int i = 0; i < n; i++)
            by_hand(plain, i);
        keep(&of_hand, begun_ns, n);
        begun_ns = wall_ns();
        for (int i = 0; i < n; i++)
            ours(i);
        keep(&of_ours, begun_ns, n);
    }
    printf("%-28s plain %9.2f us, thread by hand %9.2f us, bide %9.2f us\n", name,
           bench_median(&of_plain) / 1e3, bench_median(&of_hand) / 1e3,
           bench_median(&of_ours) / 1e3);
}

bide_async(writes_places, (int, first))
{
    for (int i = 0; i < READS / TASKS; i++)
        our_small_write(first + i * TASKS);
    return 0;
}

/* With many at once, what is on the way to one file hides behind the others. */
static void many_at_once(void)
{
    struct bench bench = {.name = ""};
    for (int round = 0; round < ROUNDS; round++) {
        bide_task *tasks[TASKS];
        int results[TASKS];
        int64_t begun_ns = wall_ns();
        for (int i = 0; i < TASKS; i++)
            tasks[i] = bide_spawn(writes_places, i);
        must(bide_gather(tasks, TASKS, results) == 0);
        keep(&bench, begun_ns, READS);
    }
    printf("%-28s %51s bide %9.2f us\n", "4 KiB writes, 16 tasks", "", bench_median(&bench) / 1e3);
}

bide_async(amain)
{
    char *made;
    char *made_small;
    bide_file *small;
    must(bide_file_temporary(NULL, &made, &file) == 0);
    must(bide_file_temporary(NULL, &made_small, &small) == 0);
    snprintf(path, sizeof path, "%s", made);
    snprintf(small_path, sizeof small_path, "%s", made_small);
    free(made);
    free(made_small);
    for (int i = 0; i < FILE_BYTES / BIG; i++)
        our_big_write(i);
    must(bide_file_write(small, buffer, SMALL, NULL) == 0 && bide_file_close(small) == 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    printf("%s\n", bide_loop_engine(bide_loop_current()));
    compare("4 KiB reads here and there", plain_read, our_read, READS);
    compare("1 MiB reads", plain_big_read, our_big_read, BIG_READS);
    compare("4 KiB writes here and there", plain_small_write, our_small_write, READS);
    many_at_once();
    compare("1 MiB writes", plain_big_write, our_big_write, BIG_READS);
    compare("open, read 4 KiB, close", plain_load, our_load, FILES);
    compare("rename", plain_rename, our_rename, FILES);
    close(fd);
    must(bide_file_close(file) == 0);
    return bide_path_unlink(path) == 0 ? bide_path_unlink(small_path) : -EIO;
}

int main(void)
{
    static const char *const engines[] = {"epoll", "uring"};
    pthread_t thread;
    must(pthread_create(&thread, NULL, hand_main, NULL) == 0);
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (bide_run_with((&(struct bide_loop_opts){.engine = engines[i]}), amain) < 0)
            return 1;
    return 0;
}
