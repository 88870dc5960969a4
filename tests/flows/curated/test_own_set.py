"""The definitions that come with prebake, solved against the sample channel without an edit.

Torch is 200 MB and in the sample index only if someone put it on the machine; where it is not, the
environments that need it are the ones that cannot be solved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import ROOT
from prebake.errors import PrebakeError
from prebake.flows.curated.definitions import find
from prebake.flows.curated.graph import unique_layers
from prebake.flows.curated.prepare import Prepared, asking, prepare
from prebake.flows.destination import Destination
from prebake.flows.progress import Silent
from prebake.flows.wiring import Request, open_workspace

if TYPE_CHECKING:
    from conftest import SampleWorld

NEED_TORCH = {"nlp", "pytorch-cpu", "tabular-dl", "vision"}
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def test_every_environment_is_solved(world: SampleWorld, tmp_path: Path) -> None:
    environ = world.environ(tmp_path / "store")
    environ["PREBAKE_MIRRORS"] += f" {TORCH_INDEX}={world.index_url}"
    environ["PREBAKE_IMAGE_MIRRORS"] = f"docker.io/library={world.registry}"
    workspace = open_workspace(environ, tmp_path)
    known = workspace.world(Request(policy="locked"), Silent().step)
    ask, solved, failed = asking(known), [], set()
    for curated in find([], None):
        to = Destination("registry", f"{world.registry}/curated/{curated.name}:latest")
        try:
            solved.append(prepare(curated, to, known, workspace, ask))
        except PrebakeError as error:
            assert "torch" in str(error)
            failed.add(curated.name)
    torch = json.loads((ROOT / ".world" / "world.json").read_text())["torch"]
    assert failed == (set() if torch else NEED_TORCH)
    check_shared(solved)


def check_shared(solved: list[Prepared]) -> None:
    """Most environments share python, numpy and the rest, as one layer each."""
    assert len(unique_layers(solved)) < sum(len(each.plan.layers) for each in solved) / 1.5
    assert all(answer.found for each in solved for answer in each.answers)
    assert all(each.lock.python() for each in solved)
