"""On what was measured, and how busy it was beside: what a reader needs to judge the figures."""

import datetime
import os
import pathlib
import platform
import subprocess


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit(folder):
    try:
        done = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip()


def ticks():
    """All processors' time so far and, of it, what other machines took from this one."""
    try:
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0, 0
    numbers = [int(field) for field in fields]
    return sum(numbers), numbers[7]


class Watch:
    """From the beginning of the measurements to their end."""

    def __init__(self):
        self.begun = datetime.datetime.now()
        self.load = os.getloadavg()[0]
        self.all, self.stolen = ticks()

    def facts(self, folder):
        all_, stolen = ticks()
        return {
            "date": self.begun.strftime("%Y-%m-%d %H:%M"),
            "processor": processor(),
            "processors": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "commit": commit(folder),
            "load_before": round(self.load, 2),
            "stolen": round((stolen - self.stolen) / max(1, all_ - self.all), 4),
        }


def words(facts):
    return (
        f"{facts['date']}: {facts['processors']} x {facts['processor']}, Linux {facts['kernel']}, "
        f"commit {facts['commit']}; load before {facts['load_before']}, "
        f"{100 * facts['stolen']:.1f} % of the time stolen"
    )
