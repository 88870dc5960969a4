"""What a store full of traces and a catalog full of versions cost those who look something up.

Half of the versions are of one name, each other one has a name of its own: both ways to have many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine, insert, select

import prebake
from bench.scale_machine import Machine
from bench.scale_points import Point, repeated, told
from prebake.cache.digest import key_inputs, key_of_inputs
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import LAYER_GZIP, Descriptor
from prebake.cache.store import Trace
from prebake.config.catalog.tables import names, versions
from prebake.flows.wiring import Workspace, open_workspace

COUNTS = (100, 1_000, 10_000, 100_000)
COLUMNS = (
    "hit, ms",
    "hit process, ms",
    "NAME:VERSION, ms",
    "NAME@latest, ms",
    "env list process, ms",
    "prune dry run process, ms",
)
_BUSY = "busy"
_PACKAGES = 10  # of a layer


def measure(machine: Machine, counts: tuple[int, ...] = COUNTS) -> list[Point]:
    """A store and a catalog that grow from point to point; an environment of a python is asked for."""
    file = machine.definition("asked", [], [])
    machine.run(_store(machine), "build", str(file), "--image", machine.world.base)
    workspace = open_workspace(machine.environ(_store(machine)), machine.folder)
    environment = replace(prebake.load(file, image=machine.world.base), name=_BUSY)
    prebake.register(environment, workspace=workspace)
    points, done = [], 0
    for count in counts:
        _fill_store(machine, range(done, count))
        _fill_catalog(machine, range(done, count))
        points.append(told(Point("local store", count, _runs(machine, workspace, file, environment))))
        done = count
    return points


def _runs(
    machine: Machine, workspace: Workspace, file: Path, environment: prebake.Environment
) -> dict[str, list[float]]:
    catalog, build = workspace.catalog, ("build", str(file), "--image", machine.world.base, "-q")
    changed = iter(range(1000))

    def register() -> None:
        variables = (("CHANGED", f"{next(changed)}"),)
        definition = replace(environment.definition, environment_variables=variables)
        prebake.register(replace(environment, definition=definition), workspace=workspace)

    everything = ("cache", "prune", "--dry-run", "--max-age", "0s", "--grace", "0s")
    return {
        "hit, ms": _timed(lambda: prebake.ensure(environment, workspace=workspace)),
        "hit process, ms": _processes(machine, *build),
        "NAME:VERSION, ms": _timed(lambda: catalog.get(f"{_BUSY}:1")),
        "NAME@latest, ms": _timed(lambda: catalog.get(f"{_BUSY}@latest")),
        "register, ms": _timed(register),
        "env show process, ms": _processes(machine, "env", "show", f"{_BUSY}@latest"),
        "env list process, ms": _processes(machine, "env", "list"),
        "prune dry run process, ms": _processes(machine, *everything),
    }


def _timed(work: Callable[[], object]) -> list[float]:
    """Milliseconds."""

    def once() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1000

    return repeated(once, lambda milliseconds: milliseconds / 1000)


def _processes(machine: Machine, *arguments: str) -> list[float]:
    return repeated(
        lambda: machine.run(_store(machine), *arguments).seconds * 1000, lambda taken: taken / 1000
    )


def _store(machine: Machine) -> Path:
    return machine.folder / "store"


def _fill_store(machine: Machine, numbers: range) -> None:
    """Layers' traces, each with a blob of its own, by both cores."""
    halves = [numbers[::2], numbers[1::2]]
    with ProcessPoolExecutor(len(halves)) as pool:
        list(pool.map(_record_all, [_store(machine)] * 2, halves))


def _record_all(root: Path, numbers: range) -> None:
    store = DirectoryStore(root)
    for number in numbers:
        data = b"layer %d" % number
        layer = Descriptor(LAYER_GZIP, store.put_bytes(data), len(data))
        packages = [[f"package{number}-{part}-1.0.conda", f"{number:064x}"] for part in range(_PACKAGES)]
        inputs = key_inputs("conda/1", {"packages": packages, "prefix": "/opt/prebake/env"})
        outputs = {"layer": layer.to_json(), "diffId": str(layer.digest)}
        store.record(Trace(key_of_inputs(inputs), inputs, outputs, (layer,), {"milliseconds": number}))


def _fill_catalog(machine: Machine, numbers: range) -> None:
    """Copies of one version that was registered: by the verb, each would be a transaction of its own."""
    with create_engine(f"sqlite:///{_store(machine)}/catalog.db").begin() as connection:
        first = connection.execute(select(versions).where(versions.c.name == _BUSY).limit(1)).mappings().one()
        row = {column: value for column, value in first.items() if column != "id"}
        singles = [{"name": f"single{number}"} for number in numbers[::2]]
        busy = [{"version": f"copy{number}"} for number in numbers[1::2]]
        connection.execute(insert(names), [{"archived": False, "last_number": 1, **each} for each in singles])
        connection.execute(insert(versions), [row | each for each in (*singles, *busy)])
