"""Build contexts of registered environments: packed once by content, unpacked where they are built.

A pack is the blob of a trace (`context/1`), so it goes where the tiers go: what one machine registers,
another builds. It is pinned, as nobody could make it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, cast

from ..cache.digest import Digest, key_inputs, key_of_inputs
from ..cache.oci import Descriptor
from ..cache.pins import pin
from ..cache.store import Trace
from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..cache.digest import Json
    from ..config.definition import Definition, Environment
    from .progress import Progress
    from .wiring import Workspace

CONTEXT = "context/1"
CONTEXT_TYPE = "application/vnd.prebake.context.v1.tar+gzip"


def pack_context(definition: Definition, workspace: Workspace, progress: Progress) -> str:
    """The digest of the definition's packed context, which is in the store now; empty if it has none."""
    if definition.build is None:
        return ""
    from ..builders.context import context_files, write_pack

    files = context_files(definition.build.path, definition.build.dockerfile_path)
    progress.step(f"packing {len(files)} files of the build context")
    digest, size = workspace.local.create(lambda writer: write_pack(files, cast("IO[bytes]", writer)))
    keep_context(Descriptor(CONTEXT_TYPE, digest, size), workspace, progress)
    return str(digest)


def keep_context(pack: Descriptor, workspace: Workspace, progress: Progress) -> None:
    """Share a pack that is in the local store with the tiers above, and never prune it here."""
    inputs = _inputs(pack.digest)
    key = key_of_inputs(inputs)
    workspace.store(progress.step).record(Trace(key, inputs, {}, (pack,)))
    pin(workspace.local, f"context-{pack.digest.hex[:32]}", [key])


def unpack_context(
    environment: Environment, digest: str, workspace: Workspace, progress: Progress
) -> Environment:
    """The environment with its build context in a folder of this machine. Raises SettingsError."""
    build = environment.definition.build
    if build is None or not digest:
        return environment
    folder = _folder(Digest.parse(digest), workspace, progress)
    definition = replace(environment.definition, build=replace(build, path=folder))
    return replace(environment, definition=definition)


def open_context(digest: Digest, workspace: Workspace, progress: Progress) -> IO[bytes]:
    """Stream a pack from the nearest tier that has it. Raises SettingsError."""
    store, inputs = workspace.store(progress.step), _inputs(digest)
    if store.find(key_of_inputs(inputs), inputs) is None:
        hint = "register the environment again from its folder, or share a workspace with whoever did"
        raise SettingsError("its build context is not here", facts={"context": digest}, hint=hint)
    return store.open(digest)


def _folder(digest: Digest, workspace: Workspace, progress: Progress) -> Path:
    from ..builders.context import unpack
    from ..cache.files import store_errors

    folder = workspace.settings.store / "cache/contexts" / digest.hex
    with store_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with open_context(digest, workspace, progress) as stream, _or_another(folder):
                unpack(stream, folder)
    return folder


@contextmanager
def _or_another(folder: Path) -> Iterator[None]:
    """Let another process be the one that made `folder`: both have unpacked the same."""
    try:
        yield
    except OSError:
        if not folder.is_dir():
            raise


def _inputs(digest: Digest) -> Mapping[str, Json]:
    return key_inputs(CONTEXT, {"digest": str(digest)})
