"""What two registered versions differ in, or two resolutions of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..builders.resolve import resolve
from ..config.catalog import Record
from ..config.catalog.difference import changes, meaning
from ..config.catalog.reference import parse
from ..config.catalog.version import when
from ..errors import SettingsError
from .lock_diff import lock_difference
from .registered import registered
from .wiring import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..config.catalog import Version
    from ..config.catalog.difference import Change
    from .lock_diff import LockDiff
    from .progress import Progress
    from .wiring import Workspace


@dataclass(frozen=True)
class Side:
    """A version and one of its resolutions; None if it has none."""

    version: Version
    resolution: Record | None

    @property
    def title(self) -> str:
        """The version, and when it was resolved so for the first time."""
        return (
            f"{self.version.title}, resolved {when(self.resolution.at)}"
            if self.resolution
            else self.version.title
        )


@dataclass(frozen=True)
class VersionDiff:
    """From one side to another: the definition, and the locks if both sides have one."""

    was: Side
    now: Side
    changes: tuple[Change, ...]
    locks: LockDiff | None

    def to_json(self) -> dict[str, Any]:
        """The object that `env diff --json` prints."""
        return {
            "was": self.was.version.title,
            "is": self.now.version.title,
            "definition": {
                change.field: {"removed": list(change.gone), "added": list(change.come)}
                for change in self.changes
            },
            "locks": self.locks.to_json() if self.locks else None,
        }

    def __str__(self) -> str:
        lines = [f"from      {self.was.title}", f"to        {self.now.title}"]
        if self.was.version != self.now.version:
            lines.append(f"defined   {'differently' if self.changes else 'the same'}")
            lines += [f"  {change.field}\n{_indented(change.text)}" for change in self.changes]
        return "\n".join([*lines, str(self.locks) if self.locks else self._unresolved()])

    def _unresolved(self) -> str:
        lacking = [side.version.title for side in (self.was, self.now) if side.resolution is None]
        builds = ", ".join(f"`prebake build {title}`" for title in dict.fromkeys(lacking))
        return f"locks     not to be compared: {builds} records one, --solve does without"


def compare(was: Side, now: Side, workspace: Workspace, progress: Progress) -> VersionDiff:
    """Two versions, by their definitions and, if both have one, their resolutions."""
    meant = [meaning(side.version.environment.definition, side.version.context) for side in (was, now)]
    return VersionDiff(was, now, changes(*meant), _locks(was, now, workspace, progress))


def recorded(reference: str, workspace: Workspace, progress: Progress) -> Side:
    """A version, and what it was resolved to last, if it ever was. Raises SettingsError."""
    catalog = workspace.catalog_of(parse(reference).registry)
    version = catalog.get(reference)
    return Side(version, max(catalog.records(version), key=lambda record: record.last, default=None))


def solved(reference: str, workspace: Workspace, progress: Progress) -> Side:
    """A version, and what it resolves to today if it was never resolved. Raises what solving raises."""
    side = recorded(reference, workspace, progress)
    if side.resolution:
        return side
    environment = registered(reference, workspace, progress)
    world = workspace.world(Request(), progress.step)
    resolved = resolve(environment, world, workspace.recipe.prefix)
    lock = resolved.lock.to_bytes().decode() if resolved.lock else ""
    base = str(resolved.base.reference.at(resolved.base.digest))
    return replace(side, resolution=Record(lock, base, "", "", "", workspace.user, resolved.solved_at))


def compare_resolutions(
    reference: str, numbers: Sequence[int], workspace: Workspace, progress: Progress
) -> VersionDiff:
    """Two resolutions of one version, by their numbers from 1; the last two without. Raises SettingsError."""
    catalog = workspace.catalog_of(parse(reference).registry)
    version = catalog.get(reference)
    known = resolutions(catalog.records(version))
    asked = list(numbers) or [len(known) - 1, len(known)]
    if len(asked) != 2 or not all(1 <= number <= len(known) for number in asked):
        facts = {"environment": version.title, "resolutions": len(known)}
        hint = f"`prebake env show {version.title}` numbers them, a build with --refresh adds one"
        raise SettingsError("there are no two such resolutions", facts=facts, hint=hint)
    was, now = (Side(version, known[number - 1]) for number in asked)
    return VersionDiff(was, now, (), _locks(was, now, workspace, progress))


def resolutions(records: Iterable[Record]) -> tuple[Record, ...]:
    """The records that differ in lock or base, in the order they first came out."""
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        found.setdefault((record.lock, record.base), record)
    return tuple(found.values())


def _locks(was: Side, now: Side, workspace: Workspace, progress: Progress) -> LockDiff | None:
    if was.resolution is None or now.resolution is None:
        return None
    store = workspace.store(progress.step)
    return lock_difference(was.resolution, now.resolution, workspace.recipe, store)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
