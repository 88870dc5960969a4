"""prebake against what people would use instead: same packages, base, registry; whole commands, with push.

    PYTHONPATH=tests python -m bench.versus [--rounds 5] [--only NAME...]

Contenders alternate; each starts a round from nothing but the base image, with an empty registry, and goes
through all cases. It forgets at the end of its round: ext4 is slow where much was deleted just now. As root:
it runs Docker Engines and counts bytes with iptables.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import report
from bench.peers import base
from bench.peers.contenders import Contender
from bench.peers.field import Field, field
from bench.peers.sizes import layers_size
from bench.peers.traffic import Meter, metered
from bench.workloads import Workload, workloads
from world.services import registry

WORLD = Path(".world")
HEADER = ("workload", "case", "contender", "round", "seconds", "megabytes", "image", "version")


@dataclass(frozen=True, slots=True)
class Measured:
    """One case of one round; `megabytes` went to the registry, `image` are the team's beside the base's."""

    workload: str
    case: str
    contender: str
    round: int
    seconds: float
    megabytes: float
    image: float
    version: str

    def row(self) -> tuple[report.Cell, ...]:
        where = (self.workload, self.case, self.contender, self.round)
        return (*where, f"{self.seconds:.4f}", f"{self.megabytes:.4f}", f"{self.image:.3f}", self.version)


@dataclass(frozen=True, slots=True)
class Place:
    """An empty registry with the base in it, and the counter of what it receives."""

    host: str
    layout: Path
    meter: Meter

    @property
    def base(self) -> str:
        return f"{self.host}/bench/base:latest"

    @property
    def team(self) -> str:
        return f"{self.host}/team/image:latest"

    @property
    def image(self) -> float:
        """Megabytes of the team's layers, compressed, above those of the base."""
        return (layers_size(self.team) - layers_size(self.base)) / 1e6

    def patch_base(self) -> None:
        base.push(self.layout, "v2", self.base)

    def timed(self, work: Callable[[], object]) -> tuple[float, float]:
        """Seconds, and megabytes that the registry received meanwhile."""
        before, start = self.meter.received(), time.perf_counter()
        work()
        return time.perf_counter() - start, (self.meter.received() - before) / 1e6


def run(workload: Workload, assembled: Field, rounds: int) -> Iterator[Measured]:
    for number in range(1, rounds + 1):
        for contender in assembled.contenders:
            if contender.name in workload.contenders:
                yield from _round(workload, contender, assembled, number)


def _round(workload: Workload, contender: Contender, assembled: Field, number: int) -> Iterator[Measured]:
    with placed(assembled.base) as place:
        contender.fetch_base(place.base)
        version = contender.version()
        for case, work in _cases(workload, contender, assembled, place):
            seconds, megabytes = place.timed(work)
            where = (workload.name, case, contender.name, number)
            yield Measured(*where, seconds, megabytes, place.image, version)
    contender.forget()


def _cases(
    workload: Workload, contender: Contender, assembled: Field, place: Place
) -> Iterator[tuple[str, Callable[[], object]]]:
    """In this order, because each starts from what the ones before left."""
    wanted = replace(workload.wanted, base=place.base)
    yield "cold", partial(contender.build, wanted, place.team)
    if workload.imports:
        assembled.node.fetch_base(place.base)
        command = ["python3", "-c", f"import {workload.imports}"]
        yield "pull and import", partial(assembled.node.start, place.team, *command)
        assembled.node.remove(place.team)
    for case, change in workload.changes.items():
        yield case, partial(contender.build, change(wanted), place.team)
    yield "second team", partial(contender.build, wanted, f"{place.host}/other/image:latest")
    place.patch_base()
    yield "base patched", partial(contender.build, wanted, place.team)


@contextmanager
def placed(layout: Path) -> Iterator[Place]:
    with (
        tempfile.TemporaryDirectory(prefix="registry-") as folder,
        registry(Path(folder)) as made,
        metered(made.host.rpartition(":")[2]) as meter,
    ):
        place = Place(made.host, layout, meter)
        base.push(layout, "v1", place.base)
        yield place


def measure(rounds: int, only: list[str]) -> list[Measured]:
    """Every case of the chosen workloads (all, if none is named); progress goes to standard error."""
    found = []
    with field(WORLD) as assembled:
        for workload in workloads(WORLD):
            if only and workload.name not in only:
                continue
            for one in run(workload, assembled, rounds):
                found.append(one)
                print(*one.row(), sep="  ", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure prebake against its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORKLOAD")
    chosen = parser.parse_args()
    report.write_csv("versus", HEADER, [one.row() for one in measure(chosen.rounds, chosen.only)])


if __name__ == "__main__":
    main()
