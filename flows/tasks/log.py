"""The log of a run: whole lines, in ACR's form, without any secret."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...errors import PrebakeError

    Say = Callable[[str], None]


_SHORTEST_LINE = 4


def mask(hidden: Iterable[str]) -> Callable[[str], str]:
    """What replaces every hidden text, also line by line and as quoted in JSON, by `***`.

    >>> mask(["s3cret", "one\\ntwo and"])("a s3cret, then two and")
    'a ***, then ***'
    """
    texts = {part for text in hidden for part in (text, json.dumps(text)[1:-1], *_lines(text))}
    words = sorted((text.strip() for text in texts if text.strip()), key=lambda text: (-len(text), text))
    if not words:
        return str
    pattern = re.compile("|".join(map(re.escape, words)))
    return lambda text: pattern.sub("***", text)


def _lines(text: str) -> list[str]:
    """The lines of a longer text; not those that stand in any log, as braces do."""
    return [line for line in text.splitlines() if len(line.strip()) >= _SHORTEST_LINE]


def masked_error(error: PrebakeError, hide: Callable[[str], str]) -> PrebakeError:
    """The same error without secrets: engines repeat what they were given."""
    facts = {label: hide(fact) for label, fact in error.facts.items()}
    return type(error)(hide(error.sentence), facts=facts, hint=hide(error.hint))


def stamped(write: Say, hide: Callable[[str], str]) -> Say:
    """Writes lines masked, with the time (UTC) before them, one thread after the other."""
    lock = threading.Lock()

    def say(line: str) -> None:
        for part in hide(line).splitlines() or [""]:
            with lock:
                write(f"{datetime.now(UTC):%Y/%m/%d %H:%M:%S} {part}")

    return say


def of_step(say: Say, step_id: str) -> Say:
    """A step's lines, with its id before them."""
    return lambda line: say(f"[{step_id}] {line}")
