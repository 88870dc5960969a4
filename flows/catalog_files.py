"""Versions as one file that another catalog takes in: a zip of `environments.json` and build contexts.

What comes in is registered as it was named, with its locks: another definition under a taken version is a
ConflictError here as everywhere. Labels and whether something is archived stay behind: they are decisions
of a catalog, not parts of an environment.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from ..cache.digest import CHUNK, Digest
from ..cache.files import replacing
from ..cache.oci import Descriptor
from ..config.catalog import Record, Version
from ..config.catalog.form import from_json
from ..config.definition import Environment
from ..errors import IntegrityError, SettingsError
from .contexts import CONTEXT_TYPE, keep_context, open_context
from .registered import meant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .progress import Progress
    from .wiring import Workspace

FORMAT = 1
_LIST = "environments.json"


def export(
    references: Sequence[str], path: Path, workspace: Workspace, progress: Progress
) -> tuple[Version, ...]:
    """Write versions to a new file at `path`: those named, all of a bare name, or all there are."""
    chosen = _chosen(references, workspace)
    data = {"format": FORMAT, "environments": [_entry(version, workspace) for version in chosen]}
    try:
        with (
            replacing(path, path.parent) as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as pack,
        ):
            pack.writestr(_LIST, json.dumps(data, indent=1))
            for digest in sorted({version.context for version in chosen} - {""}):
                _add_context(pack, Digest.parse(digest), workspace, progress)
    except OSError as error:
        facts = {"file": path, "reason": error.strerror or error}
        raise SettingsError("the file cannot be written", facts=facts, hint="correct -o") from error
    return chosen


def import_file(path: Path, workspace: Workspace, progress: Progress) -> tuple[Version, ...]:
    """Register all that `export` wrote, or nothing. Raises ConflictError, SettingsError."""
    try:
        with zipfile.ZipFile(path) as pack:
            entries = _entries(json.loads(pack.read(_LIST)))
            for digest in sorted({version.context for version, _ in entries} - {""}):
                _take_context(pack, Digest.parse(digest), workspace, progress)
    except (
        OSError,
        zipfile.BadZipFile,
        IntegrityError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        facts = {"file": path, "reason": error}
        hint = "name a file that `prebake env export` wrote"
        raise SettingsError("this is no export of a catalog", facts=facts, hint=hint) from error
    return workspace.catalog.take_in(entries, asked_by=workspace.user)


def _chosen(references: Sequence[str], workspace: Workspace) -> tuple[Version, ...]:
    if not references:
        return workspace.catalog.all()
    found: dict[str, Version] = {}
    for reference in references:
        found |= {version.title: version for version in meant(reference, workspace)}
    return tuple(found.values())


def _entry(version: Version, workspace: Workspace) -> dict[str, Any]:
    records = workspace.catalog.records(version)
    told = version.to_json() | {"records": [vars(record) for record in records]}
    return {name: value for name, value in told.items() if name not in {"labels", "archived"}}


def _entries(data: Any) -> list[tuple[Version, tuple[Record, ...]]]:
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']}, this prebake reads {FORMAT}")
    return [
        (_version(each), tuple(Record(**record) for record in each["records"]))
        for each in data["environments"]
    ]


def _version(each: Any) -> Version:
    identity = (each["name"], each["version"], each["description"], tuple(each["tags"].items()))
    environment = Environment(from_json(each["definition"]), *identity)
    return Version(environment, each["created"], each["asked_by"], context=each["context"])


def _add_context(pack: zipfile.ZipFile, digest: Digest, workspace: Workspace, progress: Progress) -> None:
    with open_context(digest, workspace, progress) as source, pack.open(digest.hex, "w") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def _take_context(pack: zipfile.ZipFile, digest: Digest, workspace: Workspace, progress: Progress) -> None:
    member = pack.getinfo(digest.hex)
    blob = Descriptor(CONTEXT_TYPE, digest, member.file_size)
    workspace.local.put(blob, lambda: pack.open(member))
    keep_context(blob, workspace, progress)
