"""What two resolutions of an environment differ in: packages, base, size, layers, and what security watches.

The latter by the short list in security_relevant.txt; no list of known vulnerabilities is consulted.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..builders.lock import Lock, Target
from ..builders.plan import plan_layers
from ..config.pip_line import normal_name
from .preview import MISS, expected
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.lock import CondaPackage, Jar, Wheel
    from ..builders.recipe import Recipe
    from ..cache.tiered import Tiers
    from ..config.catalog import Record
    from .preview import Expected

    Package = CondaPackage | Wheel | Jar

_LIST = Path(__file__).with_name("security_relevant.txt")


@dataclass(frozen=True)
class Moved:
    """A package that came (no `was`), went (no `now`) or changed; `kind` is conda, pip or spark."""

    kind: str
    name: str
    was: str | None
    now: str | None

    def __str__(self) -> str:
        if self.was is None:
            return f"+ {self.name} {self.now} ({self.kind})"
        if self.now is None:
            return f"- {self.name} {self.was} ({self.kind})"
        return f"~ {self.name} {self.was} -> {self.now} ({self.kind})"

    @property
    def watched(self) -> bool:
        """Whether it is one of the packages that security watches."""
        return normal_name(self.name) in security_relevant()


@dataclass(frozen=True, eq=False, repr=False)
class LockDiff:
    """From one resolution to another. Sizes are bytes of archives; `layers` are those the former lacks."""

    base: tuple[str, str]
    packages: tuple[Moved, ...]
    sizes: tuple[int, int]
    layers: tuple[Expected, ...]

    def to_json(self) -> dict[str, Any]:
        """The `locks` of `env diff --json`."""
        was, now = self.base
        return {
            "base": {"was": was, "is": now} if was != now else None,
            "added": [_package(each) for each in self.packages if each.was is None],
            "removed": [_package(each) for each in self.packages if each.now is None],
            "moved": [_package(each) for each in self.packages if each.was and each.now],
            "security_relevant": [each.name for each in self.packages if each.watched],
            "size": {"was": self.sizes[0], "is": self.sizes[1]},
            "layers": [layer.to_json() for layer in self.layers],
        }

    def __str__(self) -> str:
        was, now = self.base
        lines = [f"base      {was}\n       -> {now}" if was != now else f"base      unchanged, {now}"]
        lines += [f"packages  {self._counts()}", *(f"  {each}" for each in self.packages)]
        change = self.sizes[1] - self.sizes[0]
        sign = "+" if change >= 0 else "-"
        lines.append(f"archives  {megabytes(self.sizes[1])} ({sign}{megabytes(abs(change))})")
        lines += [f"layers    {self._to_build()}", *(f"  {_layer(layer)}" for layer in self.layers)]
        watched = [str(each) for each in self.packages if each.watched]
        lines.append(f"security  {len(watched)} watched packages differ (by a short list, not by known CVEs)")
        return "\n".join([*lines, *(f"  {each}" for each in watched)])

    def _counts(self) -> str:
        added = sum(each.was is None for each in self.packages)
        removed = sum(each.now is None for each in self.packages)
        return f"{added} added, {removed} removed, {len(self.packages) - added - removed} moved"

    def _to_build(self) -> str:
        missing = sum(layer.outcome == MISS for layer in self.layers)
        return f"{len(self.layers)} differ, of which {missing} would be built"


def lock_difference(was: Record, now: Record, recipe: Recipe, store: Tiers) -> LockDiff:
    """What it takes to come from one resolution to the other, by what the stores hold today."""
    before, after = _lock(was), _lock(now)
    known = {layer.key for layer in plan_layers(before, recipe)}
    layers = [layer for layer in plan_layers(after, recipe) if layer.key not in known]
    return LockDiff(
        (was.base, now.base),
        _moves(_packages(before), _packages(after)),
        (_size(before), _size(after)),
        tuple(expected(layer, store) for layer in layers),
    )


@functools.cache
def security_relevant() -> frozenset[str]:
    """The names that security_relevant.txt lists, as PEP 503 compares them."""
    lines = (line.partition("#")[0].strip() for line in _LIST.read_text().splitlines())
    return frozenset(normal_name(line) for line in lines if line)


def _lock(record: Record) -> Lock:
    return Lock.from_bytes(record.lock.encode()) if record.lock else Lock(Target())


def _packages(lock: Lock) -> dict[tuple[str, str], Package]:
    kinds: dict[str, tuple[Package, ...]] = {"conda": lock.conda, "pip": lock.pip, "spark": lock.jars}
    return {(kind, each.name): each for kind, packages in kinds.items() for each in packages}


def _size(lock: Lock) -> int:
    return sum(package.size for package in _packages(lock).values())


def _moves(
    was: Mapping[tuple[str, str], Package], now: Mapping[tuple[str, str], Package]
) -> tuple[Moved, ...]:
    """By name; one whose archive alone changed tells its build or file name."""
    found = []
    for kind, name in sorted(was.keys() | now.keys(), key=lambda each: (each[1], each[0])):
        old, new = was.get((kind, name)), now.get((kind, name))
        if old is None or new is None or old.sha256 != new.sha256:
            same = old is not None and new is not None and old.version == new.version
            found.append(Moved(kind, name, _text(old, same), _text(new, same)))
    return tuple(found)


def _text(package: Package | None, precisely: bool) -> str | None:
    if package is None:
        return None
    return package.file_name if precisely else package.version


def _package(moved: Moved) -> dict[str, str | None]:
    return {"kind": moved.kind, "name": moved.name, "was": moved.was, "is": moved.now}


def _layer(layer: Expected) -> str:
    return f"{layer.outcome:<10}{megabytes(layer.size):>10}  {layer.planned.title}"
