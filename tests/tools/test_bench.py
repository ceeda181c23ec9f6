"""Scenario: figures of contestants, as they were said and as they come out of a run. Claim: the
arithmetic of bench/ is right, what is noise is called so, and a contestant that says nonsense is
not believed.
"""

import json
import pathlib
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))

import figures
import measure
import plot
import report
import suite
from figures import Record


class Parse(unittest.TestCase):
    def test_record(self):
        line = '{"workload": "switch/100", "value": 16.1, "unit": "ns"}'
        self.assertEqual(figures.parse(line), Record("switch/100", 16.1, "ns", "less", {}))

    def test_more_is_better_and_what_stands_beside(self):
        said = {"workload": "a", "value": 2, "unit": "per s", "better": "more", "also": {"B": 7}}
        self.assertEqual(figures.parse(json.dumps(said)), Record("a", 2, "per s", "more", {"B": 7}))

    def test_nonsense(self):
        good = {"workload": "a", "value": 1, "unit": "ns"}
        bad = [
            "16.1 ns",
            "[1]",
            "{}",
            '{"workload": "a", "value": NaN, "unit": "ns"}',
            *(
                json.dumps({**good, **change})
                for change in (
                    {"value": "1"},
                    {"value": -1},
                    {"value": True},
                    {"value": None},
                    {"unit": ""},
                    {"workload": 3},
                    {"better": "high"},
                    {"also": 3},
                    {"also": {"p99": "slow"}},
                    {"median": 1},
                )
            ),
        ]
        for line in bad:
            with self.subTest(line), self.assertRaises(ValueError):
                figures.parse(line)

    def test_many_lines(self):
        line = '{"workload": "%s", "value": 1, "unit": "ns"}\n'
        self.assertEqual(list(figures.parse_all(line % "a" + "\n" + line % "b")), ["a", "b"])
        with self.assertRaisesRegex(ValueError, "twice"):
            figures.parse_all(line % "a" + line % "a")


class Arithmetic(unittest.TestCase):
    def test_spread_is_the_middle_half(self):
        self.assertEqual(figures.spread([7.0]), 0)
        self.assertAlmostEqual(figures.spread([8, 9, 10, 11, 12]), 0.2)
        self.assertAlmostEqual(figures.spread([8, 9, 10, 11, 1000]), 0.2)

    def test_confidence_is_the_binomial_one(self):
        self.assertAlmostEqual(figures.confidence(5, 1), 0.9375)
        self.assertAlmostEqual(figures.confidence(3, 1), 0.75)
        self.assertAlmostEqual(figures.confidence(9, 2), 1 - 20 / 512)

    def test_interval_narrows_with_rounds(self):
        self.assertEqual(figures.interval([3, 1, 2])[:2], (1, 3))
        self.assertEqual(figures.interval(range(7))[:2], (0, 6))
        self.assertEqual(figures.interval(range(9))[:2], (1, 7))
        self.assertEqual(figures.interval(range(15))[:2], (3, 11))
        for n in range(5, 60):
            low, high, sure = figures.interval(range(n))
            self.assertGreaterEqual(sure, figures.CONFIDENCE)
            self.assertEqual(low + high, n - 1)

    def test_verdicts(self):
        beside = [10.0, 20.0, 10.0, 20.0, 10.0]
        for values, verdict in (
            ([11, 22, 10.5, 21, 12], "more"),
            ([9, 18, 9.5, 19, 8], "less"),
            ([11, 22, 10.5, 21, 9], "noise"),
            ([10.0, 20.0, 10.0, 20.0, 10.0], "noise"),
        ):
            self.assertEqual(figures.compare(values, beside).verdict, verdict)
        self.assertEqual(figures.compare([99] * 4, beside[:4]).verdict, "unsure")

    def test_rounds_are_compared_with_themselves(self):
        """A machine that is half as fast in some rounds says nothing about the contestants."""
        compared = figures.compare([11, 5.5, 11, 5.5, 11], [10, 5, 10, 5, 10])
        self.assertAlmostEqual(compared.ratio, 1.1)
        self.assertAlmostEqual(compared.low, 1.1)
        self.assertEqual(compared.verdict, "more")

    def test_what_cannot_be_compared(self):
        self.assertEqual(figures.compare([1] * 5, [0] * 5).verdict, "unsure")
        with self.assertRaises(ValueError):
            figures.compare([1, 2], [1, 2, 3])


def sample():
    """Five rounds of three contestants."""
    one = report.Report()
    for i in range(5):
        for name, factor in (("raw", 1.0), ("bide <x>", 0.95), ("go", 1 + (i - 2) / 100)):
            record = Record("echo/1", 1000.0 * (i + 1) * factor, "per s", "more", {"p99 µs": 5 + i})
            one.add(name, record, "raw", "echo & more")
    return one


class Tables(unittest.TestCase):
    def test_table(self):
        text = report.table("echo/1", sample().workloads["echo/1"])
        self.assertIn("echo/1: echo & more; per s, more is better", text)
        raw, bide, go = text.splitlines()[2:5]
        self.assertRegex(raw, r"^  raw +3,000 +67 % +1 +7$")
        self.assertRegex(bide, r"^  bide <x> +2,850 +67 % +0\.950 +0\.950 +0\.950 +less +7~$")
        self.assertRegex(go, r"^  go +3,000 +.*1\.000 +0\.980 +1\.020 +noise +7~$")

    def test_another_reference(self):
        text = report.table("echo/1", sample().workloads["echo/1"], "go")
        self.assertIn("of go", text)
        self.assertIn("of raw", report.table("echo/1", sample().workloads["echo/1"], "nobody"))

    def test_ratios(self):
        self.assertEqual(report.ratio_in_words(0.98765), "0.988")
        self.assertEqual(report.ratio_in_words(1234.56), "1,234.6")

    def test_reference_that_failed(self):
        one = sample()
        one.drop("raw", ["echo/1"])
        self.assertIn("of bide <x>", report.table("echo/1", one.workloads["echo/1"]))
        one.drop("bide <x>", ["echo/1"])
        one.drop("go", ["echo/1"])
        self.assertEqual(one.workloads, {})

    def test_units_agree(self):
        with self.assertRaisesRegex(ValueError, "tells of echo/1 in ns"):
            sample().add("go", Record("echo/1", 1, "ns"), "raw", "")

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "new" / "a.json"
            sample().write(path)
            self.assertEqual(report.Report.read(path).data, sample().data)

    def test_several_files(self):
        later = report.Report()
        later.add("go", Record("echo/1", 1, "ns"), "go", "")
        later.add("go", Record("echo/2", 2, "ns"), "go", "")
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / name for name in ("a.json", "b.json")]
            sample().write(paths[0])
            later.write(paths[1])
            both = report.Report.read(*paths).workloads
        self.assertEqual(both, later.workloads)
        self.assertEqual(list(both), ["echo/1", "echo/2"])

    def test_numbers(self):
        shown = {1234567: "1,234,567", 12.3456: "12.35", 0: "0", 0.001: "1.00e-03"}
        for value, words in shown.items():
            self.assertEqual(report.number(value), words)


class Plots(unittest.TestCase):
    def test_file_for_each_family(self):
        import xml.etree.ElementTree as tree

        workloads = {name: sample().workloads["echo/1"] for name in ("echo/1", "echo/2", "http")}
        with tempfile.TemporaryDirectory() as folder:
            plot.write(pathlib.Path(folder), workloads)
            pages = {path.name: path.read_text() for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(sorted(pages), ["echo.svg", "http.svg"])
        root = tree.fromstring(pages["echo.svg"])
        bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("fill")]
        self.assertEqual(len(bars), 6)
        widths = [float(one.get("width")) for one in bars[:3]]
        self.assertAlmostEqual(widths[1] / widths[0], 0.95, places=2)
        self.assertIn("bide &lt;x&gt;", pages["echo.svg"])

    def test_noise_is_pale(self):
        page = plot.family(sample().workloads)
        self.assertEqual(page.count("opacity"), 2)


class Choice(unittest.TestCase):
    def test_sets_and_beginnings(self):
        names = [workload.name for workload in suite.chosen(["echo/64B/1", "echo/64B"])]
        self.assertEqual(names[0], "echo/64B/1")
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(name.startswith("echo/64B/") for name in names))
        self.assertEqual(suite.chosen(["all"]), suite.WORKLOADS)

    def test_every_set_stands_for_something(self):
        for name in suite.SETS:
            self.assertTrue(suite.chosen([name]))

    def test_unknown(self):
        for name in ("ech", "echo/64B/6", ""):
            with self.assertRaises(ValueError):
                suite.chosen([name])

    def test_names_and_references(self):
        names = [workload.name for workload in suite.WORKLOADS]
        self.assertEqual(len(names), len(set(names)))
        self.assertFalse(set(names) & set(suite.SETS))
        for workload in suite.WORKLOADS:
            self.assertIn(workload.reference, workload.contestants)

    def test_figures_of_servers(self):
        said = {"requests": 100, "seconds": 2, "server_cpu_s": 0.5, "client_cpu_s": 1}
        said.update(p50_us=1, p99_us=2, p999_us=3)
        figures_of = {}
        for name in ("echo/64B/64", "paced/10000"):
            figures_of[name] = suite.chosen([name])[0].record(said)
            self.assertEqual(
                figures_of[name].also, {"per s": 50, "p50 µs": 1, "p99 µs": 2, "p99.9 µs": 3}
            )
        echo, paced = figures_of.values()
        self.assertEqual((echo.workload, echo.value, echo.better), ("echo/64B/64", 200, "more"))
        self.assertEqual((paced.value, paced.better), (2, "less"))
        idle = suite.chosen(["idle"])[0].record({"connections": 9, "bytes": 700})
        self.assertEqual((idle.value, idle.better, idle.also), (700, "less", {}))


class Runs(unittest.TestCase):
    """Contestants of one line of Python, and what becomes of those that do not behave."""

    def measured(self, program):
        return measure.measured([sys.executable, "-c", program], {"SAID": "7"})

    def test_measured(self):
        program = """
import json, os
print(json.dumps({"workload": "a", "value": int(os.environ["SAID"]), "unit": "ns"}))
print(json.dumps({"workload": "b", "value": len(os.sched_getaffinity(0)), "unit": "ns"}))"""
        records = self.measured(program)
        self.assertEqual({name: one.value for name, one in records.items()}, {"a": 7, "b": 1})

    def test_measured_badly(self):
        for program, words in (
            ("print('16 ns')", "not JSON: 16 ns"),
            ("import sys; print('no luck', file=sys.stderr); sys.exit(3)", "no luck"),
            ("import sys; sys.exit(3)", "status 3"),
        ):
            with self.assertRaisesRegex(measure.Failed, words):
                self.measured(program)

    def served(self, server, load):
        def command(port, pid):
            return [sys.executable, "-c", load, str(port), str(pid)]

        return measure.served([sys.executable, "-c", server], {}, command)

    def test_served(self):
        server = "import time; print(4711, flush=True); time.sleep(100)"
        load = "import sys, os; os.kill(int(sys.argv[2]), 0); print('{\"port\": %s}' % sys.argv[1])"
        self.assertEqual(self.served(server, load), {"port": 4711})

    def test_served_badly(self):
        good = "import time; print(4711, flush=True); time.sleep(100)"
        for server, load, words in (
            ("raise SystemExit('no socket')", "", "said no port: no socket"),
            (good, "print('{')", "the load generator said"),
            (good, "raise SystemExit('refused')", "refused"),
        ):
            with self.assertRaisesRegex(measure.Failed, words):
                self.served(server, load)


if __name__ == "__main__":
    unittest.main()
