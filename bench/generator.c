/*
 * What generators cost: a value, a generator from beginning to end; to compare, a call.
 *
 *     generator [--json] [PREFIX...]
 */
#include "bench.h"

#include <bide.h>

enum { ROUNDS = 9, VALUES = 400000, OPENS = 100000 };

bide_generator(int, count)
{
    for (int i = 0;; i++) {
        int rc = bide_yield(i);
        if (rc < 0)
            return rc;
    }
}

static int counted;

static __attribute__((noinline)) int count_on(int *ret_value)
{
    *ret_value = counted++;
    __asm__ volatile("" ::: "memory");
    return 1;
}

static int on_self(void *self, void *ret_item)
{
    *(int *)ret_item = ++*(int *)self;
    return 1;
}

static const struct bide_iterator_kind own_kind = {.name = "own", .next = on_self};

static void bench_call(void)
{
    struct bench bench = {.name = "generator/call"};
    if (!bench_wanted(bench.name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        int value;
        bench_begin(&bench);
        for (int i = 0; i < VALUES; i++)
            count_on(&value);
        bench_end(&bench, VALUES);
    }
    bench_print(&bench);
}

static void bench_values(const char *name, bide_iterator *it)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name)) {
        bide_iterator_close(it);
        return;
    }
    for (int round = 0; round < ROUNDS; round++) {
        int value;
        bench_begin(&bench);
        for (int i = 0; i < VALUES; i++)
            bide_next(it, &value);
        bench_end(&bench, VALUES);
    }
    bench_print(&bench);
    bide_iterator_close(it);
}

static int doubles(const void *item, void *ret_item, void *data)
{
    (void)data;
    *(int *)ret_item = 2 * *(const int *)item;
    return 0;
}

static int keeps(const void *item, void *data)
{
    (void)data;
    return *(const int *)item >= 0;
}

static bide_iterator *mapped_and_filtered(bide_iterator *source)
{
    return bide_filter(bide_map(source, sizeof(int), doubles, NULL), keeps, NULL);
}

static void bench_opens(const char *name)
{
    struct bench bench = {.name = name};
    if (!bench_wanted(name))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        int value;
        bench_begin(&bench);
        for (int i = 0; i < OPENS; i++) {
            bide_iterator *it = bide_iterate(count);
            bide_next(it, &value);
            bide_iterator_close(it);
        }
        bench_end(&bench, OPENS);
    }
    bench_print(&bench);
}

bide_async(amain)
{
    bench_values("generator/value-in-task", bide_iterate(count));
    bench_opens("generator/open-in-task");
    return 0;
}

int main(int argc, char **argv)
{
    int number = 0;
    (void)argc;
    bench_options(argv);
    bench_call();
    bench_values("generator/own", bide_iterator_new(&own_kind, &number, sizeof number));
    bench_values("generator/own-mapped",
                 mapped_and_filtered(bide_iterator_new(&own_kind, &number, sizeof number)));
    bench_values("generator/value", bide_iterate(count));
    bench_values("generator/mapped", mapped_and_filtered(bide_iterate(count)));
    bench_opens("generator/open");
    return bide_run(amain);
}
