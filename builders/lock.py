"""What a solve decided, as values: the only thing that the layers of an environment depend on.

A lock is a function result, stored as a blob; `conda-lock.yml` is another form of it (see condalock.py).
URLs are public parts only: credentials never enter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from ..cache.digest import Digest, Json, canonical


@dataclass(frozen=True)
class Target:
    """What the image will run on; an explicit input of every solve, never sniffed from the builder.

    `glibc` is the version in the base image, `cuda` the oldest driver API version the fleet has.
    """

    platform: str = "linux-64"
    glibc: str = "2.17"
    cuda: str | None = None

    @property
    def architecture(self) -> str:
        """The machine in Python's words, as in wheel tags."""
        return {"linux-64": "x86_64", "linux-aarch64": "aarch64"}[self.platform]


@dataclass(frozen=True)
class CondaPackage:
    """One locked conda package, with what linking it and rendering a lock need.

    `size` is in bytes and 0 when the channel does not say. `python` packages carry where their
    site-packages are, `noarch` is None, "python" or "generic".
    """

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    url: str
    channel: str
    sha256: Digest
    md5: str | None = None
    size: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str | None = None
    site_packages: str | None = None

    @property
    def file_name(self) -> str:
        """Name of the archive in its channel."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Wheel:
    """One locked wheel; one `built` here from source is in the store and nowhere else."""

    name: str
    version: str
    url: str
    sha256: Digest
    size: int = 0
    depends: tuple[str, ...] = ()
    built: bool = False

    @property
    def file_name(self) -> str:
        """The wheel's file name, which carries its tags."""
        return self.url.rsplit("/", 1)[-1].replace("%2B", "+")


@dataclass(frozen=True)
class Jar:
    """One locked jar of a Maven repository."""

    group: str
    artifact: str
    version: str
    url: str
    sha256: Digest
    size: int = 0
    classifier: str = ""

    @property
    def name(self) -> str:
        """What it is apart from its version."""
        return ":".join(filter(None, [self.group, self.artifact, self.classifier]))

    @property
    def file_name(self) -> str:
        """Its name in the image, as Spark's own `--packages` names it: two groups may have one artifact."""
        return (
            f"{self.group}_" + "-".join(filter(None, [self.artifact, self.version, self.classifier])) + ".jar"
        )


@dataclass(frozen=True)
class SparkLock:
    """Jars for Spark; or, for those that Spark fetches itself as it starts, what they are asked by."""

    jars: tuple[Jar, ...] = ()
    packages: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """Everything a definition resolved to on one target; packages sorted by name."""

    target: Target
    channels: tuple[str, ...] = ()
    conda: tuple[CondaPackage, ...] = ()
    pip: tuple[Wheel, ...] = ()
    spark: SparkLock | None = None

    @property
    def jars(self) -> tuple[Jar, ...]:
        """The jars for Spark that it holds."""
        return self.spark.jars if self.spark else ()

    def python(self) -> CondaPackage | None:
        """The python package, if conda installs one."""
        return next((package for package in self.conda if package.name == "python"), None)

    def to_bytes(self) -> bytes:
        """Canonical bytes: the same lock always has the same digest."""
        plain: dict[str, Json] = {
            "target": vars(self.target),
            "channels": self.channels,
            "conda": [_plain(package) for package in self.conda],
            "pip": [_plain(wheel) for wheel in self.pip],
        }
        if self.spark:  # locks without it are older than it
            plain["spark"] = vars(self.spark) | {"jars": [_plain(jar) for jar in self.spark.jars]}
        return canonical(plain)

    @classmethod
    def from_bytes(cls, data: bytes) -> Lock:
        """Read what `to_bytes` wrote."""
        raw = json.loads(data)
        return cls(
            Target(**raw["target"]),
            tuple(raw["channels"]),
            tuple(CondaPackage(**_typed(package)) for package in raw["conda"]),
            tuple(Wheel(**_typed(wheel)) for wheel in raw["pip"]),
            _spark(raw["spark"]) if "spark" in raw else None,
        )


def python_closure(lock: Lock) -> Lock:
    """Python and what it needs, of a lock."""
    packages = {package.name: package for package in lock.conda}
    needed: set[str] = set()
    todo = ["python"]
    while todo:
        name = todo.pop()
        if name in packages and name not in needed:
            needed.add(name)
            todo += [depends.split(" ", 1)[0] for depends in packages[name].depends]
    return replace(
        lock, conda=tuple(package for package in lock.conda if package.name in needed), pip=(), spark=None
    )


def _spark(raw: dict[str, Any]) -> SparkLock:
    jars = tuple(Jar(**_typed(jar)) for jar in raw["jars"])
    return SparkLock(jars, tuple(raw["packages"]), tuple(raw["repositories"]))


def _plain(package: CondaPackage | Wheel | Jar) -> dict[str, Json]:
    """Its fields, the digest as hex; `dataclasses.asdict` copies all of them deeply (5 ms a lock)."""
    return vars(package) | {"sha256": package.sha256.hex}


def _typed(raw: dict[str, Any]) -> dict[str, Any]:
    typed = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return typed | {"sha256": Digest(str(raw["sha256"]))}
