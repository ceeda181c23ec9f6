/*
 * What the tests of files share: a directory for the test's own, which must be empty at the end,
 * and coroutines around the calls. It is the same code on every engine, in simulation too.
 */
#ifndef BIDE_TEST_FILE_RIG_H
#define BIDE_TEST_FILE_RIG_H

#include <bide/file.h>
#include <bide/path.h>

#include <dirent.h>
#include <unistd.h>

#include "sim_rig.h"
#include "task_rig.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* A path in the directory of the test; the last four stay valid. */
static char *rig_directory;

static RIG_UNUSED const char *in_rig(const char *name)
{
    static char paths[4][512];
    static unsigned n;
    char *path = paths[n++ % 4];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", rig_directory, name) < (int)sizeof paths[0]);
    return path;
}

static RIG_UNUSED void rig_directory_open(void)
{
    CHECK_INT(bide_directory_temporary(NULL, &rig_directory), 0);
}

static RIG_UNUSED void rig_directory_close(void)
{
    CHECK_INT(bide_directory_remove(rig_directory), 0);
    free(rig_directory);
    rig_directory = NULL;
}

/* A test whose body is a task, with a directory of its own. */
#define FILE_TEST_SECONDS(name, limit_seconds) \
    static void name##_body(void); \
    TASK_TEST_SECONDS(name, limit_seconds) \
    { \
        rig_directory_open(); \
        name##_body(); \
        rig_directory_close(); \
    } \
    static void name##_body(void)
#define FILE_TEST(name) FILE_TEST_SECONDS(name, 20)

static RIG_UNUSED bide_file *opened(const char *path, int flags)
{
    bide_file *file = NULL;
    int rc = bide_file_open(path, flags, 0644, &file);
    if (rc < 0)
        FAIL("%s: %s", path, bide_strerror(rc));
    return file;
}

static RIG_UNUSED void put(bide_file *file, const char *text)
{
    size_t n = 0;
    CHECK_INT(bide_file_write(file, text, strlen(text), &n), 0);
    CHECK_INT(n, strlen(text));
}

static RIG_UNUSED void store(const char *path, const char *text)
{
    CHECK_INT(bide_file_store(path, text, strlen(text), NULL), 0);
}

/* The file has just this text. */
static RIG_UNUSED void check_file(const char *path, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    CHECK_INT(bide_file_load(path, 0, &data, &size), 0);
    CHECK_STR(data, text);
    CHECK_INT(size, strlen(text));
    free(data);
}

static RIG_UNUSED void check_read(bide_file *file, size_t size, const char *text)
{
    char buffer[256];
    CHECK(size < sizeof buffer);
    ssize_t n = bide_file_read(file, buffer, size);
    CHECK_INT(n, strlen(text));
    buffer[n] = '\0';
    CHECK_STR(buffer, text);
}

static RIG_UNUSED char pattern_at(size_t i)
{
    return (char)((i * 2654435761u) >> 13);
}

static RIG_UNUSED void pattern_fill(char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = pattern_at(from + i);
}

static RIG_UNUSED void pattern_check(const char *buffer, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (buffer[i] != pattern_at(from + i))
            FAIL("byte %zu is wrong", from + i);
}

/* The calls under test as coroutines. */

static RIG_UNUSED bide_async(opens, (const char *, path), (int, flags), (bide_file **, ret_file))
{
    return bide_file_open(path, flags, 0644, ret_file);
}

static RIG_UNUSED bide_async(reads, (bide_file *, file), (void *, buffer), (size_t, size))
{
    return (int)bide_file_read(file, buffer, size);
}

static RIG_UNUSED bide_async(reads_at, (bide_file *, file), (void *, buffer), (size_t, size),
                             (int64_t, offset))
{
    return (int)bide_file_read_at(file, buffer, size, offset);
}

static RIG_UNUSED bide_async(writes, (bide_file *, file), (const void *, data), (size_t, size),
                             (size_t *, ret_written))
{
    return bide_file_write(file, data, size, ret_written);
}

static RIG_UNUSED bide_async(closes, (bide_file *, file))
{
    return bide_file_close(file);
}

/* How many descriptors this process has open. */
static RIG_UNUSED int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    int n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

#endif
