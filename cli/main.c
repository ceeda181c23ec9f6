/*
 * The `bide` tool: finds the command that the first words of the command line name.
 *
 * A command is one entry of `commands`. Commands of one group ("chat serve", "chat join") stand
 * next to each other.
 */
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name;
    const char *verb; /* NULL: the name alone is the command */
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"chat", "join", "takes part in a chat, on the terminal", chat_join},
    {"chat", "serve", "a chat server for clients such as nc", chat_serve},
    {"load", NULL, "how fast a web server answers", load},
    {"serve", NULL, "a web server for a folder, or a demonstration", serve},
    {"status", NULL, "the status of many URLs at once", status},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands, TITLE_SIZE = 64 };

static void title(const struct command *command, char *buffer)
{
    snprintf(buffer, TITLE_SIZE, "bide %s%s%s", command->name, command->verb ? " " : "",
             command->verb ? command->verb : "");
}

/* The commands of a group, or all if it is NULL. */
static void print_help(const char *group)
{
    char name[TITLE_SIZE];
    printf("usage: bide%s%s COMMAND [OPTION...]\n\n", group ? " " : "", group ? group : "");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (group && strcmp(commands[i].name, group) != 0)
            continue;
        title(&commands[i], name);
        printf("  %-18s %s\n", name, commands[i].summary);
    }
    printf("\n'--help' behind a command tells more about it; 'bide --version' the version.\n");
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run(const struct command *command, int argc, char **argv)
{
    static char name[TITLE_SIZE];
    title(command, name);
    argv[0] = name;
    optind = 0; /* getopt_long() begins anew */
    return command->run(argc, argv);
}

/* argv[0] is the first word that is no option of the tool itself. */
static int dispatch(int argc, char **argv)
{
    const char *group = NULL;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[0]) != 0)
            continue;
        if (!commands[i].verb)
            return run(&commands[i], argc, argv);
        if (argc > 1 && strcmp(commands[i].verb, argv[1]) == 0)
            return run(&commands[i], argc - 1, argv + 1);
        group = commands[i].name;
    }
    if (!group)
        return usage_error("bide", "unknown command '%s'", argv[0]);
    if (argc > 1 && is_help(argv[1])) {
        print_help(group);
        return EXIT_SUCCESS;
    }
    if (argc > 1)
        return usage_error("bide", "unknown command '%s %s'", group, argv[1]);
    return usage_error("bide", "which command of '%s'?", group);
}

static int tool(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    static char name[] = "bide";
    argv[0] = name;
    switch (getopt_long(argc, argv, "+hV", options, NULL)) {
    case 'h':
        print_help(NULL);
        return EXIT_SUCCESS;
    case 'V':
        puts("bide " BIDE_VERSION);
        return EXIT_SUCCESS;
    case -1:
        break;
    default:
        return usage_hint(name);
    }
    if (optind >= argc)
        return usage_error(name, "which command?");
    return dispatch(argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    int status = argc > 0 ? tool(argc, argv) : STATUS_USAGE;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("bide: standard output");
    return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}
