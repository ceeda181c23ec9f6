"""What the checks share: which files there are, C text without comments, the C blocks of a page,
and how findings are told.

Invariant: every transformation of C text keeps the number of lines and the columns, so that a place
in the result is a place in the file.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("include", "src", "cli", "examples", "tests", "bench", "fuzz", "tools", "python")
C_SUFFIXES = (".c", ".h", ".S")


def root_argument(description):
    """The folder to check: the project, or the sample tree of a test."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    return parser


def files(root, suffixes=C_SUFFIXES, folders=FOLDERS):
    """The project's files with these suffixes, in order."""
    found = []
    for folder in folders:
        found += (p for p in (root / folder).rglob("*") if p.suffix in suffixes and p.is_file())
    return sorted(found)


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text, keep_strings=True):
    """C text with comments, and strings unless they are to be kept, turned to spaces."""

    def replace(match):
        token = match.group()
        if token.startswith("/"):
            return blank(token)
        return token if keep_strings else token[0] + blank(token[1:-1]) + token[-1]

    return TOKEN.sub(replace, text)


def c_blocks(lines):
    """For each C block: the number of its first line, its lines, and the text line before it."""
    start = before = None
    for number, line in enumerate(lines, 1):
        if start is None and line == "```c":
            start = number + 1
        elif start is not None and line == "```":
            yield start, lines[start - 1 : number - 1], before or ""
            start = None
        elif start is None and line:
            before = line


class Findings:
    """Collects `file:line: words` and ends the program accordingly."""

    def __init__(self, root):
        self.root = root
        self.lines = []

    def add(self, path, line, words):
        try:
            path = path.relative_to(self.root)
        except ValueError:
            pass
        self.lines.append(f"{path}:{line}: {words}")

    def finish(self, checked):
        """`checked`: what was looked at; a check that saw nothing has failed."""
        for line in self.lines:
            print(line)
        if not checked:
            print("nothing to check")
            sys.exit(2)
        sys.exit(1 if self.lines else 0)
