"""What a solve must know of a base image, read once from its layers and then kept in a trace.

Layers are streamed bottom first and nothing is stored: memory holds one libc (2 MB) at most. The topmost
layer wins and whiteouts count (OCI image spec, "layer", "Whiteouts"). Nothing of the image is executed.

    layers = [(blob.media_type, partial(store.open, blob.digest)) for blob in manifest.layers]
    facts = read_facts(layers, "linux-64", "/opt/prebake/env")
    facts.glibc         # "2.36", None on a musl or empty image
    facts.owns_prefix   # "opt/prebake/env/bin" when the image is already there
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from ..cache.ahead import ReadAhead
from ..errors import PackageError
from .facts import BaseFacts
from .tar_scan import Scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..cache.digest import Json

    LayerSource = tuple[str, Callable[[], IO[bytes]]]

_MULTIARCH = {"linux-64": "x86_64-linux-gnu", "linux-aarch64": "aarch64-linux-gnu"}
# Before 2.34 libc.so.6 was a symlink to libc-2.xx.so; both names may be on any of these paths.
_LIBC = re.compile(r"(?:usr/)?lib(?:64)?/(?:[a-z0-9_]+-linux-gnu/)?libc(?:\.so\.6|-2\.\d+\.so)")
_BANNER = re.compile(rb"GNU C Library [^\n\0]*?version (2\.\d+)")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_RELEASE_FIELD = re.compile(r"""^(ID|VERSION_ID)=["']?([^"'\n]*)""", re.MULTILINE)
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST = 64 << 20  # no libc is larger; a hostile tar may claim anything
_HOPS = 8
_BUFFER = 64 << 10  # tarfile copies what is left of it at every header


def read_facts(layers: Iterable[LayerSource], platform: str, prefix: str) -> BaseFacts:
    """Facts of the image made of `layers` (media type and opener), bottom first.

    Raises PackageError when a layer is no readable tar.
    """
    return facts_of((read_changes(*layer, prefix) for layer in layers), platform, prefix)


def read_changes(media_type: str, open_layer: Callable[[], IO[bytes]], prefix: str) -> Changes:
    """What one layer does to the paths of interest. Raises PackageError when it is no readable tar."""
    with open_layer() as blob, _tar(blob, media_type) as tar:
        return _read_layer(tar, prefix.strip("/"))


def facts_of(layers: Iterable[Changes], platform: str, prefix: str) -> BaseFacts:
    """Facts of the image that these layers make, bottom first."""
    image: dict[str, _Found] = {}
    prefix = prefix.strip("/")
    for changes in layers:
        image = changes.apply(image)
    return BaseFacts(platform, _glibc(image, platform), _distribution(image), _owner(image, prefix))


@dataclass(frozen=True)
class _Found:
    """One path of interest: the text read from it, or where it links to; `kind` as in the tar."""

    kind: str
    text: str = ""
    link: str = ""


@dataclass
class Changes:
    """One layer's changes of the paths of interest."""

    found: dict[str, _Found] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)

    @property
    def plain(self) -> bool:
        """Whether a trace keeps them as they are: names may be any bytes, and JSON's are normalised text."""
        links = (found.link for found in self.found.values())
        return all(text.isascii() for text in (*self.found, *links, *self.removed, *self.emptied))

    def to_json(self) -> dict[str, Json]:
        """The changes inside a trace's outputs."""
        found: Json = {path: [each.kind, each.text, each.link] for path, each in self.found.items()}
        return {"found": found, "removed": sorted(self.removed), "emptied": sorted(self.emptied)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Changes:
        """Read what `to_json` wrote."""
        found = {path: _Found(*each) for path, each in data["found"].items()}
        return cls(found, set(data["removed"]), set(data["emptied"]))

    def apply(self, below: Mapping[str, _Found]) -> dict[str, _Found]:
        """The image after this layer. Whiteouts hide lower layers only, wherever they stand in the tar."""
        return {path: found for path, found in below.items() if not self._hides(path)} | self.found

    def _hides(self, path: str) -> bool:
        above = {"", *(path[:index] for index, letter in enumerate(path) if letter == "/")}
        covered = any(self.found[parent].kind != "folder" for parent in above & self.found.keys())
        return covered or bool((above | {path}) & self.removed or above & self.emptied)


def _read_layer(tar: tarfile.TarFile, prefix: str) -> Changes:
    changes = Changes()
    while (member := tar.next()) is not None:
        # tarfile keeps every header it has seen: 100 MB for 100 000 files.
        tar.members.clear()  # type: ignore[attr-defined]
        path = posixpath.normpath(member.name.lstrip("/"))
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            changes.emptied.add(folder)
        elif name.startswith(_WHITEOUT):
            changes.removed.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
        elif not member.isdir() and _matters(path):
            changes.found[path] = _read_member(tar, member, path)
        elif kept := _at_prefix(path, prefix):
            changes.found.setdefault(kept, _Found("folder" if member.isdir() or kept != path else "file"))
        elif not member.isdir() and _holds_libc(path):
            changes.found[path] = _Found("file")
    return changes


def _matters(path: str) -> bool:
    return path in _OS_RELEASE or bool(_LIBC.fullmatch(path))


def _holds_libc(path: str) -> bool:
    """A link where lower layers may have had a folder, such as `lib` on a merged /usr."""
    return path in ("lib", "lib64", "usr", "usr/lib", "usr/lib64", "etc")


def _at_prefix(path: str, prefix: str) -> str:
    """The path cut to what is kept: the prefix, its direct children and its parents, which bounds memory."""
    if path == prefix or prefix.startswith(f"{path}/"):
        return path
    if not path.startswith(f"{prefix}/"):
        return ""
    return f"{prefix}/{path[len(prefix) + 1 :].split('/', 1)[0]}"


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> _Found:
    if member.issym() or member.islnk():
        folder = posixpath.dirname(path) if member.issym() else ""
        return _Found("link", link=posixpath.normpath(posixpath.join("/", folder, member.linkname)))
    stream = tar.extractfile(member) if member.isreg() and member.size <= _MOST else None
    data = stream.read() if stream else b""
    if path in _OS_RELEASE:
        return _Found("file", data.decode(errors="replace"))
    banner = _BANNER.search(data)
    return _Found("file", banner[1].decode() if banner else "")


def _follow(image: Mapping[str, _Found], path: str) -> str:
    """Text at `path`, links followed; a merged /usr makes /lib/x and /usr/lib/x one file."""
    for _ in range(_HOPS):
        found = image.get(path) or image.get(f"usr/{path}")
        if found is None or not found.link:
            return found.text if found else ""
        path = found.link.lstrip("/")
    return ""


def _glibc(image: Mapping[str, _Found], platform: str) -> str | None:
    # The multi-arch folder first: beside it /lib may hold a foreign or 32-bit libc.
    folders = (f"lib/{_MULTIARCH[platform]}", "lib64", "lib")
    versions = (_follow(image, f"{root}{folder}/libc.so.6") for folder in folders for root in ("", "usr/"))
    return next((version for version in versions if version), None)


def _distribution(image: Mapping[str, _Found]) -> str:
    text = next((text for path in _OS_RELEASE if (text := _follow(image, path))), "")
    fields = dict(_RELEASE_FIELD.findall(text))
    return f"{fields.get('ID', '')} {fields.get('VERSION_ID', '')}".strip()


def _owner(image: Mapping[str, _Found], prefix: str) -> str | None:
    inside = sorted(path for path in image if path.startswith(f"{prefix}/"))
    itself = [prefix] if prefix in image else []
    parents = (path for path in image if prefix.startswith(f"{path}/"))
    blocking = (path for path in parents if image[path].kind != "folder")
    return next(iter([*inside, *itself, *blocking]), None)


@contextmanager
def _tar(blob: IO[bytes], media_type: str) -> Iterator[tarfile.TarFile]:
    try:
        with (
            _plain(blob, media_type) as plain,
            ReadAhead(plain) as ahead,
            tarfile.open(None, "r|", ahead, bufsize=_BUFFER, tarinfo=Scanned) as tar,
        ):
            yield tar
            while ahead.read(_BUFFER):  # a stream that checks its digest does so at its end
                pass
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise PackageError(
            "a layer of the base image cannot be read",
            facts={"media type": media_type, "reason": error},
            hint="pull the base image again; if that does not help, it is damaged in its registry",
        ) from error


@contextmanager
def _plain(blob: IO[bytes], media_type: str) -> Iterator[IO[bytes]]:
    """The layer's tar. isal and zstandard are imported here: a hit never reads a base image."""
    if media_type.endswith("zstd"):
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True) as stream:
                yield stream
        except zstandard.ZstdError as error:
            raise tarfile.ReadError(str(error)) from error
    elif media_type.endswith("gzip"):
        from isal import igzip, igzip_lib

        try:
            with igzip.open(blob, "rb") as stream:
                yield stream
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub lacks the base class
            raise tarfile.ReadError(str(error)) from error
    else:
        yield blob
