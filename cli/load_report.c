/* What a load test shows; see load_report.h. */
#include "load_report.h"

#include "command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR_COLUMNS = 30, HISTOGRAM_ROWS = 12, HISTOGRAM_COLUMNS = 40 };

static const struct {
    double part;
    const char *name;
} percentiles[] = {{0.5, "50%"}, {0.75, "75%"}, {0.9, "90%"}, {0.99, "99%"}, {0.999, "99.9%"}};

enum { N_PERCENTILES = sizeof percentiles / sizeof *percentiles };

static const char *const error_names[LOAD_ERRORS] = {
    [LOAD_CONNECT] = "connect",   [LOAD_TIMEOUT] = "timeout", [LOAD_BROKEN] = "broken",
    [LOAD_PROTOCOL] = "protocol", [LOAD_OTHER] = "other",
};

/* In a unit that suits it. */
static const char *time_text(double seconds, char buffer[32])
{
    const char *unit = seconds < 1e-3 ? "us" : seconds < 1 ? "ms" : "s";
    double scale = seconds < 1e-3 ? 1e6 : seconds < 1 ? 1e3 : 1;
    snprintf(buffer, 32, "%.2f %s", seconds * scale, unit);
    return buffer;
}

static double rate_of(const struct load_run *run, double until)
{
    double seconds = until - run->begin;
    return seconds > 0 ? (double)run->n_answers / seconds : 0;
}

void load_report_progress(const struct load_run *run)
{
    char bar[BAR_COLUMNS + 1], half[32], most[32];
    double part = load_progress(run);
    int full = (int)(part * BAR_COLUMNS);
    for (int i = 0; i < BAR_COLUMNS; i++)
        bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[BAR_COLUMNS] = '\0';
    fprintf(stderr, "\r[%s] %3.0f%%  %llu answers  %.0f/s  50%% %s  99%% %s  %llu errors\033[K",
            bar, part * 100, (unsigned long long)run->n_answers, rate_of(run, bide_time()),
            time_text(load_stats_percentile(&run->stats, 0.5), half),
            time_text(load_stats_percentile(&run->stats, 0.99), most),
            (unsigned long long)load_n_errors(run));
    fflush(stderr);
}

void load_report_progress_end(void)
{
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

static void print_histogram(const struct load_stats *stats)
{
    double low = stats->min, high = load_stats_percentile(stats, 0.999);
    uint64_t rows[HISTOGRAM_ROWS], most = 0;
    double width = (high - low) / HISTOGRAM_ROWS;
    if (stats->n == 0 || !(width > 0))
        return;
    for (int i = 0; i < HISTOGRAM_ROWS; i++) {
        double from = i == 0 ? 0 : low + i * width;
        rows[i] = load_stats_between(stats, from, low + (i + 1) * width);
        if (rows[i] > most)
            most = rows[i];
    }
    puts("\nHistogram, without the slowest 0.1%:");
    for (int i = 0; i < HISTOGRAM_ROWS; i++) {
        char text[32], bar[HISTOGRAM_COLUMNS + 1];
        int n = most > 0 ? (int)(rows[i] * HISTOGRAM_COLUMNS / most) : 0;
        memset(bar, '#', (size_t)n);
        bar[n] = '\0';
        printf("  to %12s  %10llu  %s\n", time_text(low + (i + 1) * width, text),
               (unsigned long long)rows[i], bar);
    }
}

static void print_errors(const struct load_run *run)
{
    if (load_n_errors(run) == 0)
        return;
    printf("\nErrors:\n");
    for (int i = 0; i < LOAD_ERRORS; i++)
        if (run->errors[i] > 0)
            printf("  %-10s %llu\n", error_names[i], (unsigned long long)run->errors[i]);
    printf("  the first: %s\n", run->detail);
}

static void print_text(const struct load_run *run)
{
    char one[32], two[32], three[32];
    double seconds = run->end - run->begin;
    printf("%llu answers in %.2f s, on %u connections (%llu were opened)\n",
           (unsigned long long)run->n_answers, seconds, run->n_connections,
           (unsigned long long)run->n_connects);
    printf("  rate        %.1f per second\n", rate_of(run, run->end));
    printf("  received    %.2f MB, %.2f MB per second\n", (double)run->n_bytes / 1e6,
           seconds > 0 ? (double)run->n_bytes / 1e6 / seconds : 0);
    for (int i = 0; i < LOAD_STATUSES; i++)
        if (run->statuses[i] > 0)
            printf("  status %d  %llu\n", i, (unsigned long long)run->statuses[i]);
    printf("\nTimes%s:\n", run->rate > 0 ? ", from when each request was due" : "");
    printf("  mean %s, deviation %s, least %s\n", time_text(load_stats_mean(&run->stats), one),
           time_text(load_stats_deviation(&run->stats), two), time_text(run->stats.min, three));
    for (int i = 0; i < N_PERCENTILES; i++)
        printf("  %-6s %s\n", percentiles[i].name,
               time_text(load_stats_percentile(&run->stats, percentiles[i].part), one));
    printf("  %-6s %s\n", "100%", time_text(run->stats.max, one));
    print_histogram(&run->stats);
    print_errors(run);
}

/* Control characters and what is no ASCII have become '?'. */
static void print_json(const struct load_run *run)
{
    const char *comma = "";
    printf("{\n  \"answers\": %llu,\n  \"seconds\": %.6f,\n  \"rate\": %.3f,\n",
           (unsigned long long)run->n_answers, run->end - run->begin, rate_of(run, run->end));
    printf("  \"connections\": %u,\n  \"connects\": %llu,\n  \"bytes\": %llu,\n",
           run->n_connections, (unsigned long long)run->n_connects,
           (unsigned long long)run->n_bytes);
    printf("  \"times\": {\"mean\": %.9f, \"deviation\": %.9f, \"min\": %.9f, \"max\": %.9f",
           load_stats_mean(&run->stats), load_stats_deviation(&run->stats), run->stats.min,
           run->stats.max);
    for (int i = 0; i < N_PERCENTILES; i++)
        printf(", \"%s\": %.9f", percentiles[i].name,
               load_stats_percentile(&run->stats, percentiles[i].part));
    printf("},\n  \"statuses\": {");
    for (int i = 0; i < LOAD_STATUSES; i++)
        if (run->statuses[i] > 0) {
            printf("%s\"%d\": %llu", comma, i, (unsigned long long)run->statuses[i]);
            comma = ", ";
        }
    printf("},\n  \"errors\": {");
    for (int i = 0; i < LOAD_ERRORS; i++)
        printf("%s\"%s\": %llu", i > 0 ? ", " : "", error_names[i],
               (unsigned long long)run->errors[i]);
    printf("},\n  \"first_error\": ");
    print_json_text(run->detail);
    printf("\n}\n");
}

void load_report_print(const struct load_run *run, const struct load_report_opts *opts)
{
    if (opts->is_json)
        print_json(run);
    else
        print_text(run);
}
