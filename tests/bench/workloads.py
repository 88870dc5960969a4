"""The environments that are built, and the ways in which they change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.peers.wanted import Wanted

Change = Callable[[Wanted], Wanted]

PYTHON = ("python=3.11", "pip")
_BEST = ("prebake", "BuildKit, zstd, uv")  # the peer that builds large environments fastest
_EVERYBODY = (*_BEST, "BuildKit, uv", "BuildKit, pip", "old BuildKit, uv", "classic, pip", "buildah, uv")


@dataclass(frozen=True, slots=True)
class Workload:
    """`imports` is what a container of the image imports when it is started for the first time, if it is."""

    name: str
    contenders: tuple[str, ...]
    wanted: Wanted
    changes: Mapping[str, Change]
    imports: str


def _same(wanted: Wanted) -> Wanted:
    return wanted


def _variable(wanted: Wanted) -> Wanted:
    return replace(wanted, variables={"OMP_NUM_THREADS": "4"})


def _one_pip(wanted: Wanted) -> Wanted:
    return replace(wanted, pip=(*wanted.pip, "tabulate"))


def _one_conda(wanted: Wanted) -> Wanted:
    return replace(wanted, conda=(*wanted.conda, "tqdm"))


def _bump(wanted: Wanted) -> Wanted:
    return replace(wanted, conda=tuple("numpy=1.26.4" if spec == "numpy" else spec for spec in wanted.conda))


_CHANGES = {"nothing changed": _same, "env var": _variable, "+1 pip": _one_pip}
_CONDA_CHANGES = {"+1 conda": _one_conda, "big one bumped": _bump}
_VARIABLES = {"OMP_NUM_THREADS": "2"}


def _torch(world: Path) -> tuple[str, ...]:
    """The CPU wheel, where the sample index has one: nobody downloads 190 MB for a benchmark."""
    return ("torch",) if json.loads((world / "world.json").read_text())["torch"] else ()


def workloads(world: Path) -> tuple[Workload, ...]:
    torch = _torch(world)
    science = ("numpy", "scipy", "pandas", "scikit-learn")
    small = Wanted("", (*PYTHON, "numpy"), ("fastapi", "uvicorn"), _VARIABLES)
    large = Wanted("", (*PYTHON, *science), ("matplotlib", *torch), _VARIABLES)
    wheels = Wanted("", (), (*science, "matplotlib", *torch), _VARIABLES)
    return (
        Workload("small", _EVERYBODY, small, _CHANGES, "numpy, fastapi"),
        Workload("large", _BEST, large, _CHANGES | _CONDA_CHANGES, ""),
        Workload("wheels", _BEST, wheels, _CHANGES, ""),
    )
