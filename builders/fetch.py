"""Archives come into the local store by digest: what is there already is not fetched again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from ..cache.digest import CHUNK, digest_stream
from ..cache.files import touch
from ..errors import PackageError, PrebakeError, Unreachable
from .logins import find_login
from .sources import login_hint, mirrored, redact, without_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..cache.digest import Digest
    from ..cache.directory import DirectoryStore
    from ..cache.store import HashingWriter
    from .sources import Sources

RETRIES = 4
_PARALLEL = 4


class Archive(Protocol):
    """A locked wheel or source."""

    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> Digest: ...  # noqa: D102


def fetch_all(archives: Sequence[Archive], store: DirectoryStore, sources: Sources) -> list[Path]:
    """The paths of archives, several fetched at a time. Raises as `fetch`."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda archive: fetch(archive, store, sources), archives))


def fetch(archive: Archive, store: DirectoryStore, sources: Sources) -> Path:
    """The path of a locked archive. Raises Unreachable, PackageError when the bytes are not those locked."""
    path = store.path(archive.sha256)
    if not _is_whole(path, archive.sha256):
        place = locate(archive.url, sources)
        store.put_expected(archive.sha256, lambda writer: _copy(place, writer), _not_as_locked(archive))
    return path


@dataclass(frozen=True)
class Located:
    """Where a canonical URL is fetched from, and the header with its credentials; a token is in the URL."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def locate(canonical: str, sources: Sources) -> Located:
    """The mirror of a canonical URL, and the credentials its server has (`logins.py`)."""
    url = mirrored(canonical, sources)
    login = find_login(url, sources) if "://" in url and not url.startswith("file:") else None
    plain = without_user(url)
    if login and login.scheme == "conda-token":
        return Located(login.into_url(plain), {})
    return Located(plain, login.headers() if login else {})


def _is_whole(path: Path, digest: Digest) -> bool:
    """Whether the archive is there; read, because only a build pays for that (1 GB/s)."""
    try:
        touch(path)  # no trace reaches an archive: prune spares it for its youth alone
        with path.open("rb") as stream:
            return digest_stream(stream)[0] == digest
    except FileNotFoundError:
        return False


def _not_as_locked(archive: Archive) -> Callable[[Digest], PackageError]:
    return lambda found: PackageError(
        "a package is not the one that was locked",
        facts={"package": redact(archive.url), "found": found, "allowed": archive.sha256},
        hint="the archive behind this URL was replaced; if that is right, build with --refresh",
    )


def _copy(place: Located, writer: HashingWriter) -> None:
    for chunk in _read_file(place.url) if place.url.startswith("file://") else _read_http(place):
        writer.write(chunk)


def _read_file(url: str) -> Iterator[bytes]:
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except FileNotFoundError as error:
        hint = "restore the file, or build with --refresh"
        raise PackageError("a locked package is gone", facts={"package": url}, hint=hint) from error


def _read_http(place: Located) -> Iterator[bytes]:
    import urllib3

    url, headers = place.url, place.headers
    retries = urllib3.Retry(RETRIES, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504))
    try:
        answer = urllib3.request(
            "GET", url, headers=headers, preload_content=False, retries=retries, timeout=60.0
        )
        if answer.status != 200:
            raise _refused(url, answer.status)
        yield from answer.stream(CHUNK)
    except urllib3.exceptions.HTTPError as error:
        facts = {"package": redact(url), "reason": redact(str(error))}
        raise Unreachable("a package cannot be fetched", facts=facts, hint="try again") from error


def _refused(url: str, status: int) -> PrebakeError:
    facts = {"package": redact(url), "status": status}
    if status >= 500:
        return Unreachable("a package cannot be fetched", facts=facts, hint="try again")
    hint = "the index has withdrawn it; build with --refresh to take another" if status in (404, 410) else ""
    if status in (401, 403, 407):
        hint = login_hint(url)
    return PackageError("the index does not give a locked package", facts=facts, hint=hint)
