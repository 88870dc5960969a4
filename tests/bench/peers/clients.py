"""Commands as data, so that many can be started at the same moment.

order = contender.order(wanted, "localhost:5000/team:v1")
order.run()
answers = run_together([order] * 100)
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from world.tools import run_command


@dataclass(frozen=True, slots=True)
class Order:
    """A client's command and all its variables."""

    command: list[str]
    environ: dict[str, str]

    def run(self) -> str:
        """What it says; raises ToolFailed if it fails."""
        return run_command(self.command, env=self.environ).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a client ended, and how many seconds after the first was started; a failure is an answer too."""

    seconds: float
    code: int
    output: str
    errors: str


def run_together(orders: Sequence[Order]) -> list[Answer]:
    """A process for each, all at once."""
    return _run(orders, len(orders))


def run_in_turn(orders: Sequence[Order]) -> list[Answer]:
    """Each when the one before has ended."""
    return _run(orders, 1)


def _run(orders: Sequence[Order], at_once: int) -> list[Answer]:
    start = time.perf_counter()

    def answer(order: Order) -> Answer:
        done = subprocess.run(
            order.command, env=order.environ, capture_output=True, text=True, errors="replace", check=False
        )
        return Answer(time.perf_counter() - start, done.returncode, done.stdout, done.stderr)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(answer, orders))
