"""Pip solves with conda's packages as facts: the sample channel and index, both over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.conda_solve import solve_conda
from prebake.builders.dists import CondaInterface, conda_interface
from prebake.builders.lock import CondaPackage, Target, Wheel
from prebake.builders.pip_solve import PipRequest, Sdist, best_wheel, solve_pip
from prebake.builders.sources import Sources, connect
from prebake.config.definition import CondaSpec
from prebake.errors import PackageError, SolveError, Unreachable

FORGE = "https://conda.anaconda.org/conda-forge"
DEBIAN_12 = Target("linux-64", "2.36")
NUMPY = CondaInterface("3.11.2", (("idna", "3.20"), ("numpy", "2.4.6")))

Solve = Callable[..., dict[str, Wheel | Sdist]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def sources(world: Any) -> Sources:
    index = world.index_url.removesuffix("/simple")
    return Sources(mirrors=((FORGE, world.channel_url), ("https://pypi.org", index)), retries=0)


@pytest.fixture
def solve(sources: Sources, cache: Path, tmp_path: Path) -> Solve:
    def run(
        *lines: str,
        conda: CondaInterface = NUMPY,
        target: Target = DEBIAN_12,
        allow: str = "",
        index: str = "",
    ) -> dict[str, Wheel | Sdist]:
        places = {line: (Path("conda.yaml"), number) for number, line in enumerate(lines, 20)}
        request = PipRequest(lines, tmp_path, frozenset(filter(None, [allow])), places)
        asked = Sources(pip_index=index, retries=0) if index else sources
        return {found.name: found for found in solve_pip(request, conda, target, asked, cache)}

    return run


def test_what_conda_provides_is_looked_up_once(sources: Sources, cache: Path) -> None:
    spec = CondaSpec(specs=("python=3.11", "requests", "numpy=2"))
    packages = solve_conda(spec, DEBIAN_12, sources, cache)
    memo: dict[str, list[str]] = {}
    found = conda_interface(packages, lambda: connect(sources, cache).client, memo)
    assert found.python == next(package.version for package in packages if package.name == "python")
    expected = {package.name: package.version for package in packages}
    assert dict(found.dists)["numpy"] == expected["numpy"]
    assert {"requests", "idna", "urllib3", "certifi", "charset-normalizer"} <= set(dict(found.dists))
    nowhere = Sources(mirrors=((FORGE, "http://127.0.0.1:9/x"),), retries=0)
    assert conda_interface(packages, lambda: connect(nowhere, cache).client, memo) == found
    with pytest.raises(Unreachable, match="file list"):
        conda_interface(packages, lambda: connect(nowhere, cache).client, {})


def test_a_pip_list_needs_a_python(sources: Sources, cache: Path) -> None:
    with pytest.raises(SolveError, match="needs a python"):
        conda_interface((), lambda: connect(sources, cache).client, {})


def test_the_wheels_of_an_environment(solve: Solve) -> None:
    found = solve("fastapi", "scikit-learn  # a comment", "numpy>=2")
    assert list(found) == sorted(found)
    assert {"fastapi", "starlette", "pydantic-core", "scikit-learn", "scipy"} <= set(found)
    assert not {"idna", "numpy"} & set(found), "conda provides these"
    core = found["pydantic-core"]
    assert isinstance(core, Wheel)
    assert core.url == f"https://pypi.org/files/{core.file_name}"
    assert core.file_name.endswith("_x86_64.whl")


def test_a_second_solve_gives_the_same_lock(solve: Solve) -> None:
    assert solve("fastapi", "tabulate==0.9.0") == solve("fastapi", "tabulate==0.9.0")


def test_options_and_files_are_read_from_the_folder(solve: Solve, tmp_path: Path, world: Any) -> None:
    (tmp_path / "limits.txt").write_text("tabulate<0.10\n")
    (tmp_path / "more.txt").write_text("colorama\n")
    found = solve("-c limits.txt", "-r more.txt", f"--index-url {world.index_url}", "tabulate")
    versions = {name: package.version for name, package in found.items()}
    assert versions == {"colorama": "0.4.6", "tabulate": "0.9.0"}


def test_an_index_that_the_list_names_may_be_mirrored(solve: Solve) -> None:
    found = solve("--index-url https://pypi.org/simple", "--extra-index-url=https://pypi.org/simple", "six")
    assert found["six"].url.startswith("https://pypi.org/files/six-")


def test_the_users_own_settings_do_not_count(
    solve: Solve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    (tmp_path / "uv.toml").write_text('[pip]\nindex-url = "http://127.0.0.1:9/simple"\n')
    assert list(solve("colorama")) == ["colorama"]


@pytest.mark.parametrize(
    ("lines", "sentence", "shown"),
    [
        (["nobody-has-this"], "no index has a package `nobody-has-this`", "conda.yaml line 20"),
        (["tabulate>=99"], "cannot be satisfied", "tabulate<=0.10.0"),
        (["tabulate==0.9.0", "tabulate==0.10.0"], "cannot be satisfied", "tabulate==0.9.0"),
        (["numpy==1.26.4"], "what conda provides: numpy 2.4.6", "numpy==2.4.6 (conda)"),
        (["colorama", "idna<3.15"], "what conda provides: idna 3.20", "idna<3.15"),
        (["numpy[fast]"], "extra `numpy\\[fast\\]`", "leave `numpy` to pip"),
        (["!!bad"], "`!!bad` is not a pip requirement", "conda.yaml line 20"),
        (["-r missing.txt"], "cannot be read", "missing.txt"),
    ],
)
def test_why_there_is_no_solution(solve: Solve, lines: list[str], sentence: str, shown: str) -> None:
    with pytest.raises(SolveError, match=sentence) as error:
        solve(*lines)
    assert shown in str(error.value)
    assert error.value.hint


def test_no_wheel_for_the_target(solve: Solve) -> None:
    with pytest.raises(SolveError, match="no wheel of `pydantic-core` fits"):
        solve("pydantic-core", conda=CondaInterface("3.9.18"))


def test_source_only_packages_are_asked_for_by_name(solve: Solve) -> None:
    with pytest.raises(PackageError, match="`docopt` has no wheel") as error:
        solve("docopt")
    assert "--allow-sdist docopt" in error.value.hint
    found = solve("docopt", "tabulate", allow="docopt")
    assert isinstance(found["docopt"], Sdist)
    assert isinstance(found["tabulate"], Wheel)


@pytest.mark.parametrize(
    "line",
    [
        "-e .", "--editable=.", "./own", "/srv/own", "~/own", "file:///srv/own", "git+https://u:secret@h.example/x",
        "x @ git+ssh://git@h.example/x", "x @ file:///srv/x.whl", "https://h.example/x-1.tar.gz",
    ],
)  # fmt: skip
def test_source_requirements_are_refused(solve: Solve, line: str) -> None:
    with pytest.raises(PackageError, match="is a source requirement") as error:
        solve(line)
    assert "secret" not in str(error.value)


def test_an_index_that_does_not_answer(solve: Solve) -> None:
    with pytest.raises(Unreachable) as error:
        solve("tabulate", index="http://user:secret@127.0.0.1:9/simple")
    assert error.value.retryable
    assert "secret" not in str(error.value)


def test_the_best_wheel_is_pips_choice() -> None:
    def chosen(*names: str, python: str = "3.11.2", target: Target = DEBIAN_12) -> str | None:
        wheel = best_wheel([{"url": f"https://h.example/{name}.whl"} for name in names], python, target)
        return wheel and str(wheel["url"]).removeprefix("https://h.example/").removesuffix(".whl")

    pure, abi3 = "x-1-py3-none-any", "x-1-cp37-abi3-manylinux1_x86_64.manylinux_2_28_x86_64"
    own = "x-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
    newer = "x-1-cp311-cp311-manylinux_2_34_x86_64"
    assert chosen(pure, abi3, own) == own
    assert chosen(pure, abi3) == abi3
    assert chosen(own, newer) == newer
    assert chosen(own, newer, target=Target("linux-64", "2.31")) == own
    assert chosen(own, pure, python="3.12.1") == pure
    assert chosen(own, pure, target=Target("linux-aarch64", "2.36")) == pure
    assert chosen("x-1-cp37-cp37m-manylinux1_x86_64", python="3.7.9") is not None
    assert chosen(own, target=Target("linux-64", "2.12")) is None


def test_an_archive_without_python_is_not_asked(sources: Sources, cache: Path) -> None:
    packages = solve_conda(CondaSpec(specs=("python=3.11", "tzdata")), DEBIAN_12, sources, cache)
    memo: dict[str, list[str]] = {}
    conda_interface(packages, lambda: connect(sources, cache).client, memo)
    by_digest: dict[str, CondaPackage] = {package.sha256.hex: package for package in packages}
    assert "tzdata" not in {by_digest[digest].name for digest in memo}
