"""Scenario: `meson install` into an empty folder, and a program that knows only that folder. Claim:
it compiles through pkg-config as C and as C++, links with the shared and with the static library,
and runs; and the public headers, no others, are installed.

BUILD_DIR names the build directory.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
EXPECTED = "1 2 0 3 Timed out\n"
TESTS_EXPECTED = """\
ok 1 - numbers_are_equal
ok 2 - limits_are_scaled
ok 3 - a_minute_passes
ok 4 - each_word/0
ok 5 - each_word/1
ok 6 - with_a_task
ok 7 - with_its_twin
ok 8 - not_today/0 # SKIP not today
ok 9 - not_today/1 # SKIP not today
1..9
"""
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")


def run(*command, **environment):
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        build = os.environ["BUILD_DIR"]
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", cls.root)
        (description,) = cls.root.rglob("bide.pc")
        cls.library = description.parent.parent
        cls.environment = {
            "PKG_CONFIG_PATH": str(description.parent),
            "PKG_CONFIG_SYSROOT_DIR": str(cls.root),
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
            "LD_LIBRARY_PATH": str(cls.library),
        }

    def flags(self, *options, package="bide"):
        return run("pkg-config", *options, package, **self.environment).split()

    def compile_and_run(self, *compiler, name="tour", package="bide", expected=EXPECTED):
        program = self.root / name
        cflags = self.flags("--cflags", package=package)
        libraries = self.flags("--libs", package=package)
        run(*compiler, *STRICT, *cflags, HERE / f"{name}.c", "-o", program, *libraries)
        self.assertEqual(run(program, **self.environment), expected)

    def test_c(self):
        for standard in ("gnu11", "gnu17"):
            self.compile_and_run("gcc", f"-std={standard}")

    def test_cxx(self):
        for standard in ("gnu++11", "gnu++17"):
            self.compile_and_run("g++", "-x", "c++", f"-std={standard}")

    def test_static_library(self):
        program = self.root / "tour-static"
        libraries = [l for l in self.flags("--static", "--libs") if l != "-lbide"]
        library = self.library / "libbide.a"
        run("gcc", *self.flags("--cflags"), HERE / "tour.c", "-o", program, library, *libraries)
        self.assertNotIn("libbide", run("readelf", "-d", program))
        self.assertEqual(run(program), EXPECTED)

    def test_test_kit(self):
        for compiler in ("gcc", "-std=gnu11"), ("gcc", "-std=gnu17"), ("g++", "-x", "c++"):
            self.compile_and_run(
                *compiler, name="tests", package="bide-test", expected=TESTS_EXPECTED
            )

    def test_tls(self):
        if not list(self.root.rglob("bide-tls.pc")):
            self.skipTest("built without OpenSSL")
        for compiler in ("gcc", "-std=gnu11"), ("g++", "-x", "c++"):
            self.compile_and_run(
                *compiler, name="tls", package="bide-tls", expected="nobody there\n"
            )
        self.assertNotIn("ssl", " ".join(self.flags("--libs")))

    def test_kit_is_linked_by_who_asks_for_it(self):
        self.assertNotIn("-lbide-test", self.flags("--libs"))

    def test_headers(self):
        (umbrella,) = self.root.rglob("bide.h")
        installed = {p.relative_to(umbrella.parent) for p in umbrella.parent.rglob("*.h")}
        public = {p.relative_to(INCLUDE) for p in INCLUDE.rglob("*.h")}
        self.assertEqual(installed, public)

    def test_tool(self):
        (tool,) = self.root.rglob("bin/bide")
        self.assertNotIn("RUNPATH", run("readelf", "-d", tool))
