/*
 * What the tests of terminals share: a pty, of which bide has the one end as a terminal and the
 * test the other, as the one who types and looks.
 *
 * Invariant: the test's end never blocks the thread; the calls below give up turns.
 */
#ifndef BIDE_TEST_TERMINAL_RIG_H
#define BIDE_TEST_TERMINAL_RIG_H

#include <bide/terminal.h>

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <termios.h>

#include "stream_rig.h"

struct pty {
    int master, slave;
    struct termios before;
    char shown[64 * 1024]; /* what came out and was not looked for yet */
    size_t size;
};

static struct pty pty;

static RIG_UNUSED void pty_open(unsigned short columns)
{
    struct winsize size = {.ws_col = columns, .ws_row = 24};
    memset(&pty, 0, sizeof pty);
    CHECK_INT(openpty(&pty.master, &pty.slave, NULL, NULL, &size), 0);
    fcntl(pty.master, F_SETFD, FD_CLOEXEC);
    fcntl(pty.slave, F_SETFD, FD_CLOEXEC);
    fcntl(pty.master, F_SETFL, fcntl(pty.master, F_GETFL) | O_NONBLOCK);
    CHECK_INT(tcgetattr(pty.slave, &pty.before), 0);
    pty.before.c_oflag &= ~(tcflag_t)ONLCR; /* or "\r\n" would come out as "\r\r\n" */
    CHECK_INT(tcsetattr(pty.slave, TCSANOW, &pty.before), 0);
}

/* The modes are what they were before anybody touched them. */
static RIG_UNUSED bool pty_is_as_before(void)
{
    struct termios now;
    CHECK_INT(tcgetattr(pty.slave, &now), 0);
    return now.c_iflag == pty.before.c_iflag && now.c_oflag == pty.before.c_oflag &&
           now.c_lflag == pty.before.c_lflag && now.c_cflag == pty.before.c_cflag &&
           memcmp(now.c_cc, pty.before.c_cc, sizeof now.c_cc) == 0;
}

static RIG_UNUSED void pty_close(void)
{
    CHECK(pty_is_as_before());
    close(pty.slave);
    close(pty.master);
}

static RIG_UNUSED void types(const char *bytes)
{
    CHECK_INT(write(pty.master, bytes, strlen(bytes)), strlen(bytes));
}

static RIG_UNUSED void look(void)
{
    ssize_t n = read(pty.master, pty.shown + pty.size, sizeof pty.shown - 1 - pty.size);
    pty.size += n > 0 ? (size_t)n : 0;
    pty.shown[pty.size] = '\0';
}

/* Waits until this has come out; forgets everything up to its end. */
static RIG_UNUSED void sees(const char *text)
{
    char *found;
    for (look(); !(found = strstr(pty.shown, text)); look())
        turns(1);
    size_t end = (size_t)(found - pty.shown) + strlen(text);
    memmove(pty.shown, pty.shown + end, pty.size - end + 1);
    pty.size -= end;
}

/* The same without a loop. The kernel hands on what was written a moment later. */
static RIG_UNUSED void sees_at_last(const char *text)
{
    struct pollfd more = {.fd = pty.master, .events = POLLIN};
    for (look(); !strstr(pty.shown, text); look())
        CHECK_INT(poll(&more, 1, 20000 * test_slowness()), 1);
    pty.size = 0;
    pty.shown[0] = '\0';
}

static RIG_UNUSED bide_terminal *terminal_open_with(struct bide_terminal_opts opts)
{
    bide_terminal *terminal = NULL;
    opts.input_fd = opts.output_fd = pty.slave;
    CHECK_INT(bide_terminal_open(&opts, &terminal), 0);
    return terminal;
}

static RIG_UNUSED bide_terminal *terminal_open(enum bide_terminal_mode mode)
{
    pty_open(80);
    return terminal_open_with((struct bide_terminal_opts){.mode = mode, .escape_seconds = 10});
}

static RIG_UNUSED void terminal_close(bide_terminal *terminal)
{
    CHECK_INT(bide_terminal_close(terminal), 0);
    pty_close();
}

/* What the task of reads_entered() got. */
static char entered[8192];

static RIG_UNUSED bide_async(reads_entered, (bide_terminal *, terminal), (const char *, prompt))
{
    char *line;
    int rc = bide_terminal_read_line(terminal, prompt, &line);
    if (rc > 0)
        memcpy(entered, line, (size_t)rc);
    return rc;
}

static RIG_UNUSED bide_async(prints, (bide_terminal *, terminal), (const char *, text))
{
    return bide_terminal_print(terminal, text, strlen(text));
}

#endif
