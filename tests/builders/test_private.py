"""A whole environment from a private channel, index and base to a private registry; no secret anywhere.

The password holds what URLs, headers and shells write differently, and everything that is left on disk, in
output and in arguments of child processes is searched for each spelling.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from private_desk import ALICE, BOB, FORGE, WATCH, Desk, refused
from world import services
from world.private import User, private


@pytest.fixture(scope="module")
def packages(world: Any) -> Iterator[str]:
    with private(world.root, ALICE) as url:
        yield url


@pytest.fixture
def desk(world: Any, packages: str, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    for name in ("home", "watch"):
        (folder / name).mkdir(parents=True)
    (folder / "watch/sitecustomize.py").write_text(WATCH)
    with services.registry(tmp_path / "registry", (BOB.name, BOB.password)) as registry:
        services.push_base(world.root, registry.host, (BOB.name, BOB.password))
        made = Desk(folder, packages, registry)
        made.write_docker_config()
        yield made


def by_netrc(desk: Desk) -> Desk:
    desk.write_netrc()
    return desk.with_places(desk.packages)


def by_rattler_file(desk: Desk) -> Desk:
    basic = {"username": ALICE.name, "password": ALICE.password}
    path = desk.write_rattler("home/auth.json", {"BasicHTTP": basic})
    return desk.with_places(desk.packages).and_variables(RATTLER_AUTH_FILE=str(path))


def by_settings(desk: Desk) -> Desk:
    return desk.with_places(ALICE.at(desk.packages))


@pytest.fixture(scope="module")
def public(world: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same environment where everything is open to all."""
    folder = tmp_path_factory.mktemp("public") / "desk"
    (folder / "home").mkdir(parents=True)
    with services.registry(folder.parent / "registry") as registry:
        services.push_base(world.root, registry.host)
        return Desk(folder, "", registry).with_places(world.static).build()


@pytest.mark.parametrize("how", [by_netrc, by_rattler_file, by_settings])
def test_a_private_environment_is_built_and_nothing_tells(
    how: Callable[[Desk], Desk], desk: Desk, public: dict[str, Any]
) -> None:
    made = how(desk).build()
    layers = [(layer["key"], layer["digest"]) for layer in made["layers"]]
    assert layers == [(layer["key"], layer["digest"]) for layer in public["layers"]]
    assert [*desk.registry.log.parent.rglob("team/image/_layers")]
    started = (desk.folder / "watched").read_bytes()
    assert b"/uv\0pip\0compile" in started and b"/uv\0build\0" in started


def test_a_token_in_the_channels_url(desk: Desk) -> None:
    channel = f"{desk.packages}/t/{ALICE.token}/channel"
    settings = by_netrc(desk).and_variables(PREBAKE_DEFAULT_CHANNELS=channel, PREBAKE_MIRRORS="")
    settings = settings.and_variables(PREBAKE_PIP_INDEX=f"{desk.packages}/index/simple")
    result = settings.run("lock", "-o", "lock.yml", channel="nodefaults")
    assert result.returncode == 0, result.stderr
    assert f"{desk.packages}/channel/noarch/" in (desk.folder / "lock.yml").read_text()
    desk.check_nothing_tells(result)


def test_a_token_in_rattlers_own_place(desk: Desk) -> None:
    desk.write_rattler("home/.rattler/credentials.json", {"CondaToken": ALICE.token})
    index = f"{ALICE.at(desk.packages)}/index/simple"
    settings = desk.with_places(desk.packages).and_variables(PREBAKE_PIP_INDEX=index)
    result = settings.run("lock", "-o", "lock.yml")
    assert result.returncode == 0, result.stderr
    desk.check_nothing_tells(result)


@pytest.mark.parametrize("user", [User("mallory", ALICE.password), User(ALICE.name, "wr0ng/p@ss")])
def test_wrong_passwords_are_told_apart_and_not_shown(desk: Desk, user: User) -> None:
    channel = refused(desk.with_places(user.at(desk.packages)))
    assert "the channel refused the request" in channel and "127.0.0.1 into ~/.netrc" in channel
    good = f"{FORGE}={ALICE.at(desk.packages)}/channel"
    bad_index = desk.with_places("").and_variables(
        PREBAKE_MIRRORS=good, PREBAKE_PIP_INDEX=f"{user.at(desk.packages)}/index/simple"
    )
    index = refused(bad_index)
    assert "the package index refused the request (401)" in index and "127.0.0.1 into ~/.netrc" in index
    assert quote(user.password, safe="") not in channel + index


def test_a_refused_registry(desk: Desk) -> None:
    desk.write_docker_config("wr0ng/p@ss")
    assert desk.registry.host in refused(by_settings(desk))


@pytest.mark.parametrize("broken", ["channel", "index"])
def test_a_closed_port_is_not_the_users_fault(desk: Desk, broken: str) -> None:
    closed = ALICE.at("http://127.0.0.1:9")
    places = {"channel": desk.packages, "index": desk.packages} | {broken: closed}
    desk.write_netrc()
    mirrors = f"{FORGE}={places['channel']}/channel"
    settings = desk.and_variables(
        PREBAKE_MIRRORS=mirrors, PREBAKE_PIP_INDEX=f"{places['index']}/index/simple"
    )
    result = settings.run("lock", "-o", "lock.yml")
    assert result.returncode == 7, result.stderr
    desk.check_nothing_tells(result)
