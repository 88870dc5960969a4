"""How a build grows with the number of small packages, pip's and conda's."""

from __future__ import annotations

from pathlib import Path

from bench.scale_machine import Machine, Run
from bench.scale_points import Point, repeated, told
from bench.scale_wheels import conda_packages, small_wheels, write_index

PIP, CONDA = (10, 30, 100, 250, 500), (100, 500)
COLUMNS = ("cold, s", "+1 package, s", "hit, s")
_MORE = 5  # packages that are added one by one


def measure(machine: Machine, pip: tuple[int, ...] = PIP, conda: tuple[int, ...] = CONDA) -> list[Point]:
    """Whole processes, pushing to the sample registry; a python from conda is part of each environment."""
    names = [f"small{number:03}" for number in range(max(*pip, *conda) + _MORE)]
    small_wheels(machine.made, names)
    write_index(machine.made)
    conda_packages(machine.made / "channel", names)
    points = [_point(machine, "pip", names[:count], names[-_MORE:]) for count in pip]
    return points + [_point(machine, "conda", names[:count], names[-_MORE:]) for count in conda]


def _point(machine: Machine, kind: str, names: list[str], more: list[str]) -> Point:
    store, to = machine.folder / "store", f"{kind}{len(names)}"
    files = [_definition(machine, kind, [*names, *one]) for one in ([], *([name] for name in more))]
    numbers = iter(range(100))

    def cold() -> Run:
        return machine.build(machine.fresh(store), files[0], f"{to}-{next(numbers)}:latest")

    locks = repeated(lambda: machine.lock(machine.fresh(store), files[0]), _seconds)
    builds = repeated(cold, _seconds)
    hits = repeated(lambda: machine.build(store, files[0], f"{to}-0:latest"), _seconds)
    added = [machine.build(store, file, f"{to}-0:latest") for file in files[1:]]
    machine.fresh(store)
    runs = {
        "cold, s": [run.seconds for run in builds],
        "of that resolve, s": [run.seconds for run in locks],
        "+1 package, s": [run.seconds for run in added],
        "hit, s": [run.seconds for run in hits],
        "cold peak, MiB": [run.peak for run in builds],
        "cold pushed, MB": [run.built["bytes_pushed"] / 1e6 for run in builds],
        "+1 pushed, MB": [run.built["bytes_pushed"] / 1e6 for run in added],
        "layers": [len(run.built["layers"]) for run in builds],
    }
    return told(Point(kind, len(names), runs))


def _definition(machine: Machine, kind: str, names: list[str]) -> Path:
    conda, pip = (names, []) if kind == "conda" else ([], names)
    return machine.definition(f"{kind}-{len(names)}-{names[-1]}", conda, pip)


def _seconds(run: Run) -> float:
    return run.seconds
