"""What a second machine and a second team pay, against the first build: seconds and bytes.

    PYTHONPATH=tests python tests/world/up.py --run python -m bench.tiers

Every machine is a store of its own; all share a workspace in the sample world's registry, then one in S3.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import prebake
from bench import report
from bench.settings import sources
from prebake.flows.built import Built
from prebake.flows.wiring import Workspace, open_workspace
from world.s3 import s3

ROOT = Path(__file__).parent.parent.parent
MEGA = 1_000_000
HEADER = ("workspace in", "machine", "s", "blobs pushed, MB", "in its store, MB", "layers")


def main() -> None:
    registry = os.environ["WORLD_REGISTRY"]
    environment = prebake.load(ROOT / "tests/world/demo.yml", image=f"{registry}/debian:12")
    rows = list(measure("registry", f"{registry}/cache-{uuid.uuid4().hex}", environment, registry))
    with bucket() as place:
        rows += measure("S3", place, environment, registry)
    report.write_csv("tiers", HEADER, rows)
    report.paste("tiers", report.table(HEADER, rows))


@contextmanager
def bucket() -> Iterator[str]:
    with s3() as server:
        os.environ |= {"AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "AKIASAMPLEWORLD00000"}
        os.environ |= {"AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        yield f"s3://{server.make_bucket()}/cache"


def measure(
    kind: str, place: str, environment: prebake.Environment, registry: str
) -> Iterator[tuple[report.Cell, ...]]:
    own = registry + "/" + uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        a, b, c = (machine(Path(folder) / name, place) for name in "abc")
        ensure = partial(prebake.ensure, environment)
        yield row(kind, "A, cold", a, ensure(to=f"{own}/team:v1", workspace=a))
        yield row(kind, "A, again", a, ensure(to=f"{own}/team:v1", workspace=a))
        yield row(kind, "A, solved anew", a, ensure(to=f"{own}/team:v1", workspace=a, policy="always"))
        yield row(kind, "B, same image", b, ensure(to=f"{own}/team:v1", workspace=b))
        yield row(kind, "B, other repository", b, ensure(to=f"{own}/other:v1", workspace=b))
        yield row(kind, "C, into its own store", c, ensure(workspace=c))


def machine(folder: Path, place: str) -> Workspace:
    own = {"PREBAKE_STORE": str(folder), "PREBAKE_WORKSPACE": place}
    return open_workspace(os.environ | sources(os.environ["WORLD_URL"]) | own)


def row(kind: str, machine: str, workspace: Workspace, built: Built) -> tuple[report.Cell, ...]:
    outcomes = sorted({layer.outcome for layer in built.image.layers})
    stored = sum(
        path.stat().st_size for path in (workspace.local.root / "blobs").rglob("*") if path.is_file()
    )
    pushed = f"{built.delivered.bytes_pushed / MEGA:.3f}"
    return kind, machine, f"{built.seconds:.3f}", pushed, f"{stored / MEGA:.1f}", ", ".join(outcomes)


if __name__ == "__main__":
    main()
