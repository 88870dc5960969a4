"""What templates stand for, from a real registry and an index of wheels that hold metadata alone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.builders.latest import latest_release, latest_tag
from prebake.builders.sources import Sources
from prebake.cache.oci import MANIFEST
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.cache.transport import Transport
from prebake.errors import DefinitionError, SolveError, Unreachable
from world import services
from world.digests import sha256_file

if TYPE_CHECKING:
    from conftest import SampleWorld


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`demo` in versions that text would order wrongly, one of them yanked, one for a later python."""
    folder = tmp_path_factory.mktemp("index")
    page = folder / "simple" / "demo"
    page.mkdir(parents=True)
    links = [
        _link(page, "1.9"),
        _link(page, "1.10"),
        _link(page, "1.11", python=">=3.13"),
        _link(page, "1.12", attributes='data-yanked="broken"'),
        _link(page, "2.0rc1"),
    ]
    (page / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links))
    with services.static(folder) as url:
        yield f"{url}/simple"


def _link(folder: Path, version: str, python: str = ">=3.8", attributes: str = "") -> str:
    file, info = folder / f"demo-{version}-py3-none-any.whl", f"demo-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\nRequires-Python: {python}\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    told = f'data-requires-python="{python.replace(">", "&gt;")}" {attributes}'
    return f'<a href="{file.name}#sha256={sha256_file(file)}" {told}>{file.name}</a>'


@pytest.mark.parametrize(
    ("python", "pre", "expected"),
    [("3.11", False, "1.10"), ("3.13", False, "1.11"), ("3.11", True, "2.0rc1")],
)
def test_the_newest_release_that_can_be_had(
    index: str, tmp_path: Path, python: str, pre: bool, expected: str
) -> None:
    assert latest_release("demo", Sources(pip_index=index), tmp_path, python=python, pre=pre) == expected


def test_a_package_that_is_not_there(index: str, tmp_path: Path) -> None:
    with pytest.raises(SolveError, match="no release of `demmo` is on the index") as caught:
        latest_release("demmo", Sources(pip_index=index), tmp_path, python="3.11", pre=False)
    assert caught.value.facts["index"] == index


def test_an_index_that_does_not_answer(tmp_path: Path) -> None:
    sources = Sources(pip_index="http://127.0.0.1:9/simple", retries=0)
    with pytest.raises(Unreachable, match="the package index does not answer"):
        latest_release("demo", sources, tmp_path, python="3.11", pre=False)


@pytest.fixture(scope="module")
def repository(world: SampleWorld) -> Repository:
    """Tags that text would order wrongly; `latest` is 1.9."""
    transport = Transport(lambda registry: None)
    source = Repository.of(transport, Reference.parse(world.base))
    made = Repository.of(transport, Reference.parse(f"{world.registry}/templates/tags"))
    first, second = (source.manifest(tag) for tag in ("12", "12-patched"))
    assert first and second
    for blob in ("12", "12-patched"):
        _mount_all(source, made, blob)
    for tag in ("1.10", "1.2", "nightly.20260901.2", "nightly.20260901.10"):
        made.put_manifest(tag, first.data, MANIFEST)
    for tag in ("1.9", "latest"):
        made.put_manifest(tag, second.data, MANIFEST)
    return made


def _mount_all(source: Repository, target: Repository, tag: str) -> None:
    from prebake.cache.oci import Manifest

    document = source.manifest(tag)
    assert document
    for blob in Manifest.from_bytes(document.data, tag).blobs():
        target.mount(blob.digest, source.name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\d+\.\d+", "1.10"),
        (r"nightly\.\d{8}\.\d+", "nightly.20260901.10"),
        ("", "1.9"),
    ],
)
def test_the_newest_tag(repository: Repository, pattern: str, expected: str) -> None:
    assert latest_tag(repository, pattern) == expected


def test_no_tag_fits(repository: Repository) -> None:
    with pytest.raises(DefinitionError, match="no tag fits the template") as caught:
        latest_tag(repository, "v2.*")
    assert "1.10" in caught.value.facts["tags"]


def test_a_pattern_that_is_none(repository: Repository) -> None:
    with pytest.raises(DefinitionError, match="the pattern of tags makes no sense"):
        latest_tag(repository, "(")
