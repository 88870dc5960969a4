"""The base image of every contender: Debian 12 with its python, pip, uv and a conda installer.

prebake needs none of that and ignores it; the others would have to install it first. `v1` is the base, `v2`
the same with one patched file.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import rattler
import uv
import xxhash

from bench.peers.room import Room
from world.tools import run

_INSTALLER = Path(__file__).with_name("conda_install.py")
_DIST_PACKAGES = "/usr/local/lib/python3.11/dist-packages"
_WITHOUT = ("doc", "info", "locale", "lintian", "man")
_COMMIT = "buildah --root=/room/base-store commit -q --disable-compression=false"


def make_tar(folder: Path, pip_wheel: Path) -> Path:
    """The root file system, kept in `folder` for later runs with the same tools."""
    tools = [version("uv"), version("py-rattler"), pip_wheel.name]
    sources = [Path(__file__).read_text(), _INSTALLER.read_text()]
    made = folder / f"bench-base-{xxhash.xxh3_64_hexdigest(repr([tools, sources]).encode())}.tar"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _bootstrap(Path(scratch) / "base.tar", pip_wheel)
            (Path(scratch) / "base.tar").rename(made)
    return made


def _bootstrap(target: Path, pip_wheel: Path) -> None:
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _WITHOUT]
    copies = {uv.find_uv_bin(): "/usr/local/bin/uv", str(_INSTALLER): "/usr/local/bin/conda-install"}
    hooks = [f'--customize-hook=cp {shlex.quote(str(a))} "$1{b}"' for a, b in copies.items()]
    site = f'"$1{_DIST_PACKAGES}"'
    hooks += [
        f"--customize-hook=mkdir -p {site} && cp -r {shlex.quote(str(Path(rattler.__file__).parent))} {site}",
        f"--customize-hook=python3 -m zipfile -e {shlex.quote(str(pip_wheel))} {site}",
        # Debian's pip refuses to install beside apt's packages
        '--customize-hook=rm -f "$1/usr/lib/python3.11/EXTERNALLY-MANAGED"; chmod +x "$1/usr/local/bin/"*',
    ]
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--include=python3,ca-certificates",
        *excluded,
        *hooks,
        "bookworm",
        target,
    )


def make_layout(room: Room, tar: Path, variables: Mapping[str, str]) -> Path:
    """An OCI layout with `v1` and `v2`, whose containers see `variables`."""
    (room.work / "motd").write_text("patched\n")
    shutil.copyfile(tar, room.work / "base.tar")
    env = " ".join(f"--env={shlex.quote(f'{name}={value}')}" for name, value in variables.items())
    buildah = "buildah --root=/room/base-store"
    room.run("sh", "-ec", f"""
        c=$({buildah} from scratch)
        {buildah} add -q $c /room/base.tar /
        {buildah} config {env} --cmd /bin/bash $c
        {_COMMIT} $c oci:/room/base:v1
        c=$({buildah} from oci:/room/base:v1)
        {buildah} add -q $c /room/motd /etc/motd
        {_COMMIT} $c oci:/room/base:v2
        {buildah} rm -a >/dev/null; {buildah} rmi -a -f >/dev/null
    """)  # fmt: skip
    return room.work / "base"


def push(layout: Path, tag: str, reference: str) -> None:
    """Copy a tag of the layout to a registry, its digest unchanged."""
    options = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
    run("skopeo", "--insecure-policy", *options, f"oci:{layout}:{tag}", f"docker://{reference}")
