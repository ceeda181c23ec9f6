/* The reports that a test did not take. */
#ifndef BIDE_TEST_REPORT_H
#define BIDE_TEST_REPORT_H

#include <bide/error.h>
#include <bide/test.h>

/* Tells of each and forgets it; returns how many there were. */
int bide__reports_print(void);

#endif
