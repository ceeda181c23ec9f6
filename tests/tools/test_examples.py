"""Scenario: headers of which nothing is shown, and examples that the index lacks. Claim:
tools/examples names them, and tells single functions that are used nowhere without complaint.
"""

from sample import SampleCase

HEADER = """/* A. */
typedef struct bide_a bide_a;
int bide_a_one(void);
int bide_a_two(void);
int bide__a_inside(void);
#define bide_a_all() (bide__a_inside())
#define BIDE_A 1
"""
UNUSED = "include/bide/a.h:1: nothing of it is used"


class Examples(SampleCase):
    def setUp(self):
        super().setUp()
        self.write("include/bide/a.h", HEADER)
        self.write("include/bide/line.h", "int bide_line(void);\n")
        self.write("examples/README.md", "[x](x.c)\n")

    def shows(self, code, name="examples/x.c"):
        self.write(name, f"int main(void)\n{{\n    {code}\n}}\n")

    def assert_passes(self):
        status, output = self.run_tool("examples")
        self.assertEqual(status, 0, output)
        return output

    def test_all_is_used_and_listed(self):
        self.write("include/bide/line.h", "\n")
        self.shows("return bide_a_one() + bide_a_two() + bide_a_all();")
        self.assert_clean("examples")

    def test_one_is_enough_and_the_others_are_told(self):
        self.shows("return bide_a_one();")
        output = self.assert_passes()
        self.assertIn("include/bide/a.h:4: bide_a_two is used nowhere\n", output)
        self.assertIn("include/bide/a.h:6: bide_a_all is used nowhere\n", output)
        self.assertNotIn("bide_a_one", output)
        self.assertNotIn("inside", output)

    def test_a_macro_counts(self):
        self.shows("return bide_a_all();")
        self.assert_passes()

    def test_what_a_macro_stands_for_is_reached(self):
        self.write(
            "include/bide/b.h",
            "int bide_b_plain(void);\n#define BIDE_B_TYPED(name) BIDE__B(name)\n"
            "#define BIDE__B(name) \\\n    static int name(void) { return bide_b_plain(); }\n",
        )
        self.shows("return bide_a_one() + BIDE_B_TYPED(x);")
        self.assertNotIn("bide_b_plain", self.assert_passes())
        self.shows("return bide_a_one() + bide_b_plain();")
        self.assertIn("include/bide/b.h:2: BIDE_B_TYPED is used nowhere", self.assert_passes())

    def test_the_tool_and_the_guide_count(self):
        self.shows("return 0;")
        self.shows("return bide_a_one();", "cli/x.c")
        self.assert_passes()
        self.shows("return 0;", "cli/x.c")
        self.write("docs/guide/01-a.md", "Text.\n\n```c\nint n = bide_a_two();\n```\n")
        self.assert_passes()

    def test_nothing_is_used(self):
        self.shows("return 0;")
        self.assert_found(UNUSED, "examples")

    def test_words_types_and_constants_do_not_count(self):
        self.shows('bide_a *a = 0; puts("bide_a_one()"); /* bide_a_one() */ return BIDE_A;')
        self.write("docs/guide/01-a.md", "`bide_a_one()`\n\n```sh\nbide_a_one\n```\n")
        self.assert_found(UNUSED, "examples")

    def test_types_count_where_there_is_nothing_else(self):
        self.write("include/bide/b.h", "struct bide_b {\n    int b;\n};\nenum bide_c { BIDE_C };\n")
        self.shows("return bide_a_one();")
        self.assert_found("include/bide/b.h:1: nothing of it is used", "examples")
        self.shows("struct bide_b b = {bide_a_one()}; return b.b;")
        self.assert_passes()

    def test_other_places_do_not_count(self):
        self.shows("return 0;")
        self.shows("return bide_a_one();", "tests/x.c")
        self.assert_found(UNUSED, "examples")

    def test_example_that_is_not_listed(self):
        self.shows("return bide_a_one();")
        self.shows("return 0;", "examples/y.c")
        self.assert_found("examples/y.c:1: is not listed in examples/README.md", "examples")

    def test_no_index(self):
        self.shows("return bide_a_one();")
        (self.root / "examples/README.md").unlink()
        self.assert_found("examples/x.c:1: is not listed", "examples")

    def test_no_headers(self):
        for header in self.root.glob("include/bide/*"):
            header.unlink()
        status, _ = self.run_tool("examples")
        self.assertEqual(status, 2)
