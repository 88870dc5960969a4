"""A build context: the files of a folder that a build may see, what of them counts, and how they travel.

What counts is path, kind, permission bits and content (a link's is its target); times and owners do not. A
link stays a link: nothing outside of the folder is ever read.

    files = context_files(Path("docker"), "Dockerfile")
    key = key_of("docker/1", {"context": context_inputs(files)})
    with open("context.tar.gz", "wb") as stream:
        write_pack(files, stream)           # the same bytes for the same content, on any day
    with open("context.tar.gz", "rb") as stream:
        unpack(stream, Path("elsewhere"))   # whole or not at all
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from ..cache.digest import CHUNK, Json, digest_stream
from ..config.places import Place, refusal
from ..errors import DefinitionError, IntegrityError, PackageError
from .dockerignore import NAME, Rule, deciding, matches, rule_for, rules_of

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Iterator, Sequence


Kind = Literal["file", "symlink", "folder"]
_PERMISSIONS = 0o7777


@dataclass(frozen=True)
class ContextFile:
    """One path of a context: relative to its folder, where it is, its permission bits."""

    path: str
    source: Path
    mode: int
    kind: Kind


def context_files(folder: Path, dockerfile: str) -> tuple[ContextFile, ...]:
    """The paths that a build with this Dockerfile may see, sorted; folders come before what is in them.

    Raises DefinitionError for what no build can take: a socket, a device, what may not be read.
    """
    walk = _Walk(rules_of(folder, dockerfile), _always(dockerfile))
    return tuple(sorted(_below(folder, "", (), walk), key=lambda file: _bytes(file.path)))


def hidden(folder: Path, dockerfile: str) -> list[str]:
    """The files that are sent because builds need them, and that `COPY` must not find: they are ignored."""
    rules = rules_of(folder, dockerfile)
    decided = ((path, rule_for(rules, path)) for path in sorted(_always(dockerfile)))
    return [path for path, rule in decided if rule and not rule.keeps]


def _always(dockerfile: str) -> frozenset[str]:
    return frozenset({dockerfile, f"{dockerfile}{NAME}", NAME})


@dataclass(frozen=True)
class _Walk:
    """What decides on the way: rules, and the files that are sent whatever those say."""

    rules: tuple[Rule, ...]
    always: frozenset[str]

    def leaves(self, path: str, matched: tuple[bool, ...]) -> bool:
        rule = deciding(self.rules, matched)
        return rule is not None and not rule.keeps and path not in self.always

    def may_keep_below(self, path: str) -> bool:
        """Whether a path in an ignored folder may be sent: `node_modules` need not be looked through."""
        below = f"{path}/"
        return any(rule.keeps for rule in self.rules) or any(each.startswith(below) for each in self.always)


def _below(folder: Path, at: str, above: tuple[bool, ...], walk: _Walk) -> Iterator[ContextFile]:
    for entry in _entries(folder):
        path, source = f"{at}{entry.name}", folder / entry.name
        matched = matches(walk.rules, path, above)
        leaves = walk.leaves(path, matched)
        if entry.is_dir(follow_symlinks=False):
            closed = leaves and not walk.may_keep_below(path)
            inside = () if closed else tuple(_below(source, f"{path}/", matched, walk))
            if inside or not leaves:
                yield _context_file(path, source)
            yield from inside
        elif not leaves:
            yield _context_file(path, source)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _context_file(path: str, source: Path) -> ContextFile:
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        return ContextFile(path, source, 0o777, "symlink")
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ContextFile(path, source, mode & _PERMISSIONS, "folder" if stat.S_ISDIR(mode) else "file")
    raise refusal(
        "a build context holds what no image can",
        Place(source),
        found="a socket, a pipe or a device",
        allowed="files, folders and symbolic links",
        hint=f"remove it, or add `{path}` to {NAME}",
    )


def _unreadable(path: Path, error: OSError) -> DefinitionError:
    hint = f"give this user permission to read it, or add it to {NAME}"
    return refusal("a build context cannot be read", Place(path), found=str(error.strerror), hint=hint)


def context_inputs(files: Sequence[ContextFile]) -> list[Json]:
    """What of a context decides the image: a line per path, in order. Reads every file."""
    return [[_text(file.path), file.kind, f"{file.mode:04o}", _content(file)] for file in files]


def _content(file: ContextFile) -> str:
    """A file's digest, not its xxh3: these inputs are compared on a hit, and are all that proves it right."""
    try:
        if file.kind == "symlink":
            return _text(str(file.source.readlink()))
        if file.kind == "folder":
            return ""
        with file.source.open("rb", buffering=0) as stream:
            return str(digest_stream(stream)[0])
    except OSError as error:
        raise _unreadable(file.source, error) from None


def _text(name: str) -> str:
    """A name as ASCII, one for each name: canonical JSON is UTF-8 in NFC, and takes some names for others."""
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(_bytes(name))


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def write_pack(files: Iterable[ContextFile], stream: IO[bytes]) -> None:
    """Write a context as tar.gz: a function of what counts, so equal contexts make equal bytes.

    Raises IntegrityError when a file changes meanwhile, DefinitionError when one cannot be read.
    """
    from .encode import GzipEncoder
    from .tar_header import BLOCK

    encoder = GzipEncoder(stream.write)
    for file in files:
        try:
            for data in _member(file):
                encoder.write(data)
        except OSError as error:
            raise _unreadable(file.source, error) from None
    encoder.write(bytes(2 * BLOCK))
    encoder.close()


def _member(file: ContextFile) -> Iterator[bytes]:
    from .entry import FIXED_MTIME
    from .tar import _chunks
    from .tar_header import BLOCK, header

    if file.kind == "symlink":
        yield header(file.path, b"2", file.mode, 0, FIXED_MTIME, str(file.source.readlink()))
    elif file.kind == "folder":
        yield header(f"{file.path}/", b"5", file.mode, 0, FIXED_MTIME)
    else:
        size = file.source.stat().st_size
        yield header(file.path, b"0", file.mode, size, FIXED_MTIME)
        yield from _chunks(file.source, size)
        yield bytes(-size % BLOCK)


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Make `folder`, which must not be there, from what `write_pack` wrote; whole or not at all.

    Raises PackageError for a pack that would reach out of the folder, IntegrityError for a damaged one.
    """
    import tarfile
    from gzip import BadGzipFile
    from tempfile import TemporaryDirectory

    from .base import _plain

    with TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        draft = Path(scratch, "context")
        draft.mkdir()
        try:
            with _plain(stream, "gzip") as plain, tarfile.open(None, "r|", plain) as tar:
                _unpack_all(tar, draft)
        except (tarfile.TarError, BadGzipFile, EOFError, UnicodeError) as error:
            raise IntegrityError("a packed context is damaged", facts={"reason": error}) from None
        draft.rename(folder)


def _unpack_all(tar: tarfile.TarFile, draft: Path) -> None:
    """Every path lies in a folder made here before it, so none of them leads through a link."""
    folders = {"": 0o700}  # what is in it may be setuid
    links = []
    for member in tar:
        parent, _, name = member.name.rpartition("/")
        if parent not in folders or name in ("", ".", "..") or os.path.lexists(draft / member.name):
            raise _hostile(member, "a path out of its folder, out of order, or twice")
        _unpack_member(tar, member, draft / member.name)
        if member.isdir():
            folders[member.name] = member.mode & _PERMISSIONS
        elif member.issym():
            links.append(member)
    for member in links:
        if not Path(os.path.realpath(draft / member.name)).is_relative_to(os.path.realpath(draft)):
            raise _hostile(member, f"a link out of the context, to {member.linkname}")
    for path, mode in reversed(folders.items()):  # the deepest first: a closed folder lets nobody in
        (draft / path).chmod(mode)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if member.isdir():
        target.mkdir()
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.isreg():
        with target.open("xb") as stream:
            _pour(tar, member, stream)
        target.chmod(member.mode & _PERMISSIONS)
    else:
        raise _hostile(member, "neither file, folder nor symbolic link")


def _pour(tar: tarfile.TarFile, member: tarfile.TarInfo, stream: IO[bytes]) -> None:
    source = tar.extractfile(member)
    while source and (chunk := source.read(CHUNK)):
        stream.write(chunk)


def _hostile(member: tarfile.TarInfo, found: str) -> PackageError:
    return PackageError(
        "a packed context is not one that prebake wrote",
        facts={"path": member.name, "found": found},
        hint="pack the folder again; links must stay within it",
    )
