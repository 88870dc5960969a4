"""Pin a base image: tag -> digest by one request, and once per digest what the solve must know of it.

The base's layers are never downloaded but for that one read; facts are kept as a trace (`base/1`).
"""

from __future__ import annotations

import functools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..cache.digest import key_inputs, key_of_inputs
from ..cache.memo import TagMemo
from ..cache.oci import CONFIG, MANIFEST, Manifest, Platform
from ..cache.probe import Unknown, head_manifest
from ..cache.reference import Reference
from ..cache.store import Trace
from ..cache.tiered import Wanted
from ..errors import DefinitionError, RegistryError
from .facts import BaseFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..cache.digest import Digest
    from ..cache.directory import DirectoryStore
    from ..cache.registry import Repository
    from ..cache.tiered import Tiers
    from ..config.definition import Environment
    from .world import World

BASE = "base/1"
_PLATFORMS = {"linux-64": Platform("linux", "amd64"), "linux-aarch64": Platform("linux", "arm64")}


@dataclass(frozen=True, eq=False, repr=False)
class Registries:
    """How images are found: the full client, made on first need, and which hosts speak plain HTTP.

    `mirrors` are (canonical prefix, mirror), as `docker.io/library`; the first that fits is taken.
    """

    repository: Callable[[Reference], Repository]
    insecure: frozenset[str] = frozenset()
    mirrors: tuple[tuple[str, str], ...] = ()
    memo: TagMemo = field(default_factory=TagMemo)

    def head(self, reference: Reference) -> Digest | None:
        """Digest of a tag, by the probe where that can tell."""
        found = head_manifest(reference, self.insecure)
        if isinstance(found, Unknown):
            return self.repository(reference).head(reference.selector)
        return found

    def place(self, image: str) -> Reference:
        """Where a base image is read from. Raises SettingsError."""
        reference = Reference.parse(image)
        for canonical, mirror in self.mirrors:
            if reference.name.startswith(f"{canonical.rstrip('/')}/"):
                return Reference.parse(mirror.rstrip("/") + str(reference)[len(canonical.rstrip("/")) :])
        return reference

    def base(self, reference: Reference) -> Digest | None:
        """The same for a base image, which may be known since a moment."""
        return self.memo.get(reference, self.head)


@dataclass(frozen=True, eq=False, repr=False)
class PinnedBase:
    """A base image by digest: of what its reference names (`digest`), and its manifest for the platform."""

    reference: Reference
    digest: Digest
    manifest: Manifest
    config: dict[str, Any]
    facts: BaseFacts


def pin_base(environment: Environment, world: World, prefix: str) -> PinnedBase:
    """The environment's base image by digest. Raises DefinitionError, RegistryError, Unreachable."""
    image = environment.definition.image
    if image is None:
        raise DefinitionError(
            "a Dockerfile build is not supported yet",
            facts={"environment": environment.title},
            hint="use `image:` with a conda file",
        )
    with image_line(environment):
        if world.policy.looks_each_time:
            world.registries.memo.forget()
        return pin(image, world.platform, prefix, world.registries, world.store)


@contextmanager
def image_line(environment: Environment) -> Iterator[None]:
    """A base image that will not do is an error of the line that names it."""
    try:
        yield
    except DefinitionError as error:
        if place := environment.lines.get("image"):
            error.facts = {"file": str(place[0]), "line": str(place[1])} | error.facts
        raise


def pin(image: str, platform: str, prefix: str, registries: Registries, store: Tiers) -> PinnedBase:
    """Pin `image` for `platform`. Raises DefinitionError, RegistryError, Unreachable."""
    reference = registries.place(image)
    digest = reference.digest or registries.base(reference)
    if digest is None:
        hint = "correct `image:`, or push the base image first"
        raise DefinitionError("the base image does not exist", facts={"image": reference}, hint=hint)
    pinned = reference.at(digest)
    inputs = key_inputs(BASE, {"digest": str(digest), "platform": platform, "prefix": prefix})

    def inspect() -> Trace:
        return _inspect(pinned, platform, prefix, registries.repository(pinned), store.local)

    trace = store.obtain(Wanted(key_of_inputs(inputs), inputs, inspect)).trace
    manifest, config = (store.local.read_small(blob) for blob in trace.blobs)
    facts = BaseFacts.from_json(trace.outputs)
    return PinnedBase(pinned, digest, Manifest.from_bytes(manifest, str(pinned)), json.loads(config), facts)


def _inspect(
    pinned: Reference, platform: str, prefix: str, repository: Repository, store: DirectoryStore
) -> Trace:
    from .base import read_facts  # tarfile and compression: once per digest

    document = repository.resolve(pinned.selector, _PLATFORMS[platform])
    if document is None:
        raise RegistryError("the base image vanished while it was read", facts={"image": pinned})
    manifest = Manifest.from_bytes(document.data, str(pinned))
    with repository.open_blob(manifest.config.digest) as stream:
        config = stream.read()
    _check_platform(json.loads(config), platform, pinned)
    openers = [
        (layer.media_type, functools.partial(repository.open_blob, layer.digest)) for layer in manifest.layers
    ]
    facts = read_facts(openers, platform, prefix)
    inputs = key_inputs(BASE, {"digest": str(pinned.digest), "platform": platform, "prefix": prefix})
    blobs = (store.keep(document.data, MANIFEST), store.keep(config, CONFIG))
    return Trace(key_of_inputs(inputs), inputs, facts.to_json(), blobs)


def _check_platform(config: dict[str, Any], platform: str, image: Reference) -> None:
    found = Platform(config.get("os", ""), config.get("architecture", ""))
    if found != _PLATFORMS[platform]:
        raise DefinitionError(
            "the base image is for another platform",
            facts={"image": image, "found": found, "allowed": _PLATFORMS[platform]},
            hint="choose an image built for the target",
        )
