"""A build's progress in the log of its flow run, a line per step and layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from ..progress import Silent, describe

if TYPE_CHECKING:
    import logging

    Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

    from ...builders.results import LayerResult
    from ..progress import Progress


_PATIENCE_SECONDS = 5.0


def send_all() -> None:
    """Have the server keep what was logged and became of tasks by now; both travel in the background."""
    APILogWorker.drain_all(timeout=_PATIENCE_SECONDS)
    EventsWorker.drain_all(timeout=_PATIENCE_SECONDS)


class Logged:
    """Logs what it hears, and tells another."""

    def __init__(self, logger: Logger, other: Progress | None = None) -> None:
        self._logger = logger
        self._other = other or Silent()

    def step(self, message: str) -> None:
        """Log the message."""
        if message.startswith("warning: "):
            self._logger.warning(message.removeprefix("warning: "))
        else:
            self._logger.info(message)
        self._other.step(message)

    def layers(self, count: int) -> None:
        """Log how many there are."""
        self._logger.info("%d layers", count)
        self._other.layers(count)

    def layer(self, result: LayerResult) -> None:
        """Log what became of the layer, and what its packages would have us know."""
        for warning in result.warnings:
            self._logger.warning(warning)
        self._logger.info(describe(result))
        self._other.layer(result)

    def sent(self, count: int) -> None:
        """Bytes are not worth a line."""
        self._other.sent(count)
