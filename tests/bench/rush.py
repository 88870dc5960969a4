"""What becomes of many builds that are asked for together.

rush = rushed("cold", contender.name, lambda: run_together(orders), place.meter)
publish("crowd", {"p95, s": 0.95}, [rush])
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import report
from bench.peers.clients import Answer
from bench.peers.traffic import Meter


@dataclass(frozen=True, slots=True)
class Rush:
    """How all clients ended; `megabytes` went to the registry."""

    case: str
    contender: str
    answers: list[Answer]
    megabytes: float

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.code]

    @property
    def waits(self) -> list[float]:
        """Seconds of those who got their image, the quickest first."""
        return sorted(answer.seconds for answer in self.answers if answer.code == 0)

    def wait(self, share: float) -> float:
        """Seconds until so many of those who got their image had it; NaN if nobody got it."""
        waits = self.waits or [math.nan]
        return waits[math.ceil(share * len(waits)) - 1]

    @property
    def built(self) -> str:
        """How often clients say that they built a layer, of how many layers; empty where they say nothing."""
        told = [json.loads(answer.output) for answer in self.answers if answer.code == 0 and answer.output]
        layers = [layer for build in told for layer in build["layers"]]
        built = sum(layer["outcome"] == "built" for layer in layers)
        return f"{built} of {len({layer['digest'] for layer in layers})}" if told else ""


def rushed(case: str, contender: str, asked: Callable[[], list[Answer]], meter: Meter) -> Rush:
    """The answers, told on standard error with the last words of a client that failed."""
    before = meter.received()
    rush = Rush(case, contender, asked(), (meter.received() - before) / 1e6)
    told = [f"{rush.wait(1):.2f} s", f"{len(rush.failed)} failed", f"{rush.megabytes:.2f} MB", rush.built]
    print(case, contender, *told, sep="  ", file=sys.stderr, flush=True)
    for answer in rush.failed[:1]:
        print(answer.errors[-300:], file=sys.stderr, flush=True)
    return rush


def grouped(found: list[Rush]) -> list[list[Rush]]:
    """The rounds of each contender in each case, case by case."""
    groups: dict[tuple[str, str], list[Rush]] = defaultdict(list)
    cases = list(dict.fromkeys(rush.case for rush in found))
    for rush in sorted(found, key=lambda rush: cases.index(rush.case)):
        groups[rush.case, rush.contender].append(rush)
    return list(groups.values())


def publish(name: str, waits: Mapping[str, float], found: list[Rush]) -> None:
    """The CSV and the table, with `Rush.wait` of a share in each column of `waits`."""
    header = ("case", "contender", "rounds", *waits, "failed", "MB to the registry", "layers built")
    report.write_csv(name, header, [_summary([rush], waits) for rush in found])
    report.paste(name, report.table(header, [_summary(rounds, waits) for rounds in grouped(found)]))


def _summary(rounds: Sequence[Rush], waits: Mapping[str, float]) -> list[report.Cell]:
    seconds = (_spread([rush.wait(share) for rush in rounds]) for share in waits.values())
    failed = ", ".join(str(len(rush.failed)) for rush in rounds)
    megabytes = statistics.median(rush.megabytes for rush in rounds)
    built = ", ".join(dict.fromkeys(rush.built for rush in rounds))
    return [rounds[0].case, rounds[0].contender, len(rounds), *seconds, failed, f"{megabytes:.3f}", built]


def _spread(values: Sequence[float]) -> str:
    return report.spread(values) if len(values) > 1 else f"{values[0]:.3f}"
