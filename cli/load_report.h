/* What a load test shows: how far it is, and what came of it. */
#ifndef BIDE_CLI_LOAD_REPORT_H
#define BIDE_CLI_LOAD_REPORT_H

#include "load_run.h"

struct load_report_opts {
    bool is_json;
};

/* One line on standard error, over the last one. */
void load_report_progress(const struct load_run *run);
void load_report_progress_end(void);

/* On standard output. */
void load_report_print(const struct load_run *run, const struct load_report_opts *opts);

#endif
