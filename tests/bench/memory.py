"""Peak memory of a cold build against the size of the environment.

    python tests/world/up.py --run python tests/bench/memory.py 0.3 3

Wheels of half-compressible data are made for it, 250 MB each, and served from a folder.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

PIECE = 250_000_000
RECORD = "{name}/data.bin,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"

# Waits for the command and prints its peak resident memory, its own children's apart.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def main() -> None:
    for gigabytes in map(float, sys.argv[1:] or ["0.5", "3"]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            names = [_wheel(folder / "wheels", number) for number in range(round(gigabytes * 1e9 / PIECE))]
            _definition(folder, names)
            start = time.perf_counter()
            peak = _build(folder)
            print(f"{gigabytes:4.1f} GB: peak {peak} MB, {time.perf_counter() - start:.1f} s", flush=True)


def _wheel(folder: Path, number: int) -> str:
    folder.mkdir(exist_ok=True)
    name = f"bulk{number}"
    info = f"{name}-1.0.dist-info"
    noise = random.Random(number).randbytes(1 << 19) + bytes(1 << 19)
    with zipfile.ZipFile(
        folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as wheel:
        with wheel.open(f"{name}/data.bin", "w") as stream:
            for _ in range(PIECE // len(noise)):
                stream.write(noise)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", RECORD.format(name=name, info=info))
    return name


def _definition(folder: Path, names: list[str]) -> None:
    pip = "".join(f"        - {name}\n" for name in names)
    (folder / "env.yml").write_text(
        f"image: {os.environ['WORLD_REGISTRY']}/debian:12\n"
        f"conda_file:\n  channels: [conda-forge]\n  dependencies:\n    - python=3.11\n    - pip:\n{pip}"
    )
    url = os.environ["WORLD_URL"]
    (folder / "prebake.toml").write_text(
        f'store = "store"\npip_index = "{url}/index/simple"\npip_find_links = ["{folder}/wheels"]\n'
        f'[mirrors]\n"https://conda.anaconda.org/conda-forge" = "{url}/channel"\n'
    )


def _build(folder: Path) -> int:
    prebake = str(Path(sys.executable).with_name("prebake"))
    to = f"{os.environ['WORLD_REGISTRY']}/bulk:latest"
    command = [sys.executable, "-c", MEASURE, prebake, "build", "env.yml", "-q", "--to", to]
    run = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return int(run.stdout)


if __name__ == "__main__":
    main()
