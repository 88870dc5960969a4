"""A build or a hit that times its own parts, in a process of its own; prints them as one JSON object.

python -m bench.inside build FILE REFERENCE     # pieces of work as prebake names them, CPU seconds by kind
python -m bench.inside hit START FILE REFERENCE # START is the time.perf_counter() of whoever started it
"""

from __future__ import annotations

import time

BEGUN = time.perf_counter()

import importlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections import defaultdict  # noqa: E402
from typing import Any  # noqa: E402

# Where a hit spends its time: name for people, module, function.
_PARTS = (
    ("file compared with what is known", "prebake.flows.shortcut", "_read"),
    ("base: one HEAD request", "prebake.flows.shortcut", "_pinned"),
    ("image recalled", "prebake.flows.shortcut", "recall"),
    ("target: one HEAD request", "prebake.flows.shortcut", "deliver"),
    ("request noted", "prebake.flows.shortcut", "note"),
)


class Clock:
    """Adds up what functions take, by name."""

    def __init__(self, now: Any) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._now = now

    def timed(self, name: str, function: Any) -> Any:
        """`function`, whose time counts as `name`'s."""

        def call(*args: Any, **options: Any) -> Any:
            start = self._now()
            try:
                return function(*args, **options)
            finally:
                self.spent[name] += self._now() - start

        return call

    def watch(self, name: str, module: Any, function: str) -> None:
        """Time `function` of a module or class from now on."""
        setattr(module, function, self.timed(name, getattr(module, function)))


def hit(start: float, file: str, to: str) -> dict[str, float]:
    from prebake import cli
    from prebake.flows.commands import build  # noqa: F401  # its imports are a hit's

    clock, imported = Clock(time.perf_counter), time.perf_counter()
    for name, module, function in _PARTS:
        clock.watch(name, importlib.import_module(module), function)
    watched = time.perf_counter()
    cli.main(["build", file, "--to", to, "-q"])
    took = time.perf_counter() - watched
    known = {"interpreter starts": BEGUN - start, "imports": imported - BEGUN, **clock.spent}
    return known | {"rest: arguments, settings, output": took - sum(clock.spent.values())}


def build(file: str, to: str) -> dict[str, Any]:
    cpu, pieces = Clock(time.thread_time), []
    _watch_bytes(cpu)
    import prebake
    from prebake.flows.destination import Destination
    from prebake.flows.ensure import ensure
    from prebake.flows.progress import Silent
    from prebake.flows.wiring import Request, open_workspace

    def around(title: str, work: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work()
        finally:
            pieces.append((title, begun - BEGUN, time.perf_counter() - BEGUN))

    request = Request(Destination.parse(to), around=around)
    ensure(prebake.load(file), request, open_workspace(), Silent())
    return {"pieces": pieces, "cpu": cpu.spent, "end": time.perf_counter() - BEGUN}


def _watch_bytes(cpu: Clock) -> None:
    from isal import isal_zlib

    from prebake.cache.digest import Hasher

    cpu.watch("SHA-256", Hasher, "update")
    cpu.watch("deflate", isal_zlib, "compress")
    cpu.watch("inflate", isal_zlib, "decompress")
    make = isal_zlib.decompressobj

    def decompressobj(**options: Any) -> Any:
        return _Inflater(cpu.timed("inflate", make(**options).decompress))

    isal_zlib.decompressobj = decompressobj


class _Inflater:
    def __init__(self, decompress: Any) -> None:
        self.decompress = decompress


def main() -> None:
    kind, *rest = sys.argv[1:]
    found = build(*rest) if kind == "build" else hit(float(rest[0]), *rest[1:])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
