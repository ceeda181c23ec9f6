"""Scenario: shared libraries that export too much or too little. Claim: tools/symbols names the
symbol.
"""

import subprocess

from sample import SampleCase

HEADER = "/* f */\nBIDE_EXPORT int bide_f(void);\nint bide__g(void);\n"
MAP = "V { global: bide_*; local: *; };\n"


class Symbols(SampleCase):
    def library(self, code, version_script=True):
        unit = self.write("unit.c", code)
        script = self.write("unit.map", MAP)
        library = self.root / "unit.so"
        command = ["gcc", "-shared", "-fPIC", "-fvisibility=hidden", unit, "-o", library]
        if version_script:
            command.append(f"-Wl,--version-script,{script}")
        subprocess.run(command, check=True)
        return library

    def test_match(self):
        self.write("include/bide/a.h", HEADER)
        visible = '__attribute__((visibility("default")))'
        library = self.library(
            f"int {visible} bide_f(void) {{ return 1; }} int bide__g(void) {{ return 1; }}"
        )
        self.assert_clean("symbols", library)

    def test_internal(self):
        self.write("include/bide/a.h", HEADER)
        self.write("src/io/b.h", "BIDE_EXPORT int bide__h(void);\n")
        visible = '__attribute__((visibility("default")))'
        library = self.library(
            f"int {visible} bide_f(void) {{ return 1; }}\n"
            f"int {visible} bide__h(void) {{ return 1; }}"
        )
        self.assert_clean("symbols", library)

    def test_missing(self):
        self.write("include/bide/a.h", HEADER)
        visible = '__attribute__((visibility("default")))'
        library = self.library(
            f"int bide_f(void) {{ return 1; }} int {visible} bide_h(void) {{ return 1; }}"
        )
        self.assert_found(
            "bide_f is declared, but the library does not export it", "symbols", library
        )
        self.assert_found(
            "bide_h is exported, but no header declares it", "symbols", library
        )

    def test_unversioned(self):
        self.write("include/bide/a.h", HEADER)
        code = '__attribute__((visibility("default"))) int bide_f(void) { return 1; }'
        self.assert_found("bide_f has no symbol version", "symbols", self.library(code, False))
