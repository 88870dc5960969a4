"""The layers of an environment, unpacked in order, equal one whole installation of all its packages."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
import zstandard

from prebake.builders.conda_meta import normal_meta
from prebake.builders.engine import assemble_image, obtain_layers
from prebake.builders.local import install_whole
from prebake.builders.lock import Lock
from prebake.builders.make import Workshop
from prebake.builders.plan import plan, prefix_of
from prebake.builders.recipe import Recipe
from prebake.builders.resolve import resolve
from prebake.builders.results import ImageResult
from prebake.builders.world import World
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import LAYER_GZIP, Layer
from prebake.config.load import load
from prebake.flows.wiring import Request, open_workspace
from world import fixtures

if TYPE_CHECKING:
    from conftest import SampleWorld

DEMO = Path(fixtures.__file__).with_name("demo.yml")
AWKWARD = """\
channels: [conda-forge]
dependencies:
  - python=3.11
  - prefix-probe
  - activate-demo
  - postlink-demo
  - legacy-bz2
  - clobber-a
  - clobber-c
  - small-demo=2
  - requests
  - pip:
      - uvicorn
      - tabulate
      - pyjokes
"""

Tree = dict[str, tuple[int, str | bytes]]


def unpacked(image: ImageResult, store: DirectoryStore, root: Path) -> Tree:
    for result in image.layers:
        with store.open(result.layer.digest) as blob, opened(blob, result.layer) as archive:
            archive.extractall(root, filter="fully_trusted")
    return tree(root)


def opened(blob: IO[bytes], layer: Layer) -> tarfile.TarFile:
    if layer.descriptor.media_type == LAYER_GZIP:
        return tarfile.open(fileobj=blob, mode="r:gz")
    return tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(blob), mode="r|")


def tree(root: Path) -> Tree:
    """Path -> permission bits and content, or target of a link; folders only as parts of paths."""
    found: Tree = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = (0o777, str(path.readlink()))
        elif path.is_file():
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
            found[name] = (0o755 if executable else 0o644, path.read_bytes())
    return found


def whole(lock: Lock, recipe: Recipe, world: World, stage: Path) -> Tree:
    """One transaction of rattler, one run of installer; its conda-meta without facts of this machine."""
    root = install_whole(lock, stage, prefix_of(lock, recipe), world)
    metas = {package: root / "conda-meta" / f"{stem(package.file_name)}.json" for package in lock.conda}
    for package, path in metas.items():
        meta: dict[str, Any] = json.loads(path.read_bytes())
        index = json.loads(Path(meta["extracted_package_dir"], "info", "index.json").read_bytes())
        path.unlink()
        path.write_bytes(normal_meta(package, meta, index))
        path.chmod(0o644)
    for kept_by_rattler in ("conda-meta/history", "CACHEDIR.TAG"):
        (root / kept_by_rattler).unlink(missing_ok=True)
    return tree(stage)


def stem(file_name: str) -> str:
    return file_name.removesuffix(".conda").removesuffix(".tar.bz2")


@pytest.mark.parametrize(
    ("name", "compression"), [("demo", "gzip"), ("awkward", "gzip"), ("awkward", "zstd")]
)
def test_the_layers_are_one_installation(
    world: SampleWorld, name: str, compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "awkward.yml"
    path.write_text(AWKWARD)
    environ = world.environ(tmp_path / "store") | {"PREBAKE_COMPRESSION": compression}
    workspace = open_workspace(environ, tmp_path)
    asked, recipe = workspace.world(Request(), print), workspace.recipe
    resolved = resolve(load(DEMO if name == "demo" else path, image=world.base), asked, recipe.prefix)
    assert resolved.lock
    make = Workshop(asked, recipe, resolved.lock).make
    planned = plan(resolved, recipe)
    layers = obtain_layers(planned, asked.store, make, 2, lambda result: None)
    image = assemble_image(planned, asked.store, layers)
    assert len(image.layers) > 5
    expected = whole(resolved.lock, recipe, asked, tmp_path / "whole")
    found = unpacked(image, asked.store.local, tmp_path / "layers")
    assert sorted(found) == sorted(expected)
    assert [path for path in found if found[path] != expected[path]] == []
