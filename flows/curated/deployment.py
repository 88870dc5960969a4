"""Have the set prebuilt on a schedule, by whichever worker is free; asks Prefect's API, without Prefect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import SettingsError
from ..runs.submission import LANES, POOL

if TYPE_CHECKING:
    from ..runs.api import Api

FLOW = "prebuild_curated"
DEPLOYMENT = "curated"
LANE = LANES[1]
_ENTRYPOINT = "prebake.flows.curated.schedule.prebuild_curated"


@dataclass(frozen=True)
class Schedule:
    """When (five fields of cron, in a time zone), what (all if none is named), by which policy."""

    cron: str
    names: tuple[str, ...] = ()
    policy: str = "always"
    zone: str = "UTC"


def deploy(schedule: Schedule, api: Api) -> str:
    """Put the schedule in the place of the one that was there; its deployment's id.

    Raises SettingsError, also while no worker has declared the pool; Unreachable.
    """
    if api.get(f"/work_pools/{POOL}") is None:
        hint = "start `prebake worker` (or `prebake up`) first"
        raise SettingsError("there is no pool of workers", facts={"pool": POOL}, hint=hint)
    found = api.post("/flows/", {"name": FLOW})
    when = {"cron": schedule.cron, "timezone": schedule.zone}
    deployment = {
        "name": DEPLOYMENT,
        "flow_id": found["id"],
        "entrypoint": _ENTRYPOINT,
        "work_pool_name": POOL,
        "work_queue_name": LANE,
        "parameters": {"names": list(schedule.names), "policy": schedule.policy},
        "schedules": [{"schedule": when, "active": True}],
        "enforce_parameter_schema": False,
        "parameter_openapi_schema": {},
    }
    return str(api.post("/deployments/", deployment)["id"])
