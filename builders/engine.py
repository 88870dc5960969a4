"""`reuse_or_build`: a layer whose trace is there is not made again; the rest is built, side by side.

Each planned layer is independent of the others, so any history of the store gives what a clean build
gives. Blobs are stored before their trace, the image's trace after its layers'.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from ..cache.oci import CONFIG, MANIFEST, Manifest
from ..cache.store import Trace, layer_from_json, layer_to_json
from .results import BUILT, HIT, ImageResult, LayerResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..cache.digest import Json, Key
    from ..cache.directory import DirectoryStore
    from .plan import Plan, PlannedLayer

LISTING = "application/vnd.prebake.listing.v1"


def reuse(plan: Plan, store: DirectoryStore) -> ImageResult | None:
    """The image of `plan` if its trace and all its blobs are here: two look-ups, nothing built."""
    trace = store.get(plan.key, plan.inputs)
    if trace is None:
        return None
    found = cast("Sequence[Mapping[str, Any]]", trace.outputs["layers"])
    layers = tuple(
        LayerResult(planned, layer_from_json(each), HIT, 0.0)
        for planned, each in zip(plan.layers, found, strict=True)
    )
    manifest = Manifest.from_bytes(store.read_small(trace.blobs[0]), str(store))
    return ImageResult(plan.key, plan.resolved.base, manifest, trace.blobs, layers)


def reuse_layer(planned: PlannedLayer, store: DirectoryStore) -> LayerResult | None:
    """The layer if its trace and blobs are here."""
    trace = store.get(planned.key, planned.inputs)
    return _result(planned, trace, HIT, 0.0) if trace else None


def build(
    plan: Plan,
    store: DirectoryStore,
    make: Callable[[PlannedLayer], Trace],
    jobs: int,
    done: Callable[[LayerResult], None],
) -> ImageResult:
    """Make what is missing, `jobs` layers at a time, and assemble; `done` hears of each layer.

    Raises what a builder raised first; layers made by then stay, with their traces.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed  # 10 ms, and a hit needs none

    results: dict[Key, LayerResult] = {}

    def keep(result: LayerResult) -> None:
        results[result.planned.key] = result
        done(result)

    for planned in plan.layers:
        if found := reuse_layer(planned, store):
            keep(found)
    todo = [planned for planned in plan.layers if planned.key not in results]
    with ThreadPoolExecutor(jobs) as pool:
        # The biggest first, so that none of them runs alone at the end.
        by_size = sorted(todo, key=lambda planned: -planned.size)
        futures = [pool.submit(_make, planned, store, make) for planned in by_size]
        try:
            for future in as_completed(futures):
                keep(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _finish(plan, store, tuple(results[planned.key] for planned in plan.layers))


def _make(planned: PlannedLayer, store: DirectoryStore, make: Callable[[PlannedLayer], Trace]) -> LayerResult:
    start = time.perf_counter()
    trace = make(planned)
    store.record(trace)
    return _result(planned, trace, BUILT, time.perf_counter() - start)


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


def _finish(plan: Plan, store: DirectoryStore, layers: tuple[LayerResult, ...]) -> ImageResult:
    from .image import assemble, refuse_clobbers

    refuse_clobbers(store.read(result.listing) for result in layers if result.listing)
    activates = any(result.activates for result in layers)
    manifest, config = assemble(plan, [result.layer for result in layers], activates=activates)
    own = (result.layer.descriptor for result in layers)
    blobs = (store.keep(manifest.to_bytes(), MANIFEST), store.keep(config, CONFIG), *own)
    outputs: dict[str, Json] = {"layers": [layer_to_json(result.layer) for result in layers]}
    store.record(Trace(plan.key, plan.inputs, outputs, blobs))
    return ImageResult(plan.key, plan.resolved.base, manifest, blobs, layers)
