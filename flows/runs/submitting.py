"""Submit: the image at once if it is there, else the run that builds it, which is the same for all who ask.

What decides is the newest run of the submission. One that goes on is joined, unless it still waits in a
later lane; one that succeeded serves while its image is there and its base was not patched; a user's error is
not tried again at once. Two callers at the same instant create the same run: the server takes a number once.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...builders.world import Policy
from ...cache.digest import key_of_inputs
from ...cache.reference import Reference
from ...errors import RegistryError, SettingsError, Unreachable
from ..destination import Destination
from ..shortcut import recall_file, remember_file
from .api import connect
from .client import create, deployment, record_of, runs_of
from .packing import inputs_of, packed
from .states import FAILED, QUEUED, SUCCEEDED
from .submission import LANES, reference_of

if TYPE_CHECKING:
    from ..built import Built
    from ..progress import Progress
    from ..wiring import Workspace
    from .api import Api
    from .client import Run
    from .record import Dependency
    from .submission import Order

NEGATIVE_SECONDS = 60
"""How long a user's error stands for the same submission."""


@dataclass(frozen=True, eq=False, repr=False)
class Submitted:
    """Where the image is or will be; the run that makes it, or what was found. `note` is for people."""

    reference: Reference
    run: Run | None = None
    built: Built | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """What `runs submit --json` prints."""
        own = {"reference": str(self.reference), "note": self.note}
        run = self.run.to_json() if self.run else {"run": None, "state": SUCCEEDED}
        return run | own | ({"build": self.built.to_json()} if self.built else {})


def submit(order: Order, workspace: Workspace, progress: Progress) -> Submitted:
    """Have an environment built elsewhere. Raises PrebakeError."""
    inputs = inputs_of(order, workspace)
    key = key_of_inputs(inputs)
    reference = reference_of(key, order.request, workspace)
    built = _recalled(order, reference, workspace, progress)
    if built:
        return Submitted(reference, built=built, note="it was built before: no run is needed")
    api = connect(workspace)
    earlier = runs_of(api, key)
    note = _standing(earlier[0], order, api, workspace) if earlier else ""
    if note:
        return Submitted(reference, earlier[0], note=note)
    flow = deployment(api)
    submission = packed(order, inputs, workspace, progress)
    return Submitted(reference, create(api, flow, submission, _next(earlier)))


def _recalled(order: Order, to: Reference, workspace: Workspace, progress: Progress) -> Built | None:
    """The image, if it can be delivered from what this machine and the tiers hold."""
    environment = order.environment
    if environment.source is None:
        raise SettingsError("a remote run needs a file", hint="load the environment from a file")
    if environment.definition.image is None:
        return None
    request = replace(order.request, destination=Destination("registry", str(to)))
    remember_file(environment, order.image, workspace)
    with contextlib.suppress(Unreachable):  # a worker may well reach what this machine does not
        found = recall_file(environment.source, order.image, request, workspace, progress)
        return found[0] if found else None
    return None


def _next(earlier: list[Run]) -> int:
    return 1 + max((run.number for run in earlier), default=-1)


def _standing(run: Run, order: Order, api: Api, workspace: Workspace) -> str:
    """Why this run answers the submission, in words for people; empty if it takes a new one."""
    if not run.is_final:
        late = run.state == QUEUED and LANES.index(run.lane) > LANES.index(order.terms.lane)
        return "" if run.canceling or late else "it was submitted before: this is its run"
    age = (datetime.now(UTC) - (run.ended or run.created)).total_seconds()
    if run.state == FAILED and age < NEGATIVE_SECONDS and _is_final_word(run, api):
        return f"it failed {age:.0f} s ago; it is tried again {NEGATIVE_SECONDS} s after that"
    policy = Policy.parse(order.request.policy or workspace.settings.policy)
    young = (datetime.now(UTC) - run.created).total_seconds() < policy.max_age
    if run.state == SUCCEEDED and young and _is_current(run, api, workspace):
        return "it was built before: this is its run"
    return ""


def _is_final_word(run: Run, api: Api) -> bool:
    """Whether trying again gives the same error."""
    record = record_of(api, run)
    return bool(record and record.error and not record.error["retryable"])


def _is_current(run: Run, api: Api, workspace: Workspace) -> bool:
    """Whether the run's image is at its reference, on what its base's tag means today."""
    record = record_of(api, run)
    there = workspace.registries.head(Reference.parse(run.to))
    if record is None or there is None or str(there) not in {image.digest for image in record.images}:
        return False
    return all(_is_base_current(each, workspace) for each in record.dependencies)


def _is_base_current(dependency: Dependency, workspace: Workspace) -> bool:
    base = dependency.base
    if not base.tag:
        return True
    try:
        found = workspace.registries.base(Reference(base.registry, base.repository, base.tag))
    except (RegistryError, Unreachable):
        return True  # nobody here can tell
    return str(found) == base.digest
