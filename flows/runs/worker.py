"""Workers: processes that take runs from the pool's lanes, each run a process of its own.

One polls all lanes, in their order; a second, with slots of its own, only the first lane, so that bulk work
never holds every slot.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from .api import PATIENT, connect
from .submission import DEPLOYMENT, FLOW, LANES, POOL
from .takeover import keep_watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wiring import Workspace

_ENTRYPOINT = "prebake.flows.runs.flow.build_environment"
_COMMAND = "python -m prebake.flows.runs.launch"


@dataclass(frozen=True)
class Slots:
    """How many runs a worker takes at a time: of all lanes, and of the first alone."""

    name: str
    all_lanes: int
    express: int


def work(slots: Slots, workspace: Workspace, tell: Callable[[str], None]) -> None:
    """Take runs until SIGINT or SIGTERM; what runs then goes back to its queue."""
    # the pool's command names `python`: the one that runs this
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    over = threading.Event()
    api, expiry = connect(workspace, PATIENT), float(workspace.settings.lease_expiry)
    watch = threading.Thread(target=keep_watch, args=(api, workspace.leases, expiry, over, tell))
    watch.start()
    try:
        asyncio.run(_serve(slots, tell))
    finally:
        over.set()
        watch.join()


async def _serve(slots: Slots, tell: Callable[[str], None]) -> None:
    async with get_client() as client:
        await _prepare(client)
    workers = [_worker(slots.name, LANES, slots.all_lanes)]
    if slots.express:
        workers.append(_worker(f"{slots.name}-express", LANES[:1], slots.express))
    tasks = asyncio.gather(*(worker.start(printer=tell) for worker in workers))
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, tasks.cancel)
    try:
        await tasks
    except asyncio.CancelledError:
        tell("the worker shuts down")


def _worker(name: str, lanes: tuple[str, ...], slots: int) -> ProcessWorker:
    return ProcessWorker(POOL, list(lanes), name, limit=slots, create_pool_if_not_found=False)


async def _prepare(client: PrefectClient) -> None:
    """The pool, its lanes and the deployment that submissions are runs of; what is there stays."""
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template)
    try:
        await client.create_work_pool(pool)
    except ObjectAlreadyExists:
        await client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    for priority, lane in enumerate(LANES, 1):
        try:
            await client.create_work_queue(name=lane, priority=priority, work_pool_name=POOL)
        except ObjectAlreadyExists:
            continue
    await client.create_deployment(
        flow_id=await client.create_flow_from_name(FLOW),
        name=DEPLOYMENT,
        entrypoint=_ENTRYPOINT,
        work_pool_name=POOL,
        work_queue_name=LANES[0],
        job_variables={"command": _COMMAND, "stream_output": True},
        enforce_parameter_schema=False,
        parameter_openapi_schema={},
    )
