"""Scenario: folders of results of every kind. Claim: tools/test-summary counts cases, not programs,
and never hides a failure.
"""

import json
import subprocess

from sample import TOOLS, SampleCase


class TestSummary(SampleCase):
    def log(self, name, *tests):
        text = "".join(
            json.dumps({"name": "t", "result": r, "stdout": out}) + "\n" for r, out in tests
        )
        self.write(f"{name}.json", text)

    def summary(self):
        done = subprocess.run(
            [TOOLS / "test-summary", self.root], stdout=subprocess.PIPE, text=True
        )
        return done.returncode, done.stdout.splitlines()[-1]

    def test_cases_are_counted(self):
        self.log("dev", ("OK", "ok 1 - a\nok 2 - b\n1..2\n"), ("OK", ""))
        self.write("lint.passed", "")
        self.assertEqual(self.summary(), (0, "4 passed, 0 failed"))

    def test_failed_cases(self):
        self.log("dev", ("FAIL", "ok 1 - a\nnot ok 2 - b\nnot ok 3 - c\n1..3\n"))
        self.assertEqual(self.summary(), (1, "1 passed, 2 failed"))

    def test_a_program_that_dies_fails_although_its_cases_passed(self):
        self.log("dev", ("ERROR", "ok 1 - a\n"))
        self.assertEqual(self.summary(), (1, "1 passed, 1 failed"))
        self.log("dev", ("TIMEOUT", ""))
        self.assertEqual(self.summary(), (1, "0 passed, 1 failed"))

    def test_steps(self):
        self.write("asan-build.failed", "")
        self.write("lint.passed", "")
        self.assertEqual(self.summary(), (1, "1 passed, 1 failed"))

    def test_skips_are_told(self):
        self.log(
            "dev", ("SKIP", "1..0 # SKIP no io_uring\n"), ("OK", "ok 1 - a\nok 2 - b # SKIP why\n")
        )
        self.assertEqual(self.summary(), (0, "1 passed, 0 failed, 2 skipped"))

    def test_nothing_is_no_success(self):
        self.assertEqual(self.summary(), (1, "0 passed, 0 failed"))
