"""What `make demo` shows, inside `up.py --docker --run`: build, push, pull, run; then the same again.

Every line that starts with `$` is a command that a user could type.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
IMPORTS = "import numpy, pandas, sklearn, fastapi"


def main() -> None:
    registry = os.environ["WORLD_REGISTRY"]
    torch = json.loads((ROOT / ".world" / "world.json").read_text())["torch"]
    with tempfile.TemporaryDirectory() as folder:
        definition = _definition(Path(folder), registry, torch)
        _settings(Path(folder))
        _show(Path(folder), definition, f"{registry}/demo:latest", f"{IMPORTS}, torch" if torch else IMPORTS)


def _definition(folder: Path, registry: str, torch: str | None) -> Path:
    """demo.yml on the registry of this run, with a torch-sized wheel where one is on disk."""
    text = (HERE / "demo.yml").read_text().replace("localhost/", f"{registry}/")
    if torch:
        text = text.replace("        - uvicorn\n", f"        - uvicorn\n        - torch=={torch}\n")
    path = folder / "demo.yml"
    path.write_text(text)
    return path


def _settings(folder: Path) -> None:
    """Conda-forge and PyPI are served by the sample world; the definition need not know."""
    url = os.environ["WORLD_URL"]
    lines = [
        f'store = "{folder}/store"',
        f'pip_index = "{url}/index/simple"',
        "[mirrors]",
        f'"https://conda.anaconda.org/conda-forge" = "{url}/channel"',
    ]
    (folder / "prebake.toml").write_text("\n".join(lines) + "\n")


def _show(folder: Path, definition: Path, reference: str, imports: str) -> None:
    prebake = f"{sys.executable} -m prebake.cli"
    build = f"{prebake} build {definition.name} --to {reference}"
    run = f"docker run --rm --network host {reference}"
    _run(build, folder)
    _run(f"docker pull -q {reference}", folder)
    versions = f"print({', '.join(f'{name}.__version__' for name in imports[7:].split(', '))})"
    _run(f"{run} python -c {shlex.quote(f'{imports}; {versions}')}", folder)
    _run(f"{run} python -m pip check", folder)
    _run(f"{prebake} verify {reference}", folder)
    _run(build, folder)


def _run(command: str, folder: Path) -> None:
    shown = command.replace(f"{sys.executable} -m prebake.cli", "prebake")
    print(f"\n$ {shown}", flush=True)
    subprocess.run(shlex.split(command), cwd=folder, check=True)


if __name__ == "__main__":
    main()
