"""What a catalog holds, as values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .form import to_json

if TYPE_CHECKING:
    from ..definition import Environment


def when(at: float) -> str:
    """A Unix time for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


@dataclass(frozen=True)
class Version:
    """One registered environment. `created` is Unix time; `context` is the digest of its packed context.

    `archived` is true too while all of its name is archived.
    """

    environment: Environment
    created: float
    asked_by: str
    archived: bool = False
    labels: tuple[str, ...] = ()
    context: str = ""

    @property
    def name(self) -> str:
        """What it is registered as."""
        return self.environment.name or ""

    @property
    def version(self) -> str:
        """Its version."""
        return self.environment.version or ""

    @property
    def title(self) -> str:
        """How it is referred to: `name:version`."""
        return f"{self.name}:{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The object that `env show --json` prints."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.environment.description,
            "tags": dict(self.environment.tags),
            "labels": list(self.labels),
            "archived": self.archived,
            "created": self.created,
            "asked_by": self.asked_by,
            "context": self.context,
            "definition": to_json(self.environment.definition),
        }


@dataclass(frozen=True)
class Record:
    """What a version was resolved to once: a lock, a pinned base, and the image made of them.

    `lock` is the lock's canonical JSON, empty without packages; `base` and `reference` are pinned by digest.
    `at` is Unix time of the first, `last` of the latest time that the same came out, asked with `policy`.
    """

    lock: str
    base: str
    image: str
    reference: str
    policy: str
    asked_by: str
    at: float = 0.0
    last: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """All but the lock itself."""
        return {name: value for name, value in vars(self).items() if name != "lock"}
