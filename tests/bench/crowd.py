"""A hundred clients that want one image at the same moment: processes that build and push it to one tag.

    PYTHONPATH=tests python -m bench.crowd [--rounds 3]

Contenders take turns: each starts a round from nothing ("cold") and is asked again when all is there ("hit").
As root: see bench.versus.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bench import report
from bench.peers.clients import run_together
from bench.peers.contenders import Single
from bench.peers.field import Field, field
from bench.peers.wanted import Wanted
from bench.rush import Rush, grouped, publish, rushed
from bench.versus import WORLD, placed
from bench.workloads import workloads

CLIENTS = 100
CASES = ("cold", "hit")
CONTENDERS = ("prebake", "BuildKit, uv")  # with zstd a cold round takes longer, and more of its clients fail
WAITS = {"p50, s": 0.5, "p95, s": 0.95, "last, s": 1.0}


def measure(rounds: int) -> list[Rush]:
    wanted = workloads(WORLD)[0].wanted
    with field(WORLD) as assembled:
        contenders = assembled.singles(*CONTENDERS) * rounds
        return [rush for contender in contenders for rush in _round(contender, assembled, wanted)]


def _round(contender: Single, assembled: Field, wanted: Wanted) -> Iterator[Rush]:
    with placed(assembled.base) as place:
        contender.fetch_base(place.base)
        order = contender.order(replace(wanted, base=place.base), place.team)
        for case in CASES:
            yield rushed(case, contender.name, partial(run_together, [order] * CLIENTS), place.meter)
    contender.forget()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a hundred clients at once.")
    parser.add_argument("--rounds", type=int, default=3)
    found = measure(parser.parse_args().rounds)
    publish("crowd", WAITS, found)
    curves = {f"{rounds[-1].contender}, {rounds[-1].case}": _curve(rounds[-1]) for rounds in grouped(found)}
    report.lines("crowd", report.Axes("Last round", "s", "clients that have it", "semilogx"), curves)


def _curve(rush: Rush) -> list[tuple[float, float]]:
    return [(seconds, number) for number, seconds in enumerate(rush.waits, 1)]


if __name__ == "__main__":
    main()
