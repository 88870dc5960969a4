"""Credentials for a registry, found where `docker login` leaves them.

Only `flows/wiring` knows where the config directory is. Secrets are kept out of `repr`, errors and logs.
The format: https://docs.docker.com/reference/cli/docker/login/#credential-stores and
https://github.com/docker/docker-credential-helpers#development

    >>> Credentials("me", password="secret")
    Credentials(username='me')
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_DOCKER_HUB_NAMES = {"docker.io", "index.docker.io", "registry-1.docker.io"}
# A helper may talk to a cloud; one that asks a person would wait for ever.
_HELPER_TIMEOUT = 60


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or with an identity token (an OAuth2 refresh token)."""

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The value of an `Authorization: Basic` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Challenge:
    """What a registry demands: `basic` or `bearer`, and for the latter where tokens are had."""

    scheme: str
    realm: str
    service: str

    def token_url(self, scopes: Iterable[str]) -> str:
        """Where to GET a token for `scopes`."""
        query = urlencode([*self._service(), *(("scope", scope) for scope in scopes)])
        return f"{self.realm}{'&' if '?' in self.realm else '?'}{query}"

    def refresh_form(self, scopes: Iterable[str], identity_token: str) -> bytes:
        """What to POST to the realm for a token (https://distribution.github.io/distribution/spec/auth/oauth/)."""
        fields = {"grant_type": "refresh_token", "client_id": "prebake", "scope": " ".join(scopes)}
        return urlencode([*fields.items(), *self._service(), ("refresh_token", identity_token)]).encode()

    def _service(self) -> list[tuple[str, str]]:
        return [("service", self.service)] if self.service else []


def parse_challenge(headers: Iterable[str]) -> Challenge | None:
    """The strongest challenge in `WWW-Authenticate` headers: bearer before basic."""
    text = ", ".join(headers)
    bearer = re.search(r"\bBearer\s+(.*)", text, re.IGNORECASE)
    if bearer:
        told = {name.lower(): value for name, value in re.findall(r'(\w+)="([^"]*)"', bearer[1])}
        return Challenge("bearer", told["realm"], told.get("service", "")) if "realm" in told else None
    return Challenge("basic", "", "") if re.match(r"\s*Basic\b", text, re.IGNORECASE) else None


def find_credentials(registry: str, config_dir: Path) -> Credentials | None:
    """What `config.json` in `config_dir` says about `registry`; None for anonymous access.

    A helper comes before plain entries, as in Docker. Raises SettingsError when file or helper is unusable.
    """
    path = config_dir / "config.json"
    config = _read(path)
    helper = _for_registry(config.get("credHelpers"), registry) or config.get("credsStore")
    found = _ask_helper(f"docker-credential-{helper}", registry, path) if helper else None
    return found or _from_entry(_for_registry(config.get("auths"), registry), registry, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None
    if not isinstance(config, dict):
        raise _unusable(path, "not a JSON object")
    return config


def _for_registry(entries: dict[str, Any] | None, registry: str) -> Any:
    found = [entry for name, entry in (entries or {}).items() if _registry_of(name) == _registry_of(registry)]
    return found[0] if found else None


def _registry_of(name: str) -> str:
    """`https://host/v1/` and `host` name one registry; Docker Hub has three names besides."""
    host = name.partition("://")[2] or name
    for tail in ("/", "/v1", "/v2"):
        host = host.removesuffix(tail)
    return "docker.io" if host in _DOCKER_HUB_NAMES else host


def _from_entry(entry: dict[str, str] | None, registry: str, path: Path) -> Credentials | None:
    if not entry:
        return None
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except ValueError:
            raise _unusable(path, f"`auth` of {registry} is not base64") from None
    token = entry.get("identitytoken", "")
    return Credentials(username, password.strip("\0"), token) if username or token else None


def _ask_helper(program: str, registry: str, path: Path) -> Credentials | None:
    import subprocess  # here, because most configs name no helper

    server = DOCKER_HUB_KEY if _registry_of(registry) == "docker.io" else registry
    facts = {"registry": registry, "helper": f"{program} get", "named in": path}
    try:
        answer = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=_HELPER_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "not on PATH" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise _helper_failed(facts | {"reason": reason}) from None
    if answer.returncode == 0:
        return _from_helper(answer.stdout, facts)
    if b"credentials not found" in answer.stdout:
        return None
    # What it printed is not shown: a broken helper may have printed the secret.
    raise _helper_failed(facts | {"reason": f"exit status {answer.returncode}"})


def _from_helper(answer: bytes, facts: dict[str, object]) -> Credentials:
    try:
        found = json.loads(answer)
        username, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise _helper_failed(facts | {"reason": "its answer is not {Username, Secret}"}) from None
    # The helper protocol marks identity tokens by this user name.
    return Credentials("", identity_token=secret) if username == "<token>" else Credentials(username, secret)


def _helper_failed(facts: dict[str, object]) -> SettingsError:
    return SettingsError(
        "a Docker credential helper does not work",
        facts=facts,
        hint="install the helper, or remove it from the file and run `docker login`",
    )


def _unusable(path: Path, reason: object) -> SettingsError:
    return SettingsError("Docker's config cannot be read", facts={"file": path, "reason": reason})
