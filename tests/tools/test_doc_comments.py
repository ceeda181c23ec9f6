"""Scenario: public headers with a missing or incomplete comment. Claim: tools/doc-comments names
each declaration.
"""

from sample import SampleCase

DOCUMENTED = """/* What it is for. */
#ifndef BIDE_SAMPLE_H
#define BIDE_SAMPLE_H

#include <stddef.h>

BIDE_BEGIN_DECLARATIONS

/* A thing. */
typedef struct bide_thing bide_thing;

/* Called with each thing. */
typedef int bide_visit(bide_thing *thing, void *data);

/* Options. */
struct bide_thing_opts {
    int (*filter)(int);
    size_t size;
};

/* States. */
enum bide_state {
    BIDE_NEW, /* not yet begun */
    /* It has ended. */
    BIDE_OLD,
};

/*
 * Makes one.
 *
 * Suspends: no. Cancel: not affected. Thread: any.
 */
BIDE_EXPORT bide_thing *bide_thing_new(const struct bide_thing_opts *opts, int (*visit)(int))
    __attribute__((warn_unused_result));

/* Twice. Suspends: no. Cancel: not affected. Thread: any. */
static inline int bide_twice(int n)
{
    if (n > 5) {
        return n;
    }
    return 2 * n;
}

/* Makes one with defaults. */
#define bide_thing_default() bide_thing_new(NULL, \\
                                            NULL)

/* Limits. */
#define BIDE_SMALL 1
#define BIDE_LARGE 2

void *bide__internal(void);
struct iovec;
#define BIDE__INTERNAL 1

BIDE_END_DECLARATIONS

#endif
"""


class DocComments(SampleCase):
    def check_without(self, removed, words, instead=""):
        self.assertIn(removed, DOCUMENTED)
        self.write("include/bide/sample.h", DOCUMENTED.replace(removed, instead))
        self.assert_found(words, "doc-comments")

    def test_documented_header_is_clean(self):
        self.write("include/bide/sample.h", DOCUMENTED)
        self.assert_clean("doc-comments")

    def test_each_kind_of_declaration(self):
        self.check_without("/* A thing. */\n", "type bide_thing has no comment")
        self.check_without("/* Called with each thing. */\n", "type bide_visit has no comment")
        self.check_without("/* Options. */\n", "type bide_thing_opts has no comment")
        self.check_without("/* States. */\n", "enum bide_state has no comment")
        self.check_without("/* Makes one with defaults. */\n", "macro bide_thing_default has no")
        self.check_without("/* Limits. */\n", "macro BIDE_SMALL has no comment")

    def test_each_word_of_a_function(self):
        self.check_without("\n * Suspends: no.", "comment of bide_thing_new lacks 'Suspends:'")
        self.check_without(
            " Cancel: not affected. Thread: any.\n", "bide_thing_new lacks 'Cancel:'"
        )
        self.check_without(
            "Twice. Suspends: no. Cancel: not affected. ", "bide_twice lacks 'Cancel:'"
        )
        self.check_without(" Thread: any. */", "bide_twice lacks 'Thread:'", instead=" */")

    def test_constants(self):
        self.check_without(" /* not yet begun */", "BIDE_NEW has no comment")
        self.check_without("    /* It has ended. */\n", "BIDE_OLD has no comment")

    def test_a_comment_counts_for_what_is_right_below(self):
        self.write(
            "include/bide/sample.h", DOCUMENTED.replace("/* A thing. */\n", "/* A thing. */\n\n")
        )
        self.assert_found("type bide_thing has no comment", "doc-comments")

    def test_a_comment_beside_the_previous_line_does_not_count(self):
        header = DOCUMENTED.replace("/* Options. */\n", "int bide_x; /* x */\n")
        self.write("include/bide/sample.h", header)
        self.assert_found("type bide_thing_opts has no comment", "doc-comments")
