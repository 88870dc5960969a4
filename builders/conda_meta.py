"""`conda-meta/*.json`: what rattler records of a linked package, and the form of it that layers carry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..cache.files import cut_short
from .entry import FIXED_MTIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .lock import CondaPackage


def read_meta(root: Path, package: CondaPackage) -> dict[str, Any]:
    """Rattler's record of a package that it linked. Raises StoreError."""
    stem = package.file_name.removesuffix(".conda").removesuffix(".tar.bz2")
    return read_whole(root / "conda-meta" / f"{stem}.json")


def read_whole(file: Path) -> dict[str, Any]:
    """A JSON object that rattler wrote. Raises StoreError if a full disk cut it short."""
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise cut_short(file) from error
    return found


def sizes(meta: Mapping[str, Any]) -> dict[str, int | None]:
    """The package's paths, each with its size in bytes if linking leaves that as it is."""
    return {_original(item): _size(item) for item in meta["paths_data"]["paths"]}


def _size(item: Mapping[str, Any]) -> int | None:
    placed = item["path_type"] != "hardlink" or item.get("prefix_placeholder")
    return None if placed else item.get("size_in_bytes")


def _original(item: Mapping[str, Any]) -> str:
    """A path as the package has it, also where an equal file of another package won."""
    return str(item.get("original_path") or item["_path"])


def seconds(timestamp: object) -> int:
    """A package's build time; conda writes milliseconds, old packages seconds, some nothing."""
    if not isinstance(timestamp, int) or timestamp <= 0:
        return FIXED_MTIME
    return timestamp // 1000 if timestamp > 1 << 33 else timestamp


def normal_meta(package: CondaPackage, meta: Mapping[str, Any], index: Mapping[str, Any]) -> bytes:
    """conda-meta without facts of this machine, and from the archive rather than from today's repodata."""
    paths = [dict(item, _path=_original(item)) for item in meta["paths_data"]["paths"]]
    for item in paths:
        item.pop("original_path", None)
    paths.sort(key=lambda item: str(item["_path"]))
    normal = dict(index) | {
        "fn": package.file_name,
        "url": package.url,
        "channel": package.channel,
        "sha256": package.sha256.hex,
        "files": [item["_path"] for item in paths],
        "paths_data": {"paths_version": 1, "paths": paths},
        "link": {"source": "", "type": 1},
        "requested_specs": [],
    }
    return json.dumps(normal, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def link_scripts(package: CondaPackage, meta: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each link script that the package has."""
    for action in ("pre-link", "post-link"):
        if f"bin/.{package.name}-{action}.sh" in meta["files"]:
            yield f"{package.name} {package.version}: its {action} script was not run (denied by default)"
