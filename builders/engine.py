"""`reuse_or_build`: a layer whose trace is there is not made again; the rest is built, side by side.

Each planned layer is independent of the others, so any history of the store gives what a clean build
gives. Blobs are stored before their trace, the image's trace after its layers'.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..cache.oci import CONFIG, Manifest
from ..cache.single_flight import Busy
from ..cache.store import Trace, layer_from_json, layer_to_json
from ..cache.tiered import MADE, Wanted
from .results import BUILT, ImageResult, LayerResult, StepResult, hit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..cache.digest import Json
    from ..cache.tiered import Found, Tiers
    from .plan import Plan, PlannedLayer

    Make = Callable[[PlannedLayer], Trace]

# Look-ups wait for registries, not for cores.
_LOOK_UPS = 8
LISTING = "application/vnd.prebake.listing.v1"


def reuse(plan: Plan, store: Tiers) -> ImageResult | None:
    """The image of `plan` if its trace and all its blobs are here: two look-ups, nothing built."""
    found = store.find(plan.key, plan.inputs)
    if found is None:
        return None
    trace, local = found.trace, store.local
    described = cast("Sequence[Mapping[str, Any]]", trace.outputs["layers"])
    layers = tuple(
        LayerResult(planned, layer_from_json(each), hit(found.tier), 0.0)
        for planned, each in zip(_owners(plan, len(described)), described, strict=True)
    )
    manifest = Manifest.from_bytes(local.read_small(trace.blobs[0]), str(local))
    return ImageResult(plan.key, plan.resolved.base, manifest, trace.blobs, layers)


def _owners(plan: Plan, count: int) -> tuple[PlannedLayer, ...]:
    """Which planned layer each of the image's own layers is of."""
    return plan.layers * count if plan.resolved.base.build else plan.layers


def reuse_layer(planned: PlannedLayer, store: Tiers) -> StepResult | None:
    """The layer if its trace and blobs are here."""
    found = store.find(planned.key, planned.inputs)
    return _result(planned, found.trace, hit(found.tier), 0.0) if found else None


def obtain_layer(planned: PlannedLayer, store: Tiers, make: Make) -> StepResult:
    """The layer, found, waited for or made here."""
    start = time.perf_counter()
    return _obtained(planned, store.obtain(_wanted(planned, make)), start)


def obtain_layers(
    plan: Plan,
    store: Tiers,
    make: Make,
    jobs: int,
    done: Callable[[LayerResult], None],
) -> list[StepResult]:
    """Reuse or make each layer of `plan`, `jobs` of them at a time; `done` hears of each.

    What others make just now comes last: by then it may be there. Raises what a builder raised first; layers
    made by then stay, with their traces.
    """
    results: dict[int, StepResult] = {}  # by identity: keys may collide
    look_ups = _LOOK_UPS if store.remote else 1
    for obtain, workers in ((_reuse, look_ups), (_obtain_now, jobs), (obtain_layer, jobs)):
        todo = [planned for planned in plan.layers if id(planned) not in results]
        for result in _side_by_side(partial(obtain, store=store, make=make), todo, workers):
            results[id(result.planned)] = result
            for layer in result.layers:
                done(layer)
    return [results[id(planned)] for planned in plan.layers]


def _side_by_side(
    obtain: Callable[[PlannedLayer], StepResult | None], todo: Sequence[PlannedLayer], workers: int
) -> Iterator[StepResult]:
    """What `obtain` gives, as it comes; the biggest first, so that none of them runs alone at the end."""
    from concurrent.futures import ThreadPoolExecutor, as_completed  # 10 ms, and a hit needs none

    by_size = sorted(todo, key=lambda planned: -planned.size)
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(obtain, planned) for planned in by_size]
        try:
            for future in as_completed(futures):
                if result := future.result():
                    yield result
        finally:
            pool.shutdown(cancel_futures=True)


def _reuse(planned: PlannedLayer, store: Tiers, make: Make) -> StepResult | None:
    return reuse_layer(planned, store)


def _obtain_now(planned: PlannedLayer, store: Tiers, make: Make) -> StepResult | None:
    """The layer, made here if nobody else makes it just now."""
    start = time.perf_counter()
    found = store.obtain_now(_wanted(planned, make))
    return None if isinstance(found, Busy) else _obtained(planned, found, start)


def _wanted(planned: PlannedLayer, make: Make) -> Wanted:
    return Wanted(planned.key, planned.inputs, lambda: make(planned))


def _obtained(planned: PlannedLayer, found: Found, start: float) -> StepResult:
    outcome = BUILT if found.tier == MADE else hit(found.tier)
    return _result(planned, found.trace, outcome, time.perf_counter() - start)


def _result(planned: PlannedLayer, trace: Trace, outcome: str, seconds: float) -> StepResult:
    outputs = cast("Mapping[str, Any]", trace.outputs)
    if planned.build:
        made = (layer_from_json(each) for each in outputs["layers"])
        own = tuple(LayerResult(planned, layer, outcome, seconds) for layer in made)
        return StepResult(planned, outcome, own, trace.blobs[0].digest)
    result = LayerResult(
        planned,
        layer_from_json(outputs["layer"]),
        outcome,
        seconds,
        outputs["activates"],
        tuple(outputs["warnings"]),
        trace.blobs[1].digest,
    )
    return StepResult(planned, outcome, (result,))


def assemble_image(plan: Plan, store: Tiers, steps: Sequence[StepResult]) -> ImageResult:
    """The image of these steps, recorded. Raises PackageError when they write the same path."""
    layers = tuple(layer for step in steps for layer in step.layers)
    manifest, config = _image(plan, store, steps, layers)
    local, own = store.local, (result.layer.descriptor for result in layers)
    blobs = (local.keep(manifest.to_bytes(), manifest.media_type), local.keep(config, CONFIG), *own)
    outputs: dict[str, Json] = {"layers": [layer_to_json(result.layer) for result in layers]}
    store.record(Trace(plan.key, plan.inputs, outputs, blobs))
    return ImageResult(plan.key, plan.resolved.base, manifest, blobs, layers)


def _image(
    plan: Plan, store: Tiers, steps: Sequence[StepResult], layers: Sequence[LayerResult]
) -> tuple[Manifest, bytes]:
    """Manifest and config: the base's own where nothing is added, so that it keeps its digest."""
    from .image import assemble
    from .listings import check_listings

    base = plan.resolved.base
    if plan.adds_nothing:
        return base.manifest, store.read(base.manifest.config.digest)
    check_listings((result.listing for result in layers if result.listing), store)
    made = next((step.config for step in steps if step.config), None)
    below = json.loads(store.read(made)) if made else base.config
    activates = any(result.activates for result in layers)
    return assemble(plan, [result.layer for result in layers], below, activates=activates)
