/*
 * Lines of files and entries of directories, as iterators.
 *
 * Invariant: what was read and not told lies in the iterator's own buffer, so that a cancelled step
 * loses nothing.
 */
#include "io/file/file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_DEFAULT = 64 * 1024, LIST_BYTES = 32 * 1024, READ_BYTES = 64 * 1024 };

struct listing {
    bide_file *file; /* NULL: not opened yet */
    int flags;
    char *buffer;
    size_t begin, end, capacity;
    size_t scanned; /* of what is buffered: no newline in it */
    size_t line_bytes_max;
    int64_t offset;
    bool has_ended;
    char path[];
};

static struct listing *listing_new(const char *path, int flags)
{
    size_t path_bytes = strlen(path) + 1;
    struct listing *listing = calloc(1, sizeof *listing + path_bytes);
    if (!listing)
        return NULL;
    listing->flags = flags;
    memcpy(listing->path, path, path_bytes);
    return listing;
}

static int listing_close(void *self)
{
    struct listing *listing = self;
    int rc = 0;
    if (listing->file) {
        rc = bide_file_close(listing->file);
        if (rc == -BIDE_ENOTASK || rc == -EXDEV)
            bide_file_abort(listing->file);
    }
    free(listing->buffer);
    free(listing);
    return rc;
}

/* The call is the caller's from here to bide__file_leave(). */
static int listing_enter(struct listing *listing, struct bide__coro **ret_coro)
{
    int rc = 0;
    if (!listing->file) {
        rc = bide__suspend(ret_coro);
        if (rc == 0)
            rc = bide__file_open(*ret_coro, listing->path, listing->flags, 0, &listing->file);
    }
    return rc < 0 ? rc : bide__file_enter(listing->file, ret_coro);
}

/* What is buffered and told comes from `take`: 1; 0: more is needed, which `more` reads; or an
 * error. */
static int next_item(struct listing *listing, int (*take)(struct listing *, void *),
                     int (*more)(struct bide__coro *, struct listing *), void *ret_item)
{
    struct bide__coro *coro;
    int rc = listing_enter(listing, &coro);
    if (rc < 0)
        return rc;
    while ((rc = take(listing, ret_item)) == 0 && !listing->has_ended) {
        rc = bide__cancel_check(coro);
        if (rc == 0)
            rc = more(coro, listing);
        if (rc < 0)
            break;
    }
    rc = (int)bide__file_fail(rc, listing->path);
    bide__file_leave(listing->file);
    return rc;
}

/* Lines */

static int make_room(struct listing *listing)
{
    if (listing->buffer && listing->begin > 0)
        memmove(listing->buffer, listing->buffer + listing->begin, listing->end - listing->begin);
    listing->end -= listing->begin;
    listing->begin = 0;
    if (listing->capacity - listing->end >= READ_BYTES)
        return 0;
    size_t capacity = listing->end + READ_BYTES;
    char *buffer = realloc(listing->buffer, capacity + 1); /* the zero behind the last line */
    if (!buffer)
        return -ENOMEM;
    listing->buffer = buffer;
    listing->capacity = capacity;
    return 0;
}

static int read_more(struct bide__coro *coro, struct listing *listing)
{
    int rc = make_room(listing);
    if (rc < 0)
        return rc;
    ssize_t n = bide__file_read_piece(
        coro, listing->file, listing->buffer + listing->end, READ_BYTES,
        listing->file->type == BIDE_FILE_DEVICE ? BIDE_FILE_HERE : listing->offset);
    if (n < 0)
        return (int)n;
    listing->end += (size_t)n;
    listing->offset += n;
    listing->has_ended = n == 0;
    return 0;
}

/* A whole line from what is buffered: 1; 0: there is none; -BIDE_ELIMIT. */
static int take_line(struct listing *listing, void *ret_item)
{
    if (!listing->buffer)
        return 0;
    struct bide_file_line *ret_line = ret_item;
    char *start = listing->buffer + listing->begin;
    size_t n = listing->end - listing->begin;
    char *newline = n > listing->scanned
                        ? memchr(start + listing->scanned, '\n', n - listing->scanned)
                        : NULL;
    listing->scanned = n;
    if (newline)
        n = (size_t)(newline - start);
    if (n > listing->line_bytes_max)
        return -BIDE_ELIMIT;
    if (!newline && !(listing->has_ended && n > 0))
        return 0;
    start[n] = '\0';
    *ret_line = (struct bide_file_line){.text = start, .size = n};
    listing->begin += newline ? n + 1 : n;
    listing->scanned = 0;
    return 1;
}

static int next_line(void *self, void *ret_item)
{
    return next_item(self, take_line, read_more, ret_item);
}

static const struct bide_iterator_kind lines_kind = {
    .name = "lines of a file", .next = next_line, .close = listing_close};

bide_iterator *bide_file_lines(const char *path, size_t line_bytes_max)
{
    struct listing *listing = path ? listing_new(path, O_RDONLY) : NULL;
    if (!listing)
        return NULL;
    listing->line_bytes_max = line_bytes_max > 0 ? line_bytes_max : LINE_BYTES_DEFAULT;
    bide_iterator *iterator = bide_iterator_new(&lines_kind, listing,
                                                sizeof(struct bide_file_line));
    if (!iterator)
        free(listing);
    return iterator;
}

/* Entries */

static enum bide_file_type type_of(unsigned char type)
{
    switch (type) {
    case DT_REG:
        return BIDE_FILE_REGULAR;
    case DT_DIR:
        return BIDE_FILE_DIRECTORY;
    case DT_LNK:
        return BIDE_FILE_SYMLINK;
    case DT_CHR:
        return BIDE_FILE_DEVICE;
    case DT_BLK:
        return BIDE_FILE_DISK;
    case DT_FIFO:
        return BIDE_FILE_FIFO;
    case DT_SOCK:
        return BIDE_FILE_SOCKET;
    default:
        return BIDE_FILE_UNKNOWN;
    }
}

static int list_more(struct bide__coro *coro, struct listing *listing)
{
    struct bide__file_work *work = bide__file_work_new(coro, BIDE_CALL_LIST, listing->file->fd,
                                                       LIST_BYTES);
    if (!listing->buffer)
        listing->buffer = malloc(LIST_BYTES);
    if (!work || !listing->buffer) {
        if (work)
            bide__file_work_free(work);
        return -ENOMEM;
    }
    /* The kernel's place in the list moves with each call: none of them may be left behind. */
    int rc = bide__file_work_do(work, BIDE__FILE_RECALL);
    if (rc < 0)
        return rc;
    rc = work->call.result < 0 ? (int)work->call.result : 0;
    listing->begin = 0;
    listing->end = rc < 0 ? 0 : (size_t)work->call.result;
    listing->has_ended = rc == 0 && work->call.result == 0;
    memcpy(listing->buffer, work->bytes, listing->end);
    bide__file_work_free(work);
    return rc;
}

/* 1, or 0: the buffer is empty. */
static int take_entry(struct listing *listing, void *ret_item)
{
    struct bide_directory_entry *ret_entry = ret_item;
    while (listing->begin < listing->end) {
        const struct dirent64 *entry = (const void *)(listing->buffer + listing->begin);
        listing->begin += entry->d_reclen;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t n = strnlen(entry->d_name, sizeof ret_entry->name - 1);
        memcpy(ret_entry->name, entry->d_name, n);
        ret_entry->name[n] = '\0';
        ret_entry->type = type_of(entry->d_type);
        return 1;
    }
    return 0;
}

static int next_entry(void *self, void *ret_item)
{
    return next_item(self, take_entry, list_more, ret_item);
}

static const struct bide_iterator_kind entries_kind = {
    .name = "entries of a directory", .next = next_entry, .close = listing_close};

static bide_iterator *entries(struct listing *listing)
{
    bide_iterator *iterator = listing ? bide_iterator_new(&entries_kind, listing,
                                                          sizeof(struct bide_directory_entry))
                                      : NULL;
    if (!iterator)
        free(listing);
    return iterator;
}

bide_iterator *bide_directory_list(const char *path)
{
    return entries(path ? listing_new(path, O_RDONLY | O_DIRECTORY) : NULL);
}

bide_iterator *bide__directory_list_opened(bide_file *file)
{
    struct listing *listing = listing_new(file->path, O_RDONLY | O_DIRECTORY);
    bide_iterator *iterator = entries(listing);
    if (iterator)
        listing->file = file;
    else
        bide_file_abort(file);
    return iterator;
}
