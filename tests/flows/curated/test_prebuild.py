"""A prebuild with real packages, a real registry and real containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.builders.referrers import read_artifact
from prebake.cache.digest import Digest
from prebake.cache.oci import Manifest
from prebake.errors import EngineError, PackageError, SettingsError, SolveError, Unreachable
from prebake.flows.curated.definitions import find
from prebake.flows.curated.prebuild import prebuild
from prebake.flows.curated.results import Prebuilt
from prebake.flows.curated.shelf import shelf_of
from prebake.flows.curated.state import read_state, shelf_lease
from prebake.flows.curated.status import status
from prebake.flows.progress import Silent

from .conftest import Desk

if TYPE_CHECKING:
    from conftest import SampleWorld


@pytest.fixture(scope="module")
def first(
    new_desk: Callable[[Path], Desk], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Desk, Prebuilt]:
    """Two environments that can be had, and two that cannot, after their first prebuild."""
    desk = new_desk(tmp_path_factory.mktemp("first"))
    desk.define("alpha", "tabulate=={{latest-pypi-version}}")
    desk.define("beta", "tabulate=={{latest-pypi-version}}", note="another variable, the same layers")
    desk.define("gone", "no-such-package")
    desk.define("torn")
    file = desk.folder / "set/torn/environment.yml"
    file.write_text(file.read_text().replace("python=3.11,", "python=3.11, clobber-a, clobber-b,"))
    return desk, desk.prebuild()


def outcomes(done: Prebuilt) -> dict[str, str]:
    return {each.name: each.outcome for each in done.outcomes}


def tags(desk: Desk, name: str) -> list[str]:
    return sorted(tag for tag in desk.repository(name).tags() if not tag.startswith("sha256-"))


def test_what_can_be_had_is_published_whatever_fails(first: tuple[Desk, Prebuilt]) -> None:
    desk, done = first
    assert outcomes(done) == {
        "alpha": "published",
        "beta": "published",
        "gone": "failed",
        "torn": "failed",
    }
    unsolved, unmade = (each.error for each in done.outcomes[2:])
    assert isinstance(unsolved, SolveError) and isinstance(unmade, PackageError)
    assert done.exit_code == 3
    alpha, beta = done.outcomes[:2]
    assert tags(desk, "alpha") == [alpha.version, "latest"]
    assert {desk.repository("alpha").head(tag) for tag in tags(desk, "alpha")} == {Digest.parse(alpha.digest)}
    assert min(alpha.bytes_pushed, beta.bytes_pushed) < 100_000, "layers of the second one were mounted"


def test_layers_that_environments_share_are_built_once(first: tuple[Desk, Prebuilt]) -> None:
    desk, done = first
    alpha, beta = (desk.repository(name).manifest("latest") for name in ("alpha", "beta"))
    assert alpha and beta and alpha.digest != beta.digest
    layers = [Manifest.from_bytes(each.data, "").layers for each in (alpha, beta)]
    assert layers[0] == layers[1] and done.layers < 2 * len(layers[0])


def test_nothing_changed_means_nothing_pushed(first: tuple[Desk, Prebuilt]) -> None:
    desk, done = first
    workspace = desk.workspace
    chosen = find(["alpha", "beta"], workspace.settings.curated_set)
    again = prebuild(chosen, "always", workspace, Silent())
    assert outcomes(again) == {"alpha": "unchanged", "beta": "unchanged"}
    assert (again.bytes_pushed, again.built, workspace.transport.traffic.sent) == (0, 0, 0)
    assert [each.version for each in again.outcomes] == [each.version for each in done.outcomes[:2]]
    assert "nothing pushed" in str(again)


def test_sbom_provenance_and_lock_are_attached(first: tuple[Desk, Prebuilt]) -> None:
    desk, done = first
    found = status(find(["alpha"], desk.workspace.settings.curated_set)[0], desk.workspace)
    documents = {
        kind: read_artifact(Digest.parse(digest), desk.repository("alpha"))
        for kind, digest in found.attached.items()
    }
    bom = json.loads(documents["application/vnd.cyclonedx+json"])
    parts = {part["purl"].partition("?")[0].partition("@")[0]: part for part in bom["components"]}
    assert parts["pkg:pypi/tabulate"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["pkg:conda/python"]["licenses"] == [{"license": {"id": "Python-2.0"}}]
    assert all(part["hashes"][0]["alg"] == "SHA-256" for part in bom["components"])
    statement = json.loads(documents["application/vnd.in-toto+json"])
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == done.outcomes[0].digest
    definition = statement["predicate"]["buildDefinition"]
    told = {each["of"]: each["found"] for each in definition["externalParameters"]["templates"]}
    assert told == {"docker.io/library/debian": "12", "tabulate": "0.10.0"}
    assert b"tabulate" in documents["application/vnd.prebake.conda-lock.v1+yaml"]


def test_skopeo_reads_what_is_published(first: tuple[Desk, Prebuilt]) -> None:
    desk, done = first
    command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{desk.place}/alpha:latest"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert told["Digest"] == done.outcomes[0].digest


def test_the_registry_alone_tells_the_status(first: tuple[Desk, Prebuilt], tmp_path: Path) -> None:
    desk, done = first
    elsewhere = desk.with_settings(PREBAKE_STORE=str(tmp_path / "store"))
    found = status(find(["alpha"], elsewhere.workspace.settings.curated_set)[0], elsewhere.workspace)
    assert (found.version, found.digest) == (done.outcomes[0].version, done.outcomes[0].digest)
    assert [each["found"] for each in found.templates] == ["12", "0.10.0"]


def test_a_failing_smoke_test_keeps_the_last_good_version(desk: Desk) -> None:
    desk.define("alpha")
    (good,) = desk.prebuild().outcomes
    desk.define("alpha", note="changed", smoke="print('so far')\nraise SystemExit('no good')\n")
    desk.define("beta", note="goes on")
    failed, other = desk.prebuild().outcomes
    assert (failed.outcome, other.outcome) == ("failed", "published")
    assert isinstance(failed.error, EngineError) and "no good" in failed.error.facts["output"]
    assert tags(desk, "alpha") == [good.version, "latest"]
    assert desk.repository("alpha").head("latest") == Digest.parse(good.digest)
    state = read_state(shelf_of("alpha", desk.workspace), desk.workspace)
    assert (state.version, state.failure) == (good.version, "the smoke test failed")


def test_an_image_alone_is_nothing_to_prebuild(desk: Desk) -> None:
    desk.define("alpha")
    (desk.folder / "set/alpha/environment.yml").write_text("image: debian:12\n")
    (failed,) = desk.prebuild().outcomes
    assert failed.error and failed.error.sentence == "a curated environment declares no packages"


def test_a_second_version_of_a_day_leaves_the_first(desk: Desk) -> None:
    desk.define("alpha")
    (one,) = desk.prebuild().outcomes
    desk.define("alpha", note="changed")
    (two,) = desk.prebuild().outcomes
    assert [each.version.partition(".")[2] for each in (one, two)] == ["1", "2"]
    assert desk.repository("alpha").head(one.version) == Digest.parse(one.digest)
    assert desk.repository("alpha").head("latest") == Digest.parse(two.digest)


def test_what_is_published_is_in_the_global_tier(desk: Desk, world: SampleWorld, tmp_path: Path) -> None:
    tier = f"{world.registry}/global-{tmp_path.name.replace('_', '-')}"
    desk = desk.with_settings(PREBAKE_GLOBAL=tier)
    desk.define("alpha")
    (done,) = desk.prebuild().outcomes
    elsewhere = desk.with_settings(PREBAKE_STORE=str(tmp_path / "elsewhere"))
    again = elsewhere.prebuild(policy="locked")
    assert (again.outcomes[0].outcome, again.built) == ("unchanged", 0)
    assert again.outcomes[0].digest == done.digest


def test_without_an_engine_nothing_is_published(desk: Desk) -> None:
    desk.define("alpha")
    (failed,) = desk.with_settings(DOCKER_HOST="tcp://127.0.0.1:9").prebuild().outcomes
    assert isinstance(failed.error, Unreachable) and "Docker Engine" in failed.error.sentence
    assert list(desk.repository("alpha").tags()) == []


def test_a_place_has_to_be_named(desk: Desk) -> None:
    desk.define("alpha")
    with pytest.raises(SettingsError, match="nothing says where curated images go"):
        desk.with_settings(PREBAKE_CURATED="").prebuild()
    with pytest.raises(SettingsError, match="without a tag"):
        desk.with_settings(PREBAKE_CURATED=f"{desk.place}:v1").prebuild()


def test_an_environment_that_another_prebuild_publishes_is_left_to_it(desk: Desk) -> None:
    desk.define("alpha")
    workspace = desk.workspace
    lease = workspace.leases.acquire(shelf_lease(shelf_of("alpha", workspace)))
    assert lease
    with lease:
        (busy,) = desk.prebuild().outcomes
    assert busy.outcome == "busy" and list(desk.repository("alpha").tags()) == []
