"""Infrastructure errors are tried again, users' errors never: the error itself says which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from ...errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .log import Logger

T = TypeVar("T")
_ATTEMPTS = 3
_WAIT = wait_exponential_jitter(initial=2, exp_base=4, max=60, jitter=1)  # seconds: 2, then 8


def retrying(work: Callable[[], T], logger: Logger) -> T:
    """What `work` returns; raises its last error."""

    def tell(state: RetryCallState) -> None:
        assert state.outcome and state.next_action
        logger.warning("%s\ntrying again in %.0f s", state.outcome.exception(), state.next_action.sleep)

    tries = stop_after_attempt(_ATTEMPTS)
    return Retrying(
        stop=tries, wait=_WAIT, retry=retry_if_exception(_may_help), before_sleep=tell, reraise=True
    )(work)


def _may_help(error: BaseException) -> bool:
    return isinstance(error, PrebakeError) and error.retryable
