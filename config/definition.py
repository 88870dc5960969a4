"""What a user declares, as values: `Definition` decides the image, `Environment` names it.

Identity (name, version, description, tags) lives in another type than the definition, so it cannot leak
into a key. Source of the fields: Azure ML CLI v2 environment YAML (reference-yaml-environment) and v1's
`environmentVariables`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (the JSON schema is generated from these annotations)


@dataclass(frozen=True)
class CondaSpec:
    """A conda environment file: where packages come from and which are asked for.

    Order of `channels`, `pip` (options and `-r` lines are ordered) is the user's and counts;
    `specs` are match specs in conda's syntax, one per package.
    """

    channels: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BuildContext:
    """A Dockerfile of the user's own and the folder it is built in."""

    path: Path
    dockerfile_path: str = "Dockerfile"


@dataclass(frozen=True)
class Route:
    """A path and port of a serving container."""

    path: str
    port: int


@dataclass(frozen=True)
class InferenceConfig:
    """Routes of a serving container; kept as labels on the image."""

    liveness_route: Route
    readiness_route: Route
    scoring_route: Route


@dataclass(frozen=True)
class SparkSpec:
    """Jars for Spark, as `spark` in Azure ML's SDK v1: `group:artifact:version` of Maven, one per artifact.

    Order of `repositories` counts. Without `precache_packages` Spark fetches the jars itself as it starts.
    """

    packages: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    precache_packages: bool = True


@dataclass(frozen=True)
class Definition:
    """All that decides an image: exactly one of `image` and `build`; `conda`, `spark` only on an `image`."""

    image: str | None = None
    build: BuildContext | None = None
    conda: CondaSpec | None = None
    environment_variables: tuple[tuple[str, str], ...] = ()
    inference_config: InferenceConfig | None = None
    os_type: str = "linux"
    spark: SparkSpec | None = None


@dataclass(frozen=True)
class Environment:
    """A definition with its identity; `source` and `lines` serve error messages alone.

    `auto_rebuild` (Disabled or OnBaseImageUpdate, as in Azure ML's REST API) and `smoke_test` (a command) say
    what to do when the base moves; empty means what the settings say.

    `files` are all that were read for it. `lines` maps a match spec, pip line or field name to the line of
    `source` it stands on. Builds of a `registered` one are remembered in the catalog.
    """

    definition: Definition
    name: str | None = None
    version: str | None = None
    description: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    auto_rebuild: str = ""
    smoke_test: str = ""
    source: Path | None = None
    files: tuple[Path, ...] = field(default=(), compare=False)
    lines: dict[str, tuple[Path, int]] = field(default_factory=dict, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    registered: bool = field(default=False, compare=False)

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.name}:{self.version}" if self.name and self.version else self.name or "(anonymous)"

    @property
    def kind(self) -> str:
        """Azure ML's word: user-managed (an image or Dockerfile as it is) or system-managed."""
        return "system-managed" if self.definition.conda else "user-managed"
