"""What compiled .pyc files in the layers cost at build time and save at every start.

python tests/world/up.py --docker --run python tests/bench/bytecode.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
POLICIES = ("none", "unchecked-hash")
ROUNDS = 5
WORK = "import pandas, sklearn, fastapi"


def main() -> None:
    registry, url = os.environ["WORLD_REGISTRY"], os.environ["WORLD_URL"]
    with tempfile.TemporaryDirectory() as folder:
        environ = dict(os.environ) | {
            "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
            "PREBAKE_PIP_INDEX": f"{url}/index/simple",
        }
        for policy in POLICIES:
            seconds = _build(f"{registry}/bytecode:{policy}", policy, environ, folder)
            subprocess.run(["docker", "pull", "-q", f"{registry}/bytecode:{policy}"], check=True)
            print(f"build {policy:<15} {seconds:6.1f} s", flush=True)
        starts: dict[str, list[float]] = {policy: [] for policy in POLICIES}
        for _ in range(ROUNDS):
            for policy in POLICIES:
                starts[policy].append(_start(f"{registry}/bytecode:{policy}"))
    for policy, times in starts.items():
        print(f"start {policy:<15} {statistics.median(times):6.1f} s  {min(times):.1f} to {max(times):.1f}")


def _build(to: str, policy: str, environ: dict[str, str], folder: str) -> float:
    own = {"PREBAKE_STORE": f"{folder}/{policy}", "PREBAKE_BYTECODE": policy}
    prebake = str(Path(sys.executable).with_name("prebake"))
    file = str(ROOT / "tests" / "world" / "demo.yml")
    base = f"{environ['WORLD_REGISTRY']}/debian:12"
    start = time.perf_counter()
    subprocess.run([prebake, "build", file, "-q", "--image", base, "--to", to], env=environ | own, check=True)
    return time.perf_counter() - start


def _start(image: str) -> float:
    command = ["docker", "run", "--rm", "--network", "host", image, "python", "-c", WORK]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
