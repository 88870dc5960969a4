"""A user with private servers: builds whose credentials are looked for in all that is left behind."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from world import services
from world.private import User

ALICE = User("alice", "p@ss/w+rd%1", "tk-0123456789abcdef")
BOB = User("bob", "r3gistry/p@ss")
FORGE, PYPI = "https://conda.anaconda.org/conda-forge", "https://pypi.example"
# Written into each process's start: what it starts, with which arguments.
WATCH = """\
import os, sys
def note(event, args):
    if event == "subprocess.Popen":
        with open(os.environ["WATCHED"], "ab") as file:
            file.write(b"\\0".join(os.fsencode(each) for each in args[1]) + b"\\n")
sys.addaudithook(note)
"""
ENVIRONMENT = """\
image: {base}
conda_file:
  channels: [{channel}]
  dependencies:
    - python=3.11
    - prefix-probe
    - pip:
        - tabulate
        - docopt
"""


@dataclass(frozen=True)
class Desk:
    """One user's folder, and the private servers."""

    folder: Path
    packages: str
    registry: services.Registry
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: str = ENVIRONMENT

    def with_places(self, packages: str) -> Desk:
        """Settings that name the channel and the index below `packages`."""
        mirrors = f"{FORGE}={packages}/channel {PYPI}={packages}/index"
        return replace(self, variables={"PREBAKE_MIRRORS": mirrors, "PREBAKE_PIP_INDEX": f"{PYPI}/simple"})

    def and_variables(self, **more: str) -> Desk:
        return replace(self, variables={**self.variables, **more})

    def write_docker_config(self, password: str = BOB.password) -> None:
        auth = base64.b64encode(f"{BOB.name}:{password}".encode()).decode()
        (self.folder / "docker-config").mkdir(exist_ok=True)
        (self.folder / "docker-config/config.json").write_text(
            json.dumps({"auths": {self.registry.host: {"auth": auth}}})
        )

    def write_netrc(self) -> None:
        path = self.folder / "home/.netrc"
        path.write_text(f"machine 127.0.0.1 login {ALICE.name} password {ALICE.password}\n")
        path.chmod(0o600)

    def write_rattler(self, path: str, entry: Mapping[str, Any]) -> Path:
        made = self.folder / path
        made.parent.mkdir(exist_ok=True)
        made.write_text(json.dumps({"127.0.0.1": entry}))
        return made

    def run(self, *arguments: str, channel: str = "conda-forge") -> subprocess.CompletedProcess[str]:
        base = f"{self.registry.host}/debian:12"
        (self.folder / "env.yml").write_text(self.environment.format(base=base, channel=channel))
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "DOCKER_CONFIG": str(self.folder / "docker-config"),
            "PREBAKE_STORE": str(self.folder / "store"),
            "PYTHONPATH": os.pathsep.join([str(self.folder / "watch"), os.environ.get("PYTHONPATH", "")]),
            "WATCHED": str(self.folder / "watched"),
        }
        program = Path(sys.executable).with_name("prebake")
        verb, *rest = arguments
        command = [program, verb, "env.yml", *rest, "--allow-sdist", "docopt"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=own | dict(self.variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self) -> dict[str, Any]:
        result = self.run("build", "--to", f"{self.registry.host}/team/image:1", "--json")
        assert result.returncode == 0, result.stderr
        self.check_nothing_tells(result)
        made: dict[str, Any] = json.loads(result.stdout)
        return made

    def check_nothing_tells(self, result: subprocess.CompletedProcess[str]) -> None:
        words = [word for user in (ALICE, BOB) for word in spellings(user)]
        assert not [word for word in words if word in (result.stdout + result.stderr).encode()]
        config = {"home", "docker-config"}
        places = [self.folder, self.registry.log.parent]
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        kept = [path for path in files if not config & set(path.parts)]
        assert kept
        told = [path for path in kept if any(word in data for data in contents(path) for word in words)]
        assert not told


def spellings(user: User) -> list[bytes]:
    header = base64.b64encode(f"{user.name}:{user.password}".encode()).rstrip(b"=")
    texts = [user.password, quote(user.password), quote(user.password, safe=""), *filter(None, [user.token])]
    return [header, *(text.encode() for text in texts)]


def contents(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data, gzip.decompress(data)] if data.startswith(b"\x1f\x8b") else [data]


def refused(desk: Desk) -> str:
    result = desk.run("build", "--to", f"{desk.registry.host}/team/image:1")
    assert result.returncode, "built with a wrong password"
    desk.check_nothing_tells(result)
    assert not [
        *(desk.registry.log.parent / "docker/registry/v2/repositories/team").rglob("tags/*")
    ]  # blobs alone are not published
    return result.stderr
