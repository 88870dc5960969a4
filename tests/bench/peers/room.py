"""A newer Debian in a folder, so that today's Docker Engine, BuildKit and buildah run on an older machine.

Everything in the room runs in a mount namespace of its own whose root is the room, because runc asks for a
root that is a mount point. `room.work` is one folder outside and `/room` inside.

    with opened(Path(".world/room")) as room:
        room.run("buildah", "--version")
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from world.tools import ToolFailed, executable, run

SUITE = "forky"
_PACKAGES = "docker.io,docker-cli,docker-buildx,buildah,netavark,ca-certificates"
_MIRROR = "http://deb.debian.org/debian"
# Debian's testing suites are signed for a week; a mirror that stands still is older
_OLD_IS_FINE = "--aptopt=Acquire::Check-Valid-Until false"

# $1 is the room, $2 the work folder; the shell ends with its standard input
_ENTER = """
set -e
mount --rbind "$1" "$1"
for name in proc sys dev; do mount --rbind "/$name" "$1/$name"; done
mount -t tmpfs tmpfs "$1/run"
mkdir -p "$1/room" "$1/outside"
mount --rbind "$2" "$1/room"
cd "$1"
pivot_root . outside
umount -l /outside
echo ready
exec cat
"""


@dataclass(frozen=True, slots=True)
class Room:
    """`process` is a process that holds the namespace; `work` the folder that both sides see."""

    process: int
    work: Path

    def command(self, *arguments: str) -> list[str]:
        return [executable("nsenter"), f"--target={self.process}", "--mount", *arguments]

    def run(self, *arguments: str) -> str:
        return run(*self.command(*arguments)).decode()

    def inside(self, path: Path) -> str:
        """What a path below `work` is called in the room."""
        return str(Path("/room") / path.relative_to(self.work))


def make(folder: Path) -> None:
    """Unpack the suite into a folder; one that is there is left as it is. A kill leaves no half of it."""
    if folder.is_dir():
        return
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    options = ["--quiet", "--variant=minbase", _OLD_IS_FINE, f"--include={_PACKAGES}"]
    run("mmdebstrap", *options, SUITE, scratch, _MIRROR)
    scratch.rename(folder)


@contextmanager
def opened(folder: Path) -> Iterator[Room]:
    """The room, made if need be. What is mounted in it goes with the last process in it."""
    make(folder)
    with tempfile.TemporaryDirectory(prefix="room-", ignore_cleanup_errors=True) as work:
        apart = ["unshare", "--mount", "--propagation=private"]
        enter = [*apart, "sh", "-c", _ENTER, "sh", str(folder.resolve()), work]
        with subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            if holder.stdout is None or holder.stdout.readline() != b"ready\n":
                raise ToolFailed(f"{folder} could not be entered\nhint: run as root")
            yield Room(holder.pid, Path(work))
