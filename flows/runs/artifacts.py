"""What Prefect's pages show of a build: its layers, what changed since the last one, sizes over time.

Builds of one destination are a line of versions: each artifact has a key that is made of it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from httpx import HTTPError
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client

from ..progress import megabytes

if TYPE_CHECKING:
    from ...builders.results import LayerResult
    from ..built import Built
    from .log import Logger

_HISTORY = 20


def show(built: Built, line: str, logger: Logger) -> None:
    """Write the artifacts of a build; `line` names the destination, or else the environment.

    That Prefect's pages do not show a build is not worth failing it.
    """
    try:
        _show(built, line)
    except HTTPError as error:
        logger.warning("Prefect's pages will not show this build: %s", error)


def _show(built: Built, line: str) -> None:
    name = re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-")
    earlier = _earlier(f"layers-{name}")
    rows = [_row(layer) for layer in built.image.layers]
    create_table_artifact(key=f"layers-{name}", table=rows, description=built.summary())
    before = _rows(earlier[0]) if earlier else []
    create_markdown_artifact(key=f"changes-{name}", markdown=_changes(before, rows))
    create_markdown_artifact(key=f"sizes-{name}", markdown=_sizes(earlier, rows))


def _earlier(key: str) -> list[dict[str, Any]]:
    """The layer tables of earlier builds, newest first."""
    sought = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": _HISTORY}
    with get_client(sync_client=True) as client:
        found: list[dict[str, Any]] = client.request("POST", "/artifacts/filter", json=sought).json()
    return found


def _rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(table["data"])
    return rows


def _row(layer: LayerResult) -> dict[str, Any]:
    return {
        "layer": layer.planned.title,
        "outcome": layer.outcome,
        "bytes": layer.layer.descriptor.size,
        "seconds": round(layer.seconds, 2),
        "key": str(layer.planned.key),
        "packages": ", ".join(layer.planned.contents),
    }


def _changes(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> str:
    """Which packages and layers are not those of the last build."""
    if not before:
        return "The first build."
    gone, come = _packages(before) - _packages(now), _packages(now) - _packages(before)
    lines = [*(f"- removed {each}" for each in sorted(gone)), *(f"- added {each}" for each in sorted(come))]
    kept = {row["key"] for row in before} & {row["key"] for row in now}
    told = f"{len(kept)} of {len(now)} layers are those of the last build."
    return "\n".join([told, "", *(lines or ["The same packages."])])


def _packages(rows: list[dict[str, Any]]) -> set[str]:
    return {package for row in rows for package in row["packages"].split(", ")}


def _sizes(earlier: list[dict[str, Any]], now: list[dict[str, Any]]) -> str:
    """Layers and bytes of the last builds, this one first."""
    lines = ["| built | layers | size |", "| --- | --- | --- |", _size("now", now)]
    return "\n".join([*lines, *(_size(each["created"][:16], _rows(each)) for each in earlier)])


def _size(when: str, rows: list[dict[str, Any]]) -> str:
    return f"| {when} | {len(rows)} | {megabytes(sum(row['bytes'] for row in rows))} |"
