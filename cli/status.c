/*
 * `bide status`: checks many URLs at the same time, and says what each web server answered.
 *
 * What is printed stands in the order of the command line, whatever the order of the answers.
 */
#include "command.h"
#include "status_probe.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if BIDE_HAVE_TLS
#include <bide/tls.h>
#endif

enum { LIMIT_DEFAULT = 10, LIMIT_MAX = 10000, REDIRECTS_DEFAULT = 10, STATUS_BAD = 400 };

static const char help[] =
    "usage: bide status [OPTION...] URL...\n"
    "\n"
    "Asks for each URL and shows the status that its server answers, with the redirects\n"
    "on the way. 'http://' may be left out; '-' reads URLs from standard input, one a line.\n"
    "The exit status is 0 if every check ended with a status below 400, otherwise 1.\n"
    "\n"
    "  --limit N          so many checks at once (10)\n"
    "  --timeout SECONDS  the time that one check has, its redirects included (10)\n"
    "  --redirects N      follow so many (10); 0: none\n"
    "  --head             ask with HEAD, for servers that allow it\n"
    "  --json             print JSON, one object for each URL\n"
    "  --ca FILE          trust the certificates of this PEM file instead of the system's\n"
    "  --insecure         trust any certificate\n"
    "  --help             print this\n";

struct checks {
    struct probe_opts opts;
    size_t limit;
    bool is_json;
    bool is_insecure;
    const char *ca_file;
    char **targets; /* owned, each of them too */
    size_t n_targets;
    size_t capacity;
    struct probe **probes; /* as many */
    bide_semaphore slots;
};

static int target_add(struct checks *checks, const char *text)
{
    if (checks->n_targets == checks->capacity) {
        size_t capacity = checks->capacity ? 2 * checks->capacity : 16;
        char **targets = realloc(checks->targets, capacity * sizeof *targets);
        if (!targets)
            return -ENOMEM;
        checks->targets = targets;
        checks->capacity = capacity;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    checks->targets[checks->n_targets++] = copy;
    return 0;
}

/* Empty lines and those that begin with # are passed over. */
static int targets_read(struct checks *checks)
{
    char *line = NULL;
    size_t capacity = 0;
    int rc = 0;
    while (rc == 0 && getline(&line, &capacity, stdin) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        char *text = line + strspn(line, " \t");
        if (*text && *text != '#')
            rc = target_add(checks, text);
    }
    free(line);
    return rc;
}

bide_async(check_one, (struct checks *, checks), (struct probe *, probe))
{
    int rc = 0;
    bide_with_semaphore (rc, &checks->slots) {
        rc = probe_run(probe);
    }
    return rc;
}

static int check_all(struct checks *checks)
{
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < checks->n_targets && rc == 0; i++) {
        struct probe *probe = calloc(1, sizeof *probe);
        rc = -ENOMEM;
        if (!probe)
            break;
        checks->probes[i] = probe;
        probe->opts = &checks->opts;
        probe->target = checks->targets[i];
        rc = bide_group_spawn(group, check_one, checks, probe);
    }
    return bide_group_close(group, rc);
}

static int prepare(struct checks *checks)
{
    checks->probes = calloc(checks->n_targets, sizeof *checks->probes);
    int rc = checks->probes ? bide_semaphore_init(&checks->slots, checks->limit) : -ENOMEM;
#if BIDE_HAVE_TLS
    const struct bide_tls_client_opts opts = {
        .trust.ca_file = checks->ca_file, .insecure_accept_any_certificate = checks->is_insecure};
    if (rc == 0)
        rc = bide_tls_client_new(&opts, &checks->opts.tls);
    if (rc < 0)
        fprintf(stderr, "bide status: %s: %s\n", bide_error_detail(), bide_strerror(rc));
#endif
    return rc;
}

bide_async(status_main, (struct checks *, checks))
{
    int rc = prepare(checks);
    return rc < 0 ? rc : check_all(checks);
}

/* Output */

static void print_table(const struct checks *checks)
{
    int width = 0;
    for (size_t i = 0; i < checks->n_targets; i++)
        for (int j = 0; j < checks->probes[i]->n_hops; j++) {
            int size = (int)strlen(checks->probes[i]->hops[j].url) + (j > 0 ? 3 : 0);
            width = size > width && size <= 60 ? size : width;
        }
    for (size_t i = 0; i < checks->n_targets; i++) {
        const struct probe *probe = checks->probes[i];
        if (probe->n_hops == 0)
            printf("%-*s  ---  %s\n", width, probe->target, probe->detail);
        for (int j = 0; j < probe->n_hops; j++) {
            const struct probe_hop *hop = &probe->hops[j];
            int indent = j > 0 ? 3 : 0;
            printf("%s%-*s  ", j > 0 ? "-> " : "", width - indent, hop->url);
            if (hop->status > 0)
                printf("%d  %7.1f ms  %s\n", hop->status, hop->seconds * 1000, hop->reason);
            if (j == probe->n_hops - 1 && probe->error < 0)
                printf("%s---  %7.1f ms  %s%s%s\n", hop->status > 0 ? "   " : "",
                       hop->seconds * 1000, bide_strerror(probe->error),
                       probe->detail[0] ? ": " : "", probe->detail);
        }
    }
}

/* JSON is UTF-8; bytes that are none of it have become '?'. */
static void print_json_hop(const struct probe_hop *hop)
{
    printf("{\"url\": ");
    print_json_text(hop->url);
    printf(", \"status\": ");
    if (hop->status > 0)
        printf("%d", hop->status);
    else
        printf("null");
    printf(", \"reason\": ");
    print_json_text(hop->reason);
    printf(", \"seconds\": %.6f}", hop->seconds);
}

static void print_json(const struct checks *checks)
{
    puts("[");
    for (size_t i = 0; i < checks->n_targets; i++) {
        const struct probe *probe = checks->probes[i];
        printf("  {\"target\": ");
        print_json_text(probe->target);
        printf(", \"status\": ");
        if (probe->error == 0)
            printf("%d", probe_status(probe));
        else
            printf("null");
        printf(", \"error\": ");
        if (probe->error < 0)
            print_json_text(bide_strerror(probe->error));
        else
            printf("null");
        printf(", \"detail\": ");
        print_json_text(probe->detail);
        printf(", \"hops\": [");
        for (int j = 0; j < probe->n_hops; j++) {
            printf(j > 0 ? ", " : "");
            print_json_hop(&probe->hops[j]);
        }
        printf("]}%s\n", i + 1 < checks->n_targets ? "," : "");
    }
    puts("]");
}

static int exit_status(const struct checks *checks)
{
    for (size_t i = 0; i < checks->n_targets; i++)
        if (checks->probes[i]->error < 0 || probe_status(checks->probes[i]) >= STATUS_BAD)
            return EXIT_FAILURE;
    return EXIT_SUCCESS;
}

static void checks_free(struct checks *checks)
{
    for (size_t i = 0; i < checks->n_targets; i++) {
        free(checks->targets[i]);
        if (checks->probes)
            free(checks->probes[i]);
    }
    free(checks->targets);
    free(checks->probes);
#if BIDE_HAVE_TLS
    bide_tls_unref(checks->opts.tls);
#endif
}

/* Command line */

static bool parse_count(const char *text, unsigned long max, unsigned long *ret_count)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    if (*end || errno || count > max)
        return false;
    *ret_count = count;
    return true;
}

/* 0, or the exit status of a command line that is wrong. */
static int parse_option(struct checks *checks, const char *command, int option)
{
    unsigned long count;
    switch (option) {
    case 'l':
        if (!parse_count(optarg, LIMIT_MAX, &count) || count == 0)
            return usage_error(command, "--limit is a number from 1 to %d, not '%s'", LIMIT_MAX,
                               optarg);
        checks->limit = count;
        return 0;
    case 'r':
        if (!parse_count(optarg, PROBE_HOPS_MAX - 1, &count))
            return usage_error(command, "--redirects is a number from 0 to %d, not '%s'",
                               PROBE_HOPS_MAX - 1, optarg);
        checks->opts.redirects_max = (int)count;
        return 0;
    case 't':
        if (!parse_seconds(optarg, &checks->opts.seconds))
            return usage_error(command, "--timeout is a number above 0, not '%s'", optarg);
        return 0;
    case 'H':
        checks->opts.is_head = true;
        return 0;
    case 'j':
        checks->is_json = true;
        return 0;
    case 'c':
        checks->ca_file = optarg;
        return 0;
    case 'k':
        checks->is_insecure = true;
        return 0;
    default:
        return usage_hint(command);
    }
}

static int parse(int argc, char **argv, struct checks *checks, bool *ret_help)
{
    static const struct option options[] = {{"limit", required_argument, NULL, 'l'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"redirects", required_argument, NULL, 'r'},
                                            {"head", no_argument, NULL, 'H'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"ca", required_argument, NULL, 'c'},
                                            {"insecure", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        *ret_help = option == 'h';
        int rc = *ret_help ? 0 : parse_option(checks, argv[0], option);
        if (rc != 0 || *ret_help)
            return rc;
    }
    int rc = 0;
    for (; optind < argc && rc == 0; optind++)
        rc = strcmp(argv[optind], "-") == 0 ? targets_read(checks)
                                            : target_add(checks, argv[optind]);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], bide_strerror(rc));
        return EXIT_FAILURE;
    }
    return checks->n_targets > 0 ? 0 : usage_error(argv[0], "which URL?");
}

int status(int argc, char **argv)
{
    struct checks checks = {.limit = LIMIT_DEFAULT,
                            .opts = {.seconds = 10, .redirects_max = REDIRECTS_DEFAULT}};
    bool is_help = false;
    int rc = parse(argc, argv, &checks, &is_help);
    if (is_help)
        fputs(help, stdout);
    if (rc == 0 && !is_help) {
        rc = bide_run_with(NULL, status_main, &checks);
        if (rc < 0) {
            fprintf(stderr, "%s: %s\n", argv[0], bide_strerror(rc));
            rc = EXIT_FAILURE;
        } else {
            (checks.is_json ? print_json : print_table)(&checks);
            rc = exit_status(&checks);
        }
    }
    checks_free(&checks);
    return rc;
}
