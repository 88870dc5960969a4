"""Conda solves: the sample channel over HTTP, and real conda-forge records (solve only)."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from prebake.builders.conda_solve import parse_spec, solve_conda
from prebake.builders.lock import CondaPackage, Target
from prebake.builders.sources import Sources, canonical_url, channels_of, mirrored, public_url, redact
from prebake.config.definition import CondaSpec
from prebake.errors import PackageError, PrebakeError, SolveError, Unreachable

FORGE = "https://conda.anaconda.org/conda-forge"
DEBIAN_12 = Target("linux-64", "2.36")
OLD_DRIVER = Target("linux-64", "2.36", "11.1")
SHARED = Path(__file__).parents[3] / "shared"

Solve = Callable[..., dict[str, CondaPackage]]


@pytest.fixture(scope="module")
def real() -> str:
    folder = SHARED / "data" / "conda-forge-subset"
    assert folder.is_dir(), f"the real conda-forge records are expected beside the clone: {folder}"
    return folder.as_uri()


@pytest.fixture
def solve(world: Any, tmp_path: Path) -> Solve:
    """Solve specs against a channel (by default the sample, known as conda-forge); packages by name."""

    def run(*specs: str, channel: str = "conda-forge", target: Target = DEBIAN_12, **change: Any) -> Any:
        sources = Sources(**{"mirrors": ((FORGE, world.channel_url),), "retries": 0, **change})
        lines = {spec: (Path("conda.yaml"), number) for number, spec in enumerate(specs, 7)}
        packages = solve_conda(CondaSpec((channel,), specs), target, sources, tmp_path, lines)
        return {package.name: package for package in packages}

    return run


def test_a_mirror_serves_and_the_canonical_url_is_locked(solve: Solve) -> None:
    found = solve("python=3.11", "requests")
    assert list(found) == sorted(found)
    python, requests = found["python"], found["requests"]
    assert python.url == f"{FORGE}/linux-64/{python.file_name}"
    assert {package.channel for package in found.values()} == {FORGE}
    assert (python.subdir, python.noarch, python.site_packages) == (
        "linux-64",
        None,
        "lib/python3.11/site-packages",
    )
    assert (requests.subdir, requests.noarch, requests.site_packages) == ("noarch", "python", None)
    assert python.size > 0
    assert python.depends


def test_what_the_target_offers_decides(solve: Solve, real: str) -> None:
    cpu = solve("pytorch", channel=real)
    gpu = solve("pytorch-gpu", channel=real, target=Target("linux-64", "2.36", "12.8"))
    assert "cpu" in cpu["pytorch"].build
    assert "cuda" in gpu["pytorch"].build
    arm = solve("python=3.12", channel=real, target=Target("linux-aarch64", "2.36"))
    assert arm["python"].subdir == "linux-aarch64"


def test_a_large_real_environment_is_solved_the_same_twice(solve: Solve, real: str) -> None:
    specs = ("python", "pytorch", "torchvision", "jupyterlab", "pandas", "scikit-learn")
    first = solve(*specs, channel=real)
    assert len(first) > 150
    assert first == solve(*specs, channel=real)


@pytest.mark.parametrize(
    ("specs", "target", "sentence", "shown"),
    [
        (["numpi"], DEBIAN_12, "no channel has a package `numpi`", ["closest", "numpy", "conda.yaml line 7"]),
        (["python", "numpy >=99"], DEBIAN_12, "no package satisfies `numpy >=99`", ["numpy 2.", "line 8"]),
        (["numpy=1.99"], DEBIAN_12, "no package satisfies `numpy=1.99`", ["numpy 1.26.4, numpy 2."]),
        (
            ["pandas=2", "python=3.14"],
            DEBIAN_12,
            "the packages contradict each other",
            ["`pandas=2` in conda.yaml line 7, `python=3.14` in conda.yaml line 8", "python >=3.11"],
        ),
        (["pytorch-gpu"], DEBIAN_12, "need a GPU driver", ["no cuda", "`pytorch-gpu` in conda.yaml line 7"]),
        (["pytorch-gpu"], OLD_DRIVER, "newer CUDA driver", ["cuda 11.1", "__cuda >=12"]),
        (["pytorch"], Target("linux-64", "2.12"), "newer glibc", ["glibc 2.12", "__glibc >=2.17"]),
    ],
)
def test_why_there_is_no_solution(
    solve: Solve, real: str, specs: list[str], target: Target, sentence: str, shown: list[str]
) -> None:
    with pytest.raises(SolveError) as error:
        solve(*specs, channel=real, target=target)
    assert sentence in error.value.sentence
    assert error.value.hint
    for text in ["linux-64", *shown]:
        assert text in str(error.value)
    assert len(error.value.facts.get("solver", "").splitlines()) <= 16


def test_a_package_that_needs_a_driver(solve: Solve) -> None:
    with pytest.raises(SolveError, match="GPU driver"):
        solve("needs-cuda")
    assert "needs-cuda" in solve("needs-cuda", target=Target("linux-64", "2.36", "12.0"))


def test_a_package_without_sha256_is_refused(solve: Solve) -> None:
    with pytest.raises(PackageError, match="no sha256"):
        solve("nosha-demo")


@pytest.mark.parametrize("spec", ["pandas=>=1.0.0", "-r x.txt", "{{ name }}", "numpy >=1,,2", "", "a*"])
def test_an_invalid_spec_is_named_with_its_line(spec: str) -> None:
    with pytest.raises(SolveError, match="is not a match spec") as error:
        parse_spec(spec, Sources(), {spec: (Path("conda.yaml"), 3)})
    assert error.value.facts["line"] == "conda.yaml:3"


def test_every_spec_of_the_corpus_parses_or_is_refused_clearly() -> None:
    corpus = sorted((SHARED / "environments" / "corpus").glob("*.yml"))
    assert corpus, "the corpus of real environment files is expected beside the clone"
    refused = set()
    for spec in {spec for path in corpus for spec in specs_of(path)}:
        try:
            assert parse_spec(spec, Sources(), {}).name is not None
        except SolveError as error:
            refused.add(spec)
            assert error.facts["reason"]
    assert refused == {"pandas=>=1.0.0", "-r requirements.txt"}


def specs_of(path: Path) -> list[str]:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError:  # templates
        return []
    listed = content.get("dependencies") if isinstance(content, dict) else None
    return [spec for spec in listed or [] if isinstance(spec, str)]


def test_conda_reads_versions_as_conda_does() -> None:
    written = {"x=1.2": "1.2.*", "x==1.2": "==1.2", "x 1.2": "==1.2", "x=1.2=py38_0": "==1.2"}
    assert {text: parse_spec(text, Sources(), {}).version for text in written} == written


def test_a_spec_may_name_its_channel(solve: Solve, real: str) -> None:
    assert solve(f"{real}::tzdata")["tzdata"].channel == real
    assert solve("tzdata")["tzdata"].channel == FORGE


def test_defaults_is_one_tier_of_several_channels(solve: Solve, real: str) -> None:
    found = solve("defaults::numpy", channel="defaults", defaults=(FORGE, real))
    assert found["numpy"].channel == real, "the tier's newest, though the first channel has one too"


def test_channels_by_priority() -> None:
    specs = ["conda-forge::x", "b/noarch::y", "defaults::z"]
    named = channels_of(["a", "nodefaults", f"{FORGE}/"], specs, Sources())
    assert named == ("a", f"{FORGE}/", "b", "defaults")
    assert channels_of([], ["x"], Sources()) == ("conda-forge",)


def test_a_channel_that_does_not_exist(solve: Solve, world: Any) -> None:
    with pytest.raises(SolveError, match="does not exist") as error:
        nowhere = ("https://conda.anaconda.org/nobody", f"{world.channel_url}/x")
        solve("python", channel="nobody", mirrors=(nowhere,))
    assert error.value.facts["channel"] == "nobody"


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A channel whose every answer is `status`."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://user:secret@127.0.0.1:{server.server_port}/channel"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (403, SolveError, "refused"),
        (500, Unreachable, "does not answer"),
        (404, SolveError, "does not exist"),
    ],
)
def test_a_channel_that_answers_with(
    status: int, kind: type[PrebakeError], sentence: str, solve: Solve
) -> None:
    with answering(status) as url, pytest.raises(kind, match=sentence) as error:
        solve("python", channel=url)
    assert "secret" not in str(error.value)


def test_a_channel_that_is_down_is_worth_another_try(solve: Solve) -> None:
    with answering(404) as url:
        pass
    with pytest.raises(Unreachable) as error:
        solve("python", mirrors=((FORGE, url),))
    assert error.value.retryable
    assert error.value.facts["channel"] == "conda-forge"
    assert "secret" not in str(error.value)


def test_a_broken_package_list_is_not_worth_another_try(solve: Solve, tmp_path: Path) -> None:
    for subdir in ("linux-64", "noarch"):
        (tmp_path / "channel" / subdir).mkdir(parents=True)
        (tmp_path / "channel" / subdir / "repodata.json").write_text("{ no json")
    with pytest.raises(PackageError, match="cannot be read"):
        solve("python", channel=(tmp_path / "channel").as_uri())


def test_credentials_reach_the_mirror_and_not_the_lock(solve: Solve, world: Any) -> None:
    mirror = world.channel_url.replace("://", "://user:secret@")
    packages = [solve("tzdata", mirrors=((FORGE, mirror),))["tzdata"]]
    packages.append(solve("tzdata", channel=mirror, mirrors=())["tzdata"])
    assert [package.channel for package in packages] == [FORGE, world.channel_url]
    assert "secret" not in json.dumps([package.url for package in packages])


def test_urls() -> None:
    sources = Sources(mirrors=((FORGE, "http://u:p@mirror.example/cf/"),))
    assert mirrored(f"{FORGE}/noarch/x.conda", sources) == "http://u:p@mirror.example/cf/noarch/x.conda"
    assert mirrored(f"{FORGE}-other/x", sources) == f"{FORGE}-other/x"
    assert canonical_url("http://mirror.example/cf/noarch/x.conda", sources) == f"{FORGE}/noarch/x.conda"
    assert public_url("https://u:p@h.example/t/TOKEN/c/x.whl?sig=abc#sha256=1") == "https://h.example/c/x.whl"
    told = redact("GET https://u:p@h.example/t/TOKEN/c?sig=abc&x=1 failed, see http://h.example/d")
    assert told == "GET https://***@h.example/t/***/c?sig=***&x=1 failed, see http://h.example/d"
