"""Plots as SVG by hand: a file for each family of workloads ("echo/64B/1" is of "echo"), in it a
panel for each workload, in it a bar for each contestant: its ratio to the reference, with the
interval that its true value lies in. What is noise is pale.

Invariant: a file depends on nothing but the report, and shows in light and dark pages alike.
"""

import html
import math

import report

COLUMNS = 2
PANEL, GAP, LABELS = 430, 24, 140
BAR, STEP, HEAD = 11, 18, 40
COLOURS = {"bide": "#1a7f5a", "raw": "#8a8f98"}
OTHER = "#5b7fb5"


def colour(contestant):
    return COLOURS.get(contestant.split()[0], OTHER)


def text(x, y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind} text-anchor="{anchor}">{html.escape(words)}</text>'


def scale_end(comparisons):
    """The end of the axis: what all fit into, in a round number."""
    largest = max([1.0, *(c.high for c in comparisons.values() if math.isfinite(c.high))])
    step = 10 ** math.floor(math.log10(largest))
    return next(step * n for n in (1, 1.2, 1.5, 2, 3, 4, 5, 8, 10) if step * n >= largest)


def bar(x, y, width, end, name, compared):
    ratio, low, high = (min(max(v, 0), end) * width / end for v in compared[:3])
    middle = y + BAR / 2
    pale = ' opacity="0.55"' if compared.verdict in ("noise", "unsure") else ""
    return [
        text(x - 8, y + BAR - 1.5, name, anchor="end"),
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{ratio:.1f}" height="{BAR}" rx="1.5" '
        f'fill="{colour(name)}"{pale}/>',
        f'<path d="M{x + low:.1f} {middle}H{x + high:.1f}" class="range"/>',
        text(x + max(ratio, high) + 5, y + BAR - 1.5, f"{compared.ratio:.2f}", "small"),
    ]


def panel(left, top, name, workload):
    compared = {n: c for n, c in report.ratios_of(workload).items() if math.isfinite(c.ratio)}
    end = scale_end(compared)
    x, width = left + LABELS, PANEL - LABELS - 40
    reference = report.reference_of(workload)
    bottom = top + HEAD + STEP * len(compared)
    one = x + width / end
    unit = f"{workload['unit']}, of {reference}; {workload['better']} is better"
    parts = [
        text(left, top + 12, workload["title"], "title"),
        text(left, top + 27, unit, "small"),
        f'<path d="M{one:.1f} {top + HEAD - 5}V{bottom}" class="one"/>',
    ]
    for i, (contestant, comparison) in enumerate(compared.items()):
        parts += bar(x, top + HEAD + STEP * i, width, end, contestant, comparison)
    return parts


STYLE = """text { font: 11px system-ui, sans-serif; fill: #30343b; }
.title { font-weight: 600; font-size: 12px; } .small { font-size: 10px; fill: #737985; }
.range { stroke: #30343b; stroke-width: 1; } .one { stroke: #b9bec7; stroke-dasharray: 2 3; }
.page { fill: #ffffff; }"""


def family(workloads):
    """The SVG of these, by name."""
    parts, top = [], GAP
    items = list(workloads.items())
    for i in range(0, len(items), COLUMNS):
        row = items[i : i + COLUMNS]
        for column, (name, workload) in enumerate(row):
            parts += panel(GAP + column * (PANEL + GAP), top, name, workload)
        top += HEAD + GAP + STEP * max(len(workload["contestants"]) for _, workload in row)
    width = GAP + min(COLUMNS, len(items)) * (PANEL + GAP)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" '
            f'width="{width}" height="{top}">',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{top}" rx="6"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def write(folder, workloads):
    folder.mkdir(parents=True, exist_ok=True)
    families = {}
    for name, workload in workloads.items():
        families.setdefault(name.split("/")[0], {})[name] = workload
    for name, members in families.items():
        (folder / f"{name}.svg").write_text(family(members))
