"""`group` is a partition under a budget, and stable: a small package touches its own bin alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebake.builders.grouping import MAX_LAYERS, Budget, bin_of, check_layer_count, group
from prebake.errors import DefinitionError


@dataclass(frozen=True)
class Sized:
    name: str
    size: int


OUTLIER = 100
BUDGETS = st.builds(Budget, st.integers(1, 6), st.integers(0, 4), st.just(OUTLIER))
SMALL = st.builds(Sized, st.text("abcdef", min_size=1, max_size=4), st.integers(0, OUTLIER - 1))
ANY = st.builds(Sized, st.text("abcdef", min_size=1, max_size=4), st.integers(0, 3 * OUTLIER))
SETS = st.lists(ANY, max_size=20, unique_by=lambda package: package.name)


@given(SETS, BUDGETS)
def test_each_package_is_in_one_group(packages: list[Sized], budget: Budget) -> None:
    flat = [package for each in group(packages, budget) for package in each]
    assert len(flat) == len(packages)
    assert set(flat) == set(packages)


@given(SETS, BUDGETS)
def test_the_budget_is_kept_and_no_group_is_empty(packages: list[Sized], budget: Budget) -> None:
    groups = group(packages, budget)
    assert len(groups) <= budget.layers
    assert all(groups)


@given(SETS, BUDGETS, st.randoms(use_true_random=False))
def test_the_order_of_packages_does_not_matter(packages: list[Sized], budget: Budget, dice: object) -> None:
    expected = group(packages, budget)
    dice.shuffle(packages)  # type: ignore[attr-defined]
    assert group(packages, budget) == expected


@given(SETS, SMALL, BUDGETS)
def test_a_small_package_touches_one_group(packages: list[Sized], new: Sized, budget: Budget) -> None:
    packages = [package for package in packages if package.name != new.name]
    before, after = set(group(packages, budget)), set(group([*packages, new], budget))
    assert len(after - before) == 1
    assert len(before - after) <= 1


@given(SETS, BUDGETS)
def test_big_ones_are_alone_and_first(packages: list[Sized], budget: Budget) -> None:
    groups = group(packages, budget)
    big = sorted((p for p in packages if p.size >= OUTLIER), key=lambda p: (-p.size, p.name))
    alone = [(package,) for package in big[: budget.outliers]]
    assert list(groups[: len(alone)]) == alone


@given(st.text(max_size=20), st.integers(1, 64))
def test_a_bin_is_one_of_them(name: str, bins: int) -> None:
    assert 0 <= bin_of(name, bins) < bins


def test_bins_are_the_same_for_ever() -> None:
    """Another hash function would rebuild every layer of every user."""
    assert [bin_of(name, 8) for name in ("six", "numpy", "tabulate", "clobber-a")] == [3, 7, 2, 2]


def test_too_many_layers_are_refused() -> None:
    check_layer_count(100, MAX_LAYERS - 100)
    with pytest.raises(DefinitionError, match="too many layers"):
        check_layer_count(101, MAX_LAYERS - 100)
