"""Where packages come from: channels and indexes by their canonical URLs, and the mirrors that serve them.

Locks hold canonical, public URLs only, so that a lock made behind one mirror serves everywhere. Who asks a
server is found by `logins.py`; credentials reach the wire and nothing else.

    sources = Sources(mirrors=(("https://conda.anaconda.org/conda-forge", "http://mirror.example/cf"),))
    channel_url("conda-forge", sources)     # https://conda.anaconda.org/conda-forge
"""

from __future__ import annotations

import atexit
import os
import re
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ..cache.files import store_error
from ..errors import PackageError, PrebakeError, SolveError, StoreError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rattler import Channel, Gateway, MultiSource
    from rattler.networking import Client

_USER_INFO = re.compile(r"(?<=://)[^/\s]+@")  # up to the last @: a password may hold one
_TOKEN = re.compile(r"/t/([^/\s]+)(?=/)")  # anaconda.org's private channels
CHANNEL_SPEC = re.compile(r"(?P<channel>[^\s\[\]'\"]+)::(?P<rest>.+)")
_SUBDIR = re.compile(r"/(?:linux-64|linux-aarch64|noarch)$")
_OS_ERROR = re.compile(r"\(os error (28|30|13|122)\)")
_STATUS = re.compile(r"HTTP status client error \((\d{3})")
# What rattler and uv say when a host is down, slow, or sorry; all worth another try.
NO_ANSWER = re.compile(
    r"error sending request|HTTP status server error|\(429|timed? ?out|Request failed after|connection",
    re.IGNORECASE,
)
_SECONDS_TO_LET_GO = 0.1
_SECRET_FIELD = re.compile(r"(?i)([?&](?:sig|token|access_token|key|password|signature)=)([^&\s\"'`)]+)")


@dataclass(frozen=True)
class Sources:
    """Where a solve may look; the same for every environment of a workspace.

    `mirrors` are (canonical prefix, mirror URL); the first that fits is taken. `default_channels` serve a
    definition that names none, `defaults` is what conda's channel of that name means. URLs are as given in
    the settings, with credentials, so they are not shown.
    """

    mirrors: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    channel_alias: str = "https://conda.anaconda.org"
    default_channels: tuple[str, ...] = field(default=("conda-forge",), repr=False)
    defaults: tuple[str, ...] = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    pip_index: str = field(default="https://pypi.org/simple", repr=False)
    pip_find_links: tuple[str, ...] = field(default=(), repr=False)
    retries: int = 3


@dataclass(frozen=True, eq=False, repr=False)
class Connection:
    """Rattler's HTTP client (mirrors, retries, credentials) and the gateway to repodata built on it."""

    client: Client
    gateway: Gateway


@cache
def connect(sources: Sources, cache_dir: Path) -> Connection:
    """The process's connection: repodata is parsed once (380 000 records: 0.4 s, then 8 ms a solve).

    The gateway does not look at a channel twice; `connect.cache_clear()` starts a new look.
    """
    from rattler import Gateway

    _let_threads_go_at_exit()
    client = make_client(sources)
    return Connection(client, Gateway(cache_dir=cache_dir / "repodata", client=client))


@cache
def _let_threads_go_at_exit() -> None:
    """Once: a thread of rattler's that lets go of Python while it ends kills it (1 of 8 short processes)."""
    atexit.register(time.sleep, _SECONDS_TO_LET_GO)


def make_client(sources: Sources) -> Client:
    """A client with the whole stack: rattler adds none of these to a hand-made one."""
    from rattler.networking import (
        AddHeadersMiddleware,
        AuthenticationMiddleware,
        Client,
        GCSMiddleware,
        MirrorMiddleware,
        OciMiddleware,
        RetryMiddleware,
        S3Middleware,
    )

    from .logins import headers_for

    mirrors: dict[str, list[str]] = {}
    for canonical, mirror in moves(sources):
        mirrors.setdefault(canonical.rstrip("/"), []).append(without_user(mirror).rstrip("/"))
    # Rattler drops a mirror's user info, and leaves an Authorization header alone that is there already.
    logins = AddHeadersMiddleware(lambda host, path: headers_for(host, path, sources))
    stack = [logins, AuthenticationMiddleware(), OciMiddleware(), GCSMiddleware(), S3Middleware()]
    return Client([MirrorMiddleware(mirrors), RetryMiddleware(sources.retries), *stack])


def channel_url(name: str, sources: Sources) -> str:
    """Canonical, public URL of a channel given by name, URL or absolute path; no slash at its end."""
    if "://" in name:
        return public_url(name).rstrip("/")
    if name.startswith("/"):
        return Path(name).as_uri()
    return f"{sources.channel_alias.rstrip('/')}/{name.strip('/')}"


def channels_of(channels: Iterable[str], specs: Iterable[str], sources: Sources) -> tuple[str, ...]:
    """Channels by priority: those listed, then those named only in a `channel::spec`, as conda does."""
    listed = [name for name in channels if name != "nodefaults"]
    listed = listed or [public_place(name) for name in sources.default_channels]
    matches = (CHANNEL_SPEC.fullmatch(text.strip()) for text in specs)
    named = [_SUBDIR.sub("", match["channel"]) for match in matches if match]
    unique: dict[str, str] = {}
    for name in [*listed, *named]:
        unique.setdefault(name if name == "defaults" else channel_url(name, sources), name)
    return tuple(unique.values())


def rattler_channels(names: Iterable[str], sources: Sources) -> list[Channel | MultiSource]:
    """Channels as rattler takes them; `defaults` is one tier of priority, made of several channels."""
    from rattler import Channel, MultiSource

    group = [Channel(url) for url in sources.defaults]
    return [
        MultiSource("defaults", group) if name == "defaults" else Channel(channel_url(name, sources))
        for name in names
    ]


def mirrored(url: str, sources: Sources) -> str:
    """Where to fetch a canonical URL from; may carry a mirror's credentials."""
    return _moved(url, moves(sources))


def moves(sources: Sources) -> tuple[tuple[str, str], ...]:
    """Canonical prefixes and what serves them: the mirrors, and default channels given with credentials."""
    channels = ((public_place(name), name) for name in sources.default_channels if "://" in name)
    return (*sources.mirrors, *(pair for pair in channels if pair[0] != pair[1]))


def canonical_url(url: str, sources: Sources) -> str:
    """The canonical, public form of a URL that a mirror gave."""
    back = tuple((public_url(mirror), canonical) for canonical, mirror in moves(sources))
    return _moved(public_url(url), back)


def public_url(url: str) -> str:
    """The URL without what may be secret: user info, query, fragment, token. For locks."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], _TOKEN.sub("", parts.path), "", ""))


def public_place(place: str) -> str:
    """The same for what may be a folder as well."""
    return public_url(place) if "://" in place else place


def without_user(url: str) -> str:
    """The URL without its user info."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def url_tokens(url: str) -> list[str]:
    """What is secret in a URL besides its user info."""
    return [*_TOKEN.findall(urlsplit(url).path), *(match[2] for match in _SECRET_FIELD.finditer(url))]


def same_server(one: str, other: str) -> bool:
    """Whether two URLs agree on scheme, host and port, which is how far credentials may go."""
    first, second = (urlsplit(without_user(url)) for url in (one, other))
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


def login_hint(url: str) -> str:
    """Where credentials for the server of `url` belong."""
    host = urlsplit(url).hostname or "its host"
    return f"put valid credentials for {host} into ~/.netrc, rattler's auth file or the URL in the settings"


def redact(text: str) -> str:
    """Text without the credentials of the URLs in it. For errors and logs."""
    return _SECRET_FIELD.sub(r"\1***", _TOKEN.sub("/t/***", _USER_INFO.sub("***@", text)))


def disk_error(reason: str, folder: Path) -> StoreError | None:
    """What the kernel said of rattler's own folder: no space, read-only, not permitted, quota."""
    found = _OS_ERROR.search(reason)
    if found is None or "file://" in reason:  # a channel in a folder is not ours
        return None
    number = int(found[1])
    return store_error(OSError(number, os.strerror(number)), folder)


def channel_error(reason: str, channels: Sequence[str], sources: Sources) -> PrebakeError:
    """Tell "does not exist" and "refused" (trying again is useless) from "does not answer"."""
    reason = redact(reason)
    facts = {"channel": redact(_channel_in(reason, channels, sources)), "reason": reason}
    status = _STATUS.search(reason)
    if (status and status[1] in ("404", "410")) or (not status and "could not find subdir" in reason):
        hint = "correct its name or URL under `channels:`"
        return SolveError("the channel does not exist", facts=facts, hint=hint)
    if status and status[1] != "429":
        hint = login_hint(_asked(reason)) if status[1] in ("401", "403", "407") else ""
        return SolveError("the channel refused the request", facts=facts, hint=hint)
    if NO_ANSWER.search(reason):
        hint = "try again, or name a mirror of it"
        return Unreachable("the channel does not answer", facts=facts, hint=hint)
    return PackageError("the channel's package list cannot be read", facts=facts, hint="tell its owner")


def _asked(reason: str) -> str:
    """The URL an error text of rattler names."""
    match = re.search(r"for url \((\S+)\)", reason)
    return match[1] if match else ""


def _channel_in(reason: str, channels: Sequence[str], sources: Sources) -> str:
    """The channel that an error text speaks of; all of them if it names none."""
    urls = {channel_url(name, sources): name for name in channels if name != "defaults"}
    urls |= dict.fromkeys(sources.defaults, "defaults")
    places = {public_url(url): name for url, name in urls.items()}
    places |= {public_url(mirrored(url, sources)): name for url, name in urls.items()}
    return next((name for place, name in places.items() if place in reason), ", ".join(channels))


def _moved(url: str, moves: tuple[tuple[str, str], ...]) -> str:
    for old, new in moves:
        prefix = old.rstrip("/")
        if url == prefix or url.startswith(f"{prefix}/"):
            return new.rstrip("/") + url[len(prefix) :]
    return url
