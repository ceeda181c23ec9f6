#!/usr/bin/env python3
"""Counts the instructions of the hot paths (hot.c) and compares them with bench/instructions.json:
fails if one of them takes over 3 % more than it did. See docs/bench.md.

Invariant: a figure is the difference between a long and a short run, so that whatever a program
does at its beginning and end is not in it; and it does not depend on how busy the machine is.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
KEPT = HERE / "instructions.json"
TOLERANCE = 0.03
SHORT = 4  # a short run is so many times shorter
PATIENCE_S = 300


class Failed(Exception):
    """No count was to be had."""


class Kept(NamedTuple):
    """What the tree says: instructions per operation by path, and what they were made with."""

    made_with: dict
    instructions: dict

    @classmethod
    def read(cls, path):
        if not path.exists():
            return cls({}, {})
        return cls(**json.loads(path.read_text()))

    def write(self, path):
        path.write_text(json.dumps(self._asdict(), indent=2) + "\n")


class Row(NamedTuple):
    path: str
    kept: float  # None: nothing is kept
    counted: float  # None: the path is gone
    words: str = ""
    is_worse: bool = False


def per_operation(short, long, n_short, n_long):
    """Of instruction counts of whole runs with so many operations each."""
    if n_long <= n_short:
        raise ValueError("the long run is not longer")
    return (long - short) / (n_long - n_short)


def judged(path, kept, counted):
    if kept is None:
        return Row(path, kept, counted, "no value is kept", True)
    if counted is None:
        return Row(path, kept, counted, "is kept, but no path any more", True)
    if counted > kept * (1 + TOLERANCE):
        return Row(path, kept, counted, f"over {TOLERANCE:.0%} more", True)
    return Row(path, kept, counted, "better" if counted < kept * (1 - TOLERANCE) else "")


def compare(kept, counted, is_all):
    """A row for each path; is_all: whatever was not counted is gone."""
    paths = list(counted)
    if is_all:
        paths += [path for path in kept if path not in counted]
    return [judged(path, kept.get(path), counted.get(path)) for path in paths]


def table(rows):
    lines = [f"{'instructions per operation':28}{'kept':>10}{'now':>10}{'change':>9}"]
    for row in rows:
        kept, counted = (
            f"{value:10.1f}" if value is not None else f"{'–':>10}"
            for value in (row.kept, row.counted)
        )
        change = ""
        if row.kept and row.counted is not None:
            change = f"{100 * (row.counted / row.kept - 1):+8.2f}%"
        lines.append(f"{row.path:28}{kept}{counted}{change:>9}  {row.words}".rstrip())
    return "\n".join(lines)


def verdict(rows, others):
    """Whether the check fails, and why, in words; others: what differences() said."""
    if others:
        return False, "nothing can fail: " + "; ".join(others)
    words = [f"{row.path}: {row.words}" for row in rows if row.is_worse]
    if words:
        words += ["./dev bench --check --update keeps what is now; the commit should say why"]
    elif any(row.words for row in rows):
        words = ["./dev bench --check --update keeps what is better"]
    return any(row.is_worse for row in rows), "\n".join(words)


def differences(kept, here):
    """What the counts depend on and is another than the kept ones were made with, in words.
    Nothing is if nothing is kept.
    """
    if not kept:
        return []
    return [
        f"the values were made with {kept.get(name, 'nothing')}, and here is {value}"
        for name, value in here.items()
        if kept.get(name) != value
    ]


def vectors():
    """The widest vectors that the C library and the codecs may choose at run time."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "unknown"
    return "AVX2" if "avx2" in flags else "no AVX2"


def made_with(compiler):
    """What the counts depend on apart from the sources."""
    valgrind = subprocess.run(["valgrind", "--version"], stdout=subprocess.PIPE, text=True)
    return {
        "compiler": compiler,
        "machine": platform.machine(),
        "C library": " ".join(platform.libc_ver()),
        "valgrind": valgrind.stdout.strip(),
        "vectors": vectors(),
    }


def instructions(text):
    """The sum in a file that callgrind wrote."""
    for line in text.splitlines():
        word, _, rest = line.partition(":")
        if word in ("summary", "totals"):
            return int(rest.split()[0])
    raise Failed("callgrind wrote no sum")


def run(program, path, n, out):
    """Instructions of the whole run of n operations."""
    environment = {**os.environ, "BIDE_ENGINE": "epoll", "LD_BIND_NOW": "1"}
    line = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", program, path, n]
    try:
        done = subprocess.run(
            list(map(str, line)),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{path}: {error}") from error
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise Failed(f"{path}: {last[0]}")
    return instructions(out.read_text())


def count(program, path, n, folder):
    out = folder / f"{path.replace('/', '-')}.callgrind"
    n_short = n // SHORT
    short = run(program, path, n_short, folder / f"{out.name}.short")
    return per_operation(short, run(program, path, n, out), n_short, n)


def count_all(program, paths, folder):
    """The busiest machine changes nothing, so as many at once as there are processors."""
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waiting = {p: pool.submit(count, program, p, n, folder) for p, n in paths.items()}
        return {path: round(future.result(), 1) for path, future in waiting.items()}


def known_paths(program):
    """What it was compiled with; the names of all paths, and how many operations are enough."""
    try:
        done = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{program}: {error}") from error
    compiler, *lines = done.stdout.splitlines()
    words = (line.split() for line in lines)
    return compiler, {name: int(n) for name, n in words}


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench --check", description=__doc__)
    parser.add_argument("paths", nargs="*", help="how the wanted paths begin; all of them")
    parser.add_argument("--update", action="store_true", help="keep what is counted now")
    parser.add_argument(
        "--profiles", type=pathlib.Path, metavar="DIR", help="keep callgrind's files there"
    )
    release = HERE.parent / "build" / "release"
    parser.add_argument("--build", type=pathlib.Path, default=release, help="meson's folder")
    parser.add_argument("--kept", type=pathlib.Path, default=KEPT, help=argparse.SUPPRESS)
    return parser.parse_args()


def check(options, folder):
    program = options.build.resolve() / "bench" / "hot"
    compiler, known = known_paths(program)
    wanted = {
        path: n
        for path, n in known.items()
        if not options.paths or path.startswith(tuple(options.paths))
    }
    if not wanted:
        raise Failed(f"no path begins with {' or '.join(options.paths)}: {', '.join(known)}")
    kept = Kept.read(options.kept)
    here = made_with(compiler)
    others = differences(kept.made_with, here)
    is_all = len(wanted) == len(known)
    if options.update and others and not is_all:
        raise Failed("not all values would be of one kind: update all; " + "; ".join(others))
    counted = count_all(program, wanted, folder)
    rows = compare(kept.instructions, counted, is_all)
    print(table(rows))
    if options.update:
        merged = counted if is_all else {**kept.instructions, **counted}
        Kept(here, merged).write(options.kept)
        return 0
    failed, words = verdict(rows, others)
    if words:
        print(words)
    return 1 if failed else 0


def main():
    options = parse()
    try:
        if options.profiles:
            options.profiles.mkdir(parents=True, exist_ok=True)
            return check(options, options.profiles)
        with tempfile.TemporaryDirectory() as folder:
            return check(options, pathlib.Path(folder))
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
