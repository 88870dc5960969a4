"""Who asks a channel or an index: found per server, sent to that server, kept out of everything else.

    place                                        serves                    as
    1. user info in a setting's URL              that server, all of it    basic
    2. `keyring`, if UV_KEYRING_PROVIDER asks    a setting's URL with a    basic
       for `subprocess`                          user and no password
    3. the file RATTLER_AUTH_FILE names          its hosts, `*.domain`     basic, bearer, conda token
    4. ~/.rattler/credentials.json               the same                  the same
    5. netrc: the file NETRC names, or ~/.netrc  its hosts, `default`      basic

The first that knows the server is taken; 2 to 5 serve a URL that names a user only if they speak of that
user. A user without any password is sent as it is: many servers take a token there. Rattler's client, our own
fetches and uv's default index all go by this table; conda tokens are not for uv and bearer tokens neither.
Registries have Docker's places instead (`cache/credentials.py`).

    >>> Login("alice", "secret")
    Login(scheme='basic')
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..errors import SettingsError
from .sources import mirrored, moves, same_server, without_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .sources import Sources

_KEYRING_SECONDS = 60


@dataclass(frozen=True)
class Login:
    """How a server is told who asks. A `conda-token` goes into the URL's path, the others into a header."""

    user: str = field(repr=False)
    secret: str = field(repr=False)
    scheme: Literal["basic", "bearer", "conda-token"] = "basic"

    def headers(self) -> dict[str, str]:
        """The header that carries it."""
        if self.scheme == "basic":
            return {"Authorization": f"Basic {self.basic()}"}
        return {"Authorization": f"Bearer {self.secret}"} if self.scheme == "bearer" else {}

    def basic(self) -> str:
        """User and password as basic authentication codes them (RFC 7617)."""
        return base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()

    def into_url(self, url: str) -> str:
        """The URL with as much of the login as a URL can hold."""
        parts = urlsplit(url)
        if self.scheme == "conda-token":
            return urlunsplit(parts._replace(path=f"/t/{quote(self.secret, safe='')}{parts.path}"))
        if self.scheme == "bearer":
            return url
        user = ":".join(quote(part, safe="") for part in (self.user, self.secret) if part)
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def find_login(url: str, sources: Sources) -> Login | None:
    """Who asks the server of `url`, by the table above. Raises SettingsError for an unreadable auth file."""
    given = _given((url, *setting_urls(sources)), url)
    if given and given.secret:
        return given
    stored = (_ask_keyring(url, given.user) if given else None) or _stored(urlsplit(url).hostname or "")
    return given if given and (not stored or stored.user != given.user) else stored


def headers_for(host: str, path: str, sources: Sources) -> dict[str, str]:
    """The same for rattler, which tells neither scheme nor port: a setting's URL has to be above `path`."""
    above = next(_above(host, path, sources), None)
    login = find_login(above, sources) if above else _stored(host)
    return login.headers() if login else {}


def with_login(url: str, sources: Sources) -> str:
    """A URL for a program that takes no headers."""
    login = find_login(url, sources) if "://" in url else None
    return login.into_url(without_user(url)) if login and login.scheme == "basic" else url


def setting_urls(sources: Sources) -> tuple[str, ...]:
    """All URLs of the settings as they were given: what may hold user info."""
    served = (mirrored(sources.pip_index, sources), *sources.pip_find_links)
    return (*(place for _, place in moves(sources)), *served)


def _above(host: str, path: str, sources: Sources) -> Iterator[str]:
    for url in setting_urls(sources):
        parts = urlsplit(url)
        if parts.hostname == host and f"{path}/".startswith(f"{parts.path.rstrip('/')}/"):
            yield url


def _given(places: Iterable[str], url: str) -> Login | None:
    for place in places:
        user_info = urlsplit(place).netloc.rpartition("@")[0]
        if user_info and same_server(place, url):
            user, _, password = user_info.partition(":")
            return Login(unquote(user), unquote(password))
    return None


def _stored(host: str) -> Login | None:
    named = os.environ.get("RATTLER_AUTH_FILE")
    files = [Path(named)] if named else []
    for path in [*files, Path("~/.rattler/credentials.json").expanduser()]:
        if login := _from_rattler(path, host):
            return login
    return _from_netrc(host)


def _from_rattler(path: Path, host: str) -> Login | None:
    """Hosts without a port, then wildcards, nearest domain first: as rattler reads its file."""
    try:
        entries = json.loads(path.read_bytes())
        domains = host.split(".")
        names = [host, *(f"*.{'.'.join(domains[start:])}" for start in range(len(domains)))]
        return next((_as_login(entries[name]) for name in names if name in entries), None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        facts = {"file": path, "reason": type(error).__name__}  # a parser's words may quote the file
        raise SettingsError("rattler's auth file cannot be read", facts=facts) from None


def _as_login(entry: Any) -> Login | None:
    """None for what other protocols use: S3 keys, OAuth."""
    if not isinstance(entry, dict):
        raise TypeError
    if basic := entry.get("BasicHTTP"):
        return Login(str(basic["username"]), str(basic["password"]))
    if bearer := entry.get("BearerToken"):
        return Login("", str(bearer), "bearer")
    token = entry.get("CondaToken")
    return Login("", str(token), "conda-token") if token else None


def _from_netrc(host: str) -> Login | None:
    file = os.environ.get("NETRC", os.path.expanduser("~/.netrc"))  # noqa: PTH111  (a user may have no home)
    if not Path(file).exists():
        return None
    import netrc  # 2 ms, and few have such a file

    try:
        found = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return Login(found[0], found[2] or "") if found else None


def _ask_keyring(url: str, user: str) -> Login | None:
    """As uv asks: for the URL, then for the server. One that does not work knows nothing."""
    if os.environ.get("UV_KEYRING_PROVIDER") != "subprocess":
        return None
    import subprocess

    plain = without_user(url)
    for service in (plain, urlsplit(plain).netloc):
        command = ["keyring", "get", service, user]
        try:
            answer = subprocess.run(command, capture_output=True, timeout=_KEYRING_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if answer.returncode == 0 and (password := answer.stdout.decode().rstrip("\n")):
            return Login(user, password)
    return None
