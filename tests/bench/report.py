"""Where measurements go: CSV and SVG in docs/bench/, a table between two marks of docs/benchmarks.md.

write_csv("scale-size", ["GB", "seconds"], rows)
paste("scale-size", table(["GB", "seconds"], rows))
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "prebake"  # the same measurements give the same file

from matplotlib import pyplot  # noqa: E402

_DOCS = Path(__file__).parent.parent.parent / "docs"
_PAGE = _DOCS / "benchmarks.md"
FOLDER = _DOCS / "bench"

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Axes:
    """Titles of a plot; `log` is matplotlib's `loglog`, `semilogx`, `semilogy` or `plot`."""

    title: str
    x: str
    y: str
    log: str = "plot"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range: `4.70 (4.63 to 4.80)`."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def write_csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows that an earlier part of the same run wrote; FileNotFoundError if it did not."""
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def paste(name: str, text: str) -> None:
    """Replace what stands between the two marks of NAME in the page; ValueError where they are missing."""
    page = _PAGE.read_text()
    start, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->"
    before, opened, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{_PAGE.name} has no place for {name}: {start.strip()} ... {end}")
    _PAGE.write_text(f"{before}{start}{text}{end}{after}")


def lines(name: str, axes: Axes, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """A curve for each name, as docs/bench/NAME.svg."""
    figure, plane = pyplot.subplots(figsize=(7, 4))
    for label, points in curves.items():
        getattr(plane, axes.log)(*zip(*points, strict=True), marker="o", label=label)
    plane.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    _save(name, axes, figure, plane)


def bars(name: str, axes: Axes, groups: Mapping[str, Mapping[str, float]]) -> None:
    """A group of horizontal bars for each name, on a logarithmic scale, as docs/bench/NAME.svg."""
    labels = list(dict.fromkeys(label for group in groups.values() for label in group))
    height = 0.8 / len(labels)
    figure, plane = pyplot.subplots(figsize=(8, 1 + 0.25 * len(labels) * len(groups)))
    for place, label in enumerate(labels):
        at = [row + place * height for row, group in enumerate(groups.values()) if label in group]
        plane.barh(at, [group[label] for group in groups.values() if label in group], height, label=label)
    plane.set_yticks([row + 0.4 - height / 2 for row in range(len(groups))], list(groups))
    plane.set_xscale("log")
    plane.invert_yaxis()
    plane.legend(fontsize="small")
    _save(name, axes, figure, plane)


def _save(name: str, axes: Axes, figure: pyplot.Figure, plane: pyplot.Axes) -> None:
    plane.set(title=axes.title, xlabel=axes.x, ylabel=axes.y)
    plane.grid(visible=True, alpha=0.3)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
