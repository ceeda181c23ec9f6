/*
 * Files: written, read at the position and elsewhere, copied in pieces, and what goes wrong told
 * with the path.
 */
#include <bide.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int close_file(void *file)
{
    return bide_file_close(file);
}

/* Errors of the last writes may come with the close: it is part of the work. */
static int copy_into(bide_file *from, bide_file *to)
{
    static char piece[64 * 1024];
    ssize_t n;
    while ((n = bide_file_read(from, piece, sizeof piece)) > 0) {
        int rc = bide_file_write(to, piece, (size_t)n, NULL);
        if (rc < 0)
            return rc;
    }
    return n < 0 ? (int)n : bide_file_sync(to);
}

static int copy(const char *path, const char *new_path)
{
    bide_file *from;
    bide_file *to;
    int rc = bide_file_open(path, O_RDONLY, 0, &from);
    if (rc < 0)
        return rc;
    bide_defer(close_file, from);
    rc = bide_file_open(new_path, O_WRONLY | O_CREAT | O_EXCL, 0644, &to);
    if (rc < 0)
        return rc;
    rc = copy_into(from, to);
    int closed = bide_file_close(to);
    return rc < 0 ? rc : closed;
}

static int look_at(const char *path)
{
    bide_file *file;
    char word[6] = "";
    struct bide_file_status status;
    int rc = bide_file_open(path, O_RDWR, 0, &file);
    if (rc < 0)
        return rc;
    bide_defer(close_file, file);
    rc = bide_file_stat(file, &status);
    if (rc < 0)
        return rc;
    printf("%llu bytes\n", (unsigned long long)status.size_bytes);
    if (bide_file_seek(file, -6, SEEK_END) < 0 || bide_file_read(file, word, 5) < 0)
        return -EIO;
    printf("the last word is %s, before %lld\n", word, (long long)bide_file_tell(file));
    rc = bide_file_write_at(file, "WORLD", 5, 6, NULL);
    if (rc == 0)
        rc = bide_file_truncate(file, 12);
    if (rc == 0)
        rc = bide_file_sync_data(file);
    if (rc == 0 && bide_file_read_at(file, word, 5, 6) == 5)
        printf("now %s\n", word);
    return rc;
}

bide_async(amain)
{
    char *folder;
    char a[300];
    char b[300];
    int rc = bide_directory_temporary(NULL, &folder);
    if (rc < 0)
        return rc;
    snprintf(a, sizeof a, "%s/a", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    rc = bide_file_store(a, "hello world, hello files\n", 25, NULL);
    if (rc == 0)
        rc = copy(a, b);
    if (rc == 0)
        rc = look_at(b);
    if (rc == 0 && copy(a, b) == -EEXIST)
        printf("%s\n", strrchr(bide_error_detail(), '/') + 1);
    char *text;
    if (rc == 0 && bide_file_load(b, 1000, &text, NULL) == 0) {
        printf("%s\n", text);
        free(text);
    }
    bide_path_unlink(a);
    bide_path_unlink(b);
    bide_directory_remove(folder);
    free(folder);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
