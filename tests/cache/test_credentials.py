import base64
import json
from pathlib import Path

import pytest

from prebake.cache.credentials import Challenge, Credentials, find_credentials, parse_challenge
from prebake.errors import SettingsError

SECRET = "hunter2"


def config(folder: Path, **content: object) -> Path:
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker-credential-sample"
    program.write_text(f"#!/bin/sh\nread server\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_no_config_is_anonymous(tmp_path: Path) -> None:
    assert find_credentials("registry.example", tmp_path) is None


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example", "registry.example"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_keys_of_auths(tmp_path: Path, key: str, registry: str) -> None:
    found = find_credentials(registry, config(tmp_path, auths={key: {"auth": encoded(f"me:{SECRET}:x")}}))
    assert found == Credentials("me", f"{SECRET}:x")


def test_other_registries_get_nothing(tmp_path: Path) -> None:
    folder = config(tmp_path, auths={"registry.example": {"username": "me", "password": SECRET}})
    assert find_credentials("registry.example.evil", folder) is None
    assert find_credentials("registry.example", folder) == Credentials("me", SECRET)


def test_identity_token(tmp_path: Path) -> None:
    folder = config(tmp_path, auths={"r.example": {"auth": encoded("me:"), "identitytoken": SECRET}})
    assert find_credentials("r.example", folder) == Credentials("me", "", SECRET)


def test_empty_entry_is_anonymous(tmp_path: Path) -> None:
    assert find_credentials("r.example", config(tmp_path, auths={"r.example": {}})) is None


@pytest.mark.parametrize("where", [{"credsStore": "sample"}, {"credHelpers": {"r.example": "sample"}}])
def test_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: dict[str, object]) -> None:
    answer = '{"ServerURL":"%s","Username":"me","Secret":"' + SECRET + '"}'
    helper(tmp_path, monkeypatch, f"test \"$1 $server\" = 'get r.example' && printf '{answer}' \"$server\"")
    assert find_credentials("r.example", config(tmp_path, **where)) == Credentials("me", SECRET)


def test_docker_hub_has_its_old_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, 'printf \'{"Username":"<token>","Secret":"%s"}\' "$server"')
    found = find_credentials("docker.io", config(tmp_path, credsStore="sample"))
    assert found == Credentials("", identity_token="https://index.docker.io/v1/")


def test_helper_without_credentials_leaves_the_plain_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    folder = config(tmp_path, credsStore="sample", auths={"r.example": {"auth": encoded(f"me:{SECRET}")}})
    assert find_credentials("r.example", folder) == Credentials("me", SECRET)
    assert find_credentials("other.example", folder) is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "not on PATH"),
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "exit status 3"),
        (f"echo {SECRET}", "its answer is not {Username, Secret}"),
    ],
)
def test_helper_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str
) -> None:
    if script:
        helper(tmp_path, monkeypatch, script)
    with pytest.raises(SettingsError) as raised:
        find_credentials("r.example", config(tmp_path, credsStore="sample"))
    assert raised.value.facts["helper"] == "docker-credential-sample get"
    assert raised.value.facts["registry"] == "r.example"
    assert raised.value.facts["reason"] == reason
    assert SECRET not in f"{raised.value}{raised.value.__cause__!r}"


@pytest.mark.parametrize("content", ["{", "[]", '{"auths":{"r.example":{"auth":"%"}}}'])
def test_unusable_config(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SettingsError) as raised:
        find_credentials("r.example", tmp_path)
    assert raised.value.facts["file"] == str(tmp_path / "config.json")


def test_secrets_are_not_in_the_repr() -> None:
    assert SECRET not in repr(Credentials("me", SECRET, SECRET))


def test_challenges() -> None:
    bearer = 'Bearer realm="https://auth.example/token?a=1",service="s",scope="repository:x:pull,push"'
    assert parse_challenge([bearer]) == Challenge("bearer", "https://auth.example/token?a=1", "s")
    assert parse_challenge(['Basic realm="x"', bearer]) == parse_challenge([bearer])
    assert parse_challenge(['Basic realm="x"']) == Challenge("basic", "", "")
    assert parse_challenge(["Negotiate"]) is None
    assert parse_challenge([]) is None


def test_token_url_keeps_the_query_of_the_realm() -> None:
    url = Challenge("bearer", "https://auth.example/token?a=1", "s").token_url(["repository:x:pull"])
    assert url == "https://auth.example/token?a=1&service=s&scope=repository%3Ax%3Apull"
