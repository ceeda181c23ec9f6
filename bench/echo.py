"""Echo servers side by side: bide on both engines and the raw loop of each kind.

    echo.py BUILD_DIR [--rounds N] [--seconds S] [--cases BYTESxCONNECTIONS,...]

Every round runs each server once, in a changing order, pinned to processor 0 with the client on the last one. What is
compared is requests per processor second of the server, relative to the raw loop of the same kind in the same round; the
median of the rounds is printed. Wall-clock rates say more about the neighbours on the machine.
"""
import argparse
import os
import random
import re
import signal
import statistics
import subprocess
import sys

SERVERS = {
    "raw epoll": (["raw_epoll_echo"], None),
    "bide epoll": (["bench_echo_server"], "epoll"),
    "raw uring": (["raw_uring_echo"], None),
    "bide uring": (["bench_echo_server"], "uring"),
}
PAIRS = [("bide epoll", "raw epoll"), ("bide uring", "raw uring"), ("raw uring", "raw epoll")]


def measure(build, name, size, connections, seconds):
    program, engine = SERVERS[name]
    environment = dict(os.environ, **({"BIDE_ENGINE": engine} if engine else {}))
    server = subprocess.Popen([os.path.join(build, "bench", program[0]), "-k", "0", "-s", str(size)],
                              stdout=subprocess.PIPE, text=True, env=environment)
    try:
        port = re.search(r"(\d+)$", server.stdout.readline().strip()).group(1)
        client = subprocess.run(
            [os.path.join(build, "bench", "echo_client"), "-p", port, "-c", str(connections), "-s", str(size), "-d",
             str(seconds), "-k", str(os.cpu_count() - 1)], capture_output=True, text=True, check=True)
    finally:
        server.send_signal(signal.SIGTERM)
        report = server.communicate(timeout=20)[0]
    rate = re.search(r"([\d.]+)", client.stdout)
    per_cpu = float(re.search(r"requests_per_cpu_s (\d+)", report).group(1))
    return per_cpu, float(rate.group(1)) if rate else 0.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cases", default="64x1,64x64")
    options = parser.parse_args()
    for case in options.cases.split(","):
        size, connections = (int(word) for word in case.split("x"))
        results = {name: [] for name in SERVERS}
        for _ in range(options.rounds):
            for name in random.sample(list(SERVERS), len(SERVERS)):
                results[name].append(measure(options.build, name, size, connections, options.seconds))
        print(f"{size} B x {connections} connections, {options.rounds} rounds of {options.seconds:g} s")
        for name, rounds in results.items():
            print(f"  {name:12} {statistics.median(r[0] for r in rounds):9.0f} requests per processor second,"
                  f" {statistics.median(r[1] for r in rounds):9.0f} per second")
        for name, against in PAIRS:
            ratios = [a[0] / b[0] for a, b in zip(results[name], results[against])]
            print(f"  {name} / {against}: {statistics.median(ratios):.3f}"
                  f" ({min(ratios):.3f} to {max(ratios):.3f})")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
