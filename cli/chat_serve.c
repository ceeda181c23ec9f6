/*
 * `bide chat serve`: listens, and ends upon SIGINT or SIGTERM.
 *
 * Ending takes less than two seconds whatever the clients do: nobody is let in any more, the
 * clients' tasks are cancelled and say good-bye, and what is still to be sent goes out within the
 * limits of chat_stream_opts, for all clients at the same time.
 */
#include "chat_talk.h"
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { ADDRESSES_MAX = 16 };

struct serve_opts {
    const char *host;
    unsigned port;
    double idle_seconds;
};

static const char help[] =
    "usage: bide chat serve [--host HOST] [--port PORT] [--idle SECONDS]\n"
    "\n"
    "Runs a chat server until it is interrupted. Clients speak lines of UTF-8: first\n"
    "'CONNECT name', then whatever they want to tell everybody. To join: nc HOST PORT\n"
    "\n"
    "  --host HOST     name or address to listen on (127.0.0.1)\n"
    "  --port PORT     port to listen on (8000); 0: a free one, which is printed\n"
    "  --idle SECONDS  who says nothing for so long has to leave (60)\n"
    "  --help          print this\n";

/* `data` is where the server's handle is, until it is given back: a second signal may come after
 * that. */
static int stop(void *data)
{
    bide_server **server = data;
    bide_server_close(*server);
    return 0;
}

/* Scripts wait for this line and take the port from it. */
static void print_addresses(const bide_server *server)
{
    struct bide_address addresses[ADDRESSES_MAX];
    char text[BIDE_ADDRESS_TEXT_SIZE];
    size_t n = bide_server_addresses(server, addresses, ADDRESSES_MAX);
    printf("Listening on ");
    for (size_t i = 0; i < n && i < ADDRESSES_MAX; i++) {
        bide_address_print(&addresses[i], text, sizeof text);
        printf("%s%s", i > 0 ? ", " : "", text);
    }
    printf("\n");
    fflush(stdout);
}

static int serve_until_signal(bide_server **running)
{
    bide_server *server = *running;
    int rc = stop_signals_handle(stop, running);
    if (rc == 0) {
        print_addresses(server);
        rc = bide_server_forever(server);
    }
    bide_server_close(server);
    bide_server_cancel(server);
    int waited = bide_server_wait_closed(server);
    return rc < 0 ? rc : waited;
}

bide_async(serve_chat, (const struct serve_opts *, opts))
{
    static struct room room; /* too large for a frame */
    const struct bide_server_opts server_opts = {.stream = chat_stream_opts};
    static bide_server *server;
    room_init(&room, opts->idle_seconds);
    int rc = bide_serve(opts->host, opts->port, chat_talk, &room, &server_opts, &server);
    if (rc < 0) {
        fprintf(stderr, "bide: can't listen on %s, port %u: %s\n", opts->host, opts->port,
                bide_strerror(rc));
        return EXIT_FAILURE;
    }
    rc = serve_until_signal(&server);
    stop_signals_hold();
    bide_server_free(server);
    server = NULL;
    return rc;
}

static int run(const struct serve_opts *opts)
{
    allow_many_descriptors();
    int rc = bide_run_with(NULL, serve_chat, opts);
    if (rc >= 0)
        return rc;
    fprintf(stderr, "bide: %s\n", bide_strerror(rc));
    return EXIT_FAILURE;
}

int chat_serve(int argc, char **argv)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"idle", required_argument, NULL, 'i'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct serve_opts opts = {.host = "127.0.0.1", .port = 8000, .idle_seconds = 60};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'H')
            opts.host = optarg;
        else if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        else if (option == 'p' && !parse_port(optarg, &opts.port))
            return usage_error(argv[0], "'%s' is no port: 0 to 65535", optarg);
        else if (option == 'i' && !parse_seconds(optarg, &opts.idle_seconds))
            return usage_error(argv[0], "'%s' is no number of seconds above 0", optarg);
        else if (option == '?')
            return usage_hint(argv[0]);
    }
    if (optind < argc)
        return usage_error(argv[0], "unexpected argument '%s'", argv[optind]);
    return run(&opts);
}
