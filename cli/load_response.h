/*
 * Where answers of HTTP/1 end: no more of them is understood than a load tester must.
 *
 * Invariant: what was not consumed stands from `begin` to `end` in the buffer.
 */
#ifndef BIDE_CLI_LOAD_RESPONSE_H
#define BIDE_CLI_LOAD_RESPONSE_H

#include <bide.h>

enum { LOAD_BUFFER = 32768 };

struct load_reader {
    bide_stream *stream;
    size_t begin, end;
    uint64_t n_bytes; /* that were read */
    char buffer[LOAD_BUFFER];
};

/* What an answer was. */
struct load_answer {
    int status;
    bool is_last; /* the connection ends behind it */
};

/*
 * Reads one answer through its end. is_head: to HEAD, so that it has no body. Returns 0; -EPROTO:
 * not an answer of HTTP/1; -BIDE_EINCOMPLETE: the connection ended within it; -ECONNRESET also: it
 * ended before; or as bide_read(). Suspends.
 */
int load_answer_read(struct load_reader *reader, bool is_head, struct load_answer *ret_answer);

#endif
