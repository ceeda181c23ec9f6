/* The forms of the macros as C++. */
extern "C" int macros_cxx(void);

#define MACROS_MAIN macros_cxx
#include "macros_cases.h"
