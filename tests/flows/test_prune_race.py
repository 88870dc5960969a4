"""Builds go on while the store is pruned again and again: what a build returns is there, and stays right."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import prebake
from building import damaged_files
from conftest import SampleWorld
from prebake.cache.inventory import incomplete, list_blobs, list_traces
from prebake.flows.progress import Silent
from prebake.flows.pruning import Asked, prune
from tiny import PARTS, tiny_file, tiny_machine

SECONDS, GRACE, MAX_BYTES = 60, 4.0, 50_000
ENVIRONMENTS = [PARTS[first : first + 4] for first in range(12)]
_BUILDER = """
import json, sys, time
from pathlib import Path
import prebake
from prebake.flows.wiring import open_workspace

settings, files, base, to, seconds = json.loads(sys.argv[1])
end, digests, built = time.monotonic() + seconds, {}, 0
while time.monotonic() < end:
    for number, file in enumerate(files):
        time.sleep(0.6)  # a pace at which one's turn comes after the grace
        workspace = open_workspace(settings, Path(file).parent)
        image = prebake.ensure(
            prebake.load(file, image=base), to=f"{to}:v{number}" if to else None, workspace=workspace
        )
        digests.setdefault(file, set()).add(str(image.image.digest))
        built += sum(layer.outcome == "built" for layer in image.image.layers)
        if to:
            assert prebake.verify(image.reference, workspace=workspace).ok
        else:
            assert not workspace.local.missing(image.image.blobs), "a blob of the image is gone"
print(json.dumps([built, {file: sorted(found) for file, found in digests.items()}]))
"""


def test_builds_and_prunes_at_once(tiny: SampleWorld, tmp_path: Path) -> None:
    files = [str(tiny_file(tmp_path / "files", parts)) for parts in ENVIRONMENTS]
    machine = tiny_machine(tiny, tmp_path / "store")
    settings = {name: value for name, value in machine.environ.items() if name.startswith("PREBAKE_")}
    places = ("", f"{tiny.registry}/{tmp_path.name}/env")
    arguments = [json.dumps([settings, files, tiny.base, to, SECONDS]) for to in places]
    builders = [
        subprocess.Popen([sys.executable, "-c", _BUILDER, each], stdout=subprocess.PIPE, text=True)
        for each in arguments
    ]
    pruned = 0
    try:
        while any(builder.poll() is None for builder in builders):
            done = prune(machine, Asked(max_bytes=MAX_BYTES, grace=GRACE), Silent())
            pruned += len(done.traces)
            time.sleep(0.05)  # the machine is not for pruning alone
        outputs = [builder.communicate()[0] for builder in builders]
    finally:
        for builder in builders:
            builder.kill()
            builder.wait()
    assert [builder.returncode for builder in builders] == [0, 0]
    results = [json.loads(output) for output in outputs]
    assert pruned > 10
    assert sum(built for built, _ in results) > 10
    traces, blobs = list_traces(machine.local), list_blobs(machine.local)
    assert [trace.problem for trace in incomplete(traces, blobs) if trace.problem] == []
    assert damaged_files(machine.local.root) == []
    for file in files:
        environment = prebake.load(file, image=tiny.base)
        alone = prebake.ensure(environment, workspace=tiny_machine(tiny, tmp_path / "alone"))
        assert [digests[file] for _, digests in results] == [[str(alone.image.digest)]] * 2
        assert prebake.ensure(environment, workspace=machine).image.digest == alone.image.digest
