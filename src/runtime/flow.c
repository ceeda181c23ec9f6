/*
 * Operators that run in the task that asks. Invariants
 *  - A value that was taken from a source and not handed on yet lies in the operator, so that a
 * cancel between the two loses nothing.
 *  - What is written to the consumer's value is written together with the return of 1.
 */
#include "runtime/flow.h"

#include <bide/error.h>
#include <bide/flow.h>
#include <bide/task.h>
#include <bide/timeout.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECTED_MAX = 1024 * 1024, COLLECTED_FIRST = 16 };

int bide__flow_check(bide_iterator *const *sources, size_t n, size_t item_size)
{
    for (size_t i = 0; i < n; i++) {
        if (!sources[i])
            return -ENOMEM;
        if (sources[i]->failed < 0)
            return sources[i]->failed;
    }
    for (size_t i = 0; i < n; i++) {
        if (sources[i]->item_size != item_size)
            return -EINVAL;
        for (size_t j = 0; j < i; j++)
            if (sources[j] == sources[i])
                return -EINVAL;
    }
    return 0;
}

bide_iterator *bide__flow_spoil(bide_iterator *const *sources, size_t n, int error)
{
    bide_iterator *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (first && sources[i] && sources[i] != first)
            bide__iterator_own(first, sources[i]);
        else if (!first)
            first = sources[i];
    }
    if (first)
        first->failed = error;
    return first;
}

void *bide__flow_new(const struct bide_iterator_kind *kind, size_t size, size_t item_size,
                     bide_iterator *const *sources, size_t n, int error,
                     bide_iterator **ret_spoiled)
{
    bide_iterator *iterator = error < 0 ? NULL : calloc(1, size);
    if (!iterator) {
        *ret_spoiled = bide__flow_spoil(sources, n, error < 0 ? error : -ENOMEM);
        return NULL;
    }
    bide__iterator_init(iterator, kind, item_size);
    for (size_t i = 0; i < n; i++)
        bide__iterator_own(iterator, sources[i]);
    return iterator;
}

/* The same over one source. */
static void *stage_new(const struct bide_iterator_kind *kind, size_t size, size_t item_size,
                       bide_iterator *source, bool sensible, bide_iterator **ret_spoiled)
{
    int rc = bide__flow_check(&source, 1, bide_iterator_item_size(source));
    if (rc == 0 && !sensible)
        rc = -EINVAL;
    return bide__flow_new(kind, size, item_size, &source, 1, rc, ret_spoiled);
}

struct map {
    bide_iterator iterator;
    bide_map_function *function;
    void *data;
    bool holds;
    max_align_t item[];
};

static int map_next(void *self, void *ret_item)
{
    struct map *map = self;
    if (!map->holds) {
        int rc = bide__iterator_next(map->iterator.sources, map->item);
        if (rc != 1)
            return rc;
    }
    int rc = map->function(map->item, ret_item, map->data);
    map->holds = rc < 0 && bide__iterator_transient(rc);
    return rc < 0 ? rc : 1;
}

bide_iterator *bide_map(bide_iterator *source, size_t item_size, bide_map_function *function,
                        void *data)
{
    static const struct bide_iterator_kind kind = {.name = "map", .next = map_next};
    bide_iterator *spoiled;
    size_t size = sizeof(struct map) + bide_iterator_item_size(source);
    struct map *map = stage_new(&kind, size, item_size, source, function != NULL, &spoiled);
    if (!map)
        return spoiled;
    map->function = function;
    map->data = data;
    return &map->iterator;
}

struct filter {
    bide_iterator iterator;
    bide_filter_function *function;
    void *data;
    bool holds;
    max_align_t item[];
};

static int filter_next(void *self, void *ret_item)
{
    struct filter *filter = self;
    int rc = 0;
    while (rc == 0) {
        if (!filter->holds) {
            rc = bide__iterator_next(filter->iterator.sources, filter->item);
            if (rc != 1)
                return rc;
        }
        rc = filter->function(filter->item, filter->data);
        filter->holds = rc < 0 && bide__iterator_transient(rc);
    }
    if (rc < 0)
        return rc;
    memcpy(ret_item, filter->item, filter->iterator.item_size);
    return 1;
}

bide_iterator *bide_filter(bide_iterator *source, bide_filter_function *function, void *data)
{
    static const struct bide_iterator_kind kind = {.name = "filter", .next = filter_next};
    bide_iterator *spoiled;
    size_t item_size = bide_iterator_item_size(source);
    struct filter *filter = stage_new(&kind, sizeof *filter + item_size, item_size, source,
                                      function != NULL, &spoiled);
    if (!filter)
        return spoiled;
    filter->function = function;
    filter->data = data;
    return &filter->iterator;
}

/* Both count. */
struct counting {
    bide_iterator iterator;
    size_t n_left;
    max_align_t item[];
};

static int take_next(void *self, void *ret_item)
{
    struct counting *take = self;
    if (take->n_left == 0)
        return 0;
    int rc = bide__iterator_next(take->iterator.sources, ret_item);
    take->n_left -= rc == 1;
    return rc;
}

static int skip_next(void *self, void *ret_item)
{
    struct counting *skip = self;
    for (; skip->n_left > 0; skip->n_left--) {
        int rc = bide__iterator_next(skip->iterator.sources, skip->item);
        if (rc != 1)
            return rc;
    }
    return bide__iterator_next(skip->iterator.sources, ret_item);
}

static bide_iterator *counting_new(const struct bide_iterator_kind *kind, bide_iterator *source,
                                   size_t n)
{
    bide_iterator *spoiled;
    size_t item_size = bide_iterator_item_size(source);
    struct counting *counting = stage_new(kind, sizeof *counting + item_size, item_size, source,
                                          true, &spoiled);
    if (!counting)
        return spoiled;
    counting->n_left = n;
    return &counting->iterator;
}

bide_iterator *bide_take(bide_iterator *source, size_t n)
{
    static const struct bide_iterator_kind kind = {.name = "take", .next = take_next};
    return counting_new(&kind, source, n);
}

bide_iterator *bide_skip(bide_iterator *source, size_t n)
{
    static const struct bide_iterator_kind kind = {.name = "skip", .next = skip_next};
    return counting_new(&kind, source, n);
}

struct enumerate {
    bide_iterator iterator;
    size_t n;
    size_t index_offset;
    size_t item_offset;
};

static int enumerate_next(void *self, void *ret_item)
{
    struct enumerate *enumerate = self;
    char *item = ret_item;
    int rc = bide__iterator_next(enumerate->iterator.sources, item + enumerate->item_offset);
    if (rc != 1)
        return rc;
    memcpy(item + enumerate->index_offset, &enumerate->n, sizeof enumerate->n);
    enumerate->n++;
    return 1;
}

bide_iterator *bide__enumerate(bide_iterator *source, size_t size, size_t index_offset,
                               size_t item_offset, size_t item_size)
{
    static const struct bide_iterator_kind kind = {.name = "enumerate", .next = enumerate_next};
    bide_iterator *spoiled;
    struct enumerate *enumerate = stage_new(&kind, sizeof *enumerate, size, source,
                                            item_size == bide_iterator_item_size(source), &spoiled);
    if (!enumerate)
        return spoiled;
    enumerate->index_offset = index_offset;
    enumerate->item_offset = item_offset;
    return &enumerate->iterator;
}

struct chunks {
    bide_iterator iterator;
    size_t n_offset;
    size_t items_offset;
    size_t n; /* values in `chunk` */
    size_t n_full;
    int end; /* the source's error, to be told after the values that came before it */
    bool ended;
    max_align_t chunk[];
};

static int chunks_next(void *self, void *ret_item)
{
    struct chunks *chunks = self;
    bide_iterator *source = chunks->iterator.sources;
    char *chunk = (char *)chunks->chunk;
    while (chunks->n < chunks->n_full && !chunks->ended) {
        int rc = bide__iterator_next(source,
                                     chunk + chunks->items_offset + chunks->n * source->item_size);
        if (rc < 0 && bide__iterator_transient(rc))
            return rc;
        chunks->ended = rc != 1;
        chunks->end = chunks->ended ? rc : 0;
        chunks->n += rc == 1;
    }
    if (chunks->n == 0)
        return chunks->end;
    memcpy(chunk + chunks->n_offset, &chunks->n, sizeof chunks->n);
    memcpy(ret_item, chunk, chunks->iterator.item_size);
    chunks->n = 0;
    return 1;
}

bide_iterator *bide__chunks(bide_iterator *source, size_t size, size_t n_offset,
                            size_t items_offset, size_t item_size, size_t items_size)
{
    static const struct bide_iterator_kind kind = {.name = "chunks", .next = chunks_next};
    bide_iterator *spoiled;
    bool sensible = item_size > 0 && item_size == bide_iterator_item_size(source);
    struct chunks *chunks = stage_new(&kind, sizeof *chunks + size, size, source, sensible,
                                      &spoiled);
    if (!chunks)
        return spoiled;
    chunks->n_offset = n_offset;
    chunks->items_offset = items_offset;
    chunks->n_full = items_size / bide_iterator_item_size(source);
    return &chunks->iterator;
}

struct chain {
    bide_iterator iterator;
    bide_iterator *source; /* whose turn it is */
};

static int chain_next(void *self, void *ret_item)
{
    struct chain *chain = self;
    int rc = 0;
    while (chain->source && rc == 0) {
        rc = bide__iterator_next(chain->source, ret_item);
        if (rc == 0)
            chain->source = chain->source->sibling;
    }
    return rc;
}

bide_iterator *bide_chain(bide_iterator *const *sources, size_t n)
{
    static const struct bide_iterator_kind kind = {.name = "chain", .next = chain_next};
    bide_iterator *spoiled;
    if (n == 0)
        return NULL;
    size_t item_size = bide_iterator_item_size(sources[0]);
    struct chain *chain = bide__flow_new(&kind, sizeof *chain, item_size, sources, n,
                                         bide__flow_check(sources, n, item_size), &spoiled);
    if (!chain)
        return spoiled;
    chain->source = chain->iterator.sources;
    return &chain->iterator;
}

struct zip {
    bide_iterator iterator;
    bide_iterator *source; /* the first whose value is not in `item` yet */
    size_t *offset;        /* its own */
    size_t *offsets;
    max_align_t item[];
};

static int zip_next(void *self, void *ret_item)
{
    struct zip *zip = self;
    for (; zip->source; zip->source = zip->source->sibling, zip->offset++) {
        int rc = bide__iterator_next(zip->source, (char *)zip->item + *zip->offset);
        if (rc != 1)
            return rc;
    }
    memcpy(ret_item, zip->item, zip->iterator.item_size);
    zip->source = zip->iterator.sources;
    zip->offset = zip->offsets;
    return 1;
}

static int zip_close(void *self)
{
    struct zip *zip = self;
    free(zip->offsets);
    return 0;
}

bide_iterator *bide__zip(const struct bide__zipped *zipped, size_t n, size_t size)
{
    static const struct bide_iterator_kind kind = {
        .name = "zip", .next = zip_next, .close = zip_close};
    enum { SOURCES_MAX = 12 };
    bide_iterator *sources[SOURCES_MAX];
    bide_iterator *spoiled;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        sources[i] = zipped[i].source;
        int checked = bide__flow_check(&sources[i], 1, zipped[i].size);
        for (size_t j = 0; j < i && checked == 0; j++)
            checked = sources[j] == sources[i] ? -EINVAL : 0;
        rc = rc < 0 ? rc : checked;
    }
    assert(n > 0);
    size_t *offsets = rc < 0 ? NULL : malloc(n * sizeof *offsets);
    if (rc == 0 && !offsets)
        rc = -ENOMEM;
    struct zip *zip = bide__flow_new(&kind, sizeof *zip + size, size, sources, n, rc, &spoiled);
    if (!zip) {
        free(offsets);
        return spoiled;
    }
    assert(offsets);
    for (size_t i = 0; i < n; i++)
        offsets[i] = zipped[i].offset;
    zip->offsets = zip->offset = offsets;
    zip->source = zip->iterator.sources;
    return &zip->iterator;
}

struct throttle {
    bide_iterator iterator;
    double seconds;
    double earliest; /* when the source may be asked again */
};

static int throttle_next(void *self, void *ret_item)
{
    struct throttle *throttle = self;
    double pause = throttle->earliest - bide_time();
    int rc = pause > 0 ? bide_sleep(pause) : 0;
    if (rc == 0)
        rc = bide__iterator_next(throttle->iterator.sources, ret_item);
    if (rc == 1)
        throttle->earliest = bide_time() + throttle->seconds;
    return rc;
}

bide_iterator *bide_throttle(bide_iterator *source, double seconds)
{
    static const struct bide_iterator_kind kind = {.name = "throttle", .next = throttle_next};
    bide_iterator *spoiled;
    struct throttle *throttle = stage_new(&kind, sizeof *throttle, bide_iterator_item_size(source),
                                          source, !isnan(seconds), &spoiled);
    if (!throttle)
        return spoiled;
    throttle->seconds = seconds;
    throttle->earliest = -INFINITY;
    return &throttle->iterator;
}

struct each_within {
    bide_iterator iterator;
    double seconds;
};

static int each_within_next(void *self, void *ret_item)
{
    struct each_within *each = self;
    return bide_within(each->seconds, bide__iterator_next(each->iterator.sources, ret_item));
}

bide_iterator *bide_each_within(bide_iterator *source, double seconds)
{
    static const struct bide_iterator_kind kind = {.name = "each within", .next = each_within_next};
    bide_iterator *spoiled;
    struct each_within *each = stage_new(&kind, sizeof *each, bide_iterator_item_size(source),
                                         source, !isnan(seconds), &spoiled);
    if (!each)
        return spoiled;
    each->seconds = seconds;
    return &each->iterator;
}

int bide_reduce(bide_iterator *iterator, bide_reduce_function *function, void *accumulator,
                void *data)
{
    int rc = function ? 1 : -EINVAL;
    struct bide__for loop = {.iterator = iterator, .rc = &rc};
    void *item = malloc(bide_iterator_item_size(iterator) + 1);
    if (!item)
        rc = -ENOMEM;
    while (rc > 0) {
        rc = iterator ? bide__iterator_next(iterator, item) : -ENOMEM;
        int reduced = rc == 1 ? function(accumulator, item, data) : 0;
        rc = reduced < 0 ? reduced : rc;
    }
    free(item);
    bide__for_end(&loop);
    return rc;
}

struct collected {
    size_t item_size;
    size_t n_max;
    size_t n;
    size_t capacity;
    char *items;
};

static int collect_item(void *accumulator, const void *item, void *data)
{
    struct collected *collected = accumulator;
    (void)data;
    if (collected->n == collected->n_max)
        return -BIDE_ELIMIT;
    if (collected->n == collected->capacity) {
        size_t capacity = collected->capacity > 0 ? collected->capacity * 2 : COLLECTED_FIRST;
        char *items = realloc(collected->items, capacity * collected->item_size);
        if (!items)
            return -ENOMEM;
        collected->items = items;
        collected->capacity = capacity;
    }
    memcpy(collected->items + collected->n++ * collected->item_size, item, collected->item_size);
    return 0;
}

int bide__collect(bide_iterator *iterator, size_t item_size, size_t n_max, void **ret_items,
                  size_t *ret_n)
{
    struct collected collected = {.item_size = item_size, .n_max = n_max ? n_max : COLLECTED_MAX};
    int rc = bide__flow_check(&iterator, 1, item_size);
    bool sensible = rc == 0 && ret_n;
    int reduced = bide_reduce(iterator, sensible ? collect_item : NULL, &collected, NULL);
    if (rc == 0)
        rc = reduced;
    if (rc < 0) {
        free(collected.items);
        return rc;
    }
    assert(sensible);
    *ret_items = collected.items;
    *ret_n = collected.n;
    return 0;
}
