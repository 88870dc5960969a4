import pytest

from prebake.cache.digest import Digest
from prebake.cache.reference import Reference
from prebake.errors import SettingsError

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("team/env", "docker.io/team/env:latest"),
        ("index.docker.io/python", "docker.io/library/python:latest"),
        ("docker.io/team/env:v1", "docker.io/team/env:v1"),
        ("localhost/env", "localhost/env:latest"),
        ("localhost:5000/env:v1", "localhost:5000/env:v1"),
        ("127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"),
        ("registry.example/a__b/c-d.e:V_1.x-y", "registry.example/a__b/c-d.e:V_1.x-y"),
        (f"python@sha256:{HEX}", f"docker.io/library/python@sha256:{HEX}"),
        (f"r.example/x:v1@sha256:{HEX}", f"r.example/x:v1@sha256:{HEX}"),
    ],
)
def test_parse_and_print(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full
    assert Reference.parse(full) == Reference.parse(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Python", "repository"),
        ("", "repository"),
        ("a//b", "repository"),
        ("r.example/x:-v", "tag"),
        ("r.example/x:" + "v" * 129, "tag"),
        ("r.example/x@sha256:abc", "digest"),
        (f"r.example/x@md5:{HEX}", "digest"),
        ("r.example/x:v\n", "tag"),
        ("https://r.example/x", "registry"),
        ("user@r.example/x", "digest"),
    ],
)
def test_what_is_no_reference(text: str, part: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Reference.parse(text)
    assert part in raised.value.facts["found"]


@pytest.mark.parametrize(
    "text", ["r.example/x:", "r.example/x@", ":5000/x", "-bad.example/x", "r.example:port/x", "r.ex?ample/x"]
)
def test_what_should_be_no_reference(text: str) -> None:
    with pytest.raises(SettingsError):
        Reference.parse(text)


def test_digest_wins_over_tag() -> None:
    digest = Digest(HEX)
    reference = Reference.parse("r.example/x:v1").at(digest)
    assert reference.selector == str(digest)
    assert reference.name == "r.example/x"
