"""How time, memory and bytes grow: with packages, bytes, traces and clients.

    PYTHONPATH=tests python -m bench.scale [packages] [size] [traces] [clients]

Writes docs/bench/scale-*.csv and *.svg, and the tables of docs/benchmarks.md; each point is told on stderr.
Takes four minutes and 15 GB of memory. As root: it mounts a tmpfs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import report, scale_clients, scale_packages, scale_points, scale_size, scale_traces
from bench.peers.memory import in_memory
from bench.report import Axes
from bench.scale_machine import Machine, bench_machine
from bench.scale_points import Point


@dataclass(frozen=True)
class Part:
    """A measurement, what its points are sizes of, and which columns are drawn."""

    measure: Callable[[Machine], list[Point]]
    axes: Axes
    columns: tuple[str, ...]


PARTS = {
    "packages": Part(
        scale_packages.measure,
        Axes("Small packages in one environment", "packages", "seconds", "loglog"),
        scale_packages.COLUMNS,
    ),
    "size": Part(
        scale_size.measure, Axes("Size of the environment", "GB", "seconds", "loglog"), scale_size.COLUMNS
    ),
    "traces": Part(
        scale_traces.measure,
        Axes("Traces in the store, versions in the catalog", "traces and versions", "ms", "loglog"),
        scale_traces.COLUMNS,
    ),
    "clients": Part(
        scale_clients.measure,
        Axes("Clients that ask for hits at once", "clients", "ms", "loglog"),
        scale_clients.COLUMNS,
    ),
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        part = PARTS[name]
        with (
            in_memory(),
            tempfile.TemporaryDirectory(prefix="scale-") as folder,
            bench_machine(Path(folder)) as machine,
        ):
            _write(f"scale-{name}", part, part.measure(machine))


def _write(name: str, part: Part, points: list[Point]) -> None:
    scale_points.write_csv(name, part.axes.x, points)
    report.lines(name, part.axes, scale_points.curves(points, part.columns))
    report.paste(name, scale_points.table(part.axes.x, points))


if __name__ == "__main__":
    main()
