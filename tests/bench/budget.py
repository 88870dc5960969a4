"""How the layer budget trades layers for bytes: `bins` from one layer for all small packages to many.

    python tests/world/up.py --run python tests/bench/budget.py

For each: layers, cold build, and what one more small pip package or conda package costs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BINS = (1, 4, 8, 16, 32)
PIP = ("tabulate", "colorama", "six", "pyjokes", "tqdm")
CONDA = ("pyyaml", "tqdm", "six")


def main() -> None:
    text = (ROOT / "tests" / "world" / "demo.yml").read_text()
    text = text.replace("localhost/", f"{os.environ['WORLD_REGISTRY']}/")
    print("| bins | layers | cold, s | +1 pip, s | +1 pip, kB | +1 conda, s | +1 conda, kB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for bins in BINS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {bins} | {' | '.join(_row(Path(folder), bins, text))} |", flush=True)


def _row(folder: Path, bins: int, text: str) -> list[str]:
    cold = _build(folder, bins, text)
    pip = [_build(folder, bins, text.replace("- uvicorn", f"- uvicorn\n        - {name}")) for name in PIP]
    conda = [_build(folder, bins, text.replace("- pip\n", f"- pip\n    - {name}\n")) for name in CONDA]
    return [str(len(cold["layers"])), f"{cold['seconds']:.1f}", *_medians(pip), *_medians(conda)]


def _medians(builds: list[dict[str, Any]]) -> tuple[str, str]:
    seconds = statistics.median(build["seconds"] for build in builds)
    kilobytes = statistics.median(build["bytes_pushed"] for build in builds) / 1000
    return f"{seconds:.2f}", f"{kilobytes:.0f}"


def _build(folder: Path, bins: int, text: str) -> dict[str, Any]:
    (folder / "env.yml").write_text(text)
    url = os.environ["WORLD_URL"]
    environ = dict(os.environ) | {
        "PREBAKE_STORE": str(folder / "store"),
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
        "PREBAKE_PIP_INDEX": f"{url}/index/simple",
        "PREBAKE_BINS": str(bins),
    }
    command = [str(Path(sys.executable).with_name("prebake")), "build", "env.yml", "--json"]
    command += ["--to", f"{os.environ['WORLD_REGISTRY']}/budget{bins}:latest"]
    run = subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
