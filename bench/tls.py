"""TLS on bide beside bare OpenSSL: handshakes, and bulk in each direction.

    tls.py BUILD_DIR [--rounds N] [--seconds S]

Every round runs each server once for each case, in a changing order, pinned to the first processor,
the client (bare OpenSSL) to the last. What is compared is work per processor second of the server;
the medians of the rounds and the ratio to the bare loop's are printed.
"""
import argparse
import os
import random
import re
import signal
import statistics
import subprocess

SERVERS = {  # the command, and the engine
    "bare": (["raw_tls", "server", "0"], ""),
    "bide epoll": (["tls_server", "0"], "epoll"),
    "bide uring": (["tls_server", "0"], "uring"),
}
CASES = {  # what the client asks for, and the figure
    "handshakes": ("h", "handshakes_per_cpu_s"),
    "sending 64 KiB writes": ("s", "mb_per_cpu_s"),
    "receiving": ("r", "mb_per_cpu_s"),
}


def measure(folder, name, wanted, figure, seconds):
    (program, *rest), engine = SERVERS[name]
    environment = dict(os.environ, BIDE_ENGINE=engine)
    server = subprocess.Popen(
        [os.path.join(folder, program), *rest], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        port = re.search(r"(\d+)$", server.stdout.readline().strip()).group(1)
        client = [os.path.join(folder, "raw_tls"), "client", str(os.cpu_count() - 1), port, wanted]
        done = subprocess.run([*client, str(seconds)], capture_output=True, text=True, check=True)
    finally:
        server.send_signal(signal.SIGTERM)
        report = server.communicate(timeout=20)[0]
    rate = float(re.search(r"rate ([\d.]+)", done.stdout).group(1))
    return float(re.search(rf"{figure} ([\d.]+)", report).group(1)), rate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    folder = os.path.join(options.build, "bench")
    for case, (wanted, figure) in CASES.items():
        results = {name: [] for name in SERVERS}
        for _ in range(options.rounds):
            for name in random.sample(list(SERVERS), len(SERVERS)):
                results[name].append(measure(folder, name, wanted, figure, options.seconds))
        print(f"{case}, {options.rounds} rounds of {options.seconds:g} s")
        bare = statistics.median(r[0] for r in results["bare"])
        for name, rounds in results.items():
            median = statistics.median(r[0] for r in rounds)
            rate = statistics.median(r[1] for r in rounds)
            print(
                f"  {name:12} {median:9.1f} {figure}, {median / bare:.3f} of bare;"
                f" {rate:.0f} per second"
            )


if __name__ == "__main__":
    main()
