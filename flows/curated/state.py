"""What became of an environment at its last prebuild, in the local store (`curated/1`).

For people and for what the registry cannot tell: why something failed. The rest can be had from there.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from ...cache.digest import Json, key_inputs, key_of_inputs
from ...cache.leases import lease_name
from ...cache.store import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..wiring import Workspace
    from .shelf import Shelf

CURATED = "curated/1"


@dataclass(frozen=True)
class State:
    """The last good version, since when (Unix time); when it was last tried, and why that failed."""

    version: str = ""
    digest: str = ""
    published: int = 0
    tried: int = 0
    failure: str = ""


def read_state(shelf: Shelf, workspace: Workspace) -> State:
    """What is recorded of the environment on `shelf`; nothing yet is a state too."""
    inputs = _inputs(shelf)
    found = workspace.local.look(key_of_inputs(inputs), inputs)
    return State(**cast("dict[str, Any]", found.outputs)) if isinstance(found, Trace) else State()


def shelf_lease(shelf: Shelf) -> str:
    """The name of the lease that a prebuild holds while it publishes there."""
    return lease_name(_inputs(shelf))


def record_good(shelf: Shelf, workspace: Workspace, version: str, digest: str) -> None:
    """`version` is what `latest` names."""
    state, now = read_state(shelf, workspace), int(time.time())
    published = state.published if state.digest == digest else now
    _record(shelf, workspace, State(version, digest, published, now))


def record_failure(shelf: Shelf, workspace: Workspace, failure: str) -> None:
    """The last good version stays what it was."""
    state = read_state(shelf, workspace)
    _record(shelf, workspace, replace(state, tried=int(time.time()), failure=failure))


def _record(shelf: Shelf, workspace: Workspace, state: State) -> None:
    inputs, outputs = _inputs(shelf), cast("Mapping[str, Json]", asdict(state))
    workspace.local.record(Trace(key_of_inputs(inputs), inputs, outputs))


def _inputs(shelf: Shelf) -> Mapping[str, Json]:
    return key_inputs(CURATED, {"repository": str(shelf)})
