/* Files that the program has with it. Their source is made by tools/embed. */
#ifndef BIDE_CLI_EMBEDDED_H
#define BIDE_CLI_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name; /* NULL behind the last one */
    const unsigned char *data;
    size_t size;
};

extern const struct embedded embedded_files[];

#endif
