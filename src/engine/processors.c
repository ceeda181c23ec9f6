/* Counting processors; processors.h says which. */
#include "engine/processors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned bide__processors_allowed(cpu_set_t *ret_set)
{
    CPU_ZERO(ret_set);
    if (sched_getaffinity(0, sizeof *ret_set, ret_set) == 0 && CPU_COUNT(ret_set) > 0)
        return (unsigned)CPU_COUNT(ret_set);
    CPU_ZERO(ret_set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

int bide__processors_nth(const cpu_set_t *set, unsigned n)
{
    n %= (unsigned)CPU_COUNT(set);
    for (int i = 0;; i++)
        if (CPU_ISSET((size_t)i, set) && n-- == 0)
            return i;
}

enum { LINE_SIZE = 512 };

/* The first line of a file in a group's folder; false if there is none. */
static bool read_line(const char *root, const char *group, const char *name, char line[LINE_SIZE])
{
    char *path;
    if (asprintf(&path, "%s%s/%s", root, group, name) < 0)
        return false;
    FILE *file = fopen(path, "re");
    free(path);
    if (!file)
        return false;
    bool read = fgets(line, LINE_SIZE, file);
    fclose(file);
    return read;
}

static unsigned lower(unsigned n, double quota, double period)
{
    if (!(quota > 0 && period > 0) || quota / period >= n)
        return n;
    unsigned whole = (unsigned)(quota / period);
    return whole < quota / period ? whole + 1 : whole;
}

/* "max 100000" or "150000 100000". */
static unsigned lower_by_max(unsigned n, const char *root, const char *group)
{
    char line[LINE_SIZE];
    double quota, period;
    if (!read_line(root, group, "cpu.max", line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
        return n;
    return lower(n, quota, period);
}

/* The former kind of groups, one file for each number; -1 is no quota. */
static unsigned lower_by_quota(unsigned n, const char *root, const char *group)
{
    char quota[LINE_SIZE], period[LINE_SIZE];
    if (!read_line(root, group, "cpu.cfs_quota_us", quota) ||
        !read_line(root, group, "cpu.cfs_period_us", period))
        return n;
    return lower(n, strtod(quota, NULL), strtod(period, NULL));
}

/* The group and all above it, up to the root: any may have a quota. */
static unsigned lower_upwards(unsigned n, const char *root, char *group,
                              unsigned (*by)(unsigned n, const char *root, const char *group))
{
    for (;;) {
        n = by(n, root, group);
        char *slash = strrchr(group, '/');
        if (!slash)
            return n;
        *slash = '\0';
    }
}

/* Whether "cpu,cpuacct" names the controller. */
static bool has_cpu(const char *controllers)
{
    size_t length;
    for (const char *at = controllers; *at; at += length + (at[length] == ',')) {
        length = strcspn(at, ",");
        if (length == 3 && strncmp(at, "cpu", 3) == 0)
            return true;
    }
    return false;
}

static unsigned lower_by_line(unsigned n, char *line, const char *root)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return n;
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0')
        return lower_upwards(n, root, group, lower_by_max);
    char *mounted;
    if (!has_cpu(controllers) || asprintf(&mounted, "%s/cpu", root) < 0)
        return n;
    n = lower_upwards(n, mounted, group, lower_by_quota);
    free(mounted);
    return n;
}

unsigned bide__processors_quota(unsigned n, const char *list, const char *root)
{
    char line[LINE_SIZE];
    FILE *file = fopen(list, "re");
    while (file && fgets(line, sizeof line, file))
        n = lower_by_line(n, line, root);
    if (file)
        fclose(file);
    return n > 0 ? n : 1;
}
