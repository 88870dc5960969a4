"""The pictures' geometry says what the figures say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebake.flows.report.facts import DAY, EnvironmentFact, LayerFact
from prebake.flows.report.pictures import WIDTH, days, sharing, slowest, stack, timeline
from prebake.flows.requests import Asked

STEPS = ("pip", "conda")
LAYERS = [LayerFact(f"sha256:{n}", STEPS[n % 2], f"layer {n}", 1000 * n**3 + 1) for n in range(9)]
environments = st.lists(
    st.sets(st.sampled_from(LAYERS), max_size=6).map(lambda each: tuple(sorted(each, key=lambda x: x.size))),
    max_size=12,
).map(lambda rows: [EnvironmentFact(f"env-{n}", 1, layers) for n, layers in enumerate(rows)])


def asked(at: float, seconds: float = 1.0, **layers: int) -> Asked:
    named = {name.replace("_", "-"): count for name, count in layers.items()}
    made = (("conda: python", seconds, 10),) if "built" in named else ()
    return Asked(at, "e", "t", "d", seconds=seconds, layers=named, made=made)


@given(environments)
def test_a_layer_has_one_column_and_columns_fill_the_width(rows: list[EnvironmentFact]) -> None:
    picture = sharing(rows)
    columns = {(box.x, box.width) for box in picture.boxes}
    used = {layer.digest for row in rows for layer in row.layers}
    assert len(columns) == len(used)
    assert sum(width for _, width in columns) == pytest.approx(WIDTH if used else 0)
    assert len(picture.boxes) == sum(len(row.layers) for row in rows)
    edges = sorted(columns)
    assert all(x + width <= following + 1e-6 for (x, width), (following, _) in pairwise(edges))


def test_shared_layers_are_on_the_left() -> None:
    rows = [EnvironmentFact("a", 2, (LAYERS[1], LAYERS[8])), EnvironmentFact("b", 1, (LAYERS[1],))]
    first, second = sorted(sharing(rows).boxes, key=lambda box: box.x)[1:]
    assert (first.x, first.kind) == (0.0, "conda shared")
    assert second.kind == "pip own" and second.says == "layer 8: 0.5 MB, in 1 of 2 environments"


def test_a_stack_has_the_shares_of_its_counts() -> None:
    picture = stack({"used": 3, "pending": 0, "unused": 1}, "images")
    assert [(box.kind, box.x, box.width) for box in picture.boxes] == [
        ("used", 0.0, WIDTH * 3 / 4),
        ("unused", WIDTH * 3 / 4, WIDTH / 4),
    ]
    assert stack({"used": 0}, "images").boxes == ()


def test_days_stack_requests_by_their_farthest_layer() -> None:
    requests = [asked(0.5 * DAY, hit_local=3), asked(0.6 * DAY, hit_local=3, built=1), asked(1.5 * DAY)]
    boxes = days(requests, 0.0, 1.9 * DAY).boxes
    assert [(box.kind, box.height) for box in boxes] == [("hit-local", 70), ("built", 70), ("hit-local", 70)]
    assert boxes[1].says == "1970-01-01: 1 built"


def test_only_builds_are_in_the_timeline() -> None:
    requests = [asked(10.0, built=2), asked(20.0, hit_local=1), asked(90.0, seconds=100.0, built=1)]
    short, long = timeline(requests, 0.0, 100.0).boxes
    assert (short.x, long.x) == (100.0, 900.0)
    assert short.height == pytest.approx(long.height / 2)
    assert [label.text for label in slowest(requests).labels] == ["100.00 s  conda: python"]


def test_nothing_gives_empty_pictures() -> None:
    pictures = (sharing([]), days([], 0, DAY), timeline([], 0, DAY), slowest([]))
    assert [picture.boxes for picture in pictures] == [()] * 4
