"""Base images as one OCI layout: Debian 12, two variations of it, and one without glibc.

https://github.com/opencontainers/image-spec/blob/v1.0.2/image-layout.md
"""

import io
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal import igzip

from world import EPOCH
from world.digests import sha256
from world.tools import run

_TYPE = "application/vnd.oci.image."
_CREATED = "2023-11-14T22:13:20Z"  # EPOCH
_CONFIG = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["/bin/bash"],
}
_ALPINE = b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.0\n'
_WITHOUT = ("doc", "info", "locale", "lintian", "man")


@dataclass(frozen=True, slots=True)
class _Layer:
    descriptor: dict[str, Any]
    diff_id: str


def build_base(folder: Path, cache: Path) -> dict[str, Any]:
    del cache  # Debian's packages come through mmdebstrap, which keeps none
    (folder / "blobs/sha256").mkdir(parents=True)
    debian = _layer(folder, _debian())
    patch = _layer(folder, _tar({"etc/motd": b"patched\n"}))
    prefix = _layer(folder, _tar({"opt/prebake/env/bin/x": b"already here\n"}))
    musl = {"lib/ld-musl-x86_64.so.1": b"", "etc/os-release": _ALPINE}
    images = {
        "debian:12": [debian],
        "debian:12-patched": [debian, patch],
        "debian:12-hasprefix": [debian, prefix],
        "alpine-like:musl": [_layer(folder, _tar(musl))],
    }
    manifests = [_image(folder, name, layers) for name, layers in images.items()]
    index = {"schemaVersion": 2, "mediaType": _TYPE + "index.v1+json", "manifests": manifests}
    (folder / "index.json").write_bytes(_json(index))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return {"refs": {name: item["digest"] for name, item in zip(images, manifests, strict=True)}}


def _debian() -> bytes:
    """A tar that depends on the Debian packages alone: mmdebstrap sorts it and clamps its times."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _WITHOUT]
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "debian.tar")
        env = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)}
        run("mmdebstrap", "--quiet", "--variant=minbase", *excluded, "bookworm", target, env=env)
        return target.read_bytes()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.TarFile(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in sorted(files.items()):
            header = tarfile.TarInfo(path)
            header.size, header.mtime, header.mode = len(data), EPOCH, 0o755 if "bin/" in path else 0o644
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def _layer(folder: Path, tar: bytes) -> _Layer:
    packed = igzip.compress(tar, 2, mtime=0)
    return _Layer(_blob(folder, packed, "layer.v1.tar+gzip"), "sha256:" + sha256(tar))


def _image(folder: Path, name: str, layers: list[_Layer]) -> dict[str, Any]:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _CREATED,
        "config": _CONFIG,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": _CREATED, "created_by": "sample world"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _TYPE + "manifest.v1+json",
        "config": _blob(folder, _json(config), "config.v1+json"),
        "layers": [layer.descriptor for layer in layers],
    }
    annotation = {"org.opencontainers.image.ref.name": name}
    return _blob(folder, _json(manifest), "manifest.v1+json") | {"annotations": annotation}


def _blob(folder: Path, data: bytes, kind: str) -> dict[str, Any]:
    digest = sha256(data)
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": _TYPE + kind, "digest": f"sha256:{digest}", "size": len(data)}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
