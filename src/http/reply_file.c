/*
 * Files as answers.
 *
 * Invariant: what is said of a file is of the file that was opened, whatever its name stands for
 * meanwhile; its size is asked once, and no more is sent.
 */
#include "http/files.h"

#include "http/conditional.h"
#include "http/exchange.h"
#include "io/file/file.h"

#include <bide/error.h>
#include <bide/loop.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* Up to that a file goes out in one piece with its head. */
enum { SMALL_BYTES = 16384, ETAG_SIZE = 64, BOUNDARY_SIZE = 40, PART_HEAD_SIZE = 256 };

struct whole {
    bide_http_request *request;
    bide_file *file;
    const char *type;
    char etag[ETAG_SIZE];
    int64_t modified_seconds;
    int64_t size;
};

/* A file that changed a moment ago may change once more within the same tick of its clock. */
static void describe(struct whole *whole, const struct bide_file_status *status)
{
    int64_t age_ns = bide__http_wall_seconds() * NS_PER_S - status->modified_ns;
    whole->size = (int64_t)status->size_bytes;
    whole->modified_seconds = status->modified_ns / NS_PER_S;
    snprintf(whole->etag, sizeof whole->etag, "%s\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             age_ns < 2 * NS_PER_S ? "W/" : "", status->inode, status->size_bytes,
             (uint64_t)status->modified_ns);
}

static int add_fields(const struct whole *whole, const struct bide__http_file *how)
{
    bide_http_request *request = whole->request;
    char date[BIDE_HTTP_DATE_SIZE];
    bide_http_date_print(whole->modified_seconds, date);
    int rc = bide_http_reply_header(request, "Last-Modified", date);
    if (rc == 0)
        rc = bide_http_reply_header(request, "ETag", whole->etag);
    if (rc == 0)
        rc = bide_http_reply_header(request, "Accept-Ranges", "bytes");
    if (rc == 0 && how->cache_control)
        rc = bide_http_reply_header(request, "Cache-Control", how->cache_control);
    if (rc == 0 && how->is_packed)
        rc = bide_http_reply_header(request, "Content-Encoding", "gzip");
    if (rc == 0 && how->varies)
        rc = bide__http_vary(request, "Accept-Encoding");
    return rc;
}

/* Whether a range is of what the client has a part of. */
static bool is_range_of_this(const struct whole *whole)
{
    const char *condition = bide_http_header(whole->request, "If-Range");
    int64_t date;
    if (!condition)
        return true;
    if (*condition == '"' || *condition == 'W')
        return bide__http_etag_listed(condition, whole->etag, true);
    return bide_http_date_parse(condition, bide__http_wall_seconds(), &date) == 0 &&
           date == whole->modified_seconds && whole->etag[0] != 'W';
}

/* As much as was said, or the connection is of no use any more. */
static int send_part(const struct whole *whole, int64_t first, int64_t size)
{
    int64_t sent = bide__http_send_file(whole->request, whole->file, first, size);
    if (sent >= 0 && sent < size)
        return bide_fail(-BIDE_EINCOMPLETE, "the file became shorter while it was sent");
    return sent < 0 ? (int)sent : 0;
}

static int send_small(const struct whole *whole, int status, struct bide__http_range range)
{
    bide_http_request *request = whole->request;
    char *data = bide_http_alloc(request, (size_t)range.size + 1);
    if (!data)
        return -ENOMEM;
    ssize_t n = bide_file_read_at(whole->file, data, (size_t)range.size, range.first);
    if (n >= 0 && n < range.size)
        n = bide_fail(-BIDE_EINCOMPLETE, "the file became shorter while it was sent");
    return n < 0 ? (int)n : bide_http_reply(request, status, whole->type, data, (size_t)range.size);
}

static int send_range(const struct whole *whole, int status, struct bide__http_range range)
{
    bide_http_request *request = whole->request;
    if (range.size <= SMALL_BYTES && !request->is_head)
        return send_small(whole, status, range);
    int rc = bide_http_reply_begin(request, status, whole->type, range.size);
    if (rc == 0 && !request->is_head)
        rc = send_part(whole, range.first, range.size);
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static int send_one(const struct whole *whole, struct bide__http_range range)
{
    char text[96];
    snprintf(text, sizeof text, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, range.first,
             range.first + range.size - 1, whole->size);
    int rc = bide_http_reply_header(whole->request, "Content-Range", text);
    return rc < 0 ? rc : send_range(whole, 206, range);
}

static int part_head(const struct whole *whole, const char *boundary, struct bide__http_range range,
                     char text[PART_HEAD_SIZE])
{
    return snprintf(text, PART_HEAD_SIZE,
                    "\r\n--%s\r\nContent-Type: %.100s\r\nContent-Range: bytes %" PRId64 "-%" PRId64
                    "/%" PRId64 "\r\n\r\n",
                    boundary, whole->type, range.first, range.first + range.size - 1, whole->size);
}

static int send_several(const struct whole *whole, const struct bide__http_range *ranges, int n)
{
    bide_http_request *request = whole->request;
    char boundary[BOUNDARY_SIZE], type[64 + BOUNDARY_SIZE], text[PART_HEAD_SIZE];
    uint64_t random[2];
    int rc = bide__http_entropy(random, sizeof random);
    if (rc < 0)
        return rc;
    snprintf(boundary, sizeof boundary, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    int64_t length = (int64_t)strlen(boundary) + 8; /* the last line */
    for (int i = 0; i < n; i++)
        length += part_head(whole, boundary, ranges[i], text) + ranges[i].size;
    rc = bide_http_reply_begin(request, 206, type, length);
    for (int i = 0; i < n && rc == 0 && !request->is_head; i++) {
        int size = part_head(whole, boundary, ranges[i], text);
        rc = bide_http_write(request, text, (size_t)size);
        if (rc == 0)
            rc = send_part(whole, ranges[i].first, ranges[i].size);
    }
    if (rc == 0 && !request->is_head) {
        int size = snprintf(text, sizeof text, "\r\n--%s--\r\n", boundary);
        rc = bide_http_write(request, text, (size_t)size);
    }
    return rc < 0 ? rc : bide_http_reply_end(request);
}

static int not_satisfiable(const struct whole *whole)
{
    char text[64];
    snprintf(text, sizeof text, "bytes */%" PRId64, whole->size);
    int rc = bide_http_reply_header(whole->request, "Content-Range", text);
    return rc < 0 ? rc : bide_http_reply_text(whole->request, 416, "Range Not Satisfiable\n");
}

static int send_wanted(const struct whole *whole)
{
    bide_http_request *request = whole->request;
    struct bide__http_range ranges[BIDE__HTTP_RANGES_MAX];
    const char *field = strcmp(request->method, "GET") == 0 ? bide_http_header(request, "Range")
                                                            : NULL;
    int n = field && is_range_of_this(whole) ? bide__http_ranges(field, whole->size, ranges) : 0;
    if (n < 0)
        return not_satisfiable(whole);
    if (n == 1)
        return send_one(whole, ranges[0]);
    if (n > 1)
        return send_several(whole, ranges, n);
    return send_range(whole, 200, (struct bide__http_range){.first = 0, .size = whole->size});
}

int bide__http_reply_opened(bide_http_request *request, bide_file *file,
                            const struct bide_file_status *status,
                            const struct bide__http_file *how)
{
    struct whole whole = {.request = request, .file = file, .type = how->type};
    describe(&whole, status);
    int rc = add_fields(&whole, how);
    if (rc < 0)
        return rc;
    bool is_get = request->is_head || strcmp(request->method, "GET") == 0;
    int refused = is_get ? bide_http_preconditions(request, whole.etag, whole.modified_seconds) : 0;
    if (refused == 304)
        return bide_http_reply(request, 304, NULL, NULL, 0);
    if (refused > 0)
        return bide_http_reply_text(request, refused, "Precondition Failed\n");
    return send_wanted(&whole);
}

int bide__http_reply_missing(bide_http_request *request, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ESPIPE:
    case -ENXIO:
    case -ENODEV:
    case -ENAMETOOLONG:
    case -EXDEV:
    case -ELOOP:
        return bide_http_reply_text(request, 404, "Not Found\n");
    case -EACCES:
    case -EPERM:
        return bide_http_reply_text(request, 403, "Forbidden\n");
    default:
        return error;
    }
}

/* A file that is a regular one, or -EISDIR and its like. */
static int open_regular(const char *path, bide_file **ret_file, struct bide_file_status *ret_status)
{
    bide_file *file;
    int rc = bide_file_open(path, O_RDONLY, 0, &file);
    if (rc < 0)
        return rc;
    rc = bide__file_stat_known(file, ret_status);
    if (rc == 0 && ret_status->type != BIDE_FILE_REGULAR)
        rc = -EISDIR;
    if (rc < 0) {
        bide_file_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

bool bide__http_takes_gzip(const bide_http_request *request)
{
    return bide__http_quality(bide_http_header(request, "Accept-Encoding"), "gzip") > 0;
}

int bide_http_reply_file(bide_http_request *request, const char *path,
                         const struct bide_http_file_opts *opts)
{
    static const struct bide_http_file_opts none;
    struct bide_file_status status;
    bide_file *file;
    if (!request || !path)
        return -EINVAL;
    if (request->reply_state != BIDE__REPLY_NONE)
        return -EALREADY;
    opts = opts ? opts : &none;
    struct bide__http_file how = {.type = opts->type ? opts->type : bide_http_media_type(path),
                                  .cache_control = opts->cache_control,
                                  .varies = opts->packed};
    int rc = -ENOENT;
    if (opts->packed && bide__http_takes_gzip(request)) {
        char *packed = bide_http_alloc(request, strlen(path) + sizeof ".gz");
        if (!packed)
            return -ENOMEM;
        stpcpy(stpcpy(packed, path), ".gz");
        rc = open_regular(packed, &file, &status);
        how.is_packed = rc == 0;
    }
    if (rc < 0 && rc != -ECANCELED)
        rc = open_regular(path, &file, &status);
    if (rc < 0)
        return bide__http_reply_missing(request, rc);
    rc = bide__http_reply_opened(request, file, &status, &how);
    bide_file_close(file);
    return rc;
}
