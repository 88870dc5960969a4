"""How often a step is tried: `retries` after failures, `repeat` after that, as ACR's process manager does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...builders.stop import Stop
    from ...config.task import Attempts
    from .log import Say


def repeated(attempts: Attempts, once: Callable[[Say], None], stop: Stop, say: Say) -> None:
    """Do it once and `repeat` times more, whatever fails. Raises the first error, Stopped."""
    errors = []
    for _ in range(attempts.repeat + 1):
        try:
            _retried(attempts, once, stop, say)
        except PrebakeError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _retried(attempts: Attempts, once: Callable[[Say], None], stop: Stop, say: Say) -> None:
    for attempt in range(attempts.retries + 1):
        seen: set[str] = set()

        def listen(line: str, seen: set[str] = seen) -> None:
            seen.update(text for text in attempts.on_errors if text in line)
            say(line)

        try:
            return once(listen)
        except PrebakeError as error:
            if attempt == attempts.retries or (attempts.on_errors and not seen):
                raise
            say(f"{error.sentence}, waiting {attempts.delay} seconds before retrying...")
        stop.wait(attempts.delay)
    return None
