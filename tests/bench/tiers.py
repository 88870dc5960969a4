"""What a second machine and a second team pay, against the first build: seconds and bytes.

    PYTHONPATH=tests python tests/world/up.py --run python tests/bench/tiers.py

Every machine is a store of its own; all share a workspace in the sample world's registry, then one in S3.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import prebake
from prebake.flows.wiring import Workspace, open_workspace
from world.s3 import s3

ROOT = Path(__file__).parent.parent.parent
MEGA = 1_000_000


def main() -> None:
    registry = os.environ["WORLD_REGISTRY"]
    environment = prebake.load(ROOT / "tests/world/demo.yml", image=f"{registry}/debian:12")
    measure("registry", f"{registry}/cache-{uuid.uuid4().hex}", environment, registry)
    with bucket() as place:
        measure("S3", place, environment, registry)


@contextmanager
def bucket() -> Iterator[str]:
    with s3() as server:
        os.environ |= {"AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "AKIASAMPLEWORLD00000"}
        os.environ |= {"AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        yield f"s3://{server.make_bucket()}/cache"


def measure(kind: str, place: str, environment: prebake.Environment, registry: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = registry + "/" + uuid.uuid4().hex
        first, second = (machine(Path(folder) / name, place) for name in "ab")
        print(f"workspace in {kind}")
        base = show("machine A, cold", environment, f"{own}/team:v1", first, 0.0)
        show("machine A, again", environment, f"{own}/team:v1", first, base)
        show("machine B, same image", environment, f"{own}/team:v1", second, base)
        show("machine B, other repository", environment, f"{own}/other:v1", second, base)
        show("machine C, to its own store", environment, None, machine(Path(folder) / "c", place), base)


def machine(folder: Path, place: str) -> Workspace:
    url = os.environ["WORLD_URL"]
    settings = {
        "PREBAKE_STORE": str(folder),
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={url}/channel",
        "PREBAKE_PIP_INDEX": f"{url}/index/simple",
        "PREBAKE_WORKSPACE": place,
    }
    return open_workspace(os.environ | settings)


def show(
    what: str, environment: prebake.Environment, to: str | None, workspace: Workspace, base: float
) -> float:
    built = prebake.ensure(environment, to=to, workspace=workspace)
    outcomes = sorted({layer.outcome for layer in built.image.layers})
    stored = sum(
        path.stat().st_size for path in (workspace.local.root / "blobs").rglob("*") if path.is_file()
    )
    ratio = f"{base / built.seconds:6.0f}x" if base else ""
    print(
        f"  {what:28} {built.seconds:7.3f} s {ratio:>8}  {built.delivered.bytes_pushed / MEGA:7.1f} MB pushed"
        f"  {stored / MEGA:7.1f} MB in its store  {', '.join(outcomes)}"
    )
    return built.seconds


if __name__ == "__main__":
    main()
