"""Archives come into the local store by digest: what is there already is not fetched again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..cache.digest import CHUNK
from ..errors import PackageError, Unreachable
from .sources import mirrored, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..cache.digest import Digest
    from ..cache.directory import DirectoryStore
    from ..cache.store import HashingWriter
    from .lock import Wheel
    from .sources import Sources

RETRIES = 4


def fetch(wheel: Wheel, store: DirectoryStore, sources: Sources) -> Path:
    """The path of a locked wheel. Raises Unreachable, PackageError when the bytes are not those locked."""
    path = store.path(wheel.sha256)
    if not path.exists():
        url = mirrored(wheel.url, sources)
        store.put_expected(wheel.sha256, lambda writer: _copy(url, writer), _not_as_locked(wheel))
    return path


def _not_as_locked(wheel: Wheel) -> Callable[[Digest], PackageError]:
    return lambda found: PackageError(
        "a package is not the one that was locked",
        facts={"package": redact(wheel.url), "found": found, "allowed": wheel.sha256},
        hint="lock again: the archive behind this URL was replaced",
    )


def _copy(url: str, writer: HashingWriter) -> None:
    chunks = _read_file(url) if url.startswith("file://") else _read_http(url)
    for chunk in chunks:
        writer.write(chunk)


def _read_file(url: str) -> Iterator[bytes]:
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except FileNotFoundError as error:
        hint = "restore the file, or lock again"
        raise PackageError("a locked package is gone", facts={"package": url}, hint=hint) from error


def _read_http(url: str) -> Iterator[bytes]:
    import urllib3

    retries = urllib3.Retry(RETRIES, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504))
    try:
        answer = urllib3.request("GET", url, preload_content=False, retries=retries, timeout=60.0)
        if answer.status != 200:
            raise _refused(url, answer.status)
        yield from answer.stream(CHUNK)
    except urllib3.exceptions.HTTPError as error:
        facts = {"package": redact(url), "reason": redact(str(error))}
        raise Unreachable("a package cannot be fetched", facts=facts, hint="try again") from error


def _refused(url: str, status: int) -> PackageError:
    facts = {"package": redact(url), "status": status}
    gone = status in (404, 410)
    hint = "lock again: the index has withdrawn it" if gone else "give credentials for the index"
    return PackageError("the index does not give a locked package", facts=facts, hint=hint)
