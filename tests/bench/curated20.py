"""Twenty environments that share much, prebuilt.

    PYTHONPATH=tests python -m bench.curated20 [--rounds 2]

Contenders take turns: each starts a round from nothing and goes through all cases. As root: see bench.versus.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

from bench.peers.clients import Answer, Order, run_in_turn, run_together
from bench.peers.contenders import Single
from bench.peers.field import Field, field
from bench.peers.wanted import Wanted
from bench.rush import Rush, publish, rushed
from bench.versus import WORLD, Place, placed
from bench.workloads import PYTHON

CONDA = (("scikit-learn",), ("pandas",), ("scipy", "tqdm"), ("requests", "pyyaml"), ("cloudpickle",))
PIP = (("fastapi", "uvicorn"), ("matplotlib",), ("ipykernel",), ("sympy", "networkx"))
Way = Callable[[Sequence[Order]], list[Answer]]
WAYS: dict[str, Way] = {"prebake": run_in_turn, "BuildKit, uv": run_together}  # whichever serves it better


def twenty(base: str, tabulate: str) -> list[Wanted]:
    """Each group of conda packages with each of pip."""
    return [
        Wanted(base, (*PYTHON, "numpy", *conda), (*pip, f"tabulate=={tabulate}"))
        for conda, pip in product(CONDA, PIP)
    ]


def measure(rounds: int) -> list[Rush]:
    with field(WORLD) as assembled:
        contenders = assembled.singles(*WAYS) * rounds
        return [rush for contender in contenders for rush in _round(contender, assembled)]


def _round(contender: Single, assembled: Field) -> Iterator[Rush]:
    with placed(assembled.base) as place:
        contender.fetch_base(place.base)
        for case, environments in _cases(place):
            orders = [
                contender.order(wanted, f"{place.host}/curated/{number}:latest")
                for number, wanted in enumerate(environments)
            ]
            yield rushed(case, contender.name, partial(WAYS[contender.name], orders), place.meter)
    contender.forget()


def _cases(place: Place) -> Iterator[tuple[str, list[Wanted]]]:
    """In this order, because each starts from what the ones before left."""
    yield "cold", twenty(place.base, "0.9.0")
    yield "nothing changed", twenty(place.base, "0.9.0")
    yield "one moved", twenty(place.base, "0.10.0")
    place.patch_base()
    yield "base patched", twenty(place.base, "0.10.0")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure twenty environments that share much.")
    parser.add_argument("--rounds", type=int, default=2)
    publish("curated20", {"s": 1.0}, measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
