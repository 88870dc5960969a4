"""Conda packages become layer entries: a group is linked by py-rattler alone, in a stage of its own.

A group is linked from archives, without the base and without the other groups, so its bytes depend on
nothing else. A noarch package needs to know its python: a group that lacks it gets an empty stand-in
package of the same version, whose record is left out of the layer.

Nothing of the target is executed: link scripts are denied and reported (`LinkedGroup.warnings`).
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..cache.digest import digest_stream
from ..cache.files import cut_short
from ..errors import PackageError, PrebakeError
from .conda_meta import link_scripts, normal_meta, read_meta, read_whole, seconds, sizes
from .entry import Content, Entry, Symlink
from .sources import channel_error, connect, disk_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rattler import PackageRecord, RepoDataRecord
    from rattler.networking import Client

    from .lock import CondaPackage
    from .prefix import Prefix
    from .sources import Sources
    from .world import World

# Where rattler puts the loser of two packages that write one path.
CLOBBERS = "__clobbers__"
_STAND_IN_BUILD = "standin_0"
# Rattler drops errors of the last write to a record, and stumbles over it afterwards: a stage has no others.
_UNREADABLE_STAGE = "failed to determine the currently installed packages"


@dataclass(frozen=True)
class Linking:
    """Besides the packages: where the environment will live, platform, network, package cache."""

    prefix: Prefix
    platform: str
    sources: Sources
    client: Client
    package_cache: Path


def linking_for(prefix: Prefix, world: World) -> Linking:
    """Linking with this world's network and cache."""
    client = connect(world.sources, world.cache_dir).client
    return Linking(prefix, world.platform, world.sources, client, world.cache_dir / "pkgs")


@dataclass(frozen=True)
class LinkedGroup:
    """Entries of a group, their contents in the stage, and what the user should know."""

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]


def link_group(packages: Sequence[CondaPackage], stage: Path, linking: Linking) -> LinkedGroup:
    """Link `packages` below `stage`. Raises PackageError, Unreachable, StoreError."""
    return read_linked(packages, link(packages, stage, linking), linking)


def read_linked(packages: Sequence[CondaPackage], root: Path, linking: Linking) -> LinkedGroup:
    """What `link` left at `root`. Raises StoreError if a full disk cut it short."""
    metas = {package: read_meta(root, package) for package in packages}
    entries = [entry for package, meta in metas.items() for entry in _entries(package, meta, root, linking)]
    scripts = [script for package, meta in metas.items() for script in link_scripts(package, meta)]
    return LinkedGroup(tuple(entries), tuple(scripts))


def link(packages: Sequence[CondaPackage], stage: Path, linking: Linking) -> Path:
    """Link `packages` below `stage` in one transaction; returns the prefix's folder there."""
    root = stage / linking.prefix.path.lstrip("/")
    asyncio.run(_link(packages, stage, root, linking))
    _refuse_clobbers(root)
    return root


async def _link(packages: Sequence[CondaPackage], stage: Path, root: Path, linking: Linking) -> None:
    from rattler import PackageCache, Subdir
    from rattler.install import install

    records = [_record(package) for package in packages]
    if linking.prefix.python and not any(package.name == "python" for package in packages):
        records.append(_stand_in(stage, linking.prefix))
    try:
        await install(
            records,
            target_prefix=root,
            alternative_target_prefix=linking.prefix.path,
            package_cache=PackageCache(linking.package_cache),
            platform=Subdir(linking.platform),
            client=linking.client,
            execute_link_scripts=False,
            show_progress=False,
        )
    except Exception as error:  # rattler raises plain classes without a common base
        if _UNREADABLE_STAGE in str(error):
            raise cut_short(root / "conda-meta") from error
        raise _link_error(str(error), packages, linking) from error


def _link_error(reason: str, packages: Sequence[CondaPackage], linking: Linking) -> PrebakeError:
    if disk := disk_error(reason, linking.package_cache):
        return disk
    if "hash mismatch" in reason.lower():
        hint = "lock again: the archive behind this URL was replaced"
        return PackageError("a package is not the one that was locked", facts={"reason": reason}, hint=hint)
    return channel_error(reason, sorted({package.channel for package in packages}), linking.sources)


def _record(package: CondaPackage) -> RepoDataRecord:
    from rattler import RepoDataRecord

    if package.url.startswith("file://"):
        _check_local(package)
    return RepoDataRecord(_package_record(package), package.file_name, package.url, package.channel)


def _package_record(package: CondaPackage) -> PackageRecord:
    from rattler import BuildString, NoArchType, PackageName, PackageRecord, VersionWithSource

    return PackageRecord(
        name=PackageName(package.name),
        version=VersionWithSource(package.version),
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        arch=None,
        platform=None,
        noarch=NoArchType(cast("Any", package.noarch)),
        depends=list(package.depends),
        sha256=bytes.fromhex(package.sha256.hex),
        python_site_packages_path=package.site_packages,
    )


def _check_local(package: CondaPackage) -> None:
    """Rattler checks no digest of a `file://` package, so it is done here."""
    with Path(package.url.removeprefix("file://")).open("rb") as stream:
        found, _ = digest_stream(stream)
    if found != package.sha256:
        raise PackageError(
            "a package is not the one that was locked",
            facts={"package": package.url, "found": found, "allowed": package.sha256},
            hint="lock again, or restore the archive",
        )


def _stand_in(stage: Path, prefix: Prefix) -> RepoDataRecord:
    """An empty package called python: it tells rattler where noarch packages go."""
    from rattler import BuildString, PackageName, PackageRecord, RepoDataRecord, VersionWithSource

    version = prefix.python
    name = f"python-{version}-{_STAND_IN_BUILD}.tar.bz2"
    archive = stage / "stand-in" / name
    archive.parent.mkdir(parents=True)
    index = {"name": "python", "version": version, "build": _STAND_IN_BUILD, "build_number": 0}
    files = {"info/index.json": index | {"depends": [], "subdir": "noarch"}, "info/paths.json": _NO_PATHS}
    with tarfile.open(archive, "w:bz2") as tar:
        for path, data in files.items():
            text = json.dumps(data).encode()
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    record = PackageRecord(
        name=PackageName("python"),
        version=VersionWithSource(version),
        build=BuildString(_STAND_IN_BUILD),
        build_number=0,
        subdir="noarch",
        arch=None,
        platform=None,
        python_site_packages_path=prefix.site_packages or None,
    )
    return RepoDataRecord(record, name, archive.as_uri(), archive.parent.as_uri())


_NO_PATHS: dict[str, Any] = {"paths": [], "paths_version": 1}


def _refuse_clobbers(root: Path) -> None:
    """Two packages of one group wrote one path: stop, unless they wrote the same bytes."""
    for loser in sorted((root / CLOBBERS).rglob("*")):
        if loser.is_dir():
            continue
        package, _, path = loser.relative_to(root / CLOBBERS).as_posix().partition("/")
        if loser.read_bytes() != (root / path).read_bytes():
            raise clobber_error(path, [package, *_claimants(root, path)])


def _claimants(root: Path, path: str) -> Iterator[str]:
    for meta in sorted((root / "conda-meta").glob("*.json")):
        data = json.loads(meta.read_bytes())
        if path in data["files"]:
            yield str(data["name"])


def clobber_error(path: str, owners: Iterable[str]) -> PackageError:
    """Two packages want one path and disagree on its content."""
    return PackageError(
        "two packages write the same file with different content",
        facts={"file": path, "packages": ", ".join(sorted(set(owners)))},
        hint="remove one of them, or ask for versions that do not overlap",
    )


def _entries(package: CondaPackage, meta: Mapping[str, Any], root: Path, linking: Linking) -> Iterator[Entry]:
    index = read_whole(Path(meta["extracted_package_dir"], "info", "index.json"))
    latest = seconds(index.get("timestamp"))
    prefix = linking.prefix.path.lstrip("/")
    owner = f"{package.name}-{package.version}"
    for path, size in sorted(sizes(meta).items()):
        entry = _entry(root / path, f"{prefix}/{path}", latest, owner)
        if size not in (None, entry.size):
            raise cut_short(root / path)
        yield entry
    text = normal_meta(package, meta, index)
    name = f"{prefix}/conda-meta/{package.name}-{package.version}-{package.build}.json"
    yield Entry(name, text, len(text), mtime=latest, owner=owner)


def _entry(staged: Path, path: str, latest: int, owner: str) -> Entry:
    """Packages keep their files' times: a shipped .pyc is valid only for the .py of that time.

    What rattler generates carries the present time instead and gets the package's.
    """
    found = os.lstat(staged)
    mtime = min(int(found.st_mtime), latest)
    if stat.S_ISLNK(found.st_mode):
        content: Content = Symlink(str(staged.readlink()))
        return Entry(path, content, 0, mtime=mtime, owner=owner)
    return Entry(path, staged, found.st_size, bool(found.st_mode & 0o111), mtime, owner)
