"""Maven repositories over HTTP or in a folder: each file from the first that has it.

Layout: https://maven.apache.org/repository/layout.html. Mirrors and credentials are those of all sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import urllib3

from ..cache.digest import CHUNK
from ..errors import PackageError, SolveError, Unreachable
from .fetch import locate
from .lock import Jar
from .sources import login_hint, public_url, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cache.directory import DirectoryStore
    from ..cache.store import HashingWriter
    from ..errors import PrebakeError
    from .pom import Coordinate
    from .sources import Sources

_LIMIT = 16 << 20  # the largest POM on Maven Central is far below 1 MB
_GONE = (404, 410)


@dataclass(frozen=True, eq=False, repr=False)
class Repositories:
    """Repositories in their order, by canonical URLs, and the connections to them."""

    urls: tuple[str, ...]
    sources: Sources
    pool: urllib3.PoolManager
    _poms: dict[Coordinate, bytes | None] = field(default_factory=dict)

    def pom(self, asked: Coordinate) -> bytes | None:
        """The POM, None if no repository has it. Raises SolveError, PackageError, Unreachable."""
        if asked not in self._poms:
            self._poms[asked] = self._pom(asked)
        return self._poms[asked]

    def _pom(self, asked: Coordinate) -> bytes | None:
        for url in self.urls:
            if (found := self._open(_path(url, asked, ".pom"))) is not None:
                return _joined(found, asked)
        return None

    def jar(self, asked: Coordinate, classifier: str, store: DirectoryStore) -> Jar | None:
        """The jar, now in `store`, None if no repository has it. Raises as `pom`, and on a wrong checksum."""
        suffix = f"-{classifier}.jar" if classifier else ".jar"
        for url in self.urls:
            place = _path(url, asked, suffix)
            if (chunks := self._open(place)) is not None:
                return self._keep(place, chunks, asked, classifier, store)
        return None

    def _keep(
        self, place: str, chunks: Iterator[bytes], asked: Coordinate, classifier: str, store: DirectoryStore
    ) -> Jar:
        from cryptography.hazmat.primitives import hashes

        sha1 = hashes.Hash(hashes.SHA1())  # what repositories offer most

        def write(writer: HashingWriter) -> None:
            for chunk in chunks:
                writer.write(chunk)
                sha1.update(chunk)

        digest, size = store.create(write)
        self._compare(place, {"sha256": digest.hex, "sha1": sha1.finalize().hex()})
        return Jar(asked.group, asked.artifact, asked.version, public_url(place), digest, size, classifier)

    def _compare(self, place: str, found: dict[str, str]) -> None:
        """By the first checksum that the repository offers; some offer none."""
        for name, value in found.items():
            if (chunks := self._open(f"{place}.{name}")) is not None:
                told = b"".join(chunks).decode(errors="replace").split()
                if not told or told[0].lower() != value:
                    facts = {"jar": redact(place), "found": f"{name} {value}", "allowed": " ".join(told[:1])}
                    hint = "try again; if it stays so, ask the repository's owner"
                    raise PackageError("a jar is not what its checksum says", facts=facts, hint=hint)
                return

    def _open(self, canonical: str) -> Iterator[bytes] | None:
        """The chunks of what is at a URL; None if nothing is."""
        place = locate(canonical, self.sources)
        if place.url.startswith("file://"):
            return _read_file(Path(unquote(urlsplit(place.url).path)))
        retries = urllib3.Retry(
            self.sources.retries, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504)
        )
        try:
            answer = self.pool.request(
                "GET", place.url, headers=place.headers, retries=retries, timeout=60.0, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise _no_answer(canonical, error) from error
        if answer.status != 200:
            answer.drain_conn()
            if answer.status in _GONE:
                return None
            raise _refused(canonical, place.url, answer.status)
        return _chunks(answer, canonical)


def _path(url: str, asked: Coordinate, suffix: str) -> str:
    folder = f"{asked.group.replace('.', '/')}/{asked.artifact}/{asked.version}"
    return f"{url}/{folder}/{asked.artifact}-{asked.version}{suffix}"


def _read_file(path: Path) -> Iterator[bytes] | None:
    return iter((path.read_bytes(),)) if path.is_file() else None


def _chunks(answer: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
    try:
        yield from answer.stream(CHUNK)
    except urllib3.exceptions.HTTPError as error:
        raise _no_answer(url, error) from error
    finally:
        answer.release_conn()


def _joined(chunks: Iterator[bytes], asked: Coordinate) -> bytes:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > _LIMIT:
            facts = {"POM": asked, "allowed": f"{_LIMIT} bytes"}
            raise PackageError("a POM is too long", facts=facts, hint="ask its publisher")
    return data


def _no_answer(url: str, error: Exception) -> Unreachable:
    facts = {"file": redact(url), "reason": redact(str(error))}
    return Unreachable(
        "a Maven repository does not answer", facts=facts, hint="try again, or name a mirror of it"
    )


def _refused(url: str, asked: str, status: int) -> PrebakeError:
    facts = {"file": redact(url), "status": status}
    if status >= 500 or status == 429:
        return Unreachable("a Maven repository does not answer", facts=facts, hint="try again")
    hint = login_hint(asked) if status in (401, 403, 407) else ""
    return SolveError("a Maven repository refused the request", facts=facts, hint=hint)
