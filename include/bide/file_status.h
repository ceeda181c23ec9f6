/* What is known of a file without reading it. */
#ifndef BIDE_FILE_STATUS_H
#define BIDE_FILE_STATUS_H

#include <bide/attributes.h>

BIDE_BEGIN_DECLARATIONS

/* What a name stands for. */
enum bide_file_type {
    BIDE_FILE_UNKNOWN,   /* in a directory's list: the file system does not tell */
    BIDE_FILE_REGULAR,   /* bytes by positions */
    BIDE_FILE_DIRECTORY, /* names */
    BIDE_FILE_SYMLINK,   /* another path */
    BIDE_FILE_DEVICE,    /* a character device, such as /dev/null or a terminal */
    BIDE_FILE_DISK,      /* a block device */
    BIDE_FILE_FIFO,      /* a pipe with a name */
    BIDE_FILE_SOCKET,    /* of AF_UNIX */
};

/* A file as it was when asked. Times are nanoseconds since 1970-01-01 UTC. */
struct bide_file_status {
    enum bide_file_type type;
    unsigned mode; /* permissions, with the set-id and sticky bits, as in chmod(2) */
    unsigned uid;
    unsigned gid;
    uint64_t size_bytes;
    uint64_t disk_bytes; /* what it takes; less than its size where it has holes */
    uint64_t device;
    uint64_t inode; /* with `device`: what two names of one file have in common */
    uint64_t n_links;
    int64_t accessed_ns;
    int64_t modified_ns;
    int64_t changed_ns; /* contents, name or permissions */
};

BIDE_END_DECLARATIONS

#endif
