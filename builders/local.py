"""An environment installed on this machine, without an image; and commands that run in it.

Invariant: a prefix appears by one rename of a complete installation, so whoever sees it can use it; of
several processes that make the same one, the first wins and the others drop theirs.

    prefix = ensure_prefix(lock, world)              # STORE/prefixes/KEY
    code = run_local(prefix, ["python", "-V"], os.environ)
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from ..cache.digest import key_of
from ..errors import DefinitionError, PackageError, SettingsError
from .conda import CLOBBERS, clobber_error, link, linking_for
from .fetch import fetch_all
from .image import ACTIVATE
from .plan import prefix_of
from .recipe import Recipe
from .wheel import INSTALLER, refuse_hostile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from installer.records import RecordEntry
    from installer.utils import Scheme

    from .lock import Lock, Wheel
    from .prefix import Prefix
    from .world import World

PREFIX = "prefix/1"
# Programs hold their prefix in a field of this size, which conda packages are built with.
_PLACEHOLDER = 255
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ensure_prefix(lock: Lock, world: World) -> Path:
    """The folder with everything in `lock` installed; made on the first call.

    Raises DefinitionError (jars for Spark), SettingsError (other architecture, too long a path),
    PackageError, Unreachable, StoreError.
    """
    if lock.spark:
        hint = "run it in a container, or remove `spark:`"
        raise DefinitionError("jars for Spark are in images alone", hint=hint)
    final = prefix_folder(lock, world)
    if not final.exists():
        _refuse_foreign(lock)
        with world.store.local.scratch() as stage:
            made = install_whole(lock, stage, prefix_of(lock, Recipe(prefix=str(final))), world)
            _publish(made, final)
    return final


def prefix_folder(lock: Lock, world: World) -> Path:
    """Where `lock` is installed, or will be. Raises SettingsError when the path is too long."""
    folder = world.store.local.root.resolve() / "prefixes"
    conda = sorted([package.url, package.sha256.hex] for package in lock.conda)
    wheels = sorted([wheel.file_name, wheel.sha256.hex] for wheel in lock.pip)
    final = folder / key_of(PREFIX, {"conda": conda, "pip": wheels, "folder": str(folder)}).hex
    length = len(os.fsencode(final))
    if length > _PLACEHOLDER:
        raise SettingsError(
            "the store's path is too long for environments in it",
            facts={"path": final, "found": f"{length} bytes", "allowed": f"{_PLACEHOLDER} bytes"},
            hint="choose a shorter path for the store",
        )
    return final


def _refuse_foreign(lock: Lock) -> None:
    found = f"{sys.platform} {platform.machine()}"
    if found != f"linux {lock.target.architecture}":
        raise SettingsError(
            "the environment is for another kind of machine",
            facts={"found": found, "allowed": f"linux {lock.target.architecture}"},
            hint="build an image of it, or resolve it for this machine's platform",
        )


def _publish(made: Path, final: Path) -> None:
    final.parent.mkdir(exist_ok=True)
    try:
        made.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
            raise


def install_whole(lock: Lock, stage: Path, prefix: Prefix, world: World) -> Path:
    """Install all of `lock` below `stage` as for `prefix`, at once and without layers; returns its folder."""
    root = stage / prefix.path.lstrip("/")
    root.mkdir(parents=True)
    if lock.conda:
        link(lock.conda, stage, linking_for(prefix, world))
        shutil.rmtree(root / CLOBBERS, ignore_errors=True)
    for wheel, archive in zip(lock.pip, fetch_all(lock.pip, world.store.local, world.sources), strict=True):
        _install_wheel(wheel, archive, stage, prefix)
    return root


def _install_wheel(wheel: Wheel, archive: Path, stage: Path, prefix: Prefix) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.filename = wheel.file_name  # a blob is named by digest, and WheelFile reads its name
            refuse_hostile(opened, wheel.file_name)
            source = WheelFile(opened)
            schemes = {name: f"/{path}" for name, path in prefix.schemes(source.distribution).items()}
            target = _Destination(
                schemes, prefix.interpreter, "posix", destdir=str(stage), overwrite_existing=True
            )
            install(source, target, {"INSTALLER": INSTALLER})
    except (InstallerError, zipfile.BadZipFile, KeyError, ValueError, AssertionError) as error:
        facts = {"wheel": wheel.file_name, "reason": error}
        raise PackageError("a wheel cannot be installed", facts=facts, hint="ask its publisher") from error


@dataclass
class _Destination(SchemeDictionaryDestination):
    """Two packages may write one path if they agree on its content, as in layers."""

    def write_to_fs(self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        target = self._path_with_destdir(scheme, path)
        before = target.read_bytes() if target.exists() else None
        target.unlink(missing_ok=True)  # it may be a link to the package cache's own file
        record = super().write_to_fs(scheme, path, stream, is_executable)
        if before is not None and before != target.read_bytes():
            raise clobber_error(path, ["a wheel", "a package installed before it"])
        return record


def run_local(prefix: Path, command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run `command` as in the image: prefix on PATH, activation scripts sourced; returns its exit code.

    `env` is all of the environment it starts from. Signals are passed on; call it from the main thread.
    """
    shell, variables = activated(prefix, command, env)
    with subprocess.Popen(shell, env=variables) as process, _forwarding(process):
        code = process.wait()
    return code if code >= 0 else 128 - code


def activated(
    prefix: Path, command: Sequence[str], env: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The arguments and variables that run `command` with the prefix activated."""
    path = f"{prefix}/bin:{env.get('PATH', os.defpath)}"
    variables = {**env, "PATH": path, "CONDA_PREFIX": str(prefix)}
    return ["/bin/sh", "-c", ACTIVATE, "prebake", *command], variables


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(number: int, frame: object) -> None:
        # A terminal sends Ctrl-C to the whole group, the command included.
        if number != signal.SIGINT or not os.isatty(0):
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
