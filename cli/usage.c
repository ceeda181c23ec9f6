/* What the command lines of all commands have in common. Nothing is set by a text that is wrong. */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORT_MAX = 65535 };

int usage_hint(const char *command)
{
    fprintf(stderr, "Try '%s --help'.\n", command);
    return STATUS_USAGE;
}

int usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return usage_hint(command);
}

bool parse_port(const char *text, unsigned *ret_port)
{
    char *end;
    if (*text < '0' || *text > '9') /* strtoul() would take blanks and signs */
        return false;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || errno != 0 || port > PORT_MAX)
        return false;
    *ret_port = (unsigned)port;
    return true;
}

bool parse_seconds(const char *text, double *ret_seconds)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0))
        return false;
    *ret_seconds = seconds;
    return true;
}
