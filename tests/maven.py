"""A repository in Maven's layout: POMs by what they hold, jars of one class each.

repository = Maven(folder)
repository.add("org.x:tool:1", ["org.x:base:2", "org.y:aid:1!optional"])
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prebake.cache.digest import Digest


@dataclass(frozen=True)
class Maven:
    """What is below `root` is a repository."""

    root: Path

    def add(
        self, coordinate: str, dependencies: Iterable[str] = (), extra: str = "", jar: bool = True
    ) -> Path:
        """Publish an artifact; returns its jar's path. A dependency is `g:a[:v][!SCOPE or optional]`."""
        group, artifact, version = coordinate.split(":")
        folder = self.root / group.replace(".", "/") / artifact / version
        folder.mkdir(parents=True, exist_ok=True)
        listed = "".join(map(dependency, dependencies))
        names = f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        kind = "" if jar else "<packaging>pom</packaging>"
        body = f"{names}{kind}{extra}<dependencies>{listed}</dependencies>"
        pom = f'<project xmlns="http://maven.apache.org/POM/4.0.0">{body}</project>'
        path = folder / f"{artifact}-{version}.jar"
        path.with_suffix(".pom").write_text(pom)
        if jar:
            path.write_bytes(jar_bytes(coordinate))
            path.with_suffix(".jar.sha256").write_text(Digest.of(path.read_bytes()).hex)
        return path


def dependency(text: str, extra: str = "") -> str:
    coordinate, _, mark = text.partition("!")
    tags = ("groupId", "artifactId", "version")
    parts = "".join(f"<{tag}>{part}</{tag}>" for tag, part in zip(tags, coordinate.split(":"), strict=False))
    marked = "<optional>true</optional>" if mark == "optional" else f"<scope>{mark}</scope>" if mark else ""
    return f"<dependency>{parts}{marked}{extra}</dependency>"


def managed(*dependencies: str) -> str:
    listed = "".join(each if each.startswith("<") else dependency(each) for each in dependencies)
    return f"<dependencyManagement><dependencies>{listed}</dependencies></dependencyManagement>"


def jar_bytes(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/about.txt"), text)
    return stream.getvalue()
