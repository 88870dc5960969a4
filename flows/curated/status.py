"""What is on the shelf: as the registry has it, with what the local store knows of the last prebuild."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...builders.referrers import read_artifact
from ...cache.digest import Digest
from . import provenance
from .shelf import shelf_of
from .state import State, read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..wiring import Workspace
    from .definitions import Curated


@dataclass(frozen=True)
class OnShelf:
    """One environment: what `latest` names and what is attached (type, digest), what was last done here."""

    name: str
    place: str
    version: str
    digest: str
    state: State
    attached: Mapping[str, str]
    templates: tuple[Mapping[str, Any], ...] = ()

    def line(self) -> str:
        """For a table of all."""
        tried = _when(self.state.tried)
        last = f"failed: {self.state.failure}" if self.state.failure else "ok" if self.digest else "-"
        return "\t".join([self.name, self.version or "-", self.digest[:19] or "-", tried, last])

    def __str__(self) -> str:
        rows = [
            ("image", f"{self.place}:{self.version}@{self.digest}" if self.digest else "none yet"),
            ("published", _when(self.state.published)),
            ("tried", _when(self.state.tried)),
            *([("failure", self.state.failure)] if self.state.failure else []),
            *((str(each["of"]), f"{each['template']} was {each['found']}") for each in self.templates),
            *(("attached", f"{kind} {digest}") for kind, digest in self.attached.items()),
        ]
        width = max(len(label) for label, _ in rows)
        return "\n".join([self.name, *(f"  {label:<{width}}  {text}" for label, text in rows)])

    def to_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "name": self.name,
            "repository": self.place,
            "version": self.version,
            "digest": self.digest,
            "published": self.state.published,
            "tried": self.state.tried,
            "failure": self.state.failure,
            "attached": dict(self.attached),
            "templates": list(self.templates),
        }


def status(curated: Curated, workspace: Workspace) -> OnShelf:
    """Ask the registry. Raises SettingsError, RegistryError, Unreachable."""
    shelf = shelf_of(curated.name, workspace)
    digest, state = shelf.latest(), read_state(shelf, workspace)
    if digest is None:
        return OnShelf(curated.name, str(shelf), "", "", state, {})
    attached = shelf.attached(digest)
    statement = attached.get(provenance.MEDIA_TYPE)
    told = provenance.answers(read_artifact(Digest.parse(statement), shelf.repository)) if statement else []
    version = shelf.version_of(digest)
    return OnShelf(curated.name, str(shelf), version, str(digest), state, attached, tuple(told))


def _when(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) if at else "never here"
