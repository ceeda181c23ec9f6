/*
 * Scenario: a child is fed and heard at the same time, in dialogue or at once.
 * Claim: full pipes in either direction stop nobody for good; what a cancelled call has read and
 * fed is not lost; limits hold.
 */
#include "process_rig.h"

static char sent[2 * MIB];

static bide_async(communicates, (bide_process *, process), (size_t, size),
                  (struct bide_communicated *, said))
{
    return bide_process_communicate(process, sent, size, 0, said);
}

PROCESS_TEST(much_goes_through_a_child)
{
    struct bide_communicated said;
    bide_process *process = start("cat");
    pattern_fill(sent, 0, sizeof sent);
    CHECK_INT(bide_process_communicate(process, sent, sizeof sent, 0, &said), 0);
    CHECK_INT(said.output_bytes, sizeof sent);
    pattern_check(said.output, 0, sizeof sent);
    CHECK_INT(said.output[said.output_bytes], 0);
    CHECK_INT(said.errors_bytes, 0);
    CHECK_STR(said.errors, "");
    CHECK_INT(bide_exit_code(&said.exit), 0);
    bide_communicated_free(&said);
    CHECK_PTR(said.output, NULL);
    CHECK_INT(bide_process_close(process), 0);
}

/* It fills both pipes before it looks at its input, which does not fit into its pipe either. */
PROCESS_TEST(a_child_that_writes_before_it_reads)
{
    struct bide_communicated said;
    bide_process *process = start(
        "head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2; wc -c >&2");
    CHECK_INT(bide_process_communicate(process, sent, 1000000, 0, &said), 0);
    CHECK_INT(said.output_bytes, 500000);
    CHECK_INT(said.errors_bytes, 500008);
    CHECK_STR(said.errors + 500000, "1000000\n");
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(a_child_that_does_not_want_its_input)
{
    const char *commands[] = {"exit 3", "exec 0<&-; echo x; exit 3",
                              "head -c 10 >/dev/null; exit 3"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct bide_communicated said;
        bide_process *process = start(commands[i]);
        CHECK_INT(bide_process_communicate(process, sent, sizeof sent, 0, &said), 0);
        CHECK_INT(bide_exit_code(&said.exit), 3);
        bide_communicated_free(&said);
        CHECK_INT(bide_process_close(process), 0);
    }
}

PROCESS_TEST(only_what_is_a_pipe_takes_part)
{
    struct bide_communicated said;
    struct bide_process_opts opts = {.input = NOWHERE, .output = NOWHERE, .errors = PIPE};
    bide_process *process = start_with("cat; echo x >&2", &opts);
    CHECK_INT(bide_process_communicate(process, "unheard", 7, 0, &said), 0);
    CHECK_STR(said.output, "");
    CHECK_STR(said.errors, "x\n");
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(what_was_read_before_is_not_read_again)
{
    bide_process *process = start("echo first; echo second; cat");
    CHECK_STR(line_of(process), "first");
    CHECK_INT(bide_write(bide_process_input(process), "fed ", 4), 0);
    struct bide_communicated said;
    CHECK_INT(bide_process_communicate(process, "more", 4, 0, &said), 0);
    CHECK_STR(said.output, "second\nfed more");
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(output_has_a_limit)
{
    struct bide_communicated said = {.output_bytes = 77};
    bide_process *process = start("yes");
    CHECK_INT(bide_process_communicate(process, NULL, 0, 1000, &said), -BIDE_ELIMIT);
    CHECK_INT(said.output_bytes, 77);
    CHECK_INT(bide_process_poll(process, NULL), 0); /* it runs still */
    CHECK_INT(bide_process_close(process), 0);
    process = start("printf 12345");
    CHECK_INT(bide_process_communicate(process, NULL, 0, 5, &said), 0);
    CHECK_STR(said.output, "12345");
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(one_task_at_a_time)
{
    struct bide_communicated said, other;
    bide_process *process = start("cat; read x");
    bide_task *task = waiting(bide_spawn(communicates, process, 0, &said));
    CHECK_INT(bide_process_communicate(process, NULL, 0, 0, &other), -EBUSY);
    CHECK_INT(bide_await(task), 0);
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

/* Cancelled again and again; each time the same call goes on. */
PROCESS_TEST(nothing_is_lost_by_cancelled_calls)
{
    struct bide_communicated said;
    bide_process *process = start("cat");
    pattern_fill(sent, 0, sizeof sent);
    int n_cancelled = 0;
    for (int n = 0;; n++) {
        bide_task *task = bide_spawn(communicates, process, sizeof sent, &said);
        turns(1 + n % 7);
        bide_cancel(task);
        int rc = bide_await(task);
        if (rc == 0)
            break;
        CHECK_INT(rc, -ECANCELED);
        n_cancelled++;
    }
    CHECK(n_cancelled > 3);
    CHECK_INT(said.output_bytes, sizeof sent);
    pattern_check(said.output, 0, sizeof sent);
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

PROCESS_TEST(a_time_limit_ends_the_call_and_not_the_child)
{
    struct bide_communicated said;
    int go_on[2];
    CHECK_INT(pipe2(go_on, O_CLOEXEC), 0);
    struct bide_process_opts opts = {.input = {BIDE_STDIO_FD, go_on[0]}, .output = PIPE};
    bide_process *process = start_with("printf early; read x; printf late", &opts);
    int rc = bide_within(TICKS(4), bide_process_communicate(process, NULL, 0, 0, &said));
    CHECK_INT(rc, -ETIMEDOUT);
    CHECK_INT(write(go_on[1], "\n", 1), 1);
    CHECK_INT(bide_process_communicate(process, NULL, 0, 0, &said), 0);
    CHECK_STR(said.output, "earlylate");
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
    close(go_on[0]);
    close(go_on[1]);
}

PROCESS_TEST(somebody_who_keeps_the_pipe_keeps_the_call)
{
    struct bide_communicated said;
    struct bide_process_opts opts = piped;
    opts.new_group = true;
    bide_process *process = start_with("sleep 1000 & echo x", &opts);
    int rc = bide_within(TICKS(4), bide_process_communicate(process, NULL, 0, 0, &said));
    CHECK_INT(rc, -ETIMEDOUT);
    CHECK_INT(bide_process_close(process), 0); /* and the one in the background with it */
}

PROCESS_TEST(killed_in_the_middle)
{
    struct bide_communicated said;
    bide_process *process = start("cat; sleep 1000");
    bide_task *task = waiting(bide_spawn(communicates, process, 100000, &said));
    while (bide_process_input(process) && bide_stream_pending(bide_process_input(process)) > 0)
        turns(1);
    CHECK_INT(bide_process_kill(process), 0);
    CHECK_INT(bide_await(task), 0);
    CHECK_INT(bide_exit_code(&said.exit), -SIGKILL);
    CHECK_RANGE(said.output_bytes, 0, 100000);
    bide_communicated_free(&said);
    CHECK_INT(bide_process_close(process), 0);
}

/* A dialogue: it asks without ending its line, and each answer depends on what was asked. */
PROCESS_TEST(an_interactive_program_is_answered)
{
    static const char program[] = "total = 0\n"
                                  "while True:\n"
                                  "    text = input('next? ')\n"
                                  "    if text == 'stop': break\n"
                                  "    total += int(text)\n"
                                  "    print('sum', total)\n"
                                  "print('bye')\n";
    bide_process *process;
    CHECK_INT(bide_process_exec(bide_argv("python3", "-S", "-c", program), &piped, &process), 0);
    bide_stream *input = bide_process_input(process);
    bide_stream *output = bide_process_output(process);
    for (int i = 1; i <= 20; i++) {
        char *text;
        char answer[16], expected[32];
        CHECK_INT(bide_read_until(output, "? ", 2, &text), 6);
        CHECK_MEM(text, "next? ", 6);
        int n = snprintf(answer, sizeof answer, "%d\n", i);
        CHECK_INT(bide_write(input, answer, (size_t)n), 0);
        snprintf(expected, sizeof expected, "sum %d", i * (i + 1) / 2);
        CHECK_STR(line_of(process), expected);
    }
    CHECK_INT(bide_write(input, "stop\n", 5), 0);
    CHECK_STR(line_of(process), "next? bye");
    CHECK_INT(code_of(process), 0);
    CHECK_INT(bide_process_close(process), 0);
}
