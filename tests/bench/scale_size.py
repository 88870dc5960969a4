"""How a cold build grows with the bytes of the environment, and the floor: SHA-256 over them once."""

from __future__ import annotations

import time
from functools import partial

from bench.scale_machine import Machine, Run
from bench.scale_points import Point, repeated, told
from bench.scale_wheels import BULK_BYTES, bulk_wheels, write_index
from prebake.cache.digest import Hasher

WHEELS = (1, 3, 10, 29, 48)  # of 100 MiB: 0.1, 0.3, 1, 3 and 5 GB
COLUMNS = ("cold, s", "floor, s")
_ONCE = 2.9e9  # bytes from which a cold build is made once


def measure(machine: Machine, wheels: tuple[int, ...] = WHEELS) -> list[Point]:
    """Whole processes, pushing to the sample registry; sizes in GB of files, wheels take half of it."""
    names = [f"bulk{number:02}" for number in range(max(wheels))]
    bulk_wheels(machine.made, names)
    write_index(machine.made)
    return [_point(machine, names[:count]) for count in wheels]


def _point(machine: Machine, names: list[str]) -> Point:
    size, numbers = len(names) * BULK_BYTES, iter(range(100))
    file, store = machine.definition(f"bulk-{len(names)}", [], names), machine.folder / "store"

    def cold() -> Run:
        return machine.build(machine.fresh(store), file, f"bulk{len(names)}-{next(numbers)}:latest")

    builds = [cold()] if size > _ONCE else repeated(cold, lambda run: run.seconds)
    machine.fresh(store)
    runs = {
        "cold, s": [run.seconds for run in builds],
        "floor, s": repeated(partial(_floor, size), float),
        "peak, MiB": [run.peak for run in builds],
        "pushed, MB": [run.built["bytes_pushed"] / 1e6 for run in builds],
        "layers": [len(run.built["layers"]) for run in builds],
    }
    return told(Point("pip", round(size / 1e9, 2), runs))


def _floor(size: int) -> float:
    """Seconds that one core takes for the SHA-256 of so many bytes in memory."""
    block, hasher = bytes(1 << 20), Hasher()
    start = time.perf_counter()
    for _ in range(size >> 20):
        hasher.update(block)
    hasher.digest()
    return time.perf_counter() - start
