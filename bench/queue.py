"""Queues beside Go's channels on one processor: queue.c and channels.go, which do the same.

    queue.py BUILD_DIR [--rounds N]

Every round runs both once, in a changing order, pinned to the last processor; each prints processor
time per operation. What counts is the ratio within a round; the median of the rounds is printed.
Without Go it says so and prints the queues' figures alone.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "channels.go")
INNER_ROUNDS = "3"


def build_channels(folder):
    """The program's path, or None without Go."""
    go = shutil.which("go")
    if not go:
        return None
    program = os.path.join(folder, "channels")
    environment = dict(os.environ, GOCACHE=os.path.join(folder, "cache"), GO111MODULE="off")
    subprocess.run([go, "build", "-o", program, SOURCE], check=True, env=environment)
    version = subprocess.run([go, "version"], check=True, capture_output=True, text=True)
    print(version.stdout.strip())
    return program


def measure(program):
    """Operation: ns."""
    processor = {max(os.sched_getaffinity(0))}
    done = subprocess.run([program, INNER_ROUNDS], check=True, capture_output=True, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, processor))
    pairs = (line.split("\t") for line in done.stdout.splitlines())
    return {name: float(ns) for name, ns in pairs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        programs = {"bide": os.path.join(options.build, "bench", "queue")}
        channels = build_channels(folder)
        if channels:
            programs["go"] = channels
        else:
            print("Go is not installed (Debian's package golang-go): there is nothing to compare "
                  "with")
        results = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name in random.sample(list(programs), len(programs)):
                results[name].append(measure(programs[name]))
    print(f"{'ns per operation, ' + str(options.rounds) + ' rounds':40}" +
          "".join(f"{name:>10}" for name in programs) + ("  go / bide" if channels else ""))
    for operation in results["bide"][0]:
        rows = {name: [figures[operation] for figures in rounds]
                for name, rounds in results.items()}
        line = f"{operation:40}"
        line += "".join(f"{statistics.median(rows[name]):10.1f}" for name in programs)
        if channels:
            ratio = statistics.median(go / bide for go, bide in zip(rows["go"], rows["bide"]))
            line += f"{ratio:9.2f} x"
        print(line)


main()
