"""Dockerfiles built by a real engine, by its classic builder and by BuildKit."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from prebake.builders.docker import connect
from prebake.builders.docker_access import Access
from prebake.builders.docker_build import _docker_command
from prebake.builders.engine import assemble_image, obtain_layers, reuse
from prebake.builders.gate import gate_of
from prebake.builders.make import Workshop
from prebake.builders.pin import Registries
from prebake.builders.plan import Plan, PlannedLayer, plan
from prebake.builders.recipe import Recipe
from prebake.builders.resolve import resolve
from prebake.builders.results import ImageResult
from prebake.builders.secrets import Secret
from prebake.builders.world import World
from prebake.cache.credentials import Credentials
from prebake.cache.registry import Repository
from prebake.cache.store import Trace
from prebake.cache.tiered import Tiers
from prebake.cache.transport import Transport
from prebake.config.definition import BuildContext, Definition, Environment
from prebake.errors import DefinitionError, EngineError, PackageError, Unreachable
from world import services
from world.tools import run

DEBIAN = "/usr/bin:/bin"  # another `docker` on PATH may lack its buildx plugin
# Without a command the classic builder is used.
PATHS = {"classic": "", "buildkit": DEBIAN}


def assembled(planned: Plan, store: Tiers, make: Callable[[PlannedLayer], Trace]) -> ImageResult:
    return assemble_image(planned, store, obtain_layers(planned, store, make, 1, lambda _: None))


@dataclass(frozen=True)
class Desk:
    """A folder to build, and an engine to build it by."""

    world: World
    access: Access
    folder: Path
    base: str

    def write(self, dockerfile: str, **files: str) -> None:
        for name, text in {"Dockerfile": dockerfile.replace("BASE", self.base), **files}.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)

    def plan(self, dockerfile: str = "Dockerfile", **variables: str) -> Plan:
        context, pairs = BuildContext(self.folder, dockerfile), tuple(variables.items())
        definition = Definition(build=context, environment_variables=pairs)
        return plan(resolve(Environment(definition), self.world, "/opt/env"), Recipe())

    def build(self, **variables: str) -> ImageResult:
        make = Workshop(self.world, Recipe(), None, self.access).make
        return assembled(self.plan(**variables), self.world.store, make)

    def build_elsewhere(self, **variables: str) -> ImageResult:
        """Where no engine answers."""
        return replace(self, access=replace(self.access, host="unix:///nowhere.sock")).build(**variables)

    def config(self, image: ImageResult) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.world.store.read(image.manifest.config.digest))
        return found

    def members(self, image: ImageResult) -> dict[str, tarfile.TarInfo]:
        """What the image's own layers hold."""
        found: dict[str, tarfile.TarInfo] = {}
        for layer in image.layers:
            plain = igzip.decompress(self.world.store.read(layer.layer.digest))
            with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
                found |= {member.name: member for member in tar}
        return found


@pytest.fixture(params=PATHS)
def desk(request: pytest.FixtureRequest, world: Any, fresh: World, tmp_path: Path) -> Desk:
    environ = {"PATH": PATHS[request.param], "HOME": str(tmp_path)}
    if request.param == "buildkit":
        assert _docker_command(environ), "apt-get install docker.io, and docker-buildx if it is 23 or later"
    (tmp_path / "context").mkdir()
    access = Access(world.docker, network="host", environ=environ)
    return Desk(fresh, access, tmp_path / "context", world.base)


@pytest.fixture
def classic(world: Any, fresh: World, tmp_path: Path) -> Desk:
    (tmp_path / "context").mkdir()
    return Desk(fresh, Access(world.docker, network="host"), tmp_path / "context", world.base)


def test_stages_commands_and_copies(desk: Desk) -> None:
    desk.write(
        "FROM BASE AS tools\nRUN echo made > /made\nFROM BASE\nCOPY --from=tools /made /from-tools\n"
        'COPY --from=BASE-patched /etc/motd /from-image\nCOPY . /app\nENV A=1\nUSER nobody\nCMD ["sh"]\n',
        data="x",
        script="#!/bin/sh\n",
    )
    (desk.folder / "script").chmod(0o755)
    (desk.folder / "link").symlink_to("data")
    image = desk.build()
    found = desk.members(image)
    assert {"from-tools", "from-image", "app/data"} <= found.keys()
    assert (found["app/script"].mode & 0o777, found["app/data"].mode & 0o777) == (0o755, 0o644)
    assert (found["app/link"].issym(), found["app/link"].linkname) == (True, "data")
    base = image.base.manifest.layers
    assert image.manifest.layers == (*base, *(layer.layer.descriptor for layer in image.layers))
    config = desk.config(image)
    assert config["rootfs"]["diff_ids"][len(base) :] == [str(each.layer.diff_id) for each in image.layers]
    ran = config["config"]
    assert (ran["User"], ran["Cmd"], "A=1" in ran["Env"]) == ("nobody", ["sh"], True)
    assert config.keys() <= {"architecture", "config", "created", "history", "os", "rootfs", "variant"}


def test_the_second_time_no_engine_is_asked(desk: Desk) -> None:
    desk.write("FROM BASE\nCOPY a /a\n", a="a")
    first = desk.build()
    assert [layer.outcome for layer in first.layers] == ["built"]
    os.utime(desk.folder / "a", (1, 1))
    assert desk.build_elsewhere().digest == first.digest
    found = reuse(desk.plan(), desk.world.store)
    assert found and found.digest == first.digest
    assert [layer.planned.title for layer in found.layers] == ["docker: Dockerfile"]
    other = desk.build_elsewhere(COLOUR="blue")
    assert [layer.outcome for layer in other.layers] == ["hit-local"]
    assert "COLOUR=blue" in desk.config(other)["config"]["Env"]
    assert other.digest != first.digest


def test_a_dockerfile_that_adds_no_layer(desk: Desk) -> None:
    desk.write("FROM BASE\nENV A=1\n")
    image = desk.build()
    assert image.layers == ()
    assert image.manifest.layers == image.base.manifest.layers
    assert "A=1" in desk.config(image)["config"]["Env"]
    assert desk.build_elsewhere().digest == image.digest


def test_a_dockerfile_by_a_roundabout_path(classic: Desk) -> None:
    classic.write("FROM nothing", **{"docker/x.Dockerfile": f"FROM {classic.base}\nCOPY a /a\n", "a": "a"})
    key = classic.plan("docker/x.Dockerfile").layers[0].key
    planned = classic.plan("./docker/../docker/x.Dockerfile")
    assert planned.layers[0].key == key
    make = Workshop(classic.world, Recipe(), None, classic.access).make
    assert classic.members(assembled(planned, classic.world.store, make)).keys() == {"a"}


def test_from_scratch(desk: Desk) -> None:
    desk.write("FROM scratch\nCOPY a /a\n", a="a")
    image = desk.build()
    assert desk.members(image).keys() == {"a"}
    assert len(image.manifest.layers) == 1
    assert "org.opencontainers.image.base.digest" not in image.manifest.annotations


def test_an_ignored_dockerfile_is_used_and_not_copied(desk: Desk) -> None:
    desk.write(
        "FROM scratch\nCOPY . /\n",
        a="a",
        **{".dockerignore": "Dockerfile\n.dockerignore\n*.log", "b.log": ""},
    )
    assert desk.members(desk.build()).keys() == {"a"}


def test_the_pinned_base_counts_and_not_its_tag(classic: Desk, world: Any) -> None:
    name = f"{world.registry}/moving"
    _copy(f"{world.base}", f"{name}:1")
    classic.write(f"FROM {name}:1\nCOPY a /a\n", a="a")
    first = classic.plan()
    _copy(f"{world.base}-patched", f"{name}:1")
    classic.world.registries.memo.forget()
    second = classic.plan()
    assert second.layers[0].key != first.layers[0].key
    assert "@sha256:" in str(second.layers[0].inputs)
    assert f"{name}:1@sha256" in second.layers[0].contents[0]


def _copy(source: str, target: str) -> None:
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    run("skopeo", "--insecure-policy", "copy", "-q", *plain, f"docker://{source}", f"docker://{target}")


def test_mounts_need_buildkit(desk: Desk) -> None:
    desk.write("FROM BASE\nRUN --mount=type=bind,from=BASE-patched,target=/m cp /m/etc/motd /taken\n")
    if desk.access.environ["PATH"]:
        assert "taken" in desk.members(desk.build())
        return
    with pytest.raises(EngineError) as caught:
        desk.build()
    assert caught.value.facts["line"] == "2"
    assert "buildx" in caught.value.hint


def test_a_run_is_a_label_on_the_engine_alone(desk: Desk) -> None:
    label = {"io.prebake.run": f"run-{desk.folder.parent.name}"}
    desk = replace(desk, access=replace(desk.access, labels=label))
    desk.write("FROM scratch\nCOPY a /a\nLABEL own=1\n", a=desk.folder.parent.name)
    image = desk.build()
    assert desk.config(image)["config"]["Labels"] == {"own": "1"}
    with connect(desk.access.host) as engine:
        assert engine.images.list(filters={"label": [f"io.prebake.run={label['io.prebake.run']}"]})


def test_a_context_that_changes_while_it_is_read(classic: Desk) -> None:
    classic.write("FROM scratch\nCOPY a /a\n", a="a")
    planned = classic.plan()
    (classic.folder / "a").write_text("b")
    make = Workshop(classic.world, Recipe(), None, classic.access).make
    with pytest.raises(DefinitionError, match="changed while it was read"):
        assembled(planned, classic.world.store, make)


FAILURES: dict[str, tuple[str, str, str]] = {
    "run": ("FROM BASE\n# why\nRUN echo one; \\\n  echo two; false\n", "3", "correct the instruction"),
    "copy": ("FROM BASE\nCOPY data/gone /x\n", "2", "put `data/gone` into"),
    "ignored": ("FROM BASE\nCOPY a.log /x\n", "2", "`*.log` in .dockerignore line 2"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_name_the_line(desk: Desk, case: str) -> None:
    text, line, hint = FAILURES[case]
    desk.write(text, **{".dockerignore": "# logs\n*.log\n", "a.log": ""})
    with pytest.raises(EngineError, match="does not build") as caught:
        desk.build()
    error = caught.value
    assert (error.facts["line"], error.facts["file"]) == (line, str(desk.folder / "Dockerfile"))
    assert hint in error.hint
    if case == "run":
        assert error.facts["output"] == "one\ntwo"
        assert error.facts["instruction"] == "RUN echo one; echo two; false"
    assert not [*desk.world.store.local.tmp.iterdir()]


def test_what_the_engine_refuses_to_parse(desk: Desk) -> None:
    desk.write("FROM BASE\nEXPOSE nonsense\n")
    with pytest.raises(EngineError) as caught:
        desk.build()
    assert "nonsense" in str(caught.value)


def test_no_engine(classic: Desk) -> None:
    classic.write("FROM scratch\nCOPY a /a\n", a="a")
    with pytest.raises(Unreachable, match="does not answer"):
        classic.build_elsewhere()


def test_an_engine_that_dies(desk: Desk, gate: socket.socket, world: Any, tmp_path: Path) -> None:
    with services.dockerd(tmp_path / "dockerd") as mine:
        desk = replace(desk, access=replace(desk.access, host=mine.url))
        port = gate.getsockname()[1]
        desk.write(f'FROM BASE\nSHELL ["/bin/bash", "-c"]\nRUN cat < /dev/tcp/127.0.0.1/{port}\n')
        with ThreadPoolExecutor() as pool:
            building = pool.submit(desk.build)
            waiting, _ = gate.accept()
            os.kill(int(Path(mine.url.removeprefix("unix://")).with_name("pid").read_text()), signal.SIGKILL)
            with waiting, pytest.raises(Unreachable):
                building.result(timeout=120)
    assert not [*desk.world.store.local.tmp.iterdir()]


def test_no_credential_in_use_gets_into_a_layer(classic: Desk) -> None:
    gate = gate_of([Secret.of("registry example", "me", "correct horse battery")])
    guarded = replace(classic, world=replace(classic.world, gate=gate))
    guarded.write("FROM scratch\nCOPY a /a\n", a="login: correct horse battery")
    with pytest.raises(PackageError, match="credential would be published"):
        guarded.build()


def test_a_base_in_a_mirror_keeps_its_name(desk: Desk, world: Any) -> None:
    mirrors = (("docker.io/library", world.registry), ("docker.io", "gone.invalid"))
    registries = replace(desk.world.registries, mirrors=mirrors)
    desk = replace(desk, base="debian:12", world=replace(desk.world, registries=registries))
    desk.write("FROM BASE\nCOPY . /app\n")
    planned = desk.plan()
    assert "127.0.0.1" not in str(planned.inputs)
    assert str(planned.resolved.base.reference).startswith("docker.io/library/debian:12@sha256:")
    image = desk.build()
    assert image.layers
    assert str(image.base.source).startswith(f"{world.registry}/debian:12@sha256:")


def test_a_registry_that_wants_a_login(classic: Desk, world: Any, tmp_path: Path) -> None:
    """The engine gets the credentials that everything else uses."""
    me = Credentials("me", "correct horse")
    with (
        services.registry(tmp_path / "registry", (me.username, me.password)) as locked,
        closing(Transport(lambda registry: me)) as transport,
    ):
        services.push_base(world.root, locked.host, (me.username, me.password))
        registries = Registries(lambda each: Repository.of(transport, each))
        desk = replace(
            classic,
            base=f"{locked.host}/alpine-like:musl",
            world=replace(classic.world, registries=registries),
            access=replace(
                classic.access, credentials=lambda registry: me if registry == locked.host else None
            ),
        )
        desk.write("FROM BASE\nCOPY a /a\n", a="a")
        assert desk.build().layers
        stranger = replace(desk, access=replace(desk.access, credentials=lambda registry: None))
        desk.write(f"FROM {locked.host}/debian:12\n")
        with pytest.raises(EngineError, match="pull a base image") as caught:
            stranger.build()
    assert "docker login" in caught.value.hint
