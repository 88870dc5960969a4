"""Which packages share a layer: `group(packages, budget)`, pure and stable over time.

- A package of at least `outlier` bytes is alone: it is worth a layer, and it moves only when it changes.
- The rest is binned by the hash of its name, into a fixed number of bins: a package that comes or goes
  touches its own bin, whatever else the environment holds.
- The order is big ones first. Runtimes unpack by parent chain, so what changes seldom lies at the bottom.

    >>> from collections import namedtuple
    >>> P = namedtuple("P", "name size")
    >>> budget = Budget(bins=2, outliers=1, outlier=100)
    >>> [[p.name for p in g] for g in group([P("torch", 500), P("six", 1), P("idna", 1)], budget)]
    [['torch'], ['idna'], ['six']]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import xxhash

from ..errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable

# overlayfs and Docker stop at 127 layers; the base's count too.
MAX_LAYERS = 127


class Package(Protocol):
    """What grouping looks at: a name, and a size in bytes (0 when unknown)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102


P = TypeVar("P", bound=Package)


@dataclass(frozen=True)
class Budget:
    """How many layers one kind of package (conda or pip) may have: `outliers` alone, the rest in `bins`."""

    bins: int = 8
    outliers: int = 16
    outlier: int = 4 << 20

    @property
    def layers(self) -> int:
        """The most layers a grouping under this budget has."""
        return self.bins + self.outliers


def group(packages: Iterable[P], budget: Budget) -> tuple[tuple[P, ...], ...]:
    """Partition `packages` into layers, bottom first."""
    by_size = sorted(packages, key=lambda package: (-package.size, package.name))
    alone = [package for package in by_size[: budget.outliers] if package.size >= budget.outlier]
    bins: dict[int, list[P]] = {}
    for package in sorted(by_size[len(alone) :], key=lambda package: package.name):
        bins.setdefault(bin_of(package.name, budget.bins), []).append(package)
    return (*((package,) for package in alone), *(tuple(bins[number]) for number in sorted(bins)))


def bin_of(name: str, bins: int) -> int:
    """The bin of a package, by nothing but its name."""
    return xxhash.xxh3_64_intdigest(name.encode()) % bins


def check_layer_count(base_layers: int, own_layers: int) -> None:
    """Raise DefinitionError when an image would have more layers than runtimes can stack."""
    if base_layers + own_layers > MAX_LAYERS:
        raise DefinitionError(
            "the image would have too many layers",
            facts={"base": base_layers, "environment": own_layers, "allowed": MAX_LAYERS},
            hint="take a base image with fewer layers, or lower the layer budget",
        )
