/* Names: a directory made, listed and removed, a file renamed, temporary files, lines of a file. */
#include <bide.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"unknown", "file", "directory", "link",
                                    "device",  "disk", "fifo",      "socket"};

/* Lists come in no order: small ones are sorted here. */
static int list(const char *path)
{
    char lines[8][300];
    size_t n = 0;
    int rc;
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(path)) {
        if (n == sizeof lines / sizeof *lines)
            break;
        snprintf(lines[n++], sizeof *lines, "%s (%s)", entry.name, types[entry.type]);
    }
    qsort(lines, n, sizeof *lines, (int (*)(const void *, const void *))strcmp);
    for (size_t i = 0; i < n; i++)
        puts(lines[i]);
    return rc;
}

static int count_words(const char *path)
{
    int n = 0;
    int rc;
    bide_for (struct bide_file_line, line, rc, bide_file_lines(path, 0))
        if (strchr(line.text, 'e'))
            n++;
    if (rc == 0)
        printf("%d lines have an e\n", n);
    return rc;
}

static int work_in(const char *folder)
{
    char notes[300];
    char drawer[300];
    char *path = NULL;
    bide_file *file = NULL;
    struct bide_file_status status;
    snprintf(notes, sizeof notes, "%s/notes", folder);
    snprintf(drawer, sizeof drawer, "%s/drawer", folder);
    int rc = bide_directory_make(drawer, 0700);
    if (rc == 0)
        rc = bide_file_temporary(folder, &path, &file);
    if (rc < 0)
        return rc;
    rc = bide_file_write(file, "apple\nfig\npear\n", 15, NULL);
    int closed = bide_file_close(file);
    if (rc == 0)
        rc = closed;
    if (rc == 0)
        rc = bide_path_rename(path, notes);
    free(path);
    if (rc == 0)
        rc = list(folder);
    if (rc == 0)
        rc = count_words(notes);
    if (rc == 0)
        rc = bide_path_stat(notes, &status);
    if (rc == 0)
        printf("%s of %llu bytes\n", types[status.type], (unsigned long long)status.size_bytes);
    if (bide_path_stat_link(notes, &status) == 0)
        bide_path_unlink(notes);
    bide_directory_remove(drawer);
    return rc;
}

bide_async(amain)
{
    char *folder;
    int rc = bide_directory_temporary("/tmp", &folder);
    if (rc < 0)
        return rc;
    rc = work_in(folder);
    if (rc < 0)
        fprintf(stderr, "%s\n", bide_error_detail());
    int removed = bide_directory_remove(folder);
    free(folder);
    return rc < 0 ? rc : removed;
}

int main(void)
{
    return bide_run(amain);
}
