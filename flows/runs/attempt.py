"""One attempt at a run: what its thread of control and its watch share.

A run is attempted again when its worker died. Its lease tells that an attempt lives; who finds it taken
leaves the run to its holder.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prefect.context import FlowRunContext
from prefect.logging import get_run_logger

from ...cache.digest import key_inputs
from ...cache.leases import lease_name
from .api import PATIENT, Api, connect
from .log import send_all
from .pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from ...cache.leases import Lease
    from ..wiring import Workspace
    from .log import Logger
    from .submission import Submission


@dataclass(frozen=True, eq=False, repr=False)
class Attempt:
    """What is asked and by which run, who is told, and which pieces run.

    `queued` and `spent` are seconds: before the first attempt, and in earlier ones. The thread that ends the
    run holds `ending` for good.
    """

    id: str
    submission: Submission
    lease: Lease
    api: Api
    logger: Logger
    queued: float
    spent: float
    pieces: Pieces = field(default_factory=Pieces)
    began: float = field(default_factory=time.monotonic)
    ending: threading.RLock = field(default_factory=threading.RLock)

    def seconds(self) -> float:
        """How long the run has run."""
        return self.spent + time.monotonic() - self.began


@contextmanager
def begin(submission: Submission, workspace: Workspace) -> Iterator[Attempt]:
    """An attempt at the flow run that this process runs."""
    context, logger = FlowRunContext.get(), get_run_logger()
    run = context.flow_run if context else None
    assert run and run.created
    lease = workspace.leases.acquire(run_lease(str(run.id)))
    if lease is None:
        logger.warning("another process runs this already")
        leave()
    queued = (run.start_time or run.created) - run.created
    with lease:
        api = connect(workspace, PATIENT)
        spent = run.total_run_time.total_seconds()
        yield Attempt(str(run.id), submission, lease, api, logger, queued.total_seconds(), spent)


def run_lease(run: str) -> str:
    """The name of a run's lease."""
    return lease_name(key_inputs("run/1", {"id": run}))


def leave() -> NoReturn:
    """End this process now, its log sent; threads that still work do not hold it up."""
    send_all()
    os._exit(0)
