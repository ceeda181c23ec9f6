"""The arithmetic of the benchmarks: records, medians, spread, and which differences are noise.

Invariant: contestants are compared round by round. The machine's speed drifts within minutes by
more than the contestants differ, and whatever slows a whole round leaves its ratios alone.
"""

import json
import math
import statistics
from typing import NamedTuple

# Five rounds that all say the same are sure to 93.75 %; fewer are not enough to say anything.
CONFIDENCE = 0.93


class Record(NamedTuple):
    """What one contestant's run said about one workload."""

    workload: str
    value: float
    unit: str
    better: str = "less"  # or "more"
    also: dict = {}  # what stands beside: name with its unit, and value


def parse(line):
    """A line of a contestant's output as a record; ValueError says what is wrong with it."""
    try:
        said = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {line.strip()[:80]}") from error
    if not isinstance(said, dict):
        raise ValueError(f"not an object: {line.strip()[:80]}")
    unknown = set(said) - set(Record._fields)
    if unknown:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    try:
        record = Record(**said)
    except TypeError as error:
        raise ValueError("a record has workload, value and unit") from error
    if not all(isinstance(word, str) and word for word in (record.workload, record.unit)):
        raise ValueError("workload and unit are words")
    if record.better not in ("more", "less"):
        raise ValueError("better is more or less")
    if not isinstance(record.also, dict):
        raise ValueError("also is an object")
    for value in (record.value, *record.also.values()):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ValueError(f"{record.workload}: {value} is no figure")
    return record


def parse_all(text):
    """All records of one run, one a line and one a workload."""
    records = {}
    for line in filter(str.strip, text.splitlines()):
        record = parse(line)
        if record.workload in records:
            raise ValueError(f"{record.workload} was said twice")
        records[record.workload] = record
    return records


def spread(values):
    """The range of the middle half, relative to the median."""
    middle = statistics.median(values)
    if len(values) < 2 or middle == 0:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def confidence(n, k):
    """How sure it is that the true median lies between the k-th smallest and the k-th largest of n
    values, whatever they are distributed like: each is above it or below as a coin falls.
    """
    return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n


def interval(values):
    """The narrowest such range that is sure enough, and how sure it is."""
    ordered = sorted(values)
    k = 1
    while 2 * (k + 1) <= len(ordered) and confidence(len(ordered), k + 1) >= CONFIDENCE:
        k += 1
    return ordered[k - 1], ordered[-k], confidence(len(ordered), k)


class Comparison(NamedTuple):
    ratio: float  # the median of the rounds' ratios
    low: float
    high: float
    verdict: str  # "more", "less", "noise", or "unsure": too few rounds to say


def compare(values, reference):
    """What values are of the reference's, whose n-th was taken in the same round as their n-th."""
    if len(values) != len(reference):
        raise ValueError(f"{len(values)} rounds beside {len(reference)}")
    if 0 in reference:
        return Comparison(math.nan, math.nan, math.nan, "unsure")
    ratios = [value / beside for value, beside in zip(values, reference)]
    low, high, sure = interval(ratios)
    if sure < CONFIDENCE:
        verdict = "unsure"
    elif low > 1:
        verdict = "more"
    elif high < 1:
        verdict = "less"
    else:
        verdict = "noise"
    return Comparison(statistics.median(ratios), low, high, verdict)
