/* Checks: what they say when they fail, and how they end the test. */
#include "test/runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void bide_test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    fflush(stderr);
    bide__case_end();
    _exit(1);
}

void bide_test_skip(const char *reason)
{
    bide__case_end();
    fprintf(stderr, "%s\n", reason); /* the last line is what the summary shows */
    _exit(BIDE__TEST_EXIT_SKIPPED);
}

void bide__check_int(const char *file, int line, const char *what, long long actual,
                     const char *expected_text, long long expected)
{
    if (actual != expected)
        bide_test_fail(file, line, "%s is %lld, expected %s = %lld", what, actual, expected_text,
                       expected);
}

void bide__check_range(const char *file, int line, const char *what, long long actual,
                       long long low, long long high)
{
    if (actual < low || actual > high)
        bide_test_fail(file, line, "%s is %lld, expected %lld to %lld", what, actual, low, high);
}

void bide__check_ptr(const char *file, int line, const char *what, const void *actual,
                     const char *expected_text, const void *expected)
{
    if (actual != expected)
        bide_test_fail(file, line, "%s is %p, expected %s = %p", what, actual, expected_text,
                       expected);
}

void bide__check_str(const char *file, int line, const char *what, const char *actual,
                     const char *expected_text, const char *expected)
{
    if (!actual || !expected ? actual != expected : strcmp(actual, expected) != 0)
        bide_test_fail(file, line, "%s is \"%s\", expected %s = \"%s\"", what,
                       actual ? actual : "(null)", expected_text, expected ? expected : "(null)");
}

void bide__check_mem(const char *file, int line, const char *what, const void *actual,
                     const char *expected_text, const void *expected, size_t size)
{
    const unsigned char *a = actual;
    const unsigned char *e = expected;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != e[i])
            bide_test_fail(file, line, "%s and %s differ at byte %zu of %zu: %02x, expected %02x",
                           what, expected_text, i, size, a[i], e[i]);
    }
}

void bide__check_contains(const char *file, int line, const char *what, const char *text,
                          const char *part)
{
    if (!text || !strstr(text, part))
        bide_test_fail(file, line, "%s is \"%s\", which lacks \"%s\"", what, text ? text : "(null)",
                       part);
}
