/* Descriptors that a test opened and did not close, by comparing what /proc tells before and after.
 */
#include "test/runner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Higher ones are not looked at: debuggers and emulators have theirs up there. */
enum { DESCRIPTORS_MAX = 65536 };

static unsigned char noted[DESCRIPTORS_MAX / 8];

static void each_descriptor(void (*visit)(int fd, void *data), void *data)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        char *end;
        long fd = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0' && fd != dirfd(folder) && fd < DESCRIPTORS_MAX)
            visit((int)fd, data);
    }
    closedir(folder);
}

static void note_one(int fd, void *data)
{
    (void)data;
    noted[fd / 8] |= (unsigned char)(1u << fd % 8);
}

static void compare_one(int fd, void *data)
{
    if (noted[fd / 8] & 1u << fd % 8)
        return;
    char path[64];
    char target[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    fprintf(stderr, "left open: descriptor %d, %s\n", fd, target);
    ++*(int *)data;
}

void bide__descriptors_note(void)
{
    memset(noted, 0, sizeof noted);
    each_descriptor(note_one, NULL);
}

int bide__descriptors_compare(void)
{
    int n = 0;
    each_descriptor(compare_one, &n);
    return n;
}
