"""The contenders: whole commands that build an environment and push it to a registry.

contender.forget()
contender.fetch_base("localhost:5000/base:v1")
contender.build(wanted, "localhost:5000/team:v1")
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_NOFILE, RLIMIT_NPROC, getrlimit
from typing import Protocol

import xxhash

from bench.peers.clients import Order
from bench.peers.room import Room
from bench.peers.wanted import REQUIREMENTS, Installer, Mount, Wanted, dockerfile, requirements
from world.services import DockerHost, served
from world.tools import run_command

_OLD_CLIENT = "/usr/bin/docker"  # Debian's, of the engine's age; a newer one on the PATH would ask for buildx


class Contender(Protocol):
    """Something that answers an environment with an image in a registry."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def version(self) -> str:
        """Name and version of the program, as it tells them itself."""

    def forget(self) -> None:
        """Drop everything an earlier build left: images, layers, packages, metadata."""

    def fetch_base(self, reference: str) -> None:
        """Have the base image at hand before the clock starts."""

    def build(self, wanted: Wanted, to: str) -> None:
        """Build and push; ends when the registry has the image, raises ToolFailed otherwise."""


@dataclass(frozen=True, slots=True)
class Dockerfiles:
    """What a builder of Dockerfiles reads: files in `folder`, by an installer, with or without mounts."""

    folder: Path
    installer: Installer
    mount: Mount

    def write(self, wanted: Wanted) -> Path:
        """The context: a folder for each content, so that several can be built at once."""
        files = {
            "Dockerfile": dockerfile(wanted, self.installer, self.mount),
            REQUIREMENTS: requirements(wanted),
        }
        context = self.folder / xxhash.xxh3_64_hexdigest(repr(files).encode())
        context.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (context / name).write_text(text)
        return context


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker Engine in the room. `output` is buildx's option; `{to}` in it is the reference."""

    name: str
    room: Room
    socket: str
    files: Dockerfiles
    output: str

    def version(self) -> str:
        return "Docker Engine " + self._docker("version", "--format={{.Server.Version}}").strip()

    def forget(self) -> None:
        self._docker("system", "prune", "--all", "--force", "--volumes")
        self._docker("builder", "prune", "--all", "--force")

    def fetch_base(self, reference: str) -> None:
        self._docker("pull", "-q", reference)

    def build(self, wanted: Wanted, to: str) -> None:
        self.order(wanted, to).run()

    def order(self, wanted: Wanted, to: str) -> Order:
        """The command that is `build`."""
        context = self.room.inside(self.files.write(wanted))
        network = ["--network=host", "--allow=network.host"]
        options = ["--progress=plain", "--pull", "--provenance=false", self.output.format(to=to)]
        return self._order("buildx", "build", *network, *options, context)

    def start(self, reference: str, *command: str) -> None:
        """Pull an image and run a command in it."""
        self._docker("run", "--rm", "--network=host", "--pull=always", "-q", reference, *command)

    def remove(self, reference: str) -> None:
        """Drop an image; layers that others have too stay, so a base need not be fetched again."""
        self._docker("image", "rm", reference)

    def _docker(self, *arguments: str) -> str:
        return self._order(*arguments).run()

    def _order(self, *arguments: str) -> Order:
        return Order(self.room.command("docker", f"--host={self.socket}", *arguments), dict(os.environ))


@dataclass(frozen=True, slots=True)
class OldEngine:
    """The machine's own Docker Engine. `buildkit` is DOCKER_BUILDKIT; 0 is the classic builder."""

    name: str
    host: DockerHost
    files: Dockerfiles
    buildkit: str

    def version(self) -> str:
        return "Docker Engine " + self.host.docker("version", "--format={{.Server.Version}}").strip()

    def forget(self) -> None:
        self.host.docker("system", "prune", "--all", "--force", "--volumes")
        self.host.docker("builder", "prune", "--all", "--force")

    def fetch_base(self, reference: str) -> None:
        self.host.docker("pull", "-q", reference)

    def build(self, wanted: Wanted, to: str) -> None:
        context = self.files.write(wanted)
        docker = [_OLD_CLIENT, "--host", self.host.url]
        environ = os.environ | {"DOCKER_BUILDKIT": self.buildkit}
        run_command(
            [*docker, "build", "-q", "--network=host", "--pull", "-t", to, str(context)],
            env=environ,
        )
        run_command([*docker, "push", "-q", to])


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with layers, its store in the work folder of the room."""

    name: str
    room: Room
    files: Dockerfiles

    def version(self) -> str:
        return " ".join(self._buildah("--version").split()[:3])

    def forget(self) -> None:
        self._buildah("rmi", "--all", "--force")
        self._buildah("prune", "--all", "--force")
        # cache mounts are folders of their own
        self.room.run("sh", "-c", f"rm -rf {self._scratch}/*")

    def fetch_base(self, reference: str) -> None:
        self._buildah("pull", "-q", "--tls-verify=false", reference)

    def build(self, wanted: Wanted, to: str) -> None:
        context = self.room.inside(self.files.write(wanted))
        options = ["-q", "--layers", "--pull", "--tls-verify=false", "-t", to]
        self._buildah("build", *_as_host(), *options, context)
        self._buildah("push", "-q", "--tls-verify=false", to)

    def _buildah(self, *arguments: str) -> str:
        roots = ["--root=/room/buildah", "--runroot=/run/buildah"]
        return self.room.run("env", f"TMPDIR={self._scratch}", "buildah", *roots, *arguments)

    @property
    def _scratch(self) -> str:
        """Where it keeps cache mounts."""
        folder = self.room.work / "buildah-scratch"
        folder.mkdir(exist_ok=True)
        return self.room.inside(folder)


def _as_host() -> list[str]:
    """The host's network and limits; buildah's default limits may be above what this process may set."""
    limits = {"nofile": getrlimit(RLIMIT_NOFILE)[1], "nproc": getrlimit(RLIMIT_NPROC)[1]}
    return ["--network=host", *(f"--ulimit={name}={most}:{most}" for name, most in limits.items())]


@dataclass(frozen=True, slots=True)
class Prebake:
    """`prebake build`, a whole process each time; `settings` are its PREBAKE_ variables but for the store."""

    name: str
    program: Path
    folder: Path
    settings: Mapping[str, str]

    def version(self) -> str:
        return "prebake " + self._order("--version").run().split()[-1]

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def fetch_base(self, reference: str) -> None:
        """Nothing: prebake never reads the base."""

    def build(self, wanted: Wanted, to: str) -> None:
        self.order(wanted, to).run()

    def order(self, wanted: Wanted, to: str) -> Order:
        """The command that is `build`; it prints what became of each layer, as JSON."""
        text = json.dumps(_definition(wanted))  # JSON is YAML
        self.folder.mkdir(parents=True, exist_ok=True)
        definition = self.folder / f"{xxhash.xxh3_64_hexdigest(text.encode())}.json"
        definition.write_text(text)
        return self._order("build", str(definition), "--to", to, "-q", "--json")

    def _order(self, *arguments: str) -> Order:
        environ = os.environ | self.settings | {"PREBAKE_STORE": str(self.folder / "store")}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it
        return Order([str(self.program), *arguments], environ)


Single = Engine | Prebake
"""A contender whose `build` is one command."""


def _definition(wanted: Wanted) -> dict[str, object]:
    pip: list[object] = [{"pip": list(wanted.pip)}] if wanted.pip else []
    conda = wanted.conda or ("python=3.11", "pip")  # the others take the base's
    return {
        "image": wanted.base,
        "conda_file": {"channels": ["conda-forge"], "dependencies": [*conda, *pip]},
        "environment_variables": dict(wanted.variables),
    }


@contextmanager
def engine(room: Room, name: str, features: Mapping[str, bool]) -> Iterator[str]:
    """A Docker Engine in the room; yields the URL of its socket, as the room sees it."""
    folder = room.work / name
    folder.mkdir()
    (folder / "daemon.json").write_text(json.dumps({"features": dict(features)}))
    url = f"unix://{room.inside(folder)}/docker.sock"
    state = [
        f"--data-root={room.inside(folder)}/data",
        f"--exec-root=/run/{name}",
        f"--pidfile=/run/{name}.pid",
    ]
    network = ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    config = [f"--config-file={room.inside(folder)}/daemon.json", f"--host={url}"]
    asked = room.command("docker", f"--host={url}", "version")
    with served(
        room.command("dockerd", *config, *state, *network),
        room.work / f"{name}.log",
        lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0,
    ):
        yield url
