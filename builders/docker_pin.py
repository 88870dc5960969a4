"""Resolve a Dockerfile build: its context read, every image that it takes from outside pinned to a digest.

After this the build is a function of its inputs (`docker/1`), as far as its commands are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from ..cache.digest import Digest
from ..cache.oci import CONFIG, Descriptor, Manifest
from ..cache.reference import Reference
from ..config.places import Place
from ..errors import DefinitionError
from .context import context_files, context_inputs
from .dockerfile import SCRATCH, pinned, platform_arguments, read_dockerfile
from .pin import PLATFORMS, PinnedBase, digest_of, pin_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cache.digest import Json
    from ..config.definition import BuildContext
    from .context import ContextFile
    from .dockerfile import Dockerfile, Taken
    from .world import World


@dataclass(frozen=True, eq=False, repr=False)
class PinnedBuild:
    """A build whose inputs stand: `images` are those the Dockerfile names, by their text there.

    `base` is the config of the image below its last stage.
    """

    context: BuildContext
    dockerfile: Dockerfile
    files: tuple[ContextFile, ...]
    images: Mapping[str, Reference]
    base: Mapping[str, Any]
    inputs: Mapping[str, Json]

    @property
    def size(self) -> int:
        """Bytes of its context."""
        return sum(file.source.lstat().st_size for file in self.files if file.kind == "file")


def pin_build(context: BuildContext, world: World) -> PinnedBase:
    """The image below the last stage, and the build on it.

    Raises DefinitionError, RegistryError, Unreachable.
    """
    context = replace(context, dockerfile_path=normpath(context.dockerfile_path))
    platform = PLATFORMS[world.platform]
    dockerfile = read_dockerfile(context.path, context.dockerfile_path, platform_arguments(platform))
    images = {image.name: _pin(image, dockerfile, world) for image in dockerfile.images}
    files = context_files(context.path, context.dockerfile_path)
    inputs: dict[str, Json] = {
        "context": context_inputs(files),
        "dockerfile": pinned(dockerfile, {name: str(image) for name, image in images.items()}),
        "platform": str(platform),
    }
    base = pin_plain(str(images[dockerfile.base.name]), world) if dockerfile.base else _nothing(str(platform))
    build = PinnedBuild(context, dockerfile, files, images, base.config, inputs)
    return replace(base, build=build)


def _pin(image: Taken, dockerfile: Dockerfile, world: World) -> Reference:
    """An image that is not there is an error of the line that names it."""
    try:
        return digest_of(image.name, world.registries)
    except DefinitionError as error:
        place = Place(dockerfile.path, image.line)
        error.facts = {"file": str(place.path), "line": str(place.line)} | error.facts
        error.hint = "correct the line, or push the image first"
        raise


def _nothing(platform: str) -> PinnedBase:
    """What `FROM scratch` starts from: an image without layers."""
    system, _, architecture = platform.partition("/")
    manifest = Manifest(Descriptor(CONFIG, Digest.of(b"{}"), 2), ())
    digest = Digest.of(manifest.to_bytes())
    config = {"os": system, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
    return PinnedBase(Reference.parse(SCRATCH).at(digest), digest, manifest, config, None)
