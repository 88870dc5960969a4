"""How long a hit takes: in process, in process through a registry, and as a whole process.

    PYTHONPATH=tests python tests/world/up.py --run python -m bench.hit

As a yardstick each line also gives the ratio to `python -c pass` in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import prebake
from bench import report
from bench.settings import sources
from prebake.flows.wiring import open_workspace

_DEFINITION = Path(__file__).parent.parent / "world" / "demo.yml"
ROUNDS = 30
FORBIDDEN = ("prefect", "boto3", "docker", "rattler")
HEADER = ("hit", "p50, ms", "best, ms", "x `python -c pass`")
Work = Callable[[], object]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environ = dict(os.environ, **_settings(folder))
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it
        rows = list(measure(environ))
        imported = _imported(_command(), environ)
    report.write_csv("hit", HEADER, [*rows, ("forbidden imports", len(imported), "", "")])
    names = ", ".join(FORBIDDEN)
    says = f"Imported on a hit: {', '.join(imported)}." if imported else f"Not imported: {names}."
    report.paste("hit", f"{report.table(HEADER, rows)}\n{says}\n")


def measure(environ: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    python = 0.0
    for what, work in _works(environ):
        p50, best = _times(work)
        python = python or p50
        yield what, f"{p50 * 1000:.2f}", f"{best * 1000:.2f}", f"{p50 / python:.2f}"


def _works(environ: dict[str, str]) -> Iterator[tuple[str, Work]]:
    """The bare interpreter first: it is the yardstick."""
    workspace = open_workspace(environ)
    environment = prebake.load(_DEFINITION, image=f"{_registry()}/debian:12")
    prebake.ensure(environment, to=_target(), workspace=workspace)
    yield "python -c pass", _quiet([sys.executable, "-c", "pass"], environ)
    yield "in process, to the store", lambda: prebake.ensure(environment, workspace=workspace)
    yield "in process, to a registry", lambda: prebake.ensure(environment, to=_target(), workspace=workspace)
    yield "whole process, to a registry", _quiet(_command(), environ)


def _registry() -> str:
    return os.environ["WORLD_REGISTRY"]


def _target() -> str:
    return f"{_registry()}/bench:latest"


def _command() -> list[str]:
    prebake_command = str(Path(sys.executable).with_name("prebake"))
    return [
        prebake_command,
        "build",
        str(_DEFINITION),
        "-q",
        "--image",
        f"{_registry()}/debian:12",
        "--to",
        _target(),
    ]


def _settings(folder: str) -> dict[str, str]:
    return sources(os.environ["WORLD_URL"]) | {"PREBAKE_STORE": folder}


def _quiet(command: list[str], environ: dict[str, str]) -> Work:
    return lambda: subprocess.run(command, env=environ, check=True, capture_output=True)


def _times(work: Work) -> tuple[float, float]:
    """Median and best, in seconds."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times)


def _imported(command: list[str], environ: dict[str, str]) -> list[str]:
    """Which forbidden packages a hit imports, by Python's own account."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "prebake.cli", *command[1:]],
        env=environ, check=True, capture_output=True, text=True,
    )  # fmt: skip
    names = {line.rpartition("|")[2].strip().split(".")[0] for line in run.stderr.splitlines()}
    return sorted(names & set(FORBIDDEN))


if __name__ == "__main__":
    main()
