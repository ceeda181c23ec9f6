/* Coroutines and generators that are declared in a header and defined in another file. */
#ifndef BIDE_TEST_MACROS_SHARED_H
#define BIDE_TEST_MACROS_SHARED_H

#include <bide.h>

#ifdef __cplusplus
extern "C" {
#endif

bide_async_declare(shared_none);
bide_async_declare(shared_two, (int, first), (const char *, second));
bide_generator_declare(int, shared_none_values);
bide_generator_declare(const char *, shared_values, (const char *, first), (int, n));

#ifdef __cplusplus
}
#endif

#endif
