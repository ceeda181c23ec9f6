/*
 * WebSocket (RFC 6455), servers and clients, with compressed messages (RFC 7692). Part of the
 * library `bide-http`.
 *
 *     static int echo(bide_http_request *request, void *data)
 *     {
 *         bide_websocket *ws;
 *         struct bide_websocket_message message;
 *         int rc = bide_websocket_accept(request, NULL, &ws);
 *         if (rc < 0)
 *             return rc;
 *         while ((rc = bide_websocket_receive(ws, &message)) > 0)
 *             if ((rc = bide_websocket_send(ws, message.type, message.data, message.size)) < 0)
 *                 break;
 *         bide_websocket_free(ws);
 *         return rc;
 *     }
 *
 * One task receives, any number send: each message is contiguous, first come first served. Pings
 * are answered while somebody receives. As long as somebody does, a peer that says nothing is asked
 * whether it is still there, and given up if it does not answer.
 *
 * A server that closes gently says so to its WebSockets' peers (code 1001); receiving then comes to
 * its end as if the peer had closed.
 */
#ifndef BIDE_WEBSOCKET_H
#define BIDE_WEBSOCKET_H

#include <bide/http_request.h>
#include <bide/iterator.h>
#include <bide/stream.h>

BIDE_BEGIN_DECLARATIONS

/* See bide/tls.h. */
struct bide_tls_context;

/* A connection that speaks WebSocket. */
typedef struct bide_websocket bide_websocket;

/* What a message is. */
enum bide_websocket_type {
    BIDE_WEBSOCKET_TEXT = 1, /* UTF-8; checked in both directions */
    BIDE_WEBSOCKET_BINARY,   /* bytes */
};

/* What close frames say; 3000 to 4999 are the applications'. */
enum bide_websocket_code {
    BIDE_WEBSOCKET_NORMAL = 1000,         /* all is done */
    BIDE_WEBSOCKET_GOING_AWAY = 1001,     /* the server closes, or the page is left */
    BIDE_WEBSOCKET_PROTOCOL_ERROR = 1002, /* the other one broke the protocol */
    BIDE_WEBSOCKET_UNSUPPORTED = 1003,    /* messages of that type are not taken */
    BIDE_WEBSOCKET_NO_CODE = 1005,        /* the peer said none */
    BIDE_WEBSOCKET_NO_CLOSE = 1006, /* the connection ended, or was given up, without a word */
    BIDE_WEBSOCKET_BAD_DATA = 1007, /* a text that is not UTF-8, or not what it should be */
    BIDE_WEBSOCKET_POLICY = 1008,   /* against a rule of the application's */
    BIDE_WEBSOCKET_TOO_BIG = 1009,  /* a message is too large */
    BIDE_WEBSOCKET_FAILED = 1011,   /* an error on this side */
};

/* How messages are compressed, if both sides can; zeroed fields mean defaults. */
struct bide_websocket_deflate {
    bool off;             /* never */
    bool forget;          /* each of our messages stands for itself: less memory, larger messages */
    bool peer_forgets;    /* ask the same of the peer */
    unsigned window_bits; /* of ours, 9 to 15: up to so far back they refer; 0: 12, 4 KiB */
    unsigned peer_bits;   /* of the peer's; 0: 12 */
    unsigned memory;      /* 1 to 9, of zlib; 0: 5 */
    unsigned level;       /* 1 to 9; 0: 6 */
    size_t size_min;      /* smaller messages are not compressed; 0: 128 bytes */
};

/* Both sides; zeroed fields mean defaults. Times are in seconds, and INFINITY is no limit. All of
 * it is borrowed until return. */
struct bide_websocket_opts {
    const char *const *subprotocols; /* that we speak, the preferred one first, then NULL */
    size_t message_bytes;            /* of a message that comes, unpacked; 0: 1 MiB */
    size_t frame_bytes;              /* of one of its frames; 0: as message_bytes */
    unsigned fragments_max;          /* frames of a message; 0: 16,384 */
    double ping_seconds;             /* of silence before a ping; 0: 20 */
    double pong_seconds;             /* of silence after it: the peer is gone; 0: 20 */
    double close_seconds;            /* that the closing handshake may take; 0: 10 */
    struct bide_websocket_deflate deflate;

    /* servers */
    const char *const *origins; /* of pages that may connect, such as "https://example.org", then
                                   NULL; "*" are all; NULL: the same host as the server's */
    /* clients */
    const struct bide_http_field *headers; /* of the request, besides those of the handshake */
    size_t n_headers;
    struct bide_tls_context *tls; /* for wss:; retained. NULL: one with the defaults */
    struct bide_connect_opts connect;
    double connect_seconds; /* for connection and handshake together; 0: 30 */
};

/*
 * Turns a request into a WebSocket. What is no handshake, or comes from a page of another origin,
 * is answered (400, 403, 426), and an error returned, which the handler may return too.
 *
 * Header fields that were set with bide_http_reply_header() are part of the answer. The connection
 * is the handler's until it returns; then it is closed.
 *
 * opts: NULL for defaults. ret_ws: returns owned, to be given back with bide_websocket_free()
 * before the handler returns. Returns 0; -EBADMSG: it was refused and answered, with the reason in
 * bide_error_detail(); -EALREADY: there is an answer; -EINVAL, -ENOMEM; or as bide_write().
 * Suspends: yes. Cancel: nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_accept(bide_http_request *request,
                                      const struct bide_websocket_opts *opts,
                                      bide_websocket **ret_ws);

/*
 * Connects to a server.
 *
 * url: "ws://host:port/path?query", or "wss:" for TLS. opts: NULL for defaults. ret_ws: returns
 * owned, to be given back with bide_websocket_free().
 * Returns 0; -EPROTO: the server refused, or its answer is none to us, with the status or the
 * reason in bide_error_detail(); -EBADMSG: no HTTP; -ETIMEDOUT; -BIDE_EINCOMPLETE: the connection
 * ended before; -EINVAL: the URL or a field is malformed; -ENOSYS: TLS in a build without; -ENOMEM;
 * or as bide_connect() and bide_tls_connect(). Suspends: yes. Cancel: no connection is left.
 * Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_connect(const char *url, const struct bide_websocket_opts *opts,
                                       bide_websocket **ret_ws);

/*
 * Gives a WebSocket back. Without bide_websocket_close() before, the peer is told that we go (1000
 * if nothing went wrong) and not waited for. A client's connection is closed, a server's when its
 * handler returns. Other tasks' calls fail with -ECONNABORTED.
 *
 * ws: takes; NULL is allowed.
 * Suspends: yes, a join. Cancel: as bide_close(). Thread: loop thread only.
 */
BIDE_EXPORT void bide_websocket_free(bide_websocket *ws);

/* A message that came. */
struct bide_websocket_message {
    enum bide_websocket_type type;
    const char *data; /* with a NUL behind its end, that is not part of it */
    size_t size;
};

/*
 * Waits for a message. Another task may not receive meanwhile.
 *
 * ret_message: its data is borrowed until the next call that receives, closes or frees. Returns 1;
 * 0 when the peer has closed, or answered our close, from then on: see bide_websocket_code();
 * -EBADMSG: the peer broke the protocol, and was told; -BIDE_ELIMIT: its message is too large, and
 * it was told; -BIDE_EINCOMPLETE: the connection ended without a close frame; -ETIMEDOUT: the peer
 * answers no pings, or not our close; -EBUSY: another task receives; -EINVAL also within a message
 * that bide_websocket_receive_part() began; -ECONNABORTED: it was freed; -ECANCELED, -ENOMEM,
 * -BIDE_ENOTASK; or the connection's error. Errors of the peer and the connection stay.
 * Suspends: yes. Cancel: nothing is lost: what came of a message stays for the next call. Thread:
 * loop thread only.
 */
BIDE_EXPORT int bide_websocket_receive(bide_websocket *ws,
                                       struct bide_websocket_message *ret_message);

/*
 * bide_websocket_receive() of JSON: a text for a parser, that ends with a NUL.
 *
 * A peer that sends bytes, or a text with a NUL in it, is told that it must not (1003, 1007).
 *
 * ret_json: borrowed until the next call that receives, closes or frees. Returns as
 * bide_websocket_receive(), -EBADMSG also for such a message. Suspends: yes. Cancel: as
 * bide_websocket_receive(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_receive_json(bide_websocket *ws, const char **ret_json);

/* A part of a message that came. */
struct bide_websocket_part {
    enum bide_websocket_type type;
    size_t size;   /* 0 only in an empty end */
    bool is_first; /* it begins the message */
    bool is_last;  /* it ends the message */
};

/*
 * Waits for a part of a message: what is there, as far as there is room for it. A character of a
 * text may be divided between two parts.
 *
 * buffer: size >= 1 bytes, borrowed until return. Otherwise as bide_websocket_receive(); -EINVAL
 * also while a cancelled call of that has the beginning of a message.
 * Suspends: yes. Cancel: nothing was received. Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_receive_part(bide_websocket *ws, void *buffer, size_t size,
                                            struct bide_websocket_part *ret_part);

/*
 * Messages one after the other, as values of struct bide_websocket_message; the end is the peer's
 * close.
 *
 *     bide_for (struct bide_websocket_message, message, rc, bide_websocket_messages(ws))
 *         …
 *
 * ws: borrowed until the iterator is closed. Returns owned; NULL without memory.
 * Suspends: no. Cancel: not affected; of its steps: as bide_websocket_receive(). Thread: loop
 * thread only.
 */
BIDE_EXPORT bide_iterator *bide_websocket_messages(bide_websocket *ws);

/*
 * Sends a message, waiting for room as bide_write() does.
 *
 * data: size bytes, borrowed until return. Returns 0; -EPIPE: we have closed, or the peer has;
 * -EILSEQ: a text that is not UTF-8; -EDEADLK: within a message of the caller's that
 * bide_websocket_send_part() began; -ECONNABORTED: it was freed; -BIDE_ETORN, -EINVAL, -ENOMEM; the
 * error that receiving met; or as bide_write(). Suspends: yes. Cancel: nothing was sent; in the
 * middle of more than 64 KiB the connection is torn as with bide_write(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_send(bide_websocket *ws, enum bide_websocket_type type,
                                    const void *data, size_t size);

/*
 * bide_websocket_send() of a text that ends with a NUL.
 *
 * Suspends: yes. Cancel: as bide_websocket_send(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_send_text(bide_websocket *ws, const char *text);

/*
 * bide_websocket_send() of bytes.
 *
 * Suspends: yes. Cancel: as bide_websocket_send(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_send_binary(bide_websocket *ws, const void *data, size_t size);

/*
 * bide_websocket_send_text() of JSON.
 *
 * json: a text that ends with a NUL, such as a serializer makes; sent as it is.
 * Suspends: yes. Cancel: as bide_websocket_send(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_send_json(bide_websocket *ws, const char *json);

/*
 * Sends a part of a message, as a frame of its own. From the first part to the last one the calling
 * task has the turn: others that send wait, and it has to come to the end.
 *
 * type: the same in all parts. is_last: it ends the message. data: borrowed until return; may be
 * empty. Otherwise as bide_websocket_send(); -EINVAL also for another type. Suspends: yes. Cancel:
 * nothing of this part was sent, and it may be sent again; or as bide_websocket_send(). Thread:
 * loop thread only.
 */
BIDE_EXPORT int bide_websocket_send_part(bide_websocket *ws, enum bide_websocket_type type,
                                         const void *data, size_t size, bool is_last);

/*
 * Sends a message now or not at all: for whoever must not wait for a slow peer.
 *
 * data: copied. Returns 0; -EAGAIN if it would not fit under the stream's high-water mark or others
 * wait to send; otherwise as bide_websocket_send() but for -ECANCELED and -BIDE_ENOTASK.
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_offer(bide_websocket *ws, enum bide_websocket_type type,
                                     const void *data, size_t size);

/*
 * Sends a ping. The pong counts as a sign of life and is told to nobody.
 *
 * data: size bytes, at most 125; borrowed until return. Returns as bide_websocket_send().
 * Suspends: yes. Cancel: nothing was sent. Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_ping(bide_websocket *ws, const void *data, size_t size);

/*
 * Closes: says so, and waits until the peer has, too, at most `close_seconds`. What it sends
 * meanwhile is dropped, unless another task receives. Nothing can be sent afterwards.
 *
 * code: 1000 to 1003, 1007 to 1014, 3000 to 4999; 0 is BIDE_WEBSOCKET_NORMAL. reason: at most 123
 * bytes of UTF-8, copied; NULL for none. Returns 0 when the peer has closed, also if it was first;
 * -ETIMEDOUT; -EINVAL; otherwise as bide_websocket_receive(). Suspends: yes. Cancel: it was said,
 * and is not waited for; another call waits again. Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_close(bide_websocket *ws, unsigned code, const char *reason);

/*
 * The code of the peer's close frame; BIDE_WEBSOCKET_NO_CODE if it had none,
 * BIDE_WEBSOCKET_NO_CLOSE if the connection ended without, what we told the peer if it broke the
 * protocol; 0 as long as none of that has happened.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT unsigned bide_websocket_code(const bide_websocket *ws);

/*
 * The reason that goes with the code, in the peer's words or ours; "" if there is none. Borrowed
 * until it is freed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_websocket_reason(const bide_websocket *ws);

/*
 * The subprotocol that both sides speak; NULL if they agreed on none. Borrowed until it is freed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_websocket_subprotocol(const bide_websocket *ws);

/*
 * The terms of compression as the handshake's header field has them; "" if nothing is compressed.
 * Borrowed until it is freed.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT const char *bide_websocket_extension(const bide_websocket *ws);

/*
 * How many bytes were sent and not yet taken by the kernel: how slow a peer is.
 *
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT size_t bide_websocket_pending(const bide_websocket *ws);

/* A WebSocket as functions of the user's own; each may be NULL and may suspend. */
struct bide_websocket_handlers {
    /* It begins. An error ends it, with code 1011. */
    int (*connect)(bide_websocket *ws, void *data);
    /* A message came; its data is borrowed until return. An error ends it, with code 1011. */
    int (*receive)(bide_websocket *ws, const struct bide_websocket_message *message, void *data);
    /* It has ended, after connect() succeeded. code: as bide_websocket_code(). Runs shielded. */
    void (*disconnect)(bide_websocket *ws, unsigned code, void *data);
};

/*
 * Runs a WebSocket by handlers until it is closed.
 *
 * handlers: borrowed until return. Returns 0 when it was closed; the error of a handler; or as
 * bide_websocket_receive().
 * Suspends: yes. Cancel: it ends with -ECANCELED, after disconnect(). Thread: loop thread only.
 */
BIDE_EXPORT int bide_websocket_run(bide_websocket *ws,
                                   const struct bide_websocket_handlers *handlers, void *data);

BIDE_END_DECLARATIONS

#endif
