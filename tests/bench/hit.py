"""How long a hit takes: in process, in process through a registry, and as a whole process.

    python tests/world/up.py --run python tests/bench/hit.py

As a yardstick each line also gives the ratio to `python -c pass` in the same run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import prebake
from prebake.flows.wiring import open_workspace

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 30
FORBIDDEN = ("prefect", "boto3", "docker", "rattler")


def main() -> None:
    registry = os.environ["WORLD_REGISTRY"]
    with tempfile.TemporaryDirectory() as folder:
        environ = dict(os.environ, **_settings(folder))
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it
        workspace = open_workspace(environ)
        file = ROOT / "tests" / "world" / "demo.yml"
        environment = prebake.load(file, image=f"{registry}/debian:12")
        to = f"{registry}/bench:latest"
        prebake.ensure(environment, to=to, workspace=workspace)
        command = [str(Path(sys.executable).with_name("prebake")), "build", str(file), "-q"]
        command += ["--image", f"{registry}/debian:12", "--to", to]
        run = _quiet(command, environ)
        bare = _times(_quiet([sys.executable, "-c", "pass"], environ))
        python = bare[0]
        _print("python -c pass", bare, python)
        _print(
            "in process, to the store",
            _times(lambda: prebake.ensure(environment, workspace=workspace)),
            python,
        )
        _print(
            "in process, to a registry",
            _times(lambda: prebake.ensure(environment, to=to, workspace=workspace)),
            python,
        )
        _print("whole process, to a registry", _times(run), python)
        print("imported on a hit:", _imported(command, environ) or "none of", ", ".join(FORBIDDEN))


def _settings(folder: str) -> dict[str, str]:
    url = os.environ["WORLD_URL"]
    return {
        "PREBAKE_STORE": folder,
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
        "PREBAKE_PIP_INDEX": f"{url}/index/simple",
    }


def _quiet(command: list[str], environ: dict[str, str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, env=environ, check=True, capture_output=True)


def _times(work: Callable[[], object]) -> tuple[float, float]:
    """Median and best, in seconds."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times)


def _print(what: str, times: tuple[float, float], python: float) -> None:
    p50, best = (seconds * 1000 for seconds in times)
    print(f"{what:<30} p50 {p50:7.2f} ms   best {best:7.2f} ms   {times[0] / python:6.2f} x python")


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
