"""The publish gate finds every form of every credential, wherever chunks are cut, and tells none of them."""

import base64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from prebake.builders.gate import Gate, gate_of
from prebake.builders.secrets import Secret, package_secrets, registry_secrets
from prebake.builders.sources import Sources
from prebake.cache.credentials import Credentials
from prebake.errors import PackageError

PASSWORD = 'p@ss/w+r"d 1'
FORMS = {
    "raw": PASSWORD,
    "in a URL": f"https://alice:{quote(PASSWORD, safe='')}@pypi.example/simple",
    "in a form": "password=p%40ss%2Fw%2Br%22d+1&x=1",
    "in JSON": '{"password": "p@ss/w+r\\"d 1"}',
    "in a header": f"Authorization: Basic {base64.b64encode(f'alice:{PASSWORD}'.encode()).decode()}",
}
OWNER = "index pypi.example"


@pytest.fixture
def gate() -> Gate:
    made = gate_of(
        [Secret.of(OWNER, "alice", PASSWORD), Secret.of("registry r.example", "bob", "another one")]
    )
    assert made
    return made


def refused(call: Callable[[], object]) -> PackageError:
    with pytest.raises(PackageError, match="a credential would be published") as caught:
        call()
    assert not [form for form in FORMS.values() if form in str(caught.value) or form in repr(caught.value)]
    return caught.value


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_each_form_is_found(gate: Gate, text: str) -> None:
    error = refused(lambda: gate.check(f"before {text} after".encode(), "etc/pip.conf"))
    assert error.facts == {"found in": "etc/pip.conf", "credential of": f"{OWNER}, user `alice`"}


def test_what_holds_none_passes(gate: Gate) -> None:
    gate.check(b"alice at pypi.example, p@ss/w+r", "etc/pip.conf")
    scan = gate.scan("a file")
    for chunk in (b"p@ss", b"", b"/w+r", b"d 1", bytes(1 << 20)):
        scan(chunk)


def test_a_name_that_holds_it_is_not_repeated(gate: Gate) -> None:
    name = f"share/{PASSWORD}"
    assert refused(lambda: gate.check(name.encode(), name)).facts["found in"] == "a name that holds it"


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_chunks_may_be_cut_anywhere(gate: Gate, form: str) -> None:
    data = b"x" * 100 + form.encode() + b"y" * 100
    for cut in range(100, 100 + len(form) + 1):
        assert feed(gate, [data[:cut], data[cut:]])
    for size in (1, 2, 3, 7, len(form) - 1):
        assert feed(gate, [data[start : start + size] for start in range(0, len(data), size)])


def feed(gate: Gate, chunks: list[bytes]) -> bool:
    scan = gate.scan("a file")
    refused(lambda: [scan(memoryview(chunk)) for chunk in chunks])
    return True


def test_without_credentials_there_is_no_gate() -> None:
    assert gate_of(package_secrets(["https://conda.anaconda.org/conda-forge"], Sources())) is None


def test_short_ones_are_found_as_a_header_alone() -> None:
    secret = Secret.of("index pypi.example", "alice", "abc")
    assert secret.forms == (base64.b64encode(b"alice:abc").rstrip(b"="),)


def test_nothing_shows_them() -> None:
    token = Secret.of("index pypi.example", "pypi-AgEIcHlwaS5vcmc", "")
    assert b"pypi-AgEIcHlwaS5vcmc" in token.forms
    assert repr(token) == "Secret(owner='index pypi.example')"
    sources = Sources(
        (("https://c.example", "https://u:secret@m.example"),), pip_index="https://u:secret@i.example"
    )
    assert "secret" not in repr(sources)


@pytest.mark.usefixtures("alone")
def test_credentials_in_use_are_those_of_the_settings_the_lock_and_the_registries() -> None:
    sources = Sources(
        mirrors=(("https://conda.anaconda.org/corp", "https://carol:in-a-mirror@mirror.example/corp"),),
        default_channels=("https://conda.example/t/in-a-token/private",),
        pip_index="https://alice:in-the%2Findex@pypi.example/simple",
    )
    found = package_secrets(["https://lock.example/channel"], sources)
    found += registry_secrets([("r.example", Credentials("bob", "in-docker")), ("open.example", None)])
    forms = {secret.owner: secret.forms for secret in found}
    assert set(forms) == {
        "mirror.example, user `carol`",
        "conda.example",
        "pypi.example, user `alice`",
        "lock.example, user `dave`",
        "registry r.example, user `bob`",
    }
    assert b"in-a-token" in forms["conda.example"]
    assert b"in-the/index" in forms["pypi.example, user `alice`"]
    assert b"in-netrc" in forms["lock.example, user `dave`"]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home with one netrc entry and nothing else."""
    for name in ("RATTLER_AUTH_FILE", "NETRC", "UV_KEYRING_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine lock.example login dave password in-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
