"""Scenario: counts of instructions beside kept ones, from tables and from a program that stands in
for callgrind. Claim: what takes more than it may fails, whatever else is in the table; what can't
be compared is never called fine, and with another compiler nothing fails and that is said.
"""

import contextlib
import io
import json
import os
import pathlib
import stat
import sys
import tempfile
import unittest
from unittest import mock

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))

import check

HERE = {"compiler": "gcc 12", "machine": "m"}


class Arithmetic(unittest.TestCase):
    def test_what_begins_and_ends_a_run_is_not_counted(self):
        begin = 7_000_000
        short, long = begin + 250 * 42, begin + 1000 * 42
        self.assertEqual(check.per_operation(short, long, 250, 1000), 42)

    def test_a_long_run_is_longer(self):
        with self.assertRaises(ValueError):
            check.per_operation(1, 2, 10, 10)

    def test_the_limit_itself_is_allowed(self):
        self.assertFalse(check.judged("a", 100, 103).is_worse)
        self.assertTrue(check.judged("a", 100, 103.1).is_worse)
        self.assertTrue(check.judged("a", 1000, 1030.5).is_worse)

    def test_better_is_said_and_a_little_better_is_not(self):
        self.assertEqual(check.judged("a", 100, 96.9).words, "better")
        self.assertEqual(check.judged("a", 100, 97.1).words, "")
        self.assertFalse(check.judged("a", 100, 50).is_worse)

    def test_what_is_new_or_gone_is_not_fine(self):
        rows = check.compare({"old": 1.0}, {"new": 1.0}, is_all=True)
        self.assertEqual([(row.path, row.is_worse) for row in rows], [("new", True), ("old", True)])

    def test_a_part_does_not_miss_the_rest(self):
        rows = check.compare({"a": 1.0, "b": 1.0}, {"a": 1.0}, is_all=False)
        self.assertEqual([row.path for row in rows], ["a"])


class Verdict(unittest.TestCase):
    def verdict(self, kept, counted, others=()):
        return check.verdict(check.compare(kept, counted, True), others)

    def test_one_that_is_worse_fails_whatever_the_others_gain(self):
        failed, words = self.verdict({"a": 100, "b": 100}, {"a": 50, "b": 104})
        self.assertTrue(failed)
        self.assertIn("b: over 3% more", words)
        self.assertNotIn("a:", words)

    def test_nothing_to_say(self):
        self.assertEqual(self.verdict({"a": 100}, {"a": 101}), (False, ""))

    def test_better_is_worth_keeping(self):
        failed, words = self.verdict({"a": 100}, {"a": 90})
        self.assertFalse(failed)
        self.assertIn("--update", words)

    def test_another_compiler_cannot_fail_and_that_is_said(self):
        others = check.differences({**HERE, "compiler": "clang 14"}, HERE)
        failed, words = self.verdict({"a": 100}, {"a": 200}, others)
        self.assertFalse(failed)
        self.assertIn("made with clang 14, and here is gcc 12", words)

    def test_the_same_compiler_is_no_difference(self):
        self.assertEqual(check.differences(HERE, dict(HERE)), [])

    def test_table(self):
        text = check.table(check.compare({"a": 100, "old": 5}, {"a": 104, "new": 7}, True))
        self.assertIn("+4.00%", text)
        self.assertEqual(len(text.splitlines()), 4)


class Sum(unittest.TestCase):
    def test_of_both_forms_of_the_file(self):
        self.assertEqual(check.instructions("version: 1\nsummary: 123\nfn=(1) x\n16 5\n"), 123)
        self.assertEqual(check.instructions("fn=(1) x\n16 5\ntotals: 77\n"), 77)

    def test_a_file_without(self):
        with self.assertRaises(check.Failed):
            check.instructions("version: 1\n")


# In valgrind's place: 1,000 instructions and COST for each operation.
STAND_IN = """#!/bin/sh
[ "$1" = --version ] && { echo valgrind-1; exit; }
[ "$5" = broken ] && { echo "no such thing" >&2; exit 1; }
for word; do case $word in --callgrind-out-file=*) out=${word#*=} ;; esac; done
for n; do :; done
echo "totals: $((1000 + COST * n))" >"$out"
"""
HOT = """#!/bin/sh
echo gcc 12
echo a 400
echo b/c 400
"""


class Whole(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program("valgrind", STAND_IN)
        self.program("bench/hot", HOT)
        self.kept = self.root / "kept.json"

    def program(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def check(self, *arguments, cost=10):
        line = ["check.py", "--build", str(self.root), "--kept", str(self.kept), *arguments]
        environment = {"COST": str(cost), "PATH": f"{self.root}:{os.environ['PATH']}"}
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            with mock.patch.object(sys, "argv", line), mock.patch.dict(os.environ, environment):
                status = check.main()
        return status, out.getvalue()

    def test_kept_then_compared(self):
        self.assertEqual(self.check()[0], 1, "nothing is kept yet")
        self.assertEqual(self.check("--update")[0], 0)
        kept = json.loads(self.kept.read_text())
        self.assertEqual(kept["instructions"], {"a": 10.0, "b/c": 10.0})
        self.assertEqual(kept["made_with"]["compiler"], "gcc 12")
        self.assertEqual(self.check()[0], 0)
        self.assertEqual(self.check(cost=11)[0], 1)
        self.assertEqual(self.check(cost=9)[0], 0)

    def test_a_part_is_updated_and_the_rest_stays(self):
        self.check("--update")
        self.assertEqual(self.check("--update", "b", cost=20)[0], 0)
        kept = json.loads(self.kept.read_text())
        self.assertEqual(kept["instructions"], {"a": 10.0, "b/c": 20.0})

    def test_values_of_two_compilers_are_not_mixed(self):
        self.check("--update")
        self.program("bench/hot", HOT.replace("gcc 12", "gcc 13"))
        status, words = self.check("--update", "b")
        self.assertEqual(status, 2)
        self.assertIn("gcc 13", words)
        self.assertEqual(self.check(cost=99)[0], 0, "another compiler's values can't fail")

    def test_a_path_that_cannot_run_is_no_success(self):
        self.check("--update")
        self.program("bench/hot", HOT + "echo broken 400\n")
        status, words = self.check()
        self.assertEqual(status, 2)
        self.assertIn("no such thing", words)

    def test_nothing_of_that_name(self):
        self.assertEqual(self.check("nonsense")[0], 2)
