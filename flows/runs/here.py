"""Work of this process as a Prefect flow run, whose pieces are task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Failed

from ...errors import PrebakeError
from .log import send_all
from .pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefect.client.schemas.objects import State

    from .log import Logger

T = TypeVar("T")


def run_here(name: str, about: Mapping[str, str], work: Callable[[Pieces, Logger], T]) -> T:
    """What `work` returns; raises what it raises. `about` are the flow run's parameters, for people."""
    results: list[T] = []
    errors: list[PrebakeError] = []

    @flow(name=name, persist_result=False, validate_parameters=False)
    def run(about: Mapping[str, str]) -> State[Any] | None:
        try:
            results.append(work(Pieces(), get_run_logger()))
        except PrebakeError as error:
            errors.append(error)
            return Failed(message=error.sentence)
        return None

    state = run(about, return_state=True)
    send_all()
    if errors:
        raise errors[0]
    state.result()
    return results[0]
