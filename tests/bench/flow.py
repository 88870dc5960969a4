"""What a flow costs: a build and a hit, with and without `--flow`, with its own server and a running one.

    python tests/bench/flow.py

Small packages, so that what is shown is the overhead and not the build. Seconds, medians of three.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import PREBAKE
from conftest import ROOT, SampleWorld
from tiny import PARTS, SETTINGS, tiny_file, tiny_world
from world.prefect import plain_environ, prefect
from world.services import free_port


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        services = SampleWorld(ROOT / ".world", folder, "", "", stack)
        tiny = stack.enter_context(tiny_world(services, folder / "tiny"))
        api = stack.enter_context(prefect(folder / "prefect", free_port()))
        file = tiny_file(folder, PARTS[:8])
        environ = plain_environ() | tiny.environ(folder / "store") | SETTINGS
        build = [PREBAKE, "build", "--quiet", str(file), "--image", tiny.base]
        running = environ | {"PREBAKE_PREFECT_API": api}
        print(f"build, bare engine          {_median(build, environ, fresh=True):6.2f}")
        print(f"build, flow, running server {_median([*build, '--flow'], running, fresh=True):6.2f}")
        print(f"build, flow, server of own  {_median([*build, '--flow'], environ, fresh=True):6.2f}")
        print(f"hit, bare engine            {_median(build, environ, fresh=False):6.2f}")
        print(f"hit, --flow                 {_median([*build, '--flow'], environ, fresh=False):6.2f}")


def _median(command: list[str], environ: dict[str, str], *, fresh: bool) -> float:
    return statistics.median(_seconds(command, environ, fresh=fresh) for _ in range(3))


def _seconds(command: list[str], environ: dict[str, str], *, fresh: bool) -> float:
    """Of one run; `fresh` forgets what was built, but not Prefect's own database."""
    store = Path(environ["PREBAKE_STORE"])
    for old in store.glob("*") if fresh else ():
        if old.name != "prefect":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    start = time.perf_counter()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
