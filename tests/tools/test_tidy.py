"""Scenario: files at and beyond each limit. Claim: tools/tidy accepts the limit itself and names
what exceeds it.
"""

from sample import SampleCase

HEAD = "/* What it is for. */\n"


def function(lines):
    """A function whose braces and what is between them take so many lines."""
    return "int f(void)\n{\n" + "    g();\n" * (lines - 2) + "}\n"


class Tidy(SampleCase):
    def test_function_length(self):
        self.write("src/base/a.c", HEAD + function(70))
        self.assert_clean("tidy")
        self.write("src/base/a.c", HEAD + function(71))
        self.assert_found("src/base/a.c:3: a function of 71 lines", "tidy")

    def test_tables_may_be_long(self):
        self.write("src/base/a.c", HEAD + "int table[] = {\n" + "    1,\n" * 90 + "};\n")
        self.assert_clean("tidy")

    def test_braces_in_strings_and_comments(self):
        self.write("src/base/a.c", HEAD + "/*\n{\n*/\n" + "int a;\n" * 80 + function(5))
        self.assert_clean("tidy")

    def test_file_length(self):
        self.write("src/base/a.c", HEAD + "int a;\n" * 799)
        self.assert_clean("tidy")
        self.write("src/base/a.c", HEAD + "int a;\n" * 800)
        self.assert_found("801 lines, at most 800", "tidy")

    def test_public_header_length(self):
        self.write("src/base/a.h", HEAD + "int a;\n" * 400)
        self.assert_clean("tidy")
        self.write("include/bide/a.h", HEAD + "int a;\n" * 400)
        self.assert_found("include/bide/a.h:401: 401 lines, at most 400", "tidy")

    def test_columns(self):
        self.write("src/base/a.c", HEAD + "/*" + "x" * 96 + "*/\n")
        self.assert_clean("tidy")
        self.write("src/base/a.c", HEAD + "/*" + "x" * 97 + "*/\n")
        self.assert_found("src/base/a.c:2: 101 columns", "tidy")

    def test_banners(self):
        for banner in ("/* ------ */", "/*****", " ****/", "// =====", "/* ==== */"):
            self.write("src/base/a.c", HEAD + banner + "\n")
            self.assert_found("a banner", "tidy")
        self.write("tools/script.py", '"""Doc."""\n# ---------\n')
        self.assert_found("tools/script.py:2: a banner", "tidy")

    def test_unfinished_work(self):
        self.write("src/base/a.c", HEAD + "/* TO" + "DO: the rest */\n")
        self.assert_found("unfinished", "tidy")

    def test_tabs_and_blanks(self):
        self.write("src/base/a.c", HEAD + "\tint a;\n")
        self.assert_found("a tab", "tidy")
        self.write("src/base/a.c", HEAD + "int a; \n")
        self.assert_found("blanks at the end", "tidy")

    def test_opening_comment(self):
        self.write("src/base/a.c", "int a;\n")
        self.assert_found("no opening comment", "tidy")

    def test_python_functions(self):
        self.write("tools/script.py", "def f():\n" + "    g()\n" * 70)
        self.assert_found("a function of 71 lines", "tidy")
