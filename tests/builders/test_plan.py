"""Plans: what enters a key and what does not. tests/golden/keys.json holds the keys of a fixed lock."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from prebake.builders.grouping import Budget
from prebake.builders.lock import CondaPackage, Lock, Target, Wheel
from prebake.builders.plan import plan, plan_layers
from prebake.builders.recipe import Recipe
from prebake.cache.digest import Digest
from prebake.config.load import load
from prebake.errors import DefinitionError
from sample_locks import Base, plan_of

GOLDEN = Path(__file__).parent.parent / "golden" / "keys.json"
RECIPE = Recipe(conda=Budget(4, 2, 1000), pip=Budget(4, 2, 1000))


def package(name: str, version: str = "1.0", noarch: str | None = None, size: int = 10) -> CondaPackage:
    subdir = "noarch" if noarch else "linux-64"
    url = f"https://conda.anaconda.org/conda-forge/{subdir}/{name}-{version}-0.conda"
    digest = Digest.of(f"{name} {version}".encode())
    channel = "https://conda.anaconda.org/conda-forge"
    return CondaPackage(name, version, "0", 0, subdir, url, channel, digest, size=size, noarch=noarch)


def wheel(name: str, version: str = "1.0", size: int = 10) -> Wheel:
    url = f"https://files.example/{name}-{version}-py3-none-any.whl"
    return Wheel(name, version, url, Digest.of(f"wheel {name} {version}".encode()), size)


LOCK = Lock(
    Target("linux-64", "2.36"),
    ("conda-forge",),
    (
        package("libzlib"),
        package("openssl", size=5000),
        package("python", "3.11.2"),
        package("six", noarch="python"),
        package("tzdata", "2026f", noarch="generic"),
    ),
    (wheel("click"), wheel("h11"), wheel("torch", "2.13.0%2Bcpu", size=9000)),
)


def keys(lock: Lock, recipe: Recipe = RECIPE) -> dict[str, str]:
    return {layer.title: str(layer.key) for layer in plan_layers(lock, recipe)}


def changed(one: Lock, other: Lock, recipe: Recipe = RECIPE) -> set[str]:
    """Titles of layers whose key is not in both plans."""
    first, second = keys(one, recipe), keys(other, recipe)
    common = set(first.values()) & set(second.values())
    return {title for plan in (first, second) for title, key in plan.items() if key not in common}


def python(version: str) -> Lock:
    others = tuple(each for each in LOCK.conda if each.name != "python")
    return replace(LOCK, conda=(*others, package("python", version)))


def test_keys_are_those_of_the_last_release() -> None:
    """A change here rebuilds every layer of every user: bump the recipe, then write the new keys."""
    image = plan_of(LOCK, RECIPE, OMP_NUM_THREADS="2")
    assert keys(LOCK) | {"image": str(image.key)} == json.loads(GOLDEN.read_text())


def test_big_packages_of_both_kinds_are_at_the_bottom() -> None:
    titles = list(keys(LOCK))
    assert titles[:2] == ["conda: openssl", "pip: torch"]
    assert {title.split(":")[0] for title in titles[2:]} == {"conda", "pip"}


def test_layer_keys_hold_neither_base_nor_variables() -> None:
    plans = [
        plan_of(LOCK, RECIPE),
        plan_of(LOCK, RECIPE, Base(Digest.of(b"patched"))),
        plan_of(LOCK, RECIPE, OMP_NUM_THREADS="2"),
    ]
    assert len({tuple(layer.key for layer in each.layers) for each in plans}) == 1
    assert len({each.key for each in plans}) == 3


def test_names_and_descriptions_enter_no_key(tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    found = []
    for words in ("name: a", "name: b\nversion: '2'\ndescription: other\ntags: {team: x}"):
        path.write_text(f"{words}\nimage: localhost/base:1\nconda_file: {{dependencies: [python]}}\n")
        resolved = plan_of(LOCK, RECIPE).resolved
        found.append(plan(replace(resolved, definition=load(path).definition), RECIPE).key)
    assert found[0] == found[1]


def test_the_order_of_packages_enters_no_key() -> None:
    backwards = replace(LOCK, conda=LOCK.conda[::-1], pip=LOCK.pip[::-1])
    assert keys(backwards) == keys(LOCK)


def test_metadata_that_changes_no_byte_enters_no_key() -> None:
    conda = tuple(replace(each, depends=("x",), md5="0" * 32) for each in LOCK.conda)
    pip = tuple(replace(each, depends=("x",), url=each.url.replace("files", "mirror")) for each in LOCK.pip)
    assert keys(replace(LOCK, conda=conda, pip=pip, target=Target("linux-64", "2.28"))) == keys(LOCK)


@pytest.mark.parametrize("name", ["tabulate", "idna", "rich"])
def test_another_wheel_changes_its_group_alone(name: str) -> None:
    more = replace(LOCK, pip=(*LOCK.pip, wheel(name)))
    assert len(changed(LOCK, more)) <= 2
    assert {title.split(":")[0] for title in changed(LOCK, more)} == {"pip"}


def test_another_version_changes_its_group_alone() -> None:
    newer = replace(LOCK, pip=(wheel("click", "2.0"), *LOCK.pip[1:]))
    assert changed(LOCK, newer) == {title for title in keys(LOCK) if "click" in title}


def test_another_python_minor_changes_what_is_placed_by_it() -> None:
    placed = {title for title in keys(LOCK) if title.startswith("pip") or "six" in title}
    touched = placed | {title for title in keys(LOCK) if "python" in title}
    assert changed(LOCK, python("3.12.0")) == touched


def test_another_python_patch_changes_python_alone() -> None:
    assert changed(LOCK, python("3.11.9")) == {title for title in keys(LOCK) if "python" in title}


def test_another_place_of_site_packages_changes_what_is_placed_there() -> None:
    """Free-threaded python 3.13 and the usual one differ in nothing else."""
    conda = tuple(
        replace(each, site_packages="lib/python3.11t/site-packages") if each.name == "python" else each
        for each in LOCK.conda
    )
    placed = {title for title in keys(LOCK) if title.startswith("pip") or "six" in title}
    assert changed(LOCK, replace(LOCK, conda=conda)) == placed


@pytest.mark.parametrize("recipe", [replace(RECIPE, prefix="/opt/x"), replace(RECIPE, compression="zstd")])
def test_prefix_and_compression_change_every_layer(recipe: Recipe) -> None:
    assert not set(keys(LOCK, recipe).values()) & set(keys(LOCK).values())


def test_wheels_without_python_are_refused() -> None:
    with pytest.raises(DefinitionError, match="need a python from conda"):
        plan_layers(replace(LOCK, conda=(package("libzlib"),)), RECIPE)


def test_an_image_without_a_lock_has_no_layers() -> None:
    resolved = replace(plan_of(LOCK).resolved, lock=None)
    assert plan(resolved, RECIPE).layers == ()
