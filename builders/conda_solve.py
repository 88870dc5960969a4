"""Solve conda match specs for a target: rattler decides, nothing of the builder's machine is asked.

Virtual packages are stated from the target (base image's glibc, fleet's CUDA), never detected. Channel
priority is strict. A failed solve is explained by asking the channels again: which spec has no candidate,
and whether a newer glibc or a GPU driver would have made it solvable. Not to be called from an event loop.

    packages = solve_conda(spec, Target("linux-64", "2.36"), sources, cache_dir)
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..cache.digest import Digest
from ..errors import PackageError, SolveError
from .lock import CondaPackage, Target
from .sources import (
    CHANNEL_SPEC,
    Connection,
    Sources,
    canonical_url,
    channel_error,
    channel_url,
    channels_of,
    connect,
    disk_error,
    rattler_channels,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rattler import GenericVirtualPackage, MatchSpec, RepoDataRecord

    from ..config.definition import CondaSpec

_VERSION = re.compile(r"\d[\w.!]*")
_TREE_LINES = 15
# Newer than any driver or libc: "if only the target had more". conda-forge bounds __glibc below 3.
_PLENTY = {"__cuda": {"cuda": "999"}, "__glibc": {"glibc": "2.999"}}


@dataclass(frozen=True)
class _Job:
    """One solve with all it needs, for the solver and for explaining its refusal."""

    specs: tuple[tuple[str, MatchSpec], ...]
    channels: tuple[str, ...]
    target: Target
    sources: Sources
    connection: Connection
    cache_dir: Path
    lines: Mapping[str, tuple[Path, int]]

    @property
    def platforms(self) -> list[str]:
        return [self.target.platform, "noarch"]

    def facts(self) -> dict[str, object]:
        """What every refusal shows."""
        cuda = f"cuda {self.target.cuda}" if self.target.cuda else "no cuda"
        return {
            "channels": redact(", ".join(self.channels)),
            "target": f"{self.target.platform}, glibc {self.target.glibc}, {cuda}",
        }

    def where(self, spec: str) -> str:
        """`in conda.yaml line 7`, or nothing when the caller gave no lines."""
        place = self.lines.get(spec)
        return f" in {place[0].name} line {place[1]}" if place else ""


def solve_conda(
    spec: CondaSpec,
    target: Target,
    sources: Sources,
    cache_dir: Path,
    lines: Mapping[str, tuple[Path, int]] | None = None,
) -> tuple[CondaPackage, ...]:
    """The packages that satisfy `spec` on `target`, sorted by name.

    Raises SolveError (unknown package, no version, contradiction, channel that does not exist),
    Unreachable (channel does not answer) and PackageError (a package without sha256).
    """
    lines = lines or {}
    specs = tuple((text, parse_spec(text, sources, lines)) for text in spec.specs)
    channels = channels_of(spec.channels, spec.specs, sources)
    job = _Job(specs, channels, target, sources, connect(sources, cache_dir), cache_dir, lines)
    records = asyncio.run(_solve_or_explain(job))
    return tuple(sorted((_package(record, sources) for record in records), key=lambda package: package.name))


def parse_spec(text: str, sources: Sources, lines: Mapping[str, tuple[Path, int]]) -> MatchSpec:
    """A match spec as conda files write it. Raises SolveError with the line it stands on."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidChannelError, InvalidMatchSpecError, InvalidVersionSpecError

    place = lines.get(text)
    try:
        if text.startswith("-"):
            raise ValueError("options belong under `pip:`")
        return MatchSpec(_absolute(text, sources), strict=False)
    except (InvalidMatchSpecError, InvalidVersionSpecError, InvalidChannelError, ValueError) as error:
        raise SolveError(
            f"`{redact(text)}` is not a match spec",
            facts={"reason": redact(str(error))} | ({"line": f"{place[0].name}:{place[1]}"} if place else {}),
            hint="write `name`, `name=1.2` or `name >=1.2,<2`; options and requirement files go under `pip:`",
        ) from error


def _absolute(text: str, sources: Sources) -> str:
    """`channel::spec` with the channel's URL, since rattler does not know our channel alias."""
    match = CHANNEL_SPEC.fullmatch(text.strip())
    if match is None or match["channel"] == "defaults":
        return text
    return f"{channel_url(match['channel'], sources)}::{match['rest']}"


def virtual_packages(target: Target) -> list[GenericVirtualPackage]:
    """What the target offers; given to rattler, it replaces detection on the builder."""
    from rattler import BuildString, GenericVirtualPackage, PackageName, Version

    offers = [("__unix", "0", "0"), ("__linux", "5.10", "0"), ("__glibc", target.glibc, "0")]
    offers.append(("__archspec", "1", target.architecture))
    offers += [("__cuda", target.cuda, "0")] if target.cuda else []
    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, version, build in offers
    ]


async def _solve_or_explain(job: _Job) -> Sequence[RepoDataRecord]:
    from rattler.exceptions import FetchRepoDataError, GatewayError, SolverError

    try:
        try:
            return await _solve(job)
        except SolverError as error:
            raise await _explain(job, str(error)) from error
    except (GatewayError, FetchRepoDataError) as error:
        full = disk_error(str(error), job.cache_dir)
        raise full or channel_error(str(error), job.channels, job.sources) from error


async def _solve(job: _Job) -> Sequence[RepoDataRecord]:
    from rattler import ChannelPriority, solve

    records: Sequence[RepoDataRecord] = await solve(
        rattler_channels(job.channels, job.sources),
        [match for _, match in job.specs],
        gateway=job.connection.gateway,
        platforms=job.platforms,
        virtual_packages=virtual_packages(job.target),
        channel_priority=ChannelPriority.Strict,
    )
    return records


async def _explain(job: _Job, tree: str) -> SolveError:
    """Why there is no solution, the most telling reason first."""
    for text, match in job.specs:
        if not text.startswith("__") and (reason := await _no_candidate(job, text, match)):
            return reason
    tree = tree.removeprefix("Cannot solve the request because of: ").strip()
    for name, plenty in _PLENTY.items():
        if name in tree and await _solvable(replace(job, target=replace(job.target, **plenty))):
            return _virtual_error(job, tree, name)
    blamed = _blamed(job, tree)
    return SolveError(
        "the packages contradict each other",
        facts=job.facts() | {"solver": _trim(tree)},
        hint=("relax one of " if "," in blamed else "relax ") + blamed,
    )


async def _no_candidate(job: _Job, text: str, match: MatchSpec) -> SolveError | None:
    """The error for a spec that no package of the channels satisfies; None if one does."""
    name = _name(match)
    records = await _query(job, name)
    if any(match.matches(record) for record in records):
        return None
    if records:
        closest = ", ".join(f"{name} {version}" for version in _nearest(match, records))
        return SolveError(
            f"no package satisfies `{redact(text)}`",
            facts=job.facts() | {"closest": closest},
            hint=f"relax the bound{job.where(text)}, or add a channel that has it",
        )
    names = await job.connection.gateway.names(rattler_channels(job.channels, job.sources), job.platforms)
    import difflib

    near = difflib.get_close_matches(name, sorted({found.normalized for found in names}), 3, 0.6)
    return SolveError(
        f"no channel has a package `{name}`",
        facts=job.facts() | ({"closest": ", ".join(near)} if near else {}),
        hint=f"correct the name{job.where(text)}, add a channel that has it, or list it under `pip:`",
    )


async def _query(job: _Job, name: str) -> list[RepoDataRecord]:
    gateway = job.connection.gateway
    channels = rattler_channels(job.channels, job.sources)
    found = await gateway.query(channels, job.platforms, [name], recursive=False)
    return [record for records in found for record in records]


async def _solvable(job: _Job) -> bool:
    from rattler.exceptions import SolverError

    try:
        return bool(await _solve(job))
    except SolverError:
        return False


def _name(match: MatchSpec) -> str:
    return str(getattr(match.name, "normalized", match.name))


def _nearest(match: MatchSpec, records: Sequence[RepoDataRecord]) -> list[str]:
    """The versions on either side of the one the spec names; the newest when it names none."""
    from rattler import Version

    versions = sorted({record.version for record in records})
    asked = _VERSION.search(match.version or "")
    place = bisect_left(versions, Version(asked[0].rstrip("."))) if asked else len(versions)
    return [str(version) for version in versions[max(place - 1, 0) : place + 1]]


def _virtual_error(job: _Job, tree: str, name: str) -> SolveError:
    has = {f"{name} *", f"{name} {job.target.cuda}", f"{name} {job.target.glibc}"}
    needs = sorted(set(re.findall(rf"{name} [^\s,]+(?:,[<>=!~][^\s,]+)*", tree)) - has)
    sentence, hint = {
        "__cuda": (
            "the packages need a newer CUDA driver than the target has"
            if job.target.cuda
            else "the packages need a GPU driver, the target has none",
            "set `cuda` in prebake.toml to the fleet's oldest driver version, or ask for a CPU build",
        ),
        "__glibc": (
            "the packages need a newer glibc than the base image has",
            "take a newer base image, or relax the bound",
        ),
    }[name]
    facts = {"specs": _blamed(job, tree), "needs": ", ".join(needs) or name, "solver": _trim(tree)}
    return SolveError(sentence, facts=job.facts() | facts, hint=hint)


def _blamed(job: _Job, tree: str) -> str:
    """The specs whose packages the solver's tree speaks of, with their lines; all if it names none."""
    words = set(re.findall(r"[\w.-]+", tree))
    named = [text for text, match in job.specs if _name(match) in words]
    named = named or [text for text, _ in job.specs]
    return ", ".join(f"`{redact(text)}`{job.where(text)}" for text in named)


def _trim(tree: str) -> str:
    """The head of the solver's tree: equal builds repeat their reason hundreds of times."""
    lines = list(dict.fromkeys(redact(tree).rstrip().splitlines()))
    more = [f"... {len(lines) - _TREE_LINES} more lines"] if len(lines) > _TREE_LINES else []
    return "\n".join(lines[:_TREE_LINES] + more)


def _package(record: RepoDataRecord, sources: Sources) -> CondaPackage:
    url = canonical_url(record.url, sources)
    if record.sha256 is None:
        raise PackageError(
            f"`{record.file_name}` has no sha256 in its channel",
            facts={"package": url},
            hint="index the channel again with sha256: what cannot be verified is not used",
        )
    name, version = record.name.normalized, str(record.version)
    site_packages = record.python_site_packages_path
    if name == "python" and site_packages is None:
        site_packages = f"lib/python{'.'.join(version.split('.')[:2])}/site-packages"
    return CondaPackage(
        name=name,
        version=version,
        build=str(record.build),
        build_number=record.build_number,
        subdir=record.subdir,
        url=url,
        channel=canonical_url(record.channel, sources).rstrip("/"),
        sha256=Digest(record.sha256.hex()),
        md5=record.md5.hex() if record.md5 else None,
        size=record.size or 0,
        depends=tuple(record.depends),
        constrains=tuple(record.constrains),
        noarch="python" if record.noarch.python else "generic" if record.noarch.generic else None,
        site_packages=site_packages,
    )
