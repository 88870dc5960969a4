"""What conda's packages offer to pip: a python and the dists in its site-packages.

The dists are read from each archive's list of paths, exact and without a table of names; that is two range
requests per archive, once ever: a memo keeps them by the package's sha256.

    conda = conda_interface(packages, lambda: connect(sources, cache_dir).client, memo={})
    conda.dists     # (("numpy", "2.4.6"), ...)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import PackageError, SolveError, Unreachable
from .sources import NO_ANSWER, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from rattler.networking import Client

    from .lock import CondaPackage

# conda-forge writes dist-info folders; old setuptools wrote egg-info files.
_DIST = re.compile(r"(?:^|/)site-packages/([^/]+?)-([^/-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info(?:/|$)")
_PARALLEL = 16


@dataclass(frozen=True)
class CondaInterface:
    """All that pip sees of conda's packages: the python and the dists (normalised name, version)."""

    python: str
    dists: tuple[tuple[str, str], ...] = ()


def conda_interface(
    packages: Iterable[CondaPackage], connect: Callable[[], Client], memo: MutableMapping[str, list[str]]
) -> CondaInterface:
    """What `packages` offer to pip. `memo` keeps `NAME==VERSION` lists by package sha256, once looked up.

    The client is made when one has to be looked up: with rattler behind it that takes 40 ms.
    Raises SolveError when there is no python. Not to be called from an event loop.
    """
    packages = tuple(packages)
    python = next((package.version for package in packages if package.name == "python"), None)
    if python is None:
        raise SolveError("a pip list needs a python", hint="add `python` to the conda dependencies")
    asked = [package for package in packages if may_hold_dists(package)]
    unknown = [package for package in asked if package.sha256.hex not in memo]
    if unknown:
        import asyncio

        for package, found in zip(unknown, asyncio.run(_look_up(unknown, connect())), strict=True):
            memo[package.sha256.hex] = found
    dists = sorted({dist for package in asked for dist in memo[package.sha256.hex]})
    pairs = (dist.partition("==") for dist in dists)
    return CondaInterface(python, tuple((name, version) for name, _, version in pairs))


def may_hold_dists(package: CondaPackage) -> bool:
    """Whether it is one of python's."""
    needs = {depends.split(" ", 1)[0] for depends in package.depends}
    return package.noarch == "python" or package.name == "python" or bool(needs & {"python", "python_abi"})


async def _look_up(packages: list[CondaPackage], client: Client) -> list[list[str]]:
    import asyncio

    gate = asyncio.Semaphore(_PARALLEL)

    async def one(package: CondaPackage) -> list[str]:
        async with gate:
            return await _dists_of(package, client)

    return await asyncio.gather(*map(one, packages))


async def _dists_of(package: CondaPackage, client: Client) -> list[str]:
    """Dists in an archive, by its paths.json: two range requests, whatever the archive's size."""
    from packaging.utils import canonicalize_name
    from rattler import PathsJson

    try:
        if package.url.startswith("file://"):
            paths = PathsJson.from_package_archive(Path(unquote(urlsplit(package.url).path)))
        else:
            paths = await PathsJson.from_remote_url(client, package.url)
    except OSError as error:
        facts = {"package": package.url, "reason": redact(str(error))}
        failure = Unreachable if NO_ANSWER.search(str(error)) else PackageError
        raise failure("a package's file list cannot be read", facts=facts) from error
    entries = paths.paths if paths else []
    matches = filter(None, (_DIST.search(entry.relative_path.as_posix()) for entry in entries))
    return sorted({f"{canonicalize_name(match[1])}=={match[2]}" for match in matches})
