"""A wheel that holds a password in use is refused by a whole build, and nothing is published."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prebake.cache.digest import CHUNK, Digest
from private_desk import ALICE, BOB, ENVIRONMENT, WATCH, Desk, refused
from world import services
from world.private import private

PLACES = {"small": 0, "across a border": CHUNK - 4, "spliced": 300 << 10}


def leaky_index(root: Path, world: Any, at: int) -> None:
    """The sample channel beside an index whose only wheel holds the index's password at byte `at`."""
    root.mkdir()
    for name in ("channel", "base"):
        (root / name).symlink_to(world.root / name)
    wheel = root / "index/files/tabulate-0.9.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    info = "tabulate-0.9.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tabulate.py", "#" * at + ALICE.password + "\n" + "#" * at)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tabulate\nVersion: 0.9.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"tabulate.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    page = root / "index/simple/tabulate/index.html"
    page.parent.mkdir(parents=True)
    page.write_text(
        f'<a href="../../files/{wheel.name}#sha256={Digest.of(wheel.read_bytes()).hex}">{wheel.name}</a>'
    )


@pytest.mark.parametrize("at", PLACES.values(), ids=PLACES.keys())
def test_a_wheel_with_the_password_is_refused(world: Any, tmp_path: Path, at: int) -> None:
    folder, credentials = tmp_path / "desk", (BOB.name, BOB.password)
    for name in ("home", "watch"):
        (folder / name).mkdir(parents=True)
    (folder / "watch/sitecustomize.py").write_text(WATCH)
    leaky_index(tmp_path / "root", world, at)
    with (
        private(tmp_path / "root", ALICE) as url,
        services.registry(tmp_path / "registry", credentials) as registry,
    ):
        services.push_base(world.root, registry.host, credentials)
        environment = ENVIRONMENT.replace("        - docopt\n", "")
        desk = replace(Desk(folder, url, registry).with_places(ALICE.at(url)), environment=environment)
        desk.write_docker_config()
        told = refused(desk)
    assert "a credential would be published" in told
    assert "site-packages/tabulate.py" in told
    assert "user `alice`" in told
