/*
 * Files in a simulation: a tree in memory, and calls on it that take place at seeded moments.
 *
 * Invariant: a node lives as long as it has a name or is open; `refs` counts both.
 */
#include "engine/sim_world.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    FD_FIRST = 1 << 20, /* no number of the kernel's */
    FILE_BYTES_MAX = 64 * 1024 * 1024,
    KINDS = BIDE_CALL_REMOVE_DIRECTORY + 1,
    BLOCK_BYTES = 4096,
};

struct node {
    struct bide__list children; /* of a directory, in the order in which they were made */
    struct bide__list place;    /* in the parent's */
    struct node *parent;        /* NULL: it has no name, or is the root */
    unsigned refs;
    unsigned number; /* its inode's */
    unsigned order;  /* grows along the directory */
    bool is_directory;
    unsigned mode;
    int64_t accessed_ns, modified_ns, changed_ns;
    char *data;
    size_t size, capacity;
    char name[NAME_MAX + 1];
};

struct opened {
    struct node *node; /* NULL: the place is free */
    int flags;
    unsigned listed; /* the order of the last child that was told; 0: not even "." */
};

struct bide__sim_files {
    struct node root;
    struct opened *opened;
    size_t n_opened;
    int64_t room; /* negative: no limit */
    struct {
        unsigned n;
        int error;
    } faults[KINDS];
};

static int64_t wall_ns(struct bide__sim *sim)
{
    return sim->base.ops->wall_ns(&sim->base);
}

/* At most NAME_MAX bytes. */
static void set_name(struct node *node, const char *name)
{
    memcpy(node->name, name, strlen(name) + 1);
}

static struct node *node_new(struct bide__sim *sim, struct node *parent, const char *name,
                             bool is_directory, unsigned mode)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    bide__list_init(&node->children);
    bide__list_init(&node->place);
    node->parent = parent;
    node->refs = 1;
    node->number = node->order = ++sim->n_objects;
    node->is_directory = is_directory;
    node->mode = mode & 07777;
    node->accessed_ns = node->modified_ns = node->changed_ns = wall_ns(sim);
    set_name(node, name);
    bide__list_append(&parent->children, &node->place);
    parent->modified_ns = parent->changed_ns = node->changed_ns;
    return node;
}

static void node_unref(struct bide__sim *sim, struct node *node)
{
    if (--node->refs > 0)
        return;
    if (sim->files->room >= 0)
        sim->files->room += (int64_t)node->size;
    free(node->data);
    free(node);
}

/* It has its name no more. */
static void node_unlink(struct bide__sim *sim, struct node *node)
{
    assert(node->parent);
    node->parent->modified_ns = node->changed_ns = wall_ns(sim);
    bide__list_remove(&node->place);
    node->parent = NULL;
    node_unref(sim, node);
}

static struct bide__sim_files *files_of(struct bide__sim *sim)
{
    struct bide__sim_files *files = sim->files;
    if (files)
        return files;
    files = calloc(1, sizeof *files);
    if (!files)
        return NULL;
    files->room = -1;
    files->root.refs = 1;
    files->root.is_directory = true;
    files->root.mode = 0755;
    files->root.number = 1;
    bide__list_init(&files->root.children);
    sim->files = files;
    if (!node_new(sim, &files->root, "tmp", true, 01777)) {
        free(files);
        sim->files = NULL;
    }
    return sim->files;
}

static void children_free(struct bide__sim *sim, struct node *directory)
{
    while (!bide__list_empty(&directory->children)) {
        struct node *node = bide__container(bide__list_first(&directory->children), struct node,
                                            place);
        children_free(sim, node);
        node_unlink(sim, node);
    }
}

void bide__sim_files_free(struct bide__sim *sim)
{
    struct bide__sim_files *files = sim->files;
    if (!files)
        return;
    for (size_t i = 0; i < files->n_opened; i++)
        if (files->opened[i].node)
            bide__sim_file_let_go(&sim->base, FD_FIRST + (int)i);
    children_free(sim, &files->root);
    free(files->opened);
    free(files);
    sim->files = NULL;
}

int bide__sim_disk(struct bide__sim *sim, int64_t bytes)
{
    struct bide__sim_files *files = files_of(sim);
    if (!files)
        return -ENOMEM;
    files->room = bytes;
    return 0;
}

int bide__sim_file_fails(struct bide__sim *sim, enum bide_file_kind kind, unsigned n, int error)
{
    struct bide__sim_files *files = files_of(sim);
    if (!files)
        return -ENOMEM;
    files->faults[kind].n = n;
    files->faults[kind].error = error;
    return 0;
}

/* Names */

/* Where a path leads: the last name in its directory, which need not exist. */
struct place {
    struct node *directory;
    struct node *node;       /* NULL: there is none */
    bool must_be_directory;  /* a slash follows */
    char name[NAME_MAX + 1]; /* "" for what has no name of its own: ".", "..", "/" */
};

static struct node *find_child(const struct node *directory, const char *name)
{
    bide__list_each(place, &directory->children)
    {
        struct node *node = bide__container(place, struct node, place);
        if (strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

/* One step from place->node. */
static int step(struct bide__sim *sim, struct place *place, const char *name, size_t n)
{
    struct node *at = place->node;
    if (!at)
        return -ENOENT;
    if (!at->is_directory)
        return -ENOTDIR;
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(place->name, name, n);
    place->name[n] = '\0';
    place->directory = at;
    if (strcmp(place->name, ".") != 0 && strcmp(place->name, "..") != 0) {
        place->node = find_child(at, place->name);
        return 0;
    }
    if (place->name[1])
        place->node = at->parent ? at->parent : &sim->files->root;
    place->name[0] = '\0';
    return 0;
}

static int find_from(struct bide__sim *sim, struct node *start, const char *path,
                     struct place *ret_place)
{
    struct place place = {.node = start, .directory = start};
    if (!*path)
        return -ENOENT;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    while (*path) {
        size_t n = strcspn(path, "/");
        int rc = n > 0 ? step(sim, &place, path, n) : 0;
        if (rc < 0)
            return rc;
        path += n;
        place.must_be_directory = *path == '/';
        path += strspn(path, "/");
    }
    if (place.must_be_directory && place.node && !place.node->is_directory)
        return -ENOTDIR;
    *ret_place = place;
    return 0;
}

static int find(struct bide__sim *sim, const char *path, struct place *ret_place)
{
    return find_from(sim, &sim->files->root, path, ret_place);
}

static bool leads_out(const char *path)
{
    int depth = 0;
    bool is_out = *path == '/';
    while (*path && !is_out) {
        size_t n = strcspn(path, "/");
        bool is_up = n == 2 && memcmp(path, "..", 2) == 0;
        bool stays = n == 0 || (n == 1 && *path == '.');
        depth += is_up ? -1 : !stays;
        is_out = depth < 0;
        path += n + (path[n] == '/');
    }
    return is_out;
}

static int find_inside(struct bide__sim *sim, const char *folder, const char *path,
                       struct place *ret_place)
{
    struct place place;
    int rc = find(sim, folder, &place);
    if (rc < 0)
        return rc;
    if (!place.node || !place.node->is_directory)
        return place.node ? -ENOTDIR : -ENOENT;
    return leads_out(path) ? -EXDEV : find_from(sim, place.node, path, ret_place);
}

/* Likewise, and it must exist. */
static int find_node(struct bide__sim *sim, const char *path, struct place *ret_place)
{
    int rc = find(sim, path, ret_place);
    return rc == 0 && !ret_place->node ? -ENOENT : rc;
}

/* Contents */

/* A new size; what is added is zero. */
static int resize(struct bide__sim *sim, struct node *node, uint64_t size)
{
    struct bide__sim_files *files = sim->files;
    int64_t more = (int64_t)size - (int64_t)node->size;
    if (size > FILE_BYTES_MAX)
        return -EFBIG;
    if (files->room >= 0 && more > files->room)
        return -ENOSPC;
    if (size > node->capacity) {
        size_t capacity = size < 2 * node->capacity ? 2 * node->capacity : (size_t)size;
        char *data = realloc(node->data, capacity);
        if (!data)
            return -ENOMEM;
        node->data = data;
        node->capacity = capacity;
    }
    if (more > 0)
        memset(node->data + node->size, 0, (size_t)more);
    if (files->room >= 0)
        files->room -= more;
    node->size = (size_t)size;
    return 0;
}

static struct opened *opened_of(struct bide__sim *sim, int fd)
{
    struct bide__sim_files *files = sim->files;
    if (fd < FD_FIRST || (size_t)(fd - FD_FIRST) >= files->n_opened)
        return NULL;
    struct opened *opened = &files->opened[fd - FD_FIRST];
    return opened->node ? opened : NULL;
}

static size_t shortened(struct bide__sim *sim, size_t size)
{
    if (size > 1 && bide__sim_draw(sim, 3) == 0)
        return 1 + (size_t)bide__sim_draw(sim, (int64_t)size - 1);
    return size;
}

static int64_t read_at(struct bide__sim *sim, struct opened *opened, struct bide_file_call *call)
{
    struct node *node = opened->node;
    if ((opened->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    if (node->is_directory)
        return -EISDIR;
    if (call->offset < 0)
        return -EINVAL;
    if ((uint64_t)call->offset >= node->size)
        return 0;
    size_t left = node->size - (size_t)call->offset;
    size_t n = shortened(sim, call->size < left ? call->size : left);
    memcpy(call->buffer, node->data + call->offset, n);
    node->accessed_ns = wall_ns(sim);
    return (int64_t)n;
}

static int64_t write_at(struct bide__sim *sim, struct opened *opened, struct bide_file_call *call)
{
    struct node *node = opened->node;
    int64_t offset = opened->flags & O_APPEND ? (int64_t)node->size : call->offset;
    size_t n = shortened(sim, call->size);
    int64_t room = sim->files->room;
    if ((opened->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (offset < 0)
        return -EINVAL;
    if (offset > FILE_BYTES_MAX)
        return -EFBIG;
    uint64_t end = (uint64_t)offset + n;
    if (room >= 0 && end > node->size && (int64_t)(end - node->size) > room) {
        uint64_t last = node->size + (uint64_t)room; /* what has room still is written */
        if (last <= (uint64_t)offset)
            return -ENOSPC;
        end = last;
        n = (size_t)(end - (uint64_t)offset);
    }
    int rc = end > node->size ? resize(sim, node, end) : 0;
    if (rc < 0)
        return rc;
    if (n > 0)
        memcpy(node->data + offset, call->buffer, n);
    node->modified_ns = node->changed_ns = wall_ns(sim);
    return (int64_t)n;
}

static int64_t truncate_to(struct bide__sim *sim, struct opened *opened, int64_t size)
{
    if ((opened->flags & O_ACCMODE) == O_RDONLY || opened->node->is_directory || size < 0)
        return -EINVAL;
    opened->node->modified_ns = opened->node->changed_ns = wall_ns(sim);
    return resize(sim, opened->node, (uint64_t)size);
}

static void tell_status(const struct node *node, struct bide_file_call *call)
{
    call->status = (struct bide_file_status){
        .type = node->is_directory ? BIDE_FILE_DIRECTORY : BIDE_FILE_REGULAR,
        .mode = node->mode,
        .size_bytes = node->size,
        .disk_bytes = (node->size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES,
        .device = 1,
        .inode = node->number,
        .n_links = node->parent || node->number == 1 ? 1 : 0,
        .accessed_ns = node->accessed_ns,
        .modified_ns = node->modified_ns,
        .changed_ns = node->changed_ns,
    };
}

/* Opening */

static int take_place(struct bide__sim *sim, struct node *node, int flags)
{
    struct bide__sim_files *files = sim->files;
    size_t i = 0;
    while (i < files->n_opened && files->opened[i].node)
        i++;
    if (i == files->n_opened) {
        size_t n = files->n_opened > 0 ? 2 * files->n_opened : 8;
        struct opened *more = realloc(files->opened, n * sizeof *more);
        if (!more)
            return -ENOMEM;
        memset(more + files->n_opened, 0, (n - files->n_opened) * sizeof *more);
        files->opened = more;
        files->n_opened = n;
    }
    node->refs++;
    files->opened[i] = (struct opened){.node = node, .flags = flags};
    return FD_FIRST + (int)i;
}

static int why_not_openable(const struct place *place, int flags)
{
    const struct node *node = place->node;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return -EOPNOTSUPP;
    if (!node && !(flags & O_CREAT))
        return -ENOENT;
    if (!node)
        return place->must_be_directory ? -EISDIR : 0;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (node->is_directory && (writes || (flags & O_CREAT)))
        return -EISDIR;
    return !node->is_directory && (flags & O_DIRECTORY) ? -ENOTDIR : 0;
}

static int64_t open_file(struct bide__sim *sim, struct bide_file_call *call)
{
    struct place place;
    int rc = call->other_path ? find_inside(sim, call->path, call->other_path, &place)
                              : find(sim, call->path, &place);
    if (rc == 0)
        rc = why_not_openable(&place, call->flags);
    if (rc < 0)
        return rc;
    struct node *node = place.node;
    if (!node)
        node = node_new(sim, place.directory, place.name, false, call->mode);
    if (!node)
        return -ENOMEM;
    rc = take_place(sim, node, call->flags);
    if (rc < 0 && !place.node)
        node_unlink(sim, node);
    if (rc < 0)
        return rc;
    if (call->flags & O_TRUNC)
        resize(sim, node, 0);
    tell_status(node, call);
    return rc;
}

void bide__sim_file_let_go(struct bide_engine *engine, int fd)
{
    struct bide__sim *sim = bide__sim_of(engine);
    struct opened *opened = opened_of(sim, fd);
    assert(opened);
    struct node *node = opened->node;
    opened->node = NULL;
    node_unref(sim, node);
}

/* Directories */

static bool list_one(struct bide_file_call *call, size_t *n, const char *name, unsigned number,
                     bool is_directory)
{
    size_t name_bytes = strlen(name) + 1;
    size_t size = (offsetof(struct dirent64, d_name) + name_bytes + 7) & ~(size_t)7;
    if (call->size - *n < size)
        return false;
    struct dirent64 *entry = (void *)((char *)call->buffer + *n);
    memset(entry, 0, size);
    entry->d_ino = number;
    entry->d_reclen = (unsigned short)size;
    entry->d_type = is_directory ? DT_DIR : DT_REG;
    memcpy(entry->d_name, name, name_bytes);
    *n += size;
    return true;
}

static int64_t list(struct opened *opened, struct bide_file_call *call)
{
    struct node *directory = opened->node;
    size_t n = 0;
    if (!directory->is_directory)
        return -ENOTDIR;
    if (opened->listed == 0) {
        if (!list_one(call, &n, ".", directory->number, true) ||
            !list_one(call, &n, "..", directory->number, true))
            return -EINVAL;
        opened->listed = 1;
    }
    bide__list_each(place, &directory->children)
    {
        const struct node *node = bide__container(place, struct node, place);
        if (node->order <= opened->listed)
            continue;
        if (!list_one(call, &n, node->name, node->number, node->is_directory))
            return n > 0 ? (int64_t)n : -EINVAL;
        opened->listed = node->order;
    }
    return (int64_t)n;
}

static int remove_name(struct bide__sim *sim, const char *path, bool is_directory)
{
    struct place place;
    int rc = find_node(sim, path, &place);
    if (rc < 0)
        return rc;
    if (is_directory && !place.node->is_directory)
        return -ENOTDIR;
    if (!is_directory && place.node->is_directory)
        return -EISDIR;
    if (!place.name[0])
        return is_directory && place.node->parent ? -EINVAL : -EBUSY;
    if (!bide__list_empty(&place.node->children))
        return -ENOTEMPTY;
    node_unlink(sim, place.node);
    return 0;
}

static int make_directory(struct bide__sim *sim, const char *path, unsigned mode)
{
    struct place place;
    int rc = find(sim, path, &place);
    if (rc < 0)
        return rc;
    if (place.node)
        return -EEXIST;
    return node_new(sim, place.directory, place.name, true, mode) ? 0 : -ENOMEM;
}

static int why_not_movable(const struct place *from, const struct place *to)
{
    if (!from->name[0] || !to->name[0])
        return -EBUSY;
    for (const struct node *at = to->directory; at; at = at->parent)
        if (at == from->node)
            return -EINVAL;
    if (!to->node || to->node == from->node)
        return to->must_be_directory && !from->node->is_directory ? -ENOTDIR : 0;
    if (from->node->is_directory && !to->node->is_directory)
        return -ENOTDIR;
    if (!from->node->is_directory && to->node->is_directory)
        return -EISDIR;
    return bide__list_empty(&to->node->children) ? 0 : -ENOTEMPTY;
}

static int rename_node(struct bide__sim *sim, const char *path, const char *other_path)
{
    struct place from;
    struct place to = {0};
    int rc = find_node(sim, path, &from);
    if (rc == 0)
        rc = find(sim, other_path, &to);
    if (rc == 0)
        rc = why_not_movable(&from, &to);
    if (rc < 0 || to.node == from.node)
        return rc;
    assert(from.node && to.directory);
    if (to.node)
        node_unlink(sim, to.node);
    struct node *node = from.node;
    bide__list_remove(&node->place);
    bide__list_append(&to.directory->children, &node->place);
    node->parent->modified_ns = to.directory->modified_ns = node->changed_ns = wall_ns(sim);
    node->parent = to.directory;
    node->order = ++sim->n_objects;
    set_name(node, to.name);
    return 0;
}

/* Calls */

static int stat_path(struct bide__sim *sim, struct bide_file_call *call)
{
    struct place place;
    int rc = find_node(sim, call->path, &place);
    if (rc == 0)
        tell_status(place.node, call);
    return rc;
}

static int64_t on_opened(struct bide__sim *sim, struct bide_file_call *call)
{
    struct opened *opened = opened_of(sim, call->fd);
    if (!opened)
        return -EBADF;
    switch (call->kind) {
    case BIDE_CALL_CLOSE:
        bide__sim_file_let_go(&sim->base, call->fd);
        return 0;
    case BIDE_CALL_READ:
        return read_at(sim, opened, call);
    case BIDE_CALL_WRITE:
        return write_at(sim, opened, call);
    case BIDE_CALL_TRUNCATE:
        return truncate_to(sim, opened, call->offset);
    case BIDE_CALL_STAT:
        tell_status(opened->node, call);
        return 0;
    case BIDE_CALL_LIST:
        return list(opened, call);
    default: /* what is written is safe at once */
        return 0;
    }
}

static int64_t on_names(struct bide__sim *sim, struct bide_file_call *call)
{
    switch (call->kind) {
    case BIDE_CALL_OPEN:
        return open_file(sim, call);
    case BIDE_CALL_STAT:
        return stat_path(sim, call);
    case BIDE_CALL_RENAME:
        return rename_node(sim, call->path, call->other_path);
    case BIDE_CALL_UNLINK:
        return remove_name(sim, call->path, false);
    case BIDE_CALL_REMOVE_DIRECTORY:
        return remove_name(sim, call->path, true);
    default:
        return make_directory(sim, call->path, call->mode);
    }
}

static void do_call(struct bide__sim *sim, struct bide_file_call *call)
{
    struct bide__sim_files *files = files_of(sim);
    unsigned *n = files ? &files->faults[call->kind].n : NULL;
    if (!files) {
        call->result = -ENOMEM;
    } else if (*n > 0 && --*n == 0) {
        if (call->kind == BIDE_CALL_CLOSE) /* which closes all the same */
            on_opened(sim, call);
        call->result = files->faults[call->kind].error;
    } else {
        call->result = call->path ? on_names(sim, call) : on_opened(sim, call);
    }
    bide__sim_note(sim, "file", (unsigned)call->kind, call->result);
}

static void run(struct bide_job *job)
{
    struct bide_file_call *call = (struct bide_file_call *)job; /* its first member */
    do_call(bide__sim_of(call->engine), call);
}

/* What can be done without waiting on a disk is a matter of chance there, too. */
int bide__sim_file_try(struct bide_engine *engine, struct bide_file_call *call)
{
    struct bide__sim *sim = bide__sim_of(engine);
    bool may_be_quick = call->kind == BIDE_CALL_READ || call->kind == BIDE_CALL_WRITE ||
                        (call->kind == BIDE_CALL_OPEN && !(call->flags & (O_CREAT | O_TRUNC))) ||
                        (call->kind == BIDE_CALL_STAT && (call->flags & BIDE_FILE_KNOWN)) ||
                        (call->kind == BIDE_CALL_CLOSE && (call->flags & BIDE_FILE_LIGHT));
    if (!may_be_quick || bide__sim_draw(sim, 1) == 0)
        return -EAGAIN;
    do_call(sim, call);
    return 0;
}

int bide__sim_file_start(struct bide_engine *engine, struct bide_file_call *call)
{
    call->engine = engine;
    call->job.run = run;
    return bide__sim_job_submit(engine, &call->job, BIDE_LANE_FILE);
}

void bide__sim_file_abandon(struct bide_engine *engine, struct bide_file_call *call)
{
    bide__sim_job_abandon(engine, &call->job);
}

bool bide__sim_file_recall(struct bide_engine *engine, struct bide_file_call *call)
{
    return bide__sim_job_recall(bide__sim_of(engine), &call->job);
}
