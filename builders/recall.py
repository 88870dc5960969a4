"""The shortcut of a hit: this definition on this pinned base was resolved, planned and built before.

One trace (`environment/1`) instead of two solves, a plan and its layers: nothing is solved, no lock is read,
no key of a layer computed. It is written after the image's trace and means nothing without its blobs. It
holds on to the locks too: what is asked for every day must not lose them to a prune, and drift.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from ..cache.digest import Json, Key, key_inputs, key_of_inputs
from ..cache.oci import Manifest
from ..cache.store import Trace, layer_from_json
from .results import ImageResult, LayerResult, hit
from .sources import public_place, public_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .pin import PinnedBase
    from .recipe import Recipe
    from .resolve import Resolved
    from .world import World

ENVIRONMENT = "environment/1"


@dataclass(frozen=True, eq=False, repr=False)
class Recalled:
    """A layer as its image's trace describes it."""

    step: str
    key: Key
    title: str
    contents: tuple[str, ...]


def environment_inputs(
    definition: Mapping[str, Json], base: PinnedBase, world: World, recipe: Recipe
) -> Mapping[str, Json]:
    """Everything that resolving and planning look at beside the world itself; `definition` is canonical."""
    sources = asdict(world.sources)
    del sources["mirrors"], sources["retries"]  # where and how patiently bytes are fetched decides none
    sources["pip_index"] = public_url(world.sources.pip_index)
    sources["pip_find_links"] = [public_place(place) for place in world.sources.pip_find_links]
    inputs: dict[str, Json] = {
        "definition": definition,
        "base": str(base.digest),
        "target": {"platform": world.platform, "cuda": world.cuda},
        "sources": sources,
        "allow_sdist": sorted(world.allow_sdist),
        "recipe": asdict(recipe),
    }
    if base.build:
        inputs["build"] = base.build.inputs
    return key_inputs(ENVIRONMENT, inputs)


def recall(inputs: Mapping[str, Json], base: PinnedBase, world: World) -> ImageResult | None:
    """The image that was made of `inputs`, if the policy lets its solves serve and all its blobs are here."""
    found = world.store.find(key_of_inputs(inputs), inputs, world.policy.serves)
    if found is None:
        return None
    trace, store = found.trace, world.store.local
    manifest = Manifest.from_bytes(store.read_small(trace.blobs[0]), str(store))
    described = cast("Sequence[Mapping[str, Any]]", trace.outputs["layers"])
    layers = tuple(_layer(each, hit(found.tier)) for each in described)
    own = {manifest.config.digest, *(layer.layer.digest for layer in layers)}
    blobs = (trace.blobs[0], *(blob for blob in trace.blobs[1:] if blob.digest in own))
    return ImageResult(Key(str(trace.outputs["key"])), base, manifest, blobs, layers)


def remember(inputs: Mapping[str, Json], image: ImageResult, resolved: Resolved, world: World) -> None:
    """Record that `inputs` made `image`, by the solves of `resolved`."""
    layers = [result.to_json() for result in image.layers]
    for layer, result in zip(layers, image.layers, strict=True):
        layer |= {"title": result.planned.title, "media_type": result.layer.descriptor.media_type}
        del layer["seconds"], layer["outcome"]
    outputs: dict[str, Json] = {"at": resolved.solved_at, "key": str(image.key), "layers": layers}
    # without their checksum: a hit asks whether they are there, and reads none of them
    answers = (replace(answer, annotations={}) for answer in resolved.answers)
    blobs = (*image.blobs, *answers)
    world.store.record(Trace(key_of_inputs(inputs), inputs, outputs, blobs))


def _layer(data: Mapping[str, Any], outcome: str) -> LayerResult:
    recalled = Recalled(data["step"], Key(data["key"]), data["title"], tuple(data["packages"]))
    found = {"mediaType": data["media_type"], "diffId": data["diff_id"]}
    return LayerResult(recalled, layer_from_json({**data, **found}), outcome, 0.0)
