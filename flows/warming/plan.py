"""`rank`: which images to put where, by expected seconds saved per byte, within each place's budget. Pure.

    demand of an environment   its requests, each halved for every `half_life` seconds of age
    worth of a blob            demand of all environments whose image has it x seconds that moving it takes
    worth of an image          worth of its blobs that are not chosen yet + demand x its fixed seconds

The greedy choice by worth per byte counts a shared layer once per place: after the first image that has it,
the others are cheaper by its bytes and poorer by its worth. An image that does not fit is passed over.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Protocol

    class Request(Protocol):
        """When somebody asked (seconds) for which environment."""

        @property
        def at(self) -> float: ...  # noqa: D102
        @property
        def environment(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Image:
    """What an environment is just now: blobs with their sizes in bytes.

    `fixed_seconds` is what a job that does not find the whole image waits beyond moving bytes: asking for it,
    or building it if it is in no store any more.
    """

    environment: str
    digest: str
    blobs: Mapping[str, int]
    fixed_seconds: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where images can be put, how many bytes of them, and how fast bytes get there."""

    name: str
    budget: int
    bytes_per_second: float


@dataclass(frozen=True)
class Pick:
    """An image for a place: the seconds it is expected to save, and the bytes it adds to earlier picks."""

    place: str
    image: Image
    seconds: float
    bytes: int


def demand(requests: Iterable[Request], half_life: float, now: float) -> dict[str, float]:
    """Decayed number of requests per environment; the order of requests does not matter, to the last bit."""
    found: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        found[request.environment].append(0.5 ** (max(0.0, now - request.at) / half_life))
    return {environment: math.fsum(counts) for environment, counts in found.items()}


def rank(
    requests: Iterable[Request],
    images: Sequence[Image],
    places: Iterable[Place],
    half_life: float,
    now: float,
) -> list[Pick]:
    """Picks for every place, the most seconds per byte first. The same input gives the same list."""
    wanted = demand(requests, half_life, now)
    known = [image for image in images if wanted.get(image.environment, 0.0) > 0.0]
    known.sort(key=lambda image: image.digest)  # sums of floats depend on their order
    return [pick for place in places for pick in choose(known, wanted, place)]


def choose(images: Sequence[Image], wanted: Mapping[str, float], place: Place) -> Iterator[Pick]:
    """The picks for one place, given the demand per environment; ties go to the lower digest."""
    choice = _Choice.of(images, wanted, place.bytes_per_second)
    left = place.budget
    queue = [(*choice.key(image), image.digest, number) for number, image in enumerate(images)]
    heapq.heapify(queue)
    done: set[int] = set()
    while queue:
        *key, _, number = heapq.heappop(queue)
        image = images[number]
        if number in done or tuple(key) != choice.key(image):
            continue  # a newer entry is in the queue
        done.add(number)
        size, seconds = choice.bytes(image), choice.seconds(image)
        if size > left:
            continue
        left -= size
        yield Pick(place.name, image, seconds, size)
        for other in choice.take(image) - done:
            again = images[other]
            heapq.heappush(queue, (*choice.key(again), again.digest, other))


@dataclass(frozen=True)
class _Choice:
    """What is chosen so far: `worth` holds blobs that are not."""

    worth: dict[str, float]
    wanted: Mapping[str, float]
    users: Mapping[str, set[int]]

    @classmethod
    def of(cls, images: Sequence[Image], wanted: Mapping[str, float], speed: float) -> _Choice:
        worth: dict[str, float] = defaultdict(float)
        users: dict[str, set[int]] = defaultdict(set)
        for number, image in enumerate(images):
            for blob, size in image.blobs.items():
                worth[blob] += wanted[image.environment] * size / speed
                users[blob].add(number)
        return cls(worth, wanted, users)

    def bytes(self, image: Image) -> int:
        return sum(size for blob, size in image.blobs.items() if blob in self.worth)

    def seconds(self, image: Image) -> float:
        fixed = self.wanted[image.environment] * image.fixed_seconds
        return fixed + math.fsum(self.worth[blob] for blob in image.blobs if blob in self.worth)

    def key(self, image: Image) -> tuple[float, int]:
        """Smaller is better: worth per byte, then bytes."""
        size = self.bytes(image)
        return -self.seconds(image) / max(size, 1), size

    def take(self, image: Image) -> set[int]:
        """Count its blobs as chosen; returns the images that this changes."""
        new = [blob for blob in image.blobs if self.worth.pop(blob, None) is not None]
        return {number for blob in new for number in self.users[blob]}
