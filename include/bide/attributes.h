/* How the public declarations are marked: exported from the library, with C linkage. */
#ifndef BIDE_ATTRIBUTES_H
#define BIDE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On each exported declaration. */
#define BIDE_EXPORT __attribute__((visibility("default")))

/* Around the declarations of each header. */
#ifdef __cplusplus
#define BIDE_BEGIN_DECLARATIONS extern "C" {
#define BIDE_END_DECLARATIONS }
#else
#define BIDE_BEGIN_DECLARATIONS
#define BIDE_END_DECLARATIONS
#endif

#endif
