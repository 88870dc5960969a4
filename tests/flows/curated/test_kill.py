"""A prebuild that is killed before `latest` moved: the next one takes up what was pushed."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from building import PREBAKE
from prebake.cache.digest import Digest
from world.faults import Fault, Proxy, proxy

from .conftest import Desk

if TYPE_CHECKING:
    from conftest import SampleWorld


def killed_before_latest(desk: Desk, front: Proxy) -> None:
    """Run the command until it asks to move `latest`, which the registry does not hear of in time."""
    held = Fault(lambda seen: seen.method == "PUT" and seen.path.endswith("/manifests/latest"), delay=120)
    front.faults.append(held)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREBAKE_")}
    process = subprocess.Popen(
        [PREBAKE, "curated", "build", "alpha"], env=inherited | desk.environ, cwd=desk.folder
    )
    deadline = time.monotonic() + 120
    while not any(held.matches(seen) for seen in front.seen):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()


def test_killed_between_push_and_latest(desk: Desk, world: SampleWorld, tmp_path: Path) -> None:
    """Another machine goes on: here, the lease of the one that died would have to expire first."""
    with proxy(world.registry) as front:
        place = desk.place.replace(world.registry, front.host)
        desk = replace(desk, place=place).with_settings(PREBAKE_CURATED=place)
        desk.define("alpha")
        killed_before_latest(desk, front)
        (version,) = (tag for tag in desk.repository("alpha").tags() if not tag.startswith("sha256-"))
        pushed = desk.repository("alpha").head(version)
        elsewhere = desk.with_settings(PREBAKE_STORE=str(tmp_path / "elsewhere"))
        (outcome,) = elsewhere.prebuild().outcomes
        assert (outcome.outcome, outcome.version) == ("published", version), "and no second version"
        assert desk.repository("alpha").head("latest") == pushed == Digest.parse(outcome.digest)
        assert outcome.bytes_pushed == 0
