"""Pin an image: tag -> digest by one request, and once per digest what building on it must know.

Layers are downloaded only where packages are solved for a base, once, for facts that are kept as a trace
(`base/1`). An image that nothing is installed in costs its manifest and its config (`from/1`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..cache.digest import key_inputs, key_of_inputs
from ..cache.memo import TagMemo
from ..cache.oci import CONFIG, Manifest, Platform
from ..cache.probe import Unknown, head_manifest
from ..cache.reference import Reference
from ..cache.store import Trace
from ..cache.tiered import Wanted
from ..errors import DefinitionError, RegistryError
from .facts import BaseFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..cache.digest import Digest, Json
    from ..cache.index import Document
    from ..cache.registry import Repository
    from ..config.definition import Environment
    from .docker_pin import PinnedBuild
    from .world import World

BASE = "base/1"
FROM = "from/1"
PLATFORMS = {"linux-64": Platform("linux", "amd64"), "linux-aarch64": Platform("linux", "arm64")}


@dataclass(frozen=True, eq=False, repr=False)
class Registries:
    """How images are found: the full client, made on first need, and which hosts speak plain HTTP.

    `mirrors` are canonical prefixes of image names and where such images are fetched; digests prove that they
    are the same, so nothing else ever hears of a mirror.
    """

    repository: Callable[[Reference], Repository]
    insecure: frozenset[str] = frozenset()
    memo: TagMemo = field(default_factory=TagMemo)
    mirrors: tuple[tuple[str, str], ...] = ()

    def head(self, reference: Reference) -> Digest | None:
        """Digest of a tag, by the probe where that can tell."""
        found = head_manifest(reference, self.insecure)
        if isinstance(found, Unknown):
            return self.repository(reference).head(reference.selector)
        return found

    def place(self, reference: Reference) -> Reference:
        """Where a base image is fetched; the longest prefix of its name counts.

        >>> mirrored = Registries(Reference.parse, mirrors=(("docker.io/library", "127.0.0.1:5000/hub"),))
        >>> str(mirrored.place(Reference.parse("python:3.12")))
        '127.0.0.1:5000/hub/python:3.12'
        """
        for canonical, mirror in sorted(self.mirrors, reverse=True):
            if f"{reference.name}/".startswith(f"{canonical}/"):
                moved = Reference.parse(mirror + reference.name.removeprefix(canonical))
                return Reference(moved.registry, moved.repository, reference.tag, reference.digest)
        return reference

    def base(self, reference: Reference) -> Digest | None:
        """The digest of a base image, which may be known since a moment."""
        return self.memo.get(self.place(reference), self.head)


@dataclass(frozen=True, eq=False, repr=False)
class PinnedBase:
    """A base image by digest: of what its reference names (`digest`), and its manifest for the platform.

    `place` is where it is fetched if that is a mirror, `build` the Dockerfile that is built on it.
    """

    reference: Reference
    digest: Digest
    manifest: Manifest
    config: dict[str, Any]
    facts: BaseFacts | None
    place: Reference | None = None
    build: PinnedBuild | None = None

    @property
    def source(self) -> Reference:
        """Where its layers are fetched."""
        return self.place or self.reference


def pin_base(environment: Environment, world: World, prefix: str) -> PinnedBase:
    """The environment's base image by digest. Raises DefinitionError, RegistryError, Unreachable."""
    definition = environment.definition
    if world.policy.looks_each_time:
        world.registries.memo.forget()
    if definition.build:
        from .docker_pin import pin_build  # a Dockerfile's parser, for those who have one

        return pin_build(definition.build, world)
    assert definition.image, "a definition without image and build"
    with image_line(environment):
        if definition.conda is None:
            return pin_plain(definition.image, world)
        return pin(definition.image, world, prefix)


@contextmanager
def image_line(environment: Environment) -> Iterator[None]:
    """A base image that will not do is an error of the line that names it."""
    try:
        yield
    except DefinitionError as error:
        if place := environment.lines.get("image"):
            error.facts = {"file": str(place[0]), "line": str(place[1])} | error.facts
        raise


def pin(image: str, world: World, prefix: str) -> PinnedBase:
    """Pin `image` to solve for it. Raises DefinitionError, RegistryError, Unreachable."""
    pinned = digest_of(image, world.registries)
    inputs = key_inputs(BASE, {"digest": str(pinned.digest), "platform": world.platform, "prefix": prefix})

    def facts(manifest: Manifest, repository: Repository) -> dict[str, Json]:
        from .base_layers import facts_by_layer  # tarfile and compression: once per digest

        found = facts_by_layer(manifest, repository.open_blob, world.platform, prefix, world.store.local)
        return found.to_json()

    return _pinned(pinned, inputs, facts, world)


def pin_plain(image: str, world: World) -> PinnedBase:
    """Pin `image` to take it as it is. Raises DefinitionError, RegistryError, Unreachable."""
    pinned = digest_of(image, world.registries)
    inputs = key_inputs(FROM, {"digest": str(pinned.digest), "platform": world.platform})
    return _pinned(pinned, inputs, lambda manifest, repository: {}, world)


def digest_of(image: str, registries: Registries) -> Reference:
    """The reference with the digest it names now. Raises DefinitionError if it names none."""
    reference = Reference.parse(image)
    digest = reference.digest or registries.base(reference)
    if digest is None:
        place = registries.place(reference)
        facts = {"image": reference} | ({"mirror": place} if place != reference else {})
        hint = "correct `image:`, or push the base image first"
        raise DefinitionError("the base image does not exist", facts=facts, hint=hint)
    return reference.at(digest)


def _pinned(
    pinned: Reference,
    inputs: Mapping[str, Json],
    facts: Callable[[Manifest, Repository], dict[str, Json]],
    world: World,
) -> PinnedBase:
    place, store = world.registries.place(pinned), world.store

    def inspect() -> Trace:
        repository = world.registries.repository(place)
        document, manifest, config = _documents(pinned, world.platform, repository)
        outputs = facts(manifest, repository)
        blobs = (store.local.keep(document.data, manifest.media_type), store.local.keep(config, CONFIG))
        return Trace(key_of_inputs(inputs), inputs, outputs, blobs)

    def read() -> Trace:
        return world.around(f"base: {pinned.name}", inspect)

    trace = store.obtain(Wanted(key_of_inputs(inputs), inputs, read)).trace
    data, config = (store.local.read_small(blob) for blob in trace.blobs)
    known = BaseFacts.from_json(trace.outputs) if trace.outputs else None
    assert pinned.digest
    manifest = Manifest.from_bytes(data, str(pinned))
    return PinnedBase(pinned, pinned.digest, manifest, json.loads(config), known, place)


def _documents(pinned: Reference, platform: str, repository: Repository) -> tuple[Document, Manifest, bytes]:
    """The manifest for the platform, as it is and as it is read, and the config."""
    document = repository.resolve(pinned.selector, PLATFORMS[platform])
    if document is None:
        raise RegistryError("the base image vanished while it was read", facts={"image": pinned})
    manifest = Manifest.from_bytes(document.data, str(pinned))
    with repository.open_blob(manifest.config.digest) as stream:
        config = stream.read()
    _check_platform(json.loads(config), platform, pinned)
    return document, manifest, config


def _check_platform(config: dict[str, Any], platform: str, image: Reference) -> None:
    found = Platform(config.get("os", ""), config.get("architecture", ""))
    if found != PLATFORMS[platform]:
        raise DefinitionError(
            "the base image is for another platform",
            facts={"image": image, "found": found, "allowed": PLATFORMS[platform]},
            hint="choose an image built for the target",
        )
