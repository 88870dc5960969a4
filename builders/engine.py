"""`reuse_or_build`: a layer whose trace is there is not made again; the rest is built, side by side.

Each planned layer is independent of the others, so any history of the store gives what a clean build
gives. Blobs are stored before their trace, the image's trace after its layers'.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..cache.oci import CONFIG, MANIFEST, Manifest
from ..cache.single_flight import Busy
from ..cache.store import Trace, layer_from_json, layer_to_json
from ..cache.tiered import MADE, Wanted
from .results import BUILT, ImageResult, LayerResult, hit

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
        for planned, each in zip(plan.layers, described, strict=True)
    )
    manifest = Manifest.from_bytes(local.read_small(trace.blobs[0]), str(local))
    return ImageResult(plan.key, plan.resolved.base, manifest, trace.blobs, layers)


def reuse_layer(planned: PlannedLayer, store: Tiers) -> LayerResult | None:
    """The layer if its trace and blobs are here."""
    found = store.find(planned.key, planned.inputs)
    return _result(planned, found.trace, hit(found.tier), 0.0) if found else None


def obtain_layers(
    plan: Plan,
    store: Tiers,
    make: Make,
    jobs: int,
    done: Callable[[LayerResult], None],
) -> tuple[LayerResult, ...]:
    """Reuse or make each layer of `plan`, `jobs` of them at a time; `done` hears of each.

    What others make just now comes last: by then it may be there. Raises what a builder raised first; layers
    made by then stay, with their traces.
    """
    results: dict[int, LayerResult] = {}  # by identity: keys may collide
    for obtain, workers in ((_reuse, _LOOK_UPS), (_obtain_now, jobs), (_obtain, jobs)):
        todo = [planned for planned in plan.layers if id(planned) not in results]
        for result in _side_by_side(partial(obtain, store=store, make=make), todo, workers):
            results[id(result.planned)] = result
            done(result)
    return tuple(results[id(planned)] for planned in plan.layers)


def _side_by_side(
    obtain: Callable[[PlannedLayer], LayerResult | None], todo: Sequence[PlannedLayer], workers: int
) -> Iterator[LayerResult]:
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


def _reuse(planned: PlannedLayer, store: Tiers, make: Make) -> LayerResult | None:
    return reuse_layer(planned, store)


def _obtain_now(planned: PlannedLayer, store: Tiers, make: Make) -> LayerResult | None:
    """The layer, made here if nobody else makes it just now."""
    start = time.perf_counter()
    found = store.obtain_now(_wanted(planned, make))
    return None if isinstance(found, Busy) else _obtained(planned, found, start)


def _obtain(planned: PlannedLayer, store: Tiers, make: Make) -> LayerResult:
    """The layer, waited for or made here."""
    start = time.perf_counter()
    return _obtained(planned, store.obtain(_wanted(planned, make)), start)


def _wanted(planned: PlannedLayer, make: Make) -> Wanted:
    return Wanted(planned.key, planned.inputs, lambda: make(planned))


def _obtained(planned: PlannedLayer, found: Found, start: float) -> LayerResult:
    outcome = BUILT if found.tier == MADE else hit(found.tier)
    return _result(planned, found.trace, outcome, time.perf_counter() - start)


def _result(planned: PlannedLayer, trace: Trace, outcome: str, seconds: float) -> LayerResult:
    outputs = cast("Mapping[str, Any]", trace.outputs)
    return LayerResult(
        planned,
        layer_from_json(outputs["layer"]),
        outcome,
        seconds,
        outputs["activates"],
        tuple(outputs["warnings"]),
        trace.blobs[1].digest,
    )


def assemble_image(plan: Plan, store: Tiers, layers: tuple[LayerResult, ...]) -> ImageResult:
    """The image of these layers, recorded. Raises PackageError when they write the same path."""
    from .image import assemble, refuse_clobbers

    refuse_clobbers(store.read(result.listing) for result in layers if result.listing)
    activates = any(result.activates for result in layers)
    manifest, config = assemble(plan, [result.layer for result in layers], activates=activates)
    own = (result.layer.descriptor for result in layers)
    local = store.local
    blobs = (local.keep(manifest.to_bytes(), MANIFEST), local.keep(config, CONFIG), *own)
    outputs: dict[str, Json] = {"layers": [layer_to_json(result.layer) for result in layers]}
    store.record(Trace(plan.key, plan.inputs, outputs, blobs))
    return ImageResult(plan.key, plan.resolved.base, manifest, blobs, layers)
