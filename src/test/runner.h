/* What the files of the test kit share. */
#ifndef BIDE_TEST_RUNNER_H
#define BIDE_TEST_RUNNER_H

#include <sys/types.h>

/* What a test that is skipped exits with. */
#define BIDE__TEST_EXIT_SKIPPED 77

/* A file for what a process writes. */
int bide__test_output(void);

/* A child that writes to `output` and has no input; 0 in the child. */
pid_t bide__test_fork(int output);

#endif
