#!/usr/bin/env python3
"""Runs benchmarks side by side: every contestant once in each round, in a changing order, servers
on one processor and their load on another. Prints medians, spread and ratios, and which of them are
noise. See docs/bench.md.
"""

import argparse
import os
import pathlib
import random
import sys
import tempfile
import time

import machine
import measure
import peers
import plot
import report
import suite


# What the rest of the machine gets between two runs that go before it.
PAUSE_S = 0.2


class Run:
    def __init__(self, options, place):
        self.options = options
        self.place = place
        self.report = report.Report({"rounds": options.rounds, "seconds": options.seconds})
        self.failed = False

    def leave_out(self, words):
        if self.report.leave_out(words):
            print(f"left out: {words}\n", file=sys.stderr, flush=True)

    def available(self, workload):
        """The contestants that are wanted and there."""
        found = {}
        versions = self.report.data["versions"]
        for name, program in workload.contestants.items():
            if self.options.only and name not in self.options.only:
                continue
            try:
                program.line(self.place)
            except peers.Missing as missing:
                self.leave_out(f"{name}: {missing}")
                continue
            found[name] = program
            if name not in versions:
                versions[name] = program.version()
        return found

    def once(self, workload, program):
        """The records of one run, by workload."""
        line = program.line(self.place)
        if self.options.urgent:
            time.sleep(PAUSE_S)
        if not isinstance(workload, suite.Served):
            return measure.measured(line, program.environment)
        seconds = self.options.seconds * workload.longer

        def load(port, pid):
            program, *words = workload.load
            command = [self.place.build / "bench" / program, *words, "-p", port, "-P", pid]
            return [str(word) for word in (*command, "-d", seconds)]

        return {workload.name: workload.record(measure.served(line, program.environment, load))}

    def rounds(self, workload, contestants):
        """The names of what was measured."""
        seen = {}
        for _ in range(self.options.rounds):
            for name in random.sample(list(contestants), len(contestants)):
                try:
                    records = self.once(workload, contestants[name])
                    if records.keys() != seen.setdefault(name, records).keys():
                        raise measure.Failed("told of other workloads than in the first round")
                except measure.Failed as failed:
                    self.failed = True
                    self.leave_out(f"{name} in {workload.name}: {failed}")
                    self.report.drop(name, seen.pop(name, ()))
                    del contestants[name]
                    continue
                for record in records.values():
                    self.report.add(name, record, workload.reference, workload.title)
        return dict.fromkeys(one for names in seen.values() for one in names)

    def workload(self, workload):
        if not measure.raise_file_limit(workload.connections):
            self.leave_out(f"{workload.name}: a process may not open so much (ulimit -n)")
            return
        contestants = self.available(workload)
        for name in self.rounds(workload, contestants):
            self.report.sort(name, workload.contestants)
            self.show(name)

    def show(self, name):
        workload = self.report.workloads[name]
        print(report.table(name, workload, self.options.reference), flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="sets, workloads, or how workloads begin")
    parser.add_argument("--rounds", type=int, default=9, help="9; below 5 nothing is sure")
    parser.add_argument("--seconds", type=float, default=0.15, help="of load in each run")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this contestant")
    parser.add_argument("--reference", metavar="NAME", help="compare with this contestant")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all values")
    parser.add_argument("--svg", type=pathlib.Path, metavar="DIR", help="write plots")
    parser.add_argument(
        "--from",
        dest="old",
        type=pathlib.Path,
        metavar="FILE",
        action="append",
        help="show what --json wrote; of several files, the last that has a workload",
    )
    parser.add_argument("--urgent", action="store_true", help="before all else here; needs root")
    parser.add_argument("--list", action="store_true", help="name sets and workloads")
    release = peers.HERE.parent / "build" / "release"
    parser.add_argument("--build", type=pathlib.Path, default=release, help="meson's folder")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("there is at least one round, and it takes time")
    try:
        options.workloads = suite.chosen(options.names or ["default"])
    except ValueError as error:
        parser.error(str(error))
    return options


def show_list():
    for name, members in suite.SETS.items():
        print(f"set {name}: {', '.join(members) or 'everything'}")
    for workload in suite.WORKLOADS:
        print(f"{workload.name:20} {', '.join(workload.contestants)}")


def measure_all(options):
    watch = machine.Watch()
    if options.urgent:
        # Niceness counts within a group only. What is started here inherits this.
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError:
            sys.exit("--urgent needs root")
    where = measure.processors()
    if where.server == where.client:
        print("one processor: servers share it with their load, and only ratios mean anything\n")
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(options, peers.Place(options.build.resolve(), pathlib.Path(scratch)))
        for workload in options.workloads:
            run.workload(workload)
    run.report.data["machine"] = watch.facts(peers.HERE)
    run.report.data["settings"]["urgent"] = options.urgent
    return run.report, run.failed


def main():
    options = parse()
    failed = False
    if options.list:
        show_list()
        return 0
    if options.old:
        result = report.Report.read(*options.old)
        for name, workload in result.workloads.items():
            print(report.table(name, workload, options.reference))
    else:
        result, failed = measure_all(options)
    print(machine.words(result.data["machine"]))
    for words in result.data["left_out"]:
        print(f"left out: {words}")
    if options.json:
        result.write(options.json)
    if options.svg:
        plot.write(options.svg, result.workloads)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
