"""A source distribution becomes a wheel, built once with the environment's own python.

Invariant: a wheel is traced by its source's digest, python and platform, and lives in the store alone. Its
URL is `SDIST-URL/WHEEL-NAME`: it tells where the wheel comes from, and nothing can be fetched there. When the
blob is pruned the trace is none and the next solve builds it again, with the build tools of that day: the
wheel may be another then.

    wheel = build_wheel(sdist, conda, world)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from ..cache.digest import CHUNK, Digest, key_inputs, key_of_inputs
from ..cache.oci import Descriptor
from ..cache.store import Trace
from ..cache.tiered import Wanted
from ..errors import PackageError, PrebakeError, SolveError, Unreachable
from .entry import FIXED_MTIME
from .fetch import fetch
from .local import ensure_prefix
from .lock import Wheel, python_closure
from .sources import NO_ANSWER, redact
from .uv import uv_environment, uv_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..cache.digest import Json
    from .lock import CondaPackage, Lock
    from .pip_solve import Sdist
    from .world import World

SDIST = "sdist/1"
_MEDIA_TYPE = "application/vnd.prebake.wheel"
_LAST_LINES = 15


def build_wheel(sdist: Sdist, conda: Lock, world: World) -> Wheel:
    """The wheel of `sdist`, from the store or built now. Raises PackageError, Unreachable, SettingsError."""
    python = conda.python()
    if python is None:
        raise SolveError("a pip list needs a python", hint="add `python` to the conda dependencies")
    inputs = _inputs(sdist, python, world)
    key = key_of_inputs(inputs)
    trace = world.store.obtain(
        Wanted(key, inputs, lambda: Trace(key, inputs, *_build(sdist, conda, world)))
    ).trace
    blob = trace.blobs[0]
    url = f"{sdist.url}/{trace.outputs['file_name']}"
    return Wheel(sdist.name, sdist.version, url, blob.digest, blob.size, built=True)


def _inputs(sdist: Sdist, python: CondaPackage, world: World) -> Mapping[str, Json]:
    return key_inputs(
        SDIST, {"sdist": sdist.sha256.hex, "python": python.sha256.hex, "platform": world.platform}
    )


def _build(sdist: Sdist, conda: Lock, world: World) -> tuple[dict[str, Json], tuple[Descriptor, ...]]:
    archive = fetch(sdist, world.store.local, world.sources)
    interpreter = ensure_prefix(python_closure(conda), world) / "bin" / "python"
    with world.store.local.scratch() as folder:
        source = folder / sdist.url.rsplit("/", 1)[-1]
        os.link(archive, source)  # uv goes by the file's name, and a blob is named by digest
        wheel = _run_uv(source, interpreter, sdist, world)
        if not wheel.name.endswith("-any.whl"):
            world.report(f"{wheel.name} was compiled here: it may need a newer glibc than the image has")
        digest, size = _keep(wheel, world)
        return {"file_name": wheel.name}, (Descriptor(_MEDIA_TYPE, digest, size),)


def _run_uv(source: Path, interpreter: Path, sdist: Sdist, world: World) -> Path:
    made = source.parent / "made"
    command = [
        uv_program(), "build", str(source), "--wheel", "--out-dir", str(made), "--no-create-gitignore",
        "--python", str(interpreter), "--no-python-downloads", "--no-config", "--color", "never",
    ]  # fmt: skip
    run = subprocess.run(
        command, env=_environment(interpreter, world), capture_output=True, text=True, check=False
    )
    wheels = list(made.glob("*.whl"))
    if run.returncode or len(wheels) != 1:
        raise _failure(sdist, redact(run.stderr + run.stdout).replace(str(source.parent), ""))
    return wheels[0]


def _environment(interpreter: Path, world: World) -> dict[str, str]:
    """As for any uv, with the environment's python first and fixed times in the wheel."""
    environment = uv_environment(world.sources, world.cache_dir)
    path = f"{interpreter.parent}:{environment.get('PATH', os.defpath)}"
    return environment | {"PATH": path, "SOURCE_DATE_EPOCH": str(FIXED_MTIME)}


def _failure(sdist: Sdist, log: str) -> PrebakeError:
    last = [line for line in log.splitlines() if line.strip()][-_LAST_LINES:]
    facts = {"package": f"{sdist.name} {sdist.version}", "log": "\n".join(last)}
    if NO_ANSWER.search(log):
        return Unreachable("the package index does not answer", facts=facts, hint="try again")
    return PackageError(
        f"`{sdist.name}` cannot be built from source",
        facts=facts,
        hint="take a version that has a wheel, or publish a wheel built elsewhere and name that",
    )


def _keep(wheel: Path, world: World) -> tuple[Digest, int]:
    with wheel.open("rb") as stream:
        return world.store.local.create(lambda writer: shutil.copyfileobj(stream, writer, CHUNK))
