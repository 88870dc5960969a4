"""A lock as `conda-lock.yml`, and back: the one place that touches conda-lock's semi-private models.

The file is what conda-lock's own writer makes of its own models (v1), so `conda-lock render` and `install`
take it. It keeps less than our Lock does: size, constrains and the kind of a noarch package are not in it.
Nothing here reaches out: the name mapping that conda-lock downloads serves its parser, which is not used.

    Path("conda-lock.yml").write_text(to_conda_lock(lock, "environment.yml"))
    lock = from_conda_lock(Path("conda-lock.yml"), Target("linux-64", "2.36"))
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..cache.digest import Digest
from ..errors import DefinitionError, PackageError
from .lock import CondaPackage, Lock, Target, Wheel
from .sources import public_url, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# `py311h1234567_0`, `20_gnu`, `h1234567_0_cpython`: a whole word of digits, the last one.
_BUILD_NUMBER = re.compile(r"(?<![^_])\d+(?![^_])")


def to_conda_lock(lock: Lock, source: str) -> str:
    """The lock as conda-lock writes it; `source` is the definition's file name.

    The content hash is the lock's own digest: conda-lock then never takes the file for one it solved.
    Raises PackageError when a conda package has no md5, which the format demands.
    """
    with _own_environment():
        from conda_lock.lockfile import write_conda_lock_file
        from conda_lock.lockfile.v2prelim.models import Lockfile, LockMeta
    platform = lock.target.platform
    packages = [_conda_entry(package, platform) for package in lock.conda]
    packages += [_pip_entry(wheel, platform) for wheel in lock.pip]
    cuda = {"cuda": lock.target.cuda} if lock.target.cuda else {}
    metadata = LockMeta(
        content_hash={platform: Digest.of(lock.to_bytes()).hex},
        channels=[public_url(channel) if "://" in channel else channel for channel in lock.channels],
        platforms=[platform],
        sources=[source],
        custom_metadata={"glibc": lock.target.glibc} | cuda,
    )
    content = Lockfile(package=packages, metadata=metadata)
    with TemporaryDirectory(prefix="prebake-lock-") as folder:
        path = Path(folder) / "conda-lock.yml"
        write_conda_lock_file(content, path, metadata_choices=None)
        return path.read_text()


def from_conda_lock(path: Path, target: Target) -> Lock:
    """The packages a conda-lock file has for `target`, its optional categories left out.

    What the file does not say is derived: a noarch package that depends on python is a python one.
    Raises DefinitionError for an unreadable file and PackageError for an entry that cannot be verified.
    """
    content = _parse(path)
    entries = [entry for entry in content.package if entry.platform == target.platform]
    if not entries:
        platforms = ", ".join(content.metadata.platforms)
        raise DefinitionError(
            f"the lock file has no packages for {target.platform}",
            facts={"file": path, "platforms": platforms},
            hint=f"lock again with `conda-lock lock --platform {target.platform}`",
        )
    main = sorted((entry for entry in entries if "main" in entry.categories), key=lambda entry: entry.name)
    channels = tuple(channel.url for channel in content.metadata.channels)
    conda = tuple(_conda_package(entry, target) for entry in main if entry.manager == "conda")
    return Lock(target, channels, conda, tuple(_wheel(entry) for entry in main if entry.manager == "pip"))


def _parse(path: Path) -> Any:
    import yaml

    with _own_environment():
        from conda_lock.errors import CondaLockError
        from conda_lock.lockfile import parse_conda_lock_file
    try:
        return parse_conda_lock_file(path)
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, CondaLockError) as error:
        raise DefinitionError(
            "not a conda-lock file",
            facts={"file": path, "reason": "\n".join(redact(str(error)).splitlines()[:5])},
            hint="write it again with conda-lock 2 or later",
        ) from error


def _conda_entry(package: CondaPackage, platform: str) -> Any:
    from conda_lock.lockfile.v2prelim.models import HashModel, LockedDependency

    if package.md5 is None:
        raise PackageError(
            f"`{package.file_name}` has no md5, which conda-lock.yml demands",
            facts={"package": package.url},
            hint="index the channel again with md5, or keep the lock in our own form",
        )
    return LockedDependency(
        name=package.name,
        version=package.version,
        manager="conda",
        platform=platform,
        dependencies=_by_name(package.depends),
        url=public_url(package.url),
        hash=HashModel(md5=package.md5, sha256=package.sha256.hex),
        categories={"main"},
    )


def _pip_entry(wheel: Wheel, platform: str) -> Any:
    from conda_lock.lockfile.v2prelim.models import HashModel, LockedDependency

    return LockedDependency(
        name=wheel.name,
        version=wheel.version,
        manager="pip",
        platform=platform,
        dependencies=_by_name(wheel.depends),
        url=public_url(wheel.url),
        hash=HashModel(sha256=wheel.sha256.hex),
        categories={"main"},
    )


def _by_name(depends: tuple[str, ...]) -> dict[str, str]:
    """`name version build` by name: the build dropped, bounds on one name joined, as conda-lock does."""
    bounds: dict[str, list[str]] = {}
    for text in depends:
        name, _, bound = text.partition(" ")
        bounds.setdefault(name, []).extend(bound.split()[:1])
    return {name: ",".join(found) for name, found in bounds.items()}


def _conda_package(entry: Any, target: Target) -> CondaPackage:
    url = public_url(entry.url)
    folder, _, file_name = url.rpartition("/")
    channel, _, subdir = folder.rpartition("/")
    build = file_name.removesuffix(".conda").removesuffix(".tar.bz2").rpartition("-")[2]
    numbers = _BUILD_NUMBER.findall(build)
    return CondaPackage(
        name=entry.name,
        version=entry.version,
        build=build,
        build_number=int(numbers[-1]) if numbers else 0,
        subdir=subdir,
        url=url,
        channel=channel,
        sha256=_sha256(entry),
        md5=entry.hash.md5,
        depends=tuple(f"{name} {bound}".strip() for name, bound in entry.dependencies.items()),
        noarch=_noarch(subdir, entry.dependencies),
        site_packages=_site_packages(entry.version) if entry.name == "python" else None,
    )


def _noarch(subdir: str, dependencies: Mapping[str, str]) -> str | None:
    if subdir != "noarch":
        return None
    return "python" if "python" in dependencies else "generic"


def _site_packages(version: str) -> str:
    major, minor = version.split(".")[:2]
    return f"lib/python{major}.{minor}/site-packages"


def _wheel(entry: Any) -> Wheel:
    url = public_url(entry.url)
    if not url.endswith(".whl"):
        raise PackageError(
            f"`{entry.name}` is locked as a source archive",
            facts={"url": url},
            hint="lock a version that has a wheel",
        )
    depends = tuple(f"{name} {bound}".strip() for name, bound in entry.dependencies.items())
    return Wheel(entry.name, entry.version, url, _sha256(entry), depends=depends)


def _sha256(entry: Any) -> Digest:
    if entry.hash.sha256 is None:
        raise PackageError(
            f"`{entry.name}` has no sha256 in the lock file",
            facts={"url": redact(entry.url)},
            hint="lock again with a channel that gives sha256: what cannot be verified is not used",
        )
    return Digest(entry.hash.sha256)


@contextmanager
def _own_environment() -> Iterator[None]:
    """Importing conda_lock sets CONDA_ROOT, which every conda tool started later would obey."""
    before = os.environ.get("CONDA_ROOT")
    try:
        yield
    finally:
        os.environ.pop("CONDA_ROOT", None)
        if before is not None:
            os.environ["CONDA_ROOT"] = before
