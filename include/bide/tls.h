/*
 * TLS over streams, in a library of its own, bide-tls.
 *
 * A context holds what connections share: what is trusted, certificates, versions, remembered
 * sessions. Clients verify by default, with the system's trust store and the name that they
 * connected to. A stream that speaks TLS is used like any other; what is different:
 *  - The end of the stream is the peer's word that it ends. If the connection just ends,
 * reading fails with -BIDE_ETRUNCATED: somebody may have cut it off.
 *  - bide_write_eof() sends the same word, and reading goes on.
 *  - Up to 64 KiB beyond the stream's own buffer may wait for the peer, encrypted.
 *  - Reading and writing need up to 8 KiB of stack: tasks with stack_size below 32 KiB are too
 * small.
 *
 * Defaults: TLS 1.2 and 1.3, the ciphers and security level of the OpenSSL in use, no compression,
 * no renegotiation, no early data.
 */
#ifndef BIDE_TLS_H
#define BIDE_TLS_H

#include <bide/server.h>
#include <bide/transport.h>

BIDE_BEGIN_DECLARATIONS

/* What connections share. Reference-counted; any thread may use it, several loops at a time. */
typedef struct bide_tls_context bide_tls_context;

/* Versions of the protocol. */
enum bide_tls_version {
    BIDE_TLS_ANY, /* the default: what OpenSSL is configured for, at least 1.2 */
    BIDE_TLS_1_2, /* RFC 5246 */
    BIDE_TLS_1_3, /* RFC 8446 */
};

/* Whether a server asks its clients for a certificate. */
enum bide_tls_client_auth {
    BIDE_TLS_CLIENT_AUTH_NONE,     /* it does not */
    BIDE_TLS_CLIENT_AUTH_OPTIONAL, /* one that is sent must be good */
    BIDE_TLS_CLIENT_AUTH_REQUIRED, /* without a good one there is no connection */
};

/* A certificate and its key, in PEM, either from files or from memory. All zero: none. */
struct bide_tls_identity {
    const char *cert_file; /* the certificate first, then those of its issuers */
    const char *key_file;  /* NULL: in cert_file */
    const char *cert_pem;  /* the same as text; both kinds at once are an error */
    const char *key_pem;   /* NULL: in cert_pem */
    const char *key_password;
};

/* What a context is to trust; zeroed fields mean defaults. */
struct bide_tls_trust {
    const char *ca_file; /* certificates in one PEM file */
    const char *ca_dir;  /* in a folder, named by hash; its files are read in handshakes */
    const char *ca_pem;  /* as text */
    bool system; /* what the system trusts besides those; alone, that is a client's default */
    const char
        *crl_file; /* lists of revoked certificates; then every issuer in a chain needs one */
};

/* How clients connect; zeroed fields mean defaults. All of it is borrowed until return. */
struct bide_tls_client_opts {
    struct bide_tls_trust trust;
    struct bide_tls_identity identity; /* for servers that ask for one */
    const char *const *alpn;           /* protocols, the preferred one first, then NULL */
    enum bide_tls_version version_min;
    enum bide_tls_version version_max;
    bool no_resumption;    /* sessions are not remembered */
    bool allow_truncation; /* an end of the connection is the end of the stream, too */
    /* Neither certificate nor name is checked: whoever is on the way can read and change
     * everything. For tests. */
    bool insecure_accept_any_certificate;
};

/* How servers answer; zeroed fields mean defaults. All of it is borrowed until return. */
struct bide_tls_server_opts {
    const struct bide_tls_identity *identities; /* the first is for clients that name none or */
    size_t n_identities;                        /* another; at least one */
    bool strict_names; /* clients that ask for a name that no certificate has are refused */
    enum bide_tls_client_auth client_auth;
    struct bide_tls_trust trust; /* for clients' certificates */
    const char *const *alpn;     /* protocols, the preferred one first, then NULL; a client that
                                    offers only others is refused */
    enum bide_tls_version version_min;
    enum bide_tls_version version_max;
    bool no_resumption; /* clients get no tickets */
    bool allow_truncation;
};

/*
 * Makes a context for clients.
 *
 * Reads the files that it is given, which takes its time: before the loop runs, or in a thread.
 * opts: borrowed until return; NULL for defaults. ret_context: returns owned, to be given back with
 * bide_tls_unref(). Returns 0; -EINVAL for options that contradict each other; -ENOENT, -EACCES and
 * the like for a file; -BIDE_ECERTIFICATE if a certificate, key or list cannot be read or they do
 * not belong together; -ENOMEM. bide_error_detail() says which and why.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_tls_client_new(const struct bide_tls_client_opts *opts,
                                    bide_tls_context **ret_context);

/*
 * Makes a context for servers.
 *
 * opts: borrowed until return. ret_context: returns owned.
 * Returns as bide_tls_client_new(); -EINVAL also without an identity, or if client_auth asks for
 * certificates and trust is empty.
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT int bide_tls_server_new(const struct bide_tls_server_opts *opts,
                                    bide_tls_context **ret_context);

/*
 * Replaces a server's certificates for the connections that begin from now on.
 *
 * identities: n >= 1, borrowed until return.
 * Returns as bide_tls_server_new(), with nothing changed on failure. Suspends: no. Cancel: not
 * affected. Thread: any.
 */
BIDE_EXPORT int bide_tls_server_reload(bide_tls_context *context,
                                       const struct bide_tls_identity *identities, size_t n);

/*
 * Takes a further reference of a context; returns the same pointer. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_tls_context *bide_tls_ref(bide_tls_context *context);

/*
 * Gives a reference back. Streams hold references of their own. NULL is allowed.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_tls_unref(bide_tls_context *context);

/*
 * How many handshakes of a context's connections have succeeded and failed; either pointer may be
 * NULL. Those that ran out of time or were cancelled count as failed.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT void bide_tls_handshakes(bide_tls_context *context, uint64_t *ret_succeeded,
                                     uint64_t *ret_failed);

/* How a connection begins to speak TLS; zeroed fields mean defaults. */
struct bide_tls_opts {
    double handshake_seconds; /* 0: 60 for clients, 10 for servers */
    const char *server_name;  /* clients: the name or address that the certificate must be for, and
                                 that is asked for; NULL: the host that it connects to */
    struct bide_connect_opts connect; /* of bide_tls_connect() */
};

/*
 * Connects to a host and shakes hands.
 *
 * context: of clients, borrowed until return; NULL for one with the defaults, which the process
 * shares: it is made in a thread when it is first wanted, which takes as long as reading what the
 * system trusts. opts: borrowed until return; NULL for defaults. ret_stream: returns owned, to be
 * given back with bide_close(). Returns 0; an error of bide_connect(); -BIDE_ECERTIFICATE, the
 * server is not who it should be, with the certificate and the reason in bide_error_detail();
 * -BIDE_ETLS, they found no common ground, or the server refused, with the reason; -BIDE_ETRUNCATED
 * or -ECONNRESET, the connection ended in the middle; -ETIMEDOUT; -ECANCELED, -EINVAL, -ENOMEM,
 * -BIDE_ENOTASK. Suspends: yes. Cancel: no connection is left. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_connect(const char *host, unsigned port, bide_tls_context *context,
                                 const struct bide_tls_opts *opts, bide_stream **ret_stream);

/*
 * Turns a live stream to TLS, as the client.
 *
 * What was written before goes out first. Nothing may have been received and not read: it would be
 * from before, and somebody may have put it there.
 *
 * context, opts: as in bide_tls_connect(), but a server_name is needed unless the context is
 * insecure. Returns as bide_tls_connect(); -EBUSY if another task reads or writes; -EPROTO if there
 * is unread input; -EBADF for a pipe or terminal; the stream's own
 * error. Suspends: yes. Cancel: the stream is torn, and so it is after any failure of the
 * handshake: only abort and close work. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_start_client(bide_stream *stream, bide_tls_context *context,
                                      const struct bide_tls_opts *opts);

/*
 * Turns a live stream to TLS, as the server.
 *
 * context: of servers. Otherwise as bide_tls_start_client(); -BIDE_ECERTIFICATE is about the
 * client. Suspends: yes. Cancel: the stream is torn. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_start_server(bide_stream *stream, bide_tls_context *context,
                                      const struct bide_tls_opts *opts);

/* How to serve over TLS; zeroed fields mean defaults. */
struct bide_tls_serve_opts {
    struct bide_server_opts server;
    double handshake_seconds; /* 0: 10 */
    /*
     * Called for each handshake that failed, from the connection's task. Failures are counted and
     * not reported otherwise: whatever scans the network causes them. May be NULL.
     */
    void (*refused)(bide_stream *stream, int error, void *data);
};

/*
 * Like bide_serve(); every connection shakes hands, in its own task, before `handler` has it.
 *
 * context: of servers; the server holds a reference. data: also given to `refused`.
 * Returns as bide_serve(). A handler's -BIDE_ETRUNCATED and -BIDE_ETLS count among the usual ends
 * that are not reported. Suspends: yes, for a name. Cancel: nothing is left. Thread: loop thread
 * only.
 */
BIDE_EXPORT int bide_tls_serve(const char *host, unsigned port, bide_tls_context *context,
                               bide_handler *handler, void *data,
                               const struct bide_tls_serve_opts *opts, bide_server **ret_server);

/* The certificate that a peer has shown. */
struct bide_tls_certificate {
    const char *subject; /* as RFC 2253 writes it: "CN=example.org,O=Example" */
    const char *issuer;
    const char *serial;       /* hexadecimal */
    const char *const *names; /* hosts and addresses that it is for */
    size_t n_names;
    int64_t not_before; /* seconds since 1970-01-01 UTC */
    int64_t not_after;
    const unsigned char *der; /* the whole of it */
    size_t der_size;
};

/* What a handshake agreed on. */
struct bide_tls_info {
    const char *version;      /* "TLSv1.3" */
    const char *cipher;       /* "TLS_AES_256_GCM_SHA384" */
    const char *alpn;         /* NULL: none */
    const char *server_name;  /* that was asked for; NULL: none */
    bool resumed;             /* an earlier session went on; nothing was proven anew */
    bool verified;            /* the peer has shown a certificate, and it is good */
    const char *verify_error; /* why it is not; NULL: it is, or there is none */
    const struct bide_tls_certificate *peer; /* NULL: it has shown none */
};

/*
 * What the stream's handshake agreed on.
 *
 * ret_info: what it points at is borrowed from the stream until it is closed or aborted.
 * Returns 0; -ENOTCONN if the stream does not speak TLS, or was closed or aborted; -EINVAL,
 * -ENOMEM. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_info_get(bide_stream *stream, struct bide_tls_info *ret_info);

/*
 * The same of a transport.
 *
 * ret_info: borrowed until connection_lost. Returns as bide_tls_info_get().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_transport_info(bide_transport *transport, struct bide_tls_info *ret_info);

/*
 * A transport's handshake is over: from now on it carries TLS, or else it is broken, and
 * connection_lost follows. Called from the loop as a protocol's functions are; not if the loop
 * closes first.
 *
 * error: 0, or as bide_tls_start_client(), with words in bide_error_detail(); or -ECONNABORTED: the
 * transport was closed or aborted meanwhile. -EBUSY and -EPROTO leave the transport as it was.
 */
typedef void bide_tls_started(bide_transport *transport, int error, void *data);

/* Who hears of a transport's handshake. */
struct bide_tls_party {
    bide_tls_started *started;
    void *data;
    bide_drop *drop; /* runs exactly once, at last; may be NULL */
};

/*
 * Turns a transport to TLS, as the client: start_tls. Reading is paused until `started` was called;
 * what was written before goes out first, and writing is refused with -EBUSY then.
 *
 * context: takes a reference; NULL as in bide_tls_connect(). opts: borrowed until return.
 * party: copied. Returns 0; -ENOTCONN, -EBUSY, -EBADF, -EINVAL, -ENOMEM; on failure `data` stays
 * the caller's. Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_transport_client(bide_transport *transport, bide_tls_context *context,
                                          const struct bide_tls_opts *opts,
                                          const struct bide_tls_party *party);

/*
 * The same as the server.
 *
 * context: of servers. Returns as bide_tls_transport_client().
 * Suspends: no. Cancel: not affected. Thread: loop thread only.
 */
BIDE_EXPORT int bide_tls_transport_server(bide_transport *transport, bide_tls_context *context,
                                          const struct bide_tls_opts *opts,
                                          const struct bide_tls_party *party);

BIDE_END_DECLARATIONS

#endif
