"""The lock that a registered environment was last resolved to, for a machine that never solved it.

A trace of a solve may be pruned, or lie in a store that this machine cannot read; the catalog keeps the
lock. Written back as the traces of its solves, it is found by `resolve` as any other, and the policy decides
whether it still serves. It goes to the local store alone: whoever signs for a shared tier has to have solved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..builders.lock import Lock, Target
from ..builders.resolve import LOCK_MEDIA_TYPE, conda_inputs, pip_inputs, spark_solve_inputs
from ..cache.digest import key_of_inputs
from ..cache.store import Trace
from .wiring import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..builders.world import World
    from ..cache.digest import Json
    from ..config.catalog import Record
    from ..config.definition import CondaSpec, Definition
    from .progress import Progress
    from .wiring import Workspace


def restore_lock(
    definition: Definition, records: Iterable[Record], workspace: Workspace, progress: Progress
) -> None:
    """Have the traces of the definition's last solves here, unless some tier has them."""
    known = (record for record in records if record.lock)
    record = max(known, key=lambda record: record.last, default=None)
    if record is None:
        return
    lock, world = Lock.from_bytes(record.lock.encode()), workspace.world(Request(), progress.step)
    if definition.conda:
        _restore_packages(definition.conda, replace(lock, spark=None), record, world)
    if definition.spark and lock.jars:
        jars = Lock(Target(lock.target.platform), spark=lock.spark)
        _restore(spark_solve_inputs(definition.spark), jars, record, world)


def _restore_packages(spec: CondaSpec, lock: Lock, record: Record, world: World) -> None:
    conda = replace(lock, pip=())
    _restore(conda_inputs(spec, lock.target, world.sources), conda, record, world)
    if spec.pip and not any(wheel.built for wheel in lock.pip):  # those are in no index
        _restore(pip_inputs(spec, conda, world), lock, record, world)


def _restore(inputs: Mapping[str, Json], lock: Lock, record: Record, world: World) -> None:
    key, store = key_of_inputs(inputs), world.store
    if store.find(key, inputs) is None:
        blob = store.local.keep(lock.to_bytes(), LOCK_MEDIA_TYPE)
        outputs: dict[str, Json] = {"at": int(record.at), "solver": "told by the catalog"}
        store.local.record(Trace(key, inputs, outputs, (blob,)))
