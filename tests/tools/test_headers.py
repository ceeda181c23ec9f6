"""Scenario: headers that lean on others, or are no C++. Claim: tools/headers names the header and
the mode.
"""

import shutil

from sample import SampleCase


class Headers(SampleCase):
    def families(self):
        return [family for family in ("gcc", "clang") if shutil.which(family)]

    def test_complete_header_is_clean(self):
        self.write(
            "include/bide.h", "#ifndef B\n#define B\n#include <stddef.h>\nsize_t f(void);\n#endif\n"
        )
        for family in self.families():
            self.assert_clean("headers", family)

    def test_missing_include(self):
        self.write("include/bide/a.h", "size_t bide_size(void);\n")
        for family in self.families():
            self.assert_found("include/bide/a.h:1: does not compile alone", "headers", family)

    def test_no_guard(self):
        self.write("include/bide/a.h", "struct bide_a { int a; };\n")
        self.assert_found("redefinition", "headers", "gcc")

    def test_not_cxx(self):
        self.write("include/bide/a.h", "#ifndef A\n#define A\nint f(int class);\n#endif\n")
        self.assert_found("g++ -x c++", "headers", "gcc")

    def test_warnings_count(self):
        text = "#ifndef A\n#define A\nstatic inline int f(long a) { return a; }\n#endif\n"
        self.write("include/bide/a.h", text)
        self.assert_found("conversion", "headers", "gcc")
