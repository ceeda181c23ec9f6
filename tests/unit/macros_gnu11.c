/* The forms of the macros as gnu11. */
#if __STDC_VERSION__ != 201112L
#error this file is to be compiled as gnu11
#endif

#define MACROS_MAIN macros_gnu11
#include "macros_cases.h"
