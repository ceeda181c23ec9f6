/*
 * WebSocket's frames and compressed messages, fed with anything. The first byte says whose frames
 * (a client's or a server's, with compression or without) and where they are cut; or that the rest
 * is one compressed message.
 *
 * Claims: what is told is the same whole, cut in two and byte by byte, up to an error, which is the
 * same; what is told lies within what was given, and within the limits; the plain and the fast mask
 * agree; a message is unpacked alike whatever the pieces and the room, and never beyond the room.
 */
#include "codec/websocket.h"
#include "codec/websocket_deflate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_BYTES_MAX = 1 << 16,
    TOLD_BYTES_MAX = 4 * INPUT_BYTES_MAX,
    UNPACKED_BYTES_MAX = 1 << 18,
    IS_SERVER = 1,
    HAS_COMPRESSED = 2,
    IS_PACKED = 4,
    CUT_SHIFT = 3,
};

#define CLAIM(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

static const struct bide__ws_limits limits = {
    .frame_bytes = 2000, .message_bytes = 3000, .n_fragments = 8};

/* What was told, in a form in which the pieces of a message don't show. */
struct telling {
    struct bide__ws_reader reader;
    char given[INPUT_BYTES_MAX];
    char told[TOLD_BYTES_MAX];
    size_t size;
    size_t message_bytes;
    bool is_in_message;
    int rc;
};

static void tell(struct telling *telling, const void *data, size_t size)
{
    CLAIM(size <= sizeof telling->told - telling->size);
    if (size > 0)
        memcpy(telling->told + telling->size, data, size);
    telling->size += size;
}

static void tell_event(struct telling *telling, const struct bide__ws_event *event)
{
    if (event->kind == BIDE__WS_CONTROL) {
        char head[4] = {'c', (char)event->opcode, (char)(event->code >> 8), (char)event->code};
        CLAIM(event->size <= BIDE__WS_CONTROL_MAX);
        tell(telling, head, sizeof head);
        tell(telling, event->data, event->size);
        return;
    }
    const char *begin = telling->given, *end = begin + sizeof telling->given;
    CLAIM(event->size == 0 || (event->data >= begin && event->data + event->size <= end));
    CLAIM(event->is_first == !telling->is_in_message);
    telling->is_in_message = !event->is_last;
    telling->message_bytes = (event->is_first ? 0 : telling->message_bytes) + event->size;
    CLAIM(telling->message_bytes <= limits.message_bytes);
    if (event->is_first)
        tell(telling, (char[]){'m', (char)event->opcode, (char)event->is_compressed}, 3);
    tell(telling, event->data, event->size);
    if (event->is_last)
        tell(telling, "e", 1);
}

/* Given in pieces of `step` bytes, the first of `first`. */
static void listen_to(struct telling *telling, unsigned kind, const char *data, size_t size,
                      size_t first, size_t step)
{
    bide__ws_reader_init(&telling->reader, kind & IS_SERVER, &limits);
    telling->reader.has_compressed = kind & HAS_COMPRESSED;
    memcpy(telling->given, data, size);
    telling->size = telling->message_bytes = 0;
    telling->is_in_message = false;
    telling->rc = 0;
    size_t used = 0;
    for (size_t given = first < size ? first : size;;
         given += size - given > step ? step : size - given) {
        struct bide__ws_event event;
        do {
            int64_t n = bide__ws_reader_take(&telling->reader, telling->given + used, given - used,
                                             &event);
            if (n < 0) {
                CLAIM(n == -EBADMSG && telling->reader.code >= 1000 && telling->reader.why);
                CLAIM(bide__ws_reader_take(&telling->reader, telling->given, 0, &event) == n);
                telling->rc = (int)telling->reader.code;
                return;
            }
            CLAIM((size_t)n <= given - used);
            used += (size_t)n;
            if (event.kind != BIDE__WS_NOTHING)
                tell_event(telling, &event);
        } while (event.kind != BIDE__WS_NOTHING || used < given);
        if (given == size)
            return;
    }
}

/* Of a frame that breaks a rule midway, more is told the smaller the pieces are. */
static void same(const struct telling *a, const struct telling *b)
{
    size_t size = a->size < b->size ? a->size : b->size;
    CLAIM(a->rc == b->rc);
    CLAIM(a->rc != 0 || a->size == b->size);
    CLAIM(memcmp(a->told, b->told, size) == 0);
}

static void try_masks(const char *data, size_t size)
{
    static char plain[INPUT_BYTES_MAX], fast[INPUT_BYTES_MAX];
    const uint8_t mask[4] = {1, 0x80, 0xff, 0x5a};
    size_t at = size > 0 ? (unsigned char)*data % (size < 40 ? size : 40) : 0;
    memcpy(plain, data, size);
    memcpy(fast, data, size);
    bide__ws_mask_plain(plain + at, plain + at, size - at, mask, at);
    bide__ws_mask(fast + at, fast + at, size - at, mask, at);
    CLAIM(memcmp(plain, fast, size) == 0);
}

struct unpacked {
    char data[UNPACKED_BYTES_MAX];
    size_t size;
    int rc;
};

static void unpack(struct unpacked *unpacked, const char *data, size_t size, size_t step,
                   size_t room)
{
    struct bide__ws_inflate inflate = {.bits = 15};
    unpacked->size = 0;
    unpacked->rc = 1;
    for (size_t used = 0; unpacked->rc == 1 && unpacked->size < sizeof unpacked->data;) {
        size_t n = size - used < step ? size - used : step;
        size_t left = sizeof unpacked->data - unpacked->size;
        struct bide__ws_flow flow = {.in = data + used,
                                     .in_size = n,
                                     .is_last = used + n == size,
                                     .out = unpacked->data + unpacked->size,
                                     .room = room < left ? room : left};
        size_t given = flow.room;
        int rc = bide__ws_inflate_take(&inflate, &flow);
        CLAIM(flow.in_size <= n && flow.room <= given);
        unpacked->size += given - flow.room;
        used += n - flow.in_size;
        unpacked->rc = rc == 0 && used < size ? 1 : rc;
        CLAIM(rc <= 0 || flow.room == 0);
    }
    bide__ws_inflate_fini(&inflate);
}

static void try_message(const char *data, size_t size, size_t step)
{
    static struct unpacked whole, pieces;
    unpack(&whole, data, size, size, UNPACKED_BYTES_MAX);
    unpack(&pieces, data, size, 1 + step, 1 + 7 * step);
    CLAIM(whole.rc == pieces.rc || whole.size == sizeof whole.data);
    CLAIM(whole.rc < 0 || whole.size == pieces.size);
    CLAIM(memcmp(whole.data, pieces.data, whole.size < pieces.size ? whole.size : pieces.size) ==
          0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct telling whole, cut, drip;
    if (size < 2 || size > INPUT_BYTES_MAX)
        return 0;
    const char *data = (const char *)input + 1;
    unsigned kind = input[0];
    size--;
    if (kind & IS_PACKED) {
        if (bide__ws_has_deflate())
            try_message(data, size, kind >> CUT_SHIFT);
        return 0;
    }
    try_masks(data, size);
    listen_to(&whole, kind, data, size, size, size);
    listen_to(&cut, kind, data, size, kind >> CUT_SHIFT, size);
    listen_to(&drip, kind, data, size, 1, 1);
    same(&whole, &cut);
    same(&whole, &drip);
    return 0;
}

#if !FUZZ_LIBFUZZER
/* Tries files, one after the other. */
int main(int argc, char **argv)
{
    static uint8_t data[INPUT_BYTES_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file)
            return 1;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
