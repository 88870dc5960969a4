"""Points of a measurement that grows: runs by size, as rows of CSV, a table and curves, and how they grow.

point = Point("pip", 100, {"cold, s": (2.1, 2.0, 2.2)})
growth([Point("", 10, {"s": (1.0,)}), Point("", 100, {"s": (10.0,)})])["s"]    # 1.0: linear
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench import report

T = TypeVar("T")
SHORT_SECONDS = 2.0  # a run below it is made five times, any other three


@dataclass(frozen=True)
class Point:
    """All runs of each measured column at size `x`; points of a `group` make a curve."""

    group: str
    x: float
    runs: Mapping[str, Sequence[float]]

    def median(self, column: str) -> float:
        return statistics.median(self.runs[column])


def repeated(measure: Callable[[], T], seconds: Callable[[T], float]) -> list[T]:
    """As many runs as the first one's length allows."""
    first = measure()
    more = 4 if seconds(first) < SHORT_SECONDS else 2
    return [first, *(measure() for _ in range(more))]


def told(point: Point) -> Point:
    """The same, after a line of progress."""
    medians = ", ".join(f"{column} {point.median(column):.4g}" for column in point.runs)
    print(f"{point.group} {point.x:g}: {medians}", file=sys.stderr, flush=True)
    return point


def growth(points: Sequence[Point]) -> dict[str, float]:
    """The exponent by which each column grows: the log-log slope between the last two points."""
    before, last = points[-2:]
    factor = math.log(last.x / before.x)
    return {
        column: math.log(last.median(column) / before.median(column)) / factor
        for column in last.runs
        if last.median(column) > 0 < before.median(column)
    }


def grouped(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each group, in their order."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.group, []).append(point)
    return groups


def table(x: str, points: Sequence[Point]) -> str:
    """Medians and ranges, and below each group the exponents of its growth."""
    columns = list(points[0].runs)
    rows: list[list[report.Cell]] = []
    for group, members in grouped(points).items():
        exponents = growth(members)
        rows += [
            [group, f"{point.x:g}", *(_spread(point.runs[name]) for name in columns)] for point in members
        ]
        rows.append([group, "exponent", *(_exponent(exponents.get(name)) for name in columns)])
    return report.table(["", x, *columns], rows)


def write_csv(name: str, x: str, points: Sequence[Point]) -> None:
    """A row per point; each column as its median, least and most."""
    columns = list(points[0].runs)
    header = [f"{column}{end}" for column in columns for end in ("", " (least)", " (most)")]
    report.write_csv(
        name, ["group", x, *header], [[point.group, point.x, *_cells(point)] for point in points]
    )


def curves(points: Sequence[Point], columns: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """The medians of those columns, by group if there is more than one."""
    groups = grouped(points)
    return {
        f"{group}: {column}" if len(groups) > 1 else column: [
            (point.x, point.median(column)) for point in members
        ]
        for group, members in groups.items()
        for column in columns
    }


def _cells(point: Point) -> list[report.Cell]:
    return [
        float(f"{value:.5g}")
        for column, runs in point.runs.items()
        for value in (point.median(column), min(runs), max(runs))
    ]


def _spread(runs: Sequence[float]) -> str:
    """Three digits of the median, counts whole; a range where runs differ."""
    middle = statistics.median(runs)
    whole = middle == 0 or all(isinstance(run, int) for run in runs)
    digits = 0 if whole else max(0, 2 - math.floor(math.log10(middle)))
    return report.spread(runs, digits) if min(runs) < max(runs) else f"{middle:.{digits}f}"


def _exponent(found: float | None) -> str:
    return "" if found is None else f"{found:.2f}"
