"""One repository in a registry, in the verbs of the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
Bytes are never believed: manifests and blobs are compared with their digest on the way in, and the
registry is given the digest on the way out. A miss is `None` or `False`; all else is raised.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from ..errors import IntegrityError, PrebakeError, RegistryError, Unreachable
from .digest import Digest
from .index import Document, parse_json, pick
from .oci import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Platform
from .pull import open_verified
from .request import Refused, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

    from urllib3 import BaseHTTPResponse

    from .reference import Reference
    from .request import Opener
    from .transport import Transport

T = TypeVar("T")
# What registries say when a manifest points at a blob that they collected in the meantime.
BLOB_GONE = {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}
# What one attempt to commit an upload may take beyond the usual: registries hash and copy then.
_COMMIT_BYTES_PER_SECOND = 20_000_000
_LEAST_CHUNK = 16 << 20
_PARALLEL = 8
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_OCTETS = {"Content-Type": "application/octet-stream"}
# An upload session that is lost is started anew, e.g. when a load balancer changed its mind.
_SESSION_LOST = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}
_NEXT_PAGE = re.compile(r"""<([^>]*)>[^,]*\brel="?next\b""")


class Mount(Enum):
    """How a registry answers a mount; true if the blob is there now."""

    DONE = 201
    DECLINED = 202
    REFUSED = 403

    def __bool__(self) -> bool:
        return self is Mount.DONE


@dataclass(frozen=True)
class Repository:
    """`registry/name` behind a transport.

    >>> Repository.of(transport, Reference.parse("python")).resolve("3.13", Platform())   # doctest: +SKIP
    """

    transport: Transport
    registry: str
    name: str

    @classmethod
    def of(cls, transport: Transport, reference: Reference) -> Repository:
        """The repository that `reference` is in."""
        return cls(transport, reference.registry, reference.repository)

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    def head(self, selector: str) -> Digest | None:
        """Digest of the manifest at a tag or digest; asks for the body where registries do not tell it."""
        response = self._send("HEAD", f"manifests/{selector}", (200, 404), headers=_ACCEPT)
        if response.status == 404:
            return None
        told = response.headers.get("Docker-Content-Digest")
        if told:
            return Digest.parse(told)
        document = self.manifest(selector)
        return document.digest if document else None

    def manifest(self, selector: str) -> Document | None:
        """The manifest or index at a tag or digest, compared with the digest asked for and the one told."""
        response = self._send("GET", f"manifests/{selector}", (200, 404), headers=_ACCEPT)
        if response.status == 404:
            return None
        digest = Digest.of(response.data)
        asked = selector if ":" in selector else response.headers.get("Docker-Content-Digest")
        if asked and asked != str(digest):
            raise _altered(self, asked, digest)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type not in MANIFEST_TYPES:
            media_type = str(parse_json(response.data, self).get("mediaType", media_type))
        return Document(media_type, digest, response.data)

    def resolve(self, selector: str, platform: Platform) -> Document | None:
        """The manifest for `platform` at a tag or digest; an index is looked through."""
        found = self.manifest(selector)
        if found is None or found.media_type not in INDEX_TYPES:
            return found
        picked = pick(found, platform, f"{self}:{selector}")
        manifest = self.manifest(str(picked))
        if manifest is None:
            facts = {"repository": self, "index": found.digest, "manifest": picked}
            raise RegistryError("an index points at a manifest that is gone", facts=facts)
        return manifest

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether the blob is there, with its size: cut uploads have left shorter ones behind."""
        response = self._send("HEAD", f"blobs/{blob.digest}", (200, 404))
        return response.status == 200 and response.headers.get("Content-Length") in (None, str(blob.size))

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not there."""
        asked = tuple({blob.digest: blob for blob in blobs}.values())
        with ThreadPoolExecutor(_PARALLEL) as pool:
            there = pool.map(self.has_blob, asked)
            return {blob.digest for blob, has in zip(asked, there, strict=True) if not has}

    def open_blob(self, digest: Digest) -> IO[bytes]:
        """Stream a blob; the read that completes it raises IntegrityError if it is another.

        A cut connection is resumed where it broke. Raises BlobNotFound.
        """
        target = f"/v2/{self.name}/blobs/{digest}"
        request = Request("GET", self.registry, self.name, target, stream=True)
        return open_verified(self.transport, request, digest)

    def mount(self, digest: Digest, source: str) -> Mount:
        """Take the blob over from repository `source` of the same registry, if that may be read there."""
        target = "blobs/uploads/?" + urlencode({"mount": str(digest), "from": source})
        refusals = (202, 400, 401, 403, 404, 405)
        response = self._push("POST", target, (201, *refusals), mounts=(source,))
        if response.status == 202:
            self._cancel(response)
        return Mount(response.status) if response.status < 300 else Mount.REFUSED

    def upload(self, blob: Descriptor, open_blob: Opener) -> None:
        """Send a blob in one piece, or in chunks where a proxy says that one piece is too large."""
        try:
            self._again(lambda: self._upload_whole(blob, open_blob), _session_lost)
        except Refused as error:
            if error.status != 413:
                raise
            self._again(lambda: self._upload_chunks(blob, open_blob), _session_lost)

    def put_manifest(self, selector: str, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or its digest."""
        headers = {"Content-Type": media_type}
        put = partial(self._push, "PUT", f"manifests/{selector}", (201,), headers=headers, body=data)
        response = self._again(put, _link_half_written)
        digest = Digest.of(data)
        told = response.headers.get("Docker-Content-Digest", str(digest))
        if told != str(digest):
            raise _altered(self, digest, told)
        return digest

    def read_back(self, digest: Digest) -> None:
        """Check that a manifest just put can be read. Raises Unreachable if not: try the push again."""
        if self.manifest(str(digest)) is None:
            facts = {"repository": self, "manifest": digest}
            raise Unreachable("a manifest was accepted but cannot be read back", facts=facts)

    def tags(self) -> Iterator[str]:
        """All tags (distribution spec, "Listing Tags"); none if there is no such repository."""
        for page in self._pages("tags/list"):
            yield from page.get("tags") or ()

    def referrers(self, digest: Digest) -> list[dict[str, Any]] | None:
        """Descriptors of what names `digest` as its subject; None if the registry lacks the API."""
        pages = list(self._pages(f"referrers/{digest}"))
        return [each for page in pages for each in page.get("manifests") or ()] if pages else None

    def _pages(self, target: str) -> Iterator[dict[str, Any]]:
        """A listing, page by page; none at all if there is no such thing."""
        page = f"/v2/{self.name}/{target}"
        while page:
            response = self._send("GET", page, (200, 404))
            if response.status == 404:
                return
            yield parse_json(response.data, f"{self} {target}")
            link = _NEXT_PAGE.search(response.headers.get("Link", ""))
            page = urlsplit(urljoin(page, link[1]))._replace(scheme="", netloc="").geturl() if link else ""

    def delete_manifest(self, digest: Digest) -> None:
        """Delete a manifest and its tags; it may be gone already. Raises Refused (405) if disabled."""
        self._send("DELETE", f"manifests/{digest}", (200, 202, 204, 404), actions="pull,delete")

    def _send(self, method: str, target: str, expected: tuple[int, ...], **more: Any) -> BaseHTTPResponse:
        path = target if "://" in target or target.startswith("/") else f"/v2/{self.name}/{target}"
        return self.transport.send(Request(method, self.registry, self.name, path, **more), *expected)

    def _push(self, method: str, target: str, expected: tuple[int, ...], **more: Any) -> BaseHTTPResponse:
        return self._send(method, target, expected, actions="pull,push", **more)

    def _again(self, send: Callable[[], T], passes: Callable[[PrebakeError], bool]) -> T:
        """Try several times while `passes` says that the error may; each upload in a session of its own."""
        patience = self.transport.patience
        for attempt in range(1, patience.attempts):
            try:
                return send()
            except PrebakeError as error:
                if not passes(error):
                    raise
                patience.rest(attempt, error)
        return send()

    def _cancel(self, response: BaseHTTPResponse) -> None:
        """Close an upload session that nobody needs; one that stays open is the registry's to forget."""
        with suppress(RegistryError, Unreachable):
            self._push("DELETE", self._next(response), (200, 202, 204), repeatable=False)

    def _begin(self) -> BaseHTTPResponse:
        return self._push("POST", "blobs/uploads/", (202,))

    def _upload_whole(self, blob: Descriptor, open_blob: Opener) -> None:
        self._push(
            "PUT",
            self._next(self._begin(), blob.digest),
            (201,),
            headers=_OCTETS | {"Content-Length": str(blob.size)},
            body=open_blob,
            repeatable=False,
            read_timeout=self._commit_time(blob),
        )

    def _upload_chunks(self, blob: Descriptor, open_blob: Opener) -> None:
        response = self._begin()
        size = max(int(response.headers.get("OCI-Chunk-Min-Length", 0)), _LEAST_CHUNK)
        offset = 0
        with closing(open_blob()) as stream:
            while chunk := stream.read(size):
                headers = _OCTETS | {"Content-Range": f"{offset}-{offset + len(chunk) - 1}"}
                response = self._push(
                    "PATCH", self._next(response), (202,), headers=headers, body=chunk, repeatable=False
                )
                offset += len(chunk)
        target = self._next(response, blob.digest)
        self._push("PUT", target, (201,), repeatable=False, read_timeout=self._commit_time(blob))

    def _commit_time(self, blob: Descriptor) -> float:
        return self.transport.patience.read + blob.size / _COMMIT_BYTES_PER_SECOND

    def _next(self, response: BaseHTTPResponse, digest: Digest | None = None) -> str:
        """Where a session goes on; a registry behind a TLS proxy may name itself with `http:`."""
        location = urlsplit(response.headers.get("Location", ""))
        if not location.path:
            raise RegistryError("an upload was opened without a location", facts={"repository": self})
        if location.netloc == urlsplit(self.transport.base_url(self.registry)).netloc:
            location = location._replace(scheme="", netloc="")
        if digest:
            query = urlencode([*parse_qsl(location.query, keep_blank_values=True), ("digest", str(digest))])
            location = location._replace(query=query)
        return location.geturl()


def _link_half_written(error: PrebakeError) -> bool:
    """docker-registry 2.8 writes the link to a blob in place.

    Whoever puts a manifest that names a blob while another puts that blob is told so; it passes.
    """
    return isinstance(error, Refused) and "DIGEST_INVALID" in error.codes


def _session_lost(error: PrebakeError) -> bool:
    return isinstance(error, Unreachable) or (
        isinstance(error, Refused) and not _SESSION_LOST.isdisjoint(error.codes)
    )


def _altered(repository: Repository, expected: object, found: object) -> IntegrityError:
    facts = {"repository": repository, "expected": expected, "found": found}
    return IntegrityError("a registry's bytes are not what their digest says", facts=facts)
