"""A submission's pack: every file that is read for a definition, in the shape it has here, below one folder.

It is recorded as a trace (`submission/1`), so that registries and prune keep it, and shared with the tiers
that a worker reads; what is there already is not sent again.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from ...builders.context import ContextFile, context_files, context_inputs, write_pack
from ...cache.digest import CHUNK, key_of_inputs
from ...cache.oci import Descriptor
from ...cache.store import Trace
from ...config.folder import save
from ...config.load import load
from ...config.pip_line import is_local
from ...errors import DefinitionError
from ..guard import channels_asked, guarded
from ..progress import megabytes
from .submission import Submission, deciding_settings, reference_of, submission_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...cache.digest import Json
    from ...config.definition import BuildContext, Environment
    from ..progress import Progress
    from ..wiring import Workspace
    from .submission import Order

PACK = "application/vnd.prebake.pack.v1.tar+gzip"


def inputs_of(order: Order, workspace: Workspace) -> Mapping[str, Json]:
    """What the submission's key is made of. Raises DefinitionError for what cannot travel."""
    environment = order.environment
    _refuse_local(environment)
    build = environment.definition.build
    context = context_inputs(_context(build)) if build else None
    return submission_inputs(order, context, workspace)


def packed(order: Order, inputs: Mapping[str, Json], workspace: Workspace, progress: Progress) -> Submission:
    """The submission, with its pack where workers find it."""
    store, key, request = workspace.store(progress.step), key_of_inputs(inputs), order.request
    found = store.find(key, inputs)
    trace = found.trace if found else _pack(order, inputs, workspace, progress)
    store.record(trace)  # also one that was found: it may be here alone
    file, image = trace.outputs["file"], trace.outputs["image"]
    return Submission(
        key,
        trace.blobs[0],
        str(file),
        str(image) if image else None,
        str(reference_of(key, request, workspace)),
        request.policy or workspace.settings.policy,
        tuple(sorted(request.allow_sdist)),
        deciding_settings(workspace),
        order.terms,
    )


def _pack(order: Order, inputs: Mapping[str, Json], workspace: Workspace, progress: Progress) -> Trace:
    with _in_files(order.environment, workspace) as environment:
        assert environment.source
        root = _root(environment)
        files = _files(environment, root)
        _refuse_credentials(files, order, workspace)
        digest, size = workspace.local.create(lambda writer: write_pack(files, cast("IO[bytes]", writer)))
    progress.step(f"sending {order.environment.title} and what it reads, {megabytes(size)}")
    outputs: dict[str, Json] = {"file": _below(root, environment.source), "image": order.image}
    return Trace(key_of_inputs(inputs), inputs, outputs, (Descriptor(PACK, digest, size),))


@contextmanager
def _in_files(environment: Environment, workspace: Workspace) -> Iterator[Environment]:
    """The environment as files: its own, or those made for one that a catalog, a job or a program holds."""
    if environment.source and environment.source in environment.files:
        yield environment
        return
    nameless = replace(environment, name=None, version=None, description=None, tags=())
    with workspace.local.scratch() as scratch:
        save(nameless, scratch / "environment")
        yield load(scratch / "environment")


def _refuse_local(environment: Environment) -> None:
    """Files that a line for pip names would be missing where the run is."""
    lines = environment.definition.conda.pip if environment.definition.conda else ()
    for line in filter(is_local, lines):
        facts = {"environment": environment.title, "found": line}
        hint = "build it on this machine, or put the package into an index"
        raise DefinitionError("a remote run cannot install a file of this machine", facts=facts, hint=hint)


def _refuse_credentials(files: Iterable[ContextFile], order: Order, workspace: Workspace) -> None:
    """Raise PackageError if a file holds a credential in use here (see builders/gate.py)."""
    world = workspace.world(order.request, lambda message: None)
    places = workspace.tier_repositories
    if order.request.destination.kind == "registry":
        places = [*places, order.request.destination.reference()]
    registries = sorted({place.registry for place in places})
    gate = guarded(world, channels_asked(order.environment, world), registries, workspace).gate
    for file in files if gate else ():
        if gate and file.kind == "file":
            feed = gate.scan(file.path)
            with file.source.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    feed(chunk)


def _context(build: BuildContext) -> tuple[ContextFile, ...]:
    return context_files(build.path, build.dockerfile_path)


def _root(environment: Environment) -> Path:
    """The folder that all files of the definition lie in."""
    build = environment.definition.build
    folders = [_plain(path).parent for path in environment.files]
    return Path(os.path.commonpath([*folders, *([_plain(build.path)] if build else [])]))


def _files(environment: Environment, root: Path) -> tuple[ContextFile, ...]:
    """The files of the definition and of its build context, and the folders they lie in, sorted."""
    named = ((_below(root, source), source) for source in environment.files)
    found = {path: ContextFile(path, source, 0o644, "file") for path, source in named}
    build = environment.definition.build
    if build:
        at = _below(root, build.path)
        context = ((str(PurePosixPath(at, file.path)), file) for file in _context(build))
        found |= {path: ContextFile(path, file.source, file.mode, file.kind) for path, file in context}
        found |= {at: ContextFile(at, build.path, 0o755, "folder")} if at != "." else {}
    parents = {str(parent) for path in found for parent in PurePosixPath(path).parents} - {"."}
    folders = {path: ContextFile(path, root / path, 0o755, "folder") for path in parents}
    return tuple(file for _, file in sorted((folders | found).items()))


def _below(root: Path, path: Path) -> str:
    return _plain(path).relative_to(root).as_posix()


def _plain(path: Path) -> Path:
    """Absolute, without `..`; links stay, as the pack keeps the names that the definition uses."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (Path.resolve would follow links)
