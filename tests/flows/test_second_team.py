"""The same environment in another repository of the registry: mounted, not sent."""

from __future__ import annotations

from pathlib import Path

import prebake
from conftest import SampleWorld
from prebake.cache.origins import Origins
from prebake.flows.wiring import open_workspace

DEFINITION = """\
image: {base}
conda_file:
  channels: [conda-forge]
  dependencies: [python=3.11, small-demo]
"""


def test_no_blob_is_sent_twice_to_one_registry(world: SampleWorld, tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text(DEFINITION.format(base=world.base))
    environment = prebake.load(file)
    workspace = open_workspace(world.environ(tmp_path / "store"), tmp_path)
    first = prebake.ensure(environment, to=f"{world.registry}/team-a/env:v1", workspace=workspace)
    second = prebake.ensure(environment, to=f"{world.registry}/team-b/env:v1", workspace=workspace)
    assert first.delivered.bytes_pushed > 1_000_000
    assert second.delivered.bytes_pushed == 0
    assert second.image.digest == first.image.digest
    assert prebake.verify(f"{world.registry}/team-b/env:v1", workspace=workspace).ok


def test_a_wrong_hint_costs_nothing_but_a_request(world: SampleWorld, tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text(DEFINITION.format(base=world.base))
    environment = prebake.load(file)
    workspace = open_workspace(world.environ(tmp_path / "store"), tmp_path)
    built = prebake.ensure(environment, workspace=workspace)
    digests = [layer.layer.digest for layer in built.image.layers]
    Origins(workspace.local, world.registry).remember(digests, "nobody/there")
    to = f"{world.registry}/team-c/env:v1"
    pushed = prebake.ensure(environment, to=to, workspace=workspace)
    assert pushed.delivered.bytes_pushed > 1_000_000
    assert prebake.verify(to, workspace=workspace).ok
