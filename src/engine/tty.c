/*
 * Modes of terminals and the signals around them; see tty.h.
 *
 * The handlers do only what signal handlers may: tcsetattr(), write(), and reading slots whose
 * contents do not change while they are `live`. A slot is given up by taking its state back, and
 * waiting for handlers under way on other threads.
 */
#include "engine/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { FD_MIN = 3, TTYS_MAX = 8, LEAVE_BYTES_MAX = 64 };
enum { COLUMNS_DEFAULT = 80, ROWS_DEFAULT = 24 };

struct bide__tty {
    atomic_bool claimed;
    atomic_bool live;  /* handlers may look at it */
    atomic_int mode;   /* enum bide__tty_mode; anything but LINE: `before` is valid */
    atomic_uint leave; /* BIDE__TTY_LEAVE_… */
    atomic_uint events;
    int in, out, event;
    pid_t owner;
    struct termios before;
    struct termios modes[BIDE__TTY_RAW + 1];
};

static struct bide__tty slots[TTYS_MAX];
static atomic_uint n_inside; /* handlers under way */

/* A signal's action from before ours. */
static struct {
    struct sigaction before;
    bool taken;
} actions[NSIG];

/* Guards `actions` and the counts; never taken by a handler. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_open, n_changed;
static bool exit_registered;

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
static const int ends[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                           SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What handlers do */

/* Whether we may touch it: not if a shell that has put us into the background uses it. */
static bool in_foreground(const struct bide__tty *tty)
{
    pid_t group = tcgetpgrp(tty->in);
    return group < 0 || group == getpgrp();
}

static bool is_changed(struct bide__tty *tty)
{
    return atomic_load(&tty->live) && atomic_load(&tty->mode) != BIDE__TTY_LINE &&
           tty->owner == getpid();
}

static void write_leave(struct bide__tty *tty)
{
    char text[LEAVE_BYTES_MAX];
    size_t size = 0;
    unsigned leave = atomic_load(&tty->leave);
    struct pollfd room = {.fd = tty->out, .events = POLLOUT};
    static const struct {
        unsigned flag;
        const char *text;
    } parts[] = {{BIDE__TTY_LEAVE_PASTE, "\x1b[?2004l"},
                 {BIDE__TTY_LEAVE_REGION, "\0337\x1b[r\0338"},
                 {BIDE__TTY_LEAVE_ROW, "\r\n"}};
    for (size_t i = 0; i < COUNT(parts); i++) {
        size_t length = leave & parts[i].flag ? strlen(parts[i].text) : 0;
        memcpy(text + size, parts[i].text, length);
        size += length;
    }
    /* A terminal that is held must not hold the end of the process. */
    if (size > 0 && poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) &&
        write(tty->out, text, size) < 0)
        return;
}

static void put_back(struct bide__tty *tty)
{
    write_leave(tty);
    tcsetattr(tty->in, TCSANOW, &tty->before);
}

static void put_all_back(void)
{
    for (size_t i = 0; i < TTYS_MAX; i++)
        if (is_changed(&slots[i]) && in_foreground(&slots[i]))
            put_back(&slots[i]);
}

static void tell(struct bide__tty *tty, unsigned event)
{
    uint64_t one = 1;
    atomic_fetch_or(&tty->events, event);
    if (write(tty->event, &one, sizeof one) < 0)
        return; /* it is readable already */
}

static void tell_all(unsigned event)
{
    for (size_t i = 0; i < TTYS_MAX; i++)
        if (atomic_load(&slots[i].live) && slots[i].owner == getpid())
            tell(&slots[i], event);
}

static void set_all_again(void)
{
    for (size_t i = 0; i < TTYS_MAX; i++) {
        struct bide__tty *tty = &slots[i];
        if (!is_changed(tty) || !in_foreground(tty))
            continue;
        tcsetattr(tty->in, TCSANOW, &tty->modes[atomic_load(&tty->mode)]);
        tell(tty, BIDE__TTY_CONTINUED);
    }
}

static void on_signal(int signo, siginfo_t *info, void *context);

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_signal;
}

static bool is_default(const struct sigaction *action)
{
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL;
}

static bool is_ignored(const struct sigaction *action)
{
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_IGN;
}

static void pass_on(const struct sigaction *before, int signo, siginfo_t *info, void *context)
{
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(signo, info, context);
    else if (!is_default(before) && !is_ignored(before))
        before->sa_handler(signo);
}

static int install(int signo)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    ours.sa_sigaction = on_signal;
    sigfillset(&ours.sa_mask);
    return sigaction(signo, &ours, NULL) < 0 ? -errno : 0;
}

static void install_default(int signo)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(signo, &plain, NULL);
}

/* Stops, and comes back from here when the process is continued. */
static void stop(int signo)
{
    sigset_t only, before;
    put_all_back();
    install_default(signo);
    raise(signo);
    sigemptyset(&only);
    sigaddset(&only, signo);
    pthread_sigmask(SIG_UNBLOCK, &only, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    install(signo);
    set_all_again();
}

/* A fault repeats by itself when the handler returns; what was sent does not. */
static bool repeats(int signo, const siginfo_t *info)
{
    for (size_t i = 0; i < COUNT(faults); i++)
        if (faults[i] == signo)
            return info->si_code > 0;
    return false;
}

static void end(int signo, siginfo_t *info, void *context)
{
    const struct sigaction *before = &actions[signo].before;
    struct sigaction present;
    put_all_back();
    if (!is_default(before) && !is_ignored(before)) {
        pass_on(before, signo, info, context);
        if (sigaction(signo, NULL, &present) == 0 && is_ours(&present))
            set_all_again(); /* the program goes on */
        return;
    }
    install_default(signo);
    if (!repeats(signo, info))
        raise(signo); /* stays pending until the handler returns */
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    atomic_fetch_add(&n_inside, 1);
    if (signo == SIGWINCH) {
        tell_all(BIDE__TTY_RESIZED);
        pass_on(&actions[signo].before, signo, info, context);
    } else if (signo == SIGCONT) {
        set_all_again();
        pass_on(&actions[signo].before, signo, info, context);
    } else if (signo == SIGTSTP) {
        stop(signo);
    } else {
        end(signo, info, context);
    }
    atomic_fetch_sub(&n_inside, 1);
    errno = saved_errno;
}

static void at_exit(void)
{
    put_all_back();
}

/* Taking signals. All of this under the lock. */

static bool is_fault(int signo)
{
    for (size_t i = 0; i < COUNT(faults); i++)
        if (faults[i] == signo)
            return true;
    return false;
}

/* Again for what the program has set or given up meanwhile. */
static int take(int signo)
{
    struct sigaction present;
    bool passes_on = is_fault(signo) || signo == SIGWINCH || signo == SIGCONT;
    if (sigaction(signo, NULL, &present) < 0)
        return -errno;
    if (is_ours(&present)) /* also from a time before, if the program has put it back */
        actions[signo].taken = true;
    if (is_ours(&present) || (!passes_on && !is_default(&present)))
        return 0;
    actions[signo].before = present;
    actions[signo].taken = true;
    return install(signo);
}

static void give(int signo)
{
    struct sigaction present;
    if (!actions[signo].taken)
        return;
    if (sigaction(signo, NULL, &present) == 0 && is_ours(&present))
        sigaction(signo, &actions[signo].before, NULL);
    actions[signo].taken = false;
}

static void give_changed(void)
{
    for (size_t i = 0; i < COUNT(faults); i++)
        give(faults[i]);
    for (size_t i = 0; i < COUNT(ends); i++)
        give(ends[i]);
    give(SIGCONT);
}

static int take_changed(void)
{
    int rc = take(SIGCONT);
    for (size_t i = 0; rc == 0 && i < COUNT(faults); i++)
        rc = take(faults[i]);
    for (size_t i = 0; rc == 0 && i < COUNT(ends); i++)
        rc = take(ends[i]);
    if (rc == 0 && !exit_registered) {
        rc = atexit(at_exit) == 0 ? 0 : -ENOMEM;
        exit_registered = rc == 0;
    }
    if (rc < 0 && n_changed == 0)
        give_changed();
    return rc;
}

/* Handlers that looked at the slot before it was taken from them have ended. */
static void await_handlers(void)
{
    while (atomic_load(&n_inside) > 0)
        sched_yield();
}

/* Opening and closing */

static struct bide__tty *claim(void)
{
    for (size_t i = 0; i < TTYS_MAX; i++)
        if (!atomic_exchange(&slots[i].claimed, true))
            return &slots[i];
    return NULL;
}

static void free_slot(struct bide__tty *tty)
{
    int fds[] = {tty->in, tty->out, tty->event};
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    atomic_store(&tty->claimed, false);
}

static int open_slot(struct bide__tty *tty, int in, int out)
{
    tty->out = tty->event = -1;
    tty->in = fcntl(in, F_DUPFD_CLOEXEC, FD_MIN);
    if (tty->in >= 0)
        tty->out = fcntl(out, F_DUPFD_CLOEXEC, FD_MIN);
    if (tty->out >= 0)
        tty->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (tty->event < 0)
        return -errno;
    atomic_store(&tty->mode, BIDE__TTY_LINE);
    atomic_store(&tty->leave, 0);
    atomic_store(&tty->events, 0);
    tty->owner = getpid();
    return 0;
}

int bide__tty_open(int in, int out, struct bide__tty **ret_tty)
{
    struct termios present;
    if (tcgetattr(in, &present) < 0)
        return -errno;
    struct bide__tty *tty = claim();
    if (!tty)
        return -EMFILE;
    int rc = open_slot(tty, in, out);
    if (rc == 0) {
        pthread_mutex_lock(&lock);
        rc = take(SIGWINCH);
        n_open += rc == 0;
        pthread_mutex_unlock(&lock);
    }
    if (rc < 0) {
        free_slot(tty);
        return rc;
    }
    atomic_store(&tty->live, true);
    *ret_tty = tty;
    return 0;
}

int bide__tty_controlling(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool bide__tty_is(int fd)
{
    struct termios present;
    return tcgetattr(fd, &present) == 0;
}

void bide__tty_release(int fd)
{
    close(fd);
}

static void make_modes(struct bide__tty *tty)
{
    struct termios *cbreak = &tty->modes[BIDE__TTY_CBREAK];
    struct termios *raw = &tty->modes[BIDE__TTY_RAW];
    *cbreak = tty->before;
    cbreak->c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    cbreak->c_cc[VMIN] = 1;
    cbreak->c_cc[VTIME] = 0;
    *raw = tty->before;
    cfmakeraw(raw);
    raw->c_cc[VMIN] = 1;
    raw->c_cc[VTIME] = 0;
}

/* Back to LINE. Under the lock. */
static void unchange(struct bide__tty *tty)
{
    if (in_foreground(tty))
        tcsetattr(tty->in, TCSANOW, &tty->before);
    atomic_store(&tty->mode, BIDE__TTY_LINE);
    if (--n_changed == 0)
        give_changed();
}

/* Under the lock. `before` is written while no handler reads it. */
static int change(struct bide__tty *tty, enum bide__tty_mode mode)
{
    bool first = atomic_load(&tty->mode) == BIDE__TTY_LINE;
    if (first && tcgetattr(tty->in, &tty->before) < 0)
        return -errno;
    int rc = take_changed();
    if (rc < 0)
        return rc;
    if (first) {
        make_modes(tty);
        n_changed++;
    }
    atomic_store(&tty->mode, mode);
    if (tcsetattr(tty->in, TCSANOW, &tty->modes[mode]) == 0)
        return 0;
    rc = -errno;
    unchange(tty);
    return rc;
}

int bide__tty_set(struct bide__tty *tty, enum bide__tty_mode mode)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (mode != BIDE__TTY_LINE)
        rc = change(tty, mode);
    else if (atomic_load(&tty->mode) != BIDE__TTY_LINE)
        unchange(tty);
    pthread_mutex_unlock(&lock);
    return rc;
}

void bide__tty_size(const struct bide__tty *tty, unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size = {0};
    if (ioctl(tty->out, TIOCGWINSZ, &size) < 0)
        size = (struct winsize){0};
    *ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    *ret_rows = size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

int bide__tty_event_fd(const struct bide__tty *tty)
{
    return tty->event;
}

unsigned bide__tty_take_events(struct bide__tty *tty)
{
    uint64_t n;
    if (read(tty->event, &n, sizeof n) < 0)
        return 0;
    return atomic_exchange(&tty->events, 0);
}

void bide__tty_leave_with(struct bide__tty *tty, unsigned leave)
{
    atomic_store(&tty->leave, leave);
}

void bide__tty_close(struct bide__tty *tty)
{
    pthread_mutex_lock(&lock);
    if (atomic_load(&tty->mode) != BIDE__TTY_LINE) {
        if (in_foreground(tty))
            write_leave(tty);
        unchange(tty);
    }
    if (--n_open == 0)
        give(SIGWINCH);
    pthread_mutex_unlock(&lock);
    atomic_store(&tty->live, false);
    await_handlers();
    free_slot(tty);
}

void bide__tty_forget(struct bide__tty *tty)
{
    pthread_mutex_init(&lock, NULL); /* whoever held it is the parent's */
    atomic_store(&n_inside, 0);
    atomic_store(&tty->live, false);
    if (atomic_exchange(&tty->mode, BIDE__TTY_LINE) != BIDE__TTY_LINE && --n_changed == 0)
        give_changed();
    if (--n_open == 0)
        give(SIGWINCH);
    free_slot(tty);
}
