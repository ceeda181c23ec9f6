/*
 * What bide's echo servers and the raw ones are told, as all that bench/run.py compares:
 *
 *     NAME echo|line BUFFER_BYTES
 *
 * and what they say: their port, in a line.
 */
#ifndef BIDE_BENCH_ECHO_OPTIONS_H
#define BIDE_BENCH_ECHO_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct echo_options {
    bool by_line;
    size_t buffer_bytes;
};

static inline struct echo_options echo_options(int argc, char **argv)
{
    struct echo_options options = {0};
    if (argc == 3) {
        options.by_line = strcmp(argv[1], "line") == 0;
        options.buffer_bytes = strtoul(argv[2], NULL, 10);
    }
    if (options.buffer_bytes == 0 || (!options.by_line && strcmp(argv[1], "echo") != 0)) {
        fprintf(stderr, "usage: %s echo|line buffer-bytes\n", argv[0]);
        exit(2);
    }
    return options;
}

static inline void say_port(unsigned port)
{
    printf("%u\n", port);
    fflush(stdout);
}

#endif
