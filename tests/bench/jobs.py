"""How long a job takes to start on a hit, in a container and from a prefix, beside `docker run` of its image.

    python tests/world/up.py --docker --run python tests/bench/jobs.py

Each line is a whole process that runs `true`, from the command line to its exit. `conda run` joins where a
conda is on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
PREBAKE = str(Path(sys.executable).with_name("prebake"))
ENVIRONMENT = """\
image: HOST/debian:12
conda_file: {channels: [conda-forge], dependencies: [python=3.11, numpy, scikit-learn]}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "code").mkdir()
        (folder / "code/train.py").write_text("print('trained')\n")
        (folder / "env.yml").write_text(ENVIRONMENT.replace("HOST", os.environ["WORLD_REGISTRY"]))
        environ = dict(os.environ, **_settings(folder))
        submit = [PREBAKE, "submit", "-q", "--env", "env.yml", "--code", "code", "--network", "host"]
        first = _output([*submit, "--json", "--", "true"], environ, folder)
        image = json.loads(first)["image"].partition("@")[0]
        plain = ["docker", "run", "--rm", "--network", "host", image, "true"]
        ways = {
            "docker run": plain,
            "submit, docker": [*submit, "--", "true"],
            "submit, local": [*submit, "--target", "local", "--", "true"],
            "submit --no-wait": [*submit, "--target", "local", "--no-wait", "--", "true"],
        }
        _compare(ways, environ, folder)
    _conda()


def _settings(folder: Path) -> dict[str, str]:
    url = os.environ["WORLD_URL"]
    return {
        "PREBAKE_STORE": str(folder / "store"),
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
        "PREBAKE_PIP_INDEX": f"{url}/index/simple",
    }


def _output(command: list[str], environ: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environ, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _compare(ways: dict[str, list[str]], environ: dict[str, str], folder: Path) -> None:
    """In turns, so that a busy moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, command in ways.items():
            start = time.perf_counter()
            _output(command, environ, folder)
            if number:  # the first warms up
                times[name].append(time.perf_counter() - start)
    yardstick = statistics.median(times["docker run"])
    for name, found in times.items():
        p50 = statistics.median(found)
        ratio = f"{p50 / yardstick:5.1f} x docker run"
        print(f"{name:<18} p50 {p50 * 1000:6.0f} ms   best {min(found) * 1000:6.0f} ms   {ratio}")


def _conda() -> None:
    conda = shutil.which("conda") or shutil.which("micromamba") or shutil.which("mamba")
    if conda is None:
        print("conda run: not measured, there is no conda on PATH")
        return
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([conda, "run", "-n", "base", "true"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    print(f"{Path(conda).name} run          p50 {statistics.median(times) * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
