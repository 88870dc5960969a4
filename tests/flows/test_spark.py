"""Jars for Spark end to end: built once, each in its layer, refused when replaced, rebuilt from the lock."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from maven import Maven, jar_bytes
from prebake.builders.lock import Jar, Lock, SparkLock, Target
from prebake.builders.spark import CENTRAL
from prebake.cache.digest import Digest
from prebake.errors import DefinitionError, PackageError, SolveError, Unreachable
from prebake.flows.ensure import Built
from prebake.flows.explain import explain
from prebake.flows.lock_diff import Moved
from prebake.flows.preview import preview
from prebake.flows.progress import Silent
from prebake.flows.run import Command, prepare
from prebake.flows.version_diff import compare, recorded
from prebake.flows.wiring import Request, Workspace, open_workspace
from tiny import build, outcomes, tiny_machine
from world import services

JARS = "opt/prebake/spark/jars"
CONF = "opt/prebake/spark/conf/spark-defaults.conf"


@dataclass(frozen=True)
class Shop:
    """A Maven repository, a machine that takes it for Central, and definitions on the tiny base."""

    maven: Maven
    base: str
    machine: Workspace

    def environment(self, *packages: str, more: str = "", spark: str = "") -> prebake.Environment:
        path = self.maven.root.parent / "env.yml"
        listed = "".join(f"    - {package}\n" for package in packages)
        path.write_text(f"image: {self.base}\n{more}spark:\n{spark}  packages:\n{listed}")
        return prebake.load(path)

    def build(self, *packages: str, more: str = "", spark: str = "") -> Built:
        return build(self.environment(*packages, more=more, spark=spark), self.machine)[0]

    def files(self, built: Built) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for layer in built.image.layers:
            data = self.machine.local.read(layer.layer.digest)
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
                for member in tar:
                    if stream := tar.extractfile(member):
                        found[member.name] = stream.read()
        return found

    def environ(self, built: Built) -> list[str]:
        config = json.loads(self.machine.local.read(built.image.manifest.config.digest))
        return list(config["config"]["Env"])


@pytest.fixture
def shop(tiny: SampleWorld, tmp_path: Path) -> Iterator[Shop]:
    maven = Maven(tmp_path / "maven")
    maven.add("g:a:1", ["g:b:1"])
    maven.add("g:b:1")
    maven.add("g:c:1")
    with services.static(maven.root) as url:
        mirrors = f"{tiny.environ(tmp_path)['PREBAKE_MIRRORS']} {CENTRAL}={url}"
        machine = tiny_machine(tiny, tmp_path / "store", PREBAKE_MIRRORS=mirrors)
        yield Shop(maven, tiny.base, machine)


def elsewhere(shop: Shop, store: Path, central: str = "http://127.0.0.1:9") -> Shop:
    """The same on a machine with another store, and Central at `central`."""
    environ = dict(shop.machine.environ) | {"PREBAKE_STORE": str(store)}
    environ["PREBAKE_MIRRORS"] = environ["PREBAKE_MIRRORS"].split(CENTRAL)[0] + f"{CENTRAL}={central}"
    return replace(shop, machine=open_workspace(environ, store.parent))


def test_jars_are_in_the_image_once_and_one_more_makes_its_own_layer(shop: Shop) -> None:
    first = shop.build("g:a:1")
    files = shop.files(first)
    jars = ["g_a-1.jar", "g_b-1.jar"]
    assert files == {f"{JARS}/{name}": jar_bytes(f"g:{name[2]}:1") for name in jars} | {
        CONF: f"spark.jars {','.join(f'local:/{JARS}/{name}' for name in jars)}\n".encode()
    }
    assert "SPARK_CONF_DIR=/opt/prebake/spark/conf" in shop.environ(first)
    assert not [line for line in shop.environ(first) if line.startswith("CONDA_PREFIX")]
    assert outcomes(shop.build("g:a:1")) == {"hit-local"}
    second = shop.build("g:c:1", "g:a:1")
    made = [layer.planned.title for layer in second.image.layers if layer.outcome == "built"]
    assert made == ["spark: g:c", "spark: spark-defaults.conf"]


def test_beside_conda_packages_and_a_variable_of_the_users_own(shop: Shop) -> None:
    more = (
        "conda_file: {channels: [conda-forge], dependencies: [python=3.11, part-a]}\n"
        "environment_variables: {SPARK_CONF_DIR: /mine}\n"
    )
    alone = {layer.layer.digest for layer in shop.build("g:a:1").image.layers}
    both = shop.build("g:a:1", more=more)
    steps = [layer.planned.step for layer in both.image.layers]
    assert sorted(set(steps)) == ["conda", "spark"]
    assert alone <= {layer.layer.digest for layer in both.image.layers}
    assert "SPARK_CONF_DIR=/mine" in shop.environ(both)
    environment = shop.environment("g:a:1", more=more)
    shown = explain(environment, Request(), shop.machine, Silent())
    assert list(shown["solves"]) == ["conda", "spark"]
    assert "spark: g:a" in shown["layers"]
    assert {layer.outcome for layer in preview(environment, Request(), shop.machine, Silent()).layers} == {
        "hit-local"
    }
    with pytest.raises(DefinitionError, match="jars for Spark are in images alone"):
        prepare(environment, Request(), Command(("true",), local=True), shop.machine, Silent())


def test_without_precaching_spark_is_told_what_to_fetch(shop: Shop) -> None:
    spark = "  precachePackages: false\n  repositories: [https://maven.x/repo]\n"
    away = elsewhere(shop, shop.maven.root.parent / "away")
    built = away.build("g:none:1", "g:a:1", spark=spark)
    conf = "spark.jars.packages g:a:1,g:none:1\nspark.jars.repositories https://maven.x/repo\n"
    assert away.files(built) == {CONF: conf.encode()}
    assert outcomes(away.build("g:a:1", "g:none:1", spark=spark)) == {"hit-local"}


def test_the_lock_serves_while_the_repository_is_down_and_a_solve_needs_it(
    shop: Shop, tmp_path: Path
) -> None:
    first = shop.build("g:a:1")
    down = elsewhere(shop, tmp_path / "store")
    again = down.build("g:a:1", more="environment_variables: {COLOUR: blue}\n")
    assert outcomes(again) == {"hit-local"}
    assert [each.layer for each in again.image.layers] == [each.layer for each in first.image.layers]
    with pytest.raises(Unreachable, match="a Maven repository does not answer"):
        down.build("g:c:1")


def test_a_replaced_jar_and_a_package_that_is_nowhere(shop: Shop, tmp_path: Path) -> None:
    shop.build("g:a:1")
    locked = [path for path in (tmp_path / "store/blobs/sha256").iterdir() if path.read_bytes()[:2] == b"PK"]
    for path in locked:
        path.unlink()
    (shop.maven.root / "g/b/1/b-1.jar").write_bytes(jar_bytes("another"))
    with pytest.raises(PackageError, match="not the one that was locked"):
        build(shop.environment("g:a:1"), compressed_otherwise(shop))
    with pytest.raises(SolveError, match="no repository has the POM of `g:gone:1`") as caught:
        shop.build("g:gone:1")
    assert (caught.value.facts["line"], caught.value.facts["looked in"]) == ("4", CENTRAL)


def test_what_moved_is_told_and_a_machine_that_never_solved_has_the_lock(shop: Shop, tmp_path: Path) -> None:
    shop.maven.add("g:a:2", ["g:b:1", "g:c:1"])
    titles = []
    for package in ("g:a:1", "g:a:2"):
        named = replace(shop.environment(package), name="jars")
        titles.append(prebake.register(named, workspace=shop.machine).title)
        prebake.ensure(prebake.get(titles[-1], workspace=shop.machine), workspace=shop.machine)
    was, now = (recorded(title, shop.machine, Silent()) for title in titles)
    locks = compare(was, now, shop.machine, Silent()).locks
    assert locks
    assert locks.packages == (Moved("spark", "g:a", "1", "2"), Moved("spark", "g:c", None, "1"))
    shutil.rmtree(tmp_path / "store/traces")
    heard = build(prebake.get(titles[0], workspace=shop.machine), shop.machine)[1]
    assert "solving jars for Spark" not in heard.messages


def test_locks_without_jars_are_as_they_were() -> None:
    lock = Lock(Target())
    assert b"spark" not in lock.to_bytes()
    assert Lock.from_bytes(lock.to_bytes()) == lock
    jar = Jar("g", "a", "1", "https://x/a.jar", Digest.of(b""), 0)
    for spark in (SparkLock((jar,)), SparkLock((), ("g:a:1",), ("https://x",))):
        assert Lock.from_bytes(replace(lock, spark=spark).to_bytes()) == replace(lock, spark=spark)


def compressed_otherwise(shop: Shop) -> Workspace:
    """The machine with another compression, which makes every layer anew from the same lock."""
    environ = dict(shop.machine.environ) | {"PREBAKE_COMPRESSION": "zstd"}
    return open_workspace(environ, shop.maven.root.parent)
