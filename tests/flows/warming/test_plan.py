"""The planner keeps its budget, counts shared layers once and gives the same list for the same input."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebake.flows.warming.plan import Image, Place, demand, rank

NOW = 1_000_000.0
SIZES = {f"blob-{number}": 7 * number**2 + 1 for number in range(12)}


@dataclass(frozen=True)
class Asked:
    at: float
    environment: str


def image(name: str, *blobs: str, fixed: float = 0.0) -> Image:
    return Image(name, f"sha256:{name}", {blob: SIZES[blob] for blob in blobs}, fixed)


blobs = st.sets(st.sampled_from(sorted(SIZES)), min_size=1, max_size=6)
images = st.lists(blobs, min_size=1, max_size=15).map(
    lambda sets: [image(f"env-{number:02}", *sorted(each)) for number, each in enumerate(sets)]
)
requests = st.lists(
    st.builds(Asked, st.floats(0, NOW), st.sampled_from([f"env-{n:02}" for n in range(15)])), max_size=40
)
places = st.lists(st.integers(0, 2000), min_size=1, max_size=3).map(
    lambda budgets: [Place(f"node-{number}", budget, 10.0) for number, budget in enumerate(budgets)]
)


@given(images, requests, places)
def test_no_place_gets_more_than_its_budget(
    images: list[Image], requests: list[Asked], places: list[Place]
) -> None:
    picks = rank(requests, images, places, 3600, NOW)
    for place in places:
        own = [pick for pick in picks if pick.place == place.name]
        there = {blob: size for pick in own for blob, size in pick.image.blobs.items()}
        assert sum(there.values()) == sum(pick.bytes for pick in own) <= place.budget
        assert len({pick.image.digest for pick in own}) == len(own)


@given(images, requests, places)
def test_the_order_of_images_and_requests_does_not_matter(
    images: list[Image], requests: list[Asked], places: list[Place]
) -> None:
    one = rank(requests, images, places, 3600, NOW)
    other = rank(requests[::-1], images[::-1], places, 3600, NOW)
    assert [(pick.place, pick.image.digest) for pick in one] == [
        (pick.place, pick.image.digest) for pick in other
    ]


def test_a_request_counts_half_after_a_half_life() -> None:
    asked = [Asked(NOW, "a"), Asked(NOW - 60, "a"), Asked(NOW - 120, "b")]
    assert demand(asked, 60, NOW) == {"a": 1.5, "b": 0.25}


def test_what_nobody_asked_for_is_not_picked() -> None:
    every = [image("a", "blob-1"), image("b", "blob-2")]
    (pick,) = rank([Asked(NOW, "a")], every, [Place("n", 999, 10)], 60, NOW)
    assert (pick.image.environment, pick.seconds, pick.bytes) == ("a", 0.8, 8)


def test_a_shared_layer_is_worth_what_all_its_images_are_and_counts_once() -> None:
    asked = [Asked(NOW, name) for name in ("a", "b", "lonely")]
    every = [image("a", "blob-9", "blob-1"), image("b", "blob-9", "blob-2"), image("lonely", "blob-10")]
    picks = rank(asked, every, [Place("n", 10_000, 10)], 60, NOW)
    found = [(pick.image.environment, pick.bytes) for pick in picks]
    assert found == [("a", 576), ("b", 29), ("lonely", 701)]
    assert picks[0].seconds == pytest.approx((2 * 568 + 8) / 10)


def test_one_that_does_not_fit_is_passed_over() -> None:
    asked = [Asked(NOW, "big"), Asked(NOW, "big"), Asked(NOW, "small")]
    picks = rank(asked, [image("big", "blob-11"), image("small", "blob-1")], [Place("n", 100, 10)], 60, NOW)
    assert [pick.image.environment for pick in picks] == ["small"]


def test_what_has_to_be_built_is_worth_more() -> None:
    asked = [Asked(NOW, "a"), Asked(NOW, "b")]
    every = [image("a", "blob-3"), image("b", "blob-4", fixed=60)]
    picks = rank(asked, every, [Place("n", 999, 10)], 60, NOW)
    assert [pick.image.environment for pick in picks] == ["b", "a"]
