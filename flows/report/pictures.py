"""Geometry of the page's pictures, in units of its view boxes: values in, rectangles out. Pure.

Sharing: a column is a layer, as wide as its bytes; a row is an environment, filled where it has the layer. So
the width of the picture is what is stored, and the filled length of a row is what the environment takes.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..progress import megabytes
from .facts import BUILT, DAY, OUTCOMES, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..requests import Asked
    from .facts import EnvironmentFact, LayerFact

WIDTH = 1000.0
_ROW = 22.0
_ROWS = 40
_LEAST = 1.5  # a layer of some bytes can still be seen


@dataclass(frozen=True)
class Box:
    """A rectangle, its class for the style sheet, and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str = ""


@dataclass(frozen=True)
class Label:
    """Text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Boxes and labels within a view box of WIDTH x `height`."""

    height: float
    boxes: tuple[Box, ...]
    labels: tuple[Label, ...] = ()


def sharing(environments: Sequence[EnvironmentFact]) -> Picture:
    """The most wanted environments and their layers, the most shared on the left."""
    rows = [each for each in environments if each.layers][:_ROWS]
    users = Counter(digest for row in rows for digest in {layer.digest for layer in row.layers})
    columns = _columns({layer.digest: layer for row in rows for layer in row.layers}.values(), users)
    boxes = [
        _cell(layer, columns[layer.digest], number * _ROW, users[layer.digest], len(rows))
        for number, row in enumerate(rows)
        for layer in row.layers
    ]
    labels = [Label(0, number * _ROW + 15, row.title) for number, row in enumerate(rows)]
    return Picture(len(rows) * _ROW, tuple(boxes), tuple(labels))


def _columns(layers: Iterable[LayerFact], users: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Where each layer's column starts, and its width."""
    ordered = sorted(layers, key=lambda layer: (-users[layer.digest], -layer.size, layer.digest))
    total = sum(layer.size for layer in ordered) or 1
    least = min(_LEAST, WIDTH / (2 * len(ordered))) if ordered else 0.0
    room = WIDTH - least * len(ordered)
    found, x = {}, 0.0
    for layer in ordered:
        width = least + room * layer.size / total
        found[layer.digest] = (x, width)
        x += width
    return found


def _cell(layer: LayerFact, column: tuple[float, float], y: float, users: int, rows: int) -> Box:
    shared = "shared" if users > 1 else "own"
    says = f"{layer.title}: {megabytes(layer.size)}, in {users} of {rows} environments"
    x, width = column
    return Box(x, y + 1, width, _ROW - 2, f"{layer.step} {shared}", says)


def stack(counts: Mapping[str, int], what: str) -> Picture:
    """One bar whose parts are shares."""
    total = sum(counts.values()) or 1
    boxes, x = [], 0.0
    for name, count in counts.items():
        width = WIDTH * count / total
        boxes.append(Box(x, 0, width, 24, name, f"{name}: {count} {what}, {count / total:.0%}"))
        x += width
    return Picture(24, tuple(box for box in boxes if box.width))


def days(requests: Sequence[Asked], since: float, now: float) -> Picture:
    """Requests per day as stacked columns."""
    first, last = int(since // DAY), int(now // DAY)
    counts = Counter((int(asked.at // DAY), outcome(asked)) for asked in requests)
    most = max((sum(counts[day, name] for name in OUTCOMES) for day in range(first, last + 1)), default=0)
    step, height = WIDTH / (last - first + 1), 140.0
    boxes = []
    for day in range(first, last + 1):
        y = height
        for name in OUTCOMES:
            tall = height * counts[day, name] / (most or 1)
            y -= tall
            says = f"{_date(day * DAY)}: {counts[day, name]} {name}"
            boxes.append(Box((day - first) * step + 1, y, max(step - 2, 1), tall, name, says))
    labels = (Label(0, height + 16, _date(since)), Label(WIDTH, height + 16, _date(now)))
    return Picture(height + 20, tuple(box for box in boxes if box.height), labels)


def timeline(requests: Sequence[Asked], since: float, now: float) -> Picture:
    """Every build in time; its height is its seconds, on a logarithmic scale from 0.01 s."""
    builds = [asked for asked in requests if outcome(asked) == BUILT]
    longest = max((asked.seconds for asked in builds), default=1.0)
    height, decades = 140.0, max(1.0, math.log10(max(longest, 0.02) / 0.01))
    boxes = []
    for asked in builds:
        x = WIDTH * (asked.at - since) / (now - since)
        tall = height * max(0.02, math.log10(max(asked.seconds, 0.01) / 0.01) / decades)
        says = f"{_moment(asked.at)}: {asked.title}, {asked.seconds:.1f} s, {len(asked.made)} layers built"
        boxes.append(Box(min(x, WIDTH - 4), height - tall, 4, tall, BUILT, says))
    labels = [Label(0, height + 16, _date(since)), Label(WIDTH, height + 16, _date(now))]
    return Picture(height + 20, tuple(boxes), (*labels, Label(0, 12, f"{longest:.1f} s")))


def slowest(requests: Sequence[Asked]) -> Picture:
    """The layers that took longest to build, each at its worst."""
    ordered = sorted((each for asked in requests for each in asked.made), key=lambda each: each[1])
    worst = {title: (title, seconds, size) for title, seconds, size in ordered}
    made = sorted(worst.values(), key=lambda each: -each[1])[:12]
    longest = max((seconds for _, seconds, _ in made), default=1.0) or 1.0
    boxes, labels = [], []
    for number, (title, seconds, size) in enumerate(made):
        says = f"{title}: {seconds:.2f} s, {megabytes(size)}"
        boxes.append(Box(0, number * _ROW + 1, WIDTH * seconds / longest, _ROW - 2, BUILT, says))
        labels.append(Label(0, number * _ROW + 15, f"{seconds:.2f} s  {title}"))
    return Picture(len(made) * _ROW, tuple(boxes), tuple(labels))


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
