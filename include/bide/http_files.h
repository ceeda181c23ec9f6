/* Files as answers, and folders of them. */
#ifndef BIDE_HTTP_FILES_H
#define BIDE_HTTP_FILES_H

#include <bide/http_app.h>

BIDE_BEGIN_DECLARATIONS

/* How a file is sent; zeroed fields mean defaults. Texts are borrowed until return. */
struct bide_http_file_opts {
    const char *type;          /* the Content-Type; NULL: what bide_http_media_type() says */
    const char *cache_control; /* the field; NULL: none */
    bool packed; /* to clients that take gzip, a file of the same name with ".gz" behind it goes
                    instead, if there is one */
};

/*
 * Answers with a file: whole, or the ranges of it that the client asks for, or not at all if the
 * client has it (ETag, Last-Modified, and what clients ask by them: RFC 9110, 13 and 14). In clear
 * it goes from the kernel's memory to the connection without a copy; the loop waits for no disk.
 * Conditions and ranges are looked at only for GET and HEAD. An entity tag is weak within the first
 * two seconds after the file was changed.
 *
 * A file that is not there, or is no regular one, is answered with 404, one that may not be read
 * with 403. A file that shrinks while it is sent breaks the connection off.
 * path: borrowed until return; links are followed. opts: NULL for defaults.
 * Returns 0; -EALREADY: there is an answer; -EINVAL, -ENOMEM; -BIDE_EINCOMPLETE: it shrank; an
 * error of bide_file_open(), such as -EMFILE, and nothing was answered yet; or as
 * bide_stream_send_file(). Suspends: yes. Cancel: as bide_http_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_reply_file(bide_http_request *request, const char *path,
                                     const struct bide_http_file_opts *opts);

/* What becomes of symbolic links in a folder. */
enum bide_http_links {
    BIDE_HTTP_LINKS_INSIDE, /* followed if they lead to what is in the folder */
    BIDE_HTTP_LINKS_NONE,   /* not followed: 404 */
    BIDE_HTTP_LINKS_ALL,    /* followed wherever they lead */
};

/* How a folder is served; zeroed fields mean defaults. Texts are copied. */
struct bide_http_files_opts {
    const char *index;         /* what stands for a folder; NULL: "index.html", "": nothing */
    const char *cache_control; /* as of struct bide_http_file_opts */
    enum bide_http_links links;
    bool lists;  /* a folder without an index is answered with a list of what is in it, else 403 */
    bool hidden; /* also names that begin with a dot, which are 404 otherwise; ".well-known" is
                    always served */
    bool packed; /* as of struct bide_http_file_opts */
};

/*
 * Adds routes that serve a folder: prefix "/static" and folder "www" make "/static/a/b.css" the
 * file "www/a/b.css". Never does a path lead out of the folder.
 *
 * prefix: of a pattern for bide_http_route(), without the last slash; "": everything. folder:
 * copied. A folder's address without its last slash is answered with 301. Returns 0, or as
 * bide_http_route(); -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: any, one at a time.
 */
BIDE_EXPORT int bide_http_files(bide_http_app *app, const char *prefix, const char *folder,
                                const struct bide_http_files_opts *opts);

/*
 * What a request's conditions (If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since) say
 * of something that a handler is about to answer with or to change.
 *
 * etag: its entity tag with its quotes, such as "\"v7\"" or "W/\"v7\""; NULL: it has none.
 * modified_seconds: when it was changed, since 1970-01-01 UTC; -1: unknown. Returns 0: go on; 304:
 * the client has it; 412: the client wants no other; -EINVAL.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_http_preconditions(const bide_http_request *request, const char *etag,
                                        int64_t modified_seconds);

BIDE_END_DECLARATIONS

#endif
