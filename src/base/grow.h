/*
 * Buffers of bytes that grow by doubling.
 *
 * Invariant: what failed to grow is what it was.
 */
#ifndef BIDE_BASE_GROW_H
#define BIDE_BASE_GROW_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Room for `size` bytes in all; a buffer that has none yet begins with `first` bytes. 0 or
 * -ENOMEM. */
static inline int bide__grow(char **data, size_t *capacity, size_t size, size_t first)
{
    if (size <= *capacity)
        return 0;
    size_t larger = *capacity > 0 ? *capacity : first;
    while (larger < size)
        larger *= 2;
    char *moved = realloc(*data, larger);
    if (!moved)
        return -ENOMEM;
    *data = moved;
    *capacity = larger;
    return 0;
}

#endif
