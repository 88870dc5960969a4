"""Loading into a real engine, and running there."""

import io
import json
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from prebake.builders.docker import Loaded, _Archive, connect, load
from prebake.builders.docker_run import Command, Devices, Mount, created, run
from prebake.builders.push import Image, Outcome, Progress
from prebake.cache.digest import Digest
from prebake.cache.reference import Reference
from prebake.errors import EngineError, IntegrityError, SettingsError, Unreachable

HOST = "host"  # the sample engine has no bridge


@pytest.fixture(scope="module")
def engine(world: Any) -> Iterator[docker.DockerClient]:
    with connect(world.docker) as opened:
        yield opened


@pytest.fixture(scope="module")
def image(bench: Any) -> Image:
    made: Image = bench.image("python=3.11", "prefix-probe", "activate-demo", env=(("GREETING", "hello"),))
    return made


@pytest.fixture
def loaded(image: Image, engine: docker.DockerClient, bench: Any) -> Loaded:
    return load(image, "sample:v1", engine, bench.transport)


def _run(engine: docker.DockerClient, image_id: str, *arguments: str, **more: Any) -> tuple[int, str, str]:
    out, err = io.BytesIO(), io.BytesIO()
    code = run(image_id, Command(arguments, network=HOST, **more), engine, (out, err))
    return code, out.getvalue().decode(), err.getvalue().decode()


def _remove_all(engine: docker.DockerClient) -> None:
    for each in engine.images.list():
        engine.images.remove(str(each.id), force=True)


def test_an_image_is_loaded_and_its_python_runs(
    image: Image, loaded: Loaded, engine: docker.DockerClient
) -> None:
    assert loaded.image_id == str(image.manifest.config.digest)
    code, out, _ = _run(engine, "sample:v1", "python", "-c", "import sys, ssl; print(sys.prefix)")
    assert (code, out) == (0, "/opt/prebake/env\n")
    assert _run(engine, loaded.image_id, "prefix-probe")[1] == "/opt/prebake/env/share/probe\n"


def test_variables_and_activation_reach_the_command(loaded: Loaded, engine: docker.DockerClient) -> None:
    script = 'echo "$GREETING $DEMO_HOME $OWN"'
    _, out, _ = _run(engine, loaded.image_id, "sh", "-c", script, env={"OWN": "mine"})
    assert out == "hello /opt/prebake/env/share/demo mine\n"


def test_the_second_time_it_is_only_tagged(
    image: Image, loaded: Loaded, engine: docker.DockerClient, bench: Any
) -> None:
    seen: list[int] = []
    again = load(image, "registry.example.com/team/sample:v2", engine, bench.transport, Progress(seen.append))
    assert again == Loaded(loaded.image_id, 0)
    assert seen == []
    assert engine.images.get("registry.example.com/team/sample:v2").id == loaded.image_id


def test_an_empty_engine_gets_every_blob_and_the_next_image_only_what_is_new(
    image: Image, engine: docker.DockerClient, bench: Any
) -> None:
    _remove_all(engine)
    sizes: list[int] = []
    first = load(image, "sample:v1", engine, bench.transport, Progress(sizes.append))
    assert first.bytes_sent == sum(sizes) == sum(blob.size for blob in image.manifest.blobs())
    outcomes: list[Outcome] = []
    progress = Progress(on_blob=lambda _, outcome: outcomes.append(outcome))
    other = bench.image("python=3.11", "prefix-probe", "activate-demo", env=(("GREETING", "good day"),))
    second = load(other, "sample:other", engine, bench.transport, progress)
    assert second.bytes_sent == other.manifest.config.size
    assert outcomes == [Outcome.EXISTING] * len(other.manifest.layers) + [Outcome.UPLOADED]
    assert _run(engine, "sample:other", "sh", "-c", "echo $GREETING")[1] == "good day\n"


def test_an_image_on_a_base_the_engine_has_costs_its_own_layers(
    engine: docker.DockerClient, bench: Any
) -> None:
    load(bench.image("generic-demo", "six"), "a:1", engine, bench.transport)
    other = bench.image("python=3.11", "prefix-probe")
    _remove_all_but(engine, "a:1")
    sent = load(other, "b:1", engine, bench.transport).bytes_sent
    assert sent <= sum(layer.descriptor.size for layer in other.layers) + other.manifest.config.size
    assert _run(engine, "b:1", "prefix-probe")[0] == 0


def _remove_all_but(engine: docker.DockerClient, name: str) -> None:
    for each in engine.images.list():
        if name not in each.tags:
            engine.images.remove(str(each.id), force=True)


def test_the_archive_is_one_of_docker_save_and_an_oci_layout(image: Image, bench: Any) -> None:
    archive = _Archive(image, Reference.parse("sample:v1"), bench.transport, Progress())
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.stream(0)))) as tar:
        files = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    (saved,) = json.loads(files["manifest.json"])
    assert saved["RepoTags"] == ["docker.io/library/sample:v1"]
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert Digest.of(files["blobs/sha256/" + entry["digest"][7:]]) == Digest.parse(entry["digest"])
    for name in (saved["Config"], *saved["Layers"]):
        assert Digest.of(files[name]).hex == name.rpartition("/")[2]


def test_zstd_layers_are_refused_by_an_engine_that_cannot_read_them(
    engine: docker.DockerClient, bench: Any
) -> None:
    packed = bench.image("generic-demo", "packaging", compression="zstd")
    with pytest.raises(EngineError, match="too old for zstd") as caught:
        load(packed, "packed:1", engine, bench.transport)
    assert "gzip" in caught.value.hint


def test_a_corrupt_blob_is_told_and_nothing_is_loaded(engine: docker.DockerClient, bench: Any) -> None:
    good = bench.image("generic-demo", "idna", "six")
    own = {layer.digest: bytes(layer.descriptor.size) for layer in good.layers}
    bad = replace(good, open=lambda digest: io.BytesIO(own[digest]))
    with pytest.raises(IntegrityError, match="corrupt"):
        load(bad, "bad:1", engine, bench.transport)
    with pytest.raises(ImageNotFound):
        engine.images.get("bad:1")
    load(good, "bad:1", engine, bench.transport)  # the engine took no harm


def test_a_name_pinned_to_a_digest_is_refused(image: Image, engine: docker.DockerClient, bench: Any) -> None:
    with pytest.raises(SettingsError, match="under a tag"):
        load(image, f"sample@{Digest.of(b'')}", engine, bench.transport)


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does not answer") as caught, connect(f"unix://{tmp_path}/no.sock"):
        pass
    assert "DOCKER_HOST" in caught.value.hint


def test_exit_code_and_both_outputs(loaded: Loaded, engine: docker.DockerClient) -> None:
    found = _run(engine, loaded.image_id, "sh", "-c", "echo one; echo two >&2; exit 7")
    assert found == (7, "one\n", "two\n")
    assert not engine.containers.list(all=True)


def test_mounts_and_working_folder(loaded: Loaded, engine: docker.DockerClient, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("data")
    mounts = (Mount(tmp_path, "/mnt/here"),)
    code, _, err = _run(engine, loaded.image_id, "cp", "in", "out", mounts=mounts, folder="/mnt/here")
    assert (code, err) == (0, "")
    assert (tmp_path / "out").read_text() == "data"
    read_only = (Mount(tmp_path, "/mnt/here", read_only=True),)
    assert _run(engine, loaded.image_id, "touch", "/mnt/here/x", mounts=read_only)[0] == 1


def test_an_unknown_image_and_an_unknown_program(loaded: Loaded, engine: docker.DockerClient) -> None:
    with pytest.raises(EngineError, match="no such image"):
        _run(engine, "nobody/nothing:v0", "true")
    assert _run(engine, loaded.image_id, "no-such-program")[0] == 127
    assert not engine.containers.list(all=True)


def test_output_comes_live_and_an_interrupt_stops_the_container(
    loaded: Loaded, engine: docker.DockerClient
) -> None:
    class Interrupting(io.BytesIO):
        def write(self, data: Any, /) -> int:
            signal.default_int_handler(signal.SIGINT, None)  # a process of xdist's ignores the signal
            return super().write(data)

    script = "trap 'exit 0' TERM; echo ready; tail -f /dev/null & wait"
    command = Command(("sh", "-c", script), network=HOST)
    with pytest.raises(KeyboardInterrupt):
        run(loaded.image_id, command, engine, (Interrupting(), io.BytesIO()))
    assert not engine.containers.list(all=True)


@pytest.mark.parametrize(
    ("asked", "count", "ids"), [("all", -1, []), ("2", 2, []), ('"device=0,GPU-1"', 0, ["0", "GPU-1"])]
)
def test_devices_and_ports_are_passed_through(
    asked: str, count: int, ids: list[str], loaded: Loaded, engine: docker.DockerClient
) -> None:
    command = Command(("true",), devices=Devices(asked, "64m", "host"), ports=(5001,), labels={"a": "b"})
    with created(loaded.image_id, command, engine) as container:
        host = container.attrs["HostConfig"]
        (gpus,) = host["DeviceRequests"]
        assert (gpus["Count"], gpus["DeviceIDs"], gpus["Capabilities"]) == (count, ids, [["gpu"]])
        assert (host["ShmSize"], host["IpcMode"], container.labels["a"]) == (64 << 20, "host", "b")
        assert host["PortBindings"]["5001/tcp"][0]["HostIp"] == "127.0.0.1"
    assert not engine.containers.list(all=True)
