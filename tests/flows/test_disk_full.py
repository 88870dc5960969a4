"""No room left, in the store or in the registry: said plainly, nothing corrupt, and with room it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import prebake
from building import damaged_files
from conftest import SampleWorld
from prebake.cache.request import Patience
from prebake.cache.transport import Transport
from prebake.errors import PrebakeError, StoreError
from prebake.flows.progress import Silent
from prebake.flows.pruning import Asked, prune
from tiny import PARTS, outcomes, tiny_environment, tiny_machine
from world import services
from world.faults import Fault, proxy

HASTY = Patience(connect=2, read=5, attempts=3, backoff=0.02)


@contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of that size at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)


def test_a_full_store_stops_a_build_anywhere_and_harms_nothing(tiny: SampleWorld, tmp_path: Path) -> None:
    environment = tiny_environment(tiny.base, tmp_path, PARTS)
    expected = prebake.ensure(environment, workspace=tiny_machine(tiny, tmp_path / "alone"))
    refused = []
    for kilobytes in (100, 300, 500, 800, 1200, 1600):
        store = tmp_path / f"store-{kilobytes}"
        with disk(store, kilobytes):
            try:
                built = prebake.ensure(environment, workspace=tiny_machine(tiny, store))
                assert built.image.digest == expected.image.digest
            except PrebakeError as error:
                refused.append((kilobytes, error))
            assert damaged_files(store) == []
            grow(store)
            after = prebake.ensure(environment, workspace=tiny_machine(tiny, store))
            assert after.image.digest == expected.image.digest
            assert damaged_files(store) == []
    assert len(refused) >= 3
    blamed = [(kilobytes, error) for kilobytes, error in refused if "space" not in str(error)]
    assert blamed == []
    assert {type(error) for _, error in refused} == {StoreError}


@pytest.mark.parametrize("status", [500, 507])
def test_a_full_registry_stops_a_push_and_harms_nothing(
    tiny: SampleWorld, tmp_path: Path, status: int
) -> None:
    environment = tiny_environment(tiny.base, tmp_path, PARTS)
    with services.registry(tmp_path / "registry") as own, proxy(own.host) as front:
        place = {"PREBAKE_WORKSPACE": f"{front.host}/cache", "PREBAKE_FILL": "eager"}
        machine, other = (tiny_machine(tiny, tmp_path / name, **place) for name in "ab")
        for each in (machine, other):
            vars(each)["transport"] = Transport(lambda _: None, patience=HASTY)
        to, writes = f"{front.host}/env:v1", ("POST", "PUT", "PATCH")
        front.faults.append(
            Fault(lambda seen: len(front.seen) > 40 and seen.method in writes, status, times=-1)
        )
        with pytest.raises(PrebakeError) as raised:
            prebake.ensure(environment, to=to, workspace=machine)
        assert (raised.value.facts["registry"], raised.value.facts["status"]) == (front.host, str(status))
        front.faults.clear()
        built = prebake.ensure(environment, to=to, workspace=machine)
        assert prebake.verify(built.reference, workspace=machine).ok
        again = prebake.ensure(environment, workspace=other)
        assert (again.image.digest, outcomes(again)) == (built.image.digest, {"hit-workspace"})
        assert damaged_files(other.local.root) == []


def test_prune_frees_a_full_disk(tiny: SampleWorld, tmp_path: Path) -> None:
    environment = tiny_environment(tiny.base, tmp_path, PARTS)
    store = tmp_path / "store"
    with disk(store, 16_000):
        machine = tiny_machine(tiny, store)
        built = prebake.ensure(environment, workspace=machine)
        filler = store / "tmp" / "filler"
        with pytest.raises(OSError, match="space"), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        pruned = prune(machine, Asked(max_bytes=0, grace=0), Silent())
        assert pruned.freed_bytes > 100_000
        assert machine.local.missing(built.image.blobs)
        filler.unlink()
        assert prebake.ensure(environment, workspace=machine).image.digest == built.image.digest
