/* A dialogue with a program that prompts, which is asked to end when we have heard enough. */
#include <bide.h>

#include <stdio.h>
#include <string.h>

static const char guessing[] = "echo 'I think of a number.';"
                               "while printf 'Your guess? '; read guess; do"
                               "  if [ $guess -lt 42 ]; then echo more;"
                               "  elif [ $guess -gt 42 ]; then echo less;"
                               "  else echo right; fi;"
                               "done";

bide_async(guess, (bide_stream *, input), (bide_stream *, output))
{
    int low = 0, high = 100;
    char *text;
    int rc = bide_read_line(output, &text);
    if (rc > 0)
        printf("it: %s\n", text);
    while (rc >= 0) {
        char answer[16];
        int middle = (low + high) / 2;
        rc = bide_read_until(output, "? ", 2, &text); /* a prompt does not end its line */
        if (rc < 0)
            break;
        int n = snprintf(answer, sizeof answer, "%d\n", middle);
        rc = bide_write(input, answer, (size_t)n);
        if (rc < 0)
            break;
        rc = bide_read_line(output, &text);
        if (rc <= 0)
            break;
        printf("we: %d, it: %s\n", middle, text);
        if (strcmp(text, "right") == 0)
            return 0;
        if (strcmp(text, "more") == 0)
            low = middle;
        else
            high = middle;
    }
    return rc < 0 ? rc : -BIDE_EINCOMPLETE;
}

bide_async(amain)
{
    struct bide_process_opts opts = {
        .input.kind = BIDE_STDIO_PIPE,
        .output.kind = BIDE_STDIO_PIPE,
    };
    bide_process *game;
    int rc;
    bide_with (rc, bide_process_shell(guessing, &opts, &game), bide_process_release, game) {
        rc = bide_within(10, guess(bide_process_input(game), bide_process_output(game)));
    }
    puts(rc < 0 ? bide_strerror(rc) : "done"); /* the game has ended, too */
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
