/*
 * `bide load`: how many requests a web server answers, and how fast.
 *
 * What was measured is reported however the run ends: all requests were sent, the time was up, or
 * somebody pressed Ctrl-C. Progress goes to standard error, the report to standard output.
 */
#include "command.h"
#include "load_report.h"
#include "load_run.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

enum { REQUESTS_DEFAULT = 1000, CONNECTIONS_DEFAULT = 50, CONNECTIONS_MAX = 100000 };
enum { PIPELINE_MAX = 1024, TARGET_SIZE = 2048, BODY_BYTES_MAX = 1 << 30 };
#define PROGRESS_SECONDS 0.1

static const char help[] =
    "usage: bide load [OPTION...] URL\n"
    "\n"
    "Sends requests to a web server and tells how fast it answers.\n"
    "\n"
    "  -n, --requests N     so many requests (1,000; with -d, as many as there is time for)\n"
    "  -c, --connections N  on so many connections at once (50)\n"
    "  -d, --duration S     for so many seconds\n"
    "  -r, --rate N         so many requests a second, evenly; times then count from the\n"
    "                       moment at which a request was due\n"
    "  -p, --pipeline N     send so many ahead on each connection (1)\n"
    "  -m, --method METHOD  (GET, or POST with a body)\n"
    "  -H, --header LINE    add a header field; may be given several times\n"
    "  -b, --body TEXT      send a body; @FILE reads it from a file\n"
    "      --timeout S      an answer that takes longer is an error (30)\n"
    "      --close          a new connection for each request\n"
    "      --ca FILE        trust the certificates of this PEM file instead of the system's\n"
    "      --insecure       trust any certificate\n"
    "      --json           print the report as JSON\n"
    "      --help           print this\n";

struct load {
    struct load_run run;
    struct load_report_opts report;
    const char *url_text;
    char host[256];
    char target[TARGET_SIZE];
    char authority[512];
    const char *method;
    char *fields; /* each with its line end; owned */
    char *body;   /* owned */
    size_t body_size;
    char *request; /* owned */
    bool has_count;
    bool is_insecure;
    const char *ca_file;
};

/* The request */

static int take_url(struct load *load, const char *command)
{
    static char text[TARGET_SIZE], normal[TARGET_SIZE];
    struct bide_url url;
    int n = snprintf(text, sizeof text, "%s%s", strstr(load->url_text, "://") ? "" : "http://",
                     load->url_text);
    if (n < TARGET_SIZE)
        n = bide_url_repair(text, (size_t)n, normal, sizeof normal);
    if (n >= TARGET_SIZE || bide_url_parse(normal, (size_t)n, &url, NULL) < 0 ||
        bide_url_print(&url, text, sizeof text) >= TARGET_SIZE ||
        bide_url_parse(text, strlen(text), &url, NULL) < 0 || url.host.size == 0)
        return usage_error(command, "'%s' is no URL", load->url_text);
    load->run.is_tls = url.scheme.size == 5;
    if ((url.scheme.size != 4 && url.scheme.size != 5) || memcmp(url.scheme.data, "http", 4) != 0)
        return usage_error(command, "'%s' is neither http nor https", load->url_text);
    if (url.user.data)
        return usage_error(command, "names and passwords in URLs are not sent");
    if (bide_url_decode(url.host.data, url.host.size, load->host, sizeof load->host) >=
        (int)sizeof load->host)
        return usage_error(command, "'%s': the host's name is too long", load->url_text);
    load->run.host = load->host;
    load->run.port = bide_url_port(&url);
    const char *end = url.port.data ? url.port.data + url.port.size
                                    : url.host.data + url.host.size + url.is_ipv6;
    const char *begin = url.host.data - url.is_ipv6;
    snprintf(load->authority, sizeof load->authority, "%.*s", (int)(end - begin), begin);
    snprintf(load->target, sizeof load->target, "%.*s%s%.*s", (int)url.path.size, url.path.data,
             url.query.data ? "?" : "", (int)url.query.size, url.query.data ? url.query.data : "");
    return 0;
}

static int make_request(struct load *load)
{
    const char *fields = load->fields ? load->fields : "";
    char length[64] = "";
    if (!load->method)
        load->method = load->body ? "POST" : "GET";
    if (load->body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", load->body_size);
    bool has_host = strncasecmp(fields, "host:", 5) == 0 || strcasestr(fields, "\nhost:");
    char *head;
    int n = asprintf(&head, "%s %s HTTP/1.1\r\n%s%s%sUser-Agent: bide/%s\r\n%s%s%s\r\n",
                     load->method, load->target,
                     has_host ? "" : "Host: ", has_host ? "" : load->authority,
                     has_host ? "" : "\r\n", BIDE_VERSION, fields, length,
                     load->run.is_kept_alive ? "" : "Connection: close\r\n");
    if (n < 0)
        return -ENOMEM;
    load->request = malloc((size_t)n + load->body_size);
    if (load->request) {
        memcpy(load->request, head, (size_t)n);
        if (load->body_size > 0)
            memcpy(load->request + n, load->body, load->body_size);
        load->run.request = load->request;
        load->run.request_size = (size_t)n + load->body_size;
        load->run.is_head = strcmp(load->method, "HEAD") == 0;
    }
    free(head);
    return load->request ? 0 : -ENOMEM;
}

/* The run */

bide_async(show_progress, (const struct load *, load))
{
    double interval = PROGRESS_SECONDS;
    int rc = 0;
    while (rc == 0) {
        rc = bide_sleep(interval);
        load_report_progress(&load->run);
    }
    load_report_progress_end();
    return rc;
}

bide_async(run_it, (struct load *, load))
{
    return load_run(&load->run);
}

/* A signal ends the run: its task is cancelled, which loses nothing that was measured. */
static int cancel_run(void *data)
{
    bide_task **task = data;
    if (*task)
        bide_cancel(*task);
    return 0;
}

static int make_context(struct load *load)
{
    int rc = load->run.is_tls ? -EPROTONOSUPPORT : 0;
#if BIDE_HAVE_TLS
    const struct bide_tls_client_opts opts = {.trust.ca_file = load->ca_file,
                                              .insecure_accept_any_certificate = load->is_insecure};
    if (load->run.is_tls)
        rc = bide_tls_client_new(&opts, &load->run.tls);
#endif
    if (rc < 0)
        fprintf(stderr, "bide load: %s: %s\n", bide_error_detail(), bide_strerror(rc));
    return rc;
}

bide_async(load_main, (struct load *, load))
{
    static bide_task *task; /* for signals that come late */
    bide_task *progress = NULL;
    bide_loop *loop = bide_loop_current();
    int rc = make_context(load);
    if (rc < 0)
        return rc;
    task = bide_spawn(run_it, load);
    rc = bide_loop_add_signal_handler(loop, SIGINT, cancel_run, &task, NULL);
    if (rc == 0)
        rc = bide_loop_add_signal_handler(loop, SIGTERM, cancel_run, &task, NULL);
    if (rc == 0 && isatty(STDERR_FILENO))
        progress = bide_spawn(show_progress, load);
    bide_task *run = task;
    if (rc < 0)
        bide_cancel(run);
    int ended = bide_await(run);
    task = NULL;
    bide_cancel_join(&progress, 1);
    if (load->run.end == 0) /* it was interrupted */
        load->run.end = bide_time();
#if BIDE_HAVE_TLS
    bide_tls_unref(load->run.tls);
#endif
    return rc < 0 ? rc : ended == -ECANCELED ? 0 : ended;
}

static int run(struct load *load, const char *command)
{
    allow_many_descriptors();
    int rc = make_request(load);
    if (rc == 0)
        rc = bide_run_with(NULL, load_main, load);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", command, bide_strerror(rc));
        return EXIT_FAILURE;
    }
    load_report_print(&load->run, &load->report);
    return load_n_errors(&load->run) > 0 || load->run.n_answers == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The command line */

static bool parse_number(const char *text, double max, double *ret_number)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number > 0) || !(number <= max))
        return false;
    *ret_number = number;
    return true;
}

static bool parse_count(const char *text, uint64_t max, uint64_t *ret_count)
{
    double number;
    if (!parse_number(text, (double)max, &number) || number != floor(number))
        return false;
    *ret_count = (uint64_t)number;
    return true;
}

/* "Name: value", without what would end the line. */
static int add_field(struct load *load, const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon || colon == line || strpbrk(line, "\r\n"))
        return -EINVAL;
    char *fields;
    if (asprintf(&fields, "%s%s\r\n", load->fields ? load->fields : "", line) < 0)
        return -ENOMEM;
    free(load->fields);
    load->fields = fields;
    return 0;
}

static int read_file(const char *path, char **ret_data, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    char *data = NULL;
    size_t size = 0, capacity = 0, n = 1;
    while (n > 0 && size <= BODY_BYTES_MAX) {
        if (size == capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            char *larger = realloc(data, capacity);
            if (!larger)
                break;
            data = larger;
        }
        n = fread(data + size, 1, capacity - size, file);
        size += n;
    }
    int rc = n > 0 ? -EFBIG : ferror(file) ? -EIO : 0;
    fclose(file);
    if (rc < 0) {
        free(data);
        return rc;
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}

static int take_body(struct load *load, const char *text)
{
    free(load->body);
    load->body = NULL;
    if (*text == '@')
        return read_file(text + 1, &load->body, &load->body_size);
    load->body = strdup(text);
    load->body_size = strlen(text);
    return load->body ? 0 : -ENOMEM;
}

static bool is_method(const char *text)
{
    return *text && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == strlen(text) &&
           strlen(text) <= 32;
}

enum { OPTION_TIMEOUT = 256, OPTION_CLOSE, OPTION_CA, OPTION_INSECURE, OPTION_JSON };

static bool take_flag(struct load *load, int option)
{
    switch (option) {
    case OPTION_CLOSE:
        load->run.is_kept_alive = false;
        return true;
    case OPTION_CA:
        load->ca_file = optarg;
        return true;
    case OPTION_INSECURE:
        load->is_insecure = true;
        return true;
    case OPTION_JSON:
        load->report.is_json = true;
        return true;
    default:
        return false;
    }
}

/* Whether the value of the option is one. */
static bool take_value(struct load *load, int option)
{
    struct load_run *run = &load->run;
    uint64_t count = 0;
    bool is_good = false;
    switch (option) {
    case 'n':
        load->has_count = true;
        return parse_count(optarg, UINT64_C(1) << 50, &run->n_max);
    case 'c':
        is_good = parse_count(optarg, CONNECTIONS_MAX, &count);
        run->n_connections = (unsigned)count;
        return is_good;
    case 'p':
        is_good = parse_count(optarg, PIPELINE_MAX, &count);
        run->pipeline = (unsigned)count;
        return is_good;
    case 'd':
        return parse_number(optarg, 1e9, &run->duration);
    case 'r':
        return parse_number(optarg, 1e9, &run->rate);
    case OPTION_TIMEOUT:
        return parse_number(optarg, 1e9, &run->timeout);
    case 'm':
        load->method = optarg;
        return is_method(optarg);
    case 'H':
        return add_field(load, optarg) == 0;
    default:
        return take_body(load, optarg) == 0;
    }
}

static int parse(int argc, char **argv, struct load *load, bool *ret_help)
{
    static const struct option options[] = {{"requests", required_argument, NULL, 'n'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"duration", required_argument, NULL, 'd'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"pipeline", required_argument, NULL, 'p'},
                                            {"method", required_argument, NULL, 'm'},
                                            {"header", required_argument, NULL, 'H'},
                                            {"body", required_argument, NULL, 'b'},
                                            {"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                            {"close", no_argument, NULL, OPTION_CLOSE},
                                            {"ca", required_argument, NULL, OPTION_CA},
                                            {"insecure", no_argument, NULL, OPTION_INSECURE},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "n:c:d:r:p:m:H:b:h", options, NULL)) != -1) {
        if (option == 'h')
            *ret_help = true;
        if (option == 'h')
            return 0;
        if (option == '?')
            return usage_hint(argv[0]);
        if (!take_flag(load, option) && !take_value(load, option))
            return usage_error(argv[0], "'%s' is no value for that option", optarg);
    }
    if (optind + 1 != argc)
        return usage_error(argv[0], optind == argc ? "which URL?" : "one URL, please");
    load->url_text = argv[optind];
    if (!load->has_count && !isinf(load->run.duration))
        load->run.n_max = UINT64_MAX;
    if (load->run.n_connections > load->run.n_max)
        load->run.n_connections = (unsigned)load->run.n_max;
    return take_url(load, argv[0]);
}

int load(int argc, char **argv)
{
    static struct load load; /* its histogram is large */
    bool is_help = false;
    load.run.n_max = REQUESTS_DEFAULT;
    load.run.n_connections = CONNECTIONS_DEFAULT;
    load.run.duration = INFINITY;
    load.run.pipeline = 1;
    load.run.timeout = 30;
    load.run.is_kept_alive = true;
    int rc = parse(argc, argv, &load, &is_help);
    if (is_help)
        fputs(help, stdout);
    else if (rc == 0)
        rc = run(&load, argv[0]);
    free(load.fields);
    free(load.body);
    free(load.request);
    return rc;
}
