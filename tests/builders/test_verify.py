"""Every claim of an image is checked, wherever it is."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from prebake.builders.layout import write_layout
from prebake.builders.push import Image, push
from prebake.builders.tar_check import broken_promises
from prebake.builders.verify import Report, verify_image, verify_layout, verify_registry
from prebake.cache.digest import Digest
from prebake.cache.oci import CONFIG, Descriptor, to_bytes
from prebake.cache.reference import Reference
from prebake.cache.request import Request
from prebake.errors import RegistryError, SettingsError


@pytest.fixture(scope="module")
def image(bench: Any) -> Image:
    made: Image = bench.image("python=3.11", "prefix-probe", pip=("tabulate",))
    return made


@pytest.fixture
def layout(image: Image, bench: Any, tmp_path: Path) -> Path:
    write_layout(bench.transport, image, tmp_path / "out", "v1")
    return tmp_path / "out"


def _path(layout: Path, digest: Digest) -> Path:
    return layout / "blobs" / "sha256" / digest.hex


def _reasons(report: Report) -> list[str]:
    return [*report.reasons, *(reason for blob in report.blobs for reason in blob.reasons)]


def test_a_good_image_is_good_everywhere(image: Image, layout: Path, bench: Any, world: Any) -> None:
    reference = Reference.parse(f"{world.registry}/verify/good:v1")
    push(bench.transport, image, reference)
    reports = [
        verify_image(bench.transport, image),
        verify_layout(layout, "v1"),
        verify_registry(bench.transport, reference),
    ]
    assert [_reasons(report) for report in reports] == [[], [], []]
    assert all(report.ok for report in reports)
    assert reports[0].blobs == reports[1].blobs == reports[2].blobs
    kinds = [blob.kind for blob in reports[0].blobs]
    assert kinds == ["manifest", "config", "base layer"] + ["layer"] * len(image.layers)


def test_progress_hears_of_every_byte(image: Image, layout: Path) -> None:
    seen: list[int] = []
    report = verify_layout(layout, "v1", seen.append)
    assert sum(seen) == sum(blob.size for blob in report.blobs)


def test_zstd_layers(bench: Any) -> None:
    packed = bench.image("generic-demo", "six", compression="zstd")
    report = verify_image(bench.transport, packed)
    assert report.ok, str(report)
    assert {layer.descriptor.media_type[-4:] for layer in packed.layers} == {"zstd"}


def test_a_base_image_as_it_is(bench: Any, world: Any) -> None:
    report = verify_registry(bench.transport, Reference.parse(world.base))
    assert report.ok
    assert [blob.kind for blob in report.blobs] == ["manifest", "config", "base layer"]


@pytest.mark.parametrize("where", [0, -1])
def test_flipped_bytes_are_found(image: Image, layout: Path, where: int) -> None:
    victim = image.manifest.layers[where].digest
    data = bytearray(_path(layout, victim).read_bytes())
    data[len(data) // 2] ^= 0xFF
    _path(layout, victim).write_bytes(data)
    report = verify_layout(layout, "v1")
    (bad,) = [blob for blob in report.blobs if not blob.ok]
    assert bad.digest == victim
    assert any("its digest is" in reason for reason in bad.reasons)
    assert f"BAD  {victim}" in str(report)


def test_cut_and_missing_blobs_are_all_listed(image: Image, layout: Path) -> None:
    cut, gone = (layer.digest for layer in image.manifest.layers[1:3])
    data = _path(layout, cut).read_bytes()
    _path(layout, cut).write_bytes(data[:-20])
    _path(layout, gone).unlink()
    report = verify_layout(layout, "v1")
    bad = {blob.digest: blob.reasons for blob in report.blobs if not blob.ok}
    assert bad.keys() == {cut, gone}
    assert bad[gone] == ("a blob is missing",)
    assert f"{len(data) - 20} bytes instead of {len(data)}" in bad[cut]
    assert any("cannot be unpacked" in reason for reason in bad[cut])
    assert not report.ok
    assert json.loads(json.dumps(report.to_json()))["ok"] is False


def test_a_config_that_is_gone_or_nonsense(image: Image, layout: Path) -> None:
    path = _path(layout, image.manifest.config.digest)
    path.write_bytes(b"[]")
    assert "the config cannot be read" in "".join(verify_layout(layout, "v1").reasons)
    path.unlink()
    report = verify_layout(layout, "v1")
    assert report.blobs[1].reasons == ("a blob is missing",)
    assert all(blob.ok for blob in report.blobs[2:])


def test_a_manifest_that_is_gone_or_nonsense(image: Image, layout: Path) -> None:
    path = _path(layout, Digest.of(image.manifest.to_bytes()))
    path.write_bytes(b"{}")
    (first,) = verify_layout(layout, "v1").blobs
    assert "its digest is" in first.reasons[0]
    path.unlink()
    (first,) = verify_layout(layout, "v1").blobs
    assert first.reasons == ("a blob is missing",)


def test_a_blob_lost_by_the_registry(image: Image, bench: Any, world: Any) -> None:
    reference = Reference.parse(f"{world.registry}/verify/lossy:v1")
    push(bench.transport, image, reference)
    lost = image.layers[0].digest
    target = f"/v2/{reference.repository}/blobs/{lost}"
    bench.transport.send(Request("DELETE", reference.registry, reference.repository, target), 202)
    report = verify_registry(bench.transport, reference)
    bad = {blob.digest: blob.reasons for blob in report.blobs if not blob.ok}
    assert bad == {lost: ("a blob is missing",)}


Change = Callable[[dict[str, Any]], object]


def _with_config(image: Image, change: Change) -> Image:
    """The image with another config, in memory; everything else is the store's."""
    raw = json.loads(image.config)
    change(raw)
    config = to_bytes(raw)
    manifest = replace(image.manifest, config=Descriptor(CONFIG, Digest.of(config), len(config)))
    own = {Digest.of(data): data for data in (config, manifest.to_bytes())}

    def open_blob(digest: Digest) -> IO[bytes]:
        return io.BytesIO(own[digest]) if digest in own else image.open(digest)

    return replace(image, manifest=manifest, config=config, open=open_blob)


def test_wrong_diff_ids_are_found(image: Image, bench: Any) -> None:
    wrong = _with_config(image, lambda raw: raw["rootfs"]["diff_ids"].reverse())
    reasons = _reasons(verify_image(bench.transport, wrong))
    assert len(reasons) == len(image.manifest.layers) // 2 * 2
    assert all(reason.startswith("its diff_id is sha256:") for reason in reasons)


def test_counts_that_differ_are_found(image: Image, bench: Any) -> None:
    wrong = _with_config(image, lambda raw: (raw["rootfs"]["diff_ids"].pop(), raw["history"].pop()))
    count = len(image.manifest.layers)
    assert verify_image(bench.transport, wrong).reasons == (
        f"{count} layers, {count - 1} diff_ids",
        f"{count} layers, {count - 1} history entries with a layer",
    )


def test_what_is_asked_for_must_be_there(layout: Path, bench: Any, world: Any) -> None:
    with pytest.raises(SettingsError, match="no such image") as caught:
        verify_layout(layout, "v2")
    assert caught.value.facts["found"] == "v1"
    with pytest.raises(SettingsError):
        verify_layout(layout / "nowhere", "v1")
    with pytest.raises(RegistryError, match="no such image"):
        verify_registry(bench.transport, Reference.parse(f"{world.registry}/verify/none:v1"))


def _member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def _check(*members: tarfile.TarInfo) -> list[str]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member in members:
            tar.addfile(member)
    stream.seek(0)
    return list(broken_promises(stream, "opt/env"))


_STRANGE = "neither file, folder nor symbolic link"
_PARENTS = (_member("opt", tarfile.DIRTYPE), _member("opt/env", tarfile.DIRTYPE))


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (_member("opt/env/b", tarfile.LNKTYPE, linkname="opt/env/a"), _STRANGE),
        (_member("opt/env/b", tarfile.CHRTYPE), _STRANGE),
        (_member("opt/env/.wh.b"), "a whiteout"),
        (_member("opt/env/b", uid=1000), "it belongs to somebody"),
        (_member("opt/env/b", uname="root"), "it belongs to somebody"),
        (_member("opt/other"), "outside of the environment"),
        (_member("opt/env/../../etc"), "outside of the environment"),
        (_member("opt/env/lib/b"), "before its folder, or twice"),
        (_member("opt/env", tarfile.DIRTYPE), "before its folder, or twice"),
        (_member("opt/env/a"), "not in order, or twice"),
        (_member("opt/env/A"), "not in order, or twice"),
    ],
)
def test_what_our_layers_never_hold(member: tarfile.TarInfo, reason: str) -> None:
    found = _check(*_PARENTS, _member("opt/env/a"), member)
    assert f"{member.name}: {reason}" in found
    assert _check(*_PARENTS, _member("opt/env/a"), _member("opt/env/b")) == []


def test_only_the_first_findings_are_told() -> None:
    assert len(_check(*(_member(f"opt/{number}", uid=1) for number in range(9)))) == 5
