/*
 * The commands of the tool, and what they share.
 *
 * A command gets its own part of the command line: argv[0] is what users call it ("bide chat
 * serve"), so that messages of getopt_long() and our own name it alike. It returns the exit status:
 * EXIT_SUCCESS, EXIT_FAILURE with one line on standard error, or STATUS_USAGE.
 */
#ifndef BIDE_CLI_COMMAND_H
#define BIDE_CLI_COMMAND_H

#include <bide/loop.h>

#include <stdbool.h>

enum { STATUS_USAGE = 2 };

int chat_join(int argc, char **argv);
int chat_serve(int argc, char **argv);
int load(int argc, char **argv);
int serve(int argc, char **argv);
int status(int argc, char **argv);

/* Tells what is wrong with a command line and where help is: returns STATUS_USAGE. */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *format, ...);
/* Points at the help, behind a message of getopt_long(): returns STATUS_USAGE. */
int usage_hint(const char *command);

/* A whole number from 0 to 65,535. */
bool parse_port(const char *text, unsigned *ret_port);
/* A number above 0; "inf" for no end. */
bool parse_seconds(const char *text, double *ret_seconds);

/* Each connection is a descriptor, and the usual limit is meant for programs that use select(). */
void allow_many_descriptors(void);

/* Has SIGINT and SIGTERM call this in the current loop. */
int stop_signals_handle(bide_callback *stop, void *data);
/*
 * The loop gives the former actions back when it closes. A signal that comes then must not kill a
 * server that has ended well.
 */
void stop_signals_hold(void);

/* In quotes; what is not ASCII as "?". */
void print_json_text(const char *text);

#endif
