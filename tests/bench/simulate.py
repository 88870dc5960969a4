"""A month of submissions against the warming planner and plain rules, in simulated time.

    python tests/bench/simulate.py [--seed N] [--every MINUTES ...]

500 environments that share layers, 10,000 requests by Zipf's law with a popularity that drifts and bursts
of one user, by a seeded generator. Every hour (or every day, as a nightly prebuild would) each rule chooses
whole images for a node within the same byte budget, from the past alone; until the next choice the node
holds what was chosen. A request is a hit if all its layers are there, and saves the seconds that moving
those layers which are there would have taken. A node that keeps what jobs pulled, and nobody warms, is
beside them: it reacts to each request at once, and evicts the least recently used layers.
"""

from __future__ import annotations

import argparse
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prebake.flows.warming.plan import Image, Place, choose, demand

DAYS, REQUESTS, ENVIRONMENTS = 30, 10_000, 500
HOUR, DAY = 3600.0, 86_400.0
SPEED = 60e6  # bytes per second that a node pulls and unpacks
WHOLE = 2.0  # seconds that a job which finds its whole image is spared beside the bytes
WARM_UP = 2 * DAY  # not counted: nobody knows anything yet


@dataclass(frozen=True)
class Request:
    at: float
    environment: str


def make_images(dice: random.Random) -> list[Image]:
    """Bases, frameworks and small groups shared by Zipf's law, and a layer of their own."""
    bases = {f"base-{n}": int(dice.lognormvariate(18.5, 0.5)) for n in range(6)}
    stacks = {f"stack-{n}": int(dice.lognormvariate(19.8, 0.9)) for n in range(25)}
    groups = {f"group-{n}": int(dice.lognormvariate(16.5, 1.0)) for n in range(200)}
    images = []
    for number in range(ENVIRONMENTS):
        blobs = _some(dice, bases, 1) | _some(dice, stacks, dice.randint(0, 2))
        blobs |= _some(dice, groups, dice.randint(3, 12)) | {
            f"own-{number}": int(dice.lognormvariate(16, 1.3))
        }
        images.append(Image(f"env-{number:03}", f"digest-{number:03}", blobs, WHOLE))
    return images


def _some(dice: random.Random, pool: dict[str, int], count: int) -> dict[str, int]:
    names = list(pool)
    weights = [1 / (rank + 1) for rank in range(len(names))]
    return {name: pool[name] for name in dice.choices(names, weights, k=count)}


def make_requests(dice: random.Random) -> list[Request]:
    """Working-day rhythm; every day a tenth of the ranks change places; half of all come in bursts."""
    order = list(range(ENVIRONMENTS))
    dice.shuffle(order)
    zipf = [1 / (rank + 1) for rank in range(ENVIRONMENTS)]
    found: list[Request] = []
    for day in range(DAYS):
        for _ in range(ENVIRONMENTS // 10):
            one, other = dice.randrange(ENVIRONMENTS), dice.randrange(ENVIRONMENTS)
            order[one], order[other] = order[other], order[one]
        aim = REQUESTS * (day + 1) // DAYS
        while len(found) < aim:
            start = day * DAY + min(max(dice.gauss(13, 3.5), 0), 23.9) * HOUR
            name = f"env-{dice.choices(order, zipf)[0]:03}"
            burst = dice.choice((1, 1, 1, 3))
            found += [Request(start + n * dice.uniform(300, 3600), name) for n in range(burst)]
    return sorted(found[:REQUESTS], key=lambda request: request.at)


Rule = Callable[[Sequence[Request], float], Iterator[Image]]


def most_recent(images: dict[str, Image]) -> Rule:
    def order(past: Sequence[Request], now: float) -> Iterator[Image]:
        seen = dict.fromkeys(request.environment for request in reversed(past))
        return (images[name] for name in seen)

    return order


def most_popular(images: dict[str, Image]) -> Rule:
    def order(past: Sequence[Request], now: float) -> Iterator[Image]:
        counts = Counter(request.environment for request in past)
        return (images[name] for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    return order


def filled(order: Rule, budget: int) -> Rule:
    """The first images in that order that fit, a shared layer counted once."""

    def choice(past: Sequence[Request], now: float) -> Iterator[Image]:
        left, there = budget, set()
        for image in order(past, now):
            size = sum(count for blob, count in image.blobs.items() if blob not in there)
            if size <= left:
                left -= size
                there |= image.blobs.keys()
                yield image

    return choice


def planned(images: dict[str, Image], budget: int, half_life: float) -> Rule:
    def choice(past: Sequence[Request], now: float) -> Iterator[Image]:
        wanted = demand(past, half_life, now)
        known = [images[name] for name in sorted(wanted)]
        return (pick.image for pick in choose(known, wanted, Place("node", budget, SPEED)))

    return choice


@dataclass(frozen=True)
class Score:
    hits: float
    saved: float


def replay(requests: Sequence[Request], images: dict[str, Image], rule: Rule, period: float) -> Score:
    """Hit rate, and the share of all seconds that was saved."""
    hits = counted = 0
    saved = total = 0.0
    there: set[str] = set()
    times, due = [request.at for request in requests], 0.0
    for request in requests:
        if request.at >= due:
            now = request.at // period * period
            past = requests[: bisect_left(times, now)]
            there = {blob for image in rule(past, now) for blob in image.blobs}
            due = now + period
        if request.at < WARM_UP:
            continue
        blobs = images[request.environment].blobs
        whole = blobs.keys() <= there
        counted += 1
        hits += whole
        saved += sum(size for blob, size in blobs.items() if blob in there) / SPEED + WHOLE * whole
        total += sum(blobs.values()) / SPEED + WHOLE
    return Score(hits / counted, saved / total)


def pulled(requests: Sequence[Request], images: dict[str, Image], budget: int) -> Score:
    """A node that nobody warms: layers stay as jobs pulled them, the least recently used go."""
    hits = counted = 0
    saved = total = 0.0
    there: dict[str, int] = {}
    for request in requests:
        blobs = images[request.environment].blobs
        if request.at >= WARM_UP:
            whole = blobs.keys() <= there.keys()
            counted += 1
            hits += whole
            saved += sum(size for blob, size in blobs.items() if blob in there) / SPEED + WHOLE * whole
            total += sum(blobs.values()) / SPEED + WHOLE
        there = {blob: size for blob, size in there.items() if blob not in blobs} | dict(blobs)
        while sum(there.values()) > budget:
            del there[next(iter(there))]
    return Score(hits / counted, saved / total)


def rules(images: dict[str, Image], budget: int) -> dict[str, Rule]:
    spans = (0.25, 0.5, 1, 3)
    own = {f"planner, half-life {days:g} d": planned(images, budget, days * DAY) for days in spans}
    recent, popular = filled(most_recent(images), budget), filled(most_popular(images), budget)
    return {"most recent": recent, "most popular": popular} | own


def main() -> None:
    parser = argparse.ArgumentParser(description="A simulated month.")
    parser.add_argument("--seed", type=int, default=1)
    every = "minutes between two choices"
    parser.add_argument("--every", type=int, nargs="+", default=[60, 1440], help=every)
    chosen = parser.parse_args()
    dice = random.Random(chosen.seed)
    images = {image.environment: image for image in make_images(dice)}
    requests = make_requests(dice)
    sizes = {blob: size for image in images.values() for blob, size in image.blobs.items()}
    nominal = sum(sum(image.blobs.values()) for image in images.values())
    print(f"{len(requests)} requests, {len(images)} images, {nominal / 1e9:.0f} GB nominal,", end=" ")
    print(f"{sum(sizes.values()) / 1e9:.1f} GB with shared layers once")
    for minutes in chosen.every:
        for share in (0.05, 0.15, 0.4):
            budget = int(sum(sizes.values()) * share)
            print(f"\nchosen every {minutes} minutes, budget {budget / 1e9:.1f} GB ({share:.0%} of it)")
            show("nobody warms, LRU layers", pulled(requests, images, budget))
            for name, rule in rules(images, budget).items():
                show(name, replay(requests, images, rule, minutes * 60.0))


def show(name: str, score: Score) -> None:
    print(f"  {name:<26} hits {score.hits:6.1%}   seconds saved {score.saved:6.1%}", flush=True)


if __name__ == "__main__":
    main()
