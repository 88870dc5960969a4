"""One spelling per meaning: what may differ without changing the key, and what may not."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.config.canonical import definition_inputs, definition_of
from prebake.config.definition import CondaSpec, Definition, InferenceConfig, Route, SparkSpec
from prebake.config.load import load
from prebake.config.match_spec import canonical_spec
from prebake.config.pip_line import canonical_line

SPECS = [
    "python=3.12",
    "numpy >=1.26,<2",
    "conda-forge::pandas",
    "blas[build=mkl]",
    "libarchive>=3.8 lgpl_*",
    "pip",
]
WORDS = st.text("abcdefghij -_:#{'\"", max_size=12)


def inputs(**fields: Any) -> dict[str, Any]:
    return dict(definition_inputs(Definition(image="a", conda=CondaSpec(**fields))))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python = 3.8", "python=3.8"),
        ("NumPy >= 1.2 , < 2", "numpy<2,>=1.2"),
        ("numpy 1.2 py_0", "numpy  1.2=py_0"),
        ("c::Numpy", "c::numpy"),
        ("blas[ build=mkl ]", "blas[build=mkl]"),
    ],
)
def test_specs_that_mean_the_same(one: str, other: str) -> None:
    assert canonical_spec(one) == canonical_spec(other)
    assert canonical_spec(canonical_spec(one)) == canonical_spec(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("numpy 1.2", "numpy=1.2"),
        ("numpy=1.2", "numpy==1.2"),
        ("a::numpy", "b::numpy"),
        ("x>=1|<2", "x>=1,<2"),
    ],
)
def test_specs_that_differ(one: str, other: str) -> None:
    assert canonical_spec(one) != canonical_spec(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Scikit_Learn", "scikit-learn"),
        ("zope.interface >= 5, <6", "Zope-Interface<6,>=5"),
        ("x[B, a_c]", "x[a-c,b]"),
        ("x (>=1)", "x>=1"),
        ("x>=1; python_version<'3.9'", 'x >= 1 ;  python_version<"3.9"'),
        ("x==1 --hash=sha256:b --hash=sha256:a", "x==1 --hash=sha256:a --hash=sha256:b"),
        ("X @ https://host/Y.whl", "x@https://host/Y.whl"),
        ("-i https://host", "--index-url=https://host"),
        ("-e .", "--editable ."),
        ("-c Numpy <2", "-c numpy<2"),
    ],
)
def test_pip_lines_that_mean_the_same(one: str, other: str) -> None:
    assert canonical_line(one) == canonical_line(other)
    assert canonical_line(canonical_line(one)) == canonical_line(one)


@pytest.mark.parametrize(
    "line", ["./Wheels/X_y.whl", "git+https://host/X_y.git@V1", "https://host/X_y.whl", "-e ./X_y", "Sub/X_y"]
)
def test_paths_and_urls_keep_their_spelling(line: str) -> None:
    assert canonical_line(line).endswith(line.removeprefix("-e "))


def test_order_counts_for_channels_and_options_alone() -> None:
    index = "--extra-index-url https://b"
    assert inputs(channels=("a", "b")) != inputs(channels=("b", "a"))
    assert inputs(pip=("-i https://a", index)) != inputs(pip=(index, "-i https://a"))
    assert inputs(pip=("x", index, "y")) != inputs(pip=("y", index, "x"))
    assert inputs(pip=("b", "A", "-c z<1")) == inputs(pip=("-c Z <1", "a", "b", "b"))
    assert inputs(specs=("b", "a")) == inputs(specs=("a", "B"))
    assert inputs(variables=(("b", "1"), ("a", "2"))) == inputs(variables=(("a", "2"), ("b", "1")))


def test_a_definition_is_read_back_from_its_inputs() -> None:
    route = Route("/", 8080)
    definition = Definition(
        image="a",
        conda=CondaSpec(("conda-forge",), ("python=3.11",), ("six",), (("A", "1"),)),
        environment_variables=(("B", "2"),),
        spark=SparkSpec(("g:a:1",), ("https://repository.example/maven2",), precache_packages=False),
        inference_config=InferenceConfig(route, route, route),
    )
    assert definition_of(json.loads(json.dumps(definition_inputs(definition)))) == definition


def test_it_is_plain_json_without_floats() -> None:
    value = inputs(channels=("c",), specs=("python=3.10",), pip=("x==1.10",))
    assert json.loads(json.dumps(value), parse_float=pytest.fail) == value


@settings(max_examples=60, deadline=None)
@given(
    specs=st.permutations(SPECS),
    identity=st.fixed_dictionaries(
        {}, optional={"name": WORDS, "description": WORDS, "tags": st.dictionaries(WORDS, WORDS)}
    ),
    comments=st.lists(
        st.text("abc [](){}:#-'", max_size=9).filter(lambda text: "{{" not in text), max_size=4
    ),
)
def test_identity_comments_and_order_never_reach_the_key(
    specs: list[str], identity: dict[str, Any], comments: list[str]
) -> None:
    plain = _loaded({"image": "a", "conda_file": {"channels": ["c"], "dependencies": SPECS}}, [])
    other = {**_printable(identity), "image": "a", "conda_file": {"dependencies": specs, "channels": ["c"]}}
    assert _loaded(other, comments) == plain


def _printable(identity: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(identity).replace("{{", "{"))


def _loaded(document: dict[str, Any], comments: list[str]) -> dict[str, Any]:
    lines = yaml.safe_dump(document, sort_keys=False, width=1000).splitlines()
    for number, comment in enumerate(comments):
        lines.insert(number * 2, f"# {comment}")
    with TemporaryDirectory() as folder:
        path = Path(folder, "environment.yml")
        path.write_text("\n".join(lines))
        return dict(definition_inputs(load(path).definition))
