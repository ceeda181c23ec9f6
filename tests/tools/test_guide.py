"""Scenario: a guide whose quotations, code or links are no longer right. Claim: tools/guide names
the page and the line.
"""

from sample import SampleCase

QUOTED = "From [a.c](../../examples/a.c):\n\n"


class Guide(SampleCase):
    def setUp(self):
        super().setUp()
        self.write("include/bide.h", "int bide_sleep(double seconds);\n")
        self.write("examples/a.c", "int a(void)\n{\n    return 1;\n}\n")

    def page(self, text):
        self.write("docs/guide/01-a.md", text)

    def test_quotation_and_code_are_clean(self):
        self.page(
            f"{QUOTED}```c\n    return 1;\n}}\n```\n\nText.\n\n"
            "```c\nint f(void) { return bide_sleep(1); }\n```\n"
        )
        self.assert_clean("guide")

    def test_quotation_that_differs(self):
        self.page(f"{QUOTED}```c\n    return 2;\n```\n")
        self.assert_found("docs/guide/01-a.md:4: a.c does not contain these lines", "guide")

    def test_quotation_with_a_gap(self):
        self.page(f"{QUOTED}```c\nint a(void)\n    return 1;\n```\n")
        self.assert_found("docs/guide/01-a.md:4: a.c does not contain these lines", "guide")

    def test_code_that_does_not_compile(self):
        self.page("Text.\n\n```c\nint f(void) { return bide_sleeps(1); }\n```\n")
        self.assert_found("docs/guide/01-a.md:4: does not compile", "guide")

    def test_link_that_leads_nowhere(self):
        self.page("See [b](../../examples/b.c) and [the net](https://example.org/b.c).\n")
        self.assert_found("docs/guide/01-a.md:1: link to ../../examples/b.c leads nowhere", "guide")

    def test_long_line(self):
        self.page("a" * 101 + "\n")
        self.assert_found("docs/guide/01-a.md:1: 101 columns", "guide")

    def test_no_guide(self):
        status, _ = self.run_tool("guide")
        self.assertEqual(status, 2)
