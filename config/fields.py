"""What a mapping may hold: the tables the readers and the JSON schema share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .places import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from .yaml_nodes import Value

Kind = Literal[
    "any",
    "text",
    "word",
    "port",
    "texts",
    "pairs",
    "os",
    "rebuild",
    "conda",
    "dependencies",
    "build",
    "inference",
    "route",
    "spark",
    "packages",
    "truth",
]

# The words of Azure ML's REST API (EnvironmentVersion, `autoRebuild`).
AUTO_REBUILD = ("Disabled", "OnBaseImageUpdate")


@dataclass(frozen=True)
class Field:
    """A key of a mapping: what it holds, and what it says to the user's editor."""

    kind: Kind
    says: str
    required: bool = False


Table = dict[str, Field]

ENVIRONMENT: Table = {
    "$schema": Field("any", "For editors only."),
    "name": Field("word", "Name to register under; not part of what is built."),
    "version": Field("word", "Version to register under, any text."),
    "description": Field("word", "What the environment is for."),
    "tags": Field("pairs", "Labels for searching."),
    "image": Field("text", "Base image; exactly one of `image` and `build` is given."),
    "conda_file": Field(
        "conda", "Packages on top of `image`: a path relative to this file, or the conda file's content."
    ),
    "build": Field("build", "A Dockerfile of your own, in place of `image`."),
    "environment_variables": Field("pairs", "Variables set in the image."),
    "spark": Field("spark", "Jars for Spark on top of `image`, as in Azure ML's SDK v1."),
    "os_type": Field("os", "Operating system; `linux` only."),
    "auto_rebuild": Field("rebuild", "What to do when the base's tag moves; not part of what is built."),
    "smoke_test": Field("text", "Command that a rebuilt image must run before it replaces the old."),
    "inference_config": Field("inference", "Routes of a serving container."),
    "datastore": Field("any", "Azure's place for the context; ignored."),
    "properties": Field("any", "Set by Azure; ignored."),
    "id": Field("any", "Set by Azure; ignored."),
    "creation_context": Field("any", "Set by Azure; ignored."),
    "latest_version": Field("any", "Set by Azure; ignored."),
    "intellectual_property": Field("any", "Set by Azure; ignored."),
    "auto_delete_setting": Field("any", "Set by Azure; ignored."),
    "stage": Field("any", "Set by Azure; ignored."),
}
CONDA: Table = {
    "name": Field("any", "Ignored: the environment's name counts."),
    "channels": Field("texts", "Where packages come from, first wins; `conda-forge` if missing."),
    "dependencies": Field(
        "dependencies", "Match specs, and one mapping `pip:` with lines for pip.", required=True
    ),
    "variables": Field("pairs", "Variables set in the image."),
    "platforms": Field("texts", "Platforms the file is meant for."),
    "prefix": Field("any", "Ignored: images have their own prefix."),
}
BUILD: Table = {
    "path": Field("text", "Folder of the build context, relative to this file.", required=True),
    "dockerfile_path": Field("text", "Dockerfile, relative to the context."),
}
INFERENCE: Table = {
    "liveness_route": Field("route", "Answers while the server is alive.", required=True),
    "readiness_route": Field("route", "Answers when the server can serve.", required=True),
    "scoring_route": Field("route", "Answers predictions.", required=True),
}
ROUTE: Table = {
    "path": Field("text", "Path of the URL.", required=True),
    "port": Field("port", "Port of the container, 1 to 65535.", required=True),
}

SPARK: Table = {
    "repositories": Field("texts", "URLs of Maven repositories, asked in this order; Maven Central is last."),
    "packages": Field("packages", "Maven coordinates: `group:artifact:version`, or a mapping of the three."),
    "precachePackages": Field(
        "truth", "Whether the image holds the jars; if not, Spark fetches them as it starts."
    ),
}
COORDINATE: Table = {
    "group": Field("word", "Group of the package.", required=True),
    "artifact": Field("word", "Its name.", required=True),
    "version": Field("word", "One version, no range.", required=True),
}


def known(value: Value, table: Table) -> dict[str, Value]:
    """The fields of a mapping that its table knows and that hold something."""
    fields = value.fields()
    for key in (key for key, field in table.items() if field.required and key not in fields):
        raise value.lacks(key)
    return {
        key: field
        for key, field in fields.items()
        if key in table and (field.kind != "null" or table[key].required)
    }


def unknown(value: Value, table: Collection[str]) -> tuple[str, ...]:
    """A warning for each key that the table does not know."""
    others = ((key, field) for key, field in value.fields().items() if key not in table)
    return tuple(
        ", ".join(filter(None, [f"{field.place}: key `{key}` is ignored", did_you_mean(key, table)]))
        for key, field in others
    )
