/*
 * Scenario: a terminal, of which the test is the one who types and looks: lines are edited,
 * entered, broken off; text is printed above them; the window is resized; the terminal is closed,
 * by its owner or with its loop, whoever is inside. Claim: what was typed is never lost, what is
 * printed never disturbs the line, and the terminal's mode and the program's signals are afterwards
 * what they were.
 */
#include "terminal_rig.h"

static struct termios modes(void)
{
    struct termios now;
    CHECK_INT(tcgetattr(pty.slave, &now), 0);
    return now;
}

STREAM_TEST(modes_are_set_and_put_back)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_LINE);
    CHECK(pty_is_as_before());
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_CBREAK), 0);
    CHECK_INT(modes().c_lflag & (ICANON | ECHO | ISIG), ISIG);
    CHECK(modes().c_oflag & OPOST);
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_RAW), 0);
    CHECK_INT(modes().c_lflag & (ICANON | ECHO | ISIG), 0);
    CHECK_INT(modes().c_oflag & OPOST, 0);
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_LINE), 0);
    CHECK(pty_is_as_before());
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_RAW), 0);
    terminal_close(terminal);
}

static const int signals[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT,  SIGHUP, SIGINT,
                              SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH, SIGUSR1};

static void handles(int signo)
{
    (void)signo;
}

STREAM_TEST(signals_are_the_programs_again_afterwards)
{
    struct sigaction before[NSIG], now;
    struct sigaction own = {.sa_handler = handles};
    CHECK_INT(sigaction(SIGTERM, &own, NULL), 0);
    CHECK_INT(sigaction(SIGFPE, &own, NULL), 0);
    own.sa_handler = SIG_IGN;
    CHECK_INT(sigaction(SIGINT, &own, NULL), 0);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        CHECK_INT(sigaction(signals[i], NULL, &before[signals[i]]), 0);
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_LINE);
    CHECK_INT(sigaction(SIGHUP, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL); /* as long as no mode is changed */
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_CBREAK), 0);
    CHECK_INT(sigaction(SIGTERM, NULL, &now), 0);
    CHECK(now.sa_handler == handles); /* the program handles it */
    CHECK_INT(sigaction(SIGINT, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
    CHECK_INT(sigaction(SIGHUP, NULL, &now), 0);
    CHECK(now.sa_handler != SIG_DFL);
    terminal_close(terminal);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        CHECK_INT(sigaction(signals[i], NULL, &now), 0);
        CHECK(now.sa_handler == before[signals[i]].sa_handler);
        CHECK_INT((now.sa_flags ^ before[signals[i]].sa_flags) & (SA_SIGINFO | SA_ONSTACK), 0);
    }
}

STREAM_TEST(what_is_no_terminal_is_refused)
{
    bide_terminal *terminal;
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    struct bide_terminal_opts opts = {.input_fd = fds[0], .output_fd = fds[1]};
    CHECK_INT(bide_terminal_open(&opts, &terminal), -ENOTTY);
    pty_open(80);
    opts.input_fd = pty.slave;
    CHECK_INT(bide_terminal_open(&opts, &terminal), -ENOTTY);
    opts.input_fd = 19999;
    CHECK_INT(bide_terminal_open(&opts, &terminal), -ENOTTY);
    close(fds[0]);
    close(fds[1]);
    CHECK_INT(bide_terminal_open(NULL, NULL), -EINVAL);
    opts.mode = (enum bide_terminal_mode)7;
    CHECK_INT(bide_terminal_open(&opts, &terminal), -EINVAL);
    opts = (struct bide_terminal_opts){.escape_seconds = -1};
    CHECK_INT(bide_terminal_open(&opts, &terminal), -EINVAL);
    opts = (struct bide_terminal_opts){.line_bytes_max = 2 * MIB};
    CHECK_INT(bide_terminal_open(&opts, &terminal), -EINVAL);
    pty_close();
}

STREAM_TEST(no_more_than_eight_at_a_time)
{
    bide_terminal *terminals[9];
    pty_open(80);
    for (int i = 0; i < 8; i++)
        terminals[i] = terminal_open_with((struct bide_terminal_opts){.mode = BIDE_TERMINAL_LINE});
    struct bide_terminal_opts opts = {.input_fd = pty.slave, .output_fd = pty.slave};
    CHECK_INT(bide_terminal_open(&opts, &terminals[8]), -EMFILE);
    for (int i = 0; i < 8; i++)
        CHECK_INT(bide_terminal_close(terminals[i]), 0);
    CHECK_INT(bide_terminal_open(&opts, &terminals[8]), 0);
    terminal_close(terminals[8]);
}

STREAM_TEST(calls_without_sense)
{
    char *line;
    unsigned columns = 0, rows = 0;
    static char prompt[2000], text[17 * KIB];
    memset(prompt, 'x', sizeof prompt - 1);
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_terminal_read_line(NULL, "", &line), -EINVAL);
    CHECK_INT(bide_terminal_read_line(terminal, NULL, &line), -EINVAL);
    CHECK_INT(bide_terminal_read_line(terminal, "", NULL), -EINVAL);
    CHECK_INT(bide_terminal_read_line(terminal, prompt, &line), -EMSGSIZE);
    CHECK_INT(bide_terminal_print(terminal, NULL, 1), -EINVAL);
    CHECK_INT(bide_terminal_print(NULL, "x", 1), -EINVAL);
    CHECK_INT(bide_terminal_print(terminal, text, sizeof text), -EMSGSIZE);
    CHECK_INT(bide_terminal_set_mode(terminal, (enum bide_terminal_mode) - 1), -EINVAL);
    CHECK_INT(bide_terminal_set_mode(NULL, BIDE_TERMINAL_RAW), -EINVAL);
    CHECK_INT(bide_terminal_size(NULL, &columns, &rows), -EINVAL);
    CHECK_INT(bide_terminal_wait_size(terminal, NULL, &rows), -EINVAL);
    CHECK_INT(bide_terminal_type(terminal, NULL, 1), -EINVAL);
    CHECK_INT(bide_terminal_add_history(terminal, NULL), -EINVAL);
    CHECK_INT(bide_terminal_move(terminal, 0, 1), -EINVAL);
    CHECK_INT(bide_terminal_delete_rows(terminal, 0), -EINVAL);
    CHECK_INT(bide_terminal_scroll_rows(terminal, 5, 5), -EINVAL);
    CHECK_INT(bide_terminal_clear(terminal, (enum bide_terminal_part)9), -EINVAL);
    CHECK_INT(bide_terminal_save_cursor(NULL), -EINVAL);
    CHECK_INT(bide_terminal_close(NULL), 0);
    terminal_close(terminal);
}

/* Lines */

static void gets_line(bide_terminal *terminal, const char *bytes, const char *line)
{
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types(bytes);
    CHECK_INT(bide_await(reader), strlen(line) + 1);
    CHECK_STR(entered, line);
}

STREAM_TEST(lines_are_edited_and_entered)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    gets_line(terminal, "hello\r", "hello");
    sees("\r\x1b[J> hello\r\n");
    gets_line(terminal, "hello\x1b[D\x1b[D\x7f\r", "helo");
    gets_line(terminal, "\r", "");
    gets_line(terminal, "\x1b[A\r", "helo");
    gets_line(terminal,
              "gr\xc3\xb6\xc3\x9f"
              "er\n",
              "gr\xc3\xb6\xc3\x9f"
              "er");
    gets_line(terminal, "\x1b[200~one\rtwo\x1b[201~!\r", "one\ntwo!");
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("\x04");
    CHECK_INT(bide_await(reader), 0);
    sees("\x1b[?2004l");
    terminal_close(terminal);
}

STREAM_TEST(what_was_entered_can_go_from_the_screen)
{
    pty_open(80);
    bide_terminal *terminal = terminal_open_with(
        (struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK, .erase_entered = true});
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("hello");
    sees("> hello\x1b[J\r\x1b[7C");
    types("\r");
    CHECK_INT(bide_await(reader), 6);
    sees("\r\x1b[J\x1b[?2004l");
    CHECK_INT(pty.size, 0);
    terminal_close(terminal);
}

STREAM_TEST(lines_typed_ahead_wait_for_their_turn)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    types("one\rtwo\rthr");
    gets_line(terminal, "", "one");
    gets_line(terminal, "", "two");
    gets_line(terminal, "ee\r", "three");
    terminal_close(terminal);
}

STREAM_TEST(the_kernels_own_lines)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_LINE);
    gets_line(terminal, "helloo\x7f\n", "hello");
    sees("> ");
    gets_line(terminal, "one\ntwo\n", "one");
    gets_line(terminal, "", "two");
    gets_line(terminal, "\n", "");
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("\x04");
    CHECK_INT(bide_await(reader), 0);
    terminal_close(terminal);
}

STREAM_TEST(the_kernels_last_line_may_lack_its_end)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_LINE);
    bide_task *reader = bide_spawn(reads_entered, terminal, "");
    types("abc\x04");
    turns(5);
    types("\x04");
    CHECK_INT(bide_await(reader), 4);
    CHECK_STR(entered, "abc");
    terminal_close(terminal);
}

STREAM_TEST(in_raw_mode_an_interrupt_is_a_key)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_RAW);
    bide_task *reader = bide_spawn(reads_entered, terminal, "");
    types("abc\x03");
    CHECK_INT(bide_await(reader), -EINTR);
    gets_line(terminal, "x\r", "x");
    terminal_close(terminal);
}

STREAM_TEST(an_escape_alone_is_one_when_its_time_is_up)
{
    pty_open(80);
    bide_terminal *terminal = terminal_open_with(
        (struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK, .escape_seconds = TICKS(1)});
    CHECK_INT(bide_terminal_add_history(terminal, "found"), 0);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("\x12"
          "f");
    sees("(search 'f') found");
    types("\x1b");
    sees("> \x1b[J");
    types("[Ax\r"); /* no arrow any more */
    CHECK_INT(bide_await(reader), 4);
    CHECK_STR(entered, "[Ax");
    terminal_close(terminal);
}

STREAM_TEST(a_sequence_in_pieces_is_one_key)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    sees("\x1b[?2004h");
    const char *bytes = "ab\x1b[1;5Dx\xc3\xa9\r";
    for (size_t i = 0; i < strlen(bytes); i++) {
        char one[2] = {bytes[i], '\0'};
        types(one);
        turns(5);
    }
    CHECK_INT(bide_await(reader), 6);
    CHECK_STR(entered, "x\xc3\xa9"
                       "ab");
    terminal_close(terminal);
}

STREAM_TEST(a_cancelled_call_keeps_what_was_typed)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("abc\x1b[D");
    sees("abc\x1b[J\r\x1b[4C");
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    sees("\r\x1b[J\x1b[?2004l");
    gets_line(terminal, "x\r", "abxc");
    reader = bide_spawn(reads_entered, terminal, "> ");
    bide_cancel(reader);
    CHECK_INT(bide_await(reader), -ECANCELED);
    gets_line(terminal, "y\r", "y");
    terminal_close(terminal);
}

STREAM_TEST(the_screen_is_cleared_and_the_line_stays)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("abc\x0c");
    sees("\x1b[H\x1b[2J");
    sees("> abc\x1b[J");
    types("\x1b[3~"); /* nothing to delete */
    sees("\a");
    types("\r");
    CHECK_INT(bide_await(reader), 4);
    terminal_close(terminal);
}

STREAM_TEST(text_is_put_into_the_line)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_terminal_type(terminal, "draft ", 6), 0);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    sees("> draft ");
    CHECK_INT(bide_terminal_type(terminal, "more", 4), 0);
    sees("> draft more");
    types("\r");
    CHECK_INT(bide_await(reader), 11);
    CHECK_INT(bide_terminal_type(terminal, "next", 4), 0);
    gets_line(terminal, "\r", "next");
    static char much[5000];
    memset(much, 'm', sizeof much);
    CHECK_INT(bide_terminal_type(terminal, much, sizeof much), -BIDE_ELIMIT);
    terminal_close(terminal);
}

/* As stty does from elsewhere: it wakes who waits for the terminal, and there is nothing. */
STREAM_TEST(somebody_changes_the_mode_meanwhile)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    struct termios now = modes();
    bide_task *reader = waiting(bide_spawn(reads_entered, terminal, ""));
    for (int i = 0; i < 50; i++) {
        CHECK_INT(tcsetattr(pty.slave, TCSANOW, &now), 0);
        turns(2);
    }
    CHECK(!bide_task_done(reader));
    types("x\r");
    CHECK_INT(bide_await(reader), 2);
    terminal_close(terminal);
}

STREAM_TEST(one_task_reads)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    char *line;
    bide_task *reader = waiting(bide_spawn(reads_entered, terminal, ""));
    CHECK_INT(bide_terminal_read_line(terminal, "", &line), -EBUSY);
    CHECK_INT(bide_terminal_set_mode(terminal, BIDE_TERMINAL_RAW), -EBUSY);
    types("x\r");
    CHECK_INT(bide_await(reader), 2);
    terminal_close(terminal);
}

STREAM_TEST(the_end_of_the_terminal_is_the_end_of_lines)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    bide_task *reader = waiting(bide_spawn(reads_entered, terminal, ""));
    close(pty.master);
    int rc = bide_await(reader);
    CHECK(rc == 0 || rc == -EIO);
    bide_terminal_close(terminal);
    close(pty.slave);
}

/* Printing */

STREAM_TEST(text_is_printed_above_the_line)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_terminal_print(terminal, "no line yet", 11), 0);
    sees("no line yet\r\n");
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("abc\x1b[D");
    sees("abc\x1b[J\r\x1b[4C");
    CHECK_INT(bide_terminal_print(terminal, "one\ntwo\n", 8), 0);
    sees("\r\x1b[Jone\r\ntwo\r\n\x1b[?2004h\r> abc\x1b[J\r\x1b[4C");
    CHECK_INT(pty.size, 0);
    CHECK_INT(bide_terminal_print(terminal, "", 0), 0);
    sees("\r\x1b[J\r\n\x1b[?2004h\r> abc");
    types("\r");
    CHECK_INT(bide_await(reader), 4);
    terminal_close(terminal);
}

STREAM_TEST(printed_text_controls_nothing)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    const char *text = "\x1b[2J\a\x7f\xc2\x9b\xff\xe2\x80\xae\r";
    CHECK_INT(bide_terminal_print(terminal, text, strlen(text)), 0);
    sees("\xe2\x90\x9b[2J\xe2\x90\x87\xe2\x90\xa1\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xe2\x90"
         "\x8d\r\n");
    CHECK_INT(bide_terminal_print_styled(terminal, "\x1b[1mbold\x1b[m\n", 12), 0);
    sees("\x1b[1mbold\x1b[m\r\n");
    terminal_close(terminal);
}

STREAM_TEST(text_made_harmless)
{
    char buffer[16];
    CHECK_INT(bide_terminal_plain("a\x1b\nb", 4, buffer, sizeof buffer), 6);
    CHECK_STR(buffer, "a\xe2\x90\x9b\nb");
    CHECK_INT(bide_terminal_plain("a\x1b\nb", 4, buffer, 4), 6);
    CHECK_STR(buffer, "a"); /* no half characters, and nothing behind a gap */
    CHECK_INT(bide_terminal_plain("a\x1b\nb", 4, NULL, 0), 6);
    CHECK_INT(bide_terminal_plain("", 0, buffer, sizeof buffer), 0);
    CHECK_STR(buffer, "");
    CHECK_INT(bide_terminal_plain("\xe6\x97", 2, buffer, sizeof buffer), 3);
}

/* Nobody looks at the screen for a while. */
STREAM_TEST_SECONDS(a_terminal_that_takes_nothing_holds_up_who_prints_and_no_keys, 60)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    static char text[8 * KIB];
    memset(text, 'p', sizeof text - 1);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    bide_task *printer;
    for (;;) {
        printer = bide_spawn(prints, terminal, text);
        for (int i = 0; i < 20 && !bide_task_done(printer); i++)
            turns(1);
        if (!bide_task_done(printer))
            break;
        CHECK_INT(bide_await(printer), 0);
    }
    bide_task *cancelled = waiting(bide_spawn(prints, terminal, "never"));
    types("typed");
    turns(20);
    CHECK(!bide_task_done(printer));
    bide_cancel(cancelled);
    CHECK_INT(bide_await(cancelled), -ECANCELED);
    for (; !bide_task_done(printer); turns(1)) {
        look();
        pty.size = 0;
    }
    CHECK_INT(bide_await(printer), 0);
    sees("\r\n\x1b[?2004h\r> typed\x1b[J");
    types("\r");
    CHECK_INT(bide_await(reader), 6);
    terminal_close(terminal);
}

/* The window */

static void resize(unsigned short columns, unsigned short rows)
{
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    CHECK_INT(ioctl(pty.master, TIOCSWINSZ, &size), 0);
    raise(SIGWINCH); /* the kernel tells whom the terminal controls, and that is not the test */
}

static bide_async(waits_size, (bide_terminal *, terminal), (unsigned *, columns),
                  (unsigned *, rows))
{
    return bide_terminal_wait_size(terminal, columns, rows);
}

static int n_chained;

static void chained(int signo)
{
    (void)signo;
    n_chained++;
}

STREAM_TEST(another_size_is_told_to_all_who_wait)
{
    struct sigaction own = {.sa_handler = chained};
    CHECK_INT(sigaction(SIGWINCH, &own, NULL), 0);
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    unsigned columns = 0, rows = 0, others[2] = {80, 24};
    CHECK_INT(bide_terminal_size(terminal, &columns, &rows), 0);
    CHECK_INT(columns * 1000 + rows, 80024);
    bide_task *one = waiting(bide_spawn(waits_size, terminal, &columns, &rows));
    bide_task *two = waiting(bide_spawn(waits_size, terminal, &others[0], &others[1]));
    resize(80, 24); /* the same */
    turns(5);
    CHECK(!bide_task_done(one));
    resize(100, 30);
    CHECK_INT(bide_await(one), 0);
    CHECK_INT(bide_await(two), 0);
    CHECK_INT(columns * 1000 + rows, 100030);
    CHECK_INT(others[0], 100);
    columns = 1; /* what is known is wrong: no wait */
    CHECK_INT(bide_terminal_wait_size(terminal, &columns, &rows), 0);
    one = waiting(bide_spawn(waits_size, terminal, &columns, &rows));
    bide_cancel(one);
    CHECK_INT(bide_await(one), -ECANCELED);
    CHECK_INT(n_chained, 2);
    resize(0, 0);
    CHECK_INT(bide_terminal_size(terminal, &columns, &rows), 0);
    CHECK_INT(columns * 1000 + rows, 80024);
    CHECK_INT(bide_terminal_size(terminal, NULL, NULL), 0);
    terminal_close(terminal);
}

STREAM_TEST(the_line_is_drawn_anew_in_another_size)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    bide_task *reader = bide_spawn(reads_entered, terminal, "> ");
    types("abcdefghijklmnopqrstuvwxyz");
    sees("xyz\x1b[J");
    resize(14, 24);
    sees("\r\x1b[2A> <rstuvwxyz\x1b[J\r\x1b[12C");
    resize(80, 24);
    sees("> abcdefghijklmnopqrstuvwxyz\x1b[J");
    types("\r");
    CHECK_INT(bide_await(reader), 27);
    terminal_close(terminal);
}

STREAM_TEST(what_moves_the_cursor)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    CHECK_INT(bide_terminal_save_cursor(terminal), 0);
    CHECK_INT(bide_terminal_move(terminal, 3, 4), 0);
    CHECK_INT(bide_terminal_move_by(terminal, -1, 2), 0);
    CHECK_INT(bide_terminal_move_by(terminal, 5, -6), 0);
    CHECK_INT(bide_terminal_move_by(terminal, 0, 0), 0);
    CHECK_INT(bide_terminal_clear(terminal, BIDE_TERMINAL_SCREEN), 0);
    CHECK_INT(bide_terminal_clear(terminal, BIDE_TERMINAL_BELOW), 0);
    CHECK_INT(bide_terminal_clear(terminal, BIDE_TERMINAL_ROW), 0);
    CHECK_INT(bide_terminal_clear(terminal, BIDE_TERMINAL_REST_OF_ROW), 0);
    CHECK_INT(bide_terminal_delete_rows(terminal, 2), 0);
    CHECK_INT(bide_terminal_insert_rows(terminal, 3), 0);
    CHECK_INT(bide_terminal_scroll_rows(terminal, 2, 20), 0);
    CHECK_INT(bide_terminal_scroll_rows(terminal, 0, 0), 0);
    CHECK_INT(bide_terminal_restore_cursor(terminal), 0);
    sees("\0337\x1b[4;3H\x1b[1D\x1b[2B\x1b[5C\x1b[6A\x1b[H\x1b[2J\x1b[J\x1b[2K\x1b[K\x1b[2M\x1b[3L"
         "\0337\x1b[2;20r\0338\0337\x1b[r\0338\0338");
    CHECK(bide_terminal_input(terminal) && bide_terminal_output(terminal));
    terminal_close(terminal);
}

/* Ends */

STREAM_TEST(closing_ends_what_others_wait_for)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_CBREAK);
    unsigned columns = 80, rows = 24;
    bide_task *reader = waiting(bide_spawn(reads_entered, terminal, "> "));
    bide_task *sizer = waiting(bide_spawn(waits_size, terminal, &columns, &rows));
    sees("> ");
    CHECK_INT(bide_terminal_close(terminal), 0);
    CHECK_INT(bide_await(reader), -ECONNABORTED);
    CHECK_INT(bide_await(sizer), -ECONNABORTED);
    sees("\x1b[J\x1b[?2004l");
    pty_close();
}

static bide_async(closes_terminal, (bide_terminal *, terminal))
{
    return bide_terminal_close(terminal);
}

STREAM_TEST(a_cancelled_close_puts_the_mode_back_all_the_same)
{
    bide_terminal *terminal = terminal_open(BIDE_TERMINAL_RAW);
    CHECK_INT(bide_terminal_print(terminal, "last words", 10), 0);
    struct bide_task_opts opts = {.always_start = true};
    bide_task *closer = bide_spawn_with(&opts, closes_terminal, terminal);
    bide_cancel(closer);
    bide_await(closer);
    CHECK(pty_is_as_before());
    sees("last words");
    pty_close();
}

static bide_terminal *left;

static bide_async(leaves, (bool, busy))
{
    left = terminal_open_with((struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK});
    if (busy)
        bide_detach(waiting(bide_spawn(reads_entered, left, "> ")));
    return 0;
}

BIDE_TEST(a_loop_that_ends_puts_the_mode_back)
{
    for (int busy = 0; busy < 2; busy++) {
        unsigned columns, rows;
        pty_open(80);
        CHECK_INT(bide_run_with(NULL, leaves, busy != 0), 0);
        CHECK(pty_is_as_before());
        CHECK_INT(bide_terminal_size(left, &columns, &rows), -ECONNABORTED);
        CHECK_INT(bide_terminal_set_mode(left, BIDE_TERMINAL_RAW), -ECONNABORTED);
        CHECK_PTR(bide_terminal_input(left), NULL);
        CHECK_INT(bide_terminal_close(left), 0);
        pty_close();
    }
}

static bide_async(ignores_its_end, (bide_terminal *, terminal))
{
    unsigned columns = 80, rows = 24;
    while (bide_shielded(INFINITY, bide_terminal_wait_size(terminal, &columns, &rows)) >= 0)
        ;
    return 0;
}

static bide_async(reads_under_a_shield, (bide_terminal *, terminal))
{
    char *line;
    return bide_shielded(INFINITY, bide_terminal_read_line(terminal, "> ", &line));
}

static void no_report(bide_loop *loop, const struct bide_report *report, void *data)
{
    (void)loop;
    (void)report;
    (void)data;
}

static bide_async(leaves_who_ignores)
{
    bide_loop_set_exception_handler(bide_loop_current(), no_report, NULL);
    left = terminal_open_with((struct bide_terminal_opts){.mode = BIDE_TERMINAL_CBREAK});
    bide_detach(waiting(bide_spawn(ignores_its_end, left)));
    bide_detach(waiting(bide_spawn(reads_under_a_shield, left)));
    return 0;
}

BIDE_TEST(a_loop_that_abandons_its_tasks_puts_the_mode_back)
{
    pty_open(80);
    struct bide_loop_opts opts = {.cleanup_seconds = 0.001};
    CHECK_INT(bide_run_with(&opts, leaves_who_ignores), 0);
    CHECK(pty_is_as_before());
    sees_at_last("\x1b[?2004l\r\n");
    CHECK_INT(bide_terminal_close(left), 0);
    pty_close();
}

static bide_async(refused_in_simulation)
{
    bide_terminal *terminal;
    struct bide_terminal_opts opts = {.input_fd = pty.slave, .output_fd = pty.slave};
    return bide_terminal_open(&opts, &terminal);
}

BIDE_TEST(simulation_has_no_terminal)
{
    pty_open(80);
    CHECK_INT(bide_run_with((&(struct bide_loop_opts){.engine = "sim"}), refused_in_simulation),
              -ENOSYS);
    pty_close();
}
