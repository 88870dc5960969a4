"""Who asks a server: the table of `logins`, row by row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.fetch import locate
from prebake.builders.logins import Login, find_login, headers_for, with_login
from prebake.builders.sources import Sources
from prebake.builders.uv import uv_environment
from prebake.errors import SettingsError

INDEX = "https://pypi.example/simple"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RATTLER_AUTH_FILE", "NETRC", "UV_KEYRING_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def write(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def netrc(path: str, user: str) -> Path:
        (home / path).write_text(f"machine pypi.example login {user} password in-{path.strip('.')}\n")
        (home / path).chmod(0o600)
        return home / path

    def rattler(path: str, entries: Any) -> Path:
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(json.dumps(entries))
        return home / path

    def make(what: str, user: str = "alice") -> None:
        entries = {"pypi.example": {"BasicHTTP": {"username": user, "password": f"in-{what}"}}}
        if what == "home":
            netrc(".netrc", user)
        elif what == "NETRC":
            monkeypatch.setenv("NETRC", str(netrc("other", user)))
        elif what == "dot-rattler":
            rattler(".rattler/credentials.json", entries)
        else:
            monkeypatch.setenv("RATTLER_AUTH_FILE", str(rattler("auth.json", entries)))

    return make


def secret(url: str = INDEX, **settings: Any) -> str:
    login = find_login(url, Sources(**settings))
    return f"{login.user}:{login.secret}" if login else ""


def test_the_first_place_that_knows_the_server(write: Callable[..., None]) -> None:
    assert secret() == ""
    write("home")
    assert secret() == "alice:in-netrc"
    write("NETRC")
    assert secret() == "alice:in-other"
    write("dot-rattler")
    assert secret() == "alice:in-dot-rattler"
    write("auth")
    assert secret() == "alice:in-auth"
    assert secret(pip_index="https://bob:in-url@pypi.example/simple") == "bob:in-url"
    assert secret("https://other.example/simple") == ""


def test_a_user_in_the_url_chooses_among_the_stored(write: Callable[..., None]) -> None:
    write("home")
    assert secret("https://alice@pypi.example/simple") == "alice:in-netrc"
    assert secret("https://token-as-user@pypi.example/simple") == "token-as-user:"


def test_user_info_serves_its_own_server_alone() -> None:
    mirror = "https://alice:s%40cret@pypi.example:8443/x"
    sources = Sources((("https://c.example", mirror),), pip_index=INDEX)
    assert find_login("https://pypi.example:8443/y", sources) == Login("alice", "s@cret")
    for other in (INDEX, "http://pypi.example:8443/x", "https://example:8443/x"):
        assert find_login(other, sources) is None
    assert (
        headers_for("pypi.example", "/x/noarch/repodata.json", sources) == Login("alice", "s@cret").headers()
    )
    assert headers_for("pypi.example", "/xy/repodata.json", sources) == {}
    assert locate("https://c.example/a.whl", sources).url == "https://pypi.example:8443/x/a.whl"


def test_rattlers_wildcards_and_tokens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        "*.b.example": {"BearerToken": "bear"},
        "*.example": {"CondaToken": "conda"},
        "s3": {"S3Credentials": {}},
    }
    (home / "auth.json").write_text(json.dumps(entries))
    monkeypatch.setenv("RATTLER_AUTH_FILE", str(home / "auth.json"))
    assert locate("https://a.b.example/x", Sources()).headers == {"Authorization": "Bearer bear"}
    assert locate("https://a.example/x", Sources()).url == "https://a.example/t/conda/x"
    assert with_login("https://a.b.example/x", Sources()) == "https://a.b.example/x"
    assert find_login("https://s3/x", Sources()) is None


def test_a_broken_file_is_named_and_not_quoted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        '{"pypi.example": {"BasicHTTP": {"username": "s3cret"}}}',
        '{"s3cret',
        '{"pypi.example": "s3cret"}',
    ):
        (home / "auth.json").write_text(text)
        monkeypatch.setenv("RATTLER_AUTH_FILE", str(home / "auth.json"))
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            find_login(INDEX, Sources())
        assert "auth.json" in str(caught.value) and "s3cret" not in str(caught.value)


KEYRING = """\
#!/bin/sh
[ "$1 $2 $3" = "get pypi.example alice" ] && echo in-keyring || exit 1
"""


def test_keyring_is_asked_when_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://alice@pypi.example/simple"
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("PATH", str(home))
    assert secret(url) == "alice:"  # no such program
    (home / "keyring").write_text(KEYRING)
    (home / "keyring").chmod(0o755)
    assert secret(url) == "alice:in-keyring"
    assert secret("https://bob@pypi.example/simple") == "bob:"
    monkeypatch.delenv("UV_KEYRING_PROVIDER")
    assert secret(url) == "alice:"


def test_uv_sees_nothing_of_the_users_but_logins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", "https://evil.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://evil.example/simple")
    sources = Sources(pip_index="https://alice:s%40cret@pypi.example/simple", pip_find_links=("links", INDEX))
    found = uv_environment(sources, home, "stubs")
    assert not [value for value in found.values() if "evil" in value]
    assert found["UV_DEFAULT_INDEX"] == "https://alice:s%40cret@pypi.example/simple"
    assert found["UV_FIND_LINKS"] == "stubs,links,https://alice:s%40cret@pypi.example/simple"
