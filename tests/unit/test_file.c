/*
 * Scenario: files are made, written, read, moved, listed and removed, one by one and by many tasks
 * at once. Claim: what is read is what was written, positions move as POSIX has them, tasks that
 * share a position take turns, and errors tell the path. The same on every engine.
 */
#include "file_rig.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

FILE_TEST(what_was_written_is_read)
{
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT | O_EXCL);
    char buffer[16];
    put(file, "hello ");
    put(file, "world");
    CHECK_INT(bide_file_tell(file), 11);
    CHECK_INT(bide_file_read(file, buffer, sizeof buffer), 0);
    CHECK_INT(bide_file_seek(file, 0, SEEK_SET), 0);
    check_read(file, 100, "hello world");
    CHECK_INT(bide_file_read(file, buffer, sizeof buffer), 0);
    CHECK_INT(bide_file_read(file, buffer, 0), 0);
    CHECK_INT(bide_file_close(file), 0);
    check_file(in_rig("a"), "hello world");
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(positions)
{
    store(in_rig("a"), "0123456789");
    bide_file *file = opened(in_rig("a"), O_RDWR);
    CHECK_INT(bide_file_seek(file, -3, SEEK_END), 7);
    check_read(file, 2, "78");
    CHECK_INT(bide_file_seek(file, -4, SEEK_CUR), 5);
    check_read(file, 1, "5");
    CHECK_INT(bide_file_seek(file, 1, SEEK_CUR), 7); /* inside what was read ahead */
    check_read(file, 1, "7");
    CHECK_INT(bide_file_seek(file, -1, SEEK_SET), -EINVAL);
    CHECK_INT(bide_file_seek(file, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    CHECK_INT(bide_file_seek(file, 0, 77), -EINVAL);
    CHECK_INT(bide_file_tell(file), 8);
    CHECK_INT(bide_file_seek(file, 20, SEEK_SET), 20); /* behind the end */
    check_read(file, 5, "");
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(offsets_leave_the_position_alone)
{
    char buffer[8];
    size_t n;
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT);
    put(file, "0123456789");
    CHECK_INT(bide_file_read_at(file, buffer, 4, 2), 4);
    CHECK_MEM(buffer, "2345", 4);
    CHECK_INT(bide_file_read_at(file, buffer, 8, 8), 2);
    CHECK_INT(bide_file_read_at(file, buffer, 8, 10), 0);
    CHECK_INT(bide_file_write_at(file, "AB", 2, 4, &n), 0);
    CHECK_INT(n, 2);
    CHECK_INT(bide_file_write_at(file, "C", 1, 12, NULL), 0);
    CHECK_INT(bide_file_tell(file), 10);
    CHECK_INT(bide_file_read_at(file, buffer, 8, -1), -EINVAL);
    CHECK_INT(bide_file_write_at(file, "C", 1, -1, NULL), -EINVAL);
    struct bide_file_status status;
    CHECK_INT(bide_file_stat(file, &status), 0);
    CHECK_INT(status.size_bytes, 13);
    CHECK_INT(status.type, BIDE_FILE_REGULAR);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* What was read ahead is not told once something else is there. */
FILE_TEST(reading_ahead_never_tells_what_was)
{
    store(in_rig("a"), "0123456789");
    bide_file *file = opened(in_rig("a"), O_RDWR);
    check_read(file, 2, "01");
    CHECK_INT(bide_file_write_at(file, "XYZ", 3, 1, NULL), 0);
    check_read(file, 3, "YZ4");
    put(file, "PQ");
    check_read(file, 2, "78");
    CHECK_INT(bide_file_truncate(file, 9), 0);
    CHECK_INT(bide_file_seek(file, 0, SEEK_SET), 0);
    check_read(file, 100, "0XYZ4PQ78");
    CHECK_INT(bide_file_seek(file, 1, SEEK_SET), 1);
    check_read(file, 1, "X");
    CHECK_INT(bide_file_truncate(file, 3), 0);
    check_read(file, 100, "Y");
    CHECK_INT(bide_file_truncate(file, 5), 0);
    char buffer[4];
    CHECK_INT(bide_file_read(file, buffer, 4), 2);
    CHECK_MEM(buffer, "\0\0", 2);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(appending)
{
    store(in_rig("a"), "one");
    bide_file *file = opened(in_rig("a"), O_RDWR | O_APPEND);
    check_read(file, 1, "o");
    put(file, "two");
    CHECK_INT(bide_file_tell(file), 1);
    check_read(file, 100, "netwo");
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* Through pieces, the buffer for small reads, and around it. */
FILE_TEST_SECONDS(much_data_in_every_size, 60)
{
    enum { BIG = 3 * MIB + 77 };
    static char out[BIG];
    static char in[BIG];
    pattern_fill(out, 0, BIG);
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT);
    size_t n;
    CHECK_INT(bide_file_write(file, out, BIG, &n), 0);
    CHECK_INT(n, BIG);
    static const size_t sizes[] = {7, 4096, 16 * KIB, 16 * KIB + 1, 65 * KIB, MIB, BIG};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t done = 0;
        size_t end = sizes[i] < 4096 ? 100 * KIB : BIG;
        CHECK_INT(bide_file_seek(file, 0, SEEK_SET), 0);
        while (done < end) {
            size_t size = sizes[i] < BIG - done ? sizes[i] : BIG - done;
            CHECK_INT(bide_file_read(file, in + done, size), size);
            done += size;
        }
        pattern_check(in, 0, done);
        CHECK_INT(bide_file_tell(file), done);
    }
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(errors_tell_the_path)
{
    bide_file *file = NULL;
    struct bide_file_status status;
    char expected[600];
    CHECK_INT(bide_file_open(in_rig("none"), O_RDONLY, 0, &file), -ENOENT);
    snprintf(expected, sizeof expected, "%s: No such file or directory", in_rig("none"));
    CHECK_STR(bide_error_detail(), expected);
    store(in_rig("a"), "text");
    CHECK_INT(bide_file_open(in_rig("a"), O_RDWR | O_CREAT | O_EXCL, 0600, &file), -EEXIST);
    CHECK_INT(bide_file_open(in_rig("a/b"), O_RDONLY, 0, &file), -ENOTDIR);
    CHECK_INT(bide_file_open(in_rig("a"), O_RDONLY | O_DIRECTORY, 0, &file), -ENOTDIR);
    CHECK_INT(bide_file_open(rig_directory, O_WRONLY, 0, &file), -EISDIR);
    CHECK_INT(bide_file_open("", O_RDONLY, 0, &file), -ENOENT);
    CHECK_INT(bide_file_open(NULL, O_RDONLY, 0, &file), -EINVAL);
    CHECK_INT(bide_file_open("a", O_ACCMODE, 0, &file), -EINVAL);
    CHECK_INT(bide_file_open("a", O_RDONLY, 0, NULL), -EINVAL);
    CHECK_PTR(file, NULL);
    CHECK_INT(bide_path_stat(in_rig("none"), &status), -ENOENT);
    CHECK_STR(bide_error_detail(), expected);
    CHECK_INT(bide_path_rename(in_rig("none"), in_rig("b")), -ENOENT);
    CHECK_INT(bide_path_unlink(in_rig("none")), -ENOENT);
    CHECK_INT(bide_path_unlink(NULL), -EINVAL);
    CHECK_INT(bide_directory_make(in_rig("a"), 0700), -EEXIST);
    CHECK_INT(bide_directory_make(in_rig("x/y"), 0700), -ENOENT);
    CHECK_INT(bide_directory_remove(in_rig("a")), -ENOTDIR);
    file = opened(in_rig("a"), O_RDONLY);
    size_t n = 99;
    CHECK_INT(bide_file_write(file, "x", 1, &n), -EBADF);
    CHECK_INT(n, 0);
    CHECK_INT(bide_file_truncate(file, 0), -EINVAL);
    CHECK_INT(bide_file_truncate(file, -1), -EINVAL);
    CHECK_INT(bide_file_close(file), 0);
    file = opened(rig_directory, O_RDONLY);
    char byte;
    CHECK_INT(bide_file_read(file, &byte, 1), -EISDIR);
    CHECK_INT(bide_file_read_at(file, &byte, 1, 0), -EISDIR);
    CHECK_STR(strrchr(bide_error_detail(), ':'), ": Is a directory");
    CHECK_INT(bide_file_seek(file, 0, SEEK_SET), -ESPIPE);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(names)
{
    struct bide_file_status status;
    struct bide_file_status other;
    store(in_rig("a"), "text");
    CHECK_INT(bide_path_stat(in_rig("a"), &status), 0);
    CHECK_INT(status.type, BIDE_FILE_REGULAR);
    CHECK_INT(status.size_bytes, 4);
    CHECK_INT(status.n_links, 1);
    CHECK(status.modified_ns > 0);
    CHECK_INT(bide_path_rename(in_rig("a"), in_rig("b")), 0);
    CHECK_INT(bide_path_stat(in_rig("a"), &other), -ENOENT);
    CHECK_INT(bide_path_stat_link(in_rig("b"), &other), 0);
    CHECK_INT(other.inode, status.inode);
    store(in_rig("a"), "new");
    CHECK_INT(bide_path_rename(in_rig("a"), in_rig("b")), 0);
    check_file(in_rig("b"), "new");
    CHECK_INT(bide_directory_make(in_rig("d"), 0700), 0);
    CHECK_INT(bide_path_stat(in_rig("d"), &status), 0);
    CHECK_INT(status.type, BIDE_FILE_DIRECTORY);
    CHECK_INT(status.mode & 0777, 0700);
    CHECK_INT(bide_path_rename(in_rig("b"), in_rig("d")), -EISDIR);
    CHECK_INT(bide_path_rename(in_rig("d"), in_rig("b")), -ENOTDIR);
    CHECK_INT(bide_path_rename(in_rig("d"), in_rig("d/x")), -EINVAL);
    CHECK_INT(bide_path_rename(in_rig("b"), in_rig("d/b")), 0);
    CHECK_INT(bide_directory_remove(in_rig("d")), -ENOTEMPTY);
    CHECK_INT(bide_path_unlink(in_rig("d")), -EISDIR);
    CHECK_INT(bide_path_unlink(in_rig("d/./../d//b")), 0);
    CHECK_INT(bide_directory_remove(in_rig("d/")), 0);
}

/* The name goes, the file stays until it is closed. */
FILE_TEST(an_unlinked_file_lives_on)
{
    store(in_rig("a"), "text");
    bide_file *file = opened(in_rig("a"), O_RDONLY);
    struct bide_file_status status;
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
    check_read(file, 10, "text");
    CHECK_INT(bide_file_stat(file, &status), 0);
    CHECK_INT(status.n_links, 0);
    CHECK_INT(bide_file_close(file), 0);
}

FILE_TEST_SECONDS(directories_are_listed, 60)
{
    enum { MANY = 700 }; /* more than one piece */
    static bool seen[MANY];
    char name[64];
    int rc;
    int n = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a-name-that-is-of-some-length-%d", i);
        if (i % 10 == 0)
            CHECK_INT(bide_directory_make(in_rig(name), 0700), 0);
        else
            CHECK_INT(bide_file_close(opened(in_rig(name), O_WRONLY | O_CREAT)), 0);
    }
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(rig_directory)) {
        int i = atoi(strrchr(entry.name, '-') + 1);
        CHECK(i >= 0 && i < MANY && !seen[i]);
        CHECK_INT(entry.type, i % 10 == 0 ? BIDE_FILE_DIRECTORY : BIDE_FILE_REGULAR);
        seen[i] = true;
        n++;
    }
    CHECK_INT(rc, 0);
    CHECK_INT(n, MANY);
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(rig_directory))
        CHECK_INT(strcmp(entry.name, "x") > 0 ? 1 : 0, 0);
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(rig_directory))
        break; /* closes it */
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a-name-that-is-of-some-length-%d", i);
        rc = i % 10 == 0 ? bide_directory_remove(in_rig(name)) : bide_path_unlink(in_rig(name));
        CHECK_INT(rc, 0);
    }
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(rig_directory))
        FAIL("%s", entry.name);
    CHECK_INT(rc, 0);
    bide_for (struct bide_directory_entry, entry, rc, bide_directory_list(in_rig("none")))
        FAIL("%s", entry.name);
    CHECK_INT(rc, -ENOENT);
    CHECK_PTR(bide_directory_list(NULL), NULL);
}

FILE_TEST(temporary_files_are_new)
{
    char *path;
    char *other;
    bide_file *file;
    struct bide_file_status status;
    CHECK_INT(bide_file_temporary(rig_directory, &path, &file), 0);
    put(file, "text");
    CHECK_INT(bide_file_stat(file, &status), 0);
    CHECK_INT(status.mode & 077, 0);
    CHECK_INT(bide_file_close(file), 0);
    check_file(path, "text");
    CHECK_INT(bide_directory_temporary(rig_directory, &other), 0);
    CHECK(strcmp(path, other) != 0);
    CHECK_INT(bide_path_unlink(path), 0);
    CHECK_INT(bide_directory_remove(other), 0);
    free(path);
    free(other);
    CHECK_INT(bide_file_temporary(in_rig("none"), &path, &file), -ENOENT);
    CHECK_INT(bide_file_temporary("", &path, &file), -EINVAL);
    CHECK_INT(bide_file_temporary(NULL, NULL, &file), -EINVAL);
    CHECK_INT(bide_file_temporary(NULL, &path, NULL), -EINVAL);
}

/* Whole files */

FILE_TEST(files_are_stored_and_loaded_whole)
{
    static const struct bide_store_opts durable = {.durable = true, .mode = 0600};
    static const struct bide_store_opts in_place = {.in_place = true};
    char *data = NULL;
    size_t size;
    struct bide_file_status before;
    struct bide_file_status after;
    store(in_rig("a"), "first");
    check_file(in_rig("a"), "first");
    CHECK_INT(bide_path_stat(in_rig("a"), &before), 0);
    CHECK_INT(bide_file_store(in_rig("a"), "second", 6, &durable), 0);
    check_file(in_rig("a"), "second");
    CHECK_INT(bide_path_stat(in_rig("a"), &before), 0);
    CHECK_INT(before.mode & 0777, 0600);
    CHECK_INT(bide_file_store(in_rig("a"), "3rd", 3, &in_place), 0);
    CHECK_INT(bide_path_stat(in_rig("a"), &after), 0);
    CHECK_INT(after.inode, before.inode);
    check_file(in_rig("a"), "3rd");
    CHECK_INT(bide_file_load(in_rig("a"), 3, &data, &size), 0);
    free(data);
    CHECK_INT(bide_file_load(in_rig("a"), 2, &data, &size), -EFBIG);
    store(in_rig("a"), "");
    check_file(in_rig("a"), "");
    CHECK_INT(bide_file_load(in_rig("none"), 0, &data, NULL), -ENOENT);
    CHECK_INT(bide_file_load(rig_directory, 0, &data, NULL), -EISDIR);
    CHECK_INT(bide_file_store(in_rig("x/y"), "", 0, NULL), -ENOENT);
    CHECK_INT(bide_file_store(in_rig("x/"), "", 0, NULL), -EINVAL);
    CHECK_INT(bide_file_store(rig_directory, "", 0, NULL), -EISDIR); /* and removes the new one */
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(a_big_file_is_loaded_whole)
{
    enum { BIG = 1000000 };
    static char out[BIG];
    char *data;
    size_t size;
    pattern_fill(out, 0, BIG);
    CHECK_INT(bide_file_store(in_rig("a"), out, BIG, NULL), 0);
    CHECK_INT(bide_file_load(in_rig("a"), BIG, &data, &size), 0);
    CHECK_INT(size, BIG);
    CHECK_MEM(data, out, BIG);
    free(data);
    CHECK_INT(bide_file_load(in_rig("a"), BIG - 1, &data, &size), -EFBIG);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

static void check_lines(const char *text, size_t limit, const char *expected, int error)
{
    int rc;
    store(in_rig("lines"), text);
    bide_for (struct bide_file_line, line, rc, bide_file_lines(in_rig("lines"), limit)) {
        CHECK_INT(strlen(line.text), line.size);
        note(line.text);
        note("|");
    }
    CHECK_INT(rc, error);
    CHECK_NOTES(expected);
    CHECK_INT(bide_path_unlink(in_rig("lines")), 0);
}

FILE_TEST(lines)
{
    check_lines("", 0, "", 0);
    check_lines("one", 0, "one|", 0);
    check_lines("one\n", 0, "one|", 0);
    check_lines("one\n\nthree", 0, "one||three|", 0);
    check_lines("\n\n", 0, "||", 0);
    check_lines("four\nfives\n", 4, "four|", -BIDE_ELIMIT);
    check_lines("four\nfives", 4, "four|", -BIDE_ELIMIT);
    CHECK_PTR(bide_file_lines(NULL, 0), NULL);
    int rc;
    bide_for (struct bide_file_line, line, rc, bide_file_lines(in_rig("none"), 0))
        FAIL("%s", line.text);
    CHECK_INT(rc, -ENOENT);
}

FILE_TEST(many_lines_cross_the_pieces)
{
    enum { LINES = 30000 };
    char *text = malloc(LINES * 12);
    char expected[16];
    size_t size = 0;
    int n = 0;
    int rc;
    for (int i = 0; i < LINES; i++)
        size += (size_t)sprintf(text + size, "line %d\n", i);
    CHECK_INT(bide_file_store(in_rig("a"), text, size, NULL), 0);
    free(text);
    bide_for (struct bide_file_line, line, rc, bide_file_lines(in_rig("a"), 10)) {
        snprintf(expected, sizeof expected, "line %d", n++);
        CHECK_STR(line.text, expected);
    }
    CHECK_INT(rc, 0);
    CHECK_INT(n, LINES);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* Many at once */

static bide_async(works_on_its_own, (int, i))
{
    char path[512];
    char data[64];
    char got[64];
    bide_file *file;
    snprintf(path, sizeof path, "%s/%d", rig_directory, i);
    int n = snprintf(data, sizeof data, "the file number %d", i);
    CHECK_INT(bide_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, &file), 0);
    CHECK_INT(bide_file_write(file, data, (size_t)n, NULL), 0);
    CHECK_INT(bide_file_read_at(file, got, sizeof got, 0), n);
    CHECK_MEM(got, data, (size_t)n);
    CHECK_INT(bide_file_close(file), 0);
    return bide_path_unlink(path);
}

FILE_TEST_SECONDS(a_thousand_tasks_with_a_file_each, 60)
{
    enum { MANY = 1000 };
    bide_group *group;
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < MANY / (test_slowness() > 1 ? 4 : 1); i++)
        CHECK_INT(bide_group_spawn(group, works_on_its_own, i), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
}

static bide_async(reads_places, (bide_file *, file), (int, seed))
{
    char buffer[512];
    for (int i = 0; i < 10; i++) {
        size_t at = (size_t)(seed * 7919 + i * 104729) % (MIB - sizeof buffer);
        CHECK_INT(bide_file_read_at(file, buffer, sizeof buffer, (int64_t)at), sizeof buffer);
        pattern_check(buffer, at, sizeof buffer);
    }
    return 0;
}

FILE_TEST_SECONDS(many_tasks_read_one_file_at_once, 60)
{
    enum { MANY = 200 };
    static char out[MIB];
    bide_group *group;
    pattern_fill(out, 0, MIB);
    CHECK_INT(bide_file_store(in_rig("a"), out, MIB, NULL), 0);
    bide_file *file = opened(in_rig("a"), O_RDONLY);
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(bide_group_spawn(group, reads_places, file, i), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

static bide_async(writes_letters, (bide_file *, file), (char, letter), (size_t, size))
{
    char *data = malloc(size);
    memset(data, letter, size);
    int rc = bide_file_write(file, data, size, NULL);
    free(data);
    return rc;
}

/* Each one's data stays together, in the order of the calls, however many pieces it takes. */
FILE_TEST(tasks_take_turns_at_the_position)
{
    enum { WRITERS = 8, BIG = 300 * KIB };
    char *data;
    size_t size;
    bide_group *group;
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT);
    CHECK_INT(bide_group_open(&group), 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK_INT(bide_group_spawn(group, writes_letters, file, (char)('a' + i), BIG), 0);
    CHECK_INT(bide_group_close(group, 0), 0);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_file_load(in_rig("a"), 0, &data, &size), 0);
    CHECK_INT(size, WRITERS * BIG);
    for (size_t i = 0; i < size; i++)
        CHECK_INT(data[i], 'a' + i / BIG);
    free(data);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

/* The kernel's own */

FILE_TEST(what_other_programs_see)
{
    rig_needs_kernel();
    enum { BIG = 777777 };
    static char out[BIG];
    char command[1600];
    pattern_fill(out, 0, BIG);
    CHECK_INT(bide_file_store(in_rig("a"), out, BIG, NULL), 0);
    bide_file *from = opened(in_rig("a"), O_RDONLY);
    bide_file *to = opened(in_rig("b"), O_WRONLY | O_CREAT);
    ssize_t n;
    while ((n = bide_file_read(from, out, 10000)) > 0)
        CHECK_INT(bide_file_write(to, out, (size_t)n, NULL), 0);
    CHECK_INT(n, 0);
    CHECK_INT(bide_file_sync_data(to), 0);
    CHECK_INT(bide_file_close(from), 0);
    CHECK_INT(bide_file_close(to), 0);
    snprintf(command, sizeof command,
             "cmp '%s/a' '%s/b' && test \"$(sha256sum <'%s/a')\" = \"$(sha256sum <'%s/b')\" && "
             "test \"$(wc -c <'%s/b')\" -eq %d",
             rig_directory, rig_directory, rig_directory, rig_directory, rig_directory, BIG);
    CHECK_INT(system(command), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
    CHECK_INT(bide_path_unlink(in_rig("b")), 0);
}

FILE_TEST(beyond_four_gibibytes)
{
    rig_needs_kernel();
    const int64_t far = (INT64_C(5) << 30) + 3;
    bide_file *file = opened(in_rig("a"), O_RDWR | O_CREAT);
    struct bide_file_status status;
    char buffer[8];
    CHECK_INT(bide_file_seek(file, far, SEEK_SET), far);
    put(file, "far");
    CHECK_INT(bide_file_write_at(file, "er", 2, far + 3, NULL), 0);
    CHECK_INT(bide_file_stat(file, &status), 0);
    CHECK_INT(status.size_bytes, far + 5);
    CHECK(status.disk_bytes < MIB);
    CHECK_INT(bide_file_seek(file, -5, SEEK_END), far);
    check_read(file, 100, "farer");
    CHECK_INT(bide_file_read_at(file, buffer, 8, far + 1), 4);
    CHECK_MEM(buffer, "arer", 4);
    CHECK_INT(bide_file_truncate(file, far + 1), 0);
    CHECK_INT(bide_file_seek(file, 0, SEEK_END), far + 1);
    CHECK_INT(bide_file_close(file), 0);
    CHECK_INT(bide_path_unlink(in_rig("a")), 0);
}

FILE_TEST(what_is_no_file_of_positions)
{
    rig_needs_kernel();
    bide_file *file = NULL;
    char bytes[16] = "x";
    CHECK_INT(mkfifo(in_rig("fifo"), 0600), 0);
    CHECK_INT(bide_file_open(in_rig("fifo"), O_RDONLY, 0, &file), -ESPIPE);
    CHECK_CONTAINS(bide_error_detail(), "see bide_input()");
    CHECK_INT(bide_file_open(in_rig("fifo"), O_WRONLY, 0, &file), -ESPIPE);
    CHECK_INT(bide_file_open(in_rig("fifo"), O_RDWR, 0, &file), -ESPIPE);
    CHECK_INT(bide_path_unlink(in_rig("fifo")), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", rig_directory);
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(bide_file_open(in_rig("s"), O_RDWR, 0, &file), -ESPIPE);
    close(sock);
    CHECK_INT(bide_path_unlink(in_rig("s")), 0);
    CHECK_PTR(file, NULL);

    file = opened("/dev/zero", O_RDWR);
    CHECK_INT(bide_file_read(file, bytes, 1), 1);
    CHECK_INT(bytes[0], 0);
    CHECK_INT(bide_file_seek(file, 0, SEEK_SET), -ESPIPE);
    CHECK_INT(bide_file_read_at(file, bytes, 1, 0), -ESPIPE);
    CHECK_INT(bide_file_write_at(file, bytes, 1, 0, NULL), -ESPIPE);
    CHECK_INT(bide_file_write(file, bytes, sizeof bytes, NULL), 0);
    CHECK_INT(bide_file_sync(file), -EINVAL);
    CHECK_INT(bide_file_close(file), 0);
    file = opened("/dev/full", O_WRONLY);
    size_t n = 1;
    CHECK_INT(bide_file_write(file, bytes, sizeof bytes, &n), -ENOSPC);
    CHECK_INT(n, 0);
    CHECK_STR(bide_error_detail(), "/dev/full: No space left on device");
    CHECK_INT(bide_file_close(file), 0);
    file = opened("/proc/self/mem", O_RDONLY); /* nothing is mapped at its start */
    CHECK_INT(bide_file_read(file, bytes, 1), -EIO);
    CHECK_INT(bide_file_close(file), 0);
    char *data;
    CHECK_INT(bide_file_load("/dev/zero", 100000, &data, NULL), -EFBIG);
    CHECK_INT(bide_file_load("/proc/self/status", 0, &data, NULL), 0); /* its size is told as 0 */
    CHECK_CONTAINS(data, "Threads:");
    free(data);
}

FILE_TEST(links_are_followed_or_not)
{
    rig_needs_kernel();
    struct bide_file_status status;
    bide_file *file;
    CHECK_INT(symlink("target", in_rig("link")), 0);
    CHECK_INT(bide_path_stat(in_rig("link"), &status), -ENOENT);
    CHECK_INT(bide_path_stat_link(in_rig("link"), &status), 0);
    CHECK_INT(status.type, BIDE_FILE_SYMLINK);
    CHECK_INT(bide_file_open(in_rig("link"), O_RDONLY | O_NOFOLLOW, 0, &file), -ELOOP);
    store(in_rig("target"), "text");
    check_file(in_rig("link"), "text");
    CHECK_INT(bide_path_unlink(in_rig("link")), 0);
    CHECK_INT(bide_path_unlink(in_rig("target")), 0);
}

static int inside(const char *path, int flags)
{
    bide_file *file;
    int rc = bide_file_open_inside(in_rig("in"), path, flags, &file);
    if (rc == 0)
        CHECK_INT(bide_file_close(file), 0);
    return rc;
}

FILE_TEST(a_path_inside_never_leads_out)
{
    bide_file *file;
    CHECK_INT(bide_directory_make(in_rig("in"), 0755), 0);
    CHECK_INT(bide_directory_make(in_rig("in/b"), 0755), 0);
    store(in_rig("out"), "out");
    store(in_rig("in/b/a"), "text");
    for (int i = 0; i < 4; i++) { /* at once and not, in simulation */
        CHECK_INT(inside("b/a", O_RDONLY), 0);
        CHECK_INT(inside("b//./a", O_RDWR), 0);
        CHECK_INT(inside("b", O_RDONLY | O_DIRECTORY), 0);
        CHECK_INT(inside(".", O_RDONLY), 0);
        CHECK_INT(inside("b/a/", O_RDONLY), -ENOTDIR);
        CHECK_INT(inside("b/c", O_RDONLY), -ENOENT);
        CHECK_INT(inside("../out", O_RDONLY), -EXDEV);
        CHECK_INT(inside("b/../../out", O_RDONLY), -EXDEV);
        CHECK_INT(inside("/etc/passwd", O_RDONLY), -EXDEV);
        CHECK_INT(inside("b/a", O_WRONLY | O_CREAT), -EINVAL);
        CHECK_INT(bide_file_open_inside(in_rig("none"), "a", O_RDONLY, &file), -ENOENT);
        CHECK_INT(bide_file_open_inside(in_rig("out"), "a", O_RDONLY, &file), -ENOTDIR);
    }
    CHECK_INT(bide_path_unlink(in_rig("in/b/a")), 0);
    CHECK_INT(bide_directory_remove(in_rig("in/b")), 0);
    CHECK_INT(bide_directory_remove(in_rig("in")), 0);
    CHECK_INT(bide_path_unlink(in_rig("out")), 0);
}

FILE_TEST(links_inside_are_followed_as_far_as_they_stay)
{
    rig_needs_kernel();
    CHECK_INT(bide_directory_make(in_rig("in"), 0755), 0);
    store(in_rig("out"), "out");
    store(in_rig("in/a"), "text");
    CHECK_INT(symlink("a", in_rig("in/stays")), 0);
    CHECK_INT(symlink("../out", in_rig("in/leaves")), 0);
    CHECK_INT(symlink("/etc/passwd", in_rig("in/whole")), 0);
    int stays = inside("stays", O_RDONLY);
    if (stays != -ELOOP) /* without openat2() no link is followed */
        CHECK_INT(stays, 0);
    int leaves = inside("leaves", O_RDONLY), whole = inside("whole", O_RDONLY);
    CHECK(leaves == -EXDEV || leaves == -ELOOP);
    CHECK(whole == -EXDEV || whole == -ELOOP);
    CHECK_INT(inside("stays", O_RDONLY | O_NOFOLLOW), -ELOOP);
    CHECK_INT(bide_path_unlink(in_rig("in/stays")), 0);
    CHECK_INT(bide_path_unlink(in_rig("in/leaves")), 0);
    CHECK_INT(bide_path_unlink(in_rig("in/whole")), 0);
    CHECK_INT(bide_path_unlink(in_rig("in/a")), 0);
    CHECK_INT(bide_directory_remove(in_rig("in")), 0);
    CHECK_INT(bide_path_unlink(in_rig("out")), 0);
}
