#!/usr/bin/env python3
"""Runs an example and compares what it prints with the expected text: example.py PROGRAM EXPECTED.

A line of the expected text that begins with `~ ` is a regular expression for the whole line.
"""

import pathlib
import re
import subprocess
import sys


def matches(expected, line):
    if expected.startswith("~ "):
        return re.fullmatch(expected[2:], line) is not None
    return expected == line


def main():
    program, expected_file = sys.argv[1:]
    done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    got = done.stdout.splitlines()
    expected = pathlib.Path(expected_file).read_text().splitlines()
    for number, (want, line) in enumerate(zip(expected, got), 1):
        if not matches(want, line):
            sys.exit(f"line {number} is {line!r}, expected {want!r}")
    if len(got) != len(expected):
        sys.exit(f"{len(got)} lines, expected {len(expected)}:\n{done.stdout}")
    sys.exit(done.returncode)


main()
