/* Coroutines that are declared in a header and defined as plain functions in another file. */
#ifndef BIDE_TEST_MACROS_SHARED_H
#define BIDE_TEST_MACROS_SHARED_H

#include <bide.h>

#ifdef __cplusplus
extern "C" {
#endif

bide_async_declare(shared_none);
bide_async_declare(shared_two, (int, first), (const char *, second));

#ifdef __cplusplus
}
#endif

#endif
