"""Delivering to an OCI image layout, its base from a real docker-registry; skopeo reads the result."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from prebake.builders.layout import REF_NAME, write_layout
from prebake.builders.push import Image
from prebake.cache.digest import DiffId, Digest
from prebake.cache.oci import CONFIG, LAYER_GZIP, Descriptor, Layer, Manifest, to_bytes
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.cache.transport import Transport
from prebake.errors import IntegrityError, StoreError
from world import services
from world.tools import run

BASE = (b"base one " * 10_000, b"base two")
CONFIG_BYTES = to_bytes({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers"}})


@pytest.fixture(scope="module")
def transport() -> Transport:
    return Transport(lambda _: None)


@pytest.fixture(scope="module")
def base(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        reference = Reference(made.host, "base/image", "1")
        for data in BASE:
            Repository.of(transport, reference).upload(blob_of(data), lambda data=data: io.BytesIO(data))
        yield reference


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def image_of(base: Reference, *contents: bytes) -> Image:
    stored = {Digest.of(data): data for data in contents}
    layers = tuple(Layer(blob_of(data), DiffId.parse(str(Digest.of(data)))) for data in contents)
    config = Descriptor(CONFIG, Digest.of(CONFIG_BYTES), len(CONFIG_BYTES))
    theirs = tuple(blob_of(data) for data in BASE)
    manifest = Manifest(config, (*theirs, *(layer.descriptor for layer in layers)))

    def open_layer(digest: Digest) -> IO[bytes]:
        return io.BytesIO(stored[digest])

    return Image(manifest, CONFIG_BYTES, base, theirs, layers, open_layer)


def names(directory: Path) -> dict[str, str]:
    entries = json.loads((directory / "index.json").read_text())["manifests"]
    return {entry["annotations"][REF_NAME]: entry["digest"] for entry in entries}


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_layout_is_complete(transport: Transport, base: Reference, tmp_path: Path) -> None:
    image = image_of(base, b"own", b"own")
    written = write_layout(transport, image, tmp_path / "out", "v1")
    assert (written.written, written.existing) == (4, 0)
    assert written.bytes_written == sum(map(len, BASE)) + 3 + len(CONFIG_BYTES)
    assert names(tmp_path / "out") == {"v1": str(Digest.of(image.manifest.to_bytes()))}
    for path in (tmp_path / "out" / "blobs" / "sha256").iterdir():
        assert Digest.of(path.read_bytes()).hex == path.name
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"oci-layout", "index.json", "blobs"}
    raw = run("skopeo", "inspect", "--raw", f"oci:{tmp_path}/out:v1")
    assert raw == image.manifest.to_bytes()


def test_a_second_write_touches_nothing(transport: Transport, base: Reference, tmp_path: Path) -> None:
    image = image_of(base, b"own")
    write_layout(transport, image, tmp_path, "v1")
    before, requests = snapshot(tmp_path), transport.traffic.requests
    again = write_layout(transport, image, tmp_path, "v1")
    assert (again.bytes_written, again.written, again.existing) == (0, 0, 4)
    assert snapshot(tmp_path) == before
    assert transport.traffic.requests == requests


def test_other_entries_are_kept(transport: Transport, base: Reference, tmp_path: Path) -> None:
    one, two = image_of(base, b"one"), image_of(base, b"two")
    write_layout(transport, one, tmp_path, "v1")
    write_layout(transport, two, tmp_path, "v2")
    write_layout(transport, two, tmp_path, "v1")
    digest = str(Digest.of(two.manifest.to_bytes()))
    assert names(tmp_path) == {"v1": digest, "v2": digest}


def test_many_writers_lose_no_entry(transport: Transport, base: Reference, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(write_layout, transport, image_of(base, b"%d" % number), tmp_path, f"v{number}")
            for number in range(8)
        ]
        assert len({job.result().digest for job in jobs}) == 8
    assert set(names(tmp_path)) == {f"v{number}" for number in range(8)}


def test_a_short_blob_is_written_again(transport: Transport, base: Reference, tmp_path: Path) -> None:
    image = image_of(base, b"own")
    write_layout(transport, image, tmp_path, "v1")
    (tmp_path / "blobs" / "sha256" / Digest.of(BASE[0]).hex).write_bytes(b"short")
    assert write_layout(transport, image, tmp_path, "v1").bytes_written == len(BASE[0])


def test_wrong_bytes_leave_no_trace(transport: Transport, base: Reference, tmp_path: Path) -> None:
    image = replace(image_of(base, b"own"), open=lambda _: io.BytesIO(b"not"))
    with pytest.raises(IntegrityError):
        write_layout(transport, image, tmp_path, "v1")
    assert not (tmp_path / "index.json").exists()
    assert not (tmp_path / "blobs" / "sha256" / Digest.of(b"own").hex).exists()


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_what_is_no_layout(transport: Transport, base: Reference, tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(IntegrityError):
        write_layout(transport, image_of(base), tmp_path, "v1")
    assert (tmp_path / "index.json").read_text() == content


def test_a_file_in_the_way(transport: Transport, base: Reference, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError):
        write_layout(transport, image_of(base), tmp_path / "out", "v1")
