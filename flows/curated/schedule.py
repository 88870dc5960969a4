"""The prebuild as a Prefect flow, which workers run in the `curated` lane (see deployment.py).

Schedules may overlap: layers have one maker, and each environment is published by one (see `prebuild`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from ..runs.log import Logged
from ..wiring import open_workspace
from .definitions import find
from .prebuild import prebuild

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

_GENTLE = 10  # nice of bulk work


@flow(name="prebuild_curated", persist_result=False, validate_parameters=False)
def prebuild_curated(names: list[str], policy: str) -> State[Any]:
    """Bring those environments up to date, all if none is named; fails if one of them does."""
    os.nice(_GENTLE)
    workspace, logger = open_workspace(), get_run_logger()
    done = prebuild(find(names, workspace.settings.curated_set), policy, workspace, Logged(logger))
    for each in done.outcomes:
        logger.info("%s", each)
        if each.error:
            logger.error("%s", each.error)
    return Failed(message=str(done)) if done.exit_code else Completed(message=str(done))
