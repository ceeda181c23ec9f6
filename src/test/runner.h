/* What the files of the test kit share. */
#ifndef BIDE_TEST_RUNNER_H
#define BIDE_TEST_RUNNER_H

#include <bide/test.h>

#include <sys/types.h>

/* What a test that is skipped exits with. */
#define BIDE__TEST_EXIT_SKIPPED 77

/* The environment's number of that name. */
long long bide__test_number(const char *name, long long otherwise);

/* A file for what a process writes. */
int bide__test_output(void);

/* A child that writes to `output` and has no input; 0 in the child. */
pid_t bide__test_fork(int output);

/* Runs a test in this process, to its end; does not return if it fails or is skipped. `each`: its
 * element, or NULL. */
void bide__case_run(const struct bide__test *test, const void *each);

/* A check failed, or skipped the test: tears down what was set up, if this is the place for it. */
void bide__case_end(void);

/* In a child process that is not the test: nothing is set up here. */
void bide__case_forget(void);

/* What a test has before its loop and may not have more of after it. */
void bide__descriptors_note(void);
/* Tells of each that was not there; returns how many. */
int bide__descriptors_compare(void);

#endif
