"""`plan(resolved, recipe)`: a resolved environment as ordered layers, each with a key. Pure.

Keys are specified in docs/keys.md. Conda and pip groups are siblings: their keys hold neither the base
nor each other, so a patched base or an added package leaves them as they are.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cache.digest import Json, Key, key_inputs, key_of_inputs
from ..errors import DefinitionError
from .grouping import check_layer_count, group
from .prefix import Prefix
from .spark import CONF, ROOT, defaults_conf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .docker_pin import PinnedBuild
    from .lock import CondaPackage, Jar, Lock, Wheel
    from .recipe import Recipe
    from .resolve import Resolved

CONDA = "conda/1"
PIP = "pip/1"
SPARK = "spark/1"
SPARK_CONF = "spark-conf/1"
DOCKER = "docker/1"
IMAGE = "image/2"


@dataclass(frozen=True)
class PlannedLayer:
    """One layer to reuse or build: its step, what goes in, and the inputs its key is made of."""

    step: str
    packages: tuple[CondaPackage, ...] | tuple[Wheel, ...] | tuple[Jar, ...]
    prefix: Prefix
    inputs: Mapping[str, Json]
    build: PinnedBuild | None = None

    @functools.cached_property
    def key(self) -> Key:
        """The layer's key."""
        return key_of_inputs(self.inputs)

    @property
    def title(self) -> str:
        """Step and packages, short enough for a line."""
        if self.build:
            return f"{self.step}: {self.build.context.dockerfile_path}"
        names = [package.name for package in self.packages] or [CONF]
        more = f" +{len(names) - 3}" if len(names) > 3 else ""
        return f"{self.step}: {', '.join(names[:3])}{more}"

    @property
    def contents(self) -> tuple[str, ...]:
        """Names and versions of its packages, or the images that a Dockerfile takes."""
        if self.build:
            return tuple(sorted({str(image) for image in self.build.images.values()}))
        return tuple(f"{package.name} {package.version}" for package in self.packages)

    @property
    def size(self) -> int:
        """Bytes of its archives, as far as channel and index tell, or of its context."""
        if self.build:
            return self.build.size
        return sum(package.size for package in self.packages)


@dataclass(frozen=True)
class Plan:
    """Layers bottom first, and the inputs of the image they make on the pinned base."""

    resolved: Resolved
    recipe: Recipe
    layers: tuple[PlannedLayer, ...]
    inputs: Mapping[str, Json]

    @property
    def adds_nothing(self) -> bool:
        """Whether the image is its base, unchanged."""
        return not (self.layers or any(self.resolved.config_inputs().values()))

    @functools.cached_property
    def key(self) -> Key:
        """The image's key."""
        return key_of_inputs(self.inputs)


def plan(resolved: Resolved, recipe: Recipe) -> Plan:
    """Plan the layers. Raises DefinitionError when they cannot be stacked on the base."""
    layers = plan_layers(resolved.lock, recipe) if resolved.lock else _docker_layers(resolved, recipe)
    check_layer_count(len(resolved.base.manifest.layers), len(layers))
    inputs: dict[str, Json] = {
        "base": str(resolved.base.digest),
        "platform": str(resolved.platform),
        "layers": [layer.inputs for layer in layers],  # keys are names: two layers may share one
        "config": resolved.config_inputs(),
        "prefix": recipe.prefix,
    }
    return Plan(resolved, recipe, layers, key_inputs(IMAGE, inputs))


def _docker_layers(resolved: Resolved, recipe: Recipe) -> tuple[PlannedLayer, ...]:
    build = resolved.base.build
    if build is None:
        return ()
    inputs = key_inputs(DOCKER, {**build.inputs, "compression": recipe.compression})
    return (PlannedLayer("docker", (), Prefix(recipe.prefix, "", ""), inputs, build),)


def plan_layers(lock: Lock, recipe: Recipe) -> tuple[PlannedLayer, ...]:
    """The layers of a lock, big single packages of all kinds below the bins that change often."""
    prefix = prefix_of(lock, recipe)
    conda = [_conda_layer(packages, lock, recipe, prefix) for packages in group(lock.conda, recipe.conda)]
    pip = [_pip_layer(wheels, lock, recipe, prefix) for wheels in group(lock.pip, recipe.pip)]
    spark = _spark_layers(lock, recipe, prefix)
    return tuple(sorted([*conda, *pip, *spark], key=lambda layer: not _alone(layer, recipe)))


def _alone(layer: PlannedLayer, recipe: Recipe) -> bool:
    budget = recipe.conda if layer.step == "conda" else recipe.pip
    return len(layer.packages) == 1 and layer.packages[0].size >= budget.outlier


def prefix_of(lock: Lock, recipe: Recipe) -> Prefix:
    """Where python is. Raises DefinitionError when pip packages have no python to live with."""
    python = lock.python()
    if python is None:
        if lock.pip:
            raise DefinitionError(
                "pip packages need a python from conda",
                facts={"conda packages": ", ".join(package.name for package in lock.conda) or "none"},
                hint="add `python=3.11` (or another version) to the conda dependencies",
            )
        return Prefix(recipe.prefix, "", "")
    minor = ".".join(python.version.split(".")[:2])
    return Prefix(recipe.prefix, minor, python.site_packages or f"lib/python{minor}/site-packages")


def _bytecode(lock: Lock, recipe: Recipe) -> Json:
    """Compiled files depend on the very python that compiles them; null when nothing is compiled."""
    python = lock.python()
    if recipe.bytecode == "none" or python is None:
        return None
    return {"policy": recipe.bytecode, "python": python.sha256.hex}


def _conda_layer(
    packages: Sequence[CondaPackage], lock: Lock, recipe: Recipe, prefix: Prefix
) -> PlannedLayer:
    pythonic = any(package.noarch == "python" for package in packages)
    sources = any(package.name == "python" or _needs_python(package) for package in packages)
    inputs: dict[str, Json] = {
        "packages": _sorted([package.url, package.sha256.hex] for package in packages),
        "prefix": recipe.prefix,
        "platform": lock.target.platform,
        # Only noarch packages are placed by python's version; the others serve every python.
        "python": prefix.python if pythonic else None,
        "site_packages": prefix.site_packages if pythonic else None,
        "bytecode": _bytecode(lock, recipe) if sources else None,
        "compression": recipe.compression,
    }
    return PlannedLayer("conda", tuple(packages), prefix, key_inputs(CONDA, inputs))


def _needs_python(package: CondaPackage) -> bool:
    return any(spec.split(" ", 1)[0] == "python" for spec in package.depends)


def _pip_layer(wheels: Sequence[Wheel], lock: Lock, recipe: Recipe, prefix: Prefix) -> PlannedLayer:
    inputs: dict[str, Json] = {
        "wheels": _sorted([wheel.file_name, wheel.sha256.hex] for wheel in wheels),
        "prefix": recipe.prefix,
        "python": prefix.python,
        "site_packages": prefix.site_packages,
        "bytecode": _bytecode(lock, recipe),
        "compression": recipe.compression,
    }
    return PlannedLayer("pip", tuple(wheels), prefix, key_inputs(PIP, inputs))


def _spark_layers(lock: Lock, recipe: Recipe, prefix: Prefix) -> list[PlannedLayer]:
    """Groups of jars, and the configuration that names them all: of some bytes, it changes with each jar."""
    if lock.spark is None:
        return []
    place: dict[str, Json] = {"prefix": ROOT, "compression": recipe.compression}
    layers = [
        PlannedLayer("spark", jars, prefix, key_inputs(SPARK, {"jars": _jars(jars), **place}))
        for jars in group(lock.jars, recipe.pip)
    ]
    conf = key_inputs(SPARK_CONF, {"conf": defaults_conf(lock.spark), **place})
    return [*layers, PlannedLayer("spark", (), prefix, conf)]


def _jars(jars: Iterable[Jar]) -> list[Json]:
    return _sorted([jar.file_name, jar.sha256.hex] for jar in jars)


def _sorted(pairs: Iterable[list[str]]) -> list[Json]:
    return [[first, second] for first, second in sorted(map(tuple, pairs))]
