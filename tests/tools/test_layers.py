"""Scenario: small trees with one wrong include each. Claim: tools/layers names it, and accepts the
right ones.
"""

from sample import SampleCase


class Layers(SampleCase):
    def setUp(self):
        super().setUp()
        self.write("include/bide/error.h", "#include <stddef.h>\n")
        self.write("include/bide/loop.h", "#include <bide/error.h>\n")
        self.write("src/base/list.h", "#include <bide/error.h>\n")
        self.write("src/engine/engine.h", '#include "base/list.h"\n')
        self.write("src/engine/uring.h", '#include "engine.h"\n#include <liburing.h>\n')
        self.write("src/runtime/loop.c", '#include "engine/engine.h"\n#include <bide/loop.h>\n')
        self.write("src/engine/tty.h", "")
        self.write("src/io/terminal.c", '#include "engine/tty.h"\n')
        self.write("cli/main.c", "#include <bide/loop.h>\n")

    def test_right_tree_is_clean(self):
        self.assert_clean("layers")

    def test_upward_include(self):
        self.write("src/base/time.c", '#include "runtime/loop.h"\n')
        self.write("src/runtime/loop.h", "")
        self.assert_found("src/base/time.c:1: base may not include runtime/loop.h", "layers")

    def test_sideways_include(self):
        self.write("src/fiber/stack.c", '/* */\n#include "engine/engine.h"\n')
        self.assert_found("src/fiber/stack.c:2: fiber may not include", "layers")

    def test_own_header_of_an_engine(self):
        self.write("src/runtime/task.c", '#include "engine/uring.h"\n')
        self.assert_found("through engine/engine.h only", "layers")

    def test_public_header_of_a_higher_layer(self):
        self.write("src/engine/uring.c", "#include <bide/loop.h>\n")
        self.assert_found("engine may not include <bide/loop.h>, a header of runtime", "layers")
        self.write("src/engine/uring.c", '#include "bide/loop.h"\n')
        self.assert_found("engine may not include <bide/loop.h>", "layers")

    def test_public_header_sees_internal_one(self):
        self.write("include/bide/error.h", '#include "base/list.h"\n')
        self.assert_found('not "base/list.h"', "layers")

    def test_public_header_sees_higher_one(self):
        self.write("include/bide/error.h", "#include <bide/loop.h>\n")
        self.assert_found("may not include <bide/loop.h> of runtime", "layers")

    def test_public_header_without_layer(self):
        self.write("include/bide/novel.h", "#include <bide/error.h>\n")
        self.assert_found("<bide/novel.h> has no layer", "layers")

    def test_program_sees_internal_header(self):
        self.write("examples/tour.c", '#include "base/list.h"\n')
        self.assert_found("programs see public headers only", "layers")
        self.write("examples/tour.c", '#include "../src/base/list.h"\n')
        self.assert_found("programs see public headers only", "layers")

    def test_kit_sees_internal_header(self):
        self.write("src/test/check.c", '#include "base/list.h"\n')
        self.assert_found("test sees public headers only, not base/list.h", "layers")
        self.write("src/base/watched.h", "")
        self.write("src/test/check.c", '#include "base/watched.h"\n')
        self.assert_clean("layers")

    def test_foreign_header_in_the_wrong_layer(self):
        self.write("src/runtime/task.c", "#include <liburing.h>\n")
        self.assert_found("may be included in src/engine only", "layers")

    def test_folder_that_is_no_layer(self):
        self.write("src/utils/misc.c", '#include "base/list.h"\n')
        self.assert_found("src/utils is no layer", "layers")

    def test_commented_include_does_not_count(self):
        self.write("src/base/time.c", '/* #include "runtime/loop.c" */\n')
        self.assert_clean("layers")

    def test_nothing_to_check_is_no_success(self):
        self.root = self.root / "empty"
        self.assertEqual(self.run_tool("layers")[0], 2)
