/*
 * `bide serve`: a web server for a folder, or the demonstration.
 *
 * The first signal ends it gently: nobody is let in any more, and what is being answered goes out.
 * A second one cancels what is left; with workers, it kills.
 */
#include "command.h"
#include "serve_demo.h"
#include "serve_log.h"

#include <bide/http_files.h>
#include <bide/http_server.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

static const char help[] =
    "usage: bide serve [OPTION...] FOLDER\n"
    "       bide serve [OPTION...] --demo\n"
    "\n"
    "Serves the files of a folder over HTTP until it is interrupted; or a page with a\n"
    "chat and a user counter over WebSocket, server-sent events, long polling, polling.\n"
    "\n"
    "  --host HOST     name or address to listen on (127.0.0.1)\n"
    "  --port PORT     port to listen on (8000); 0: a free one, which is printed\n"
    "  --tls CERT KEY  serve HTTPS with this certificate and its key, in PEM files\n"
    "  --listing       folders without an index.html show what is in them\n"
    "  --log           print a line for each request\n"
    "  --workers N     serve from N threads; 0: one for each processor\n"
    "  --demo          the demonstration instead of a folder\n"
    "  --help          print this\n";

struct serving {
    const char *command;
    const char *host;
    unsigned port;
    const char *cert_file;
    const char *key_file;
    const char *folder;
    bool is_demo;
    bool is_logged;
    unsigned n_workers; /* 1: none but the main thread */
    struct bide_http_files_opts files;

    bide_http_app *app;
    struct bide_http_server_opts opts;
    bide_http_server *server;
    struct feed feed;
    struct serve_log log;
    bide_task *main;
    bool is_interrupted;
};

/* Signals */

static int interrupt(void *data)
{
    struct serving *serving = data;
    if (serving->is_interrupted && serving->main)
        bide_cancel(serving->main);
    serving->is_interrupted = true;
    if (serving->is_demo)
        feed_close(&serving->feed);
    if (serving->server)
        bide_http_server_close(serving->server);
    return 0;
}

/* Serving */

static int fail(const struct serving *serving, const char *what, int error)
{
    const char *detail = bide_error_detail();
    fprintf(stderr, "%s: %s: %s%s%s\n", serving->command, what, bide_strerror(error),
            *detail ? ": " : "", detail);
    return error;
}

static int make_context(struct serving *serving)
{
    int rc = serving->cert_file ? -ENOSYS : 0;
#if BIDE_HAVE_TLS
    const struct bide_tls_identity identity = {.cert_file = serving->cert_file,
                                               .key_file = serving->key_file};
    const char *const protocols[] = {"http/1.1", NULL};
    const struct bide_tls_server_opts opts = {
        .identities = &identity, .n_identities = 1, .alpn = protocols};
    if (serving->cert_file)
        rc = bide_tls_server_new(&opts, &serving->opts.tls);
#endif
    return rc < 0 ? fail(serving, serving->cert_file, rc) : 0;
}

static int check_folder(const struct serving *serving)
{
    struct stat status;
    int rc = stat(serving->folder, &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
    return rc < 0 ? fail(serving, serving->folder, rc) : 0;
}

static int fill_app(struct serving *serving)
{
    int rc = bide_http_app_new(NULL, &serving->app);
    if (rc == 0 && serving->is_logged)
        rc = serve_log_open(&serving->log, serving->command, serving->app);
    if (rc == 0 && serving->is_demo)
        rc = feed_init(&serving->feed);
    if (rc == 0)
        rc = serving->is_demo ? serve_demo(serving->app, &serving->feed)
                              : bide_http_files(serving->app, "", serving->folder, &serving->files);
    return rc < 0 ? fail(serving, "can't begin", rc) : 0;
}

/* Scripts wait for this line and take the port from it. */
static void print_address(const struct serving *serving)
{
    bool is_ipv6 = strchr(serving->host, ':');
    printf("Serving %s on http%s://%s%s%s:%u/\n", serving->is_demo ? "the demo" : serving->folder,
           serving->opts.tls ? "s" : "", is_ipv6 ? "[" : "", serving->host, is_ipv6 ? "]" : "",
           bide_http_server_port(serving->server));
    fflush(stdout);
}

static int serve_it(struct serving *serving)
{
    char what[300];
    int rc = bide_http_serve(serving->app, serving->host, serving->port, &serving->opts,
                             &serving->server);
    snprintf(what, sizeof what, "can't listen on %s, port %u", serving->host, serving->port);
    if (rc < 0)
        return fail(serving, what, rc);
    rc = stop_signals_handle(interrupt, serving);
    if (rc == 0) {
        print_address(serving);
        rc = bide_http_server_forever(serving->server);
    }
    /* A second signal cancels this wait, and with it the handlers. */
    int freed = bide_http_server_free(serving->server);
    serving->server = NULL;
    rc = rc == -ECANCELED ? 0 : rc < 0 ? rc : freed == -ECANCELED ? 0 : freed;
    return rc < 0 ? fail(serving, "serving ended", rc) : 0;
}

bide_async(serve_main, (struct serving *, serving))
{
    serving->main = bide_current_task();
    int rc = make_context(serving);
    if (rc == 0 && !serving->is_demo)
        rc = check_folder(serving);
    if (rc == 0)
        rc = fill_app(serving);
    if (rc == 0)
        rc = serve_it(serving);
    stop_signals_hold();
    serving->main = NULL;
    serve_log_close(&serving->log);
    bide_http_app_free(serving->app);
    feed_fini(&serving->feed);
#if BIDE_HAVE_TLS
    bide_tls_unref(serving->opts.tls);
#endif
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_alone(struct serving *serving)
{
    int rc = bide_run_with(NULL, serve_main, serving);
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", serving->command, bide_strerror(rc));
    return EXIT_FAILURE;
}

/* With workers */

/* How long a worker has after the first signal: more than the server, to be able to end well. */
#define WORKER_CLEANUP_SECONDS 15

/* The first signal cancels this; what is being answered goes out all the same. */
static int serve_in_worker(struct serving *serving)
{
    int rc = bide_http_serve(serving->app, NULL, 0, &serving->opts, &serving->server);
    if (rc < 0)
        return rc;
    if (bide_worker_index() == 0)
        print_address(serving);
    rc = bide_http_server_forever(serving->server);
    int freed = bide_shielded(INFINITY, bide_http_server_free(serving->server));
    return rc < 0 ? rc : freed;
}

bide_async(serve_worker, (const struct serving *, common))
{
    struct serving *serving = malloc(sizeof *serving);
    if (!serving)
        return -ENOMEM;
    *serving = *common;
    int rc = fill_app(serving);
    if (rc == 0)
        rc = serve_in_worker(serving);
    bide_http_app_free(serving->app);
    free(serving);
    return rc;
}

static int open_port(struct serving *serving)
{
    char what[300];
    int rc = bide_port_open(serving->host, serving->port, NULL, &serving->opts.server.shared);
    snprintf(what, sizeof what, "can't listen on %s, port %u", serving->host, serving->port);
    return rc < 0 ? fail(serving, what, rc) : 0;
}

static int run_workers(struct serving *serving)
{
    const struct bide_workers_opts opts = {.name = "serve",
                                           .loop.cleanup_seconds = WORKER_CLEANUP_SECONDS};
    int rc = make_context(serving);
    if (rc == 0)
        rc = check_folder(serving);
    if (rc == 0)
        rc = open_port(serving);
    if (rc == 0) {
        rc = bide_run_workers_with(&opts, serving->n_workers, serve_worker, serving);
        if (rc < 0)
            fail(serving, "serving ended", rc);
    }
    bide_port_unref(serving->opts.server.shared);
#if BIDE_HAVE_TLS
    bide_tls_unref(serving->opts.tls);
#endif
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The command line */

/* --tls has two values: getopt_long() knows of the first. */
static int take_tls(struct serving *serving, int argc, char **argv)
{
    if (optind >= argc || argv[optind][0] == '-')
        return usage_error(argv[0], "--tls needs two files: the certificate, then its key");
    serving->cert_file = optarg;
    serving->key_file = argv[optind++];
    return 0;
}

static bool parse_workers(const char *text, unsigned *ret_n)
{
    return parse_port(text, ret_n) && *ret_n <= BIDE_WORKERS_MAX;
}

static int take_option(struct serving *serving, int option, int argc, char **argv)
{
    switch (option) {
    case 'H':
        serving->host = optarg;
        return 0;
    case 'p':
        return parse_port(optarg, &serving->port)
                   ? 0
                   : usage_error(argv[0], "'%s' is no port: 0 to 65535", optarg);
    case 't':
        return take_tls(serving, argc, argv);
    case 'l':
        serving->files.lists = true;
        return 0;
    case 'L':
        serving->is_logged = true;
        return 0;
    case 'w':
        return parse_workers(optarg, &serving->n_workers)
                   ? 0
                   : usage_error(argv[0], "'%s' is no number of workers: 0 to %d", optarg,
                                 BIDE_WORKERS_MAX);
    case 'd':
        serving->is_demo = true;
        return 0;
    default:
        return usage_hint(argv[0]);
    }
}

static int parse(int argc, char **argv, struct serving *serving, bool *ret_help)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"tls", required_argument, NULL, 't'},
                                            {"listing", no_argument, NULL, 'l'},
                                            {"log", no_argument, NULL, 'L'},
                                            {"demo", no_argument, NULL, 'd'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        *ret_help = option == 'h';
        int rc = *ret_help ? 0 : take_option(serving, option, argc, argv);
        if (rc != 0 || *ret_help)
            return rc;
    }
    if (serving->is_demo && serving->files.lists)
        return usage_error(argv[0], "--listing is for folders");
    if (serving->n_workers != 1 && (serving->is_demo || serving->is_logged))
        return usage_error(argv[0], "--workers is not for --demo and --log: those are of one loop");
    if (serving->is_demo)
        return optind == argc ? 0 : usage_error(argv[0], "a folder or --demo, not both");
    if (optind + 1 != argc)
        return usage_error(argv[0], optind == argc ? "which folder?" : "one folder, please");
    serving->folder = argv[optind];
    return 0;
}

int serve(int argc, char **argv)
{
    static struct serving serving; /* signal handlers look at it until the loop has closed */
    bool is_help = false;
    serving = (struct serving){.command = argv[0],
                               .host = "127.0.0.1",
                               .port = 8000,
                               .n_workers = 1,
                               .files = {.packed = true}};
    int rc = parse(argc, argv, &serving, &is_help);
    if (is_help)
        return fputs(help, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (rc != 0)
        return rc;
    allow_many_descriptors();
    return serving.n_workers == 1 ? run_alone(&serving) : run_workers(&serving);
}
