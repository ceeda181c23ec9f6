"""Echo servers side by side: bide on both engines and the raw loop of each kind.

    echo.py BUILD_DIR [--rounds N] [--seconds S] [--cases BYTESxCONNECTIONS,...]

Every round runs each server once, in a changing order, pinned to the first processor, the client
to the last. What is compared is requests per processor second of the server, relative to the raw
loop of the same kind in the same round; the median of the rounds is printed. Wall-clock rates say
more about the neighbours on the machine.
"""
import argparse
import os
import random
import re
import signal
import statistics
import subprocess
import sys

SERVERS = {  # the program with an option, and its engine
    "raw epoll": (["raw_epoll_echo"], ""),
    "bide epoll": (["echo_server"], "epoll"),
    "protocol epoll": (["protocol_echo"], "epoll"),
    "buffered epoll": (["protocol_echo", "-b"], "epoll"),
    "raw uring": (["raw_uring_echo"], ""),
    "bide uring": (["echo_server"], "uring"),
    "protocol uring": (["protocol_echo"], "uring"),
}
PAIRS = [
    ("bide epoll", "raw epoll"),
    ("protocol epoll", "raw epoll"),
    ("buffered epoll", "raw epoll"),
    ("bide uring", "raw uring"),
    ("protocol uring", "raw uring"),
    ("raw uring", "raw epoll"),
]


def client_rate(folder, port, size, connections, seconds):
    command = [os.path.join(folder, "echo_client"), "-p", port, "-c", str(connections)]
    command += ["-s", str(size), "-d", str(seconds), "-k", str(os.cpu_count() - 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(r"([\d.]+)", done.stdout).group(1))


def measure(folder, name, size, connections, seconds):
    program, engine = SERVERS[name]
    command = [os.path.join(folder, program[0])] + program[1:] + ["-k", "0", "-s", str(size)]
    environment = dict(os.environ, BIDE_ENGINE=engine)
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        port = re.search(r"(\d+)$", server.stdout.readline().strip()).group(1)
        rate = client_rate(folder, port, size, connections, seconds)
    finally:
        server.send_signal(signal.SIGTERM)
        report = server.communicate(timeout=20)[0]
    return float(re.search(r"requests_per_cpu_s (\d+)", report).group(1)), rate


def compare(options, size, connections):
    folder = os.path.join(options.build, "bench")
    results = {name: [] for name in SERVERS}
    for _ in range(options.rounds):
        for name in random.sample(list(SERVERS), len(SERVERS)):
            results[name].append(measure(folder, name, size, connections, options.seconds))
    print(f"{size} B x {connections} connections, {options.rounds} rounds of {options.seconds:g} s")
    for name, rounds in results.items():
        per_cpu = statistics.median(r[0] for r in rounds)
        rate = statistics.median(r[1] for r in rounds)
        print(f"  {name:14} {per_cpu:9.0f} requests per processor second, {rate:9.0f} per second")
    for name, against in PAIRS:
        ratios = [a[0] / b[0] for a, b in zip(results[name], results[against])]
        spread = f"({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"  {name} / {against}: {statistics.median(ratios):.3f} {spread}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cases", default="64x1,64x64,65536x1")
    options = parser.parse_args()
    for case in options.cases.split(","):
        size, connections = (int(word) for word in case.split("x"))
        compare(options, size, connections)


if __name__ == "__main__":
    main()
