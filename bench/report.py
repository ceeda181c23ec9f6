"""What was measured, in memory and in the file that --json writes, and as tables.

    {"machine": {...}, "versions": {contestant: words}, "settings": {...}, "left_out": [words],
     "workloads": {name: {"title", "unit", "better", "reference",
                          "contestants": {name: {"values": [...], "also": {words: [...]}}}}}}

Invariant: the n-th value of every contestant of a workload was taken in the n-th round.
"""

import json
import statistics

import figures

VERDICTS = {"more": "more", "less": "less", "noise": "noise", "unsure": "too few rounds"}
# Behind a figure that stands beside: what it is compared with the reference's.
MARKS = {"more": "+", "less": "-", "noise": "~", "unsure": "?"}


class Report:
    def __init__(self, settings=None):
        self.data = {"settings": settings or {}, "versions": {}, "left_out": [], "workloads": {}}

    @classmethod
    def read(cls, first, *others):
        """What the files say; of several the last that has a workload, and the first's machine."""
        report = cls()
        report.data = json.loads(first.read_text())
        for path in others:
            report.workloads.update(json.loads(path.read_text())["workloads"])
        return report

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.data, indent=1) + "\n")

    @property
    def workloads(self):
        return self.data["workloads"]

    def leave_out(self, words):
        """Whether that was not known."""
        if words in self.data["left_out"]:
            return False
        self.data["left_out"].append(words)
        return True

    def add(self, contestant, record, reference, title):
        workload = self.workloads.setdefault(
            record.workload,
            {
                "title": title or record.workload,
                "unit": record.unit,
                "better": record.better,
                "reference": reference,
                "contestants": {},
            },
        )
        if (workload["unit"], workload["better"]) != (record.unit, record.better):
            raise ValueError(f"{contestant} tells of {record.workload} in {record.unit}")
        row = workload["contestants"].setdefault(contestant, {"values": [], "also": {}})
        row["values"].append(record.value)
        for words, value in record.also.items():
            row["also"].setdefault(words, []).append(value)

    def drop(self, contestant, names):
        """Takes out one that failed; a workload without contestants goes too."""
        for name in names:
            self.workloads[name]["contestants"].pop(contestant, None)
            if not self.workloads[name]["contestants"]:
                del self.workloads[name]

    def sort(self, name, order):
        rows = self.workloads[name]["contestants"]
        self.workloads[name]["contestants"] = {one: rows[one] for one in order if one in rows}


def number(value):
    """Four digits, and no more than are known."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if value >= 0.01 or value == 0 else f"{value:.2e}"


def ratio_in_words(ratio):
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:,.1f}"


def reference_of(workload, wanted=None):
    """The contestant to compare with: the wanted one, the usual one, or the first there is."""
    rows = workload["contestants"]
    for name in (wanted, workload["reference"]):
        if name in rows:
            return name
    return next(iter(rows))


def ratios_of(workload, wanted=None):
    """Each contestant's Comparison with the reference's values."""
    rows = workload["contestants"]
    beside = rows[reference_of(workload, wanted)]["values"]
    return {name: figures.compare(row["values"], beside) for name, row in rows.items()}


def also_cells(workload, wanted):
    rows = workload["contestants"]
    reference = rows[reference_of(workload, wanted)]["also"]
    words = list(dict.fromkeys(word for row in rows.values() for word in row["also"]))
    cells = {name: [] for name in rows}
    for name, row in rows.items():
        for word in words:
            values = row["also"].get(word, [])
            beside = reference.get(word, [])
            mark = " "
            if values and len(values) == len(beside) and row["also"] is not reference:
                mark = MARKS[figures.compare(values, beside).verdict]
            cells[name].append(number(statistics.median(values)) + mark if values else "")
    return words, cells


def aligned(rows):
    """Lines of cells: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "  " + "  ".join(cells).rstrip()


def table(name, workload, wanted=None):
    """The workload in words."""
    reference = reference_of(workload, wanted)
    comparisons = ratios_of(workload, wanted)
    words, also = also_cells(workload, wanted)
    rows = [["", "median", "spread", f"of {reference}", "from", "to", "", *words]]
    for contestant, row in workload["contestants"].items():
        compared = comparisons[contestant]
        cells = [contestant, number(statistics.median(row["values"]))]
        cells.append(f"{100 * figures.spread(row['values']):.0f} %")
        if contestant == reference:
            cells += ["1", "", "", ""]
        else:
            cells += [ratio_in_words(ratio) for ratio in compared[:3]]
            cells.append(VERDICTS[compared.verdict])
        rows.append(cells + also[contestant])
    head = f"{name}: {workload['title']}" if workload["title"] != name else name
    head += f"; {workload['unit']}, {workload['better']} is better"
    return "\n".join([head, *aligned(rows), ""])
