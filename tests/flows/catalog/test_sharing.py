"""What travels between machines and catalogs: definitions, locks and build contexts."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from prebake.config.catalog import ANONYMOUS
from prebake.errors import ConflictError, PrebakeError, SettingsError, Unreachable
from prebake.flows.catalog_files import export, import_file
from prebake.flows.progress import Silent
from prebake.flows.wiring import Workspace
from tiny import Heard, build, tiny_environment, tiny_machine

QUIET = Silent()


@pytest.fixture
def here(tiny: SampleWorld, tmp_path: Path) -> Workspace:
    return tiny_machine(tiny, tmp_path / "here/store", LOGNAME="ada")


@pytest.fixture
def there(tiny: SampleWorld, tmp_path: Path) -> Workspace:
    return tiny_machine(tiny, tmp_path / "there/store", LOGNAME="grace")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with what a careless copy would lose."""
    folder = tmp_path / "context"
    (folder / "src").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM debian:12\nCOPY . /\n")
    (folder / "src/run.sh").write_text("echo hello\n")
    (folder / "src/run.sh").chmod(0o755)
    (folder / "link").symlink_to("src/run.sh")
    (folder / ".dockerignore").write_text("*.log\n")
    (folder / "big.log").write_text("not sent")
    return folder


def dockerfile(context: Path) -> prebake.Environment:
    return replace(prebake.from_dockerfile(context / "Dockerfile"), name="vision")


def vision(tiny: SampleWorld, folder: Path, *parts: str) -> prebake.Environment:
    return replace(tiny_environment(tiny.base, folder, parts), name="vision")


def check_unpacked(environment: prebake.Environment) -> None:
    build = environment.definition.build
    assert build
    names = sorted(str(path.relative_to(build.path)) for path in build.path.rglob("*"))
    assert names == [".dockerignore", "Dockerfile", "link", "src", "src/run.sh"]
    assert (build.path / "src/run.sh").stat().st_mode & 0o777 == 0o755
    assert (build.path / "link").readlink() == Path("src/run.sh")


def test_a_context_counts_by_content(here: Workspace, context: Path, tmp_path: Path) -> None:
    assert prebake.register(dockerfile(context), workspace=here).title == "vision:1"
    (context / "big.log").write_text("still not sent")
    moved = context.rename(tmp_path / "elsewhere")
    assert prebake.register(dockerfile(moved), workspace=here).title == "vision:1"
    (moved / "src/run.sh").write_text("echo bye\n")
    assert prebake.register(dockerfile(moved), workspace=here).title == "vision:2"
    conflicting = replace(dockerfile(moved), version="1")
    with pytest.raises(ConflictError) as caught:
        prebake.register(conflicting, workspace=here)
    assert caught.value.facts["build.path"].startswith("sha256:")


def test_a_registered_context_outlives_its_folder(here: Workspace, context: Path) -> None:
    prebake.register(dockerfile(context), workspace=here)
    (context / "src/run.sh").write_text("gone")
    check_unpacked(prebake.get("vision:1", workspace=here))
    check_unpacked(prebake.get("vision:1", workspace=here))


def test_another_machine_unpacks_it_from_the_workspace(
    tiny: SampleWorld, tmp_path: Path, context: Path, here: Workspace
) -> None:
    catalog = f"sqlite:///{tmp_path}/catalog.db"
    shared = {"PREBAKE_CATALOG": catalog, "PREBAKE_WORKSPACE": f"{tiny.registry}/contexts"}
    prebake.register(dockerfile(context), workspace=tiny_machine(tiny, tmp_path / "one/store", **shared))
    other = tiny_machine(tiny, tmp_path / "two/store", **shared)
    check_unpacked(prebake.get("vision", workspace=other))
    alone = tiny_machine(tiny, tmp_path / "three/store", PREBAKE_CATALOG=catalog)
    with pytest.raises(SettingsError, match="its build context is not here"):
        prebake.get("vision", workspace=alone)


def test_an_export_carries_all_that_an_import_needs(
    tiny: SampleWorld, here: Workspace, there: Workspace, context: Path, tmp_path: Path
) -> None:
    environment = replace(vision(tiny, tmp_path, "part-a"), description="for eyes", tags=(("team", "a"),))
    prebake.register(environment, workspace=here)
    build(prebake.get("vision", workspace=here), here)
    prebake.register(replace(dockerfile(context), name="image"), workspace=here)
    anonymous = prebake.register(vision(tiny, tmp_path, "part-b"), anonymous=True, workspace=here)
    export(["vision", "image@latest", anonymous.title], tmp_path / "out.zip", here, QUIET)
    first = import_file(tmp_path / "out.zip", there, QUIET)
    assert {version.title for version in first} == {"vision:1", "image:1", anonymous.title}
    assert import_file(tmp_path / "out.zip", there, QUIET) == first
    taken = there.catalog.get("vision:1")
    assert taken.environment == here.catalog.get("vision:1").environment
    assert taken.asked_by == "grace"
    assert there.catalog.records(taken) == here.catalog.records(here.catalog.get("vision:1"))
    check_unpacked(prebake.get("image", workspace=there))
    assert there.catalog.names() == ["image", "vision"]
    assert there.catalog.get(anonymous.title).environment.definition == anonymous.environment.definition


def test_a_conflict_lets_nothing_in(
    tiny: SampleWorld, here: Workspace, there: Workspace, tmp_path: Path
) -> None:
    prebake.register(replace(vision(tiny, tmp_path, "part-a"), name="a"), workspace=here)
    prebake.register(replace(vision(tiny, tmp_path, "part-a"), name="z"), workspace=here)
    export([], tmp_path / "out.zip", here, QUIET)
    prebake.register(replace(vision(tiny, tmp_path, "part-b"), name="z"), workspace=there)
    with pytest.raises(ConflictError, match="`z:1` is registered with another definition"):
        import_file(tmp_path / "out.zip", there, QUIET)
    assert there.catalog.names() == ["z"]


@pytest.mark.parametrize("listed", [None, "{}", '{"format": 9, "environments": []}', "[", '{"format": 1}'])
def test_what_is_no_export_is_refused(listed: str | None, there: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as pack:
        if listed is not None:
            pack.writestr("environments.json", listed)
    with pytest.raises(SettingsError, match="no export of a catalog"):
        import_file(tmp_path / "bad.zip", there, QUIET)


def test_a_build_is_remembered_with_who_asked(tiny: SampleWorld, here: Workspace, tmp_path: Path) -> None:
    version = prebake.register(vision(tiny, tmp_path, "part-a"), anonymous=True, workspace=here)
    assert version.name == ANONYMOUS
    to = f"{tiny.registry}/remembered:v1"
    built, _ = build(prebake.get(version.title, workspace=here), here, to)
    (record,) = here.catalog.records(version)
    assert (record.image, record.reference) == (str(built.image.digest), built.reference)
    assert (record.asked_by, record.policy) == ("ada", "locked")
    assert record.base == f"{tiny.base}@{built.image.base.digest}"
    assert '"name":"part-a"' in record.lock


def test_a_catalog_that_fails_fails_no_build(tiny: SampleWorld, here: Workspace, tmp_path: Path) -> None:
    prebake.register(vision(tiny, tmp_path, "part-a"), workspace=here)
    environment = prebake.get("vision:1", workspace=here)
    here.catalog.delete("vision:1", asked_by="ada")
    _, heard = build(environment, here)
    sentence = "error: `vision:1` was deleted"
    (told,) = heard.warnings()
    assert told.startswith(f"warning: vision:1 does not remember this build: {sentence}")


def test_no_catalog_no_reference(tiny: SampleWorld, tmp_path: Path) -> None:
    silent = "postgresql+psycopg://prebake@127.0.0.1:1/none"
    machine = tiny_machine(tiny, tmp_path / "store", PREBAKE_CATALOG=silent)
    with pytest.raises(Unreachable):
        prebake.get("vision:1", workspace=machine)
    build(vision(tiny, tmp_path, "part-a"), machine, heard=Heard())


def test_errors_are_prebakes_own() -> None:
    assert issubclass(ConflictError, PrebakeError)
