"""Blobs taken over from another repository of the registry, and registries that do not do that."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prebake.builders.push import Image, push
from prebake.cache.artifacts import RegistryStore
from prebake.cache.digest import Digest
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import CONFIG, LAYER_GZIP, Descriptor, Manifest
from prebake.cache.origins import BELIEVED_SECONDS, Origins
from prebake.cache.reference import Reference
from prebake.cache.registry import Mount, Repository
from prebake.cache.request import Patience
from prebake.cache.transport import Transport
from prebake.errors import RegistryError
from world import services
from world.faults import Fault, Proxy, Seen, proxy

EAGER = Patience(connect=2, read=10, attempts=3, backoff=0)
DATA = b"the bytes of a layer " * 10_000
BLOB = Descriptor(LAYER_GZIP, Digest.of(DATA), len(DATA))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def host(root: Path) -> Iterator[str]:
    with services.registry(root) as made:
        yield made.host


@pytest.fixture
def front(host: str) -> Iterator[Proxy]:
    with proxy(host) as made:
        yield made


@dataclass
class Team:
    """One machine's local store and its ways to a registry; `now` is its clock."""

    transport: Transport
    local: DirectoryStore
    host: str
    prefix: str
    now: float = 1_800_000_000

    @property
    def origins(self) -> Origins:
        return Origins(self.local, self.host, clock=lambda: self.now)

    def repository(self, name: str) -> Repository:
        return Repository(self.transport, self.host, f"{self.prefix}/{name}")

    def put(self, name: str, data: bytes = DATA) -> int:
        """Put a blob into a repository; how many bytes were sent."""
        blob = Descriptor(LAYER_GZIP, Digest.of(data), len(data))
        sent = self.transport.traffic.sent
        RegistryStore(self.repository(name), self.origins).put(blob, lambda: io.BytesIO(data))
        assert self.repository(name).has_blob(blob)
        return self.transport.traffic.sent - sent


@pytest.fixture
def team(front: Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    prefix = "".join(letter for letter in request.node.name.lower() if letter.isalnum())
    transport = Transport(lambda _: None, patience=EAGER)
    yield Team(transport, DirectoryStore(tmp_path / "store"), front.host, prefix)
    transport.close()


def is_mount(seen: Seen) -> bool:
    return "mount=" in seen.path


def mounts(front: Proxy) -> int:
    return sum(map(is_mount, front.seen))


def decline(front: Proxy, times: int = -1) -> Fault:
    """A registry that opens an upload instead of mounting."""
    fault = Fault(is_mount, 202, {"Location": "/v2/x/blobs/uploads/session"}, times=times)
    front.faults.append(fault)
    return fault


def test_find_and_remember(team: Team) -> None:
    assert team.origins.find(BLOB.digest) is None
    team.origins.remember([BLOB.digest], "first")
    team.origins.remember([BLOB.digest], "second")
    assert team.origins.find(BLOB.digest) == "first"
    assert Origins(team.local, "other.example").find(BLOB.digest) is None


def test_a_tier_is_where_unknown_blobs_may_be(team: Team) -> None:
    origins = Origins(team.local, team.host, "tier")
    assert origins.find(BLOB.digest) == "tier"
    origins.remember([BLOB.digest], "seen")
    assert origins.find(BLOB.digest) == "seen"


def test_a_mount_sends_nothing(team: Team, front: Proxy) -> None:
    assert team.put("a") == len(DATA)
    assert team.origins.mounts() is None
    assert team.put("b") == 0
    assert team.origins.mounts() is True
    assert mounts(front) == 1


def test_nothing_is_mounted_from_itself(team: Team, front: Proxy) -> None:
    team.origins.remember([BLOB.digest], team.repository("a").name)
    assert team.put("a") == len(DATA)
    assert mounts(front) == 0


def test_a_registry_that_declines_is_asked_once_a_week(team: Team, front: Proxy) -> None:
    team.put("a")
    declining = decline(front)
    for name in ("b", "c"):
        assert team.put(name) == len(DATA)
    assert (mounts(front), team.origins.mounts()) == (1, False)
    team.now += BELIEVED_SECONDS - 1
    assert team.put("d") == len(DATA)
    assert mounts(front) == 1
    team.now += 2
    assert team.origins.mounts() is None
    assert team.put("e") == len(DATA)
    assert (mounts(front), team.origins.mounts()) == (2, False)
    declining.times = 0
    team.now += BELIEVED_SECONDS + 1
    assert team.put("f") == 0
    assert team.origins.mounts() is True


def test_other_registries_are_another_matter(team: Team) -> None:
    team.origins.learn(False)
    assert Origins(team.local, "other.example").mounts() is None


def test_a_stale_hint_says_nothing_about_the_registry(team: Team, front: Proxy, root: Path) -> None:
    team.origins.remember([BLOB.digest], "nobody/there")
    assert team.put("a") == len(DATA)
    assert (mounts(front), team.origins.mounts()) == (1, None)
    uploads = root / "docker/registry/v2/repositories" / team.repository("a").name / "_uploads"
    assert uploads.exists()
    assert not list(uploads.rglob("data"))  # the session that the registry opened instead is closed


@pytest.mark.parametrize("status", [401, 403])
def test_a_source_that_may_not_be_read_says_nothing(team: Team, front: Proxy, status: int) -> None:
    team.put("a")
    decline(front)
    source = team.repository("a").name
    front.faults.append(Fault(lambda seen: seen.method == "HEAD" and source in seen.path, status))
    assert team.put("b") == len(DATA)
    assert team.origins.mounts() is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refusal_says_nothing(team: Team, front: Proxy, status: int) -> None:
    team.put("a")
    front.faults.append(Fault(is_mount, status, times=-1))
    assert team.put("b") == len(DATA)
    assert team.origins.mounts() is None


@pytest.mark.parametrize("status", [401, 405, 500])
def test_a_session_that_cannot_be_closed_is_left(team: Team, front: Proxy, status: int) -> None:
    front.faults.append(Fault(lambda seen: seen.method == "DELETE", status, times=-1))
    gone = Digest.of(b"never stored")
    assert team.repository("a").mount(gone, "nobody/there") is Mount.DECLINED


def test_a_damaged_source_is_not_taken_over(team: Team, root: Path) -> None:
    data = b"cut short behind our back, and mounted"
    digest = Digest.of(data)
    team.put("a", data)
    file = root / "docker/registry/v2/blobs/sha256" / digest.hex[:2] / digest.hex / "data"
    file.write_bytes(b"cut short")
    with pytest.raises(RegistryError, match="does not hold it"):
        team.put("b", data)


def image_of(base: Reference) -> Image:
    config = Descriptor(CONFIG, Digest.of(b"{}"), 2)
    return Image(Manifest(config, (BLOB,)), b"{}", base, (BLOB,), (), lambda _: io.BytesIO(DATA))


def test_a_push_learns_for_the_store_and_from_it(team: Team, front: Proxy) -> None:
    team.put("a")
    base = Reference(front.host, team.repository("a").name, "1")

    def deliver(name: str) -> None:
        to = Reference(front.host, team.repository(name).name, "v1")
        push(team.transport, image_of(base), to, origins=team.origins)

    deliver("b")
    assert team.origins.mounts() is True
    decline(front)
    deliver("c")
    assert team.origins.mounts() is False
    front.seen.clear()
    deliver("d")
    assert team.put("e") == len(DATA)
    assert mounts(front) == 0
