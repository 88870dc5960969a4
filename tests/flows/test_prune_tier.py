"""Prune of a remote tier: what goes is made again, what is pinned or young stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prebake
from conftest import SampleWorld
from prebake.cache.pins import pin
from prebake.errors import SettingsError
from prebake.flows.explain import explain
from prebake.flows.progress import Silent
from prebake.flows.pruning import Asked, preview_prune, prune
from prebake.flows.wiring import Request, Workspace
from tiny import PARTS, outcomes, tiny_environment, tiny_machine
from world import services
from world.s3 import s3

ALL = Asked(max_age=0, grace=0, tier="workspace")


@pytest.fixture(params=["registry", "s3"])
def place(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "registry":
        with services.registry(tmp_path / "registry") as own:
            yield f"{own.host}/cache"
        return
    with s3() as server:
        server.sign_in(monkeypatch)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield f"s3://{server.make_bucket()}/cache"


def machine(tiny: SampleWorld, folder: Path, name: str, place: str) -> Workspace:
    return tiny_machine(tiny, folder / name / "store", PREBAKE_WORKSPACE=place)


def test_what_goes_is_made_again_and_pins_stay(tiny: SampleWorld, tmp_path: Path, place: str) -> None:
    kept, gone = (tiny_environment(tiny.base, tmp_path, parts) for parts in (PARTS[:2], PARTS[2:4]))
    own = machine(tiny, tmp_path, "a", place)
    built = {name: prebake.ensure(each, workspace=own) for name, each in (("kept", kept), ("gone", gone))}
    pin(own.local, "release", [built["kept"].image.digest])
    asked = preview_prune(own, ALL, Silent())
    assert outcomes(prebake.ensure(gone, workspace=machine(tiny, tmp_path, "b", place))) == {"hit-workspace"}
    done = prune(own, ALL, Silent())
    assert {each.trace.key for each in done.traces} == {each.trace.key for each in asked.traces}
    assert {blob.digest for blob in done.blobs} == {blob.digest for blob in asked.blobs}
    assert done.freed_bytes > 0
    other = machine(tiny, tmp_path, "c", place)
    assert outcomes(prebake.ensure(kept, workspace=other)) == {"hit-workspace"}
    again = prebake.ensure(gone, workspace=other)
    assert "built" in outcomes(again)
    assert again.image.digest == built["gone"].image.digest
    assert outcomes(prebake.ensure(gone, workspace=machine(tiny, tmp_path, "d", place))) == {"hit-workspace"}


def test_what_is_young_stays(tiny: SampleWorld, tmp_path: Path, place: str) -> None:
    environment, own = tiny_environment(tiny.base, tmp_path, PARTS[:2]), machine(tiny, tmp_path, "a", place)
    prebake.ensure(environment, workspace=own)
    done = prune(own, Asked(max_age=0, max_bytes=0, tier="workspace"), Silent())
    assert (done.traces, done.blobs) == ((), ())
    assert done.excess_bytes > 0


def test_explain_tells_of_it(tiny: SampleWorld, tmp_path: Path, place: str) -> None:
    environment, own = tiny_environment(tiny.base, tmp_path, PARTS[:1]), machine(tiny, tmp_path, "a", place)
    prebake.ensure(environment, workspace=own)
    for tier in ("workspace", "local"):
        prune(own, Asked(max_age=0, grace=0, tier=tier), Silent())
    told = explain(environment, Request(), own, Silent())["layers"].values()
    assert all("age limit" in layer["evicted"]["why"] for layer in told)


def test_a_tier_that_is_not_there(tiny: SampleWorld, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no global tier") as raised:
        prune(tiny_machine(tiny, tmp_path / "store"), Asked(tier="global"), Silent())
    assert "PREBAKE_GLOBAL" in raised.value.hint
